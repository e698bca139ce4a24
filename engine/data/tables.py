"""Tables in .csv and .parquet files, read whole.

Nothing changes silently on the way: short rows and repeated names are refused, and codes keep their
leading zeros.
"""

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd

from spillover.engine.labels import few
from spillover.engine.storage.reading import as_path, check_file, check_memory, cite, read_text
from spillover.kernels.errors import DataError

TIMES = 20  # bytes of memory for each byte of a .csv
CELL = 16  # bytes of memory for each cell of a Parquet file, at least
MARKS = {";": "semicolons", "\t": "tabs", "|": "bars"}
OTHERS = {
    ".xlsx": "pd.read_excel",
    ".xls": "pd.read_excel",
    ".ods": "pd.read_excel",
    ".dta": "pd.read_stata",
    ".sav": "pd.read_spss",
    ".feather": "pd.read_feather",
    ".json": "pd.read_json",
    ".txt": "pd.read_csv",
    ".tsv": "pd.read_csv",
    ".nc": "xarray.open_dataset(…).to_dataframe",
    ".zarr": "xarray.open_zarr(…).to_dataframe",
}


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a table from a .csv or .parquet file.

    A .csv column of whole numbers, some with leading zeros such as 01001, holds codes and is read
    as text.

    Parameters
    ----------
    path : str or Path
        The file, or for Parquet a folder of files.

    Returns
    -------
    DataFrame
        The table.

    Raises
    ------
    DataError
        For a file that does not exist, or is neither UTF-8 text nor Parquet; for a .csv without
        rows, with rows shorter or longer than its header, with a repeated column name, or with an
        unclosed quotation mark; and for a table larger than the memory. The message names the file
        and, where possible, the line.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "panel.csv")
    ...     _ = file.write_text("county,y\\n01001,2.5\\n36061,3\\n")
    ...     read_table(file)["county"].tolist()
    ['01001', '36061']
    """
    path = as_path(path, "a table")
    kind = path.suffix.lower()
    if kind not in READERS:
        check_file(path, "a table")
        refuse_kind(path)
    return READERS[kind](path)


def refuse_kind(path: Path) -> NoReturn:
    """Raise DataError for a file that, by its name, is neither .csv nor .parquet."""
    way_out = OTHERS.get(path.suffix.lower())
    hint = (
        f"read it with {way_out}, and give the frame"
        if way_out
        else "give a pandas DataFrame instead"
    )
    raise DataError(f"{cite(path)}: data are read from .csv and .parquet files; {hint}.")


def _csv(path: Path) -> pd.DataFrame:
    text = read_text(path, "a table", times=TIMES)
    names = _check_rows(path, text)
    with _failures(
        path, "CSV", (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError, OverflowError)
    ):
        # low_memory=False: otherwise pandas guesses the type of a column part by part
        frame = pd.read_csv(io.StringIO(text), low_memory=False, index_col=False)
        whole = [j for j, kind in enumerate(frame.dtypes) if pd.api.types.is_integer_dtype(kind)]
        texts = pd.read_csv(io.StringIO(text), usecols=whole, dtype=str) if whole else frame[[]]
    if list(frame.columns) != names:
        raise DataError(
            f"{cite(path)}: the columns {few(names)} read as {few(frame.columns)}: rename those"
            " that differ."
        )
    for name, column in texts.items():
        if column.str.fullmatch(r"\s*0\d+\s*").any():
            frame[name] = column.str.strip()
    return frame


def _check_rows(path: Path, text: str) -> list[str]:
    """Return the names of the columns, blank ones as pandas calls them.

    DataError unless every row has as many fields.
    """
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        names = next(row for row in rows if row)
        _check_names(path, rows.line_num, names)
        count = 0
        for row in rows:
            if len(row) != len(names) and any(field.strip() for field in row):
                what = f"{len(row)} fields under a header of {len(names)}"
                raise DataError(
                    f"{cite(path)}, line {rows.line_num}: {what}. Make them as many; quote fields"
                    " that have commas."
                )
            count += bool(row)
    except csv.Error as error:
        what = f"cannot be read as CSV: {error}; look for a quotation mark that does not end"
        raise DataError(f"{cite(path)}, line {rows.line_num}: {what}.") from error
    if not count:
        raise DataError(f"{cite(path)}: there is a header, {few(names)}, and no row under it.")
    return [name or f"Unnamed: {place}" for place, name in enumerate(names)]


def _check_names(path: Path, line: int, names: list[str]) -> None:
    """Refuse a name given twice, and fields that are not separated by commas."""
    again = (
        sorted({name for name in names if name and names.count(name) > 1})
        if len(set(names)) < len(names)
        else []
    )
    if again:
        raise DataError(
            f"{cite(path)}, line {line}: names of more than one column: {few(again)}. Rename or"
            " drop the copies."
        )
    marks = [mark for mark in MARKS if len(names) == 1 and mark in names[0]]
    if marks:
        way_out = f"save it with commas, or give pd.read_csv(path, sep={marks[0]!r})"
        raise DataError(
            f"{cite(path)}, line {line}: the fields seem to be parted by {MARKS[marks[0]]}, not"
            f" commas: {way_out}."
        )


def _parquet(path: Path) -> pd.DataFrame:
    arrow = load_pyarrow(path)
    if path.is_dir():
        check_folder(path)
    else:
        check_file(path, "a table")
    with parquet_failures(path, arrow):
        table = arrow.dataset.dataset(str(path), format="parquet", partitioning="hive")
        check_memory(path, CELL * table.count_rows() * len(table.schema.names), "a table")
        frame = pd.read_parquet(path, engine="pyarrow")
        for name in frame.select_dtypes("string"):
            # bytes that are not UTF-8 would fail later, far from here
            arrow.array(frame[name].array, arrow.large_string()).validate(full=True)
        return frame


def load_pyarrow(path: Any) -> Any:
    """Import pyarrow with its datasets; DataError where it is not installed."""
    try:
        import pyarrow
        import pyarrow.dataset
    except ImportError as error:
        raise DataError(
            f"Reading {path} needs pyarrow: pip install 'spillover[parquet]'."
        ) from error
    return pyarrow


def check_folder(path: Path) -> None:
    """Refuse a folder with pipes or devices in it, which may have no end."""
    for part in sorted(path.rglob("*")):
        if not part.is_dir() and not part.name.startswith((".", "_")):
            check_file(part, "a table")


@contextmanager
def parquet_failures(path: Any, arrow: Any) -> Iterator[None]:
    """Turn the errors of pyarrow for broken files into DataErrors."""
    with _failures(
        path,
        "Parquet",
        (arrow.ArrowException, OSError, ValueError, KeyError, OverflowError, MemoryError),
    ):
        yield


@contextmanager
def _failures(path: Any, kind: str, failures: tuple[type[Exception], ...]) -> Iterator[None]:
    try:
        yield
    except failures as failure:
        reason = " ".join(str(failure).split()).rstrip(".") or type(failure).__name__
        raise DataError(f"{cite(path)} cannot be read as {kind}: {reason[:300]}.") from failure


READERS: dict[str, Callable[[Path], pd.DataFrame]] = {".csv": _csv, ".parquet": _parquet}
