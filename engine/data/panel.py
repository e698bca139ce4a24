"""The validation border: a table and weights become sorted, aligned, checked arrays."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from spillover.engine.data.formula import SHOWN, Columns, Plan, plan, read
from spillover.engine.data.lags import NO_PERIODS, earlier
from spillover.engine.data.sources import Source, joined, levels_of, open_source
from spillover.engine.labels import align, check_periods, few
from spillover.engine.weights.weights import Weights
from spillover.kernels.errors import DataError, SpecificationError
from spillover.models.design import INTERCEPT

CONSTANT = ("unit", "period", "twoway")  # effects that contain the intercept


@dataclass(frozen=True)
class Panel:
    """A balanced panel, period by period in the order of the weights. `y`: (T, N); `x`: (T, N, k);
    a cross-section has one period.

    `before`: the first periods of the data, which lags and differences in the formula use up.
    """

    y: np.ndarray
    x: np.ndarray
    response: str
    names: tuple[str, ...]
    units: pd.Index
    periods: pd.Index
    period_name: str
    before: pd.Index = field(default_factory=lambda: pd.Index([]))


@dataclass(frozen=True)
class Labels:
    """One axis of a table: its distinct labels in the order in which they come, for every row,
    chunk by chunk, the position of its own, and how many rows are `missing` one.
    """

    found: pd.Index = field(default_factory=lambda: pd.Index([]))
    chunks: tuple[np.ndarray, ...] = ()
    missing: int = 0

    def extended(self, labels: pd.Series) -> "Labels":
        """These and the labels of one more chunk."""
        codes, new = pd.factorize(labels, use_na_sentinel=False)
        found, at = joined(self.found if self.chunks else None, pd.Index(new))
        return Labels(
            found,
            (*self.chunks, at[codes].astype(np.int32)),
            self.missing + int(labels.isna().sum()),
        )

    @cached_property
    def codes(self) -> np.ndarray:
        """(rows,), in one piece."""
        return np.concatenate((np.empty(0, np.int32), *self.chunks))


@dataclass(frozen=True)
class Layout:
    """Where the rows of a table go: `place`, the position of each in an array of (T, N); the labels
    of both axes.
    """

    place: np.ndarray
    units: pd.Index
    periods: pd.Index
    period: str | None

    def label(self, row: int) -> str:
        """The row by its labels, for errors."""
        t, unit = divmod(int(self.place[row]), len(self.units))
        return _pair(self.units[unit], self.periods[t], self.period)


def read_panel(
    formula: str,
    data: Any,
    weights: Weights,
    *,
    unit: str | None,
    period: str | None,
    effects: str,
    functions: Mapping[str, Callable] | None = None,
) -> Panel:
    """The panel that `formula` takes from `data`, units matched to `weights.ids` by label whatever
    the order of the rows.

    `data`: a pandas DataFrame, the path of a .csv file, of a Parquet file or folder, or a Dask
    DataFrame; the last two are read twice, a chunk at a time. DataError names duplicated or missing
    (unit, period) pairs, missing values, units that only one side has, numbers stored as text and
    whatever else would be converted without a word. Numbers and truth values become float64 (1 and
    0) before anything is worked out; whole numbers beyond 2^53 are rounded there, to 1e-16 of their
    size. `functions`: the user's own, that the formula may call.
    """
    source = open_source(data)
    if period is not None and unit is None:
        raise SpecificationError(
            f"period={period!r} needs unit= as well: the column that names the units."
        )
    if effects != "none" and period is None:
        raise SpecificationError(
            f"effects={effects!r} need a panel: say which columns are unit= and period=."
        )
    for column, role in ((unit, "unit"), (period, "period")):
        if column is not None and column not in source.columns:
            raise DataError(
                f"{role}={column!r} is not a column of the data; they have"
                f" {', '.join(map(str, source.columns))}."
            )
        if column is not None and (source.columns == column).sum() > 1:
            raise DataError(
                f"{role}={column!r} is the name of more than one column: rename or drop the copies."
            )
    if unit is not None and unit == period:
        raise SpecificationError(f"unit= and period= both name {unit!r}: give two columns.")
    wanted = plan(formula, source, functions)
    if wanted.before and period is None:
        raise SpecificationError(NO_PERIODS)
    units, times, levels = _first_pass(source, wanted, unit, period)
    layout = _layout(units, times, weights, period)
    kept = layout.periods[wanted.before :]
    if wanted.before and not len(kept):
        what = f"The formula {formula!r} reads {wanted.before} periods before each"
        raise SpecificationError(f"{what}, and the data have {len(layout.periods)}: none is left.")
    if effects not in ("none", "period") and len(kept) < 2:
        after = " after its lags" if wanted.before else ""
        raise SpecificationError(
            f"effects={effects!r} need at least two periods; the data have one{after}, {few(kept)}."
        )
    frames = _second_pass(
        source, wanted, [(unit, units), (period, times)][: 1 if period is None else 2]
    )
    chunks = read(
        wanted,
        frames,
        levels,
        layout.label,
        earlier(layout.place, layout.periods, len(layout.units), period),
    )
    y, x, response, names = _arrays(
        chunks, layout, without=INTERCEPT if effects in CONSTANT else None
    )
    if not names:
        raise DataError(
            f"The formula {formula!r} has no regressor beside the constant, which the effects"
            " contain: give at least one."
        )
    y, x, before = y[wanted.before :], x[wanted.before :], layout.periods[: wanted.before]
    return Panel(y, x, response, names, weights.ids, kept, period or "period", before)


def _first_pass(
    source: Source, wanted: Plan, unit: str | None, period: str | None
) -> tuple[Labels, Labels, dict[str, pd.Index]]:
    """The labels of every row, a column's or else the index for units and a single 0 for periods;
    the levels of the categories.
    """
    units, times = Labels(), Labels()
    levels: dict[str, pd.Index] = {}
    columns = [column for column in (unit, period) if column is not None]
    for frame in source.chunks([*columns, *wanted.levels], unit is None):
        if unit is None and isinstance(frame.index, pd.MultiIndex):
            names = ", ".join(map(str, frame.index.names))
            raise DataError(
                f"The index of the data has the levels {names}: frame.reset_index() makes columns"
                " of them, for unit= and period=."
            )
        units = units.extended(pd.Series(frame.index) if unit is None else frame[unit])
        times = times.extended(
            pd.Series(np.zeros(len(frame), int)) if period is None else frame[period]
        )
        for name in wanted.levels:
            levels[name] = levels_of(frame[name], levels.get(name))
    for column, role, axis in ((unit, "unit", units), (period, "period", times)):
        if column is not None and axis.missing:
            raise DataError(
                f"Column {column!r}, the {role}, is missing in {axis.missing} rows: drop them or"
                " fill them in."
            )
    return units, times, levels


def _second_pass(
    source: Source, wanted: Plan, axes: list[tuple[str | None, Labels]]
) -> Iterator[pd.DataFrame]:
    """The variables, in the order of the first pass: its labels, by column or None for the index,
    are compared where that is not sure.
    """
    compared = [] if source.fixed else axes
    columns = [column for column, _ in compared if column is not None]
    start = 0
    for frame in source.chunks([*wanted.variables, *columns], len(columns) < len(compared)):
        for column, labels in compared:
            again = labels.found.get_indexer(
                frame.index if column is None else pd.Index(frame[column])
            )
            if not np.array_equal(again, labels.codes[start : start + len(frame)]):
                raise DataError(
                    "The data changed while they were read: the rows came in another order the"
                    " second time. Persist them first."
                )
        start += len(frame)
        yield frame


def _layout(units: Labels, times: Labels, weights: Weights, period: str | None) -> Layout:
    """The place of every row, from the order of W and the sorted periods; refuses duplicated rows,
    an unbalanced panel and other units.
    """
    total, count = len(times.found), len(units.found)
    key = times.codes.astype(np.int64) * count + units.codes
    seen = np.zeros(total * count if len(key) == total * count else 0, bool)
    if len(key) == len(seen):
        seen[key] = True
    if len(key) != len(seen) or not seen.all():
        _refuse(key, units.found, times.found, period)
    position = align(weights.ids, units.found)
    check_periods(times.found, period)
    periods, order = times.found.sort_values(return_indexer=True)
    row, column = np.empty(total, np.int64), np.empty(count, np.int64)
    row[order], column[position] = np.arange(total), np.arange(count)
    return Layout(row[times.codes] * count + column[units.codes], weights.ids, periods, period)


def _refuse(key: np.ndarray, units: pd.Index, times: pd.Index, period: str | None) -> None:
    """DataError that names duplicated rows, else the (unit, period) pairs that have none; `key`:
    number of the period, times N, + unit.
    """
    pairs = pd.Series(key)
    twice = pairs[pairs.duplicated()].unique()
    if len(twice):
        way_out = (
            "aggregate them, or name the period= column"
            if period is None
            else "aggregate or drop the copies"
        )
        named = [
            _pair(units[k % len(units)], times[k // len(units)], period) for k in twice[:SHOWN]
        ]
        raise DataError(
            f"{len(twice)} labels appear more than once ({_few(named, len(twice))}): {way_out}."
        )
    short = np.flatnonzero(np.bincount(key % len(units), minlength=len(units)) < len(times))
    named = []
    for unit in _sorted(units[short])[:SHOWN]:
        there = times[key[key % len(units) == units.get_loc(unit)] // len(units)]
        named += [
            _pair(unit, time, period) for time in _sorted(times.difference(there, sort=False))
        ]
    missing = len(units) * len(times) - len(key)
    raise DataError(
        f"The panel is unbalanced: {missing} (unit, {period}) pairs have no row"
        f" ({_few(named[:SHOWN], missing)}). Fill them in, or keep the units that have all"
        f" {len(times)} periods and subset the weights with W[ids]."
    )


def _arrays(
    chunks: Iterator[Columns], layout: Layout, without: str | None
) -> tuple[np.ndarray, np.ndarray, str, tuple[str, ...]]:
    """y, (T, N), and x, (T, N, k), filled chunk by chunk, the name of y and those of x, but for the
    column `without`.
    """
    shape = len(layout.periods), len(layout.units)
    names: tuple[str, ...] = ()
    y, x, response, start = np.empty(0), np.empty((0, 0)), "", 0
    for columns in chunks:
        kept = [i for i, name in enumerate(columns.names) if name != without]
        if not start:
            response, names = columns.response, tuple(columns.names[i] for i in kept)
            y, x = np.empty(shape[0] * shape[1]), np.empty((shape[0] * shape[1], len(kept)))
        place = layout.place[start : start + len(columns.y)]
        if len(place) != len(columns.y):
            break
        y[place], x[place] = columns.y, columns.x[:, kept]
        start += len(place)
    if start != len(layout.place):
        raise DataError(
            f"The data changed while they were read: {len(layout.place)} rows at first, then"
            f" {start} that fit."
        )
    return y.reshape(shape), x.reshape(*shape, len(names)), response, names


def _pair(unit: Any, time: Any, period: str | None) -> str:
    unit, time = (
        label.item() if isinstance(label, np.generic) else label for label in (unit, time)
    )
    return repr(unit) if period is None else f"({unit!r}, {time!r})"


def _sorted(labels: pd.Index) -> pd.Index:
    try:
        return labels.sort_values()
    except TypeError:  # labels of several types have no order
        return labels


def _few(named: list[str], count: int) -> str:
    return ", ".join(named) + (", ..." if count > len(named) else "")
