"""The published path from least squares to a specification, each step on record.

Spatial dependence, effects, Durbin terms, then random or fixed effects.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from spillover.engine.data.panel import CONSTANT
from spillover.engine.estimation.ml import MLFit
from spillover.engine.estimation.model import Model
from spillover.engine.estimation.problem import check_problem, choose_lagged
from spillover.engine.specification.hypothesis_tests import (
    TestResult,
    common_factor,
    hausman,
    lm_tests,
    lr_test,
    wald_common_factor,
    wald_no_lag,
)
from spillover.kernels.arguments import expect, flag, front_door, real, whole
from spillover.kernels.arguments import seed as as_seed
from spillover.kernels.errors import ConvergenceError, SpecificationError
from spillover.models.design import INTERCEPT
from spillover.models.effects import QUASI
from spillover.models.spec import specify

LAGRANGE = {  # the null of each test, and the models without and with what it looks for
    "lm_error": ("no spatial error", "OLS", "SEM"),
    "lm_lag": ("no spatial lag", "OLS", "SAR"),
    "robust_lm_error": ("no spatial error beside a lag", "SAR", "SAC"),
    "robust_lm_lag": ("no spatial lag beside an error", "SEM", "SAC"),
    "sarma": ("neither lag nor error", "OLS", "SAC"),
}
RESTRICTED = {
    "SAR": ("theta = 0", wald_no_lag),
    "SEM": ("theta + rho beta = 0", wald_common_factor),
}
COLUMNS = ("step", "null", "statistic", "df", "p_value", "probability_of_null", "models", "note")
FEWER = {"twoway": ("unit", "period"), "unit": ("none",), "period": ("none",), "none": ()}
OTHER_DATA = (
    "SDM, likelihood with dummies; other effects leave other data, which share no posterior"
    " probability"
)


@dataclass(frozen=True, eq=False, repr=False)
class Selection:
    """A chosen specification, and the tests that led to it.

    Attributes
    ----------
    model : Model
        The chosen model, before it is fitted.
    steps : DataFrame
        A row for each test, by its name, with the columns step, null, statistic, df, p_value,
        probability_of_null, models and note. probability_of_null is the posterior probability of
        the first of the two `models` where both have the probability 1/2 before; NaN where there is
        none.
    decisions : tuple of str
        What each step decided and by which p-values, in sentences.
    common_factor : DataFrame
        The posterior of theta + rho beta, which is 0 in an SEM, and of theta, which is 0 in a SAR,
        in the SDM: mean, sd, 2.5 % and 97.5 % quantile by quantity and variable. Empty with
        bayes=False and without spatial dependence.
    fits : dict of str to MLFit
        The maximum-likelihood fits by their names.

    See Also
    --------
    select_model : Makes it.
    """

    model: Model
    steps: pd.DataFrame
    decisions: tuple[str, ...]
    common_factor: pd.DataFrame
    fits: dict[str, MLFit]

    def __repr__(self) -> str:
        table = self.steps.to_string(float_format=lambda value: f"{value:.4g}", na_rep="")
        return "\n".join(
            [
                f"Chosen: {self.model.spec.name}, effects={self.model.spec.effects!r}",
                table,
                *self.decisions,
            ]
        )


@front_door
def select_model(
    model: Model, *, alpha: float = 0.05, bayes: bool = True, draws: int = 4000, seed: int = 0
) -> Selection:
    """Choose a specification by the published sequence of tests.

    1. Lagrange multipliers on least squares. Where neither finds a spatial error or a spatial lag
       at the level `alpha`, the model is OLS.
    2. Likelihood ratios of the SDM, with dummies for the effects: which of the given effects the
       data ask for.
    3. Wald tests and likelihood ratios of the SDM against SAR (theta = 0) and SEM (theta + rho beta
       = 0). The one that is not rejected is chosen where the Lagrange multipliers point to it, else
       SDM; the robust multipliers point, or where neither of them rejects the plain ones.
    4. Hausman's and Mundlak's tests. Random effects of the units where neither rejects them, else
       fixed ones.

    With `bayes`, each test of two models has their posterior probabilities beside it::

        p(restricted | y) = p(y | restricted) / (p(y | restricted) + p(y | full))

    Parameters
    ----------
    model : Model
        Any model of the family, before it is fitted, with the formula, the data, W and the fixed
        effects in question. Its priors are those of the probabilities, which need proper ones.
    alpha : float, default 0.05
        Level of the tests, between 0 and 1.
    bayes : bool, default True
        Whether to add posterior probabilities, and draws of theta + rho beta by sampler="exact".
    draws : int, default 4000
        Number of these draws.
    seed : int, default 0
        Seed of these draws.

    Returns
    -------
    Selection
        The chosen model, the tests with their statistics, the decisions in words, and the fits.

    Raises
    ------
    SpecificationError
        For what is no model, a model with random effects, and an `alpha`, `draws` or `seed` out of
        range.
    ConvergenceError
        Where the likelihood of the SDM or of the chosen model has no maximum inside the admissible
        interval.

    Examples
    --------
    >>> import spillover as so
    >>> frame, W = so.munnell()
    >>> panel = {"effects": "unit", "unit": "state", "period": "year"}
    >>> model = so.SDM("np.log(gsp) ~ np.log(pc) + unemp", frame, W.row_standardize(), **panel)
    >>> so.select_model(model, bayes=False).model.spec
    Spec(name='SAR', effects='unit')

    References
    ----------
    Elhorst (2014), Spatial Econometrics: From Cross-Sectional Data to Spatial Panels, 2.3 and 3.3.

    Anselin (2005), Exploring Spatial Data with GeoDa, chapter 23.

    LeSage & Pace (2009), Introduction to Spatial Econometrics, chapter 6: the probabilities.
    """
    expect("model", model, Model, "give one before it is fitted, such as so.SDM(...)")
    if model.spec.random:
        raise SpecificationError(
            "select_model compares random with fixed effects itself: give a model with effects"
            " 'unit' or 'twoway'."
        )
    real("alpha", alpha, 0, 1, example=0.05)
    flag("bayes", bayes)
    whole("draws", draws, example=4000)
    as_seed(seed)
    path = _Path(model, alpha, bayes)
    dependent = path.find_dependence()
    effects = path.choose_effects()
    name = path.choose_durbin(effects) if dependent else "OLS"
    chosen = path.choose_level(name, effects)
    factor = (
        _draw_common_factor(respecify(model, "SDM", effects), draws, seed)
        if bayes and dependent
        else pd.DataFrame()
    )
    steps = pd.DataFrame(path.rows, columns=["test", *COLUMNS]).set_index("test")
    return Selection(chosen, steps, tuple(path.decisions), factor, path.fits)


def respecify(model: Model, name: str, effects: str, *, period_dummies: bool = False) -> Model:
    """Make the model of another name and other effects on the same data and weights.

    Parameters
    ----------
    model : Model
        The model with the data and W.
    name : str
        The name of the other one, such as "SAR".
    effects : str
        The effects of the other one.
    period_dummies : bool, default False
        Whether to add dummies of all periods but the first.

    Returns
    -------
    Model
        The other model.
    """
    panel, spec = model.panel, specify(name, effects)
    own = [i for i, label in enumerate(panel.names) if label != INTERCEPT]
    names, x = tuple(panel.names[i] for i in own), panel.x[:, :, own]
    if effects not in CONSTANT:
        names, x = (INTERCEPT, *names), np.concatenate([np.ones((*panel.y.shape, 1)), x], axis=2)
    lagged = (
        model.lagged
        if model.spec.durbin and spec.durbin
        else choose_lagged(spec, replace(panel, names=names), None)
    )
    if period_dummies:
        dummies = np.eye(len(panel.periods))[:, None, 1:]
        x = np.concatenate(
            [x, np.broadcast_to(dummies, (*panel.y.shape, dummies.shape[2]))], axis=2
        )
        names = (*names, *(f"{panel.period_name}[{label}]" for label in panel.periods[1:]))
    wide = replace(panel, names=names, x=x)
    problem = replace(model.problem, spec=spec, panel=wide, lagged=lagged)
    return Model(check_problem(problem))


class _Path:
    """The path: the tests so far, what they decided, and the fits and evidences that they share."""

    def __init__(self, model: Model, alpha: float, bayes: bool) -> None:
        self.model, self.alpha, self.bayes = model, alpha, bayes
        self.rows: list[tuple[Any, ...]] = []
        self.decisions: list[str] = []
        self.fits: dict[str, MLFit] = {}
        self._lm: dict[str, float] = {}
        self._evidence: Callable[[str, str], float] = cache(
            lambda name, effects: _compute_evidence(respecify(model, name, effects))
        )
        self._with_dummies: Callable[[str], MLFit] = cache(
            lambda effects: respecify(model, "SDM", effects).fit_ml(method="lsdv")
        )

    def find_dependence(self) -> bool:
        """Test whether least squares leave spatial dependence behind."""
        effects = self.model.spec.effects
        for test in lm_tests(respecify(self.model, "OLS", effects)):
            null, small, large = LAGRANGE[test.name]
            self._add("dependence", test, null, small, large=large, effects=effects)
            self._lm[test.name] = test.p_value
        rejecting = [name for name in ("lm_error", "lm_lag") if self._lm[name] < self.alpha]
        words = {"lm_error": "a spatial error", "lm_lag": "a spatial lag"}
        self.decisions.append(
            f"Least squares leave {' and '.join(words[name] for name in rejecting)} behind (level"
            f" {self.alpha:g})."
            if rejecting
            else f"Least squares leave no spatial dependence behind (level {self.alpha:g}): OLS."
        )
        return bool(rejecting)

    def choose_effects(self) -> str:
        """Choose the effects that the data ask for among those of the model."""
        given = self.model.spec.effects
        p = {fewer: self._test_without(fewer) for fewer in FEWER[given]}
        if not p:
            return given
        kept = [fewer for fewer, value in p.items() if value >= self.alpha]
        if len(kept) == 2:  # each alone suffices: perhaps neither is needed
            p["none"] = self._test_without("none")
            kept = ["none"] if p["none"] >= self.alpha else [max(kept, key=lambda fewer: p[fewer])]
        chosen = kept[0] if kept else given
        said = [f"{_name_null(fewer, given)} (p = {value:.2g})" for fewer, value in p.items()]
        self.decisions.append(f"Effects: {chosen}, from the tests of {' and of '.join(said)}.")
        return chosen

    def _test_without(self, fewer: str) -> float:
        """The p-value of the likelihood ratio of fewer effects, in the SDM with dummies."""
        given = self.model.spec.effects
        test = lr_test(self._with_dummies(fewer), self._with_dummies(given))
        self._add("effects", test, _name_null(fewer, given), note=OTHER_DATA)
        return test.p_value

    def choose_durbin(self, effects: str) -> str:
        """Choose among SDM, SAR and SEM."""
        self.fits["SDM"] = full = respecify(self.model, "SDM", effects).fit_ml()
        rejected = {}
        for small, (null, wald) in RESTRICTED.items():
            tests = (*self._test_ratio(small, effects, full), wald(full))
            for test in tests:
                self._add("durbin", test, null, small, large="SDM", effects=effects)
            rejected[small] = all(test.p_value < self.alpha for test in tests)
            said = " and ".join(f"{test.name.split()[0]} p = {test.p_value:.2g}" for test in tests)
            self.decisions.append(
                f"{small} is {'' if rejected[small] else 'not '}rejected against SDM ({said})."
            )
        chosen, why = self._reduce(rejected)
        self.decisions.append(f"{chosen}: {why}.")
        return chosen

    def _test_ratio(self, small: str, effects: str, full: MLFit) -> tuple[TestResult, ...]:
        """The likelihood ratio of a simpler model against the SDM, or none and a sentence that says
        why.
        """
        try:
            self.fits[small] = respecify(self.model, small, effects).fit_ml()
            if not full.quasi:
                return (lr_test(self.fits[small], full),)
            self.decisions.append(f"{small} in SDM: no likelihood ratio. {QUASI}.")
        except ConvergenceError:
            self.decisions.append(
                f"{small} has no maximum-likelihood estimate: its likelihood rises to the end of"
                " the admissible interval."
            )
        except SpecificationError:
            self.decisions.append(
                f"{small} is no restriction of SDM, for the rows of W do not all sum to one: there"
                " is no likelihood ratio."
            )
        return ()

    def _reduce(self, rejected: dict[str, bool]) -> tuple[str, str]:
        """The model that the tests point to, and the reason in words."""
        if all(rejected.values()):
            return "SDM", "both simpler models are rejected"
        robust = min(self._lm["robust_lm_lag"], self._lm["robust_lm_error"]) < self.alpha
        # where neither robust test rejects, the plain ones say which is the nearer: Anselin (2005)
        kind = "robust_" if robust else ""
        lag, error = (self._lm[f"{kind}lm_{name}"] for name in ("lag", "error"))
        points = "SAR" if lag < error else "SEM"
        words = f"the {'robust ' if robust else ''}Lagrange multipliers point to"
        if not rejected[points]:
            return points, f"it is not rejected against SDM, and {words} it"
        other = "SEM" if points == "SAR" else "SAR"
        return "SDM", f"{other} is not rejected against it, but {words} {points}, which is"

    def choose_level(self, name: str, effects: str) -> Model:
        """Choose between fixed and random effects of the units."""
        fixed = respecify(self.model, name, effects)
        if effects not in ("unit", "twoway"):
            return fixed
        random, correlated = (
            respecify(self.model, name, kind, period_dummies=effects == "twoway")
            for kind in ("random", "correlated_random")
        )
        try:
            self.fits |= {
                f"{name} fixed": self.fits.get(name) or fixed.fit_ml(),
                f"{name} random": random.fit_ml(),
            }
            test = hausman(self.fits[f"{name} fixed"], self.fits[f"{name} random"])
        except ConvergenceError as error:
            self.decisions.append(
                f"Fixed effects of the units: random ones cannot be estimated. {error}"
            )
            return fixed
        probability = (
            _weigh(_compute_evidence(random), _compute_evidence(correlated))
            if self.bayes
            else np.nan
        )
        for one in test:
            self._add(
                "level",
                one,
                "random effects, uncorrelated with the regressors",
                probability=probability,
            )
        rejected = any(one.p_value < self.alpha for one in test)
        said = [
            f"{one.name}"
            f" {'is negative and says nothing' if one.statistic < 0 else f'p = {one.p_value:.2g}'}"
            for one in test
        ]
        verdict = "one rejection suffices" if rejected else "neither rejects"
        self.decisions.append(
            f"{'Fixed' if rejected else 'Random'} effects of the units: {', '.join(said)};"
            f" {verdict}."
        )
        return fixed if rejected else random

    def _add(
        self,
        step: str,
        test: TestResult,
        null: str,
        small: str = "",
        large: str = "",
        effects: str = "",
        *,
        probability: float = np.nan,
        note: str = "",
    ) -> None:
        """Put a test on record, with the posterior probability of its null where there is one."""
        if small and self.bayes:
            probability = _weigh(self._evidence(small, effects), self._evidence(large, effects))
        models = f"{small} : {large}" if small else "random : correlated" if step == "level" else ""
        self.rows.append(
            (
                test.name,
                step,
                null,
                test.statistic,
                test.df,
                test.p_value,
                probability,
                models,
                test.note or note,
            )
        )


def _name_null(fewer: str, given: str) -> str:
    """The null hypothesis of fewer effects, in words."""
    other = {"unit": "period", "period": "unit"}
    return f"no {other.get(fewer, given.replace('twoway', 'unit or period'))} effects"


def _compute_evidence(model: Model) -> float:
    """log p(y) of a model; NaN where there is none."""
    try:
        evidence = model.log_evidence()
    except ConvergenceError:
        return float("nan")
    return float("nan") if evidence is None else evidence


def _weigh(restricted: float, full: float) -> float:
    """p(restricted | y) of two models with the probability 1/2 each before."""
    return float(1 / (1 + np.exp(full - restricted)))


def _draw_common_factor(model: Model, draws: int, seed: int) -> pd.DataFrame:
    """The posterior of theta + rho beta, 0 throughout in an SEM, and of theta, 0 in a SAR."""
    posterior = model.fit(
        sampler="exact", draws=draws, chains=1, seed=seed, progress=False
    ).posterior
    beta = pd.DataFrame(posterior["beta"].to_numpy()[0], columns=posterior["term"].to_numpy())
    quantities = {
        "theta + rho beta": common_factor(beta, pd.Series(posterior["rho"].to_numpy()[0])),
        "theta": common_factor(beta, pd.Series(np.zeros(len(beta)))),
    }
    return pd.concat(
        {name: _describe(table) for name, table in quantities.items()},
        names=["quantity", "variable"],
    )


def _describe(draws: pd.DataFrame, levels: Sequence[float] = (0.025, 0.975)) -> pd.DataFrame:
    """The mean, sd and quantiles of draws, a row for each column."""
    quantiles = draws.quantile(list(levels)).T.set_axis(
        [f"{level:.1%}" for level in levels], axis=1
    )
    return pd.concat(
        [draws.mean().rename("mean"), draws.std(ddof=1).rename("sd"), quantiles], axis=1
    )
