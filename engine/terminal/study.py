"""A study on the terminal."""

from typing import TYPE_CHECKING

import pandas as pd
from rich.table import Table

from spillover.engine.terminal.fit import framed

if TYPE_CHECKING:
    from spillover.engine.studies.study import Study


def for_terminal(study: "Study") -> list[Table]:
    """The tests, the coefficients and the impacts, cut to the width of a terminal: the report has
    every column and digit.
    """
    tests = study.tables["tests"][["statistic", "df", "p_value", "probability_of_null"]]
    found = [
        framed(tests, "Specification tests"),
        framed(
            _sides(study.tables["coefficients"]),
            f"{study.model.spec.name} with {study.model.spec.effects} effects",
        ),
        framed(_sides(study.tables["impacts"]), "Impacts"),
    ]
    if "truth" in study.tables:
        table = study.tables["truth"][["truth", "posterior mean", "2.5 %", "97.5 %"]]
        found.append(framed(table, "The truth of the simulated data, and the posterior"))
    return found


def _sides(table: pd.DataFrame) -> pd.DataFrame:
    """Maximum likelihood and the posterior, two columns each."""
    columns = {
        "ML": ("ML", "estimate"),
        "std error": ("ML", "std_error"),
        "mean": ("Bayes", "mean"),
        "sd": ("Bayes", "sd"),
    }
    return pd.DataFrame({name: table[column] for name, column in columns.items()})
