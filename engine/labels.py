"""Labels and numbers as users give them: checked, matched, and named in errors.

An error shows a few of the culprits by name and counts the rest.
"""

from collections.abc import Callable
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from spillover.engine.recognition import find_alike, find_inexact, find_same_text, is_out_of_order
from spillover.engine.storage.reading import spell
from spillover.kernels.errors import DataError, WeightsError

SHOWN = 5  # labels an error message names before it counts the rest


def few(labels: Any, show: Callable[[Any], str] = spell) -> str:
    """The first few labels for an error message, and how many more there are."""
    texts = [
        show(label.item() if isinstance(label, np.generic) else label) for label in labels[:SHOWN]
    ]
    return ", ".join(texts) + (f" and {len(labels) - SHOWN} more" if len(labels) > SHOWN else "")


def link_name(ids: pd.Index, i: int, j: int) -> str:
    """Name a link by its two labels, for an error message."""
    return f"{few(ids[[i]])} → {few(ids[[j]])}"


def type_hint(ids: pd.Index, labels: pd.Index) -> str:
    """A hint for labels that miss the ids by type or spelling only, for an error message.

    Examples are 1 and "1", "01001" and 1001, or "b " and "b". The hint is empty where none fits.
    """
    ours, theirs = ids.inferred_type, labels.inferred_type
    if not len(labels):
        return ""
    if ours == theirs:
        known = {_bare(label): label for label in ids.tolist()} if ours == "string" else {}
        near = [
            (known[_bare(label)], label)
            for label in labels.tolist()
            if label not in ids and _bare(label) in known
        ]
        return (
            f" But for blanks and capitals {near[0][0]!r} and {near[0][1]!r} are the same: make"
            " them so."
            if near
            else ""
        )
    texts = ids if ours == "string" else labels
    lost = [
        text
        for text in texts.tolist()
        if isinstance(text, str) and text.isdecimal() and text.startswith("0") and text != "0"
    ]
    codes = (
        f" Codes such as {lost[0]!r} lose their zeros as numbers: keep them as text, e.g."
        " pd.read_csv(…, dtype=str)."
        if lost
        else ""
    )
    return (
        f" The ids are of type {ours}, those labels of type {theirs}: convert one of them.{codes}"
    )


def as_numbers(values: Any, what: str) -> np.ndarray:
    """Convert what a user gave to float64; missing and masked values become NaN, true becomes 1.

    WeightsError for text, dates, categories and complex values, which are never converted, and for
    numbers so small that float64 holds them as 0.
    """
    if isinstance(values, pd.DataFrame) and all(
        isinstance(kind, np.dtype) and kind.kind in "biuf" for kind in values.dtypes
    ):
        values = values.to_numpy()  # at once, not column by column
    if isinstance(values, pd.DataFrame):
        wrong = [name for j, name in enumerate(values.columns) if not _is_real(values.iloc[:, j])]
        if wrong:
            raise WeightsError(
                f"{what} must be real numbers, as an array or a table: look at the columns"
                f" {few(wrong)}."
            )
        return np.column_stack(
            [
                np.empty((len(values), 0)),
                *(_as_float(values.iloc[:, j], what) for j in range(values.shape[1])),
            ]
        )
    try:
        array = values if isinstance(values, pd.Series | np.ma.MaskedArray) else np.asarray(values)
    except (ValueError, TypeError) as failure:  # ragged lists, or what makes no array
        raise WeightsError(
            f"{what} must be real numbers, an array or a table with rows of one length, not"
            f" {spell(values)}."
        ) from failure
    if not _is_real(array):
        raise WeightsError(
            f"{what} must be real numbers, as an array or a table: this is a"
            f" {type(values).__name__} of type {array.dtype}."
        )
    return _as_float(array, what)


def _is_real(values: Any) -> bool:
    """Whether an array or a column holds real numbers, missing values aside."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return False
    if values.dtype.kind != "O":
        return values.dtype.kind in "biuf"
    kinds = set(
        map(
            type,
            (
                np.ma.compressed(values)
                if np.ma.isMaskedArray(values)
                else np.asarray(values, dtype=object).flat
            ),
        )
    )
    real = Real | np.bool_ | Decimal | type(None) | type(pd.NA)
    return all(issubclass(kind, real) and not issubclass(kind, np.timedelta64) for kind in kinds)


def _as_float(values: Any, what: str) -> np.ndarray:
    """Convert real numbers to float64, keeping their shape."""
    if isinstance(values, pd.Series):
        array = (
            values.to_numpy(dtype=object)
            if values.dtype.kind == "O"
            else values.to_numpy(na_value=np.nan)
        )
    else:
        masked = np.ma.isMaskedArray(values) and np.ma.is_masked(values)
        array = (
            values.astype(object if values.dtype.kind == "O" else float).filled(np.nan)
            if masked
            else np.asarray(values)
        )
    try:
        if array.dtype.kind == "O":
            array = np.where(pd.isna(array), np.nan, array)
        # overflow gives infinity, which callers refuse with its label
        with np.errstate(over="ignore", under="ignore"):
            numbers: np.ndarray = array.astype(np.float64)
    except OverflowError:
        raise WeightsError(
            f"{what} must be numbers that float64 holds: one is beyond {np.finfo(float).max:.0e}."
        ) from None
    except (
        ValueError,
        TypeError,
        ArithmeticError,
    ):
        # such as a signalling NaN of the decimal module
        raise WeightsError(
            f"{what} must be numbers that float64 holds: {spell(values)} has one that is none."
        ) from None
    if (
        array.dtype.itemsize > 8
        and array.dtype.kind == "f"
        and ((numbers == 0) & (array != 0)).any()
    ):
        raise WeightsError(
            f"{what}: of type {array.dtype}, with numbers so small that float64 holds them as 0."
            " Change the unit."
        )
    return numbers


def _bare(label: Any) -> Any:
    """A text in lower case with single blanks, to compare spellings."""
    return " ".join(label.split()).casefold() if isinstance(label, str) else label


def as_labels(labels: Any) -> pd.Index:
    """Convert labels to an index; tuples stay single labels, not levels.

    WeightsError for a set, which has no order.
    """
    if isinstance(labels, set | frozenset):
        raise WeightsError("the labels are a set, which has no order: give a list.")
    return labels if isinstance(labels, pd.Index) else pd.Index(labels, tupleize_cols=False)


def is_hashable(label: Any) -> bool:
    """Whether a label can be looked up in an index."""
    try:
        hash(label)
    except (TypeError, ArithmeticError):
        return False
    return True


def check_hashable(labels: Any, what: str) -> None:
    """Refuse labels that no index can look up, such as lists."""
    wrong = (
        [label for label in labels if not is_hashable(label)] if labels.dtype.kind == "O" else []
    )
    if wrong:
        raise WeightsError(f"{what} must be texts or numbers, and {spell(wrong[0])} is neither.")


def as_index(ids: Any, n: int | None = None) -> pd.Index:
    """Convert labels to a flat, complete and unique index, of length n if n is given."""
    try:
        index = as_labels(ids).copy(deep=True)
        check_hashable(index, "ids")
    except (TypeError, ValueError, ArithmeticError, NotImplementedError) as error:
        raise WeightsError(
            f"ids must be a list of labels, texts or numbers, one per unit, not {spell(ids)}."
        ) from error
    if isinstance(index, pd.MultiIndex):
        raise WeightsError(f"ids have the levels {few(index.names)}: give one label per unit.")
    if n is not None and len(index) != n:
        raise WeightsError(
            f"{len(index)} ids for {n} units: give one id for each row of the matrix."
        )
    if index.hasnans:
        raise WeightsError(
            f"{index.isna().sum()} ids are missing, the first at position {index.isna().argmax()}:"
            " label every unit."
        )
    if index.has_duplicates:
        raise WeightsError(
            f"ids occur more than once: {few(index[index.duplicated()].unique())}. Give each unit"
            " its own."
        )
    check_told_apart(index)
    return index


def check_told_apart(
    labels: pd.Index, what: str = "ids", error: type[Exception] = WeightsError
) -> None:
    """Refuse labels that may mean the same unit.

    They differ only by type, like 1 and "1", by the blanks around them, or by digits that a float
    does not hold.
    """
    for culprits, why, way_out in (
        (
            find_same_text(labels),
            "read alike but are of several types",
            "make them all numbers, or all text",
        ),
        (find_alike(labels), "differ by the blanks around them alone", "strip them"),
        (
            find_inexact(labels),
            "are floats too large to tell whole numbers apart",
            "read them as whole numbers or as text",
        ),
    ):
        if culprits:
            raise error(f"{what} that {why}: {few(culprits)}. Convert the labels: {way_out}.")


def check_periods(periods: pd.Index, name: Any) -> None:
    """Refuse period labels that do not sort, or are numbers but sort as text: "10" before "2".

    `periods` holds each label once.
    """
    check_told_apart(periods, f"periods in column {name!r}", DataError)
    try:
        wrong = is_out_of_order(periods)
    except TypeError:
        kinds = sorted({type(label).__name__ for label in periods})
        raise DataError(
            f"Periods in column {name!r} are of the types {', '.join(kinds)}, which do not sort:"
            " convert them to one."
        ) from None
    if wrong:
        order = few(periods.sort_values())
        way_out = f"convert them with pd.to_numeric(frame[{name!r}])"
        raise DataError(
            f"Periods in column {name!r} are numbers stored as text, which sort as text: {order}."
            f" To keep their order {way_out}."
        )


def align(ids: pd.Index, labels: Any) -> np.ndarray:
    """Find the positions (N,) of `ids` in `labels`, so that labels[positions] = ids.

    WeightsError for labels that are repeated, or on one side only.

    >>> align(pd.Index(["a", "b", "c"]), ["c", "a", "b"])
    array([1, 2, 0])
    """
    given = as_labels(labels)
    if isinstance(given, pd.MultiIndex):
        raise WeightsError(
            f"the data have an index of the levels {few(given.names)}: give one row per unit,"
            " indexed by the unit."
        )
    if given.has_duplicates:
        raise WeightsError(
            f"the data repeat the units {few(given[given.duplicated()].unique())}: give one row a"
            " unit."
        )
    check_told_apart(given, "labels of the data")
    positions: np.ndarray = given.get_indexer(ids)
    extra, missing = given[ids.get_indexer(given) < 0], ids[positions < 0]
    if len(extra) or len(missing):
        both = (("in the data but not in W", extra), ("in W but not in the data", missing))
        sides = "; ".join(f"{side}: {few(units)}" for side, units in both if len(units))
        raise WeightsError(
            "the units of the data are not those of W;"
            f" {sides}.{type_hint(ids, given)}{_hint_at_numbers(ids, given)}"
        )
    return positions


def _hint_at_numbers(ids: pd.Index, given: pd.Index) -> str:
    """A hint where only one side has row numbers as its labels, else an empty text."""
    ours, theirs = (
        bool(pd.Index(labels).equals(pd.RangeIndex(len(labels)))) for labels in (ids, given)
    )
    if theirs and not ours:
        return (
            " If the labels of the data are row numbers, index the data by the unit, or name its"
            " column: unit=."
        )
    return " If W has only numbered its units, give it their ids=." if ours and not theirs else ""
