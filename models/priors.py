"""Priors: named conjugate families, any NumPyro distribution, and the arrays a log-density needs of
them.

beta | sigma^2 ~ N(b0, sigma^2 V0),    sigma^2 ~ InverseGamma(a0, d0),    rho, lam ~ Beta(a, b) on
the admissible interval
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpyro.distributions as dist

from spillover.kernels.arguments import front_doors, show, suggestion
from spillover.kernels.errors import PriorError


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
                    f"The prior of {name} is {_describe(family)}: give one of {names} or a NumPyro"
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


def _check(name: str, family: Any) -> None:
    """Refuse numbers out of range, distributions of more than one number for sigma, rho and lam,
    and what is none for a term of beta.
    """
    if isinstance(family, dict):
        for term, distribution in family.items():
            if not isinstance(distribution, dist.Distribution):
                raise PriorError(
                    f"The prior of {show(term)} is {_describe(distribution)}: give a NumPyro"
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
                given = f"{type(family).__name__}({entry.name}={_describe(value)})"
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


def _describe(family: Any) -> str:
    """What was given for a prior: the families of ours as they print, anything else on one line."""
    ours = tuple({kind for kinds in FAMILIES.values() for kind in kinds})
    return type(family).__name__ if isinstance(family, (*ours, dist.Distribution)) else show(family)
