"""Columns that effects, other columns or the options leave no place for are refused by name."""

import numpy as np
import pytest
from town_panel import IDS, PANEL, YEARS, W, assert_refused, asymmetric

import spillover as so


def constant_over_time(frame):
    return frame.assign(
        area=frame["town"].map(dict(zip(IDS, [3.1, 0.2, 5.5, 1.7, 2.9, 8.8], strict=True)))
    )


def constant_over_units(frame):
    return frame.assign(
        price=frame["year"].map(dict(zip(YEARS, [3.1, 0.2, 5.5, 1.7], strict=True)))
    )


@pytest.mark.parametrize("effects", ["unit", "twoway"])
def test_a_column_that_unit_effects_absorb_is_refused(effects, frame):
    words = ["'area'", "absorbed", "over time", "leave it out of the formula", "effects"]
    frame = constant_over_time(frame)
    assert_refused(
        so.DataError, words, lambda: so.SAR("y ~ x + area", frame, W, effects=effects, **PANEL)
    )
    for other in ("none", "period"):
        so.SAR("y ~ x + area", frame, W, effects=other, **PANEL)


@pytest.mark.parametrize("effects", ["period", "twoway"])
@pytest.mark.parametrize("standard", [True, False])
def test_a_column_that_period_effects_absorb_is_refused(effects, standard, frame):
    weights = W.row_standardize() if standard else W
    words = ["'price'", "leave it out of the formula"]
    frame = constant_over_units(frame)
    assert_refused(
        so.DataError,
        words,
        lambda: so.SAR("y ~ x + price", frame, weights, effects=effects, **PANEL),
    )
    for other in ("none", "unit"):
        so.SAR("y ~ x + price", frame, weights, effects=other, **PANEL)


def test_a_column_absorbed_by_both_effects_together_is_refused(frame):
    frame = constant_over_units(constant_over_time(frame))
    frame["sum"] = frame["area"] + frame["price"]
    words = ["'sum'", "absorbed", "does not vary over time once it is demeaned across units"]
    assert_refused(
        so.DataError,
        words,
        lambda: so.SAR("y ~ x + sum", frame, W.row_standardize(), effects="twoway", **PANEL),
    )


def test_the_intercept_is_absorbed_without_complaint(frame):
    for effects in ("unit", "period", "twoway"):
        for formula in ("y ~ x + z", "y ~ 0 + x + z"):
            assert so.SAR(
                formula, frame, W.row_standardize(), effects=effects, **PANEL
            ).design.terms == ("x", "z")


def test_effects_that_leave_no_regressor_are_refused(frame):
    assert_refused(
        so.DataError, ["y ~ 1"], lambda: so.SAR("y ~ 1", frame, W, effects="unit", **PANEL)
    )


def test_collinear_columns_are_refused_with_all_their_names(frame):
    frame = frame.assign(mix=2 * frame["x"] - 3 * frame["z"])
    words = ["'mix'", "linear combination of 'x', 'z'", "leave it out"]
    assert_refused(so.DataError, words, lambda: so.OLS("y ~ x + z + size + mix", frame, W, **PANEL))


def test_columns_collinear_only_within_units_are_refused_only_with_effects(frame):
    frame = constant_over_time(frame)
    frame["mix"] = frame["x"] + frame["area"]
    so.OLS("y ~ x + mix", frame, W, **PANEL)
    assert_refused(
        so.DataError,
        ["'mix'", "'x'"],
        lambda: so.OLS("y ~ x + mix", frame, W, effects="unit", **PANEL),
    )


def test_a_zero_column_is_refused(frame):
    assert_refused(
        so.DataError,
        ["'none'", "zero everywhere"],
        lambda: so.OLS("y ~ x + none", frame.assign(none=0.0), W, **PANEL),
    )


def test_nearly_collinear_columns_are_accepted(frame):
    """Six digits apart is enough for float64."""
    so.OLS("y ~ x + close", frame.assign(close=frame["x"] + 1e-6 * frame["z"]), W, **PANEL)


def test_a_lag_that_repeats_other_columns_is_refused_with_the_way_out(towns):
    everyone = so.Weights(np.ones((6, 6)) - np.eye(6), IDS).row_standardize()  # W x = (sum - x) / 5
    assert_refused(
        so.DataError,
        ["'W:x'", "'Intercept', 'x'", "leave 'x' out of lagged=[...]"],
        lambda: so.SDM("y ~ x", towns, everyone),
    )
    assert so.SDM("y ~ x", towns, everyone, lagged=[]).design.terms == ("Intercept", "x")


def test_the_intercept_has_no_lag_even_where_rows_do_not_sum_to_one(towns):
    assert so.SLX("y ~ x", towns, W).design.terms == ("Intercept", "x", "W:x")


def test_more_coefficients_than_observations_after_the_effects_are_refused(frame):
    two = frame[frame["year"] < 2003]
    formula = "y ~ x + z + size + {x**2} + {z**2} + {x*z}"
    assert_refused(
        so.DataError,
        ["6 coefficients for 6 observations", "drop"],
        lambda: so.OLS(formula, two, W, effects="unit", **PANEL),
    )
    so.OLS(formula.removesuffix(" + {x*z}"), two, W, effects="unit", **PANEL)


OPTIONS = {
    "unknown effects": (
        {"effects": "random walk"},
        "SpecificationError",
        ["'random walk'", "'none', 'unit', 'period', 'twoway'"],
    ),
    "effects without columns": (
        {"effects": "unit"},
        "SpecificationError",
        ["effects='unit'", "unit=", "period="],
    ),
    "effects without a period": (
        {"effects": "unit", "unit": "town"},
        "SpecificationError",
        ["effects='unit'", "period="],
    ),
    "period without unit": ({"period": "year"}, "SpecificationError", ["period='year'", "unit="]),
    "unknown unit column": ({"unit": "city"}, "DataError", ["unit='city'", "town"]),
    "unknown period column": (
        {"unit": "town", "period": "month"},
        "DataError",
        ["period='month'", "year"],
    ),
    "lagged without lags": (
        {"lagged": ["x"], **PANEL},
        "SpecificationError",
        ["SAR has no lagged", "SDM"],
    ),
    "error weights without error": (
        {"error_weights": W, **PANEL},
        "SpecificationError",
        ["SAR has no spatial error", "SEM"],
    ),
    "priors of another type": (
        {"priors": {"rho": 1}, **PANEL},
        "SpecificationError",
        ["dict", "Priors"],
    ),
}


@pytest.mark.parametrize("what", OPTIONS)
def test_bad_options_are_refused_by_name(what, frame):
    options, error, words = OPTIONS[what]
    assert_refused(getattr(so, error), words, lambda: so.SAR("y ~ x", frame, W, **options))


@pytest.mark.parametrize("effects", ["unit", "twoway"])
def test_one_period_has_no_unit_effects(effects, frame):
    one = frame[frame["year"] == 2001]
    assert_refused(
        so.SpecificationError,
        [f"effects='{effects}'", "two periods", "2001"],
        lambda: so.SAR("y ~ x", one, W, effects=effects, **PANEL),
    )


@pytest.mark.parametrize(
    ("lagged", "words"),
    [
        (["income"], ["'income'", "'x', 'z'"]),
        ("x", ["'x'", "list"]),
        (["Intercept"], ["'x', 'z'"]),
        (3, ["3", "list"]),
    ],
)
def test_unknown_lags_are_refused(lagged, words, frame):
    assert_refused(
        so.SpecificationError, words, lambda: so.SDM("y ~ x + z", frame, W, lagged=lagged, **PANEL)
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("queen", ["weights", "str", "read_weights('queen')"]),
        (asymmetric(6), ["weights", "ndarray"]),
    ],
)
def test_weights_of_another_type_are_refused(given, words, frame):
    assert_refused(so.SpecificationError, words, lambda: so.SAR("y ~ x", frame, given, **PANEL))
    assert_refused(
        so.SpecificationError,
        ["error_weights"],
        lambda: so.SEM("y ~ x", frame, W, error_weights=given, **PANEL),
    )


def test_error_weights_of_other_units_are_refused(frame):
    other = so.Weights(asymmetric(6), ["oslo", "bergen", "åre", "x4", "x5", "narvik"])
    assert_refused(
        so.WeightsError, ["'x6'"], lambda: so.SEM("y ~ x", frame, W, error_weights=other, **PANEL)
    )
