"""What becomes a category, and what would become one by mistake."""

import datetime
import time
from decimal import Decimal

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from number_rows import IDS, TOWNS, W, expect_refusal, panel

import spillover as so
from spillover.engine.data import sources
from spillover.engine.data.panel import read_panel

TEXT = ["1.5", "2", "-3", "4e2", "5.25", "6"]


STORED = {
    "text": (TEXT, ["text", "'1.5'", "6 categories", "pd.to_numeric(frame['x'])", "C(x)"]),
    "objects of text": (np.array(TEXT, dtype=object), ["text", "pd.to_numeric"]),
    "text of Python's": (pd.array(TEXT, dtype="string[python]"), ["text", "pd.to_numeric"]),
    "text of Arrow's": (
        pd.array(TEXT, dtype=pd.ArrowDtype(pa.string())),
        ["text", "pd.to_numeric"],
    ),
    "categories of Arrow's": (
        pd.array(TEXT, dtype=pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))),
        ["text", "pd.to_numeric"],
    ),
    "categories": (pd.Categorical(TEXT), ["text", "6 categories", "pd.to_numeric"]),
    "thousands": (
        ["1,234", "2,500", "3", "1,000,000", "9", "12"],
        ["'1,234'", "take out its commas", "pd.to_numeric"],
    ),
    "decimal commas": (["3,5", "2,1", "3", "4", "9", "1,25"], ["'3,5'", "commas"]),
    "percentages": (["12%", "3%", "4.5%", "9%", "10%", "1%"], ["'12%'", "percent signs"]),
    "numbers but for a mark": (
        ["1", "2", "3", "..", "5", "6"],
        ["(beside '..')", "replace what is no number"],
    ),
    "objects": (
        np.array([1.5, 2, 3, 4, 5, 6], dtype=object),
        ["objects", "6 categories", "pd.to_numeric"],
    ),
    "decimals": ([Decimal(value) for value in TEXT], ["objects", "pd.to_numeric"]),
    "several types": (np.array([1, "2", 3, "4", 5, 6], dtype=object), ["type int, str"]),
    "complex objects": (np.array([1j, 2j, 3j, 4j, 5j, 6j], dtype=object), ["type complex"]),
    "dates": ([datetime.date(2020, 1, day) for day in range(1, 7)], ["type date"]),
    "lists": ([[1], [2], [3], [4], [5], [6]], ["no categories"]),
}


@pytest.mark.parametrize("case", STORED)
def test_numbers_that_would_be_categories_are_refused(case):
    values, words = STORED[case]
    expect_refusal(lambda: panel(x=values), "Column 'x'", *words)
    expect_refusal(lambda: panel("y ~ z + x:z", x=values), "Column 'x'", *words)
    expect_refusal(
        lambda: panel("x ~ z", x=values), "Column 'x'", *[word for word in words if word != "C(x)"]
    )


def test_as_categories_by_request():
    codes = ["11", "12", "11", "13", "12", "12"]
    assert panel("y ~ C(x)", x=codes).names == ("Intercept", "C(x)[T.12]", "C(x)[T.13]")
    assert panel("y ~ I(x == '12')", x=codes).x[0, :, 1].tolist() == [0, 1, 0, 0, 1, 1]
    # declared, and of numbers
    assert panel(x=pd.Categorical([3, 1, 3, 2, 1, 1])).names == (
        "Intercept",
        "x[T.2]",
        "x[T.3]",
    )
    words = ["north", "2", "south", "east", "east", "2"]
    assert panel(x=pd.array(words, dtype="string[python]")).names == panel(x=words).names
    expect_refusal(lambda: panel("y ~ `a code`", **{"a code": codes}), "C(`a code`)")
    expect_refusal(lambda: panel("y ~ I(x * 2)", x=codes), "Column 'x'", "text")


@pytest.mark.parametrize("kind", ["parquet", "dask"])
def test_tables_in_chunks_refuse_the_same(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "CHUNK", 2)
    for case in ("text", "categories", "thousands", "decimals", "dates"):
        frame = TOWNS.assign(x=STORED[case][0], town=IDS)
        if kind == "dask" and case in ("decimals", "dates"):
            continue  # Dask itself keeps no such columns
        data = tmp_path / f"{case}.parquet"
        frame.to_parquet(data, row_group_size=2) if kind == "parquet" else None
        given = data if kind == "parquet" else dd.from_pandas(frame, npartitions=3, sort=False)
        expect_refusal(
            lambda given=given: read_panel(
                "y ~ x", given, W, unit="town", period=None, effects="none"
            ),
            "Column 'x'",
            "C(x)",
        )


def test_levels_keep_their_names():
    whole = [3, 1, 3, 2, 1, 1]
    for kind in ("int64", "Int64"):
        assert panel("y ~ C(x)", x=pd.array(whole, dtype=kind)).names == (
            "Intercept",
            "C(x)[T.2]",
            "C(x)[T.3]",
        )
    assert panel("y ~ C(x > 1)", x=whole).names == ("Intercept", "C(x > 1)[T.True]")


def test_categories_that_make_more_columns_than_rows_are_refused_before_they_are_made():
    ids = list(range(200))
    wide = pd.DataFrame(np.random.default_rng(11).normal(size=(200, 3)), columns=["y", "x", "a b"])
    weights = so.Weights(np.roll(np.eye(200), 1, axis=1), ids)
    start = time.perf_counter()
    with pytest.raises(
        so.DataError, match="makes 40000 columns, one for each level, of 200 rows: is it a number"
    ):
        read_panel("y ~ C(x):C(`a b`)", wide, weights, unit=None, period=None, effects="none")
    assert time.perf_counter() - start < 1
