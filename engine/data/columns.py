"""Columns named by the user: checked against the table, and read as numbers."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from spillover.engine.labels import few
from spillover.engine.recognition import is_number
from spillover.kernels.arguments import kind_of, label, show
from spillover.kernels.errors import DataError


def list_names(names: Any, what: str) -> list[Any]:
    """List the names of columns; DataError for a bare text and for a name given twice.

    `what` is the argument, as errors call it.

    >>> list_names(("x1", "x2"), "columns")
    ['x1', 'x2']
    """
    if isinstance(names, str):
        raise DataError(
            f"{what} is the text {show(names)}: give a list of column names, [{show(names)}]."
        )
    if isinstance(names, bytes | Mapping | pd.DataFrame) or not isinstance(names, Iterable):
        raise DataError(f"{what} is {show(names)}: give a list of column names.")
    columns = [label(what.rstrip("="), name, error=DataError) for name in names]
    twice = list(dict.fromkeys(name for name in columns if columns.count(name) > 1))
    if twice:
        raise DataError(f"{what} lists {few(twice)} more than once: name each column once.")
    return columns


def check_columns(frame: pd.DataFrame, names: Sequence[Any]) -> None:
    """Refuse what is not a table, and columns that it lacks or has more than once."""
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"The data are {kind_of(frame)}: give a pandas DataFrame.")
    absent = [name for name in names if name not in frame.columns]
    if absent:
        raise DataError(
            f"There is no column {few(absent)}; the data have {', '.join(map(str, frame.columns))}."
        )
    repeated = [name for name in names if (frame.columns == name).sum() > 1]
    if repeated:
        raise DataError(
            f"More than one column is called {few(repeated)}: rename or drop the copies."
        )


def read_numbers(frame: pd.DataFrame, names: Sequence[Any]) -> np.ndarray:
    """Read columns as float64, (rows, columns), with missing values as NaN.

    DataError for columns that do not exist, share a name, or do not hold real numbers.
    """
    check_columns(frame, names)
    other = [name for name in names if not is_number(frame[name].dtype)]
    if other:
        kinds = few(other, lambda name: f"{name!r} ({frame[name].dtype})")
        raise DataError(
            f"Not a column of numbers: {kinds}. Convert it with pd.to_numeric, or leave it out."
        )
    columns = [frame[name].to_numpy(float, na_value=np.nan) for name in names]
    return np.column_stack([np.empty((len(frame), 0)), *columns])
