"""A study from its TOML file, and its main tables on the terminal."""

from pathlib import Path

import pandas as pd
from rich.table import Table

from spillover.engine.config.study import read_study
from spillover.engine.studies.plan import StudyPlan
from spillover.engine.studies.study import Study, run_study
from spillover.engine.terminal.tables import draw_table
from spillover.kernels.arguments import front_door, path


@front_door
def study(config: str | Path | StudyPlan, *, progress: bool = True) -> Study:
    """Run the study that a TOML file describes, from the data to the sensitivity to W.

    Gaps are filled within units, composite indices weighted by entropy, and the spatial weights
    built from files, places and the data. Then follow Moran's I, the specification tests, the model
    by NUTS and by maximum likelihood with its impacts, the alternatives by maximum likelihood, and
    every model under every W. `Study.write` writes the report.

    Parameters
    ----------
    config : str, path or StudyPlan
        The path of a TOML file; the README and `spillover.engine.config.study.read_study` list its
        keys. Or the plan that this function makes from such a file.
    progress : bool, default True
        Show on the standard error stream which step is running.

    Returns
    -------
    Study
        The result of every step, the tables, and `Study.write`.

    Raises
    ------
    SpecificationError
        For a file that does not exist or is not valid TOML, and for keys that are unknown, missing
        or have a wrong value.
    SpilloverError
        For data, weights or a model that do not fit together. The message names the culprit.

    Examples
    --------
    >>> import spillover as so
    >>> so.study("nowhere.toml")
    Traceback (most recent call last):
    ...
    spillover.kernels.errors.SpecificationError: There is no file nowhere.toml.
    """
    plan = config if isinstance(config, StudyPlan) else read_study(path("config", config))
    return run_study(plan, progress=progress)


def draw_tables(study: Study) -> list[Table]:
    """The tests, the coefficients and the impacts, cut to the width of a terminal.

    The report has every column and every digit.
    """
    tables, spec = study.tables, study.model.spec
    tests = tables["tests"][["statistic", "df", "p_value", "probability_of_null"]]
    drawn = [
        draw_table(tests, "Specification tests"),
        draw_table(
            _select_columns(tables["coefficients"]), f"{spec.name} with {spec.effects} effects"
        ),
        draw_table(_select_columns(tables["impacts"]), "Impacts"),
    ]
    if "truth" in tables:
        truth = tables["truth"][["truth", "posterior mean", "2.5 %", "97.5 %"]]
        drawn.append(draw_table(truth, "The truth of the simulated data, and the posterior"))
    return drawn


def _select_columns(table: pd.DataFrame) -> pd.DataFrame:
    """Maximum likelihood and the posterior, two columns each."""
    columns = {
        "ML": ("ML", "estimate"),
        "std error": ("ML", "std_error"),
        "mean": ("Bayes", "mean"),
        "sd": ("Bayes", "sd"),
    }
    return pd.DataFrame({name: table[column] for name, column in columns.items()})
