"""Hard bounds of priors: supports as intervals, and coordinates that stay inside them.

    rho, lam     the logit variable on the intersection of the support with the admissible interval
    sigma, beta  the normals of the geometry without bounds, cut to the interval
                 (`kernels.truncated`), one coefficient after the other

Coefficients that are cut like this are as close to normal as the data make them. Where the bounds
are far away the geometry is that without bounds. The density gains one factor for each coefficient:
the probability that the uncut one lies in its interval.

Geweke (1991), "Efficient simulation from the multivariate normal and Student-t distributions
subject to linear constraints"; Keane (1994), Econometrica 62.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
from jax.scipy.linalg import solve_triangular
from jax.typing import ArrayLike

from spillover.kernels.arrays import leaf
from spillover.kernels.chebyshev import END
from spillover.kernels.errors import PriorError
from spillover.kernels.logit import to_rho
from spillover.kernels.truncated import FAR, truncate
from spillover.models.likelihood import (
    Likelihood,
    Point,
    Regression,
    dependence,
    name_dependence,
    point_at,
    sigma_alpha,
)

WHOLE, POSITIVE = (-np.inf, np.inf), (0.0, np.inf)
MORE = 20  # draws for each one wanted, where some fall outside
UNIT = np.array([0.0, 1.0])  # the interval of w
# how far the logit variable may go on a narrowed interval: nothing is singular at its ends, so that
# mass may pile up against them
NARROW = 12.0


class Supports(NamedTuple):
    """The ends of the intervals that the priors allow.

    They are infinite where open, and None where a prior sets no bound of its own.

    `beta`: (k, 2). `sigma`, `level` (of sigma_alpha): (2,). `dependence`: (2,) for each of rho and
    lam that the model has.
    """

    beta: jax.Array | None
    sigma: jax.Array | None
    level: jax.Array | None
    dependence: tuple[jax.Array | None, ...]


def supports(
    beta: dict[tuple[int, ...], dist.Distribution],
    sigma: Any,
    level: Any,
    dependence: dict[str, Any],
    terms: tuple[str, ...],
) -> Supports | None:
    """The supports of the distributions among these priors.

    None where no distribution has a hard bound of its own.

    Parameters
    ----------
    beta : dict
        Distributions by the positions of their terms.
    sigma, level : object
        Priors of sigma and sigma_alpha. Only a distribution has bounds.
    dependence : dict
        Priors of those of rho and lam that the model has, by name.
    terms : tuple of str
        Labels of the k regressors.

    Raises
    ------
    PriorError
        Names a distribution that is discrete, whose support ties several numbers together, such as
        a simplex, or that allows no positive sigma.
    """
    box = np.tile(WHOLE, (len(terms), 1))
    for positions, distribution in beta.items():
        name = f"{terms[positions[0]]!r}" if len(positions) == 1 else "beta"
        box[list(positions)] = np.broadcast_to(interval(distribution, name), (len(positions), 2))
    bounds = Supports(
        beta=leaf(box) if np.isfinite(box).any() else None,
        sigma=_positive(sigma, "sigma"),
        level=_positive(level, "sigma_alpha"),
        dependence=tuple(_ends_in(family, name) for name, family in dependence.items()),
    )
    return None if _is_open(bounds) else bounds


def _is_open(bounds: Supports) -> bool:
    """Whether there is no hard bound."""
    return all(
        part is None for part in (bounds.beta, bounds.sigma, bounds.level, *bounds.dependence)
    )


def _ends_in(family: Any, name: str) -> jax.Array | None:
    """The ends of a distribution of one number, (2,).

    None for the package's own families and for the whole line.
    """
    if not isinstance(family, dist.Distribution):
        return None
    ends = interval(family, name).reshape(2)
    return leaf(ends) if np.isfinite(ends).any() else None


def _positive(family: Any, name: str) -> jax.Array | None:
    """The ends of a distribution of a standard deviation, (2,); None for (0, inf)."""
    ends = _ends_in(family, name)
    if ends is None:
        return None
    low, high = max(float(ends[0]), 0.0), float(ends[1])
    if not low < high:
        raise PriorError(
            f"The prior of {name}, {_name_of(family)}, has its support in"
            f" ({ends[0]:g}, {ends[1]:g}): {name} is positive."
        )
    return None if (low, high) == POSITIVE else leaf((low, high))


def interval(distribution: dist.Distribution, name: str) -> np.ndarray:
    """The ends of the support of every number of a distribution, (..., 2).

    Raises
    ------
    PriorError
        Names the parameter, `name`, whose distribution has another kind of support.
    """
    shape = distribution.batch_shape + distribution.event_shape
    try:
        low, high = _ends(distribution)
        ends = np.stack(
            [np.broadcast_to(np.asarray(end, float), shape) for end in (low, high)], axis=-1
        )
    except (TypeError, ValueError, NotImplementedError):
        raise PriorError(
            f"The prior of {name} is {_name_of(distribution)}: it is discrete or its support is no"
            " interval of each number by itself. Give a continuous distribution with bounds of its"
            " own for every number."
        ) from None
    if not (ends[..., 0] < ends[..., 1]).all():
        raise PriorError(
            f"The prior of {name}, {_name_of(distribution)}, has an empty support, {ends.tolist()}."
        )
    return ends


def _name_of(distribution: dist.Distribution) -> str:
    """The family of a distribution."""
    return type(distribution).__name__


def _ends(distribution: Any) -> tuple[Any, Any]:
    """The ends of the support; TypeError for a support of another kind.

    For a transformed distribution they are the images of the ends of its base: the codomain of a
    transform need not reflect where the base ends.
    """
    if isinstance(distribution, dist.Delta | dist.ImproperUniform):
        raise TypeError
    base = getattr(distribution, "base_dist", None)
    if isinstance(
        distribution, dist.Independent | dist.ExpandedDistribution | dist.MaskedDistribution
    ):
        return _ends(base)
    low, high = _bounds_of(distribution.support)
    transforms = getattr(distribution, "transforms", ())
    if isinstance(distribution, dist.TransformedDistribution) and not any(
        t.domain.event_dim for t in transforms
    ):
        inner = _ends(base)
        for transform in transforms:
            image = np.stack(
                [np.asarray(transform(jnp.asarray(end, float)), float) for end in inner]
            )
            inner = image.min(axis=0), image.max(axis=0)
        # a NaN, as from 0 times infinity, is ignored
        low, high = (
            np.fmax(low, inner[0]),
            np.fmin(high, inner[1]),
        )
    return low, high


def _bounds_of(support: Any) -> tuple[Any, Any]:
    """The bounds that a constraint of NumPyro has; TypeError where it is no interval."""
    while hasattr(support, "base_constraint"):
        support = support.base_constraint
    bounded = hasattr(support, "lower_bound") or hasattr(support, "upper_bound")
    if support.is_discrete or not (bounded or support == dist.constraints.real):
        raise TypeError
    return getattr(support, "lower_bound", -np.inf), getattr(support, "upper_bound", np.inf)


def narrow(
    bounds: Supports, names: tuple[str, ...], admissible: tuple[tuple[float, float], ...]
) -> Supports | None:
    """Cut the supports of rho and lam to their admissible intervals.

    None where no bound is left.

    Raises
    ------
    PriorError
        For a support that lies outside the admissible interval.
    """
    cut: list[jax.Array | None] = []
    for name, ends, (lower, upper) in zip(names, bounds.dependence, admissible, strict=True):
        if ends is None or (ends[0] <= lower and ends[1] >= upper):
            cut.append(None)
            continue
        low, high = max(float(ends[0]), lower), min(float(ends[1]), upper)
        if not low < high:
            raise PriorError(
                f"The prior of {name} has its support in ({float(ends[0]):.6g},"
                f" {float(ends[1]):.6g}), outside the admissible interval ({lower:.6g},"
                f" {upper:.6g}) of these weights: give one that overlaps it."
            )
        cut.append(leaf((low, high)))
    kept = bounds._replace(dependence=tuple(cut))
    return None if _is_open(kept) else kept


def sample_within(
    distribution: dist.Distribution,
    size: int,
    within: tuple[float, float],
    rng: np.random.Generator,
) -> np.ndarray | None:
    """`size` draws from the part of a distribution that lies inside `within`.

    None where that part is too small to be sampled.
    """
    ends, key = interval(distribution, "a parameter"), jax.random.key(int(rng.integers(2**31)))
    if (ends[..., 0] >= within[0]).all() and (ends[..., 1] <= within[1]).all():
        return np.asarray(distribution.sample(key, (size,)))
    values = np.asarray(distribution.sample(key, (MORE * size,)))
    values = values[(values > within[0]) & (values < within[1])][:size]
    return values if len(values) == size else None


def intersect(ends: ArrayLike, bounds: ArrayLike) -> jax.Array:
    """The intersection of two intervals, (2,) each."""
    ends, bounds = jnp.asarray(ends), jnp.asarray(bounds)
    return jnp.stack([jnp.maximum(ends[0], bounds[0]), jnp.minimum(ends[1], bounds[1])])


def widen(s: ArrayLike, ends: ArrayLike | None, bounds: ArrayLike) -> jax.Array:
    """The logit variable on the whole `bounds`, from the one on their intersection with `ends`.

    Each value is measured from the nearer end, so that nothing cancels.
    """
    s = jnp.asarray(s)
    if ends is None:
        return s
    (a, b), (low, high) = jnp.asarray(bounds), intersect(ends, bounds)
    left = (low - a) + (high - low) * jax.nn.sigmoid(2 * s)
    right = (b - high) + (high - low) * jax.nn.sigmoid(-2 * s)
    return 0.5 * (jnp.log(left) - jnp.log(right))


def rho_at(s: jax.Array, ends: jax.Array | None, bounds: jax.Array | np.ndarray) -> jax.Array:
    """rho at s, the logit variable on the intersection of the bounds with `ends`."""
    return to_rho(s, bounds if ends is None else intersect(ends, bounds))


def cut_normal(
    v: jax.Array, ends: jax.Array, centre: jax.Array, rate: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """centre + z / rate inside `ends`, where z is the standard normal v cut to fit.

    Returns this value, z, and the log probability that an uncut value lies inside.
    """
    known = jnp.isfinite(ends)
    low, high = jnp.where(
        known, (jnp.where(known, ends, 0.0) - centre) * rate, jnp.array([-FAR, FAR])
    )
    z, log_mass = truncate(v, low, high)
    return jnp.clip(centre + z / rate, ends[0], ends[1]), z, log_mass


def cut_coefficients(
    fit: Regression, sigma: jax.Array, v: jax.Array, box: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """beta, (k,), each inside its row of the box, (k, 2), at normal coordinates v, (k,).

    Also returned is the sum of the log probabilities that the uncut coefficients lie in their rows.

    R (beta - b) = sigma z is solved from the last coefficient to the first, each z cut to what the
    coefficients after it leave.
    """

    def step(
        apart: jax.Array, row: tuple[jax.Array, ...]
    ) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        j, weights, normal, ends = row
        own = weights[j]
        beta, _, log_mass = cut_normal(
            normal, ends, fit.beta[j] - weights @ apart / own, jnp.abs(own) / sigma
        )
        return apart.at[j].set(beta - fit.beta[j]), (beta, log_mass)

    rows = jnp.arange(v.shape[0]), fit.triangle, v, box
    _, (beta, log_mass) = jax.lax.scan(step, jnp.zeros_like(v), rows, reverse=True)
    return beta, jnp.sum(log_mass)


def cut_sigma_and_beta(
    likelihood: Likelihood, bounds: Supports, point: Point, fit: Regression, flat: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """sigma and beta inside their bounds, and what the bounds add to the log Jacobian of both.

    sigma and beta are those at the normal coordinates z, v of a flat vector, (k + 1,) or more. The
    log Jacobian gains the log probabilities that the uncut values lie in their intervals. For sigma
    it also gains

        (u^2 - v^2) / 2

    where u is v cut to its interval. For beta such a term is in the density already, whose
    quadratic form is that of z before the cut.
    """
    k, root = fit.beta.shape[0], jnp.sqrt(2 * likelihood.nu)
    centre, ends = 0.5 * jnp.log(fit.ssr / likelihood.nu), _sigma_ends(likelihood, bounds, point)
    if ends is None:
        sigma, log_mass = jnp.exp(centre + flat[k] / root), jnp.zeros(())
    else:
        log_sigma, u, log_mass = cut_normal(flat[k], jnp.log(ends), centre, root)
        sigma = jnp.clip(jnp.exp(log_sigma), ends[0], ends[1])
        log_mass += 0.5 * (u**2 - flat[k] ** 2)
    if bounds.beta is None:
        return sigma, fit.beta + sigma * solve_triangular(fit.triangle, flat[:k]), log_mass
    beta, of_beta = cut_coefficients(fit, sigma, flat[:k], bounds.beta)
    return sigma, beta, log_mass + of_beta


def _sigma_ends(likelihood: Likelihood, bounds: Supports, point: Point) -> jax.Array | None:
    """The ends of sigma: its own, and at a given w those implied by sigma_alpha, its multiple."""
    if bounds.level is None or point.weight is None:
        return bounds.sigma
    implied = bounds.level / sigma_alpha(jnp.ones(()), point.weight, likelihood.multiplicity)
    return implied if bounds.sigma is None else intersect(bounds.sigma, implied)


def weight_ends(likelihood: Likelihood, bounds: Supports) -> jax.Array | None:
    """The ends of w, where bounds of both sigma and sigma_alpha allow only some of their ratios."""
    if bounds.sigma is None or bounds.level is None:
        return None
    ratios = jnp.stack([bounds.level[1] / bounds.sigma[0], bounds.level[0] / bounds.sigma[1]])
    return 1 / jnp.sqrt(1 + likelihood.multiplicity * ratios**2)


def _ends_of(
    likelihood: Likelihood, bounds: Supports
) -> list[tuple[jax.Array | None, jax.Array | np.ndarray]]:
    """The ends and the whole interval of those of rho, lam and w that the model has.

    The ends are None where there are no hard bounds.
    """
    pairs: list[tuple[jax.Array | None, jax.Array | np.ndarray]] = [
        (ends, part.bounds)
        for ends, part in zip(bounds.dependence, dependence(likelihood), strict=True)
    ]
    if likelihood.between is not None:
        pairs.append((weight_ends(likelihood, bounds), UNIT))
    return pairs


def locate_point(
    likelihood: Likelihood, bounds: Supports | None, s: jax.Array
) -> tuple[Point, jax.Array]:
    """The point at logit variables s, (p,), each on what the supports leave of its interval.

    Also returned are the logit variables of this point on the whole intervals, (p,).
    """
    if bounds is None or not s.shape[0]:
        return point_at(likelihood, s), s
    pairs = _ends_of(likelihood, bounds)
    values = [rho_at(one, *pair) for one, pair in zip(s, pairs, strict=True)]
    weight = None if likelihood.between is None else values.pop()
    return Point(*name_dependence(likelihood, tuple(values)), weight), jnp.stack(
        [widen(one, *pair) for one, pair in zip(s, pairs, strict=True)]
    )


def widen_points(likelihood: Likelihood, bounds: Supports | None, points: np.ndarray) -> np.ndarray:
    """`widen` for many points: logit variables on the whole intervals, (m, p).

    Those given, (m, p), are on what the supports leave of the intervals.
    """
    if bounds is None or not points.shape[1]:
        return points
    pairs = zip(points.T, _ends_of(likelihood, bounds), strict=True)
    return np.column_stack([np.asarray(widen(s, *pair)) for s, pair in pairs])


def reach(likelihood: Likelihood, bounds: Supports | None) -> tuple[float, ...] | None:
    """How far from 0 each of the logit variables may go; None where no prior has hard bounds."""
    if bounds is None:
        return None
    return tuple(END if ends is None else NARROW for ends, _ in _ends_of(likelihood, bounds))
