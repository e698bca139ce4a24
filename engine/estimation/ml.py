"""Maximum likelihood on the kernels of the posterior: a search that sees every peak, Newton's
method, exact derivatives.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import scipy.stats

from spillover.engine.weights.channels import channels
from spillover.engine.weights.logdet import LogDet
from spillover.engine.weights.weights import Weights
from spillover.kernels.arguments import choice, front_doors, whole
from spillover.kernels.arguments import seed as as_seed
from spillover.kernels.chebyshev import END
from spillover.kernels.errors import ConvergenceError
from spillover.models import impacts as formulas
from spillover.models import information as informations
from spillover.models.design import Design, refuse_dependent
from spillover.models.effects import Transformation
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

if TYPE_CHECKING:
    from spillover.engine.estimation.model import Model

INFORMATION = ("observed", "expected")
IMPACTS = ("delta", "simulation")
SMALL = 4.0  # logit variable of w above which T sigma_alpha^2 is less than a thousandth of sigma^2
# a maximum may lie between two numbers: half the distance, and the rounding of the derivatives
NEAREST = 4 * np.finfo(float).eps
ADVICE = (
    "The data do not bound the spatial dependence; drop a regressor or an effect, or fit the"
    " posterior instead."
)
QUASI_ADVICE = (
    "With period effects and rows of W of several sums a quasi-likelihood can do that whatever the"
    " data: row-standardise W."
)
# largest slope left in units of one standard error: the estimate is within a millionth of a
# standard error of the maximum
SCORE = 1e-6


@front_doors
@dataclass(frozen=True, eq=False, repr=False)
class MLFit:
    """Maximum-likelihood estimates.

    `params`: the terms, rho, lam, sigma_alpha (where present) and sigma (sigma^2 = SSR / nu);
    `root`: C, of the same, whose C C' is their `covariance`; `loglik`; `nu` observations; `optima`:
    every local maximum found, one row each, the best first; `method` and `information` as asked
    for; `model`: what was fitted; `absorbed`: the number of fixed effects.

    With period effects and a W whose rows do not all have one sum the fit is `quasi`: `loglik` is a
    quasi-likelihood's, which compares with no other, aic and bic are NaN, and the covariance is
    that of its curvature.
    """

    spec: Spec
    method: str
    information: str
    params: pd.Series
    root: np.ndarray
    loglik: float
    nu: int
    optima: pd.DataFrame
    design: Design
    weights: Weights
    model: "Model"
    absorbed: int

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
    def covariance(self) -> pd.DataFrame:
        """The inverse information, C C'."""
        return pd.DataFrame(
            self.root @ self.root.T, index=self.params.index, columns=self.params.index
        )

    @property
    def quasi(self) -> bool:
        """Whether the likelihood is a quasi-likelihood: right about the parameters, but not a
        density (`spillover.models.effects`).
        """
        return self.model.effects_for(self.method).quasi

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
        """estimate, std_error, z and the two-sided p of each parameter; no test for sigma and
        sigma_alpha, whose null lies on the edge.
        """
        table = _table(self.params, self.std_errors)
        table.loc[table.index.isin(["sigma", "sigma_alpha"]), ["z", "p"]] = np.nan
        return table

    def impacts(self, *, method: str = "delta", draws: int = 2000, seed: int = 0) -> pd.DataFrame:
        """Impacts at the estimates, indexed by (impact, term): estimate, std_error, z and p.

        `method`: "delta", std_error = sqrt(J V J'), J by automatic differentiation; or
        "simulation", from `draws` normal draws of the parameters of which those inside the
        admissible interval count (LeSage & Pace 2009, 5.6.2): std_error is half the distance of the
        quantiles at 15.9 and 84.1 %, which is the standard deviation of a normal distribution, and
        the columns "2.5 %" and "97.5 %" are quantiles as well. It is not the draws' standard
        deviation, since there is none: a total is (beta + theta) / (1 - rho), and normal rho come
        so close to 1 that its variance is infinite. More draws do not settle it, one of them may
        multiply it by a hundred.

        The delta method is the default because it is one number, without a seed, that all tables
        share. For intervals take the quantiles: totals are skewed, so that estimate -+ 1.96
        std_error holds the truth too seldom, 86 and 76 % of the time at rho = 0.5 and 0.9 for 49
        units, where the quantiles hold it 94 and 92 % of the time (bench/impacts_ml.py).

        ConvergenceError where fewer than half of the draws are inside the interval.
        """
        choice("is no method", method, IMPACTS)
        whole("draws", draws, example=2000)
        as_seed(seed)
        with jax.enable_x64(True):
            at = {"vector": jnp.asarray(self.params.to_numpy()), "terms": len(self.design.terms)}
            estimate = np.asarray(_impacts(*self._route, **at))
            if method == "delta":
                jacobian = np.asarray(
                    _impacts_jacobian(*self._route, at["vector"], terms=at["terms"])
                )
                errors, beside = np.linalg.norm(jacobian @ self.root, axis=-1), {}
            else:
                low, below, above, high = np.quantile(
                    self._simulated(draws, seed),
                    [0.025, *scipy.stats.norm.cdf([-1, 1]), 0.975],
                    axis=0,
                )
                errors, beside = (above - below) / 2, {"2.5 %": low.ravel(), "97.5 %": high.ravel()}
        index = pd.MultiIndex.from_product(
            [["direct", "indirect", "total"], self.design.variables], names=["impact", "term"]
        )
        return _table(
            pd.Series(estimate.ravel(), index=index), pd.Series(errors.ravel(), index=index)
        ).assign(**beside)

    @cached_property
    def _route(self) -> tuple[formulas.Channels, np.ndarray, np.ndarray]:
        rho = self.params["rho"] if self.spec.lag else None
        return channels(self.weights, rho), self.design.own, self.design.lagged

    def _simulated(self, draws: int, seed: int) -> np.ndarray:
        """Impacts at the normal draws of the parameters that are inside the admissible interval,
        (draws, 3, variables).
        """
        noise = np.random.default_rng(seed).standard_normal((draws, len(self.params)))
        vectors = self.params.to_numpy() + noise @ self.root.T
        if self.spec.lag:
            rho, (lower, upper) = (
                vectors[:, len(self.design.terms)],
                LogDet.build(self.weights).bounds,
            )
            vectors = vectors[(rho > lower) & (rho < upper)]
        if len(vectors) < draws / 2:
            raise ConvergenceError(
                "More than half of the normal draws of rho fall outside the admissible interval:"
                " use method='delta'."
            )
        return np.asarray(
            _impacts(*self._route, jnp.asarray(vectors), terms=len(self.design.terms))
        )


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


def _table(estimate: pd.Series, errors: pd.Series) -> pd.DataFrame:
    z = estimate / errors
    return pd.DataFrame(
        {"estimate": estimate, "std_error": errors, "z": z, "p": 2 * scipy.stats.norm.sf(np.abs(z))}
    )


@partial(jax.jit, compiler_options=ONCE)
def _profile(likelihood: Likelihood, points: jax.Array) -> jax.Array:
    return jax.lax.map(
        partial(concentrated_log_likelihood, likelihood), points
    )  # not vmap: see nuts.parameters


@partial(jax.jit, compiler_options=ONCE)
def _derivatives(likelihood: Likelihood, point: jax.Array) -> tuple:
    """The concentrated log-likelihood, its gradient and its Hessian at the logit variables of (rho,
    lam).
    """
    density = partial(concentrated_log_likelihood, likelihood)
    return density(point), jax.jacfwd(density)(point), jax.jacfwd(jax.jacfwd(density))(point)


@partial(jax.jit, compiler_options=ONCE)
def _estimates(likelihood: Likelihood, point: jax.Array) -> jax.Array:
    """(beta, rho, lam, sigma_alpha, sigma^2) maximising the likelihood at the logit variables of
    (rho, lam, w).
    """
    given: Point = point_at(likelihood, point)
    fit = regress_at(likelihood, given)
    sigma2 = fit.ssr / likelihood.nu
    spread = (
        None
        if given.weight is None
        else sigma_alpha(jnp.sqrt(sigma2), given.weight, likelihood.multiplicity)
    )
    return jnp.concatenate(
        [
            fit.beta,
            jnp.stack(
                [value for value in (given.rho, given.lam, spread, sigma2) if value is not None]
            ),
        ]
    )


def fit(model: "Model", method: str, information: str) -> MLFit:
    """The estimates of a model, at the highest of the peaks of its concentrated likelihood."""
    effects = model.effects_for(method)
    with jax.enable_x64(True):
        plain, mass = model.explored(
            *model.factor(effects),
            effects,
            lambda likelihood: partial(_profile, whiten(likelihood)[0]),
        )
        peaks = _peaks(*whiten(plain), mass, model.spec, QUASI_ADVICE if effects.quasi else ADVICE)
    loglik, vector = peaks[0]
    design = model.design_for(effects)
    names = [
        *design.terms,
        *model.dependence,
        *(["sigma_alpha"] if model.spec.random else []),
        "sigma",
    ]
    optima = pd.DataFrame(
        [[value, *_in_sigma(point)] for value, point in peaks], columns=["loglik", *names]
    )
    return MLFit(
        spec=model.spec,
        method=method,
        information=information,
        params=pd.Series(_in_sigma(vector), index=names, name="estimate"),
        root=_covariance_root(model, effects, plain, vector, information),
        loglik=loglik,
        nu=effects.nu,
        optima=optima,
        design=design,
        weights=model.weights,
        model=model,
        absorbed=_absorbed(effects, *model.panel.y.shape),
    )


def _covariance_root(
    model: "Model", effects: Transformation, plain: Likelihood, vector: np.ndarray, kind: str
) -> np.ndarray:
    """C of the estimates, sigma in place of sigma^2, by the information in the frame of the
    estimates themselves, where gamma is 0.

    DataError names a column that the others make up once it is filtered; ConvergenceError where the
    information is not positive definite.
    """
    estimates = informations.unpack(plain, vector)
    beta, sigma2, spread = estimates.beta, estimates.sigma2, estimates.sigma_alpha
    weight = (
        None
        if spread is None
        else np.sqrt(sigma2 / (sigma2 + float(plain.multiplicity) * spread**2))
    )
    likelihood, frame = whiten(plain, estimates.lam, weight)
    design = model.design_for(effects)
    refuse_dependent(frame.triangle, design.terms)
    if kind == "expected":
        matrices = (model.weights.matrix, model.error_weights.matrix)
        info = informations.expected_information(
            design.columns, effects, *matrices, estimates, frame=frame
        )
    else:
        with jax.enable_x64(True):
            info = np.asarray(
                informations.observed_information(
                    likelihood, jnp.asarray(np.append(np.zeros(len(beta)), vector[len(beta) :]))
                )
            )
    try:
        root = informations.covariance_root(info, frame)
    except np.linalg.LinAlgError:
        raise ConvergenceError(
            f"The {kind} information of this {model.spec.name} is not positive definite at the"
            " estimates: the data do not tell its parameters"
            f" {', '.join([*model.dependence, 'sigma'])} apart. Drop one, or fit the posterior"
            " instead."
        ) from None
    # d sigma = d sigma^2 / (2 sigma)
    return root * np.append(np.ones(len(root) - 1), 0.5 / np.sqrt(sigma2))[:, None]


def _absorbed(effects: Transformation, periods: int, units: int) -> int:
    """How many effects were taken out: of the units, of the periods, less one where
    there are both.
    """
    return (
        units * effects.over_periods
        + periods * effects.over_units
        - (effects.over_periods and effects.over_units)
    )


def _peaks(
    likelihood: Likelihood, frame: Frame, mass: Mass, spec: Spec, advice: str
) -> list[tuple[float, np.ndarray]]:
    """(log-likelihood, parameters) of the distinct interior maxima of a likelihood in a frame, best
    first; ConvergenceError, with the advice, where the best one is not one.
    """
    found: list[tuple[float, np.ndarray]] = []
    derivatives = partial(_derivatives, likelihood)
    for start in mass.points[mass.peaks[:8]]:
        point = newton(derivatives, start, reach=1.0) if len(start) else start
        vector = _unwhitened(frame, np.asarray(_estimates(likelihood, point)))
        value, interior = _interior(derivatives, point)
        if not interior and not found and spec.random and point[-1] > SMALL:
            raise ConvergenceError(
                "The estimate of sigma_alpha is 0, its smallest value: units do not differ. Fit"
                " with effects='none'."
            )
        if not interior and not found:
            where = ", ".join(
                f"{float(value):.6g}" for value in vector[len(vector) - 1 - len(point) : -1]
            )
            raise ConvergenceError(
                f"The likelihood of this {spec.name} has no interior maximum: it rises to the edge"
                f" of the admissible interval, at {where}. {advice}"
            )
        if interior and not any(
            np.allclose(vector, other, rtol=1e-6, atol=0) for _, other in found
        ):
            found.append((value, vector))
    return sorted(found, key=lambda peak: -peak[0])


def _interior(derivatives: Callable[[np.ndarray], tuple], point: np.ndarray) -> tuple[float, bool]:
    """The value at a point, and whether it is a maximum inside the admissible interval to within
    SCORE standard errors, or as near to one as 64-bit numbers come.
    """
    if not len(point):
        return float(derivatives(point)[0]), True
    value, slope, curvature = map(np.asarray, derivatives(point))
    unit = np.sqrt(np.abs(np.diag(curvature)))
    # else the curvature in rho of a tight fit drowns that in lam
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


def _unwhitened(frame: Frame, vector: np.ndarray) -> np.ndarray:
    """Parameters that begin with gamma and rho as those that begin with beta and rho."""
    k = len(frame.triangle)
    return np.concatenate([restore_coefficients(frame, vector[:k], vector[k]), vector[k:]])


def _in_sigma(vector: np.ndarray) -> np.ndarray:
    """The parameters with sigma in place of sigma^2."""
    return np.append(vector[:-1], np.sqrt(vector[-1]))
