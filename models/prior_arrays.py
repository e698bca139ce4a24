"""The priors of a model as the arrays that a log-density needs, scaled to the data.

beta | sigma^2 ~ N(b0, sigma^2 V0),    sigma^2 ~ InverseGamma(a0, d0),    rho, lam ~ Beta(a, b) on
the admissible interval
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
from spillover.models.priors import Conjugate, Flat, Priors, Ridge, ScaledBeta, Zellner
from spillover.models.supports import Supports, intersect, rho_at, supports


class Scales(NamedTuple):
    """What the default priors are scaled to: `mean`, `sd` of the k regressors and of y (`y_mean`,
    `y_sd`), `residual` sd of the errors, `triangle`: R of the regressors, `nu` observations;
    `intercept`: its position, -1 without.
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
    """The scales, from R alone: the means come from its column for the intercept, where there is
    one. `residual`: `residual_scale`.
    """
    k = parts.count("d")
    d, y = factor[:, :k], factor[:, parts.index("y")]
    intercept = terms.index(INTERCEPT) if INTERCEPT in terms else -1
    ones = factor[:, intercept] / nu if intercept >= 0 else np.zeros(len(factor))
    mean, y_mean = ones @ d, float(ones @ y)
    sd = np.sqrt(np.maximum((d**2).sum(axis=0) / nu - mean**2, 0))
    y_sd = float(np.sqrt(max(y @ y / nu - y_mean**2, 0)))
    return Scales(mean, sd, y_mean, y_sd, residual, d[:k], nu, intercept)


class Prior(NamedTuple):
    """A prior as arrays. The conjugate part of beta is |root b - target|^2 / sigma^2, of rank
    `rank`, with `half_log` = 1/2 log |V0^-1|; sigma^2 ~ InverseGamma(`a0`, `d0`); `dependence`:
    Beta (a, b) of each of rho, lam; distributions of the user where there are any. `level`: (a, b)
    of a Beta of the weight w of random effects, or a distribution of sigma_alpha. `log_constant`:
    the constants of the proper parts. `supports`: hard bounds of the distributions.
    """

    root: jax.Array
    target: jax.Array
    rank: jax.Array
    half_log: jax.Array
    a0: jax.Array
    d0: jax.Array
    log_constant: jax.Array
    dependence: tuple[Any, ...]
    beta: dict[tuple[int, ...], dist.Distribution]
    sigma: dist.Distribution | None
    level: Any = None
    supports: Supports | None = None


INTERCEPT_WIDER = 4.0  # the prior of the intercept, in `Ridge`, against those of the slopes
UNIFORM_SHARE = (2.0, 1.0)  # w ~ Beta(2, 1) where w^2, a unit's shrinkage, is uniform


def resolve(
    priors: Priors,
    terms: tuple[str, ...],
    scale: Scales,
    dependence: tuple[str, ...],
    *,
    random: bool = False,
) -> Prior:
    """The arrays of `priors` for a model with these terms and these dependence parameters ("rho",
    "lam"); `random`: with random effects.
    """
    own = _distributions(priors.beta, terms)
    around = tuple(_dependence(getattr(priors, name)) for name in dependence)
    covered = {position for positions in own for position in positions}
    root, target = _conjugate_rows(priors.beta, scale, covered)
    a0, d0, sigma = _sigma(priors.sigma, scale, _wide(priors.beta, root))
    proper = (root != 0).any(axis=1)
    log_det = (
        np.linalg.slogdet(root[proper][:, [j for j in range(len(terms)) if j not in covered]])[1]
        if proper.any()
        else 0.0
    )
    beta_constants = [
        scipy.special.betaln(*family)
        for family in around
        if not isinstance(family, dist.Distribution)
    ]
    constant = np.log(2) + a0 * np.log(d0) - scipy.special.gammaln(a0) if a0 > 0 else 0.0
    rank = float(proper.sum())
    constant -= 0.5 * rank * np.log(2 * np.pi) + sum(beta_constants)
    level = None
    if random:
        level = (
            priors.sigma_alpha
            if isinstance(priors.sigma_alpha, dist.Distribution)
            else leaf(UNIFORM_SHARE)
        )
        constant -= (
            0.0 if isinstance(level, dist.Distribution) else scipy.special.betaln(*UNIFORM_SHARE)
        )
    return Prior(
        root=leaf(root),
        target=leaf(target),
        rank=leaf(rank),
        half_log=leaf(log_det),
        a0=leaf(a0),
        d0=leaf(d0),
        log_constant=leaf(constant),
        dependence=around,
        beta=own,
        sigma=sigma,
        level=level,
        supports=supports(own, sigma, level, dict(zip(dependence, around, strict=True)), terms),
    )


def _distributions(family: Any, terms: tuple[str, ...]) -> dict[tuple[int, ...], dist.Distribution]:
    """The user's distributions by the positions of the terms they are for."""
    if isinstance(family, dict):
        unknown = [term for term in family if term not in terms]
        if unknown:
            raise PriorError(
                f"There is no term {unknown[0]!r} for a prior of beta; the terms are"
                f" {', '.join(terms)}."
            )
        return {
            (terms.index(term),): _real(distribution, term, 1)
            for term, distribution in family.items()
        }
    if isinstance(family, dist.Distribution):
        return {tuple(range(len(terms))): _real(family, "beta", len(terms))}
    return {}


def _real(distribution: Any, name: str, size: int) -> dist.Distribution:
    shape = distribution.batch_shape + distribution.event_shape
    if shape not in ((), (1,), (size,)):
        raise PriorError(f"The prior of {name!r} has shape {shape}; it is for {size} coefficients.")
    return distribution


def _conjugate_rows(family: Any, scale: Scales, covered: set[int]) -> tuple[np.ndarray, np.ndarray]:
    """P and P b0 with V0^-1 = P'P: the prior as k more observations; rows of zeros where beta is
    flat or the user's.
    """
    k = len(scale.mean)
    root, target = np.zeros((k, k)), np.zeros(k)
    if isinstance(family, Ridge | dict):
        root = _ridge(
            family.scale if isinstance(family, Ridge) else Ridge().scale, scale, k - len(covered)
        )
        root[sorted(covered)] = (
            # the row of the intercept keeps their columns: it holds where all regressors have their
            # means
            0
        )
    elif isinstance(family, Zellner):
        root = scale.triangle / np.sqrt(float(family.g if family.g is not None else scale.nu))
    elif isinstance(family, Conjugate):
        mean, covariance = np.asarray(family.mean, float), np.asarray(family.covariance, float)
        if mean.shape != (k,) or covariance.shape != (k, k):
            raise PriorError(
                f"Conjugate has {mean.shape} and {covariance.shape}; the model has {k} terms."
            )
        if (
            not np.allclose(covariance, covariance.T, rtol=1e-10)
            or np.linalg.eigvalsh(covariance).min() <= 0
        ):
            raise PriorError("The covariance of Conjugate is not symmetric and positive definite.")
        lower = scipy.linalg.cholesky(covariance, lower=True)
        root = scipy.linalg.solve_triangular(lower, np.eye(k), lower=True)
        target = root @ mean
    return root, target


def _ridge(width: float, scale: Scales, count: int) -> np.ndarray:
    """P of `Ridge`; count: k, the coefficients it is for."""
    spread, typical = np.where(scale.sd > 0, scale.sd, 1.0), scale.residual * np.sqrt(1 + count / 2)
    root = np.diag(spread * typical / (width * scale.y_sd))
    if scale.intercept >= 0:
        root[scale.intercept] = (
            scale.mean * typical / (width * INTERCEPT_WIDER * np.hypot(scale.y_mean, scale.y_sd))
        )
    return root


def _wide(family: Any, root: np.ndarray) -> int:
    """How many coefficients have a prior far wider than they will turn out."""
    return int((root != 0).any(axis=1).sum()) if isinstance(family, Ridge | Zellner | dict) else 0


def _sigma(family: Any, scale: Scales, wide: int) -> tuple[float, float, dist.Distribution | None]:
    if isinstance(family, dist.Distribution):
        return 0.0, 0.0, family
    if isinstance(family, Flat):
        return 0.0, 0.0, None
    own = (family.shape + wide / 2) * scale.residual**2
    return float(family.shape), own if family.scale is None else float(family.scale), None


def _dependence(family: Any) -> Any:
    if isinstance(family, dist.Distribution):
        return family
    ends = (family.a, family.b) if isinstance(family, ScaledBeta) else (1.0, 1.0)
    return leaf(ends)


def log_prob(distribution: dist.Distribution, value: jax.Array) -> jax.Array:
    """log density, -inf outside the support: NumPyro's own check is lost where a distribution is an
    argument of a compiled function.
    """
    return jnp.where(distribution.support(value), distribution.log_prob(value), -jnp.inf)


def log_dependence(
    prior: Any, s: jax.Array, bounds: jax.Array, ends: jax.Array | None = None
) -> jax.Array:
    """log prior density of s, the logit variable of rho (or lam): Beta (a, b) on the bounds, up to
    B(a, b), or a distribution of rho.

    `ends`: of its support; then s is the logit variable on what they and the bounds have in common.
    """
    if ends is not None:
        return log_prob(prior, rho_at(s, ends, bounds)) + log_slope(s, intersect(ends, bounds))
    if isinstance(prior, dist.Distribution):
        return log_prob(prior, to_rho(s, bounds)) + log_slope(s, bounds)
    a, b = prior
    return jnp.log(2.0) + a * jax.nn.log_sigmoid(2 * s) + b * jax.nn.log_sigmoid(-2 * s)


def log_ratio(
    prior: Any,
    s: jax.Array,
    sigma: jax.Array | None,
    periods: jax.Array,
    ends: jax.Array | None = None,
) -> jax.Array:
    """log prior density of s, the logit variable of w: Beta (a, b) of w, up to B(a, b), or a
    distribution of sigma_alpha at this sigma.

    sigma_alpha = sigma sqrt((1/w^2 - 1) / T). Without sigma a distribution gives way to a uniform
    share. `ends`: of a support that sigma_alpha lies in but for rounding.
    """
    if isinstance(prior, dist.Distribution) and sigma is not None:
        weight = jax.nn.sigmoid(2 * s)
        spread = sigma_alpha(sigma, weight, periods)
        slope = sigma**2 / (periods * spread * weight**3)  # -d sigma_alpha / d w
        spread = spread if ends is None else jnp.clip(spread, ends[0], ends[1])
        return log_prob(prior, spread) + jnp.log(slope) + log_slope(s, jnp.array([0.0, 1.0]))
    ends = jnp.array(UNIFORM_SHARE) if isinstance(prior, dist.Distribution) else prior
    return log_dependence(ends, s, jnp.array([0.0, 1.0]))
