"""Labels and numbers that are matched as they are, and never turn into others."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from number_rows import IDS, TOWNS, W, expect_refusal, panel

import spillover as so
from spillover.engine.data.panel import read_panel
from spillover.engine.labels import as_numbers


def long(periods):
    frames = [TOWNS.assign(town=IDS, year=pd.Series([period] * 6, IDS)) for period in periods]
    return pd.concat(frames, ignore_index=True)


@pytest.mark.parametrize(
    ("periods", "words"),
    [
        (["2", "10"], ["'year'", "sort as text: '10', '2'", "pd.to_numeric(frame['year'])"]),
        (["2001", 2002], ["'year'", "types int, str"]),
        ([pd.Timestamp("2020"), "2021"], ["'year'", "types Timestamp, str"]),
        ([2.0**60, 2.0**61], ["'year'", "too large"]),
    ],
)
def test_periods_without_the_order_of_time(periods, words):
    frame = long(periods)
    expect_refusal(
        lambda: read_panel("y ~ z", frame, W, unit="town", period="year", effects="none"), *words
    )
    expect_refusal(lambda: so.moran_by_period(frame, "z", W, unit="town", period="year"), *words)


def test_a_window_of_another_type_than_the_periods():
    given = {
        "unit": "town",
        "period": "year",
        "models": ("SAR",),
        "windows": {"early": (2001, 2002)},
    }
    expect_refusal(
        lambda: so.sweep("y ~ z", long(["2001", "2002", "2003"]), {"w": W}, **given),
        "window from 2001",
        "str",
        error=so.SpecificationError,
    )


LABELS = {
    "text": (["3", "1", "2", "10", "5", "7"], ["type integer", "type string"]),
    "text and numbers": (np.array([3, 1, "1", 10, 5, 7], dtype=object), ["read alike", "1, '1'"]),
}


@pytest.mark.parametrize("case", LABELS)
def test_labels_of_another_type_do_not_match(case):
    labels, words = LABELS[case]
    expect_refusal(
        lambda: panel("y ~ z", TOWNS.set_axis(pd.Index(labels, dtype=object))),
        *words,
        error=so.WeightsError,
    )


@pytest.mark.parametrize("kind", ["float64", "uint8", "Int64", "object"])
def test_labels_of_one_value_match_by_value(kind):
    labels = pd.Index(IDS).astype(kind)
    np.testing.assert_array_equal(panel("y ~ z", TOWNS.set_axis(labels)).x, panel("y ~ z").x)
    np.testing.assert_array_equal(W @ TOWNS["z"].set_axis(labels), W @ TOWNS["z"])


def test_labels_that_nearly_match_say_how():
    codes = so.Weights([[0, 1], [1, 0]], ["01001", "01003"])
    expect_refusal(
        lambda: codes @ pd.Series([1.0, 2.0], [1001, 1003]),
        "'01001' lose their zeros",
        "dtype=str",
        error=so.WeightsError,
    )
    towns = so.Weights([[0, 1], [1, 0]], ["Oslo", "Bergen"])
    expect_refusal(
        lambda: towns @ pd.Series([1.0, 2.0], ["oslo ", "Bergen"]),
        "'Oslo' and 'oslo '",
        error=so.WeightsError,
    )
    expect_refusal(
        lambda: so.Weights([[0, 1], [1, 0]], {"a", "b"}), "set", "no order", error=so.WeightsError
    )
    expect_refusal(
        lambda: so.Weights([[0, 1], [1, 0]], [1, "1"]),
        "read alike",
        "1, '1'",
        error=so.WeightsError,
    )
    expect_refusal(
        lambda: so.Weights([[0, 1], [1, 0]], [2.0**53, 2.0**53 + 2]),
        "too large",
        error=so.WeightsError,
    )


NO_NUMBERS = {
    "dates in objects": np.array([np.datetime64("2020"), 2.0, 3.0], dtype=object),
    "spans in objects": np.array([np.timedelta64(1, "D"), 2.0, 3.0], dtype=object),
    "bytes": np.array([b"1", b"2", b"3"], dtype=object),
    "complex objects": np.array([1 + 0j, 2.0, 3.0], dtype=object),
    "no time": np.array([pd.NaT, 2.0, 3.0], dtype=object),
    "categories of numbers": pd.Series(pd.Categorical([1, 2, 3])),
    "dates in a frame": pd.DataFrame(
        {"a": pd.date_range("2020", periods=3), "b": pd.date_range("2020", periods=3)}
    ),
    "categories in a frame": pd.DataFrame({"a": [1.0, 2, 3], "b": pd.Categorical([1, 2, 3])}),
}


@pytest.mark.parametrize("case", NO_NUMBERS)
def test_what_is_no_number_does_not_become_one(case):
    expect_refusal(
        lambda: as_numbers(NO_NUMBERS[case], "x"), "x must be real numbers", error=so.WeightsError
    )


def test_what_is_a_number_does():
    masked = np.ma.array([[1, 2], [3, 4]], mask=[[0, 1], [0, 0]])
    for given, want in (
        (masked, [[1, np.nan], [3, 4]]),
        (masked.astype(object), [[1, np.nan], [3, 4]]),
        (np.ma.array([1, 2]), [1, 2]),
        ([True, False], [1, 0]),
        (
            np.array([Decimal("1.5"), None, pd.NA, np.nan, True], dtype=object),
            [1.5, np.nan, np.nan, np.nan, 1],
        ),
        (pd.Series([1, None, 3], dtype="Int8"), [1, np.nan, 3]),
        (pd.Series([True, None], dtype="boolean"), [1, np.nan]),
        (pd.Series([1.5, None], dtype="double[pyarrow]"), [1.5, np.nan]),
        (
            pd.DataFrame({"a": pd.array([1, None], dtype="Int8"), "b": [True, False]}),
            [[1, 1], [np.nan, 0]],
        ),
        (pd.DataFrame({"a": pd.arrays.SparseArray([0.0, 2.0])}), [[0], [2]]),
        (pd.DataFrame(index=[1, 2]), np.empty((2, 0))),
    ):
        np.testing.assert_array_equal(as_numbers(given, "x"), want)
    expect_refusal(
        lambda: as_numbers([10**400], "x"),
        "x must be numbers that float64 holds",
        error=so.WeightsError,
    )
    with np.errstate(under="ignore"):
        tiny = np.array([1, np.longdouble("1e-400")], dtype=np.longdouble)
    if tiny[1] != 0:  # where a long double is longer
        expect_refusal(lambda: as_numbers(tiny, "x"), "holds them as 0", error=so.WeightsError)
