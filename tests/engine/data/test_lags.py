"""Lags stay within units, and periods before are there."""

import numpy as np
import pandas as pd
import pytest
from formula_rows import IDS, LONG, ROWS, SHUFFLED, YEARS, W, panel
from town_panel import PANEL

import spillover as so
from spillover.engine.sweeps.sweep import sweep

AT = {(town, year): x for town, year, x in LONG[["town", "year", "x"]].itertuples(index=False)}


@pytest.mark.parametrize(
    ("text", "before", "value"),
    [
        ("lag(x)", 1, lambda town, year: AT[town, year - 1]),
        ("lag(x, 2)", 2, lambda town, year: AT[town, year - 2]),
        ("lag(x, k=2)", 2, lambda town, year: AT[town, year - 2]),
        ("lag(x, 0)", 0, lambda town, year: AT[town, year]),
        ("diff(x)", 1, lambda town, year: AT[town, year] - AT[town, year - 1]),
        ("diff(lag(x))", 2, lambda town, year: AT[town, year - 1] - AT[town, year - 2]),
        ("exp(lag(x)) * 1", 1, lambda town, year: np.exp(AT[town, year - 1])),
        ("I(x - lag(x, 3))", 3, lambda town, year: AT[town, year] - AT[town, year - 3]),
        ("lag(exp(x) + 1)", 1, lambda town, year: np.exp(AT[town, year - 1]) + 1),
    ],
)
def test_lags_stay_within_units_whatever_the_order_of_the_rows(text, before, value):
    text = text.removesuffix(" * 1")
    for weights in (W, W[list("hgfedcba")]):
        found = panel(f"y ~ {text}", SHUFFLED, weights, unit="town", period="year")
        years = YEARS[before:]
        assert found.periods.tolist() == years
        assert found.before.tolist() == YEARS[:before]
        brute = [[value(town, year) for town in weights.ids] for year in years]
        np.testing.assert_allclose(found.x[:, :, 1], brute, rtol=1e-15)
        np.testing.assert_array_equal(
            found.y, LONG.pivot_table("y", "year", "town").loc[years, weights.ids]
        )


def test_the_model_says_what_its_lags_used_up():
    model = so.SAR("y ~ x + lag(x, 2)", SHUFFLED, W, effects="unit", unit="town", period="year")
    assert "8 units x 3 periods (after 2 for lags)" in repr(model)


def test_a_response_may_be_a_difference():
    found = panel("diff(y) ~ x", SHUFFLED, W, unit="town", period="year")
    np.testing.assert_allclose(
        found.y, LONG.pivot_table("y", "year", "town").diff().iloc[1:][IDS], rtol=1e-12
    )


@pytest.mark.parametrize(
    ("formula", "frame", "given", "words"),
    [
        ("y ~ lag(x)", ROWS, {}, "of a panel: say which columns are unit= and period="),
        ("y ~ lag(x, 5)", LONG, {}, "reads 5 periods before each, and the data have 5"),
        ("y ~ lag(x, -1)", LONG, {}, "a whole number from 0 to 4"),
        ("y ~ lag(x, 1.5)", LONG, {}, "a whole number from 0 to 4"),
        ("y ~ lag(x, 'a')", LONG, {}, "a whole number from 0 to 4"),
        ("y ~ lag(x)", LONG[LONG["year"] != 2003], {}, "between year 2002 and 2004 one is missing"),
        ("y ~ lag(x, 4)", LONG, {"effects": "unit"}, "the data have one after its lags, 2005"),
    ],
)
def test_lags_that_cannot_be(formula, frame, given, words):
    names = {} if frame is ROWS else {"unit": "town", "period": "year"}
    with pytest.raises(so.SpilloverError, match=words):
        so.SAR(formula, frame, W, **names, **given)


def test_dates_at_even_distances_have_lags():
    months = LONG.assign(
        year=LONG["year"].map({year: pd.Timestamp(2020, i + 1, 1) for i, year in enumerate(YEARS)})
    )
    found = panel("y ~ lag(x)", months, W, unit="town", period="year")
    np.testing.assert_array_equal(
        found.x[:, :, 1], panel("y ~ lag(x)", LONG, W, unit="town", period="year").x[:, :, 1]
    )


CLOCKS = {
    "text": str,
    "periods": lambda year: pd.Period(f"{year}-01", "M") + year % 2001,
    "whole": int,
    "floats": float,
}


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_period_that_all_units_lack_is_no_period_before(clock):
    frame = SHUFFLED.assign(year=[CLOCKS[clock](year) for year in SHUFFLED["year"]])
    gap = frame[SHUFFLED["year"] != 2003]
    with pytest.raises(so.DataError, match="one is missing: fill it in"):
        panel("y ~ lag(x)", gap, **PANEL)
    every = SHUFFLED.pivot_table("x", "year", "town")[IDS].to_numpy()
    if clock == "periods":
        return
    np.testing.assert_array_equal(panel("y ~ lag(x)", frame, **PANEL).x[:, :, 1], every[:-1])
    # every second year is even: the period before is two years before
    two = frame[SHUFFLED["year"].isin(YEARS[::2])]
    np.testing.assert_array_equal(panel("y ~ lag(x)", two, **PANEL).x[:, :, 1], every[[0, 2]])


@pytest.mark.parametrize(
    "text", ["center(lag(x))", "scale(lag(x))", "poly(lag(x), 2)", "bs(diff(x), df=4)"]
)
def test_functions_of_all_rows_take_no_lags(text):
    with pytest.raises(so.SpecificationError, match="needs all rows, and lags lack the first ones"):
        panel(f"y ~ {text}", SHUFFLED, **PANEL)


def test_controls_of_a_sweep_leave_the_same_periods():
    given = {"models": ["SAR"], "sampler": "ml", "progress": False, **PANEL}
    with pytest.raises(
        so.SpecificationError,
        match="controls 'none' and 'lag' use up 0 and 1 periods, and models of different data",
    ):
        sweep("y ~ x", SHUFFLED, {"w": W}, controls={"none": "", "lag": "lag(x)"}, **given)
