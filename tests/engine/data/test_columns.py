"""Columns that a user names."""

import numpy as np
import pandas as pd
import pytest

import spillover as so
from spillover.engine.data.columns import check_columns, list_names, read_numbers

FRAME = pd.DataFrame({"x": [1, 2], "y": pd.array([1.5, None], "Float64"), "word": ["a", "b"]})


def test_names_are_a_list_each_once():
    assert list_names((name for name in ("x", "y")), "columns") == ["x", "y"]
    for names, words in (
        ("xy", r"columns is the text 'xy': give a list of column names, \['xy'\]"),
        ({"x": 1}, "columns is .*: give a list of column names"),
        (5, "columns is 5: give a list"),
        (["x", "y", "x"], "columns lists 'x' more than once"),
    ):
        with pytest.raises(so.DataError, match=words):
            list_names(names, "columns")


def test_numbers_are_float64_with_missing_values_as_nan():
    np.testing.assert_array_equal(read_numbers(FRAME, ["y", "x"]), [[1.5, 1], [np.nan, 2]])
    assert read_numbers(FRAME, []).shape == (2, 0)
    with pytest.raises(so.DataError, match=r"Not a column of numbers: 'word' \(\w+\)"):
        read_numbers(FRAME, ["x", "word"])


def test_columns_that_are_not_there_or_there_twice():
    check_columns(FRAME, ["x"])
    for frame, names, words in (
        (FRAME, ["z"], "There is no column 'z'; the data have x, y, word"),
        (pd.concat([FRAME, FRAME[["x"]]], axis=1), ["x"], "More than one column is called 'x'"),
        (FRAME.to_dict(), ["x"], "give a pandas DataFrame"),
    ):
        with pytest.raises(so.DataError, match=words):
            check_columns(frame, names)
