"""A whole study: run the steps of its plan, and turn the findings into tables and a report."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from spillover.engine.data.indices import Index, entropy_index
from spillover.engine.data.interpolation import Filled, interpolate_panel
from spillover.engine.estimation.ml import MLFit
from spillover.engine.estimation.model import SDM, Model
from spillover.engine.estimation.results import Fit
from spillover.engine.exploration.moran import MoranLocal, MoranPanel, moran, moran_local
from spillover.engine.labels import align, few
from spillover.engine.progress import show_stages
from spillover.engine.reporting.page import write_report
from spillover.engine.specification.selection import Selection, respecify, select_model
from spillover.engine.storage.output import check_output, publish
from spillover.engine.studies.findings import Findings
from spillover.engine.studies.plan import AUTO, StudyPlan
from spillover.engine.studies.sections import make_report
from spillover.engine.studies.tables import make_tables
from spillover.engine.sweeps.results import Sweep
from spillover.engine.sweeps.sweep import sweep
from spillover.engine.weights.weights import Weights
from spillover.kernels.arguments import front_doors, path
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
# a false-discovery rate over all units needs p-values well below 0.05 / N, hence many permutations
LOCAL_PERMUTATIONS = 9999


@front_doors
@dataclass(frozen=True, eq=False, repr=False)
class Study:
    """A finished study: what each of its steps found, the tables, and the report.

    `spillover.study` makes it from a TOML file.

    Parameters
    ----------
    findings : Findings
        The plan and the result of every step; the study has each of them as an attribute too.

    Examples
    --------
    >>> import spillover as so
    >>> study = so.study("study.toml")  # doctest: +SKIP
    >>> study.tables["impacts"]  # doctest: +SKIP
    >>> study.write()  # doctest: +SKIP
    """

    findings: Findings

    def __repr__(self) -> str:
        return f"Study {self.plan.title!r}: {self.model!r}"

    @property
    def plan(self) -> StudyPlan:
        """What was to be done: the TOML file as a record."""
        return self.findings.plan

    @property
    def filled(self) -> Filled:
        """The panel without gaps, and the list of the cells that were filled."""
        return self.findings.filled

    @property
    def indices(self) -> Mapping[str, Index]:
        """The composite indices, by name."""
        return self.findings.indices

    @property
    def frame(self) -> pd.DataFrame:
        """The panel without gaps, with a column for each composite index."""
        return self.findings.frame

    @property
    def weights(self) -> Mapping[str, Weights]:
        """The spatial weights, by name."""
        return self.findings.weights

    @property
    def moran(self) -> Mapping[str, MoranPanel]:
        """Moran's I by period of the response and of each explored variable."""
        return self.findings.moran

    @property
    def local(self) -> Mapping[str, MoranLocal]:
        """Local Moran's I in the last period, of the same variables."""
        return self.findings.local

    @property
    def moran_by_weights(self) -> pd.DataFrame:
        """Moran's I of the response: a row for each period, a column for each of the weights."""
        return self.findings.moran_by_weights

    @property
    def selection(self) -> Selection:
        """The specification tests and the model that they lead to."""
        return self.findings.selection

    @property
    def model(self) -> Model:
        """The reported model: the one the plan names, or else the one selected."""
        return self.findings.model

    @property
    def fit(self) -> Fit:
        """The posterior of the reported model, by NUTS."""
        return self.findings.fit

    @property
    def ml(self) -> MLFit:
        """The maximum-likelihood fit of the reported model."""
        return self.findings.ml

    @property
    def alternatives(self) -> Mapping[str, MLFit | ConvergenceError]:
        """The alternatives by maximum likelihood; an error where a likelihood has no maximum."""
        return self.findings.alternatives

    @property
    def robustness(self) -> Sweep:
        """Every model of the sweep under each of its weights."""
        return self.findings.robustness

    @cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Every table of the report by name, unrounded."""
        return make_tables(self.findings)

    def write(self, folder: str | Path | None = None, *, overwrite: bool = False) -> list[Path]:
        """Write the report (HTML), its tables (CSV, LaTeX), its figures (PNG) and the posterior.

        The folder of an earlier report is replaced as a whole, once the new one is complete.

        Parameters
        ----------
        folder : str or path, optional
            Where to write; by default the output of the plan.
        overwrite : bool, default False
            Write even into a folder that holds other files; those of the same names are replaced.

        Returns
        -------
        list of pathlib.Path
            The files that were written: report.html first, posterior.nc (NetCDF) last.

        Raises
        ------
        StorageError
            Before anything is written, for a folder that holds files which spillover did not write
            or which were changed since; and for an error of the disk.

        Examples
        --------
        >>> import spillover as so
        >>> so.study("study.toml").write("report")  # doctest: +SKIP
        """
        output = self.plan.output if folder is None else path("folder", folder)
        check_output(output, overwrite)
        return publish(output, self._write_files)

    def _write_files(self, folder: Path) -> list[Path]:
        """Write the report, its tables and figures, and the posterior into an empty folder."""
        paths = write_report(make_report(self.findings, self.tables), folder)
        self.fit.save(folder / "posterior.nc")
        return [*paths, folder / "posterior.nc"]


def run_study(plan: StudyPlan, *, progress: bool = True) -> Study:
    """Run the steps of a plan one after the other, from the gaps in the data to the sweep over W.

    Parameters
    ----------
    plan : StudyPlan
        The study, as `spillover.engine.config.study.read_study` reads it.
    progress : bool, default True
        Show which step is running.

    Returns
    -------
    Study
        The result of every step.

    Raises
    ------
    SpilloverError
        For data, weights or models that do not fit together; where possible, before anything is
        fitted.
    """
    with show_stages(STAGES, show=progress) as start:
        start("data and indices")
        filled = fill_gaps(plan)
        indices = {
            name: entropy_index(filled.frame, **dict(given)) for name, given in plan.indices.items()
        }
        frame = filled.frame.assign(**{name: one.index for name, one in indices.items()})
        start("weights")
        weights = plan.weights_of(frame)
        base = _make_durbin(plan, frame, weights[plan.main])
        _check(plan, base)
        start("exploration")
        autocorrelation = _explore(plan, frame, weights, base)
        start("tests")
        selection = select_model(base, seed=plan.seed)
        start("posterior")
        model = selection.model if plan.name == AUTO else respecify(base, plan.name, plan.effects)
        fit = model.fit(seed=plan.seed, progress=False, **dict(plan.sampler))
        ml = model.fit_ml()
        start("alternatives")
        alternatives = {
            name: _fit_ml(respecify(base, name, plan.effects)) for name in plan.alternatives
        }
        start("sweep over weights")
        robustness = _sweep(plan, frame, weights)
    findings = Findings(
        plan=plan,
        filled=filled,
        indices=indices,
        frame=frame,
        weights=weights,
        moran=autocorrelation.by_period,
        local=autocorrelation.local,
        moran_by_weights=autocorrelation.by_weights,
        selection=selection,
        model=model,
        fit=fit,
        ml=ml,
        alternatives=alternatives,
        robustness=robustness,
    )
    return Study(findings)


def fill_gaps(plan: StudyPlan) -> Filled:
    """Fill the gaps of a plan's panel, if the plan says so.

    Raises
    ------
    DataError
        For an indicator with missing values where the plan does not say to fill them.
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


def _make_durbin(plan: StudyPlan, frame: pd.DataFrame, weights: Weights) -> Model:
    """The Durbin model with the plan's effects, from which the other models are derived."""
    return SDM(
        plan.formula,
        frame,
        weights,
        effects=plan.effects,
        unit=plan.unit,
        period=plan.period,
        lagged=None if plan.lagged is None else list(plan.lagged),
    )


def _check(plan: StudyPlan, base: Model) -> None:
    """Refuse places whose units are not the data's, and true values of unknown parameters."""
    if plan.places is not None:
        apart = base.panel.units.symmetric_difference(plan.places.index)
        if len(apart):
            raise DataError(
                f"[map] of {plan.where} and the data do not have the same units: {few(apart)} in"
                " one of them only."
            )
    terms = base.design.terms
    unknown = [
        name for name in plan.truth if name not in (*terms, "rho", "lam", "sigma", "sigma_alpha")
    ]
    if unknown:
        raise DataError(
            f"[truth] of {plan.where} names {unknown[0]!r}; the parameters are"
            f" {', '.join(terms)}, rho, lam, sigma."
        )


class _Autocorrelation(NamedTuple):
    """Moran's I by period, by unit in the last period, and of y under each of the weights."""

    by_period: dict[str, MoranPanel]
    local: dict[str, MoranLocal]
    by_weights: pd.DataFrame


def _explore(
    plan: StudyPlan, frame: pd.DataFrame, weights: Mapping[str, Weights], base: Model
) -> _Autocorrelation:
    """The spatial autocorrelation of y and of the variables that the plan names."""
    main, wide = weights[plan.main], _widen(plan, frame, base)
    permutations = plan.explore.get("permutations", 999)
    fdr = plan.explore.get("fdr", 0.05)
    by_period = {
        name: moran(table, main, permutations=permutations, seed=plan.seed)
        for name, table in wide.items()
    }
    local = {
        name: moran_local(
            table.iloc[:, -1].rename(name),
            main,
            fdr=fdr,
            permutations=LOCAL_PERMUTATIONS,
            seed=plan.seed,
        )
        for name, table in wide.items()
    }
    response = wide[base.panel.response]
    by_weights = {
        name: moran(response, W, permutations=0).table["I"] for name, W in weights.items()
    }
    return _Autocorrelation(by_period, local, pd.DataFrame(by_weights))


def _widen(plan: StudyPlan, frame: pd.DataFrame, base: Model) -> dict[str, pd.DataFrame]:
    """y and the variables to explore: a row for each unit, a column for each period."""
    panel = base.panel
    wide = {
        panel.response: pd.DataFrame(
            panel.y.T, panel.units.rename(plan.unit), panel.periods.rename(plan.period)
        )
    }
    for name in plan.explore.get("variables", ()):
        if name == panel.response:
            continue
        if name not in frame.columns:
            raise DataError(
                f"[explore] of {plan.where} names {name!r}, which is no column of the data."
            )
        wide[name] = frame.pivot(index=plan.unit, columns=plan.period, values=name)
    return wide


def _fit_ml(model: Model) -> MLFit | ConvergenceError:
    """The maximum-likelihood fit, or the error that says why there is none."""
    try:
        return model.fit_ml()
    except ConvergenceError as error:
        return error


def _sweep(plan: StudyPlan, frame: pd.DataFrame, weights: Mapping[str, Weights]) -> Sweep:
    """Fit every model of the plan's sweep under each of its weights."""
    chosen = {name: weights[name] for name in plan.sweep.get("weights", weights)}
    for one in chosen.values():
        align(weights[plan.main].ids, one.ids)  # refuses weights of other units
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
