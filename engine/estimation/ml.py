"""Maximum likelihood: a grid search for all peaks, then Newton's method with exact derivatives."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import NamedTuple, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import scipy.stats

from spillover.engine.estimation.problem import Density, Problem, place
from spillover.engine.weights.channels import build_channels
from spillover.engine.weights.logdet import find_bounds
from spillover.engine.weights.weights import Weights
from spillover.kernels.arguments import choice, front_doors, whole
from spillover.kernels.arguments import seed as as_seed
from spillover.kernels.chebyshev import END
from spillover.kernels.errors import ConvergenceError
from spillover.models import impacts as formulas
from spillover.models import information as informations
from spillover.models.design import Design, refuse_dependent
from spillover.models.frame import Frame, restore_coefficients, whiten
from spillover.models.likelihood import (
    ONCE,
    Likelihood,
    Point,
    concentrated_log_likelihood,
    point_at,
    regress_at,
    sigma_alpha,
)
from spillover.models.mode_search import Mass, newton
from spillover.models.spec import Spec

INFORMATION = ("observed", "expected")
IMPACTS = ("delta", "simulation")
MOST_PEAKS = 8
SMALL = 4.0  # logit variable of w above which T sigma_alpha^2 is less than a thousandth of sigma^2
# a maximum may lie between two floats: half their distance, and the rounding of the derivatives
NEAREST = 4 * np.finfo(float).eps
ADVICE = (
    "The data do not bound the spatial dependence; drop a regressor or an effect, or fit the"
    " posterior instead."
)
QUASI_ADVICE = (
    "With period effects and rows of W of several sums a quasi-likelihood can do that whatever the"
    " data: row-standardise W."
)
# the largest slope that may be left, in units of one standard error: the estimate is then within
# a millionth of a standard error of the maximum
SCORE = 1e-6


Derivatives = tuple[jax.Array, jax.Array, jax.Array]  # value, gradient, Hessian


class Peak(NamedTuple):
    """A local maximum of the likelihood: its value, and (beta, rho, lam, sigma_alpha, sigma^2)."""

    loglik: float
    vector: np.ndarray


@front_doors
@dataclass(frozen=True, eq=False, repr=False)
class MLFit:
    """Maximum-likelihood estimates.

    With period effects and a W whose row sums differ, the fit is `quasi`: `loglik` is that of a
    quasi-likelihood and cannot be compared with others, aic and bic are NaN, and the covariance is
    the inverse of its curvature.

    Parameters
    ----------
    problem : Problem
        The model and data that were fitted, with the kind of likelihood.
    information : str
        "observed" or "expected": the information whose inverse is the covariance.
    params : Series
        The estimates: the coefficients, then rho, lam and sigma_alpha where the model has them,
        then sigma, where sigma^2 = SSR / nu.
    root : array, (p, p)
        C, a root of the covariance of the estimates, C C'.
    loglik : float
        The log-likelihood at the estimates.
    optima : DataFrame
        Every local maximum found, one row each, the best first.
    """

    problem: Problem
    information: str
    params: pd.Series
    root: np.ndarray
    loglik: float
    optima: pd.DataFrame

    def __repr__(self) -> str:
        effects = "" if self.spec.effects == "none" else f", effects={self.spec.effects!r}"
        head = (
            f"{self.spec.name}{effects} by maximum likelihood ({self.method}): log-likelihood"
            f" {self.loglik:.4f}, AIC {self.aic:.2f}"
        )
        if self.quasi:
            head = (
                f"{self.spec.name}{effects} by maximum quasi-likelihood: no density, so no AIC, and"
                " no evidence or likelihood ratio"
            )
        return f"{head}\n{self.summary().to_string()}"

    @property
    def spec(self) -> Spec:
        """The terms that the model has, and its effects."""
        return self.problem.spec

    @property
    def method(self) -> str:
        """The kind of likelihood: "transformed", "direct" or "lsdv"."""
        return self.problem.method

    @property
    def nu(self) -> int:
        """The number of observations left after the effects."""
        return self.problem.effects.nu

    @property
    def design(self) -> Design:
        """The regressors, their labels, and the columns of each variable and of its lag."""
        return self.problem.design

    @property
    def weights(self) -> Weights:
        """W, (N, N)."""
        return self.problem.weights

    @property
    def absorbed(self) -> int:
        """The number of effects removed: of units, of periods, minus one where there are both."""
        effects, (periods, units) = self.problem.effects, self.problem.panel.y.shape
        both = effects.over_periods and effects.over_units
        return int(units * effects.over_periods + periods * effects.over_units - both)

    @property
    def covariance(self) -> pd.DataFrame:
        """The inverse information, C C'."""
        return pd.DataFrame(
            self.root @ self.root.T, index=self.params.index, columns=self.params.index
        )

    @property
    def quasi(self) -> bool:
        """Whether the likelihood is a quasi-likelihood, which estimates the parameters correctly
        but is not a density (`spillover.models.effects`).
        """
        return self.problem.effects.quasi

    @property
    def std_errors(self) -> pd.Series:
        """Square roots of the diagonal of the covariance: the lengths of the rows of C."""
        return pd.Series(
            np.linalg.norm(self.root, axis=1), index=self.params.index, name="std_error"
        )

    @property
    def aic(self) -> float:
        """2 p - 2 log-likelihood, p counting sigma; NaN for a quasi-likelihood."""
        return float("nan") if self.quasi else 2 * len(self.params) - 2 * self.loglik

    @property
    def bic(self) -> float:
        """p log(nu) - 2 log-likelihood, p counting sigma; NaN for a quasi-likelihood."""
        return (
            float("nan")
            if self.quasi
            else float(len(self.params) * np.log(self.nu) - 2 * self.loglik)
        )

    def summary(self) -> pd.DataFrame:
        """Tabulate the estimates with their standard errors and tests.

        Returns
        -------
        DataFrame
            A row for each parameter: estimate, std_error, z and the two-sided p. z and p are NaN
            for sigma and sigma_alpha, whose null lies on the edge of the parameter space.
        """
        table = _tabulate(self.params, self.std_errors)
        table.loc[table.index.isin(["sigma", "sigma_alpha"]), ["z", "p"]] = np.nan
        return table

    def impacts(self, *, method: str = "delta", draws: int = 2000, seed: int = 0) -> pd.DataFrame:
        """Direct, indirect and total impacts at the estimates.

        The delta method is the default because it needs no seed, so that every table shows the
        same number. For intervals take the quantiles of the simulation: totals are skewed, so that
        estimate +- 1.96 std_error covers the truth too seldom. For 49 units it does so 86 and 76 %
        of the time at rho = 0.5 and 0.9, the quantiles 94 and 92 % (bench/impacts_ml.py).

        Parameters
        ----------
        method : {"delta", "simulation"}
            "delta": std_error = sqrt(J V J'), J by automatic differentiation. "simulation": from
            normal draws of the parameters, those inside the admissible interval only. std_error is
            then half the distance between the quantiles at 15.9 and 84.1 %, which for a normal
            distribution is its standard deviation. The standard deviation of the draws would not
            do: a total is (beta + theta) / (1 - rho), and normal rho come so close to 1 that its
            variance is infinite. More draws would not settle it: a single one may multiply it by a
            hundred.
        draws : int
            How many normal draws the simulation takes.
        seed : int
            Seed of the simulation.

        Returns
        -------
        DataFrame
            Indexed by (impact, term): estimate, std_error, z and p, and with "simulation" the
            quantiles "2.5 %" and "97.5 %".

        Raises
        ------
        ConvergenceError
            Where fewer than half of the draws are inside the admissible interval.

        References
        ----------
        LeSage & Pace (2009), Introduction to Spatial Econometrics, 2.7 and 5.6.2.
        """
        choice("is no method", method, IMPACTS)
        whole("draws", draws, example=2000)
        as_seed(seed)
        terms = len(self.design.terms)
        with jax.enable_x64(True):
            vector = jnp.asarray(self.params.to_numpy())
            estimate = np.asarray(_impacts(*self._route, vector, terms=terms))
            if method == "delta":
                jacobian = np.asarray(_impacts_jacobian(*self._route, vector, terms=terms))
                errors, beside = np.linalg.norm(jacobian @ self.root, axis=-1), {}
            else:
                levels = [0.025, *scipy.stats.norm.cdf([-1, 1]), 0.975]
                quantiles = np.quantile(self._simulate(draws, seed), levels, axis=0)
                low, below, above, high = quantiles
                errors, beside = (above - below) / 2, {"2.5 %": low.ravel(), "97.5 %": high.ravel()}
        kinds = ["direct", "indirect", "total"]
        names = ["impact", "term"]
        index = pd.MultiIndex.from_product([kinds, self.design.variables], names=names)
        columns = (pd.Series(values.ravel(), index=index) for values in (estimate, errors))
        return _tabulate(*columns).assign(**beside)

    @cached_property
    def _route(self) -> tuple[formulas.Channels, np.ndarray, np.ndarray]:
        rho = self.params["rho"] if self.spec.lag else None
        return build_channels(self.weights, rho), self.design.own, self.design.lagged

    def _simulate(self, draws: int, seed: int) -> np.ndarray:
        """Impacts, (draws, 3, variables), at those normal draws that are admissible."""
        terms = len(self.design.terms)
        noise = np.random.default_rng(seed).standard_normal((draws, len(self.params)))
        vectors = self.params.to_numpy() + noise @ self.root.T
        if self.spec.lag:
            rho, (lower, upper) = vectors[:, terms], find_bounds(self.weights)
            vectors = vectors[(rho > lower) & (rho < upper)]
        if len(vectors) < draws / 2:
            raise ConvergenceError(
                "More than half of the normal draws of rho fall outside the admissible interval:"
                " use method='delta'."
            )
        return np.asarray(_impacts(*self._route, jnp.asarray(vectors), terms=terms))


@partial(jax.jit, static_argnames="terms")
def _impacts(
    route: formulas.Channels, own: jax.Array, lagged: jax.Array, vector: jax.Array, *, terms: int
) -> jax.Array:
    """Direct, indirect and total impacts, (..., 3, variables), at parameters (..., p) that begin
    with the coefficients and rho.
    """
    beta, theta = formulas.split_coefficients(vector[..., :terms], own, lagged)
    rho = None if route.logdet is None else vector[..., terms]
    return jnp.stack(formulas.average(route, beta, theta, rho), axis=-2)


_impacts_jacobian = jax.jit(jax.jacfwd(_impacts, argnums=3), static_argnames="terms")


def _tabulate(estimate: pd.Series, errors: pd.Series) -> pd.DataFrame:
    z = estimate / errors
    return pd.DataFrame(
        {"estimate": estimate, "std_error": errors, "z": z, "p": 2 * scipy.stats.norm.sf(np.abs(z))}
    )


@partial(jax.jit, compiler_options=ONCE)
def _profile(likelihood: Likelihood, points: jax.Array) -> jax.Array:
    density = partial(concentrated_log_likelihood, likelihood)
    values: jax.Array = jax.lax.map(density, points)  # not vmap: see nuts.parameters
    return values


@partial(jax.jit, compiler_options=ONCE)
def _derivatives(likelihood: Likelihood, point: jax.Array) -> Derivatives:
    """The concentrated log-likelihood, its gradient and its Hessian at the logit variables of
    (rho, lam, w), w the weight of the unit means.
    """
    density = partial(concentrated_log_likelihood, likelihood)
    return density(point), jax.jacfwd(density)(point), jax.jacfwd(jax.jacfwd(density))(point)


@partial(jax.jit, compiler_options=ONCE)
def _estimate_at(likelihood: Likelihood, point: jax.Array) -> jax.Array:
    """(beta, rho, lam, sigma_alpha, sigma^2) that maximise the likelihood at the logit variables
    of (rho, lam, w).
    """
    given: Point = point_at(likelihood, point)
    fit = regress_at(likelihood, given)
    sigma2 = fit.ssr / likelihood.nu
    spread = None
    if given.weight is not None:
        spread = sigma_alpha(jnp.sqrt(sigma2), given.weight, likelihood.multiplicity)
    others = [value for value in (given.rho, given.lam, spread, sigma2) if value is not None]
    return jnp.concatenate([fit.beta, jnp.stack(others)])


def fit(problem: Problem, information: str) -> MLFit:
    """The estimates of a model, at the highest peak of its concentrated likelihood."""
    with jax.enable_x64(True):
        plain, mass = place(problem, problem.factor, _profile_in_frame)
        peaks = _find_peaks(problem, plain, mass)
    loglik, vector = peaks[0]
    names = _name_parameters(problem)
    rows = [[value, *_use_sigma(point)] for value, point in peaks]
    return MLFit(
        problem=problem,
        information=information,
        params=pd.Series(_use_sigma(vector), index=names, name="estimate"),
        root=_covariance_root(problem, plain, vector, information),
        loglik=loglik,
        optima=pd.DataFrame(rows, columns=["loglik", *names]),
    )


def _profile_in_frame(likelihood: Likelihood) -> Density:
    """The concentrated log-likelihood at many points, its regressors orthonormal."""
    return partial(_profile, whiten(likelihood)[0])


def _name_parameters(problem: Problem) -> list[str]:
    """The labels of the estimates, sigma last."""
    spread = ["sigma_alpha"] if problem.spec.random else []
    return [*problem.design.terms, *problem.dependence, *spread, "sigma"]


def _covariance_root(
    problem: Problem, plain: Likelihood, vector: np.ndarray, kind: str
) -> np.ndarray:
    """The root C of the covariance, with sigma in place of sigma^2.

    The information is computed in the frame of the estimates (`spillover.models.frame`), where
    gamma is 0. DataError names a column that is a combination of the others once all are filtered;
    ConvergenceError where the information is not positive definite.
    """
    estimates = informations.unpack(plain, vector)
    beta, sigma2, spread = estimates.beta, estimates.sigma2, estimates.sigma_alpha
    lam = None if estimates.lam is None else float(estimates.lam)
    weight = None
    if spread is not None:
        weight = float(np.sqrt(sigma2 / (sigma2 + float(plain.multiplicity) * spread**2)))
    likelihood, frame = whiten(plain, lam, weight)
    design = problem.design
    refuse_dependent(frame.triangle, design.terms)
    if kind == "expected":
        info = informations.expected_information(
            design.columns,
            problem.effects,
            weights=problem.weights.matrix,
            error_weights=problem.error_weights.matrix,
            estimates=estimates,
            frame=frame,
        )
    else:
        origin = np.append(np.zeros(len(beta)), vector[len(beta) :])
        with jax.enable_x64(True):
            info = np.asarray(informations.observed_information(likelihood, jnp.asarray(origin)))
    try:
        root = informations.covariance_root(info, frame)
    except np.linalg.LinAlgError:
        raise ConvergenceError(
            f"The {kind} information of this {problem.spec.name} is not positive definite at the"
            " estimates: the data do not tell its parameters"
            f" {', '.join([*problem.dependence, 'sigma'])} apart. Drop one, or fit the posterior"
            " instead."
        ) from None
    # d sigma = d sigma^2 / (2 sigma)
    return root * np.append(np.ones(len(root) - 1), 0.5 / np.sqrt(sigma2))[:, None]


def _find_peaks(problem: Problem, plain: Likelihood, mass: Mass) -> list[Peak]:
    """The distinct interior maxima of the likelihood, best first.

    ConvergenceError, with advice, where the likelihood is highest on the edge.
    """
    likelihood, frame = whiten(plain)
    peaks: list[Peak] = []
    derivatives = partial(_derivatives, likelihood)
    for start in mass.points[mass.peaks[:MOST_PEAKS]]:
        point = newton(derivatives, start, reach=1.0) if len(start) else start
        vector = _unwhiten(frame, np.asarray(_estimate_at(likelihood, point)))
        value, interior = _check_interior(derivatives, point)
        if not interior and not peaks:
            _refuse_edge(problem, point, vector)
        known = any(np.allclose(vector, other.vector, rtol=1e-6, atol=0) for other in peaks)
        if interior and not known:
            peaks.append(Peak(value, vector))
    return sorted(peaks, key=lambda peak: -peak.loglik)


def _refuse_edge(problem: Problem, point: np.ndarray, vector: np.ndarray) -> NoReturn:
    """Raise the ConvergenceError for a likelihood that rises to the edge, at this point."""
    if problem.spec.random and point[-1] > SMALL:
        raise ConvergenceError(
            "The estimate of sigma_alpha is 0, its smallest value: units do not differ. Fit"
            " with effects='none'."
        )
    edge = vector[len(vector) - 1 - len(point) : -1]
    where = ", ".join(f"{float(value):.6g}" for value in edge)
    advice = QUASI_ADVICE if problem.effects.quasi else ADVICE
    raise ConvergenceError(
        f"The likelihood of this {problem.spec.name} has no interior maximum: it rises to the edge"
        f" of the admissible interval, at {where}. {advice}"
    )


def _check_interior(
    derivatives: Callable[[np.ndarray], Derivatives], point: np.ndarray
) -> tuple[float, bool]:
    """The value at a point, and whether the point is an interior maximum.

    It has to be one to within SCORE standard errors, or as closely as 64-bit floats allow.
    """
    if not len(point):
        return float(derivatives(point)[0]), True
    value, slope, curvature = map(np.asarray, derivatives(point))
    unit = np.sqrt(np.abs(np.diag(curvature)))
    # unscaled, the curvature of a tight fit in rho would drown that in lam
    scaled = curvature / np.outer(unit, unit)
    if not (
        np.isfinite(value)
        and np.all(np.abs(point) < END)
        and np.isfinite(scaled).all()
        and np.all(np.linalg.eigvalsh(scaled) < 0)
    ):
        return float(value), False
    nearest = NEAREST * unit * np.maximum(np.abs(point), 1.0)
    score = slope / unit
    return float(value), bool(
        score @ np.linalg.solve(-scaled, score) < SCORE**2 + nearest @ nearest
    )


def _unwhiten(frame: Frame, vector: np.ndarray) -> np.ndarray:
    """Turn parameters that begin with gamma and rho into those that begin with beta and rho."""
    k = len(frame.triangle)
    return np.concatenate([restore_coefficients(frame, vector[:k], vector[k]), vector[k:]])


def _use_sigma(vector: np.ndarray) -> np.ndarray:
    """The parameters with sigma in place of sigma^2."""
    return np.append(vector[:-1], np.sqrt(vector[-1]))
