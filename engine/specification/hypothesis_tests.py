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
# how far the likelihood may seem to fall through rounding where a restriction costs nothing
ENOUGH = 1e-6


@dataclass(frozen=True)
class TestResult:
    """A test: its statistic, and the chi-squared distribution it is held against.

    Printing it shows a line for the test and one for each test beside it; iterating gives the same
    tests, this one first.

    Attributes
    ----------
    name : str
        Name of the test.
    statistic : float
        The statistic.
    df : int
        Degrees of freedom of the chi-squared distribution under the null.
    p_value : float
        Probability of a larger statistic under the null; NaN where the statistic is negative.
    note : str, default ""
        A remark on how to read the result.
    beside : tuple of TestResult, default ()
        Tests of the same question that belong with this one.

    Examples
    --------
    >>> import spillover as so
    >>> so.TestResult("LR SAR in SDM", statistic=7.1, df=2, p_value=0.029)
    LR SAR in SDM            chi2(2) = 7.1        p = 0.029
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
    """The five Lagrange-multiplier tests of least squares against spatial dependence.

    Attributes
    ----------
    lm_error : TestResult
        Against a spatial error.
    lm_lag : TestResult
        Against a spatial lag.
    robust_lm_error : TestResult
        Against a spatial error where there may be a spatial lag.
    robust_lm_lag : TestResult
        Against a spatial lag where there may be a spatial error.
    sarma : TestResult
        Against either or both.

    See Also
    --------
    lm_tests : Makes them.
    """

    lm_error: TestResult
    lm_lag: TestResult
    robust_lm_error: TestResult
    robust_lm_lag: TestResult
    sarma: TestResult

    def __repr__(self) -> str:
        return "\n".join(map(repr, self))


def chi_squared(name: str, statistic: float, df: int, note: str = "") -> TestResult:
    """Make the result of a statistic that is chi-squared under the null.

    A negative statistic has no p-value: no chi-squared variable is below zero.
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
    """Test the residuals of least squares for a spatial error and a spatial lag.

    With e = P y the residuals of y on the regressors D, P the projection off D, b the coefficients
    and s2 = e'e / nu::

        d_e = e'We / s2 + c,   d_l = e'Wy / s2 + c,   H = (WDb)' P (WDb) / s2 + tr

        LM_error        = d_e^2 / tr
        LM_lag          = d_l^2 / H
        robust LM_error = (d_e - (tr / H) d_l)^2 / (tr (1 - tr / H))
        robust LM_lag   = (d_l - d_e)^2 / (H - tr)
        SARMA           = LM_error + robust LM_lag

    c is minus the mean of e'We / s2 without spatial dependence, and tr its variance; for one
    cross-section c = 0 and tr = tr(W'W + W W). The robust tests allow for the dependence that the
    other one looks for, and SARMA tests for both.

    Parameters
    ----------
    model : Model
        A model of least squares before it is fitted, with pooled data or fixed effects: OLS for the
        usual tests, SLX for those given W X.
    kind : {"transformed", "direct"}, default "transformed"
        How fixed effects are taken into account. "transformed" corrects e'We for the shift that
        demeaning causes and divides by the degrees of freedom left; it holds its level for any W.
        With both effects, N = 48 and T = 17 it rejects 5 % of the time at the level 5 %. "direct"
        demeans first, lags then, and divides by N T, as R's splm does; it rejects 12 % of the time
        there.

    Returns
    -------
    LMTests
        lm_error, lm_lag, robust_lm_error, robust_lm_lag and sarma, each a `TestResult` with one
        degree of freedom, SARMA with two.

    Raises
    ------
    SpecificationError
        For a fit in place of a model, a model with rho or lambda, random effects, and another kind.

    Examples
    --------
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
    >>> so.lm_tests(model).lm_lag.df
    1

    References
    ----------
    Anselin, Bera, Florax & Yoon (1996), "Simple diagnostic tests for spatial dependence", Regional
    Science and Urban Economics 26.

    Debarsy & Ertur (2010), "Testing for spatial autocorrelation in a fixed effects panel data
    model", Regional Science and Urban Economics 40.
    """
    choice("is no kind", kind, KINDS)
    if not isinstance(model, Model):
        raise SpecificationError(
            "lm_tests takes a model before it is fitted, such as so.OLS(...), not"
            f" {kind_of(model)}."
        )
    if model.spec.lag or model.spec.error:
        raise SpecificationError(
            "These are tests of least-squares residuals, which"
            f" {model.spec.name} models have none of: give an OLS or an SLX."
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
    statistics = lagrange.tests(split(*factor), about)
    return LMTests(
        *(
            chi_squared(name, value, 2 if name == "sarma" else 1)
            for name, value in statistics._asdict().items()
        )
    )


@front_door
def lr_test(restricted: MLFit, full: MLFit) -> TestResult:
    """Test a model against a larger one that contains it, by the ratio of their likelihoods.

    ::

        LR = 2 (l_full - l_restricted),   chi-squared with p_full - p_restricted degrees of freedom

    Both are fits of the same data and W by the same method. The effects must be the same as well,
    except with method="lsdv": the likelihood with dummies compares fewer effects with more, which
    differ by N - 1 or T - 1 parameters.

    Parameters
    ----------
    restricted : MLFit
        The fit of the smaller model.
    full : MLFit
        The fit of the larger model.

    Returns
    -------
    TestResult
        The ratio and its p-value.

    Raises
    ------
    SpecificationError
        Where the two do not compare: other data, weights, methods or effects, or models of which
        neither contains the other. Also for a quasi-likelihood, whose ratio has no known
        distribution.

    Examples
    --------
    >>> import spillover as so
    >>> frame, W = so.munnell()
    >>> given = ("np.log(gsp) ~ np.log(pc) + unemp", frame, W.row_standardize())
    >>> panel = {"effects": "unit", "unit": "state", "period": "year"}
    >>> so.lr_test(so.SAR(*given, **panel).fit_ml(), so.SDM(*given, **panel).fit_ml()).df
    2

    References
    ----------
    Elhorst (2014), Spatial Econometrics: From Cross-Sectional Data to Spatial Panels, 3.2 and 3.3.
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
    df = _count_parameters(full) - _count_parameters(restricted)
    gain = 2 * (full.loglik - restricted.loglik)
    if df < 1 or gain < -ENOUGH:
        raise SpecificationError(
            f"The second fit, {full.spec.name}, has {df} parameters more than the first,"
            f" {restricted.spec.name}; the log-likelihoods are {full.loglik:.4f} and"
            f" {restricted.loglik:.4f}: the first is no restriction of the second."
        )
    return chi_squared(name, max(gain, 0.0), df)


def _refuse_other_data(one: MLFit, other: MLFit) -> None:
    """SpecificationError for fits of different data, weights or kinds of likelihood."""
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
    """SpecificationError for what is no maximum-likelihood fit."""
    for fit in fits:
        if not isinstance(fit, MLFit):
            raise SpecificationError(
                f"This is {kind_of(fit)}: the test takes maximum-likelihood fits, made by"
                " model.fit_ml()."
            )


def _refuse_quasi(*fits: MLFit) -> None:
    """SpecificationError for fits of a quasi-likelihood."""
    for fit in fits:
        if fit.quasi:
            raise SpecificationError(
                f"{QUASI}: {fit.spec.name} has no likelihood ratio. Use the Wald tests, or"
                " row-standardise W for a likelihood."
            )


def _refuse_other_effects(restricted: MLFit, full: MLFit) -> None:
    """SpecificationError unless the fits differ in their fixed effects alone, by dummies."""
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
    """Whether the full model contains the restricted one.

    Its terms, and rho and lambda, must be among those of the full model. SEM lies in SDM by the
    common factor, where W maps the constant and the dummies of the periods to themselves or they
    are absent.
    """
    small, large = FLAGS[restricted.spec.name], FLAGS[full.spec.name]
    closed = full.weights.is_row_standardized or full.spec.effects == "unit"
    factor = large[0] and large[1] and small[2] and not small[1] and not small[0] and closed
    terms = set(restricted.design.terms) <= set(full.design.terms)
    return terms and (factor or all(b or not a for a, b in zip(small, large, strict=True)))


def _count_parameters(fit: MLFit) -> int:
    """The number of parameters, those of demeaned effects included."""
    return len(fit.params) + fit.absorbed


def wald(ml: MLFit, name: str, values: np.ndarray, jacobian: np.ndarray) -> TestResult:
    """Test restrictions r = 0 at the estimates by r' (J V J')^-1 r.

    Parameters
    ----------
    ml : MLFit
        The fit, with V the covariance of its p parameters.
    name : str
        Name of the test.
    values : array, (q,)
        r, the restrictions at the estimates.
    jacobian : array, (q, p)
        J, their derivatives in the parameters.

    Returns
    -------
    TestResult
        The test, with q degrees of freedom.
    """
    triangle = np.linalg.qr((jacobian @ ml.root).T, mode="r")  # J V J' = R'R
    return chi_squared(
        name,
        float(np.sum(solve_triangular(triangle, values, trans="T") ** 2)),
        len(values),
        _note_on(ml),
    )


def _note_on(ml: MLFit) -> str:
    """The note that a test by a quasi-likelihood bears."""
    return "by the curvature of a quasi-likelihood" if ml.quasi else ""


@front_door
def wald_no_lag(ml: MLFit) -> TestResult:
    """Test that the lagged regressors have no effect, theta = 0.

    ::

        theta' V_theta^-1 theta,   chi-squared with one degree of freedom for each W x

    Under the null an SDM is a SAR, an SLX an OLS, an SDEM an SEM, and a GNS a SAC.

    Parameters
    ----------
    ml : MLFit
        A fit of a model with lagged regressors.

    Returns
    -------
    TestResult
        The Wald test, by the covariance of the fit.

    Raises
    ------
    SpecificationError
        For a model without lagged regressors.

    Examples
    --------
    >>> import spillover as so
    >>> frame, W = so.munnell()
    >>> panel = {"effects": "unit", "unit": "state", "period": "year"}
    >>> slx = so.SLX("np.log(gsp) ~ np.log(pc) + unemp", frame, W.row_standardize(), **panel)
    >>> so.wald_no_lag(slx.fit_ml()).df
    2

    References
    ----------
    Elhorst (2014), Spatial Econometrics: From Cross-Sectional Data to Spatial Panels, 2.3.

    LeSage & Pace (2009), Introduction to Spatial Econometrics, 2.3.
    """
    _refuse_other_types(ml)
    _, lagged = _pairs(ml)
    return wald(
        ml, "Wald theta = 0", ml.params.iloc[lagged].to_numpy(), np.eye(len(ml.params))[lagged]
    )


@front_door
def wald_common_factor(ml: MLFit) -> TestResult:
    """Test the common factor theta + rho beta = 0, which makes an SDM an SEM.

    ::

        r' (J V J')^-1 r,   r = theta + rho beta

    J holds the derivatives of r: rho by beta, 1 by theta, beta by rho.

    Parameters
    ----------
    ml : MLFit
        A fit of a model with rho and lagged regressors: SDM or GNS.

    Returns
    -------
    TestResult
        The Wald test, with one degree of freedom for each lagged regressor.

    Raises
    ------
    SpecificationError
        For a model without rho or without lagged regressors.

    Examples
    --------
    >>> import spillover as so
    >>> frame, W = so.munnell()
    >>> panel = {"effects": "unit", "unit": "state", "period": "year"}
    >>> sdm = so.SDM("np.log(gsp) ~ np.log(pc) + unemp", frame, W.row_standardize(), **panel)
    >>> so.wald_common_factor(sdm.fit_ml()).df
    2

    References
    ----------
    Burridge (1981), "Testing for a common factor in a spatial autoregression model", Environment
    and Planning A 13.

    Elhorst (2014), Spatial Econometrics: From Cross-Sectional Data to Spatial Panels, 2.3.
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
    """Test random against fixed effects of the units, by Hausman's and by Mundlak's test.

    ::

        H = (b_F - b_R)' (V_F - V_R)^-1 (b_F - b_R)

    over the coefficients of X and W X that both fits have. In a sample V_F - V_R need not be
    positive definite, and H can be negative: it is then reported as it is, without a p-value.
    Mundlak's test asks the same question and cannot be negative. It is the Wald test that the means
    over time have no coefficients in a fit with correlated random effects.

    Parameters
    ----------
    fixed : MLFit
        A fit with effects "unit" or "twoway".
    random : MLFit
        A fit of the same model, data and W with effects "random". Where the fixed effects are
        "twoway", its formula has dummies of the periods, such as C(year).

    Returns
    -------
    TestResult
        Hausman's test, with Mundlak's in `beside`.

    Raises
    ------
    SpecificationError
        For fits with other effects, of different models, data or weights, and for a fit with random
        effects that lacks a regressor or the dummies of the periods.

    Examples
    --------
    >>> import spillover as so
    >>> frame, W = so.munnell()
    >>> given = ("np.log(gsp) ~ np.log(pc) + unemp", frame, W.row_standardize())
    >>> panel = {"unit": "state", "period": "year"}
    >>> fixed = so.OLS(*given, effects="unit", **panel).fit_ml()  # doctest: +SKIP
    >>> random = so.OLS(*given, effects="random", **panel).fit_ml()  # doctest: +SKIP
    >>> [test.name for test in so.hausman(fixed, random)]  # doctest: +SKIP
    ['Hausman', 'Mundlak']

    References
    ----------
    Hausman (1978), "Specification tests in econometrics", Econometrica 46.

    Mundlak (1978), "On the pooling of time series and cross section data", Econometrica 46.

    Mutl & Pfaffermayr (2011), "The Hausman test in a Cliff and Ord panel model", Econometrics
    Journal 14.
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
        chi_squared("Hausman", statistic, len(shared), _note_on(fixed)),
        beside=(mundlak(correlated.fit_ml()),),
    )


@front_door
def mundlak(ml: MLFit) -> TestResult:
    """Test that random effects of the units are not correlated with the regressors.

    In a fit with correlated random effects the means over time of X and W X are regressors. The
    statistic is the Wald test that they have no coefficients, g' V_g^-1 g.

    Parameters
    ----------
    ml : MLFit
        A fit with effects "correlated_random".

    Returns
    -------
    TestResult
        The Wald test, with one degree of freedom for each mean.

    Raises
    ------
    SpecificationError
        For a fit with other effects.

    Examples
    --------
    >>> import spillover as so
    >>> frame, W = so.munnell()
    >>> panel = {"effects": "correlated_random", "unit": "state", "period": "year"}
    >>> ols = so.OLS("np.log(gsp) ~ np.log(pc) + unemp", frame, W.row_standardize(), **panel)
    >>> so.mundlak(ols.fit_ml()).df
    4

    References
    ----------
    Mundlak (1978), "On the pooling of time series and cross section data", Econometrica 46.
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
    """Test least squares against a spatial error: OLS against SEM, or SLX against SDEM.

    ::

        (b - b_e)' (V - V_e)^-1 (b - b_e)
        V   = s2 (X'X)^-1 X' (S'S)^-1 X (X'X)^-1,   S = I - lam M
        V_e = s2 (X'S'S X)^-1

    V is the covariance of least squares under the spatial error, V_e that of the spatial error
    model. Both estimates are consistent unless the regressors are correlated with what the model
    leaves out.

    R's spatialreg has S^-1 S^-1 in the place of (S'S)^-1; the two agree for a symmetric W only.

    Parameters
    ----------
    plain : MLFit
        The fit of OLS or SLX.
    error : MLFit
        The fit of SEM or SDEM, of the same data, effects and regressors.

    Returns
    -------
    TestResult
        The test, with one degree of freedom for each coefficient.

    Raises
    ------
    SpecificationError
        For other models, and for fits of different data, effects or weights. With period effects
        also where the rows of M do not all have one sum: least squares are then biased.

    Examples
    --------
    >>> import spillover as so
    >>> frame, W = so.munnell()
    >>> given = ("np.log(gsp) ~ np.log(pc) + unemp", frame, W.row_standardize())
    >>> panel = {"effects": "unit", "unit": "state", "period": "year"}
    >>> ols, sem = so.OLS(*given, **panel), so.SEM(*given, **panel)
    >>> so.spatial_hausman(ols.fit_ml(), sem.fit_ml()).df  # doctest: +SKIP
    2

    References
    ----------
    Pace & LeSage (2008), "A spatial Hausman test", Economics Letters 101.
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
    """Compute draws of theta + rho beta from draws of the coefficients and of rho.

    Parameters
    ----------
    beta : DataFrame
        Draws of the coefficients, a column for each term.
    rho : Series
        Draws of rho, as many as rows of `beta`.

    Returns
    -------
    DataFrame
        A column for each variable that has a lag.
    """
    lagged = [term for term in beta.columns if term.startswith(LAG)]
    own = [term.removeprefix(LAG) for term in lagged]
    return pd.DataFrame(
        beta[lagged].to_numpy() + rho.to_numpy()[:, None] * beta[own].to_numpy(), columns=own
    )
