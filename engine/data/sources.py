"""Sources of tables: a frame or a .csv file at once, Parquet and Dask in chunks of rows."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals

from spillover.engine.data.tables import (
    check_folder,
    load_pyarrow,
    parquet_failures,
    read_table,
    refuse_kind,
)
from spillover.engine.labels import few
from spillover.engine.storage.reading import check_memory, cite, open_file
from spillover.kernels.arguments import kind_of
from spillover.kernels.errors import DataError

CHUNK = 131_072  # rows of a Parquet file that are in memory at a time
LEVELS = 1000  # most levels of a column in a table that comes in chunks
WANTED = (
    "a pandas DataFrame, a Dask DataFrame or the path of a .csv file or a Parquet file or folder is"
    " wanted"
)
ROW = 16  # bytes of memory for the labels of each row of a Parquet file
PARQUET = b"PAR1"  # first bytes of a Parquet file


@dataclass(frozen=True)
class Source:
    """A table that may be read more than once, in chunks of rows.

    Attributes
    ----------
    dtypes : Series
        The type of each column.
    chunks : callable
        `chunks(columns, index)` yields the rows in frames with at least these columns, and with the
        table's index if `index` is true.
    whole : bool
        Whether a single chunk holds all rows.
    what : str
        What the table is, for errors.
    fixed : bool
        Whether the rows come in the same order at every reading.
    """

    dtypes: pd.Series
    chunks: Callable[[Sequence[str], bool], Iterator[pd.DataFrame]]
    whole: bool
    what: str
    fixed: bool = True

    @property
    def columns(self) -> pd.Index:
        """The names of the columns."""
        return self.dtypes.index


def open_source(data: Any) -> Source:
    """Open a pandas DataFrame, a Dask DataFrame, or the path of a .csv file or of Parquet.

    DataError for anything else, for a path without a file, and for Parquet where pyarrow (extra
    `parquet`) is not installed.
    """
    if isinstance(data, pd.DataFrame):
        if isinstance(data.columns, pd.MultiIndex):
            raise DataError(
                f"The columns have the levels {few(data.columns.names)}: give each column one name."
            )
        return Source(data.dtypes, lambda columns, index: iter((data,)), True, "a DataFrame")
    if isinstance(data, str | Path):
        if Path(data).suffix.lower() == ".csv" and "://" not in str(data):
            frame = read_table(data)
            return Source(frame.dtypes, lambda columns, index: iter((frame,)), True, "a .csv file")
        return _open_parquet(str(data))
    if type(data).__module__.partition(".")[0] in ("dask", "dask_expr"):
        return _open_dask(data)
    raise DataError(f"The data are {kind_of(data)}; {WANTED}.")


def _open_parquet(path: str) -> Source:
    """Open a Parquet file or a folder of them."""
    arrow = load_pyarrow(path)
    if "://" not in path:
        _check_place(Path(path))
    with parquet_failures(path, arrow):
        table = arrow.dataset.dataset(path, format="parquet", partitioning="hive")
        rows = table.count_rows()
    if not table.schema.names:
        raise DataError(f"{path} holds no Parquet file.")
    check_memory(Path(path), ROW * rows, f"the labels of {rows:,} rows")

    def read_chunks(columns: Sequence[str], index: bool) -> Iterator[pd.DataFrame]:
        with parquet_failures(path, arrow):
            label, row, step = _find_index(table, path) if index else (None, 0, 1)
            wanted = list(dict.fromkeys([*columns, *([] if label is None else [label])]))
            for frame in _read_batches(table, wanted, arrow):
                end = row + step * len(frame)
                frame.index = (
                    pd.RangeIndex(row, end, step)
                    if label is None
                    else pd.Index(frame[label], name=label)
                )
                row = end
                yield frame

    with parquet_failures(path, arrow):
        dtypes = table.schema.empty_table().to_pandas(ignore_metadata=True).dtypes
    return Source(dtypes, read_chunks, False, "a Parquet file")


def _read_batches(table: Any, columns: list[str], arrow: Any) -> Iterator[pd.DataFrame]:
    """Read columns of a Parquet data set, with one batch of rows in memory at a time."""
    scanner = table.scanner(
        columns=columns,
        batch_size=CHUNK,
        # by default pyarrow reads many batches ahead, which would fill the memory
        fragment_scan_options=arrow.dataset.ParquetFragmentScanOptions(pre_buffer=False),
        batch_readahead=1,
        fragment_readahead=1,
    )
    for batch in scanner.to_batches():
        batch.validate(full=True)
        yield batch.to_pandas(ignore_metadata=True)


def _check_place(path: Path) -> None:
    """Refuse what is neither a Parquet file nor a folder, and a folder with pipes or devices."""
    if not os.path.exists(path):
        raise DataError(f"There is no file or folder {cite(path)}.")
    if path.is_dir():
        check_folder(path)
        return
    with open_file(path, "a table") as file:
        if file.read(len(PARQUET)) != PARQUET:
            refuse_kind(path)


def _find_index(table: Any, path: str) -> tuple[str | None, int, int]:
    """Find the index that pandas stored: its column, or else where it starts and its step.

    The rows of a single file without a stored index count from 0.
    """
    stored = (table.schema.pandas_metadata or {}).get("index_columns", [])
    if len(stored) == 1 and isinstance(stored[0], str) and stored[0] in table.schema.names:
        return stored[0], 0, 1
    # a range restarts in every file, and without an index the names of the files order the rows
    if len(stored) > 1 or len(table.files) > 1:
        raise DataError(
            f"{path} has no single column of labels as its index: say which column is unit=."
        )
    return (
        (None, int(stored[0]["start"]), int(stored[0]["step"]))
        if stored and isinstance(stored[0], dict)
        else (None, 0, 1)
    )


def _open_dask(data: Any) -> Source:
    """Open a Dask DataFrame."""
    import dask.dataframe

    if not isinstance(data, dask.dataframe.DataFrame):
        raise DataError(f"The data are a Dask {type(data).__name__}; {WANTED}.")

    def read_chunks(columns: Sequence[str], index: bool) -> Iterator[pd.DataFrame]:
        chosen = data[list(columns)]
        for number in range(chosen.npartitions):
            yield use_default_text(chosen.partitions[number].compute())

    return Source(data.dtypes, read_chunks, False, "a Dask dataframe", fixed=False)


def use_default_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Convert text and categories of Dask and Arrow to pandas' own types, which formulas know."""
    types = ((name, dtype, _choose_type(dtype)) for name, dtype in frame.dtypes.items())
    frame = frame.astype({name: kind for name, dtype, kind in types if kind != dtype})
    kind = _choose_type(frame.index.dtype)
    return frame if kind == frame.index.dtype else frame.set_axis(frame.index.astype(kind))


def _choose_type(dtype: Any) -> Any:
    """Choose the type in pandas for a column or an index of this type."""
    arrow = str(dtype.pyarrow_dtype) if isinstance(dtype, pd.ArrowDtype) else ""
    if arrow.startswith("dictionary"):
        return "category"
    if arrow in ("string", "large_string", "string_view") or isinstance(dtype, pd.StringDtype):
        return pd.Series(["text"]).dtype
    return dtype


def append_labels(known: pd.Index | None, labels: pd.Index) -> tuple[pd.Index, np.ndarray]:
    """Append to `known` those of `labels` that it lacks, and find the position of each of `labels`.

    Neither may have repeats.

    >>> append_labels(pd.Index(["a", "b"]), pd.Index(["c", "a"]))[1]
    array([2, 0])
    """
    if known is None:
        return labels, np.arange(len(labels))
    at = known.get_indexer(labels)
    new = at < 0
    at[new] = len(known) + np.arange(new.sum())
    if (
        isinstance(known, pd.CategoricalIndex)
        and isinstance(labels, pd.CategoricalIndex)
        and known.dtype != labels.dtype
    ):
        try:
            return pd.CategoricalIndex(union_categoricals([known, labels[new]])), at
        except TypeError as error:
            raise DataError(
                "The categories of a column are ordered in different ways in different chunks: make"
                " them the same."
            ) from error
    return known.append(labels[new]) if new.any() else known, at


def collect_levels(column: pd.Series, known: pd.Index | None = None) -> pd.Index:
    """Add the levels of a column to those already known; DataError for too many.

    Levels are the categories that the column declares, or else the values that it has.
    """
    every = collect_values(column, known)
    if len(every) > LEVELS and not isinstance(column.dtype, pd.CategoricalDtype):
        raise DataError(
            f"Column {column.name!r} has more than {LEVELS} levels: is it a number stored as text?"
        )
    return every


def collect_values(column: pd.Series, known: pd.Index | None = None) -> pd.Index:
    """Add the categories that a column declares, or else its values, to those already known."""
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return append_labels(known, pd.Index(column.dropna().unique()))[0]
    declared = pd.CategoricalIndex(column.cat.categories, dtype=column.dtype)
    every, _ = append_labels(known, declared)
    return pd.CategoricalIndex(every.categories, dtype=every.dtype)
