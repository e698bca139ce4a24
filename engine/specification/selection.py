"""The published path from residuals to a specification: dependence, effects, Durbin terms, random
or fixed; each step on record.
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
    """A specification and how it was come by.

    `model`: the chosen one; `steps`: a row a test, by name: step, null, statistic, df, p_value,
    `probability_of_null`, the posterior probability of the first of the two `models`, equally
    likely before, note; `decisions`: what each step says, in sentences; `common_factor`: mean, sd,
    2.5 % and 97.5 % quantile of theta + rho beta and of theta by variable, from the posterior of
    the SDM; `fits`: the maximum-likelihood fits by name.
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
    """The decision path of Elhorst (2014), with the Bayesian counterpart beside each test.

    1. Lagrange multipliers on least squares: without a spatial error or lag at the level `alpha`,
    OLS. 2. Likelihood ratios of the SDM on the likelihood with dummies: which of the model's
    effects are wanted. 3. Wald and likelihood ratio of the SDM against SAR (theta = 0) and SEM
    (theta + rho beta = 0): the one that is not rejected and that the Lagrange multipliers point to,
    the robust ones or, where neither of them rejects, the plain ones; else SDM. 4. Hausman and
    Mundlak: random effects of the units where neither rejects them, else fixed ones.

    `model`: any model of the family with the effects in question; its priors, which must be proper,
    are those of the evidences. `bayes`: add posterior probabilities (equal ones before) and draws
    of theta + rho beta, by sampler="exact".

    SpecificationError for a model with random effects; ConvergenceError where a likelihood has no
    interior maximum.

    >>> import spillover as so
    >>> frame, W = so.munnell()
    >>> panel = {"effects": "unit", "unit": "state", "period": "year"}
    >>> model = so.SDM("np.log(gsp) ~ np.log(pc) + unemp", frame, W.row_standardize(), **panel)
    >>> select_model(model, bayes=False).model.spec
    Spec(name='SAR', effects='unit')

    Source: Elhorst (2014), Spatial Econometrics, 2.3 and 3.3; Anselin (2005), Exploring Spatial
    Data with GeoDa, chapter 23; for the probabilities LeSage & Pace (2009), chapter 6.
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
    dependent = path.dependence()
    effects = path.effects()
    name = path.durbin(effects) if dependent else "OLS"
    chosen = path.level(name, effects)
    factor = (
        _common_factor(variant(model, "SDM", effects), draws, seed)
        if bayes and dependent
        else pd.DataFrame()
    )
    steps = pd.DataFrame(path.rows, columns=["test", *COLUMNS]).set_index("test")
    return Selection(chosen, steps, tuple(path.decisions), factor, path.fits)


def variant(model: Model, name: str, effects: str, *, period_dummies: bool = False) -> Model:
    """The model on the same data and weights under another name and other effects, with dummies of
    all periods but the first if wanted.
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
    """The walk: what was found so far, the fits it shares."""

    def __init__(self, model: Model, alpha: float, bayes: bool) -> None:
        self.model, self.alpha, self.bayes = model, alpha, bayes
        self.rows: list[tuple[Any, ...]] = []
        self.decisions: list[str] = []
        self.fits: dict[str, MLFit] = {}
        self._lm: dict[str, float] = {}
        self._evidence: Callable[[str, str], float] = cache(
            lambda name, effects: _evidence(variant(model, name, effects))
        )
        self._with_dummies: Callable[[str], MLFit] = cache(
            lambda effects: variant(model, "SDM", effects).fit_ml(method="lsdv")
        )

    def dependence(self) -> bool:
        """Whether least squares leave spatial dependence."""
        effects = self.model.spec.effects
        for test in lm_tests(variant(self.model, "OLS", effects)):
            self._add("dependence", test, *LAGRANGE[test.name], effects)
            self._lm[test.name] = test.p_value
        found = [name for name in ("lm_error", "lm_lag") if self._lm[name] < self.alpha]
        words = {"lm_error": "a spatial error", "lm_lag": "a spatial lag"}
        self.decisions.append(
            f"Least squares leave {' and '.join(words[name] for name in found)} behind (level"
            f" {self.alpha:g})."
            if found
            else f"Least squares leave no spatial dependence behind (level {self.alpha:g}): OLS."
        )
        return bool(found)

    def effects(self) -> str:
        """Those of the model's effects that the data ask for."""
        given = self.model.spec.effects
        p = {fewer: self._without(fewer) for fewer in FEWER[given]}
        if not p:
            return given
        kept = [fewer for fewer, value in p.items() if value >= self.alpha]
        if len(kept) == 2:  # either alone will do: is neither wanted?
            p["none"] = self._without("none")
            kept = ["none"] if p["none"] >= self.alpha else [max(kept, key=lambda fewer: p[fewer])]
        chosen = kept[0] if kept else given
        said = [f"{_lacking(fewer, given)} (p = {value:.2g})" for fewer, value in p.items()]
        self.decisions.append(f"Effects: {chosen}, from the tests of {' and of '.join(said)}.")
        return chosen

    def _without(self, fewer: str) -> float:
        """The p-value of the likelihood ratio of fewer effects, in the SDM and on the likelihood
        with dummies.
        """
        given = self.model.spec.effects
        test = lr_test(self._with_dummies(fewer), self._with_dummies(given))
        self._add("effects", test, _lacking(fewer, given), note=OTHER_DATA)
        return test.p_value

    def durbin(self, effects: str) -> str:
        """SDM, SAR or SEM."""
        self.fits["SDM"] = full = variant(self.model, "SDM", effects).fit_ml()
        rejected = {}
        for small, (null, wald) in RESTRICTED.items():
            tests = (*self._ratio(small, effects, full), wald(full))
            for test in tests:
                self._add("durbin", test, null, small, "SDM", effects)
            rejected[small] = all(test.p_value < self.alpha for test in tests)
            said = " and ".join(f"{test.name.split()[0]} p = {test.p_value:.2g}" for test in tests)
            self.decisions.append(
                f"{small} is {'' if rejected[small] else 'not '}rejected against SDM ({said})."
            )
        chosen, why = self._reduced(rejected)
        self.decisions.append(f"{chosen}: {why}.")
        return chosen

    def _ratio(self, small: str, effects: str, full: MLFit) -> tuple[TestResult, ...]:
        """The likelihood ratio of a simpler model against the SDM; none, which is said, where there
        is none.
        """
        try:
            self.fits[small] = variant(self.model, small, effects).fit_ml()
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

    def _reduced(self, rejected: dict[str, bool]) -> tuple[str, str]:
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

    def level(self, name: str, effects: str) -> Model:
        """Fixed or random effects of the units."""
        fixed = variant(self.model, name, effects)
        if effects not in ("unit", "twoway"):
            return fixed
        random, correlated = (
            variant(self.model, name, kind, period_dummies=effects == "twoway")
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
            _probability(_evidence(random), _evidence(correlated)) if self.bayes else np.nan
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
        if small and self.bayes:
            probability = _probability(
                self._evidence(small, effects), self._evidence(large, effects)
            )
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


def _lacking(fewer: str, given: str) -> str:
    """The null of fewer effects."""
    other = {"unit": "period", "period": "unit"}
    return f"no {other.get(fewer, given.replace('twoway', 'unit or period'))} effects"


def _evidence(model: Model) -> float:
    """log p(y), NaN where there is none."""
    try:
        found = model.log_evidence()
    except ConvergenceError:
        return float("nan")
    return float("nan") if found is None else found


def _probability(restricted: float, full: float) -> float:
    """p(restricted | y) of two models with equal probabilities before."""
    return float(1 / (1 + np.exp(full - restricted)))


def _common_factor(model: Model, draws: int, seed: int) -> pd.DataFrame:
    """The posterior of theta + rho beta (SEM where all are 0) and of theta (SAR)."""
    posterior = model.fit(
        sampler="exact", draws=draws, chains=1, seed=seed, progress=False
    ).posterior
    beta = pd.DataFrame(posterior["beta"].to_numpy()[0], columns=posterior["term"].to_numpy())
    found = {
        "theta + rho beta": common_factor(beta, pd.Series(posterior["rho"].to_numpy()[0])),
        "theta": common_factor(beta, pd.Series(np.zeros(len(beta)))),
    }
    return pd.concat(
        {name: _described(table) for name, table in found.items()}, names=["quantity", "variable"]
    )


def _described(draws: pd.DataFrame, levels: Sequence[float] = (0.025, 0.975)) -> pd.DataFrame:
    quantiles = draws.quantile(list(levels)).T.set_axis(
        [f"{level:.1%}" for level in levels], axis=1
    )
    return pd.concat(
        [draws.mean().rename("mean"), draws.std(ddof=1).rename("sd"), quantiles], axis=1
    )
