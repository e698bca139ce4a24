"""An empirical study in one call: gaps, indices, weights, exploration, tests, models, impacts,
robustness.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import pandas as pd

from spillover.engine.config.study import read_study
from spillover.engine.data.indices import Index, entropy_index
from spillover.engine.data.interpolation import Filled, interpolate_panel
from spillover.engine.estimation import model as models
from spillover.engine.estimation.ml import MLFit
from spillover.engine.estimation.results import Fit
from spillover.engine.exploration.moran import MoranLocal, MoranPanel, moran, moran_local
from spillover.engine.labels import align, few
from spillover.engine.progress import stages
from spillover.engine.specification.selection import Selection, select_model, variant
from spillover.engine.studies.plan import AUTO, StudyPlan
from spillover.engine.sweeps.results import Sweep
from spillover.engine.sweeps.sweep import sweep
from spillover.engine.weights.weights import Weights
from spillover.kernels.arguments import front_door, front_doors, path
from spillover.kernels.errors import ConvergenceError, DataError

STAGES = (
    "data and indices",
    "weights",
    "exploration",
    "tests",
    "posterior",
    "alternatives",
    "sweep over weights",
)
LOCAL = (
    9999  # permutations of local tests: a false-discovery rate over the units needs small p-values
)


@front_doors
@dataclass(frozen=True, eq=False, repr=False)
class Study:
    """What a study found.

    `filled`: the panel without gaps, and what was filled; `indices`: composite indices by name;
    `frame`: the panel with them; `weights`: by name; `moran`, `local`: Moran's I by period and of
    every unit in the last period, by variable; `moran_by_weights`: I by period of y, under each of
    the weights; `selection`: the decision path; `model`: the one that is reported, with its
    posterior `fit` and maximum-likelihood fit `ml`; `alternatives`: maximum-likelihood fits by
    name, or why there is none; `robustness`: the sweep.
    """

    plan: StudyPlan
    filled: Filled
    indices: Mapping[str, Index]
    frame: pd.DataFrame
    weights: Mapping[str, Weights]
    moran: Mapping[str, MoranPanel]
    local: Mapping[str, MoranLocal]
    moran_by_weights: pd.DataFrame
    selection: Selection
    model: models.Model
    fit: Fit
    ml: MLFit
    alternatives: Mapping[str, MLFit | ConvergenceError]
    robustness: Sweep

    def __repr__(self) -> str:
        return f"Study {self.plan.title!r}: {self.model!r}"

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Every table of the report by name, unrounded."""
        from spillover.engine.studies.tables import tables

        return tables(self)

    def write(self, folder: str | Path | None = None, *, overwrite: bool = False) -> list[Path]:
        """Write the report (HTML), its tables (CSV, LaTeX) and figures (PNG), and the posterior
        (NetCDF); by default to the plan's output.

        The folder of an earlier report is replaced as a whole, once the new one is complete.
        `overwrite`: write into a folder with other files too, over those of the same names. Returns
        what was written. StorageError, before anything is written, for a folder that holds what
        spillover did not write, or what was changed since; and for what the disk refuses.
        """
        from spillover.engine.storage.output import check_output, publish

        output = self.plan.output if folder is None else path("folder", folder)
        check_output(output, overwrite)
        return publish(output, partial(_write, self))


def _write(study: Study, folder: Path) -> list[Path]:
    """Everything that is published of a study, into an empty folder."""
    from spillover.engine.reporting.page import write
    from spillover.engine.studies.sections import report

    paths = write(report(study), folder)
    study.fit.save(folder / "posterior.nc")
    return [*paths, folder / "posterior.nc"]


@front_door
def study(config: str | Path | StudyPlan, *, progress: bool = True) -> Study:
    """The study that a TOML file describes, from the data to the sweep over weights; `Study.write`
    makes the report.

    Missing values are filled within units, composite indices weighted by entropy, weights built
    from files, places and the data; then Moran's I, the specification tests, the model by NUTS and
    by maximum likelihood with its impacts, the alternatives, and every model under every W.

    `config`: the path of a TOML file (`spillover.engine.config.study.read_study` lists its keys),
    or what that function returns. SpilloverError for what does not fit, by name.

    >>> import spillover as so
    >>> so.study("nowhere.toml")
    Traceback (most recent call last):
    ...
    spillover.kernels.errors.SpecificationError: There is no file nowhere.toml.
    """
    plan = config if isinstance(config, StudyPlan) else read_study(path("config", config))
    with stages(STAGES, show=progress) as start:
        start(STAGES[0])
        filled = prepared(plan)
        indices = {
            name: entropy_index(filled.frame, **dict(given)) for name, given in plan.indices.items()
        }
        frame = filled.frame.assign(**{name: found.index for name, found in indices.items()})
        start(STAGES[1])
        weights = plan.weights_of(frame)
        base = _model(plan, frame, weights[plan.main])
        _check(plan, base)
        start(STAGES[2])
        global_, local, by_weights = _explored(plan, frame, weights, base)
        start(STAGES[3])
        selection = select_model(base, seed=plan.seed)
        start(STAGES[4])
        model = selection.model if plan.name == AUTO else variant(base, plan.name, plan.effects)
        fit, ml = model.fit(seed=plan.seed, progress=False, **dict(plan.sampler)), model.fit_ml()
        start(STAGES[5])
        alternatives = {
            name: _estimated(variant(base, name, plan.effects)) for name in plan.alternatives
        }
        start(STAGES[6])
        robustness = _swept(plan, frame, weights)
    return Study(
        plan,
        filled,
        indices,
        frame,
        weights,
        global_,
        local,
        by_weights,
        selection,
        model,
        fit,
        ml,
        alternatives,
        robustness,
    )


def prepared(plan: StudyPlan) -> Filled:
    """The panel with its gaps filled where the plan says so; DataError for missing values where it
    does not.
    """
    if plan.fill is not None:
        return interpolate_panel(plan.frame, unit=plan.unit, period=plan.period, **dict(plan.fill))
    used = {
        name
        for given in plan.indices.values()
        for side in ("positive", "negative")
        for name in given.get(side, ())
    }
    gaps = plan.frame[[name for name in plan.frame.columns if name in used]].isna().sum()
    if gaps.any():
        raise DataError(
            f"Column {gaps.idxmax()!r} of {plan.where} has {gaps.max()} missing values: add an"
            " empty table [fill] to fill them in."
        )
    return Filled(plan.frame, pd.DataFrame(columns=["unit", "period", "column", "value", "how"]))


def _model(plan: StudyPlan, frame: pd.DataFrame, weights: Weights) -> models.Model:
    """The Durbin model with the plan's effects, from which the others are derived."""
    lagged = None if plan.lagged is None else list(plan.lagged)
    return models.SDM(
        plan.formula,
        frame,
        weights,
        effects=plan.effects,
        unit=plan.unit,
        period=plan.period,
        lagged=lagged,
    )


def _check(plan: StudyPlan, base: models.Model) -> None:
    """Refuse, before anything is fitted, places that are not those of the units and truths of what
    is no parameter.
    """
    if plan.places is not None:
        apart = base.panel.units.symmetric_difference(plan.places.index)
        if len(apart):
            raise DataError(
                f"[map] of {plan.where} and the data do not have the same units: {few(apart)} in"
                " one of them only."
            )
    unknown = [
        name
        for name in plan.truth
        if name not in (*base.design.terms, "rho", "lam", "sigma", "sigma_alpha")
    ]
    if unknown:
        raise DataError(
            f"[truth] of {plan.where} names {unknown[0]!r}; the parameters are"
            f" {', '.join(base.design.terms)}, rho, lam, sigma."
        )


def _explored(
    plan: StudyPlan, frame: pd.DataFrame, weights: Mapping[str, Weights], base: models.Model
) -> tuple[dict[str, MoranPanel], dict[str, MoranLocal], pd.DataFrame]:
    """Moran's I by period and of the units in the last period, of y and the plan's variables; and I
    of y under each of the weights.
    """
    panel, main = base.panel, weights[plan.main]
    layout = {
        panel.response: pd.DataFrame(
            panel.y.T, panel.units.rename(plan.unit), panel.periods.rename(plan.period)
        )
    }
    for name in plan.explore.get("variables", ()):
        if name not in frame.columns and name != panel.response:
            raise DataError(
                f"[explore] of {plan.where} names {name!r}, which is no column of the data."
            )
        if name != panel.response:
            layout[name] = frame.pivot(index=plan.unit, columns=plan.period, values=name)
    permutations = {"permutations": plan.explore.get("permutations", 999), "seed": plan.seed}
    found = {name: moran(table, main, **permutations) for name, table in layout.items()}
    options = {"fdr": plan.explore.get("fdr", 0.05), "permutations": LOCAL, "seed": plan.seed}
    local = {
        name: moran_local(table.iloc[:, -1].rename(name), main, **options)
        for name, table in layout.items()
    }
    each = {
        name: moran(layout[panel.response], one, permutations=0).table["I"]
        for name, one in weights.items()
    }
    return found, local, pd.DataFrame(each)


def _estimated(model: models.Model) -> MLFit | ConvergenceError:
    try:
        return model.fit_ml()
    except ConvergenceError as error:
        return error


def _swept(plan: StudyPlan, frame: pd.DataFrame, weights: Mapping[str, Weights]) -> Sweep:
    """Every model of the sweep under every W."""
    chosen = {name: weights[name] for name in plan.sweep.get("weights", weights)}
    for one in chosen.values():
        align(weights[plan.main].ids, one.ids)
    return sweep(
        plan.formula,
        frame,
        chosen,
        models=plan.sweep["models"],
        effects=[plan.effects],
        unit=plan.unit,
        period=plan.period,
        lagged=plan.lagged,
        draws=plan.sweep.get("draws", 1000),
        seed=plan.seed,
        progress=False,
    )
