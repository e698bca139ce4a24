"""Where data are validated: a table and weights become sorted, aligned and checked arrays."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, NoReturn

import numpy as np
import pandas as pd

from spillover.engine.data.formula import FormulaPlan, plan_formula
from spillover.engine.data.formula_values import SHOWN, Columns, read_columns
from spillover.engine.data.lags import NO_PERIODS, make_look_back
from spillover.engine.data.sources import Source, append_labels, collect_levels, open_source
from spillover.engine.labels import align, check_periods, few
from spillover.engine.weights.weights import Weights
from spillover.kernels.errors import DataError, SpecificationError
from spillover.models.design import INTERCEPT

CONSTANT = ("unit", "period", "twoway")  # effects that contain the intercept


@dataclass(frozen=True)
class Panel:
    """A balanced panel, period by period, with its units in the order of the weights.

    A cross-section is a panel of one period.

    Attributes
    ----------
    y : array (T, N)
        The response.
    x : array (T, N, k)
        The regressors.
    response : str
        Name of the response.
    names : tuple of str (k,)
        Names of the regressors.
    units : Index (N,)
        Labels of the units.
    periods : Index (T,)
        Labels of the periods, sorted.
    period_name : str
        The name of the periods, such as "year".
    before : Index
        The first periods of the data, which lags and differences in the formula use up.
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
    """The labels of one axis of a table, collected chunk by chunk.

    `distinct`: each label once, in order of appearance; `chunks`: for the rows of each chunk, the
    positions of their labels in `distinct`; `missing`: how many rows have no label.
    """

    distinct: pd.Index = field(default_factory=lambda: pd.Index([]))
    chunks: tuple[np.ndarray, ...] = ()
    missing: int = 0

    def extend(self, labels: pd.Series) -> "Labels":
        """Add the labels of one more chunk."""
        codes, new = pd.factorize(labels, use_na_sentinel=False)
        distinct, at = append_labels(self.distinct if self.chunks else None, pd.Index(new))
        return Labels(
            distinct,
            (*self.chunks, at[codes].astype(np.int32)),
            self.missing + int(labels.isna().sum()),
        )

    @cached_property
    def codes(self) -> np.ndarray:
        """The position of each row's label, (rows,)."""
        return np.concatenate((np.empty(0, np.int32), *self.chunks))


@dataclass(frozen=True)
class Layout:
    """Where the rows of a table go in an array (T, N).

    `place`: (rows,), the position of each row in that array; `units`, `periods`: the labels of both
    axes; `period`: the name of the column of periods, None for a cross-section.
    """

    place: np.ndarray
    units: pd.Index
    periods: pd.Index
    period: str | None

    def label(self, row: int) -> str:
        """Name a row by its labels, for errors."""
        t, unit = divmod(int(self.place[row]), len(self.units))
        return _name_pair(self.units[unit], self.periods[t], self.period)


class _Arrays(NamedTuple):
    """The response `y` (T, N), the regressors `x` (T, N, k), and their names."""

    y: np.ndarray
    x: np.ndarray
    response: str
    names: tuple[str, ...]


def read_panel(
    formula: str,
    data: Any,
    weights: Weights,
    *,
    unit: str | None,
    period: str | None,
    effects: str,
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> Panel:
    """Read from a table the panel that a formula describes.

    Units are matched to the weights by label, whatever the order of the rows. Numbers and truth
    values become float64, true 1 and false 0, before anything is computed. Whole numbers beyond
    2^53 are rounded in this, to 1e-16 of their size.

    Parameters
    ----------
    formula : str
        The formula, such as "y ~ x1 + np.log(x2)".
    data : DataFrame, str, Path or dask DataFrame
        The table, or the path of a .csv file, a Parquet file or a folder of them. Parquet and Dask
        are read twice, a chunk at a time.
    weights : Weights
        The weights (N, N), whose ids label the units.
    unit : str or None
        Column that names the unit of a row; None if the index does.
    period : str or None
        Column that names the period of a row; None for a cross-section.
    effects : str
        The effects of the model; those that contain the intercept remove it from `x`.
    functions : mapping of str to callable, optional
        The user's own functions, by the names under which the formula calls them.

    Raises
    ------
    DataError
        For duplicated or missing (unit, period) pairs, missing values, units that only the table or
        only the weights have, numbers stored as text, and whatever else would be converted
        silently; the message names them.
    SpecificationError
        For `unit`, `period` and `effects` that do not fit each other or the data.
    """
    source = open_source(data)
    _check_axes(source, unit, period, effects)
    plan = plan_formula(formula, source, functions)
    if plan.before and period is None:
        raise SpecificationError(NO_PERIODS)
    units, times, levels = _read_labels(source, plan, unit, period)
    layout = _lay_out(units, times, weights, period)
    periods = layout.periods[plan.before :]
    _check_periods_left(plan, layout, effects)
    axes = [(unit, units)] if period is None else [(unit, units), (period, times)]
    columns = read_columns(
        plan,
        _read_rows(source, plan, axes),
        levels=levels,
        label=layout.label,
        look_back=make_look_back(layout.place, layout.periods, len(layout.units), period),
    )
    arrays = _fill_arrays(columns, layout, INTERCEPT if effects in CONSTANT else None)
    if not arrays.names:
        raise DataError(
            f"The formula {formula!r} has no regressor beside the constant, which the effects"
            " contain: give at least one."
        )
    return Panel(
        y=arrays.y[plan.before :],
        x=arrays.x[plan.before :],
        response=arrays.response,
        names=arrays.names,
        units=weights.ids,
        periods=periods,
        period_name=period or "period",
        before=layout.periods[: plan.before],
    )


def _check_axes(source: Source, unit: str | None, period: str | None, effects: str) -> None:
    """Refuse unit and period columns that do not exist, or are missing for the effects."""
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


def _check_periods_left(plan: FormulaPlan, layout: Layout, effects: str) -> None:
    """Refuse lags that leave no period, and effects that need more than are left."""
    left = layout.periods[plan.before :]
    if plan.before and not len(left):
        raise SpecificationError(
            f"The formula {plan.parsed.text!r} reads {plan.before} periods before each, and the"
            f" data have {len(layout.periods)}: none is left."
        )
    if effects not in ("none", "period") and len(left) < 2:
        after = " after its lags" if plan.before else ""
        raise SpecificationError(
            f"effects={effects!r} need at least two periods; the data have one{after}, {few(left)}."
        )


def _read_labels(
    source: Source, plan: FormulaPlan, unit: str | None, period: str | None
) -> tuple[Labels, Labels, dict[str, pd.Index]]:
    """Read the unit and period of every row, and the levels of the plan's categories.

    This is the first pass over the table. Without a column of units the index names them; without
    one of periods all rows are in one period, 0.
    """
    units, times = Labels(), Labels()
    levels: dict[str, pd.Index] = {}
    columns = [column for column in (unit, period) if column is not None]
    for frame in source.chunks([*columns, *plan.levels], unit is None):
        if unit is None and isinstance(frame.index, pd.MultiIndex):
            names = ", ".join(map(str, frame.index.names))
            raise DataError(
                f"The index of the data has the levels {names}: frame.reset_index() makes columns"
                " of them, for unit= and period=."
            )
        units = units.extend(pd.Series(frame.index) if unit is None else frame[unit])
        times = times.extend(
            pd.Series(np.zeros(len(frame), int)) if period is None else frame[period]
        )
        for name in plan.levels:
            levels[name] = collect_levels(frame[name], levels.get(name))
    for column, role, axis in ((unit, "unit", units), (period, "period", times)):
        if column is not None and axis.missing:
            raise DataError(
                f"Column {column!r}, the {role}, is missing in {axis.missing} rows: drop them or"
                " fill them in."
            )
    return units, times, levels


def _read_rows(
    source: Source, plan: FormulaPlan, axes: list[tuple[str | None, Labels]]
) -> Iterator[pd.DataFrame]:
    """Read the variables of the formula, in the second pass over the table.

    Where rows may come in another order than in the first pass, the labels of the `axes`, each a
    column or None for the index, are read once more and compared.
    """
    compared = [] if source.fixed else axes
    columns = [column for column, _ in compared if column is not None]
    start = 0
    for frame in source.chunks([*plan.variables, *columns], len(columns) < len(compared)):
        for column, labels in compared:
            again = labels.distinct.get_indexer(
                frame.index if column is None else pd.Index(frame[column])
            )
            if not np.array_equal(again, labels.codes[start : start + len(frame)]):
                raise DataError(
                    "The data changed while they were read: the rows came in another order the"
                    " second time. Persist them first."
                )
        start += len(frame)
        yield frame


def _lay_out(units: Labels, times: Labels, weights: Weights, period: str | None) -> Layout:
    """Find the place of every row, by the order of the weights and the sorted periods.

    DataError for duplicated rows, an unbalanced panel, and units other than those of the weights.
    """
    total, count = len(times.distinct), len(units.distinct)
    key = times.codes.astype(np.int64) * count + units.codes
    # a table of another size is refused anyway: no memory is spent on all its pairs
    seen = np.zeros(total * count if len(key) == total * count else 0, bool)
    if len(key) == len(seen):
        seen[key] = True
    if len(key) != len(seen) or not seen.all():
        _refuse_unbalanced(key, units.distinct, times.distinct, period)
    position = align(weights.ids, units.distinct)
    check_periods(times.distinct, period)
    periods, order = times.distinct.sort_values(return_indexer=True)
    row, column = np.empty(total, np.int64), np.empty(count, np.int64)
    row[order], column[position] = np.arange(total), np.arange(count)
    return Layout(row[times.codes] * count + column[units.codes], weights.ids, periods, period)


def _refuse_unbalanced(
    key: np.ndarray, units: pd.Index, times: pd.Index, period: str | None
) -> NoReturn:
    """Raise DataError that names duplicated rows, or else the (unit, period) pairs without a row.

    `key`: (rows,), position of the period times N, plus position of the unit.
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
            _name_pair(units[k % len(units)], times[k // len(units)], period) for k in twice[:SHOWN]
        ]
        raise DataError(
            f"{len(twice)} labels appear more than once ({_list_first(named, len(twice))}):"
            f" {way_out}."
        )
    short = np.flatnonzero(np.bincount(key % len(units), minlength=len(units)) < len(times))
    named = []
    for unit in _sort(units[short])[:SHOWN]:
        there = times[key[key % len(units) == units.get_loc(unit)] // len(units)]
        named += [
            _name_pair(unit, time, period) for time in _sort(times.difference(there, sort=False))
        ]
    missing = len(units) * len(times) - len(key)
    raise DataError(
        f"The panel is unbalanced: {missing} (unit, {period}) pairs have no row"
        f" ({_list_first(named[:SHOWN], missing)}). Fill them in, or keep the units that have all"
        f" {len(times)} periods and subset the weights with W[ids]."
    )


def _fill_arrays(chunks: Iterator[Columns], layout: Layout, without: str | None) -> _Arrays:
    """Fill the arrays of a panel chunk by chunk; `without`: a column to leave out of x."""
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
    return _Arrays(y.reshape(shape), x.reshape(*shape, len(names)), response, names)


def _name_pair(unit: Any, time: Any, period: str | None) -> str:
    unit, time = (
        label.item() if isinstance(label, np.generic) else label for label in (unit, time)
    )
    return repr(unit) if period is None else f"({unit!r}, {time!r})"


def _sort(labels: pd.Index) -> pd.Index:
    try:
        return labels.sort_values()
    except TypeError:  # labels of several types have no order
        return labels


def _list_first(named: list[str], count: int) -> str:
    return ", ".join(named) + (", ..." if count > len(named) else "")
