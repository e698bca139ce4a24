"""The priors of a model as the arrays that its log-density needs, scaled to the data.

    beta | sigma^2 ~ N(b0, sigma^2 V0)         as k more rows of the regression
    sigma^2        ~ InverseGamma(a0, d0)
    rho, lam       ~ Beta(a, b)                on the admissible interval, by their logit variables

A distribution of the user may replace each of them.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import scipy.linalg
import scipy.special

from spillover.kernels.arrays import leaf
from spillover.kernels.errors import PriorError
from spillover.kernels.logit import log_slope, to_rho
from spillover.models.design import INTERCEPT
from spillover.models.likelihood import sigma_alpha
from spillover.models.priors import (
    BetaPrior,
    Conjugate,
    DependencePrior,
    Flat,
    InverseGamma,
    Priors,
    Ridge,
    ScaledBeta,
    SpreadPrior,
    Zellner,
)
from spillover.models.supports import UNIT, Supports, intersect, rho_at, supports

INTERCEPT_WIDER = 4.0  # how much wider the prior of the intercept is, in `Ridge`, than the others
UNIFORM_SHARE = (2.0, 1.0)  # w ~ Beta(2, 1) where w^2, a unit's shrinkage, is uniform

# the user's own distributions by the positions of their terms
Owned = dict[tuple[int, ...], dist.Distribution]


class Scales(NamedTuple):
    """What the default priors are scaled to.

    `mean`, `sd`: of the regressors, (k,). `y_mean`, `y_sd`: of y. `residual`: standard deviation of
    the errors. `triangle`: R of the regressors, (k, k). `nu`: number of observations. `intercept`:
    its position among the terms, -1 without one.
    """

    mean: np.ndarray
    sd: np.ndarray
    y_mean: float
    y_sd: float
    residual: float
    triangle: np.ndarray
    nu: int
    intercept: int


def measure_scales(
    factor: np.ndarray, parts: tuple[str, ...], terms: tuple[str, ...], residual: float, nu: int
) -> Scales:
    """Measure the scales from R alone; the column of the intercept, if any, holds the means.

    Parameters
    ----------
    factor : array (q, columns)
        R of the lag basis.
    parts : tuple of str
        The part of each column of R, as `kernels.moments.parts_of` names them.
    terms : tuple of str
        Labels of the k regressors.
    residual : float
        Standard deviation of the errors, from `profile.residual_scale`.
    nu : int
        Number of observations.
    """
    k = parts.count("d")
    d, y = factor[:, :k], factor[:, parts.index("y")]
    intercept = terms.index(INTERCEPT) if INTERCEPT in terms else -1
    ones = factor[:, intercept] / nu if intercept >= 0 else np.zeros(len(factor))
    mean, y_mean = ones @ d, float(ones @ y)
    sd = np.sqrt(np.maximum((d**2).sum(axis=0) / nu - mean**2, 0))
    y_sd = float(np.sqrt(max(y @ y / nu - y_mean**2, 0)))
    return Scales(
        mean=mean,
        sd=sd,
        y_mean=y_mean,
        y_sd=y_sd,
        residual=residual,
        triangle=d[:k],
        nu=nu,
        intercept=intercept,
    )


class Prior(NamedTuple):
    """The priors of a model as arrays.

    `root`, (k, k), and `target`, (k,): the conjugate part of beta is |root b - target|^2 / sigma^2;
    rows of zeros where beta is flat or has a distribution of the user.
    `rank`, `half_log`: the rank of V0^-1 = root'root, (), and half the log of its determinant, ().
    `a0`, `d0`: shape and scale of the inverse gamma of sigma^2, (); zeros for another prior.
    `log_constant`: the normalising constants of the proper parts, ().
    `dependence`: for each of rho and lam the (a, b) of its Beta, (2,), or a distribution.
    `beta`, `sigma`: distributions of the user.
    `level`: with random effects, the (a, b) of the Beta of the weight w, (2,), or a distribution of
    sigma_alpha.
    `supports`: the hard bounds of the distributions, None without such bounds.
    """

    root: jax.Array
    target: jax.Array
    rank: jax.Array
    half_log: jax.Array
    a0: jax.Array
    d0: jax.Array
    log_constant: jax.Array
    dependence: tuple[Any, ...]
    beta: Owned
    sigma: dist.Distribution | None
    level: Any = None
    supports: Supports | None = None


def resolve(
    priors: Priors,
    terms: tuple[str, ...],
    scale: Scales,
    dependence: tuple[str, ...],
    *,
    random: bool = False,
) -> Prior:
    """Turn `priors` into the arrays of one model.

    Parameters
    ----------
    priors : Priors
        What the user asks for.
    terms : tuple of str
        Labels of the k regressors.
    scale : Scales
        The scales of the model's data.
    dependence : tuple of str
        Those of "rho" and "lam" that the model has, in this order.
    random : bool, default False
        Whether the effects of the units are random.

    Raises
    ------
    PriorError
        For terms that the model does not have and arrays that do not fit its terms.
    """
    own = _place_distributions(priors.beta, terms)
    around = tuple(_dependence_arrays(getattr(priors, name)) for name in dependence)
    covered = {position for positions in own for position in positions}
    root, target = _conjugate_rows(priors.beta, scale, covered)
    a0, d0, sigma = _sigma_arrays(priors.sigma, scale, _count_wide(priors.beta, root))
    level = _level_arrays(priors.sigma_alpha) if random else None
    proper, free = (root != 0).any(axis=1), [j for j in range(len(terms)) if j not in covered]
    return Prior(
        root=leaf(root),
        target=leaf(target),
        rank=leaf(float(proper.sum())),
        half_log=leaf(np.linalg.slogdet(root[proper][:, free])[1] if proper.any() else 0.0),
        a0=leaf(a0),
        d0=leaf(d0),
        log_constant=leaf(_log_constant(a0, d0, float(proper.sum()), around, level)),
        dependence=around,
        beta=own,
        sigma=sigma,
        level=level,
        supports=supports(own, sigma, level, dict(zip(dependence, around, strict=True)), terms),
    )


def _log_constant(a0: float, d0: float, rank: float, around: tuple[Any, ...], level: Any) -> float:
    """The log of the normalising constants of the proper parts.

    They belong to sigma, to the normal of beta, and to rho, lam and w, whose densities
    `log_dependence` multiplies by B(a, b).
    """
    constant = np.log(2) + a0 * np.log(d0) - scipy.special.gammaln(a0) if a0 > 0 else 0.0
    constant -= 0.5 * rank * np.log(2 * np.pi)
    constant -= sum(
        scipy.special.betaln(*ends) for ends in around if not isinstance(ends, dist.Distribution)
    )
    if level is not None and not isinstance(level, dist.Distribution):
        constant -= scipy.special.betaln(*UNIFORM_SHARE)
    return float(constant)


def _place_distributions(family: BetaPrior, terms: tuple[str, ...]) -> Owned:
    """The user's distributions by the positions of the terms they are for."""
    if isinstance(family, dict):
        unknown = [term for term in family if term not in terms]
        if unknown:
            raise PriorError(
                f"There is no term {unknown[0]!r} for a prior of beta; the terms are"
                f" {', '.join(terms)}."
            )
        return {
            (terms.index(term),): _check_size(distribution, term, 1)
            for term, distribution in family.items()
        }
    if isinstance(family, dist.Distribution):
        return {tuple(range(len(terms))): _check_size(family, "beta", len(terms))}
    return {}


def _check_size(distribution: dist.Distribution, name: str, size: int) -> dist.Distribution:
    """The distribution, if it is of one number or of `size` numbers; otherwise a PriorError."""
    shape = distribution.batch_shape + distribution.event_shape
    if shape not in ((), (1,), (size,)):
        raise PriorError(f"The prior of {name!r} has shape {shape}; it is for {size} coefficients.")
    return distribution


def _conjugate_rows(
    family: BetaPrior, scale: Scales, covered: set[int]
) -> tuple[np.ndarray, np.ndarray]:
    """P, (k, k), and P b0, (k,), with V0^-1 = P'P: the prior as k more observations.

    Rows of zeros where beta is flat or has the user's distribution (`covered`). The row of the
    intercept keeps its entries for the latter: it describes y at the means of all regressors.
    """
    k = len(scale.mean)
    root, target = np.zeros((k, k)), np.zeros(k)
    if isinstance(family, Ridge | dict):
        width = family.scale if isinstance(family, Ridge) else Ridge().scale
        root = _ridge_root(width, scale, k - len(covered))
        root[sorted(covered)] = 0
    elif isinstance(family, Zellner):
        root = scale.triangle / np.sqrt(float(family.g if family.g is not None else scale.nu))
    elif isinstance(family, Conjugate):
        mean, covariance = _check_conjugate(family, k)
        lower = scipy.linalg.cholesky(covariance, lower=True)
        root = scipy.linalg.solve_triangular(lower, np.eye(k), lower=True)
        target = root @ mean
    return root, target


def _check_conjugate(family: Conjugate, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean, (k,), and covariance, (k, k), as arrays.

    PriorError where they are not of k terms or the covariance is not positive definite.
    """
    mean, covariance = np.asarray(family.mean, float), np.asarray(family.covariance, float)
    if mean.shape != (k,) or covariance.shape != (k, k):
        raise PriorError(
            f"Conjugate has {mean.shape} and {covariance.shape}; the model has {k} terms."
        )
    symmetric = np.allclose(covariance, covariance.T, rtol=1e-10)
    if not symmetric or np.linalg.eigvalsh(covariance).min() <= 0:
        raise PriorError("The covariance of Conjugate is not symmetric and positive definite.")
    return mean, covariance


def _ridge_root(width: float, scale: Scales, count: int) -> np.ndarray:
    """P of `Ridge`, (k, k), for `count` coefficients."""
    spread, typical = np.where(scale.sd > 0, scale.sd, 1.0), scale.residual * np.sqrt(1 + count / 2)
    root = np.diag(spread * typical / (width * scale.y_sd))
    if scale.intercept >= 0:
        root[scale.intercept] = (
            scale.mean * typical / (width * INTERCEPT_WIDER * np.hypot(scale.y_mean, scale.y_sd))
        )
    return root


def _count_wide(family: BetaPrior, root: np.ndarray) -> int:
    """How many coefficients have a prior far wider than they will turn out."""
    return int((root != 0).any(axis=1).sum()) if isinstance(family, Ridge | Zellner | dict) else 0


def _sigma_arrays(
    family: InverseGamma | Flat | dist.Distribution, scale: Scales, wide: int
) -> tuple[float, float, dist.Distribution | None]:
    """a0, d0 and the user's distribution of sigma, for `wide` coefficients with a wide prior."""
    if isinstance(family, InverseGamma):
        own = (family.shape + wide / 2) * scale.residual**2
        return float(family.shape), own if family.scale is None else float(family.scale), None
    return 0.0, 0.0, family if isinstance(family, dist.Distribution) else None


def _dependence_arrays(family: DependencePrior) -> Any:
    """(a, b) of the Beta of rho or lam, or the user's distribution."""
    if isinstance(family, dist.Distribution):
        return family
    return leaf((family.a, family.b) if isinstance(family, ScaledBeta) else (1.0, 1.0))


def _level_arrays(family: SpreadPrior) -> Any:
    """(a, b) of the Beta of the weight w, or the user's distribution of sigma_alpha."""
    return family if isinstance(family, dist.Distribution) else leaf(UNIFORM_SHARE)


def log_prob(distribution: dist.Distribution, value: jax.Array) -> jax.Array:
    """The log density, -inf outside the support.

    NumPyro's own check is lost where a distribution is an argument of a compiled function.
    """
    inside: jax.Array = distribution.support(value)
    return jnp.where(inside, distribution.log_prob(value), -jnp.inf)


def log_dependence(
    prior: Any, s: jax.Array, bounds: jax.Array, ends: jax.Array | None = None
) -> jax.Array:
    """The log prior density of s, the logit variable of rho or lam.

    Parameters
    ----------
    prior : array (2,) or distribution
        (a, b) of a Beta on the bounds, whose density is multiplied by B(a, b); or a distribution of
        rho.
    s : array
        Logit variable on the bounds, or on their intersection with `ends`.
    bounds : array (2,)
        The admissible interval.
    ends : array (2,), optional
        Hard bounds of the distribution.
    """
    if ends is not None:
        return log_prob(prior, rho_at(s, ends, bounds)) + log_slope(s, intersect(ends, bounds))
    if isinstance(prior, dist.Distribution):
        return log_prob(prior, to_rho(s, bounds)) + log_slope(s, bounds)
    a, b = prior
    value: jax.Array = jnp.log(2.0) + a * jax.nn.log_sigmoid(2 * s) + b * jax.nn.log_sigmoid(-2 * s)
    return value


def log_ratio(
    prior: Any,
    s: jax.Array,
    sigma: jax.Array | None,
    periods: jax.Array,
    ends: jax.Array | None = None,
) -> jax.Array:
    """The log prior density of s, the logit variable of the weight w of random effects.

    Parameters
    ----------
    prior : array (2,) or distribution
        (a, b) of a Beta of w, whose density is multiplied by B(a, b); or a distribution of
        sigma_alpha.
    s : array
        Logit variable on (0, 1).
    sigma : array or None
        Standard deviation of the errors, which ties w to sigma_alpha. Without it a uniform share
        replaces a distribution of sigma_alpha.
    periods : array
        T.
    ends : array (2,), optional
        Hard bounds of the distribution, which sigma_alpha respects up to rounding.
    """
    if isinstance(prior, dist.Distribution) and sigma is not None:
        weight = jax.nn.sigmoid(2 * s)
        spread = sigma_alpha(sigma, weight, periods)
        slope = sigma**2 / (periods * spread * weight**3)  # -d sigma_alpha / d w
        spread = spread if ends is None else jnp.clip(spread, ends[0], ends[1])
        return log_prob(prior, spread) + jnp.log(slope) + log_slope(s, jnp.asarray(UNIT))
    shares = jnp.array(UNIFORM_SHARE) if isinstance(prior, dist.Distribution) else prior
    return log_dependence(shares, s, jnp.asarray(UNIT))
