"""What is taken for a number stored as text, a latitude or a longitude, and labels that are the
same but for their type.
"""

import numpy as np
import pandas as pd
import pytest

from spillover.engine.recognition import (
    are_swapped,
    find_alike,
    find_coordinate,
    find_inexact,
    find_numbers,
    find_same_text,
    is_out_of_order,
)

NUMBERS = [
    "1",
    "-3.5",
    "+2",
    ".5",
    "7.",
    "1e5",
    "2.5E-3",
    "1,234",
    "1,234,567.8",
    "3,5",
    "1.234,5",
    "12%",
    "−4",
    " 8 ",
    "1 234",
    "1'234",
    "$5",
]
WORDS = [
    "north",
    "",
    "A1",
    "1A",
    "2020-01-01",
    "2020.01.01",
    "1.2.3",
    "0-14",
    "65+",
    "DE12",
    "nan",
    "inf",
    "n/a",
    "..",
    "-",
    "0x1F",
    "1,2,3",
]


@pytest.mark.parametrize("text", NUMBERS)
def test_what_is_written_as_a_number(text):
    assert find_numbers([text]) is not None


@pytest.mark.parametrize("text", WORDS)
def test_what_is_not(text):
    assert find_numbers([text]) is None


def test_a_column_is_one_of_numbers_where_half_of_its_texts_are():
    assert find_numbers(["1", "2", "n/a", "-", "1"]) == (["1", "2"], ["n/a", "-"], [])
    assert find_numbers(["1", "south", "north"]) is None
    assert find_numbers([]) is None


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("1,234", "commas"),
        ("12%", "percent signs"),
        ("$5", "signs of currency"),
        ("1'234", "marks of thousands"),
    ],
)
def test_the_marks_in_the_way_of_a_conversion_are_named(text, mark):
    with pytest.raises(ValueError, match="Unable to parse"):
        pd.to_numeric(pd.Series([text]))
    assert find_numbers([text])[2] == [mark]


LATITUDES = [
    "lat",
    "LAT",
    "Latitude",
    "capital_lat",
    "lat_wgs84",
    "centroidLat",
    "纬度",
    "省会纬度",
    "INTPTLAT",
]
LONGITUDES = ["lon", "Lng", "long", "LONGITUDE", "city.lon", "centroidLon", "经度"]
NEITHER = [
    "x",
    "y",
    "east",
    "north",
    "platform",
    "salon",
    "latlon lat lon",
    "X",
    "belongs",
    0,
    None,
    ("lat", 1),
]


@pytest.mark.parametrize("name", LATITUDES + LONGITUDES + NEITHER)
def test_names_of_coordinates(name):
    want = "latitude" if name in LATITUDES else "longitude" if name in LONGITUDES else None
    assert find_coordinate(name) == want


@pytest.mark.parametrize(
    ("names", "want"),
    [
        (("lat", "lon"), True),
        (("lat", "y"), True),
        (("x", "lng"), True),
        (("lon", "lat"), False),
        (("x", "lat"), False),
    ],
)
def test_columns_the_other_way_round(names, want):
    assert are_swapped(names) is want


def test_labels_that_read_alike():
    assert find_same_text(pd.Index([1, "1", 2, 2.5, "2.0"], dtype=object)) == [1, "1"]
    assert find_same_text(pd.Index([1.0, "1", "x"], dtype=object)) == [1.0, "1"]
    assert find_same_text(pd.Index(["1", "01", "1.0"])) == find_same_text(pd.Index([1, 2])) == []
    assert find_alike(pd.Index(["a", " a", "b"])) == ["a", " a"]
    assert find_alike(pd.Index(["a", "A"])) == []


def test_floats_that_are_no_whole_numbers_any_more():
    assert (
        find_inexact(pd.Index([1.5, 2.0**53 - 1]))
        == find_inexact(pd.Index([2**60]))
        == find_inexact(pd.Index([np.inf]))
        == []
    )
    assert find_inexact(pd.Index([float(2**53 + 1), 4.0])) == [2.0**53]


@pytest.mark.parametrize(
    ("periods", "want"),
    [
        (["2", "10"], True),
        (["9", "10", "11"], True),
        (["2001", "2010"], False),
        (["2001q1", "2001q2"], False),
        ([2, 10], False),
        (pd.Categorical(["2", "10"]), True),
        (pd.Categorical(["2", "10"], ["2", "10"]), False),
        (pd.Categorical(["2", "10"], ["10", "2"], ordered=True), False),
    ],
)
def test_periods_stored_as_text(periods, want):
    assert is_out_of_order(pd.Index(periods)) is want
