"""No value turns into another on its way into the package: it is converted as documented, or
refused by name.
"""

import datetime
from decimal import Decimal

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse as sparse

import spillover as so
from spillover.engine.data import sources
from spillover.engine.data.panel import read_panel
from spillover.engine.data.tables import read_table
from spillover.engine.labels import as_numbers

IDS = [3, 1, 2, 10, 5, 7]
DENSE = np.random.default_rng(4).uniform(0.2, 1.0, (6, 6)) * (1 - np.eye(6))
W = so.Weights(DENSE, IDS)
TOWNS = pd.DataFrame({"y": np.arange(6.0) ** 2, "z": np.cos(np.arange(6))}, index=IDS)
WHOLE = np.array([10**10, 3, 5 * 10**9, 7, 2, 4 * 10**9])


def panel(formula="y ~ x", frame=TOWNS, weights=W, unit=None, period=None, **columns):
    return read_panel(
        formula, frame.assign(**columns), weights, unit=unit, period=period, effects="none"
    )


def refused(make, *words, error=so.DataError):
    with pytest.raises(error) as caught:
        make()
    assert [word for word in words if word not in str(caught.value)] == [], str(caught.value)


# --- numbers stored as text or as objects
# ------------------------------------------------------------------------------

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
    refused(lambda: panel(x=values), "Column 'x'", *words)
    refused(lambda: panel("y ~ z + x:z", x=values), "Column 'x'", *words)
    refused(
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
    refused(lambda: panel("y ~ `a code`", **{"a code": codes}), "C(`a code`)")
    refused(lambda: panel("y ~ I(x * 2)", x=codes), "Column 'x'", "text")


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
        refused(
            lambda given=given: read_panel(
                "y ~ x", given, W, unit="town", period=None, effects="none"
            ),
            "Column 'x'",
            "C(x)",
        )


# --- numbers that run over, lose their sign or their imaginary part
# ----------------------------------------------------

EXACT = {
    "I(x ** 2)": lambda x: x**2,
    "x:b": lambda x: x * x,
    "{x * x - b}": lambda x: x * x - x,
    "I(x ** -1)": lambda x: x**-1.0,
    "np.exp(x / 5e9)": lambda x: np.exp(x / 5e9),
}


@pytest.mark.parametrize("kind", ["int64", "Int64", "int64[pyarrow]", "uint64", "object"])
@pytest.mark.parametrize("formula", EXACT)
def test_whole_numbers_do_not_run_over(formula, kind):
    given = pd.array(WHOLE, dtype=kind)
    if kind == "object":
        refused(lambda: panel(f"y ~ {formula}", x=given, b=given), "stored as objects")
        return
    found = panel(f"y ~ {formula}", x=given, b=given).x[0, :, -1]
    np.testing.assert_allclose(found, EXACT[formula](WHOLE.astype(float)), rtol=1e-15)


def test_small_types_are_widened_before_anything_is_worked_out():
    byte, half = (
        np.array([200, 100, 250, 3, 4, 5], np.uint8),
        np.array([11.5, 12, 1, 2, 3, 4], np.float16),
    )
    np.testing.assert_array_equal(panel("y ~ {x + x}", x=byte).x[0, :, -1], 2.0 * byte)
    np.testing.assert_array_equal(panel("{0 - x} ~ z", x=byte).y[0], -1.0 * byte)
    np.testing.assert_allclose(
        panel("y ~ np.exp(x)", x=half).x[0, :, -1], np.exp(half.astype(float)), rtol=1e-15
    )


def test_true_and_true_are_two_but_logic_stays_logic():
    a, b = np.array([1, 1, 0, 0, 1, 0], bool), np.array([1, 0, 1, 0, 1, 1], bool)
    np.testing.assert_array_equal(panel("y ~ {a + b}", a=a, b=b).x[0, :, -1], 1.0 * a + b)
    np.testing.assert_array_equal(panel("y ~ I(a & ~b)", a=a, b=b).x[0, :, -1], a & ~b)
    np.testing.assert_array_equal(panel("y ~ a", a=pd.array(a, dtype="boolean")).x[0, :, -1], a)


def test_variables_of_transformations_that_need_all_rows():
    """They are read, missing values in them named and numbers stored as text refused, like any
    others.
    """
    x = [1, 4, 2, 8, 5, 7]
    for formula in ("y ~ poly(x, 2)", "y ~ bs(x, df=4)", "y ~ center(x) + scale(z)"):
        np.testing.assert_array_equal(panel(formula, x=x).x, panel(formula, x=np.array(x, float)).x)
        refused(
            lambda formula=formula: panel(formula, x=pd.array([None, *x[1:]], "Int64")),
            "'x' has missing values in 1 rows (3)",
        )
        refused(lambda formula=formula: panel(formula, x=list(map(str, x))), "Column 'x'", "text")
    assert panel("y ~ poly(`a b`, 2)", **{"a b": x}).names == (
        "Intercept",
        "poly(`a b`, 2)[1]",
        "poly(`a b`, 2)[2]",
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


def test_what_no_response_or_regressor_is():
    refused(
        lambda: panel("up ~ z", up=TOWNS["y"] > 3),
        "'up' is true or false",
        "frame['up'].astype(float)",
    )
    refused(
        lambda: panel("up ~ z", up=pd.array(TOWNS["y"] > 3, dtype="boolean")),
        "'up' is true or false",
    )
    refused(lambda: panel("word ~ z", word=["one"] * 6), "'word[one]'", "numeric response")
    refused(
        lambda: panel(x=pd.period_range("2020", periods=6, freq="M")), "Column 'x' holds period"
    )
    refused(
        lambda: panel(x=pd.date_range("2020", periods=6, tz="Asia/Shanghai")),
        "Column 'x' holds datetime64",
        "Shanghai",
    )
    unused = pd.Categorical(list("aabbab"), list("cab"))
    for formula in ("y ~ x", "y ~ C(x)"):
        refused(
            lambda formula=formula: panel(formula, x=unused),
            "no row has: 'c'",
            "remove_unused_categories()",
        )
    missing = pd.array([1, None, 3, 4, 5, 6], dtype="Int64")
    refused(lambda: panel(x=missing), "'x' has missing values in 1 rows (1)")


# --- tables whose labels say more than one thing
# -----------------------------------------------------------------------


def test_columns_and_rows_of_unclear_names():
    long = pd.concat([TOWNS.assign(town=IDS, year=year) for year in (1, 2)], ignore_index=True)
    at = {"unit": "town", "period": "year"}
    for name, word in (
        ("z", "called 'z'"),
        ("y", "called 'y'"),
        ("town", "unit='town'"),
        ("year", "period='year'"),
    ):
        twice = pd.concat([long, long[[name]]], axis=1)
        words = [word, "ore than one column", "rename or drop"]
        refused(lambda twice=twice: read_panel("y ~ z", twice, W, effects="none", **at), *words)
    deep = TOWNS.set_axis(
        pd.MultiIndex.from_product([["a"], ["y", "z"]], names=["group", "name"]), axis=1
    )
    refused(lambda: panel("y ~ z", deep), "columns have the levels 'group', 'name'")
    refused(
        lambda: panel("y ~ z", long.set_index(["year", "town"])),
        "index of the data has the levels year, town",
        "reset_index()",
    )
    refused(lambda: panel("y ~ `7`", TOWNS.rename(columns={"z": 7})), "'7', whose name is not text")
    refused(
        lambda: read_panel("y ~ z", long, W, unit="town", period="town", effects="none"),
        "both",
        error=so.SpecificationError,
    )


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
    refused(
        lambda: read_panel("y ~ z", frame, W, unit="town", period="year", effects="none"), *words
    )
    refused(lambda: so.moran_by_period(frame, "z", W, unit="town", period="year"), *words)


def test_a_window_of_another_type_than_the_periods():
    given = {
        "unit": "town",
        "period": "year",
        "models": ("SAR",),
        "windows": {"early": (2001, 2002)},
    }
    refused(
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
    refused(
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
    refused(
        lambda: codes @ pd.Series([1.0, 2.0], [1001, 1003]),
        "'01001' lose their zeros",
        "dtype=str",
        error=so.WeightsError,
    )
    towns = so.Weights([[0, 1], [1, 0]], ["Oslo", "Bergen"])
    refused(
        lambda: towns @ pd.Series([1.0, 2.0], ["oslo ", "Bergen"]),
        "'Oslo' and 'oslo '",
        error=so.WeightsError,
    )
    refused(
        lambda: so.Weights([[0, 1], [1, 0]], {"a", "b"}), "set", "no order", error=so.WeightsError
    )
    refused(
        lambda: so.Weights([[0, 1], [1, 0]], [1, "1"]),
        "read alike",
        "1, '1'",
        error=so.WeightsError,
    )
    refused(
        lambda: so.Weights([[0, 1], [1, 0]], [2.0**53, 2.0**53 + 2]),
        "too large",
        error=so.WeightsError,
    )


def test_codes_in_a_file_keep_their_zeros(tmp_path):
    tmp_path.joinpath("t.csv").write_text("code,year,x\n01001,2001,0\n10003,2001,10\n")
    frame = read_table(tmp_path / "t.csv")
    assert frame["code"].tolist() == ["01001", "10003"]
    assert [frame[name].tolist() for name in ("year", "x")] == [[2001, 2001], [0, 10]]
    assert frame.columns.tolist() == ["code", "year", "x"]


# --- arrays, matrices and edges
# ----------------------------------------------------------------------------------------

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
    refused(
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
    refused(
        lambda: as_numbers([10**400], "x"),
        "x must be numbers that float64 holds",
        error=so.WeightsError,
    )
    with np.errstate(under="ignore"):
        tiny = np.array([1, np.longdouble("1e-400")], dtype=np.longdouble)
    if tiny[1] != 0:  # where a long double is longer
        refused(lambda: as_numbers(tiny, "x"), "holds them as 0", error=so.WeightsError)


def test_entries_stored_twice_are_summed_without_running_over():
    def stored(values, kind, make):
        return (
            so.Weights(make((np.array(values, kind), ([0, 0, 1], [1, 1, 0])), shape=(2, 2)))
            .to_scipy()
            .toarray()[0, 1]
        )

    for make in (sparse.coo_array, sparse.coo_matrix):
        assert stored([100, 100, 1], np.int8, make) == 200
        assert stored([200, 100, 1], np.uint8, make) == 300
        assert stored([1, 1, 1], bool, make) == 1
        assert stored([0.5, 0.25, 1], np.float32, make) == 0.75
        refused(
            lambda make=make: stored([3, -1, 1], float, make),
            "negative",
            "more than once: (0, 1)",
            error=so.WeightsError,
        )
    refused(
        lambda: so.Weights(np.ma.array([[0, 1.0], [1, 0]], mask=[[0, 1], [0, 0]])),
        "0 → 1 = nan",
        error=so.WeightsError,
    )


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_rows_that_sum_to_one_in_short_floats_only_are_warned_of(kind):
    """In float64 they do not, and period effects of such a W are another likelihood."""
    rows = (DENSE / DENSE.sum(axis=1, keepdims=True)).astype(kind)
    for given in (rows, sparse.csr_array(rows.astype(np.float32))):
        with pytest.warns(
            so.SpilloverWarning, match=r"sum to 1 in float\d+, but .* row_standardize\(\)"
        ) as caught:
            weights = so.Weights(given, IDS, islands="allow")
        assert caught[0].filename == __file__
        assert not weights.is_row_standardized
        assert weights.row_standardize().is_row_standardized
        if kind == np.float16:
            break
    so.Weights(DENSE.astype(kind), IDS)  # raw weights say nothing of their sums
    so.Weights((DENSE > 0).astype(kind) / kind(8), IDS)


EDGES = pd.DataFrame({"o": ["a", "b", "b"], "d": ["b", "a", "c"], "w": [1, 2, 3]})
BAD_EDGES = {
    "no frame": (EDGES.to_dict("list"), ["dict", "DataFrame"]),
    "two columns of one name": (
        pd.concat([EDGES, EDGES[["w"]]], axis=1),
        ["'w' is named more than once"],
    ),
    "blanks": (
        EDGES.replace({"d": {"a": "b "}}).assign(d=["b", "a", "a "]),
        ["'d'", "blanks", "'a', 'a '"],
    ),
    "an empty label": (EDGES.replace({"o": {"a": ""}}), ["'o'", "no label in the rows 0"]),
    "whole numbers beyond floats": (
        EDGES.assign(o=[2**53, 2**53 + 1, 1], d=[2.0**53, 1, 2]),
        ["'d'", "too large"],
    ),
    "1 and '1'": (
        EDGES.assign(o=np.array([1, "1", 2], dtype=object), d=[2, 2, 1]),
        ["'o'", "read alike"],
    ),
}


@pytest.mark.parametrize("case", BAD_EDGES)
def test_edges_that_say_more_than_one_thing(case):
    frame, words = BAD_EDGES[case]
    refused(
        lambda: so.Weights.from_edges(frame, "o", "d", "w", islands="allow"),
        *words,
        error=so.WeightsError,
    )


def test_a_file_of_weights_knows_no_marks_of_thousands(tmp_path):
    tmp_path.joinpath("w.csv").write_text("origin,destination,weight\n1,2,1_000\n2,1,1\n")
    refused(lambda: so.read_weights(tmp_path / "w.csv"), "line 2", "'1_000'", error=so.WeightsError)
    tmp_path.joinpath("w.gwt").write_text("0 2 f k\n1 2 0.5\n2 1 0.5\n")
    refused(
        lambda: so.read_weights(tmp_path / "w.gwt", ids=[1.0, 2.0]),
        "type floating",
        "type integer",
        error=so.WeightsError,
    )


# --- panels with gaps
# --------------------------------------------------------------------------------------------------


def test_gaps_are_filled_by_the_distances_in_time():
    times, x = np.array([-100, 0, 100], np.int8), [1.0, np.nan, 7.0]
    frame = pd.DataFrame({"town": "a", "year": times, "x": x})
    assert so.interpolate_panel(frame, unit="town", period="year").frame["x"].tolist() == [
        1.0,
        4.0,
        7.0,
    ]
    ends = pd.DataFrame({"town": "a", "year": times, "x": [np.nan, 4.0, 7.0]})
    assert so.interpolate_panel(ends, unit="town", period="year").frame["x"].tolist() == [
        1.0,
        4.0,
        7.0,
    ]


def test_gaps_that_would_be_passed_over_are_refused():
    frame = pd.DataFrame({"town": list("aab"), "year": [1, 2, 1], "x": ["1,5", None, "3"]})
    at = {"unit": "town", "period": "year"}
    refused(
        lambda: so.interpolate_panel(frame, **at),
        "'x' has gaps",
        "commas",
        "pd.to_numeric(frame['x'])",
        "columns=",
    )
    objects = frame.assign(x=np.array([1.5, None, 3], dtype=object))
    refused(lambda: so.interpolate_panel(objects, **at), "'x' has gaps", "object")
    assert so.interpolate_panel(frame, columns=[], **at).frame.equals(frame)
    assert so.interpolate_panel(frame.assign(x=["north", None, "south"]), **at).cells.empty
    mixed = frame.assign(town=np.array([1, "1", 2], dtype=object))
    refused(lambda: so.interpolate_panel(mixed, columns=[], **at), "'town'", "read alike")
