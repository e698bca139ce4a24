"""The members of a sweep: every combination of weights, model, effects, controls, priors and window, and what each needs to be fitted."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from spillover.engine.batch import Member
from spillover.engine.exact import refuse_other_priors
from spillover.engine.fit import Model, lagged_variables
from spillover.engine.panel import Panel, read_panel
from spillover.engine.spatial import channels
from spillover.engine.weights import Weights
from spillover.kernels.errors import SpecificationError, SpilloverError
from spillover.kernels.leaf import leaf
from spillover.models import design as designs
from spillover.models.posterior import Posterior
from spillover.models.priors import Priors
from spillover.models.spec import specify

DIMS = ("weights", "model", "effects", "controls", "priors", "window")
ALL = "all"  # the label of the only window there is when none is asked for
DEFAULT = "default"  # likewise of the priors and of the controls


@dataclass(frozen=True)
class Plan:
    """What to sweep over. `weights`, `priors`, `windows` by label; `controls`: labels to what is added to the formula."""

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

    @property
    def coords(self) -> dict[str, list[str]]:
        """The labels along each dimension of the sweep, in the order of DIMS."""
        labels = (self.weights, self.models, self.effects, self.controls, self.priors, self.windows)
        return dict(zip(DIMS, map(list, labels), strict=True))

    @property
    def labels(self) -> list[tuple[str, ...]]:
        """The members, each by its label along every dimension, the last dimension running fastest."""
        return list(product(*self.coords.values()))


def check(plan: Plan) -> None:
    """Refuse a plan that no member could follow."""
    if not plan.weights:
        raise SpecificationError("weights is empty: give a dict of at least one name and spillover.Weights.")
    for name, weights in plan.weights.items():
        if not isinstance(weights, Weights):
            raise SpecificationError(f"weights[{name!r}] is a {type(weights).__name__}: make it spillover.Weights(matrix, ids) first.")
    for name, priors in plan.priors.items():
        if not isinstance(priors, Priors):
            raise SpecificationError(f"priors[{name!r}] is a {type(priors).__name__}: make it spillover.Priors(...).")
    for labels in plan.coords.values():
        repeated = [label for label in labels if labels.count(label) > 1]
        if repeated:
            raise SpecificationError(f"{repeated[0]!r} is listed twice.")
    for model, effects in product(plan.models, plan.effects):
        specify(model, effects)


@dataclass(frozen=True)
class Source:
    """A plan with its data: the panel of each (controls, effects, window, order of units), read once, or why it cannot be."""

    plan: Plan
    panels: Mapping[tuple, Panel | str]
    contrasts: bool


def read(plan: Plan, data: pd.DataFrame) -> Source:
    """The panels of a plan. Weights with the same units in another order share a panel in the order of the first."""
    check(plan)
    orders = {_units(weights): weights for weights in reversed(plan.weights.values())}
    panels: dict[tuple, Panel | str] = {}
    for (control, extra), effects, (window, span) in product(plan.controls.items(), plan.effects, plan.windows.items()):
        formula = f"{plan.formula} + {extra}" if extra else plan.formula
        for key, weights in orders.items():
            try:
                frame = _within(data, plan.period, span)
                panel: Panel | str = read_panel(formula, frame, weights, unit=plan.unit, period=plan.period, effects=effects)
            except SpilloverError as error:
                panel = str(error)
            panels[control, effects, window, key] = panel
    if all(isinstance(panel, str) for panel in panels.values()):
        raise SpecificationError(f"No member of the sweep has data. {next(iter(panels.values()))}")
    return Source(plan, panels, all(weights.is_row_standardized for weights in plan.weights.values()))


def _units(weights: Weights) -> frozenset:
    return frozenset(weights.ids)


def _within(data: pd.DataFrame, period: str | None, span: tuple[Any, Any] | None) -> pd.DataFrame:
    if span is None:
        return data
    if period is None or period not in data:
        raise SpecificationError("windows need the column period= to choose from.")
    chosen = data[(data[period] >= span[0]) & (data[period] <= span[1])]
    if chosen.empty:
        raise SpecificationError(f"No row of the data lies in the window from {span[0]} to {span[1]}.")
    return chosen


def model_of(source: Source, label: tuple[str, ...]) -> Model:
    """The model of a member; SpilloverError where it cannot be.

    Period effects leave by contrasts where every W of the sweep is row-standardised, and as dummies for all of them where one is not, so
    that all members of one kind of effects have the same observations and their evidences compare.
    """
    plan = source.plan
    name, model, effects, control, priors, window = label
    weights = plan.weights[name]
    panel = source.panels[control, effects, window, _units(weights)]
    if isinstance(panel, str):
        raise SpecificationError(panel)
    weights = weights if weights.ids.equals(panel.units) else weights[panel.units]
    spec = specify(model, effects)
    lagged = lagged_variables(spec, panel, plan.lagged if spec.durbin else None)
    formula = f"{plan.formula} + {plan.controls[control]}" if plan.controls[control] else plan.formula
    made = Model(spec, formula, panel, weights, weights, lagged, plan.priors[priors], source.contrasts)
    designs.check(made.design, made.effects)
    return made


def member_of(model: Model, posterior: Posterior | None = None) -> Member:
    """What a sampler of many needs of a model; without a posterior that knows where it lies, what the exact sampler does."""
    if posterior is None:
        posterior = model.unplaced()
        refuse_other_priors(posterior)
    carried = channels(model.weights, np.zeros(1) if model.spec.lag else None)
    route = carried._replace(mean_row_sum=leaf(carried.mean_row_sum))
    return Member(posterior, route, model.design.own, model.design.lagged)


def digest(source: Source, settings: Sequence[Any]) -> str:
    """The sha256 of everything the numbers depend on: data, weights, plan, settings."""
    plan, found = source.plan, hashlib.sha256()
    parts = [plan.formula, plan.models, plan.effects, plan.unit, plan.period, dict(plan.controls), dict(plan.windows), plan.lagged]
    found.update(repr([*parts, source.contrasts, *settings]).encode())
    for name, weights in plan.weights.items():
        found.update(repr((name, weights.digest, weights.given_bounds, list(weights.ids))).encode())
    for name, priors in plan.priors.items():
        found.update(repr((name, priors)).encode())
    for key, panel in source.panels.items():
        found.update(repr(key[:3]).encode())
        if isinstance(panel, str):
            found.update(panel.encode())
        else:
            found.update(panel.y.tobytes() + panel.x.tobytes() + repr((panel.names, list(panel.periods))).encode())
    return found.hexdigest()
