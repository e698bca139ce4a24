r"""Tables as CSV that a spreadsheet opens without running anything.

>>> csv_text(pd.DataFrame({"value": [-1.5]}, index=["=1+1"]))
",value\n'=1+1,-1.5\n"
"""

import csv
from typing import Any

import pandas as pd

# where a spreadsheet takes a text for a formula
STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def csv_text(frame: pd.DataFrame, *, index: bool = True) -> str:
    """The table as CSV, with every digit.

    Text that a spreadsheet would run, in cells, headings and labels, gets a ' before it. Numbers
    stay as they are, negative ones too.

    Parameters
    ----------
    frame : DataFrame
        Any table.
    index : bool
        Whether its labels are written.

    References
    ----------
    OWASP, CSV Injection, owasp.org/www-community/attacks/CSV_Injection.
    """
    columns = [_disarm_column(frame.iloc[:, i]) for i in range(frame.shape[1])]
    safe = pd.concat(columns, axis=1) if columns else frame.copy()
    safe.columns = _disarm_labels(frame.columns)
    safe.index = _disarm_labels(frame.index)
    text: str = safe.to_csv(index=index, lineterminator="\n")
    # which Python's writer before 3.13 leaves bare: readers would begin a row there
    if "\r" in text:
        text = safe.to_csv(index=index, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    return text


def _disarm(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(STARTS) else value


def _disarm_column(column: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_datetime64_any_dtype(
        column.dtype
    ):
        return column
    return column.astype(object).map(_disarm)


def _disarm_labels(index: pd.Index) -> pd.Index:
    names = [_disarm(name) for name in index.names]
    if isinstance(index, pd.MultiIndex):
        return index.set_levels(
            [_disarm_labels(level) for level in index.levels], verify_integrity=False
        ).set_names(names)
    if pd.api.types.is_numeric_dtype(index.dtype) or pd.api.types.is_datetime64_any_dtype(
        index.dtype
    ):
        return index.set_names(names)
    return pd.Index([_disarm(value) for value in index], dtype=object).set_names(names)
