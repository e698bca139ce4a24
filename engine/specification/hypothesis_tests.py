"""Tests of a specification: Lagrange multiplier, likelihood ratio, Wald, Hausman, Mundlak."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.stats
from scipy.linalg import solve_triangular

from spillover.engine.estimation.ml import MLFit
from spillover.engine.estimation.model import Model
from spillover.engine.estimation.problem import (
    LagFactor,
    build_design,
    check_response,
    with_method,
)
from spillover.kernels.arguments import choice, front_door, kind_of
from spillover.kernels.demean import demean
from spillover.kernels.errors import SpecificationError
from spillover.kernels.factor import factorise
from spillover.kernels.moments import lag, split
from spillover.models import lagrange
from spillover.models.design import LAG, MEAN
from spillover.models.effects import QUASI, factorize, use_dummies
from spillover.models.spec import FLAGS

KINDS = ("transformed", "direct")
ENOUGH = (
    1e-6  # a likelihood may fall by this much, where a restriction costs nothing, through rounding
)


@dataclass(frozen=True)
class TestResult:
    """A test: its name, statistic, degrees of freedom of the chi-squared it is held against,
    p-value (NaN where the statistic is negative), a note where something is to be said, and tests
    that belong `beside` it.
    """

    __test__ = False  # not one of pytest's

    name: str
    statistic: float
    df: int
    p_value: float
    note: str = ""
    beside: tuple["TestResult", ...] = ()

    def __repr__(self) -> str:
        rows = [
            f"{one.name:<24} chi2({one.df}) = {one.statistic:<10.5g} p = {one.p_value:<10.4g}"
            f" {one.note}".rstrip()
            for one in self
        ]
        return "\n".join(rows)

    def __iter__(self) -> Iterator["TestResult"]:
        """This test and those beside it."""
        yield self
        for other in self.beside:
            yield from other


class LMTests(NamedTuple):
    """The five Lagrange-multiplier tests."""

    lm_error: TestResult
    lm_lag: TestResult
    robust_lm_error: TestResult
    robust_lm_lag: TestResult
    sarma: TestResult

    def __repr__(self) -> str:
        return "\n".join(map(repr, self))


def chi_squared(name: str, statistic: float, df: int, note: str = "") -> TestResult:
    """The result for a statistic that is chi-squared under the null; one below zero is no such
    thing and has no p-value.
    """
    if statistic < 0:
        note = (
            "negative: the difference of the covariances is not positive definite, and the test"
            " says nothing"
        )
    p = float(scipy.stats.chi2.sf(statistic, df)) if statistic >= 0 else float("nan")
    return TestResult(name, float(statistic), df, p, note)


@front_door
def lm_tests(model: Model, *, kind: str = "transformed") -> LMTests:
    """Lagrange-multiplier tests of a spatial error and a spatial lag in the residuals of least
    squares on the model's regressors.

    LM_error = d_e^2 / tr,   LM_lag = d_l^2 / H, their versions robust to the other, and SARMA for
    both: `spillover.models.lagrange`.

    `model`: an OLS for the usual tests, an SLX for those given W X. `kind`: "transformed" centres
    e'We, which demeaning shifts, and divides by the degrees of freedom left (with both effects and
    N = 48, T = 17 it rejects 5 % of the time at 5 %, where "direct" rejects 12 %), for any W;
    "direct" demeans, lags then and divides by N T, as R's splm does. Returns lm_error, lm_lag,
    robust_lm_error, robust_lm_lag, sarma.

    SpecificationError for other models, random effects and another kind.

    >>> import spillover as so
    >>> frame, W = so.munnell()
    >>> model = so.OLS(
    ...     "np.log(gsp) ~ np.log(pc) + unemp",
    ...     frame,
    ...     W.row_standardize(),
    ...     effects="unit",
    ...     unit="state",
    ...     period="year",
    ... )
    >>> lm_tests(model).lm_lag.df
    1

    Source: Anselin, Bera, Florax & Yoon (1996); for panels Debarsy & Ertur (2010), Regional Science
    and Urban Economics 40.
    """
    choice("is no kind", kind, KINDS)
    if not isinstance(model, Model):
        raise SpecificationError(
            "lm_tests takes a model before it is fitted, such as so.OLS(...), not"
            f" {kind_of(model)}."
        )
    if model.spec.lag or model.spec.error:
        raise SpecificationError(
            f"These are tests of least-squares residuals, which a {model.spec.name} has none of:"
            " give an OLS or an SLX."
        )
    if model.spec.random:
        raise SpecificationError(
            "These tests are for pooled data and fixed effects: choose effects 'none', 'unit',"
            " 'period' or 'twoway'."
        )
    problem, matrix = with_method(model.problem, kind), model.weights.matrix
    effects = problem.effects
    period = kind == "transformed" and model.spec.effects in ("period", "twoway")
    # W of the period effects is part of W y: demeaned residuals, but lags of the effects too
    if period and model.weights.row_sum is None:
        effects = use_dummies(effects, len(model.panel.periods))
    regressors = build_design(problem, effects).regressors
    factor = LagFactor(*factorize(model.panel.y, regressors, effects, None, matrix))
    check_response(problem, factor, effects)
    nu = effects.multiplicity * (matrix.shape[0] - 1) if period else effects.nu
    about = lagrange.centre(matrix, multiplicity=effects.multiplicity, over_units=period, nu=nu)
    found = lagrange.tests(split(*factor), about)
    return LMTests(
        *(
            chi_squared(name, value, 2 if name == "sarma" else 1)
            for name, value in found._asdict().items()
        )
    )


@front_door
def lr_test(restricted: MLFit, full: MLFit) -> TestResult:
    """The likelihood-ratio test 2 (log-likelihood of `full` - that of `restricted`), chi-squared in
    the parameters that they differ by.

    Both are fits of the same data and W by the same method. Effects must be the same too, but for
    method="lsdv", the likelihood with dummies, whose fits with fewer and with more effects compare:
    N - 1 or T - 1 degrees of freedom.

    SpecificationError where the two do not compare: other data, weights, methods, effects, or
    models of which neither nests the other; and for a quasi-likelihood, whose ratio has no known
    law.

    >>> import spillover as so
    >>> frame, W = so.munnell()
    >>> given = ("np.log(gsp) ~ np.log(pc) + unemp", frame, W.row_standardize())
    >>> panel = {"effects": "unit", "unit": "state", "period": "year"}
    >>> lr_test(so.SAR(*given, **panel).fit_ml(), so.SDM(*given, **panel).fit_ml()).df
    2

    Source: Elhorst (2014), Spatial Econometrics, 3.2-3.3.
    """
    _refuse_other_data(restricted, full)
    _refuse_quasi(restricted, full)
    name = f"LR {restricted.spec.name} in {full.spec.name}"
    if restricted.spec.effects != full.spec.effects:
        _refuse_other_effects(restricted, full)
        name = f"LR {restricted.spec.effects} in {full.spec.effects}"
    elif not _nests(restricted, full):
        raise SpecificationError(
            f"{restricted.spec.name} is not a restriction of {full.spec.name}: give the smaller"
            " model first; by the common factor SEM lies in SDM where the rows of W sum to one or"
            " unit effects contain the constant, which has no lag among the regressors."
        )
    df = _count(full) - _count(restricted)
    gain = 2 * (full.loglik - restricted.loglik)
    if df < 1 or gain < -ENOUGH:
        raise SpecificationError(
            f"The second fit, {full.spec.name}, has {df} parameters more than the first,"
            f" {restricted.spec.name}; the log-likelihoods are {full.loglik:.4f} and"
            f" {restricted.loglik:.4f}: the first is no restriction of the second."
        )
    return chi_squared(name, max(gain, 0.0), df)


def _refuse_other_data(one: MLFit, other: MLFit) -> None:
    _refuse_other_types(one, other)
    a, b = one.problem.panel, other.problem.panel
    if a.y.shape != b.y.shape or not np.array_equal(a.y, b.y) or not a.units.equals(b.units):
        raise SpecificationError(
            "The fits are of different data: likelihoods compare for the same y only."
        )
    if one.weights != other.weights or one.problem.error_weights != other.problem.error_weights:
        raise SpecificationError(
            "The fits have different weights: neither is a restriction of the other. Compare them"
            " by `sweep`."
        )
    if one.method != other.method:
        raise SpecificationError(
            f"One fit is by method={one.method!r}, the other by {other.method!r}: fit both alike."
        )


def _refuse_other_types(*fits: MLFit) -> None:
    for fit in fits:
        if not isinstance(fit, MLFit):
            raise SpecificationError(
                f"This is {kind_of(fit)}: the test takes maximum-likelihood fits, made by"
                " model.fit_ml()."
            )


def _refuse_quasi(*fits: MLFit) -> None:
    for fit in fits:
        if fit.quasi:
            raise SpecificationError(
                f"{QUASI}: {fit.spec.name} has no likelihood ratio. Use the Wald tests, or"
                " row-standardise W for a likelihood."
            )


def _refuse_other_effects(restricted: MLFit, full: MLFit) -> None:
    if (
        restricted.method != "lsdv"
        or restricted.spec.random
        or full.spec.random
        or restricted.spec.name != full.spec.name
    ):
        raise SpecificationError(
            f"effects={restricted.spec.effects!r} and {full.spec.effects!r} leave different data:"
            " compare the same model with both by fit_ml(method='lsdv'), or random with fixed"
            " effects by hausman()."
        )


def _nests(restricted: MLFit, full: MLFit) -> bool:
    """Whether the terms are among those of the full model, and rho and lam as well; SEM lies in SDM
    by the common factor where the lags of the constant and of the periods' dummies are these
    themselves, or not there.
    """
    small, large = FLAGS[restricted.spec.name], FLAGS[full.spec.name]
    closed = full.weights.is_row_standardized or full.spec.effects == "unit"
    factor = large[0] and large[1] and small[2] and not small[1] and not small[0] and closed
    terms = set(restricted.design.terms) <= set(full.design.terms)
    return terms and (factor or all(b or not a for a, b in zip(small, large, strict=True)))


def _count(fit: MLFit) -> int:
    return len(fit.params) + fit.absorbed


def wald(ml: MLFit, name: str, values: np.ndarray, jacobian: np.ndarray) -> TestResult:
    """r'(J V J')^-1 r for restrictions r = 0 at the estimates; jacobian: (restrictions,
    parameters).
    """
    triangle = np.linalg.qr((jacobian @ ml.root).T, mode="r")  # J V J' = R'R
    return chi_squared(
        name,
        float(np.sum(solve_triangular(triangle, values, trans="T") ** 2)),
        len(values),
        _said_of(ml),
    )


def _said_of(ml: MLFit) -> str:
    return "by the curvature of a quasi-likelihood" if ml.quasi else ""


@front_door
def wald_no_lag(ml: MLFit) -> TestResult:
    """The Wald test of theta = 0, which makes an SDM a SAR (an SLX an OLS, an SDEM an SEM, a GNS a
    SAC).

    theta' V_theta^-1 theta, by the covariance of the fit. SpecificationError for a model without
    lagged regressors.

    Source: Elhorst (2014), 2.3; LeSage & Pace (2009), 2.3.
    """
    _refuse_other_types(ml)
    _, lagged = _pairs(ml)
    return wald(
        ml, "Wald theta = 0", ml.params.iloc[lagged].to_numpy(), np.eye(len(ml.params))[lagged]
    )


@front_door
def wald_common_factor(ml: MLFit) -> TestResult:
    """The Wald test of theta + rho beta = 0, the common factor that makes an SDM an SEM.

    r'(J V J')^-1 r with r = theta + rho beta, J = [rho, 1, beta] its derivatives.
    SpecificationError for a model without rho or lagged regressors.

    Source: Burridge (1981), Environment and Planning A 13; Elhorst (2014), 2.3.
    """
    _refuse_other_types(ml)
    if not ml.spec.lag:
        raise SpecificationError(
            f"{ml.spec.name} has no rho: the common factor is a restriction of SDM and GNS."
        )
    own, lagged = _pairs(ml)
    at, unit, rho = ml.params.to_numpy(), np.eye(len(ml.params)), ml.params["rho"]
    jacobian = (
        unit[lagged] + rho * unit[own] + np.outer(at[own], unit[ml.params.index.get_loc("rho")])
    )
    return wald(ml, "Wald theta + rho beta = 0", at[lagged] + rho * at[own], jacobian)


def _pairs(ml: MLFit) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the own and of the lagged coefficient of every variable that has both."""
    there = ml.design.lagged >= 0
    if not there.any():
        raise SpecificationError(
            f"{ml.spec.name} has no lagged regressors: this is a test of SLX, SDM, SDEM and GNS."
        )
    return ml.design.own[there], ml.design.lagged[there]


@front_door
def hausman(fixed: MLFit, random: MLFit) -> TestResult:
    """Hausman's test of random against fixed effects of the units, with Mundlak's beside it.

    (b_F - b_R)'(V_F - V_R)^-1 (b_F - b_R) over the coefficients of X and W X that both have. V_F -
    V_R need not be positive definite in a sample, so that the statistic can be negative: it is
    reported as it is, without a p-value. Mundlak's, the Wald test that the means over time of
    correlated random effects have no coefficients, asks the same and cannot turn negative.

    `fixed`: a fit with effects "unit" or "twoway"; `random`: of the same model, data and W with
    "random", and with dummies of the periods among its regressors, C(year), where the fixed effects
    are "twoway". SpecificationError for others.

    Source: Hausman (1978), Econometrica 46; Mundlak (1978), Econometrica 46; Mutl & Pfaffermayr
    (2011), Econometrics Journal 14.
    """
    _refuse_other_types(fixed, random)
    if (
        fixed.spec.effects not in ("unit", "twoway")
        or random.spec.effects != "random"
        or fixed.spec.name != random.spec.name
    ):
        raise SpecificationError(
            f"The fits are {fixed.spec.name} with effects={fixed.spec.effects!r} and"
            f" {random.spec.name} with {random.spec.effects!r}: give one with 'unit' or 'twoway'"
            " effects, then the same model with 'random'."
        )
    _refuse_other_data(replace(fixed, problem=with_method(fixed.problem, random.method)), random)
    shared = [term for term in fixed.design.terms if term in random.design.terms]
    if len(shared) < len(fixed.design.terms):
        raise SpecificationError(
            f"The fit with random effects lacks {(set(fixed.design.terms) - set(shared)).pop()!r}:"
            " give both one formula."
        )
    same_for_all = np.ptp(random.problem.panel.x, axis=1).max(axis=0) == 0
    if fixed.spec.effects == "twoway" and same_for_all.sum() < len(random.problem.panel.periods):
        raise SpecificationError(
            "The fixed effects are those of the periods too: add C(period) to the formula of the"
            " fit with random effects, and lagged=[...] with the regressors without it; or use"
            " effects='unit' for the other fit. select_model does it by itself."
        )
    difference = (fixed.params[shared] - random.params[shared]).to_numpy()
    covariance = (fixed.covariance - random.covariance).loc[shared, shared].to_numpy()
    statistic = float(difference @ np.linalg.solve(covariance, difference))
    spec = replace(random.spec, effects="correlated_random")
    correlated = Model(replace(with_method(random.problem, "transformed"), spec=spec))
    return replace(
        chi_squared("Hausman", statistic, len(shared), _said_of(fixed)),
        beside=(mundlak(correlated.fit_ml()),),
    )


@front_door
def mundlak(ml: MLFit) -> TestResult:
    """The Wald test that the means over time, of X and of W X, have no coefficients, in a fit with
    correlated random effects: then the effects are not correlated with the regressors.
    SpecificationError for other effects.
    """
    _refuse_other_types(ml)
    if ml.spec.effects != "correlated_random":
        raise SpecificationError(
            f"effects={ml.spec.effects!r}: Mundlak's test is of a fit with"
            " effects='correlated_random'."
        )
    head = MEAN.partition("{")[0]
    others = [
        i
        for i, term in enumerate(ml.design.terms)
        if term not in ml.design.variables and term.startswith(head)
    ]
    return wald(ml, "Mundlak", ml.params.iloc[others].to_numpy(), np.eye(len(ml.params))[others])


@front_door
def spatial_hausman(plain: MLFit, error: MLFit) -> TestResult:
    """The Hausman test of least squares against a spatial error: OLS against SEM, or SLX against
    SDEM.

    (b - b_e)'(V - V_e)^-1 (b - b_e), V = s2 (X'X)^-1 X'(S'S)^-1 X (X'X)^-1 that of least squares
    under the spatial error, S = I - lam M, V_e = s2 (X'S'SX)^-1: both are consistent unless the
    regressors are not those of the model.

    R's spatialreg has S^-1 S^-1 in the place of (S'S)^-1, which is the same for a symmetric W only.

    `plain`, `error`: fits of the same data, effects and regressors. SpecificationError for others,
    and with period effects where the rows of M do not all have one sum: least squares are not
    unbiased then.

    Source: Pace & LeSage (2008), "A spatial Hausman test", Economics Letters 101.
    """
    _refuse_other_data(plain, error)
    if (plain.spec.name, error.spec.name) not in (
        ("OLS", "SEM"),
        ("SLX", "SDEM"),
    ) or plain.spec.effects != error.spec.effects:
        raise SpecificationError(
            f"The fits are {plain.spec.name} and {error.spec.name}: give OLS and SEM, or SLX and"
            " SDEM, of the same effects."
        )
    effects, terms = error.problem.effects, list(error.design.terms)
    if effects.dummies or effects.quasi or error.spec.random:
        raise SpecificationError(
            "The spatial Hausman test takes fixed effects that leave by demeaning: row-standardise"
            " W and M."
        )
    inside = partial(demean, over_periods=effects.over_periods, over_units=effects.over_units)
    columns, matrix, lam = (
        inside(error.design.columns),
        error.problem.error_weights.matrix,
        float(error.params["lam"]),
    )
    solve = factorise(matrix, lam).solve_transpose
    x, through = (
        columns.reshape(-1, len(terms)),
        inside(np.array([solve(period) for period in columns])).reshape(-1, len(terms)),
    )
    filtered = inside(columns - lam * lag(matrix, columns)).reshape(-1, len(terms))
    own, other = (np.linalg.qr(columns, mode="r") for columns in (x, filtered))
    plainly = solve_triangular(own, solve_triangular(own, through.T, trans="T"))  # (X'X)^-1 X'S^-1
    best = solve_triangular(other, np.eye(len(terms)))
    apart = error.params["sigma"] ** 2 * (plainly @ plainly.T - best @ best.T)
    difference = (plain.params[terms] - error.params[terms]).to_numpy()
    return chi_squared(
        "Spatial Hausman", float(difference @ np.linalg.solve(apart, difference)), len(terms)
    )


def common_factor(beta: pd.DataFrame, rho: pd.Series) -> pd.DataFrame:
    """Draws of theta + rho beta, a column for each variable with a lag, from draws of the
    coefficients by term and of rho.
    """
    lagged = [term for term in beta.columns if term.startswith(LAG)]
    own = [term.removeprefix(LAG) for term in lagged]
    return pd.DataFrame(
        beta[lagged].to_numpy() + rho.to_numpy()[:, None] * beta[own].to_numpy(), columns=own
    )
