"""Priors as a user gives them: named families and any NumPyro distribution.

    beta | sigma^2 ~ N(b0, sigma^2 V0)
    sigma^2        ~ InverseGamma(a0, d0)
    rho, lam       ~ Beta(a, b) on the admissible interval

What a log-density needs of them, once the data are known, is in `prior_arrays`.
"""

from dataclasses import dataclass, fields
from typing import Any, Never, TypeAlias

import numpy as np
import numpyro.distributions as dist

from spillover.kernels.arguments import front_doors, show, suggestion
from spillover.kernels.errors import PriorError


@front_doors
@dataclass(frozen=True)
class Ridge:
    """Independent normal priors of the coefficients, scaled to the data: the default of beta.

    ::

        beta_j | sigma^2            ~ N(0, sigma^2 (scale s_y / (s_j s_0))^2)
        alpha + m'beta | sigma^2    ~ N(0, sigma^2 (4 scale sqrt(m_y^2 + s_y^2) / s_0)^2)
        s_0^2 = (1 + k/2) s^2

    s_y and s_j are the standard deviations of y and of regressor j after the effects, m_y and m
    their means, alpha the intercept, k the number of coefficients, and s the standard deviation of
    the errors where the model's own (rho, lam) are likeliest, on nu - k degrees of freedom. At
    sigma = s_0, one standard deviation of x_j moves y by `scale` standard deviations of y.

    Parameters
    ----------
    scale : float, default 2.5
        Prior standard deviation of a coefficient, in standard deviations of y per standard
        deviation of the regressor. Positive.

    Notes
    -----
    With the default prior of sigma, beta_j is marginally Student's t of this scale with two degrees
    of freedom. The prior of the intercept is wider because, as lam approaches 1, the data say
    nothing about the intercept and its prior decides. `InverseGamma` explains why k is in s_0.

    References
    ----------
    The default scale is that of rstanarm: Goodrich, B., Gabry, J., Ali, I. & Brilleman, S. (2024),
    "Prior distributions for rstanarm models".

    Examples
    --------
    >>> import spillover as so
    >>> so.Priors(beta=so.Ridge(scale=1.0)).beta
    Ridge(scale=1.0)
    """

    scale: float = 2.5


@front_doors
@dataclass(frozen=True)
class Zellner:
    """Zellner's g-prior: the covariance of least squares, g times as wide.

    ::

        beta | sigma^2 ~ N(0, sigma^2 g (D'D)^-1)

    with D the regressors after the effects.

    Parameters
    ----------
    g : float, optional
        How many times wider than least squares the prior is, in variance. By default the number of
        observations that the effects leave, so that the prior weighs as much as one of them.

    Notes
    -----
    It shrinks the fitted values towards zero: with an intercept that is far from zero, or a tight
    fit, that is a strong prior.

    References
    ----------
    Zellner, A. (1986), "On assessing prior distributions and Bayesian regression analysis with
    g-prior distributions", in Bayesian Inference and Decision Techniques, North-Holland.

    Examples
    --------
    >>> import spillover as so
    >>> so.Priors(beta=so.Zellner(g=100)).beta
    Zellner(g=100)
    """

    g: float | None = None


@front_doors
@dataclass(frozen=True)
class Conjugate:
    """A normal prior of the coefficients with a mean and a covariance of your own.

    ::

        beta | sigma^2 ~ N(mean, sigma^2 covariance)

    Parameters
    ----------
    mean : sequence of float, shape (k,)
        Prior means, in the order of the model's terms.
    covariance : sequence of sequences of float, shape (k, k)
        Prior covariance divided by sigma^2: symmetric and positive definite.

    Examples
    --------
    >>> import spillover as so
    >>> so.Priors(beta=so.Conjugate(mean=(0, 1), covariance=((4, 0), (0, 4)))).beta
    Conjugate(mean=(0, 1), covariance=((4, 0), (0, 4)))
    """

    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]


@front_doors
@dataclass(frozen=True)
class Flat:
    """The improper reference prior of beta or of sigma.

    ::

        p(beta) = constant,    p(sigma^2) = 1 / sigma^2

    A model with either has no marginal likelihood.

    Examples
    --------
    >>> import spillover as so
    >>> so.Priors(beta=so.Flat(), sigma=so.Flat()) == so.Priors.reference()
    True
    """


@front_doors
@dataclass(frozen=True)
class InverseGamma:
    """An inverse gamma prior of the variance of the errors: the default of sigma.

    ::

        p(sigma^2) = d^a / Gamma(a) sigma^(-2 (a + 1)) exp(-d / sigma^2),    a = shape, d = scale

    Parameters
    ----------
    shape : float, default 1.0
        a, positive.
    scale : float, optional
        d, positive, in squared units of y. By default (shape + k/2) s^2, with s as in `Ridge` and
        k the number of coefficients under `Ridge` or `Zellner`.

    Notes
    -----
    A coefficient whose prior N(0, sigma^2 v) is far wider than the coefficient turns out to be acts
    on sigma like one residual of zero. The k/2 in the default scale makes up for that: given such
    coefficients, 1 / sigma^2 has the prior mean 1 / s^2, and sigma is pulled neither up nor down. s
    is the scale of the model's own errors, whatever rho and lam are. It is taken from the data, as
    are the scales of the regressors.

    Examples
    --------
    >>> import spillover as so
    >>> so.Priors(sigma=so.InverseGamma(shape=3.0, scale=2.0)).sigma
    InverseGamma(shape=3.0, scale=2.0)
    """

    shape: float = 1.0
    scale: float | None = None


@front_doors
@dataclass(frozen=True)
class ScaledBeta:
    """A beta prior of rho or lam, stretched over the admissible interval.

    ::

        rho = lower + (upper - lower) v,    v ~ Beta(a, b)

    with (lower, upper) = (1/omega_min, 1/omega_max), omega the real eigenvalues of W; for lam those
    of M.

    Parameters
    ----------
    a, b : float, default 1.01
        Positive. a = b = 1 is uniform; larger ones draw rho towards the middle, and a > b towards
        the upper end.

    References
    ----------
    LeSage, J. & Pace, R. K. (2009), Introduction to Spatial Econometrics, section 5.3.2.

    Examples
    --------
    >>> import spillover as so
    >>> so.Priors(rho=so.ScaledBeta(2, 2)).rho
    ScaledBeta(a=2, b=2)
    """

    a: float = 1.01
    b: float = 1.01


@front_doors
@dataclass(frozen=True)
class Uniform:
    """A uniform prior of rho or lam on the admissible interval: the default of both.

    ::

        p(rho) = 1 / (upper - lower),    lower < rho < upper

    with the interval of `ScaledBeta`.

    Examples
    --------
    >>> import spillover as so
    >>> so.Priors(rho=so.Uniform()).rho
    Uniform()
    """


@front_doors
@dataclass(frozen=True)
class Shrinkage:
    """A uniform prior of the share by which unit means are shrunk: the default of sigma_alpha.

    ::

        sigma^2 / (sigma^2 + T sigma_alpha^2) ~ Uniform(0, 1)

    The share is how far the mean of a unit over its T periods is drawn towards the mean of all
    units. The prior of sigma_alpha that follows is proper, needs no scale and is hardly
    informative.

    References
    ----------
    Strawderman, W. (1971), "Proper Bayes minimax estimators of the multivariate normal mean",
    Annals of Mathematical Statistics 42. Daniels, M. (1999), "A prior for the variance in
    hierarchical models", Canadian Journal of Statistics 27.

    Examples
    --------
    >>> import spillover as so
    >>> so.Priors().sigma_alpha
    Shrinkage()
    """


LARGE = 1e80  # of scales: products of larger ones may leave the range of 64-bit floats
MOST = {"shape": 1e12, "a": 1e12, "b": 1e12}  # beyond these a prior is practically one point

FAMILIES = {
    "beta": (Ridge, Zellner, Conjugate, Flat),
    "sigma": (InverseGamma, Flat),
    "rho": (Uniform, ScaledBeta),
    "lam": (Uniform, ScaledBeta),
    "sigma_alpha": (Shrinkage,),
}

# the same for a type checker, with NumPyro's distributions
BetaPrior: TypeAlias = (
    Ridge | Zellner | Conjugate | Flat | dist.Distribution | dict[str, dist.Distribution]
)
SigmaPrior: TypeAlias = InverseGamma | Flat | dist.Distribution
DependencePrior: TypeAlias = Uniform | ScaledBeta | dist.Distribution
SpreadPrior: TypeAlias = Shrinkage | dist.Distribution


@front_doors
@dataclass(frozen=True, init=False, repr=False)
class Priors:
    """The priors of a model: each one not given keeps its weakly informative default.

    ::

        beta | sigma^2 ~ N(b0, sigma^2 V0),    sigma^2 ~ InverseGamma(a0, d0),    rho, lam ~ Beta

    The defaults are conjugate and scaled to the data, so that ``sampler="exact"`` and the marginal
    likelihood are available. Any NumPyro distribution can take their place; one with hard bounds
    keeps every draw inside them.

    Parameters
    ----------
    beta : Ridge, Zellner, Conjugate, Flat, distribution or dict, default ``Ridge()``
        Prior of the coefficients. A distribution is the prior of every coefficient, or of all
        together where it has shape (k,). A dict gives a distribution to each of the terms that it
        names; the others keep the default.
    sigma : InverseGamma, Flat or distribution, default ``InverseGamma()``
        Prior of the standard deviation of the errors, in units of y. A distribution is one of
        sigma, not of its square.
    rho, lam : Uniform, ScaledBeta or distribution, default ``Uniform()``
        Priors of the dependence in y and in the errors. A distribution is cut to the admissible
        interval.
    sigma_alpha : Shrinkage or distribution, default ``Shrinkage()``
        Prior of the standard deviation of random effects, in units of y.

    Raises
    ------
    PriorError
        For a parameter that does not exist, a family that does not suit its parameter, and numbers
        out of range.

    Examples
    --------
    >>> import numpyro.distributions as dist
    >>> import spillover as so
    >>> so.Priors(rho=so.ScaledBeta(2, 2), sigma=dist.HalfNormal(1.0))
    Priors
      beta        Ridge(scale=2.5)
      sigma       HalfNormal(scale=1.0)
      rho         ScaledBeta(a=2, b=2)
      lam         Uniform()
      sigma_alpha Shrinkage()
    """

    beta: BetaPrior
    sigma: SigmaPrior
    rho: DependencePrior
    lam: DependencePrior
    sigma_alpha: SpreadPrior

    def __init__(
        self,
        *,
        beta: BetaPrior = Ridge(),
        sigma: SigmaPrior = InverseGamma(),
        rho: DependencePrior = Uniform(),
        lam: DependencePrior = Uniform(),
        sigma_alpha: SpreadPrior = Shrinkage(),
        **unknown: Never,
    ) -> None:
        families = {
            "beta": beta,
            "sigma": sigma,
            "rho": rho,
            "lam": lam,
            "sigma_alpha": sigma_alpha,
        }
        for name in unknown:
            near = suggestion(name, families)
            raise PriorError(
                f"There is no parameter {name!r}; priors are for"
                f" {', '.join(families)}{f': {near}?' if near else '.'}"
            )
        for name, family in families.items():
            _check(name, family)
            object.__setattr__(self, name, family)

    @classmethod
    def reference(cls) -> "Priors":
        """The reference priors, for comparison with other programs.

        ::

            p(beta) = constant,    p(sigma^2) = 1 / sigma^2,    rho, lam uniform

        Returns
        -------
        Priors
            The reference priors. They are improper, so that there is no marginal likelihood.

        Examples
        --------
        >>> import spillover as so
        >>> so.Priors.reference().beta
        Flat()
        """
        return cls(beta=Flat(), sigma=Flat())

    def __repr__(self) -> str:
        lines = [f"  {field.name:<11} {_show(getattr(self, field.name))}" for field in fields(self)]
        return "\n".join(["Priors", *lines])


def _show(family: Any) -> str:
    """A prior in one line, as `Priors` prints it."""
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
    """Refuse what is no prior of this parameter.

    That is, a family of another parameter, numbers out of range, or a distribution of the wrong
    shape.
    """
    allowed = isinstance(family, (*FAMILIES[name], dist.Distribution)) or (
        name == "beta" and isinstance(family, dict)
    )
    if not allowed:
        names = ", ".join(kind.__name__ for kind in FAMILIES[name])
        raise PriorError(
            f"The prior of {name} is {_describe(family)}: give one of {names} or a NumPyro"
            " distribution."
        )
    if isinstance(family, dict):
        _check_terms(family)
    elif isinstance(family, dist.Distribution):
        if name != "beta" and family.batch_shape + family.event_shape != ():
            raise PriorError(
                f"The prior of {name} has shape {family.batch_shape + family.event_shape}; {name}"
                " is one number."
            )
    elif isinstance(family, Conjugate):
        _check_conjugate(family)
    else:
        _check_numbers(name, family)


def _check_terms(priors: dict[str, Any]) -> None:
    """Refuse a prior of a term that is not a distribution."""
    for term, distribution in priors.items():
        if not isinstance(distribution, dist.Distribution):
            raise PriorError(
                f"The prior of {show(term)} is {_describe(distribution)}: give a NumPyro"
                " distribution, such as dist.Normal(0, 1)."
            )


def _check_numbers(name: str, family: Any) -> None:
    """Refuse numbers of a family that are not positive or too large."""
    for entry in fields(family):
        value, most = getattr(family, entry.name), MOST.get(entry.name, LARGE)
        by_default = value is None and entry.default is None
        if not by_default and not _is_positive(value, most):
            given = f"{type(family).__name__}({entry.name}={_describe(value)})"
            raise PriorError(
                f"The prior of {name} is {given}: its numbers must be positive, at most {most:g}."
            )


def _check_conjugate(family: Conjugate) -> None:
    """Refuse a mean or a covariance that is not an array of finite numbers.

    The model checks whether there is one for each term.
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
    """Whether a value is a number between 1 / most and most."""
    real = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    return real and 1 / most <= value <= most


def _describe(family: Any) -> str:
    """What was given for a prior: the name of its family, or any other value in one line."""
    ours = tuple({kind for kinds in FAMILIES.values() for kind in kinds})
    return type(family).__name__ if isinstance(family, (*ours, dist.Distribution)) else show(family)
