"""Values of earlier periods, each from its own unit, whatever the order of the rows."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from spillover.kernels.errors import DataError, SpecificationError

LookBack = Callable[[pd.Series, int], pd.Series]  # (column, k) to the column k periods earlier
NO_PERIODS = "lag and diff are of a panel: say which columns are unit= and period=."


def make_look_back(
    place: np.ndarray, periods: pd.Index, units: int, period: str | None
) -> LookBack:
    """Make the function that gives each row the value of its unit `k` periods earlier, or NaN.

    Parameters
    ----------
    place : array (rows,)
        Position of each row in an array (T, N), period by period.
    periods : Index (T,)
        The periods, sorted.
    units : int
        N.
    period : str or None
        Name of the column of periods; None for a cross-section, which has no earlier period.

    Examples
    --------
    >>> look_back = make_look_back(np.array([2, 0, 3, 1]), pd.Index([2001, 2002]), 2, "year")
    >>> look_back(pd.Series([10.0, 20.0, 30.0, 40.0]), 1).tolist()
    [20.0, nan, 40.0, nan]
    """

    def look_back(column: pd.Series, k: int) -> pd.Series:
        if period is None:
            raise SpecificationError(NO_PERIODS)
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 0 <= k < len(periods):
            raise SpecificationError(
                f"lag(..., {k!r}): give a whole number from 0 to {len(periods) - 1}, one less than"
                " the periods."
            )
        _check_even(periods, period)
        table = np.full((len(periods), units), np.nan)
        table.ravel()[place] = column.to_numpy(float)
        moved = np.full_like(table, np.nan)
        moved[k:] = table[: len(periods) - k]
        return pd.Series(moved.ravel()[place], column.index)

    return look_back


def _check_even(periods: pd.Index, period: str) -> None:
    """Refuse unevenly spaced periods, where the row before is not the period before.

    Dates and numbers, also those stored as text, have distances; other labels have none.
    """
    if pd.api.types.is_numeric_dtype(periods.dtype):
        clocks = [periods.to_numpy(float)]
    elif isinstance(periods, pd.DatetimeIndex):
        # months and years vary in days: even spacing in any one of these units will do
        clocks = [
            periods.asi8,
            *(periods.tz_localize(None).to_period(unit).asi8 for unit in ("D", "M", "Y")),
        ]
    elif isinstance(periods, pd.PeriodIndex):
        clocks = [periods.asi8]
    else:
        numbers = pd.to_numeric(pd.Series(periods.astype(object)), errors="coerce").to_numpy(float)
        if np.isnan(numbers).any():
            return
        clocks = [numbers]
    uneven = [_find_longer(np.diff(clock)) for clock in clocks]
    if all(steps.any() for steps in uneven):
        at = int(np.argmax(uneven[-1]))
        raise DataError(
            f"lag and diff need periods at even distances, and between {period} {periods[at]} and"
            f" {periods[at + 1]} one is missing: fill it in, or make the lag a column beforehand."
        )


def _find_longer(steps: np.ndarray) -> np.ndarray:
    """Find the steps that are longer than the shortest one; all, where the shortest is zero."""
    shortest = min(steps, default=np.inf)
    return steps > shortest * (1 + 1e-9) if shortest > 0 else np.ones(len(steps), bool)
