"""The members of a sweep, and what each needs to be fitted.

A member is a combination of weights, model, effects, controls, priors and window.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from itertools import product
from typing import Any, TypeAlias

import jax
import numpy as np
import numpyro.distributions as dist
import pandas as pd

from spillover.engine.data.panel import Panel, read_panel
from spillover.engine.estimation.arguments import check_model
from spillover.engine.estimation.exact import refuse_other_priors
from spillover.engine.estimation.problem import (
    Problem,
    Reach,
    build_posterior,
    check_problem,
    choose_lagged,
)
from spillover.engine.sweeps.stacking import Member
from spillover.engine.weights.channels import build_channels
from spillover.engine.weights.weights import Weights
from spillover.kernels.arguments import show, text
from spillover.kernels.arrays import leaf
from spillover.kernels.errors import SpecificationError, SpilloverError
from spillover.kernels.logit import to_rho
from spillover.models.impacts import Channels
from spillover.models.priors import Priors
from spillover.models.spec import EFFECTS, specify

DIMS = ("weights", "model", "effects", "controls", "priors", "window")
ALL = "all"  # the label of the only window there is when none is asked for
DEFAULT = "default"  # likewise of the priors and of the controls
PanelKey: TypeAlias = tuple[str, str, str, frozenset[Any]]  # controls, effects, window, units


@dataclass(frozen=True)
class SweepPlan:
    """What to sweep over; the fields are arguments of `sweep`.

    `weights`, `priors` and `windows` are by label; `controls` gives what each label adds to the
    formula.
    """

    formula: str
    weights: Mapping[str, Weights]
    models: tuple[str, ...]
    effects: tuple[str, ...]
    unit: str | None
    period: str | None
    controls: Mapping[str, str] = field(default_factory=lambda: {DEFAULT: ""})
    priors: Mapping[str, Priors] = field(default_factory=lambda: {DEFAULT: Priors()})
    windows: Mapping[str, tuple[Any, Any] | None] = field(default_factory=lambda: {ALL: None})
    lagged: tuple[str, ...] | None = None

    @cached_property
    def coords(self) -> dict[str, list[str]]:
        """The labels along each dimension of the sweep, in the order of DIMS."""
        labels = (self.weights, self.models, self.effects, self.controls, self.priors, self.windows)
        return dict(zip(DIMS, map(list, labels), strict=True))

    @cached_property
    def labels(self) -> list[tuple[str, ...]]:
        """The members, each by its label along every dimension. The last dimension runs fastest."""
        return list(product(*self.coords.values()))


def check_plan(plan: SweepPlan) -> None:
    """SpecificationError for a plan that no member could follow."""
    for name, labels in plan.coords.items():
        if not labels:
            raise SpecificationError(f"{name} is empty: there would be no member to fit.")
        seen = set()
        for label in labels:
            if not isinstance(label, str) or not label:
                raise SpecificationError(
                    f"{name}: {show(label)} is no name; give text that is not empty."
                )
            if label in seen:
                raise SpecificationError(f"{name}: {label!r} is listed twice.")
            seen.add(label)
    for name, weights in plan.weights.items():
        for priors in plan.priors.values():
            check_model(
                weights, None, priors, unit=plan.unit, period=plan.period, name=f"weights[{name!r}]"
            )
    for name, extra in plan.controls.items():
        text(f"controls[{name!r}]", extra, example="x3 + x4")
    for name, span in plan.windows.items():
        if span is not None and (
            isinstance(span, str) or not isinstance(span, Sequence) or len(span) != 2
        ):
            raise SpecificationError(
                f"windows[{name!r}] is {show(span)}: give its first and last period, such as"
                " (1990, 1999)."
            )
    for model, effects in product(plan.models, plan.effects):
        if specify(model, effects).random:
            raise SpecificationError(
                f"effects={effects!r}: a sweep takes fixed effects,"
                f" {', '.join(map(repr, EFFECTS))}."
            )


@dataclass(frozen=True)
class SweepData:
    """A plan with its data.

    `panels` has one panel for each (controls, effects, window, set of units), or the reason why
    there is none.
    """

    plan: SweepPlan
    panels: Mapping[PanelKey, Panel | str]


def read_plan(
    plan: SweepPlan, data: pd.DataFrame, functions: Mapping[str, Callable[..., Any]] | None = None
) -> SweepData:
    """Read the panels of a plan.

    Weights of the same units in another order share a panel, in the order of the first.

    Parameters
    ----------
    plan : SweepPlan
        What to sweep over.
    data : DataFrame
        The data.
    functions : dict of str to callable, optional
        Functions of the user's own that the formulas may call.

    Returns
    -------
    SweepData
        The plan with its panels.
    """
    check_plan(plan)
    orders = {_key_units(weights): weights for weights in reversed(list(plan.weights.values()))}
    panels: dict[PanelKey, Panel | str] = {}
    for (control, extra), effects, (window, span) in product(
        plan.controls.items(), plan.effects, plan.windows.items()
    ):
        formula = f"{plan.formula} + {extra}" if extra else plan.formula
        for key, weights in orders.items():
            try:
                frame = _select_window(data, plan.period, span)
                given: dict[str, Any] = {
                    "unit": plan.unit,
                    "period": plan.period,
                    "functions": functions,
                }
                panel: Panel | str = read_panel(formula, frame, weights, effects=effects, **given)
            except SpilloverError as error:
                panel = str(error)
            panels[control, effects, window, key] = panel
    _refuse_other_periods(panels)
    if all(isinstance(panel, str) for panel in panels.values()):
        raise SpecificationError(f"No member of the sweep has data. {next(iter(panels.values()))}")
    return SweepData(plan, panels)


def _refuse_other_periods(panels: Mapping[PanelKey, Panel | str]) -> None:
    """SpecificationError for controls whose lags use up different periods.

    The evidences of different data do not compare.
    """
    known: dict[tuple[Any, ...], tuple[str, int]] = {}
    for (control, *others), panel in panels.items():
        if isinstance(panel, str):
            continue
        first, before = known.setdefault(tuple(others), (control, len(panel.before)))
        if before != len(panel.before):
            what = (
                f"the lags of the controls {first!r} and {control!r} use up {before} and"
                f" {len(panel.before)} periods"
            )
            raise SpecificationError(
                f"{what}, and models of different data do not compare: give all of them the same"
                " longest lag, or sweep them apart."
            )


def _key_units(weights: Weights) -> frozenset[Any]:
    """The units of weights, in whichever order."""
    return frozenset(weights.ids)


def _select_window(
    data: pd.DataFrame, period: str | None, span: tuple[Any, Any] | None
) -> pd.DataFrame:
    """The rows of the data in a window of periods."""
    if span is None:
        return data
    if period is None or not isinstance(data, pd.DataFrame) or period not in data:
        raise SpecificationError(
            "windows need a pandas DataFrame and its column period= to choose from."
        )
    try:
        chosen = data[(data[period] >= span[0]) & (data[period] <= span[1])]
    except (TypeError, ValueError) as error:
        # pandas raises the latter for arrays, and for text that is no date
        what = (
            f"the window from {show(span[0])} to {show(span[1])} does not compare with the"
            f" periods, of type {data[period].dtype}"
        )
        raise SpecificationError(f"{what}: give it as they are.") from error
    if chosen.empty:
        raise SpecificationError(
            f"No row of the data lies in the window from {span[0]} to {span[1]}."
        )
    return chosen


def problem_of(source: SweepData, label: tuple[str, ...]) -> Problem:
    """The problem of a member. SpilloverError where it has none."""
    plan = source.plan
    name, model, effects, control, priors, window = label
    weights = plan.weights[name]
    panel = source.panels[control, effects, window, _key_units(weights)]
    if isinstance(panel, str):
        raise SpecificationError(panel)
    weights = weights if weights.ids.equals(panel.units) else weights[panel.units]
    spec, extra = specify(model, effects), plan.controls[control]
    problem = Problem(
        spec=spec,
        formula=f"{plan.formula} + {extra}" if extra else plan.formula,
        panel=panel,
        weights=weights,
        error_weights=weights,
        lagged=choose_lagged(spec, panel, plan.lagged if spec.durbin else None),
        priors=plan.priors[priors],
    )
    return check_problem(problem)


def member_of(problem: Problem, ranges: tuple[Reach, Reach] | None = None) -> Member:
    """What the exact sampler of many needs of a problem.

    Parameters
    ----------
    problem : Problem
        The problem.
    ranges : pair of Reach, optional
        Logit variables of rho and of lambda between which the log-determinants are to be good; by
        default where they usually are.

    Returns
    -------
    Member
        The posterior, and what carries the impacts.
    """
    posterior = build_posterior(problem) if ranges is None else build_posterior(problem, ranges)
    refuse_other_priors(posterior)
    rho = np.zeros(1)
    if ranges is not None and posterior.likelihood.lag is not None:
        rho = np.asarray(to_rho(np.asarray(ranges[0]), posterior.likelihood.lag.bounds))
    return Member(posterior, route_of(problem, rho), problem.design.own, problem.design.lagged)


def route_of(problem: Problem, rho: np.ndarray) -> Channels:
    """What carries the impacts of a model, good at the values of rho, as arrays of one type."""
    carried = build_channels(problem.weights, rho if problem.spec.lag else None)
    return carried._replace(mean_row_sum=leaf(carried.mean_row_sum))


def _list_content(family: Any) -> Any:
    """A prior as its kind and its numbers, with all digits."""
    if isinstance(family, dict):
        return {term: _list_content(part) for term, part in family.items()}
    if isinstance(family, dist.Distribution):
        base = getattr(family, "base_dist", None)
        return (
            type(family).__qualname__,
            [np.asarray(part).tolist() for part in jax.tree.leaves(family)],
            _list_content(base),
        )
    if is_dataclass(family):
        return type(family).__qualname__, [
            _list_content(getattr(family, entry.name)) for entry in fields(family)
        ]
    return None if family is None else np.asarray(family).tolist()


def compute_digest(source: SweepData, settings: Mapping[str, Any]) -> str:
    """Compute the SHA-256 of everything that the numbers depend on: data, weights, plan,
    settings.
    """
    plan, content = source.plan, hashlib.sha256()
    parts = [
        plan.formula,
        plan.models,
        plan.effects,
        plan.unit,
        plan.period,
        dict(plan.controls),
        dict(plan.windows),
        plan.lagged,
    ]
    # As a record of version 0.1.0 printed itself, so that its stores are still known.
    given = ", ".join(f"{name}={value!r}" for name, value in settings.items())
    text = ", ".join(map(repr, parts))
    content.update(f"[{text}, Settings({given})]".encode())
    for name, weights in plan.weights.items():
        content.update(
            repr((name, weights.digest, weights.given_bounds, list(weights.ids))).encode()
        )
    for name, priors in plan.priors.items():
        content.update(
            repr(
                (name, [_list_content(getattr(priors, entry.name)) for entry in fields(priors)])
            ).encode()
        )
    for key, panel in source.panels.items():
        content.update(repr(key[:3]).encode())
        if isinstance(panel, str):
            content.update(panel.encode())
        else:
            content.update(
                panel.y.tobytes()
                + panel.x.tobytes()
                + repr((panel.names, list(panel.periods))).encode()
            )
    return content.hexdigest()
