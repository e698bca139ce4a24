"""Linear interpolation of gaps in panels, within each unit, with a record of every filled cell."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from spillover.engine.data.columns import check_columns, list_names, read_numbers
from spillover.engine.labels import check_told_apart, few
from spillover.engine.recognition import NUMBERS, find_numbers, how_to_convert, is_number
from spillover.kernels.arguments import front_door, label
from spillover.kernels.errors import DataError


@dataclass(frozen=True, eq=False, repr=False)
class Filled:
    """A panel without gaps, and a record of every cell that was filled.

    Attributes
    ----------
    frame : DataFrame
        The panel, with rows, index and columns as given, in their order.
    cells : DataFrame
        One row per filled cell: unit, period, column, value, and how: "interpolated",
        "extrapolated" or "carried".

    See Also
    --------
    interpolate_panel : Makes it.
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
    """Fill the gaps of each unit by linear interpolation between its observed periods.

    Between the observed periods a and b of the unit that enclose t, the value is::

        x(t) = x(a) + (t - a) (x(b) - x(a)) / (b - a)

    Before the first and after the last observed period, a and b are the two nearest ones. A unit
    with a single value keeps it in all of its periods.

    Parameters
    ----------
    frame : DataFrame
        One row per (unit, period), in any order.
    unit : str
        The column that names the unit of a row.
    period : str
        The column that names its period, by numbers or dates. The distances between them are used.
    columns : sequence of str, optional
        The numeric columns to fill; all but `unit` and `period` unless given.

    Returns
    -------
    Filled
        The panel and the cells that were filled. A column of integers with gaps comes back as
        floats.

    Raises
    ------
    DataError
        For a unit without any value in a column, repeated rows, missing labels, labels that are the
        same but for their type or blanks, periods that are neither numbers nor dates, infinite
        values, columns that do not exist or are not numeric and, unless `columns` says which to
        fill, numbers with gaps that are stored as text.

    Notes
    -----
    Extrapolation knows no bounds: a share may leave [0, 1].

    Examples
    --------
    >>> panel = pd.DataFrame(
    ...     {"town": list("aaaa"), "year": [2001, 2002, 2004, 2005], "x": [1.0, None, 4.0, None]}
    ... )
    >>> filled = interpolate_panel(panel, unit="town", period="year")
    >>> filled.frame["x"].tolist()
    [1.0, 2.0, 4.0, 5.0]
    >>> filled
    Filled(4 rows, 2 cells filled, 1 interpolated, 1 extrapolated)

    References
    ----------
    Meijering (2002), Proceedings of the IEEE 90, for linear interpolation and its history.
    """
    codes, times = _read_axes(frame, unit, period)
    if columns is None:
        names = [
            name
            for name, kind in frame.dtypes.items()
            if is_number(kind) and name not in (unit, period)
        ]
        _refuse_text_with_gaps(frame, unit, period)
    else:
        names = list_names(columns, "columns")
    values = read_numbers(frame, names)
    _refuse_infinite(frame, values, names, [unit, period])
    _refuse_empty(frame[unit], values, names, codes)
    out, cells = frame.copy(), []
    for name, column in zip(names, values.T, strict=True):
        rows, whole, how = _fill_gaps(column, codes, times)
        if len(rows):
            stored = _store_as(frame[name], whole)
            out.isetitem(frame.columns.get_loc(name), stored)
            labels = frame[[unit, period]].iloc[rows]
            cells.append(_record(labels, name, np.asarray(stored, float)[rows], how))
    none = _record(frame[[unit, period]].iloc[:0], "", np.empty(0), [])
    return Filled(out, pd.concat(cells, ignore_index=True) if cells else none)


def _read_axes(frame: pd.DataFrame, unit: str, period: str) -> tuple[np.ndarray, np.ndarray]:
    """Find each row's unit, as a position among the sorted ones, and its time, (rows,) each."""
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
        pairs = _name_pairs(frame.loc[again.to_numpy(), [unit, period]])
        raise DataError(
            f"{again.sum()} rows repeat a ({unit}, {period}) that another has: {pairs}. Aggregate"
            " or drop the copies."
        )
    codes, distinct = pd.factorize(frame[unit])
    units = pd.Index(distinct)
    check_told_apart(units, f"labels in column {unit!r}", DataError)
    try:
        order = np.asarray(units.argsort())
    except TypeError:  # labels of several types have no order: left as they come
        order = np.arange(len(units))
    return np.argsort(order)[codes], _measure_times(frame[period])


def _measure_times(periods: pd.Series) -> np.ndarray:
    """Convert the periods to floats that keep their distances.

    They count from the first period, so that no distance is lost to rounding.
    """
    if pd.api.types.is_datetime64_any_dtype(periods.dtype):
        return np.asarray(((periods - periods.min()) / pd.Timedelta(days=1)).to_numpy(float))
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
        return np.asarray((periods - periods.min()).to_numpy(float))
    whole = periods.to_numpy(object)  # integers of Python, whose differences do not overflow
    return np.asarray((whole - whole.min()).astype(float))


def _refuse_infinite(
    frame: pd.DataFrame, values: np.ndarray, names: list[Any], labels: list[str]
) -> None:
    rows, columns = np.nonzero(np.isinf(values))
    if len(rows):
        first = np.flatnonzero(columns == columns[0])
        where = _name_pairs(frame.iloc[rows[first]][labels])
        raise DataError(
            f"Column {names[columns[0]]!r} is infinite at {where}: replace it by a number, or by"
            " NaN to have it filled."
        )


def _refuse_text_with_gaps(frame: pd.DataFrame, unit: str, period: str) -> None:
    """Refuse a column that has gaps and holds numbers stored as text or objects.

    Its gaps would silently stay unfilled.
    """
    for j, (name, kind) in enumerate(frame.dtypes.items()):
        values = frame.iloc[:, j].dropna()
        if is_number(kind) or name in (unit, period) or len(values) == len(frame):
            continue
        held = pd.api.types.infer_dtype(values)
        read = find_numbers(values.unique()) if held == "string" else None
        if read or held in NUMBERS:
            marks, others = (read[2], read[1]) if read else ([], [])
            way_out = f"{how_to_convert(name, marks, others)}, or say which columns= to fill"
            raise DataError(
                f"Column {name!r} has gaps and holds numbers stored as {kind}, which are not"
                f" filled: {way_out}."
            )


def _refuse_empty(
    units: pd.Series, values: np.ndarray, names: list[Any], codes: np.ndarray
) -> None:
    """Refuse a column in which a unit has no value at all."""
    observed = pd.DataFrame(~np.isnan(values)).groupby(codes).any().to_numpy(bool)
    lost, columns = np.nonzero(~observed)
    if len(lost):
        who = units.iloc[[int(np.argmax(codes == code)) for code in lost[columns == columns[0]]]]
        way_out = "leave the unit or the column out (columns=), or give at least one value"
        raise DataError(
            f"Column {names[columns[0]]!r} has no value at all in {few(list(who))}: {way_out}."
        )


def _fill_gaps(
    values: np.ndarray, codes: np.ndarray, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Fill the gaps of one column.

    Returns the rows that were filled, by unit and period, the whole column (rows,), and how each
    gap was filled.
    """
    whole, gaps, how = values.copy(), [], []
    by_unit = np.lexsort((times, codes))
    starts = np.flatnonzero(np.diff(codes[by_unit], prepend=-1))
    for rows in np.split(by_unit, starts[1:]):
        gap = np.isnan(values[rows])
        if gap.any():
            new, ways = _interpolate(times[rows[gap]], times[rows[~gap]], values[rows[~gap]])
            whole[rows[gap]] = new
            gaps.append(rows[gap])
            how += ways
    return np.concatenate([np.empty(0, int), *gaps]), whole, how


def _interpolate(
    at: np.ndarray, times: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, list[str]]:
    """Interpolate at the times `at` between the points (times, values), which are sorted by time.

    Returns the values, and how each was found.
    """
    if len(times) == 1:
        return np.full(len(at), values[0]), ["carried"] * len(at)
    # beyond the ends, the first or last two points are used
    left = np.clip(np.searchsorted(times, at) - 1, 0, len(times) - 2)
    share = (at - times[left]) / (times[left + 1] - times[left])
    inside = (times[0] < at) & (at < times[-1])
    how = ["interpolated" if yes else "extrapolated" for yes in inside]
    return (1 - share) * values[left] + share * values[left + 1], how


def _store_as(column: pd.Series, whole: np.ndarray) -> Any:
    """Convert the values to the column's own type, or to floats if it holds integers."""
    kind = "Float64" if pd.api.types.is_integer_dtype(column.dtype) else column.dtype
    return pd.array(whole, dtype=kind)


def _record(labels: pd.DataFrame, column: Any, values: np.ndarray, how: list[str]) -> pd.DataFrame:
    """Make the rows of `Filled.cells` for one column."""
    named = labels.set_axis(["unit", "period"], axis=1).reset_index(drop=True)
    return named.assign(column=column, value=values, how=pd.Series(how, dtype=str))


def _name_pairs(labels: pd.DataFrame) -> str:
    return few(
        list(labels.itertuples(index=False, name=None)),
        lambda pair: f"({', '.join(repr(_to_python(label)) for label in pair)})",
    )


def _to_python(label: Any) -> Any:
    return label.item() if isinstance(label, np.generic) else label
