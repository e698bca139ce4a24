"""Labels and numbers as users give them: checked, matched, and named in errors."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pandas as pd

from spillover.kernels.errors import WeightsError

SHOWN = 5  # labels an error message names before it counts the rest


def few(labels: Any, show: Callable[[Any], str] = repr) -> str:
    """The first few labels for an error message, and how many more there are."""
    texts = [show(label.item() if isinstance(label, np.generic) else label) for label in labels[:SHOWN]]
    return ", ".join(texts) + (f" and {len(labels) - SHOWN} more" if len(labels) > SHOWN else "")


def link_name(ids: pd.Index, i: int, j: int) -> str:
    """A link by its two labels, for an error message."""
    return f"{few(ids[[i]])} → {few(ids[[j]])}"


def type_hint(ids: pd.Index, labels: pd.Index) -> str:
    """A hint for labels of another type than the ids, like 1 and '1'."""
    ours, theirs = ids.inferred_type, labels.inferred_type
    return "" if ours == theirs or not len(labels) else f" The ids are of type {ours}, those labels of type {theirs}: convert one of them."


def as_numbers(values: Any, what: str) -> np.ndarray:
    """A float64 array of what a user gave, without turning text or complex values into numbers."""
    table = isinstance(values, pd.Series | pd.DataFrame)
    array = values.to_numpy(na_value=np.nan) if table else np.asarray(values)
    text = array.dtype.kind == "O" and any(isinstance(value, str) for value in array.flat)
    if array.dtype.kind in "biufO" and not text:
        with suppress(TypeError, ValueError):
            return array.astype(np.float64)
    columns = [name for name, kind in values.dtypes.items() if kind.kind not in "biuf"] if isinstance(values, pd.DataFrame) else []
    where = f"look at the columns {few(columns)}" if columns else f"this is a {type(values).__name__} of type {array.dtype}"
    raise WeightsError(f"{what} must be real numbers, as an array or a table: {where}.")


def as_labels(labels: Any) -> pd.Index:
    """Labels as an index; tuples stay labels and make no levels."""
    return labels if isinstance(labels, pd.Index) else pd.Index(labels, tupleize_cols=False)


def as_index(ids: Any, n: int | None = None) -> pd.Index:
    """The labels as an index that is flat, complete, unique and, where n is given, of that length."""
    try:
        index = as_labels(ids).copy(deep=True)
    except (TypeError, ValueError) as error:
        raise WeightsError(f"ids must be a list of labels, one a unit, not {ids!r}.") from error
    if isinstance(index, pd.MultiIndex):
        raise WeightsError(f"ids have the levels {few(index.names)}: give one label a unit.")
    if n is not None and len(index) != n:
        raise WeightsError(f"{len(index)} ids for {n} units: give one id for each row of the matrix.")
    if index.hasnans:
        raise WeightsError(f"{index.isna().sum()} ids are missing, the first at position {index.isna().argmax()}: label every unit.")
    if index.has_duplicates:
        raise WeightsError(f"ids occur more than once: {few(index[index.duplicated()].unique())}. Give each unit its own.")
    return index


def align(ids: pd.Index, labels: Any) -> np.ndarray:
    """The positions (n,) at which each of `ids` stands in `labels`, so that labels[positions] = ids.

    Raises WeightsError naming the repeated labels, or those found on one side only.

    >>> align(pd.Index(["a", "b", "c"]), ["c", "a", "b"])
    array([1, 2, 0])
    """
    found = as_labels(labels)
    if isinstance(found, pd.MultiIndex):
        raise WeightsError(f"the data have an index of the levels {few(found.names)}: give one row a unit, indexed by the unit.")
    if found.has_duplicates:
        raise WeightsError(f"the data repeat the units {few(found[found.duplicated()].unique())}: give one row a unit.")
    positions = found.get_indexer(ids)
    extra, missing = found[ids.get_indexer(found) < 0], ids[positions < 0]
    if len(extra) or len(missing):
        both = (("in the data but not in W", extra), ("in W but not in the data", missing))
        sides = "; ".join(f"{side}: {few(units)}" for side, units in both if len(units))
        raise WeightsError(f"the units of the data are not those of W; {sides}.{type_hint(ids, found)}")
    return positions
