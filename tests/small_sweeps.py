"""Sweeps over the small panels of the tests."""

import pandas as pd
import xarray as xr

import spillover as so

DRAWS = 2000
MODELS = ("OLS", "SLX", "SAR", "SEM", "SDM", "SAC")
KINDS = ("direct", "indirect", "total")
PANEL = {"unit": "unit", "period": "year", "progress": False}


def weights_of(small, *names: str) -> dict[str, so.Weights]:
    """Weights by the names of the small panel's matrices."""
    ids = [f"u{i:02d}" for i in range(13)]
    return {name: so.Weights(small("OLS", w=name).W, ids, islands="allow") for name in names}


def run_sweep(case, weights, **options) -> so.Sweep:
    """A sweep over a small panel."""
    options = {"draws": DRAWS, "seed": 3, "lagged": ["x1"]} | PANEL | options
    return so.sweep(case.formula, case.frame, weights, **options)


def build_single(case, weights: so.Weights, model: str, effects: str) -> so.Model:
    """The same member by itself."""
    options = {"lagged": ["x1"]} if model in ("SLX", "SDM") else {}
    return getattr(so, model)(
        case.formula, case.frame, weights, effects=effects, unit="unit", period="year", **options
    )


def assert_same(one: so.Sweep, other: so.Sweep) -> None:
    """Not a bit differs."""
    xr.testing.assert_identical(one.summary, other.summary)
    xr.testing.assert_identical(one.impacts, other.impacts)
    pd.testing.assert_frame_equal(one.failures, other.failures)
    assert (one.draws is None) == (other.draws is None)
    if one.draws is not None:
        xr.testing.assert_identical(one.draws, other.draws)
