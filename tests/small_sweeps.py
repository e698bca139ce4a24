"""Sweeps over the small panels of the tests."""

import pandas as pd
import xarray as xr

import spillover as so

DRAWS = 2000
PANEL = {"unit": "unit", "period": "year", "progress": False}


def weights_of(small, *names: str) -> dict[str, so.Weights]:
    """Weights by the names of the small panel's matrices."""
    ids = [f"u{i:02d}" for i in range(13)]
    return {name: so.Weights(small("OLS", w=name).W, ids, islands="allow") for name in names}


def swept(case, weights, **options) -> so.Sweep:
    """A sweep over a small panel."""
    options = {"draws": DRAWS, "seed": 3, "lagged": ["x1"]} | PANEL | options
    return so.sweep(case.formula, case.frame, weights, **options)


def assert_same(one: so.Sweep, other: so.Sweep) -> None:
    """Not a bit differs."""
    xr.testing.assert_identical(one.summary, other.summary)
    xr.testing.assert_identical(one.impacts, other.impacts)
    pd.testing.assert_frame_equal(one.failures, other.failures)
    assert (one.draws is None) == (other.draws is None)
    if one.draws is not None:
        xr.testing.assert_identical(one.draws, other.draws)
