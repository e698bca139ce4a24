"""Gaps in panels: interpolation within a unit, extrapolation of its adjacent periods at the ends,
every cell on record.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from spillover.engine.labels import check_told_apart, few
from spillover.engine.recognition import NUMBERS, how_to_convert, is_number, numbers_as_text
from spillover.kernels.arguments import front_door, kind_of, label, show
from spillover.kernels.errors import DataError


@dataclass(frozen=True, eq=False, repr=False)
class Filled:
    """A panel without gaps. `frame`: the rows, order, index and columns as given; `cells`: what was
    filled, one row a cell.

    The columns of `cells` are unit, period, column, value and how: "interpolated", "extrapolated"
    or "carried".
    """

    frame: pd.DataFrame
    cells: pd.DataFrame

    def __repr__(self) -> str:
        counts = self.cells["how"].value_counts()
        how = [
            f"{counts[name]} {name}"
            for name in ("interpolated", "extrapolated", "carried")
            if name in counts
        ]
        parts = [f"{len(self.frame)} rows", f"{len(self.cells)} cells filled", *how]
        return f"Filled({', '.join(parts)})"


@front_door
def interpolate_panel(
    frame: pd.DataFrame, *, unit: str, period: str, columns: Sequence[str] | None = None
) -> Filled:
    """The panel with the missing values of each unit filled in on straight lines between its
    observed periods.

    x(t) = x(a) + (t - a) (x(b) - x(a)) / (b - a), with a and b the observed periods of the unit
    that enclose t, or the two nearest to it at the ends (extrapolation of adjacent years); where a
    unit has one value only, that value is carried to its other periods.

    `frame`: one row a (unit, period), in any order; `unit`, `period`: its columns of labels,
    periods being numbers or dates, whose distances count; `columns`: which numeric columns to fill
    (default: all but the labels). Extrapolation knows no bounds: a share may leave [0, 1]. An
    integer column that has gaps is returned as floats.

    Raises DataError for a unit without any value in a column, repeated rows, missing labels, labels
    that are the same but for their type or blanks, periods that are neither numbers nor dates,
    infinite values, columns that are not there or not numbers and, unless `columns` says which,
    numbers with gaps that are stored as text.

    >>> panel = pd.DataFrame(
    ...     {"town": list("aaaa"), "year": [2001, 2002, 2004, 2005], "x": [1.0, None, 4.0, None]}
    ... )
    >>> filled = interpolate_panel(panel, unit="town", period="year")
    >>> filled.frame["x"].tolist()
    [1.0, 2.0, 4.0, 5.0]
    >>> filled
    Filled(4 rows, 2 cells filled, 1 interpolated, 1 extrapolated)

    Source: Meijering (2002, Proceedings of the IEEE 90) for linear interpolation and its history.
    """
    codes, times = _labels(frame, unit, period)
    if columns is None:
        names = [
            name
            for name, kind in frame.dtypes.items()
            if is_number(kind) and name not in (unit, period)
        ]
        _refuse_text_with_gaps(frame, unit, period)
    else:
        names = as_names(columns, "columns")
    values = numbers(frame, names)
    _refuse_infinite(frame, values, names, [unit, period])
    _refuse_empty(frame[unit], values, names, codes)
    out, cells = frame.copy(), []
    for name, column in zip(names, values.T, strict=True):
        rows, whole, how = _filled(column, codes, times)
        if len(rows):
            stored = _like(frame[name], whole)
            out.isetitem(frame.columns.get_loc(name), stored)
            cells.append(
                _cells(frame[[unit, period]].iloc[rows], name, np.asarray(stored, float)[rows], how)
            )
    none = _cells(frame[[unit, period]].iloc[:0], "", np.empty(0), [])
    return Filled(out, pd.concat(cells, ignore_index=True) if cells else none)


def numbers(frame: pd.DataFrame, names: Sequence[Any]) -> np.ndarray:
    """The columns as float64, (rows, columns), missing values as NaN.

    Raises DataError naming columns that are not there, that share a name, or that do not hold real
    numbers.
    """
    check_columns(frame, names)
    other = [name for name in names if not is_number(frame[name].dtype)]
    if other:
        kinds = few(other, lambda name: f"{name!r} ({frame[name].dtype})")
        raise DataError(
            f"Not a column of numbers: {kinds}. Convert it with pd.to_numeric, or leave it out."
        )
    return np.column_stack(
        [
            np.empty((len(frame), 0)),
            *(frame[name].to_numpy(float, na_value=np.nan) for name in names),
        ]
    )


def check_columns(frame: pd.DataFrame, names: Sequence[Any]) -> None:
    """DataError for what is no table, and for columns that are not there or share a name."""
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


def as_names(names: Any, what: str) -> list:
    """A list of column names, each once; DataError for a bare text and for repeats."""
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


def _labels(frame: pd.DataFrame, unit: str, period: str) -> tuple[np.ndarray, np.ndarray]:
    """The number of each row's unit, in their sorted order, and its time as a float:
    (rows,) each.
    """
    label("unit", unit)
    label("period", period)
    if unit == period:
        raise DataError(f"unit= and period= both name {unit!r}: give two columns.")
    check_columns(frame, [unit, period])
    for name, role in ((unit, "unit"), (period, "period")):
        lost = frame[name].isna()
        if lost.any():
            raise DataError(
                f"Column {name!r}, the {role}, is missing in {lost.sum()} rows"
                f" ({few(frame.index[lost])}): drop or label them."
            )
    again = frame.duplicated([unit, period])
    if again.any():
        pairs = _pairs(frame.loc[again.to_numpy(), [unit, period]])
        raise DataError(
            f"{again.sum()} rows repeat a ({unit}, {period}) that another has: {pairs}. Aggregate"
            " or drop the copies."
        )
    codes, found = pd.factorize(frame[unit])
    check_told_apart(pd.Index(found), f"labels in column {unit!r}", DataError)
    try:
        order = np.asarray(pd.Index(found).argsort())
    except TypeError:  # labels of several types have no order: as they come
        order = np.arange(len(found))
    return np.argsort(order)[codes], _times(frame[period])


def _times(periods: pd.Series) -> np.ndarray:
    """The periods as floats that keep their distances; dates count from the first, so that nothing
    is lost to rounding.
    """
    if pd.api.types.is_datetime64_any_dtype(periods.dtype):
        return ((periods - periods.min()) / pd.Timedelta(days=1)).to_numpy(float)
    if not is_number(periods.dtype):
        hint = (
            "numbers or dates: convert them, e.g. with pd.to_datetime or, for a column of pandas"
            " periods, .dt.to_timestamp()"
        )
        raise DataError(
            f"Column {periods.name!r}, the period, is of type {periods.dtype}; distances in time"
            f" need {hint}."
        )
    if not np.isfinite(periods.to_numpy(float)).all():
        raise DataError(
            f"Column {periods.name!r}, the period, holds infinite values: give numbers or dates."
        )
    if not len(periods) or not pd.api.types.is_integer_dtype(periods.dtype):
        return (periods - periods.min()).to_numpy(float)
    whole = periods.to_numpy(object)  # whole numbers of Python's, which know no bounds
    return (whole - whole.min()).astype(float)


def _refuse_infinite(frame: pd.DataFrame, values: np.ndarray, names: list, labels: list) -> None:
    rows, columns = np.nonzero(np.isinf(values))
    if len(rows):
        first = np.flatnonzero(columns == columns[0])
        where = _pairs(frame.iloc[rows[first]][labels])
        raise DataError(
            f"Column {names[columns[0]]!r} is infinite at {where}: replace it by a number, or by"
            " NaN to have it filled."
        )


def _refuse_text_with_gaps(frame: pd.DataFrame, unit: str, period: str) -> None:
    """DataError for a column that has gaps and numbers stored as text or object, which would be
    passed over as if it were words.
    """
    for j, (name, kind) in enumerate(frame.dtypes.items()):
        values = frame.iloc[:, j].dropna()
        if is_number(kind) or name in (unit, period) or len(values) == len(frame):
            continue
        held = pd.api.types.infer_dtype(values)
        found = numbers_as_text(values.unique()) if held == "string" else None
        if found or held in NUMBERS:
            marks, others = (found[2], found[1]) if found else ([], [])
            way_out = f"{how_to_convert(name, marks, others)}, or say which columns= to fill"
            raise DataError(
                f"Column {name!r} has gaps and holds numbers stored as {kind}, which are not"
                f" filled: {way_out}."
            )


def _refuse_empty(units: pd.Series, values: np.ndarray, names: list, codes: np.ndarray) -> None:
    found = pd.DataFrame(~np.isnan(values)).groupby(codes).any().to_numpy(bool)
    lost, columns = np.nonzero(~found)
    if len(lost):
        who = units.iloc[[int(np.argmax(codes == code)) for code in lost[columns == columns[0]]]]
        way_out = "leave the unit or the column out (columns=), or give at least one value"
        raise DataError(
            f"Column {names[columns[0]]!r} has no value at all in {few(list(who))}: {way_out}."
        )


def _filled(
    values: np.ndarray, codes: np.ndarray, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The rows filled, by unit and period, the column (rows,) with the new values in place, and how
    each was found.
    """
    whole, gaps, how = values.copy(), [], []
    by_unit = np.lexsort((times, codes))
    starts = np.flatnonzero(np.diff(codes[by_unit], prepend=-1))
    for rows in np.split(by_unit, starts[1:]):
        gap = np.isnan(values[rows])
        if gap.any():
            new, ways = _line(times[rows[gap]], times[rows[~gap]], values[rows[~gap]])
            whole[rows[gap]] = new
            gaps.append(rows[gap])
            how += ways
    return np.concatenate([np.empty(0, int), *gaps]), whole, how


def _line(at: np.ndarray, times: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Values at the times `at` on the straight lines through the points (times, values), sorted by
    time.
    """
    if len(times) == 1:
        return np.full(len(at), values[0]), ["carried"] * len(at)
    # the first or last two points serve beyond the ends
    left = np.clip(np.searchsorted(times, at) - 1, 0, len(times) - 2)
    share = (at - times[left]) / (times[left + 1] - times[left])
    inside = (times[0] < at) & (at < times[-1])
    return (1 - share) * values[left] + share * values[left + 1], [
        "interpolated" if yes else "extrapolated" for yes in inside
    ]


def _like(column: pd.Series, whole: np.ndarray) -> Any:
    """The values as an array of the column's own type; of floats where that one holds whole numbers
    only.
    """
    kind = "Float64" if pd.api.types.is_integer_dtype(column.dtype) else column.dtype
    return pd.array(whole, dtype=kind)


def _cells(labels: pd.DataFrame, column: Any, values: np.ndarray, how: list[str]) -> pd.DataFrame:
    named = labels.set_axis(["unit", "period"], axis=1).reset_index(drop=True)
    return named.assign(column=column, value=values, how=pd.Series(how, dtype=str))


def _pairs(labels: pd.DataFrame) -> str:
    return few(
        list(labels.itertuples(index=False, name=None)),
        lambda pair: f"({', '.join(repr(_plain(label)) for label in pair)})",
    )


def _plain(label: Any) -> Any:
    return label.item() if isinstance(label, np.generic) else label
