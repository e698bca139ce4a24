"""The validation border: whatever is wrong with a frame, a formula or the options is an error that
names it and the way out.
"""

import re

import numpy as np
import pandas as pd
import pytest

import spillover as so
from spillover.engine.data.panel import read_panel

IDS = ["oslo", "bergen", "åre", "x4", "x5", "x6"]
YEARS = [2001, 2002, 2003, 2004]
PANEL = {"unit": "town", "period": "year"}


def asymmetric(n: int) -> np.ndarray:
    dense = np.random.default_rng(3).uniform(0.2, 1.0, (n, n)) * (1 - np.eye(n))
    dense[np.arange(n), (np.arange(n) + 2) % n] = 0.0
    return dense


W = so.Weights(asymmetric(6), IDS)


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    labels = pd.MultiIndex.from_product([YEARS, IDS], names=["year", "town"])
    data = pd.DataFrame(
        rng.standard_normal((24, 3)), index=labels, columns=["y", "x", "z"]
    ).reset_index()
    return data.assign(
        size=rng.uniform(1, 9, 24),
        group=np.resize(["north", "south", "south", "east", "north"], 24),
    )


@pytest.fixture
def towns(frame) -> pd.DataFrame:
    return frame[frame["year"] == 2001].drop(columns="year").set_index("town")


def assert_refused(error: type[Exception], words: list[str], make) -> None:
    with pytest.raises(error) as caught:
        make()
    message = str(caught.value)
    missing = [word for word in words if word not in message]
    assert not missing, (missing, message)


# --- what is wrong with the data
# ---------------------------------------------------------------------------------------


def without(frame, town, year):
    return frame[(frame["town"] != town) | (frame["year"] != year)]


def changed(frame, column, value, rows=(3,)):
    frame = frame.copy()
    frame[column] = frame[column].astype(object) if not isinstance(value, float) else frame[column]
    frame.loc[frame.index[list(rows)], column] = value
    return frame


BAD_PANELS = {
    "unbalanced": (
        lambda f: without(f, "åre", 2003),
        "DataError",
        ["unbalanced", "'åre'", "2003", "1 (unit, year)", "Fill", "W[ids]"],
    ),
    "a unit short of two years": (
        lambda f: without(without(f, "x4", 2001), "x4", 2004),
        "DataError",
        ["2 (unit, year)", "'x4'", "2001", "2004", "subset the weights"],
    ),
    "duplicated rows": (
        lambda f: pd.concat([f, f.iloc[[5]]]),
        "DataError",
        ["'x6'", "2001", "more than once", "aggregate or drop"],
    ),
    "duplicated and short": (
        lambda f: pd.concat([without(f, "x4", 2002), f[(f["town"] == "x4") & (f["year"] == 2001)]]),
        "DataError",
        ["'x4'", "2001", "more than once"],
    ),
    "missing response": (
        lambda f: changed(f, "y", np.nan),
        "DataError",
        ["'y'", "missing", "1 rows", "'x4', 2001", "drop or fill"],
    ),
    "missing regressor": (
        lambda f: changed(f, "x", np.nan, (0, 7)),
        "DataError",
        ["'x'", "2 rows", "'oslo', 2001", "'bergen', 2002"],
    ),
    "missing unit": (
        lambda f: changed(f, "town", None),
        "DataError",
        ["'town'", "unit", "missing in 1 rows", "drop"],
    ),
    "missing period": (
        lambda f: changed(f, "year", np.nan),
        "DataError",
        ["'year'", "period", "missing in 1 rows", "drop"],
    ),
    "infinite regressor": (
        lambda f: changed(f, "x", np.inf),
        "DataError",
        ["'x'", "not finite", "'x4', 2001"],
    ),
    "infinite response": (lambda f: changed(f, "y", -np.inf), "DataError", ["'y'", "not finite"]),
    "a unit that W lacks": (
        lambda f: f.replace({"town": {"x5": "narvik"}}),
        "WeightsError",
        ["in the data but not in W: 'narvik'", "in W but not in the data: 'x5'"],
    ),
    "a unit that the data lack": (
        lambda f: f[f["town"] != "åre"],
        "WeightsError",
        ["in W but not in the data: 'åre'"],
    ),
    "one more unit than W": (
        lambda f: pd.concat([f, f[f["town"] == "oslo"].assign(town="narvik")]),
        "WeightsError",
        ["in the data but not in W: 'narvik'"],
    ),
    "units of another type": (
        lambda f: f.assign(town=f["town"].map(IDS.index)),
        "WeightsError",
        ["type integer", "type string", "convert"],
    ),
    "no frame": (lambda f: f.to_dict("list"), "DataError", ["dict", "DataFrame"]),
    "no rows": (lambda f: f.iloc[:0], "SpilloverError", []),
}


@pytest.mark.parametrize("what", BAD_PANELS)
def test_bad_data_are_refused_by_name(what, frame):
    spoil, error, words = BAD_PANELS[what]
    assert_refused(getattr(so, error), words, lambda: so.SAR("y ~ x", spoil(frame), W, **PANEL))


@pytest.mark.parametrize(
    "name", ["DataError", "WeightsError", "SpecificationError", "PriorError", "ConvergenceError"]
)
def test_every_error_is_caught_by_one_name(name):
    assert issubclass(getattr(so, name), so.SpilloverError)


BAD_TOWNS = {
    "a repeated label in the index": (
        lambda f: pd.concat([f, f.iloc[[0]]]),
        "DataError",
        ["'oslo'", "more than once", "period="],
    ),
    "a subset of the units": (
        lambda f: f.iloc[1:],
        "WeightsError",
        ["in W but not in the data: 'oslo'"],
    ),
    "a missing label": (
        lambda f: f.rename(index={"oslo": np.nan}),
        "SpilloverError",
        ["not in W: nan"],
    ),
    "positions for labels": (
        lambda f: f.reset_index(drop=True),
        "WeightsError",
        ["not in W: 0", "convert", "row numbers", "unit="],
    ),
    "a panel without its columns named": (
        lambda f: pd.concat([f, f]),
        "DataError",
        ["6 labels", "period="],
    ),
}


@pytest.mark.parametrize("what", BAD_TOWNS)
def test_bad_cross_sections_are_refused_by_name(what, towns):
    spoil, error, words = BAD_TOWNS[what]
    assert_refused(getattr(so, error), words, lambda: so.SAR("y ~ x", spoil(towns), W))


# --- what is wrong with the formula
# ------------------------------------------------------------------------------------

BAD_FORMULAS = {
    "unknown column": ("y ~ x + income", ["'income'", "y, x, z"]),
    "unknown response": ("income ~ x", ["'income'", "y, x, z"]),
    "unknown column inside a function": ("y ~ np.log(income)", ["'income'"]),
    "no response": ("~ x", ["no response", "y ~ x1 + x2"]),
    "regressors only": ("x + z", ["no response"]),
    "empty": ("", ["no response"]),
    "two responses": ("y + z ~ x", ["2 responses", "y, z"]),
    "a categorical response": ("group ~ x", ["3 responses", "numeric"]),
    "a response of two parts": ("y | z ~ x", ["|"]),
    "regressors of two parts": ("y ~ x | z", ["|"]),
    "not a formula": ("y ~ x +* z", ["cannot be read"]),
    "not text": (None, ["None"]),
    "the response among the regressors": ("y ~ x + y", ["'y'"]),
    "dates as a regressor": ("y ~ day", ["'day'"]),
    "complex numbers": ("y ~ wave", ["'wave'"]),
    "no regressor at all": ("y ~ 0", ["y ~ 0"]),
}


@pytest.mark.parametrize("what", BAD_FORMULAS)
def test_bad_formulas_are_refused_by_name(what, towns):
    formula, words = BAD_FORMULAS[what]
    towns = towns.assign(
        day=pd.date_range("2020-01-01", periods=6), wave=np.arange(6) * (1 + 2j) ** np.arange(6)
    )
    assert_refused(so.DataError, words, lambda: so.SAR(formula, towns, W))


@pytest.mark.parametrize(
    ("formula", "label", "row"),
    [
        ("y ~ np.log(z)", "np.log(z)", "'x4'"),
        ("np.log(z) ~ y", "np.log(z)", "'x4'"),
        ("y ~ np.sqrt(x)", "np.sqrt(x)", "'åre'"),
    ],
)
def test_infinite_after_a_transformation_names_the_term_and_the_row(formula, label, row, towns):
    """Without a RuntimeWarning of NumPy's on the way: the refusal says it all."""
    towns = towns.assign(z=[1.0, 2.0, 3.0, 0.0, 4.0, 5.0], x=[1.0, 2.0, -3.0, 2.5, 4.0, 5.0])
    assert_refused(
        so.DataError, [label, "not finite", row, "1 rows"], lambda: so.SAR(formula, towns, W)
    )


def test_column_names_that_are_not_python_names_work_in_backticks(towns):
    towns = towns.assign(**{"per head": towns["x"], "gdp.real": towns["z"], "a:b": towns["size"]})
    for name in ("per head", "gdp.real", "a:b"):
        assert so.SAR(f"y ~ `{name}`", towns, W).design.terms == ("Intercept", name)


def test_what_a_formula_computes(frame):
    """Functions of NumPy, products, powers, no intercept: the columns are what the words say."""
    model = so.OLS("np.exp(y) ~ 0 + np.log(size) + x:z + {x**2}", frame, W, **PANEL)
    assert model.design.terms == ("np.log(size)", "x ** 2", "x:z")
    by_hand = np.column_stack([np.log(frame["size"]), frame["x"] ** 2, frame["x"] * frame["z"]])
    np.testing.assert_allclose(model.design.columns.reshape(24, 3), by_hand, rtol=1e-15)
    np.testing.assert_allclose(model.panel.y.ravel(), np.exp(frame["y"]), rtol=1e-15)
    assert model.panel.response == "np.exp(y)"


def test_categorical_regressors_become_indicators(frame):
    """One column a level but the first; their lags are the shares of neighbours of that level, by
    weight.
    """
    model = so.SDM("y ~ x + group", frame, W, **PANEL)
    assert model.design.terms == (
        "Intercept",
        "x",
        "group[T.north]",
        "group[T.south]",
        "W:x",
        "W:group[T.north]",
        "W:group[T.south]",
    )
    north = (frame["group"] == "north").to_numpy(float).reshape(4, 6)
    np.testing.assert_array_equal(model.design.columns[:, :, 2], north)
    np.testing.assert_allclose(model.design.columns[:, :, 5], north @ asymmetric(6).T, rtol=1e-14)
    booleans = so.OLS("y ~ flag", frame.assign(flag=frame["group"] == "north"), W, **PANEL)
    np.testing.assert_array_equal(booleans.design.columns[:, :, -1], north)


def test_levels_do_not_depend_on_the_order_of_the_rows(frame):
    model, other = (so.OLS("y ~ group", data, W, **PANEL) for data in (frame, frame.iloc[::-1]))
    assert model.design.terms == other.design.terms
    np.testing.assert_array_equal(model.design.columns, other.design.columns)


# --- what is wrong with the model
# --------------------------------------------------------------------------------------


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


# --- what must not matter
# ----------------------------------------------------------------------------------------------


def arrays(model: so.Model) -> tuple:
    return (
        model.panel.y,
        model.design.columns,
        model.panel.units.tolist(),
        model.panel.periods.tolist(),
    )


def assert_same(a: so.Model, b: so.Model) -> None:
    for one, other in zip(arrays(a), arrays(b), strict=True):
        np.testing.assert_array_equal(one, other)


def test_arrays_are_period_by_period_in_the_order_of_w(frame):
    panel = read_panel("y ~ x", frame, W, effects="none", **PANEL)
    assert panel.y.shape == (4, 6)
    assert panel.x.shape == (4, 6, 2)
    assert (panel.response, panel.names, panel.period_name) == ("y", ("Intercept", "x"), "year")
    for t, year in enumerate(YEARS):
        for i, town in enumerate(IDS):
            row = frame[(frame["year"] == year) & (frame["town"] == town)].iloc[0]
            assert (panel.y[t, i], panel.x[t, i, 1]) == (row["y"], row["x"])


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_the_rows_and_their_index_do_not_matter(seed, frame):
    shuffled = frame.sample(frac=1.0, random_state=seed)
    shuffled.index = np.random.default_rng(seed).integers(0, 3, 24)  # repeated and meaningless
    assert_same(so.SDM("y ~ x + z", frame, W, **PANEL), so.SDM("y ~ x + z", shuffled, W, **PANEL))


def test_the_order_of_w_does_not_matter(frame):
    """Nor that of M: the estimates are the same, the units come in the order of W."""
    order = IDS[::-1]
    m = W.spectral_standardize()
    straight = so.SAC("y ~ x", frame, W, error_weights=m, **PANEL)
    turned = so.SAC("y ~ x", frame, W[order], error_weights=m, **PANEL)
    assert turned.panel.units.tolist() == order
    np.testing.assert_array_equal(turned.panel.y[:, ::-1], straight.panel.y)
    same = straight.problem.factor.triangle
    for other in (turned, so.SAC("y ~ x", frame, W, error_weights=m[order], **PANEL)):
        factor = other.problem.factor.triangle
        np.testing.assert_allclose(factor.T @ factor, same.T @ same, rtol=1e-12, atol=1e-12)


PERIODS = {
    "text": ["2001q1", "2001q2", "2001q3", "2001q4"],
    "numbers": [7, 30, 100, 1000],
    "floats": [-1.5, 0.0, 2.5, 10.0],
    "timestamps": list(pd.date_range("2001-03-31", periods=4, freq="QE")),
    "periods": list(pd.period_range("2001Q1", periods=4, freq="Q")),
    "ordered categories": pd.Categorical(
        ["low", "mid", "high", "top"], ["low", "mid", "high", "top"], ordered=True
    ),
}


@pytest.mark.parametrize("kind", PERIODS)
def test_periods_of_any_type_are_put_in_their_order(kind, frame):
    labels = pd.Series(PERIODS[kind])
    dated = frame.assign(
        year=(
            labels.iloc[frame["year"].map(YEARS.index)].to_numpy()
            if kind != "ordered categories"
            else labels.iloc[frame["year"].map(YEARS.index)].array
        )
    )
    panel = so.SAR(
        "y ~ x", dated.sample(frac=1.0, random_state=1), W, effects="unit", **PANEL
    ).panel
    assert panel.periods.tolist() == labels.tolist()
    np.testing.assert_array_equal(panel.y, frame["y"].to_numpy().reshape(4, 6))


UNITS = {
    "numbers": [5, 3, 99, -1, 0, 12],
    "timestamps": list(pd.date_range("1999-01-01", periods=6)),
    "categories": pd.Categorical(IDS),
}


@pytest.mark.parametrize("kind", UNITS)
def test_units_of_any_type_are_matched_by_label(kind, frame):
    labels = pd.Series(UNITS[kind])
    weights = so.Weights(asymmetric(6), labels)
    moved = frame.assign(town=labels.iloc[frame["town"].map(IDS.index)].array)
    panel = so.SAR("y ~ x", moved.sample(frac=1.0, random_state=2), weights, **PANEL).panel
    np.testing.assert_array_equal(panel.y, frame["y"].to_numpy().reshape(4, 6))


def test_a_cross_section_takes_its_units_from_the_index_or_from_a_column(towns):
    shuffled = towns.sample(frac=1.0, random_state=4)
    by_index = so.SDM("y ~ x", shuffled, W)
    by_column = so.SDM("y ~ x", shuffled.reset_index(), W, unit="town")
    assert_same(by_index, by_column)
    assert by_index.panel.units.tolist() == IDS
    np.testing.assert_array_equal(by_index.panel.y[0], towns["y"])


def test_the_frame_is_left_as_it_was(frame):
    before = frame.copy(deep=True)
    so.SDM("np.exp(y) ~ x + group", frame, W, effects="none", **PANEL).fit_ml()
    pd.testing.assert_frame_equal(frame, before)


def test_a_wide_frame_may_have_missing_values_in_columns_not_used(frame):
    so.SAR("y ~ x", frame.assign(other=np.nan), W, **PANEL)


def test_lagged_keeps_the_order_of_the_formula(frame):
    assert so.SDM("y ~ x + z + size", frame, W, lagged=["size", "x"], **PANEL).design.terms[
        -2:
    ] == ("W:x", "W:size")


def test_the_model_says_what_it_is(frame):
    text = repr(so.SDM("y ~ x", frame, W.row_standardize(), effects="twoway", **PANEL))
    assert all(
        word in text
        for word in ("SDM", "'y ~ x'", "twoway", "6 units", "4 periods", "2 coefficients")
    )
    assert not re.search("effects", repr(so.SDM("y ~ x", frame, W, **PANEL)))
