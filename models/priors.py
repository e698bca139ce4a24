"""Priors: named conjugate families, any NumPyro distribution, and the arrays a log-density needs of
them.

beta | sigma^2 ~ N(b0, sigma^2 V0),    sigma^2 ~ InverseGamma(a0, d0),    rho, lam ~ Beta(a, b) on
the admissible interval
"""

from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import scipy.linalg
import scipy.special

from spillover.kernels.arguments import front_doors, show, suggestion
from spillover.kernels.arrays import leaf
from spillover.kernels.errors import PriorError
from spillover.kernels.logit import log_slope, to_rho
from spillover.models.design import INTERCEPT
from spillover.models.supports import Supports, meeting, rho_at, supports


@front_doors
@dataclass(frozen=True)
class Ridge:
    """beta_j | sigma^2 ~ N(0, sigma^2 (scale s_y / (s_j s_0))^2), independent; the intercept, at
    the means of the regressors, the same with 4 times the square root of mean(y)^2 + s_y^2 in place
    of s_y.

    s_y, s_j: standard deviations of y and of regressor j after the effects; s_0^2 = (1 + k/2) s^2,
    s the standard deviation of the errors where the model's own (rho, lam) are likeliest (on nu - k
    degrees of freedom), k the number of coefficients: see `InverseGamma`. At sigma = s_0 one
    standard deviation of x_j moves y by `scale` standard deviations of y; with the default prior of
    sigma, beta_j is marginally Student's t, of this scale and two degrees of freedom. The default
    2.5 is rstanarm's (Goodrich et al. 2024, "Prior distributions for rstanarm models"); the
    intercept is wider, because as lam nears 1 the data tell nothing of it and its prior all.
    """

    scale: float = 2.5


@front_doors
@dataclass(frozen=True)
class Zellner:
    """beta | sigma^2 ~ N(0, sigma^2 g (D'D)^-1), D the regressors after the effects; g = None: the
    number of observations.

    It shrinks the fitted values towards zero: with an uncentred intercept or a tight fit that is a
    strong prior. Zellner (1986).
    """

    g: float | None = None


@front_doors
@dataclass(frozen=True)
class Conjugate:
    """beta | sigma^2 ~ N(mean, sigma^2 covariance), `mean`: k values, `covariance`: k x k, in the
    order of the model's terms.
    """

    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]


@front_doors
@dataclass(frozen=True)
class Flat:
    """Improper: constant for beta; 1 / sigma^2 for sigma (on the scale of sigma^2). No model
    evidence.
    """


@front_doors
@dataclass(frozen=True)
class InverseGamma:
    """sigma^2 ~ InverseGamma(shape, scale); scale = None is (shape + k/2) s^2, s as in `Ridge`.

    Coefficients whose prior is N(0, sigma^2 V0), far wider than they turn out, say of sigma as much
    as k residuals of zero; k/2 in the scale takes that back: given such coefficients 1 / sigma^2
    has mean 1 / s^2, and sigma is neither pulled up nor down. k counts the coefficients under
    `Ridge` and `Zellner`. The scale is that of the model's own errors, whatever rho and lam; the
    prior looks at the data for it, as it does for the scales of the regressors.
    """

    shape: float = 1.0
    scale: float | None = None


@front_doors
@dataclass(frozen=True)
class ScaledBeta:
    """rho = lower + (upper - lower) v, v ~ Beta(a, b), on the admissible interval; a = b = 1 is
    uniform. LeSage & Pace (2009), 5.3.2.
    """

    a: float = 1.01
    b: float = 1.01


@front_doors
@dataclass(frozen=True)
class Uniform:
    """Uniform on the admissible interval (1/omega_min, 1/omega_max)."""


@front_doors
@dataclass(frozen=True)
class Shrinkage:
    """sigma^2 / (sigma^2 + T sigma_alpha^2) uniform on (0, 1): the share by which the mean of a
    unit is drawn towards the others.

    Proper, without a scale of its own, and hardly informative. Strawderman (1971); Daniels (1999),
    Canadian Journal of Statistics 27.
    """


LARGE = 1e80  # of scales: more leaves the range of 64-bit floats with its square
MOST = {"shape": 1e12, "a": 1e12, "b": 1e12}  # beyond which a prior is one point

FAMILIES = {
    "beta": (Ridge, Zellner, Conjugate, Flat),
    "sigma": (InverseGamma, Flat),
    "rho": (Uniform, ScaledBeta),
    "lam": (Uniform, ScaledBeta),
    "sigma_alpha": (Shrinkage,),
}


@front_doors
@dataclass(frozen=True, init=False, repr=False)
class Priors:
    """The priors of a model; what is not given keeps the weakly informative conjugate default,
    scaled to the data.

    beta: `Ridge`, `Zellner`, `Conjugate`, `Flat`, a NumPyro distribution for every coefficient, or
    a dict from term to distribution, the other terms keeping the default. sigma: `InverseGamma`,
    `Flat` or a distribution of sigma. rho, lam: `Uniform`, `ScaledBeta` or a distribution, cut to
    the admissible interval. sigma_alpha, the standard deviation of random effects: `Shrinkage` or a
    distribution. Distributions may have hard bounds, each number its own, which every draw keeps.
    PriorError for an unknown parameter or a family that does not fit.

    >>> import numpyro.distributions as dist
    >>> Priors(rho=ScaledBeta(2, 2), sigma=dist.HalfNormal(1.0))
    Priors
      beta        Ridge(scale=2.5)
      sigma       HalfNormal(scale=1.0)
      rho         ScaledBeta(a=2, b=2)
      lam         Uniform()
      sigma_alpha Shrinkage()
    """

    beta: Any
    sigma: Any
    rho: Any
    lam: Any
    sigma_alpha: Any

    def __init__(self, **families: Any) -> None:
        defaults = {
            "beta": Ridge(),
            "sigma": InverseGamma(),
            "rho": Uniform(),
            "lam": Uniform(),
            "sigma_alpha": Shrinkage(),
        }
        unknown = [name for name in families if name not in defaults]
        if unknown:
            near = suggestion(unknown[0], defaults)
            raise PriorError(
                f"There is no parameter {unknown[0]!r}; priors are for"
                f" {', '.join(defaults)}{f': {near}?' if near else '.'}"
            )
        for name, family in {**defaults, **families}.items():
            allowed = isinstance(family, (*FAMILIES[name], dist.Distribution)) or (
                name == "beta" and isinstance(family, dict)
            )
            if not allowed:
                names = ", ".join(kind.__name__ for kind in FAMILIES[name])
                raise PriorError(
                    f"The prior of {name} is {_given(family)}: give one of {names} or a NumPyro"
                    " distribution."
                )
            _check(name, family)
            object.__setattr__(self, name, family)

    @classmethod
    def reference(cls) -> "Priors":
        """beta flat, 1 / sigma^2, rho and lam uniform: for comparison with other programs.
        Improper, so no model evidence.
        """
        return cls(beta=Flat(), sigma=Flat())

    def __repr__(self) -> str:
        lines = [f"  {field.name:<11} {_show(getattr(self, field.name))}" for field in fields(self)]
        return "\n".join(["Priors", *lines])


def _show(family: Any) -> str:
    if isinstance(family, dict):
        return ", ".join(f"{term}: {_show(value)}" for term, value in family.items())
    if isinstance(family, dist.Distribution):
        values = [
            f"{name}={np.asarray(getattr(family, name)).tolist()}"
            for name in family.arg_constraints
            if hasattr(family, name)
        ]
        return f"{type(family).__name__}({', '.join(values)})"
    return repr(family)


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


def scales(
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


def _check(name: str, family: Any) -> None:
    """Refuse numbers out of range, distributions of more than one number for sigma, rho and lam,
    and what is none for a term of beta.
    """
    if isinstance(family, dict):
        for term, distribution in family.items():
            if not isinstance(distribution, dist.Distribution):
                raise PriorError(
                    f"The prior of {show(term)} is {_given(distribution)}: give a NumPyro"
                    " distribution, such as dist.Normal(0, 1)."
                )
    elif isinstance(family, dist.Distribution):
        if name != "beta" and family.batch_shape + family.event_shape != ():
            raise PriorError(
                f"The prior of {name} has shape {family.batch_shape + family.event_shape}; {name}"
                " is one number."
            )
    elif isinstance(family, Conjugate):
        _check_conjugate(family)
    elif isinstance(family, Ridge | Zellner | InverseGamma | ScaledBeta):
        for entry in fields(family):
            value = getattr(family, entry.name)
            if (value is not None or entry.default is not None) and not _is_positive(
                value, MOST.get(entry.name, LARGE)
            ):
                given = f"{type(family).__name__}({entry.name}={_given(value)})"
                raise PriorError(
                    f"The prior of {name} is {given}: its numbers must be positive, at most"
                    f" {MOST.get(entry.name, LARGE):g}."
                )


def _check_conjugate(family: Conjugate) -> None:
    """Refuse what is no array of finite numbers; whether there is one for each term, the model
    says.
    """
    try:
        finite = all(
            np.isfinite(np.asarray(values, float)).all()
            for values in (family.mean, family.covariance)
        )
    except (TypeError, ValueError):  # text, or rows of several lengths
        finite = False
    if not finite:
        raise PriorError(
            "Conjugate takes finite numbers only: a mean of k, and a covariance of k rows of k."
        )


def _is_positive(value: Any, most: float) -> bool:
    real = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return real and 1 / most <= value <= most


def _given(family: Any) -> str:
    """What was given for a prior: the families of ours as they print, anything else on one line."""
    ours = tuple({kind for kinds in FAMILIES.values() for kind in kinds})
    return type(family).__name__ if isinstance(family, (*ours, dist.Distribution)) else show(family)


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
        return log_prob(prior, rho_at(s, ends, bounds)) + log_slope(s, meeting(ends, bounds))
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
        spread = sigma * jnp.sqrt((1 / weight**2 - 1) / periods)
        slope = sigma**2 / (periods * spread * weight**3)  # -d sigma_alpha / d w
        spread = spread if ends is None else jnp.clip(spread, ends[0], ends[1])
        return log_prob(prior, spread) + jnp.log(slope) + log_slope(s, jnp.array([0.0, 1.0]))
    ends = jnp.array(UNIFORM_SHARE) if isinstance(prior, dist.Distribution) else prior
    return log_dependence(ends, s, jnp.array([0.0, 1.0]))
