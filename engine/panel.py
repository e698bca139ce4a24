"""The validation border: a frame and weights become sorted, aligned, checked arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from spillover.engine.formula import read
from spillover.engine.weights import Weights, align
from spillover.kernels.errors import DataError, SpecificationError
from spillover.models.design import INTERCEPT


@dataclass(frozen=True)
class Panel:
    """A balanced panel, period by period in the order of the weights. `y`: (T, N); `x`: (T, N, k); a cross-section has one period."""

    y: np.ndarray
    x: np.ndarray
    response: str
    names: tuple[str, ...]
    units: pd.Index
    periods: pd.Index
    period_name: str


def read_panel(formula: str, frame: pd.DataFrame, weights: Weights, *, unit: str | None, period: str | None, effects: str) -> Panel:
    """The panel that `formula` takes from `frame`, units matched to `weights.ids` by label whatever the order of the rows.

    DataError names duplicated or missing (unit, period) pairs, missing values, and units that only one side has.
    """
    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"The data are a {type(frame).__name__}; a pandas DataFrame is wanted.")
    if period is not None and unit is None:
        raise SpecificationError(f"period={period!r} needs unit= as well: the column that names the units.")
    if effects != "none" and period is None:
        raise SpecificationError(f"effects={effects!r} need a panel: say which columns are unit= and period=.")
    units, times = _labels(frame, unit, "unit"), _labels(frame, period, "period")
    columns = read(formula, frame, _pairs(units, times, period))
    _complete(units, times, period)
    periods = pd.Index(times.unique()).sort_values()
    if effects in ("unit", "twoway") and len(periods) < 2:
        raise SpecificationError(f"effects={effects!r} need at least two periods; the data have one, {periods[0]!r}.")
    position = align(weights.ids, pd.Index(units.unique()))
    order = pd.Series(np.arange(len(frame)), index=pd.MultiIndex.from_arrays([times, units]))
    wanted = pd.MultiIndex.from_product([periods, pd.Index(units.unique())[position]])
    rows = order.reindex(wanted).to_numpy().reshape(len(periods), weights.n)
    kept = [i for i, name in enumerate(columns.names) if effects == "none" or name != INTERCEPT]  # the effects contain the intercept
    if not kept:
        raise DataError(f"The formula {formula!r} has no regressor beside the constant, which the effects contain: give at least one.")
    names = tuple(columns.names[i] for i in kept)
    return Panel(columns.y[rows], columns.x[rows][:, :, kept], columns.response, names, weights.ids, periods, period or "period")


def _labels(frame: pd.DataFrame, column: str | None, role: str) -> pd.Series:
    """The labels of the rows: a column, else the index for units and a single 0 for periods."""
    if column is None:
        return pd.Series(frame.index if role == "unit" else np.zeros(len(frame), int))
    if column not in frame:
        raise DataError(f"{role}={column!r} is not a column of the data; they have {', '.join(map(str, frame.columns))}.")
    labels = frame[column].reset_index(drop=True)
    if labels.isna().any():
        raise DataError(f"Column {column!r}, the {role}, is missing in {int(labels.isna().sum())} rows: drop them or fill them in.")
    return labels


def _pairs(units: pd.Series, times: pd.Series, period: str | None) -> pd.Series:
    return units.map(repr) if period is None else pd.Series([f"({u!r}, {t!r})" for u, t in zip(units, times, strict=True)])


def _complete(units: pd.Series, times: pd.Series, period: str | None) -> None:
    """Refuse duplicated rows and an unbalanced panel."""
    pairs = _pairs(units, times, period)
    twice = pairs[pairs.duplicated()].unique()
    if len(twice):
        way_out = "aggregate them, or name the period= column" if period is None else "aggregate or drop the copies"
        raise DataError(f"{len(twice)} labels appear more than once ({_few(twice)}): {way_out}.")
    counts = units.value_counts(sort=False)
    total = times.nunique()
    if (counts != total).any():
        missing = pd.MultiIndex.from_product([units.unique(), times.unique()]).difference(pd.MultiIndex.from_arrays([units, times]))
        raise DataError(
            f"The panel is unbalanced: {len(missing)} (unit, {period}) pairs have no row ({_few([tuple(p) for p in missing])}). "
            f"Fill them in, or keep the units that have all {total} periods and subset the weights with W[ids]."
        )


def _few(labels: Sequence) -> str:
    return ", ".join(map(str, labels[:3])) + (", ..." if len(labels) > 3 else "")
