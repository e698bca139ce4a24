r"""Tables as CSV that a spreadsheet opens without running anything in them.

>>> csv_text(pd.DataFrame({"value": [-1.5]}, index=["=1+1"]))
",value\n'=1+1,-1.5\n"
"""

import csv
from typing import Any

import pandas as pd

# a spreadsheet takes a text that starts so for a formula
STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def csv_text(frame: pd.DataFrame, *, index: bool = True) -> str:
    """Convert a table to CSV, with every digit.

    Text in cells, headings and labels that a spreadsheet would run as a formula is given a leading
    '. Numbers stay as they are, negative ones too.

    Parameters
    ----------
    frame : DataFrame
        Any table.
    index : bool
        Whether to write the row labels.

    References
    ----------
    OWASP, CSV Injection, owasp.org/www-community/attacks/CSV_Injection.
    """
    columns = [_disarm_column(frame.iloc[:, i]) for i in range(frame.shape[1])]
    safe = pd.concat(columns, axis=1) if columns else frame.copy()
    safe.columns = _disarm_labels(frame.columns)
    safe.index = _disarm_labels(frame.index)
    text: str = safe.to_csv(index=index, lineterminator="\n")
    # before 3.13, Python's writer leaves \r unquoted: readers would begin a row there
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
