"""Where tables come from: a pandas frame or a CSV file at once, a Parquet file or a Dask dataframe
a few rows at a time.
"""

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
from spillover.engine.storage.reading import check_memory, named, open_file
from spillover.kernels.errors import DataError

CHUNK = 131_072  # rows of a Parquet file in memory at a time
LEVELS = 1000  # categories of a column, at most, where the table comes in chunks
WANTED = (
    "a pandas DataFrame, a Dask DataFrame or the path of a .csv file or a Parquet file or folder is"
    " wanted"
)
ROW = 16  # bytes of memory for each row of a Parquet file, for its labels
PARQUET = b"PAR1"  # how such a file begins


@dataclass(frozen=True)
class Source:
    """A table that may be read more than once, in chunks of rows.

    `dtypes`: by column; `chunks(columns, index)`: frames with at least those columns, and with the
    table's index where `index` says so; `whole`: one chunk has all rows; `what` it is, for errors;
    `fixed`: the rows come in the same order at every reading.
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
    """The source behind a pandas DataFrame, a path (str or Path) to a .csv file or to a Parquet
    file or folder, or a Dask DataFrame.

    DataError for anything else, for a path where there is no such file, and where pyarrow (extra
    `parquet`) is missing for Parquet.
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
        return _parquet(str(data))
    if type(data).__module__.partition(".")[0] in ("dask", "dask_expr"):
        return _dask(data)
    raise DataError(f"The data are a {type(data).__name__}; {WANTED}.")


def _parquet(path: str) -> Source:
    arrow = load_pyarrow(path)
    if "://" not in path:
        _check_place(Path(path))
    with parquet_failures(path, arrow):
        table = arrow.dataset.dataset(path, format="parquet", partitioning="hive")
        rows = table.count_rows()
    if not table.schema.names:
        raise DataError(f"{path} holds no Parquet file.")
    check_memory(Path(path), ROW * rows, f"the labels of {rows:,} rows")
    lean, ahead = (
        arrow.dataset.ParquetFragmentScanOptions(pre_buffer=False),
        {"batch_readahead": 1, "fragment_readahead": 1},
    )

    def chunks(columns: Sequence[str], index: bool) -> Iterator[pd.DataFrame]:
        with parquet_failures(path, arrow):
            label, row, step = _stored_index(table, path) if index else (None, 0, 1)
            read = list(dict.fromkeys([*columns, *([] if label is None else [label])]))
            for batch in table.scanner(
                columns=read, batch_size=CHUNK, fragment_scan_options=lean, **ahead
            ).to_batches():
                batch.validate(full=True)
                frame = batch.to_pandas(ignore_metadata=True)
                end = row + step * batch.num_rows
                frame.index = (
                    pd.RangeIndex(row, end, step)
                    if label is None
                    else pd.Index(frame[label], name=label)
                )
                row = end
                yield frame

    with parquet_failures(path, arrow):
        dtypes = table.schema.empty_table().to_pandas(ignore_metadata=True).dtypes
    return Source(dtypes, chunks, False, "a Parquet file")


def _check_place(path: Path) -> None:
    """DataError where there is neither a folder nor a Parquet file, and for a folder in which there
    are pipes or devices.
    """
    if not os.path.exists(path):
        raise DataError(f"There is no file or folder {named(path)}.")
    if path.is_dir():
        check_folder(path)
        return
    with open_file(path, "a table") as file:
        if file.read(len(PARQUET)) != PARQUET:
            refuse_kind(path)


def _stored_index(table: Any, path: str) -> tuple[str | None, int, int]:
    """The column that pandas wrote its index to, or where the index starts and its step; the rows
    of one file count from 0 without any.
    """
    stored = (table.schema.pandas_metadata or {}).get("index_columns", [])
    if len(stored) == 1 and isinstance(stored[0], str) and stored[0] in table.schema.names:
        return stored[0], 0, 1
    # numbers that start anew in every file, or rows in the order of the files' names
    if len(stored) > 1 or len(table.files) > 1:
        raise DataError(
            f"{path} has no single column of labels as its index: say which column is unit=."
        )
    return (
        (None, int(stored[0]["start"]), int(stored[0]["step"]))
        if stored and isinstance(stored[0], dict)
        else (None, 0, 1)
    )


def _dask(data: Any) -> Source:
    import dask.dataframe

    if not isinstance(data, dask.dataframe.DataFrame):
        raise DataError(f"The data are a Dask {type(data).__name__}; {WANTED}.")

    def chunks(columns: Sequence[str], index: bool) -> Iterator[pd.DataFrame]:
        chosen = data[list(columns)]
        for number in range(chosen.npartitions):
            yield use_default_text(chosen.partitions[number].compute())

    return Source(data.dtypes, chunks, False, "a Dask dataframe", fixed=False)


def use_default_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Text as pandas keeps it, which formulas know as categories; Dask and Arrow have types of
    their own, Arrow for categories too.
    """
    default = pd.Series(["text"]).dtype

    def wanted(dtype: Any) -> Any:
        arrow = str(dtype.pyarrow_dtype) if isinstance(dtype, pd.ArrowDtype) else ""
        if arrow.startswith("dictionary"):
            return "category"
        return (
            default
            if arrow in ("string", "large_string", "string_view")
            or isinstance(dtype, pd.StringDtype)
            else dtype
        )

    frame = frame.astype(
        {name: wanted(dtype) for name, dtype in frame.dtypes.items() if wanted(dtype) != dtype}
    )
    other = wanted(frame.index.dtype) != frame.index.dtype
    return frame.set_axis(frame.index.astype(wanted(frame.index.dtype))) if other else frame


def append_labels(known: pd.Index | None, labels: pd.Index) -> tuple[pd.Index, np.ndarray]:
    """`known` with those of `labels` that are new at its end, and the position of each of `labels`
    there. Neither has repeats.

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
    """The levels of a column, after those already known: the categories that it declares, else the
    values that it has, a limited number.
    """
    every = collect_values(column, known)
    if len(every) > LEVELS and not isinstance(column.dtype, pd.CategoricalDtype):
        raise DataError(
            f"Column {column.name!r} has more than {LEVELS} levels: is it a number stored as text?"
        )
    return every


def collect_values(column: pd.Series, known: pd.Index | None = None) -> pd.Index:
    """The categories that a column declares, else the values that it has, after those already
    known.
    """
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return append_labels(known, pd.Index(column.dropna().unique()))[0]
    found = pd.CategoricalIndex(column.cat.categories, dtype=column.dtype)
    every, _ = append_labels(known, found)
    return pd.CategoricalIndex(every.categories, dtype=every.dtype)
