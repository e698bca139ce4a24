"""The border at which data are checked: what is wrong with a table is named, with the way out."""

import re

import number_rows
import numpy as np
import pandas as pd
import pytest
from town_panel import IDS, PANEL, YEARS, W, assert_refused, asymmetric, changed, without

import spillover as so
from spillover.engine.data.panel import read_panel

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


def test_columns_and_rows_of_unclear_names():
    long = pd.concat(
        [number_rows.TOWNS.assign(town=number_rows.IDS, year=year) for year in (1, 2)],
        ignore_index=True,
    )
    at = {"unit": "town", "period": "year"}
    for name, word in (
        ("z", "called 'z'"),
        ("y", "called 'y'"),
        ("town", "unit='town'"),
        ("year", "period='year'"),
    ):
        twice = pd.concat([long, long[[name]]], axis=1)
        words = [word, "ore than one column", "rename or drop"]
        number_rows.expect_refusal(
            lambda twice=twice: read_panel("y ~ z", twice, number_rows.W, effects="none", **at),
            *words,
        )
    deep = number_rows.TOWNS.set_axis(
        pd.MultiIndex.from_product([["a"], ["y", "z"]], names=["group", "name"]), axis=1
    )
    number_rows.expect_refusal(
        lambda: number_rows.panel("y ~ z", deep), "columns have the levels 'group', 'name'"
    )
    number_rows.expect_refusal(
        lambda: number_rows.panel("y ~ z", long.set_index(["year", "town"])),
        "index of the data has the levels year, town",
        "reset_index()",
    )
    number_rows.expect_refusal(
        lambda: number_rows.panel("y ~ `7`", number_rows.TOWNS.rename(columns={"z": 7})),
        "'7', whose name is not text",
    )
    number_rows.expect_refusal(
        lambda: read_panel(
            "y ~ z", long, number_rows.W, unit="town", period="town", effects="none"
        ),
        "both",
        error=so.SpecificationError,
    )
