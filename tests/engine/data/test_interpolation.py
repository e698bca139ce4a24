"""interpolate_panel: straight lines come back, nothing else changes, units stay apart, what it
refuses.
"""

import numpy as np
import pandas as pd
import pytest
from number_rows import expect_refusal

import spillover as so

PANEL = {"unit": "town", "period": "year"}
YEARS = [2001, 2002, 2004, 2007, 2008, 2015]  # unevenly spaced: positions are not times
PERIODS = {
    "whole numbers": YEARS,
    "floats": [y + 0.25 for y in YEARS],
    "nullable": pd.array(YEARS, dtype="Int64"),
    "dates": pd.to_datetime([f"{y}-03-01" for y in YEARS]),
    "dates of a zone": pd.to_datetime([f"{y}-03-01" for y in YEARS]).tz_localize("Asia/Shanghai"),
    "large numbers": [2**60 + y for y in YEARS],
}
GAPS = {"a": [0], "b": [5], "c": [2, 3], "d": [0, 1, 4, 5], "e": [1, 2, 3, 4], "f": []}


def lines(times: np.ndarray, units: str = "abcdef") -> pd.DataFrame:
    """A line of its own for each unit, twice, and columns that are no numbers; rows by unit, then
    period.
    """
    rng = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "town": np.repeat(list(units), len(times)),
            "at": np.tile(np.arange(len(times)), len(units)),
        }
    )
    for name in ("x", "z"):
        level, slope = rng.normal(size=(2, len(units))) * [[10.0], [3.0]]
        frame[name] = np.repeat(level, len(times)) + np.repeat(slope, len(times)) * np.tile(
            times, len(units)
        )
    return frame.assign(note="text", whole=np.arange(len(frame)), flag=True)


def panel(kind: str = "whole numbers") -> tuple[pd.DataFrame, pd.DataFrame]:
    """The complete panel, and the same with GAPS in x."""
    labels = pd.Series(PERIODS[kind])
    times = (labels - labels.iloc[0]) / (pd.Timedelta(days=365) if "dates" in kind else 1)
    full = lines(times.to_numpy(float))
    full.insert(1, "year", labels.iloc[full["at"]].array)
    gappy = full.copy()
    gappy.loc[missing(full), "x"] = np.nan
    return full, gappy


def missing(frame: pd.DataFrame) -> np.ndarray:
    return np.array([at in GAPS[town] for town, at in zip(frame["town"], frame["at"], strict=True)])


@pytest.mark.parametrize("kind", PERIODS)
def test_straight_lines_come_back_wherever_cells_are_missing(kind):
    full, gappy = panel(kind)
    found = so.interpolate_panel(gappy, **PANEL)
    np.testing.assert_allclose(found.frame["x"], full["x"], rtol=1e-12, atol=1e-12)
    pd.testing.assert_frame_equal(found.frame.drop(columns="x"), gappy.drop(columns="x"))
    there = gappy["x"].notna()
    pd.testing.assert_series_equal(
        found.frame.loc[there, "x"], gappy.loc[there, "x"], check_exact=True
    )


def test_inside_it_is_numpy_interp_and_at_the_ends_the_line_of_the_two_nearest():
    full, gappy = panel()
    values = np.random.default_rng(1).normal(size=len(full))
    gappy = gappy.assign(x=np.where(gappy["x"].isna(), np.nan, values))
    found = so.interpolate_panel(gappy, **PANEL).frame
    for town, at in GAPS.items():
        known = gappy[(gappy["town"] == town) & gappy["x"].notna()]
        t, x = known["year"].to_numpy(float), known["x"].to_numpy()
        for place in at:
            year = YEARS[place]
            want = np.interp(year, t, x)
            if year < t[0]:
                want = x[0] + (x[1] - x[0]) / (t[1] - t[0]) * (year - t[0])
            elif year > t[-1]:
                want = x[-1] + (x[-1] - x[-2]) / (t[-1] - t[-2]) * (year - t[-1])
            got = found.loc[(found["town"] == town) & (found["at"] == place), "x"].item()
            assert got == pytest.approx(want, rel=1e-13, abs=1e-13)


def test_the_cells_say_what_was_filled_and_how():
    full, gappy = panel()
    found = so.interpolate_panel(gappy, **PANEL)
    kept = full[missing(full)].reset_index(drop=True)
    pd.testing.assert_series_equal(found.cells["unit"], kept["town"], check_names=False)
    pd.testing.assert_series_equal(found.cells["period"], kept["year"], check_names=False)
    np.testing.assert_allclose(found.cells["value"], kept["x"], rtol=1e-12)
    assert set(found.cells["column"]) == {"x"}
    observed = {town: sorted(set(range(len(YEARS))) - set(at)) for town, at in GAPS.items()}
    inside = [
        observed[town][0] < at < observed[town][-1]
        for town, at in zip(kept["town"], kept["at"], strict=True)
    ]
    assert found.cells["how"].tolist() == [
        "interpolated" if yes else "extrapolated" for yes in inside
    ]
    assert (
        repr(found)
        == f"Filled(36 rows, 12 cells filled, {sum(inside)} interpolated, {12 - sum(inside)}"
        " extrapolated)"
    )


def test_shuffled_rows_give_the_same_cells_and_keep_their_order():
    _, gappy = panel()
    gappy.loc[[3, 20], "z"] = np.nan
    order = np.random.default_rng(4).permutation(len(gappy))
    shuffled = gappy.iloc[order].set_axis(np.repeat([7, 7, 8], 12))  # an index that repeats itself
    before = shuffled.copy()
    one, other = so.interpolate_panel(gappy, **PANEL), so.interpolate_panel(shuffled, **PANEL)
    pd.testing.assert_frame_equal(one.cells, other.cells, check_exact=True)
    pd.testing.assert_frame_equal(
        other.frame, one.frame.iloc[order].set_axis(shuffled.index), check_exact=True
    )
    pd.testing.assert_frame_equal(shuffled, before)  # the input is left alone


def test_one_observed_value_is_carried():
    frame = pd.DataFrame(
        {"town": list("aaab"), "year": [1, 2, 5, 1], "x": [np.nan, 4.5, np.nan, 1.0]}
    )
    found = so.interpolate_panel(frame, **PANEL)
    assert found.frame["x"].tolist() == [4.5, 4.5, 4.5, 1.0]
    assert found.cells["how"].tolist() == ["carried", "carried"]
    assert repr(found) == "Filled(4 rows, 2 cells filled, 2 carried)"


def test_nothing_crosses_from_unit_to_unit():
    """Filling the panel is filling each unit by itself."""
    _, gappy = panel()
    whole = so.interpolate_panel(gappy, **PANEL).frame
    parts = [so.interpolate_panel(part, **PANEL).frame for _, part in gappy.groupby("town")]
    pd.testing.assert_frame_equal(whole, pd.concat(parts), check_exact=True)


def test_only_the_columns_asked_for():
    _, gappy = panel()
    gappy.loc[[3, 20], "z"] = np.nan
    found = so.interpolate_panel(gappy, **PANEL, columns=["z"])
    assert found.cells["column"].tolist() == ["z", "z"]
    pd.testing.assert_series_equal(found.frame["x"], gappy["x"])
    assert not found.frame["z"].isna().any()


@pytest.mark.parametrize("columns", [None, [], ["z"]])
def test_without_gaps_it_is_a_copy(columns):
    full, _ = panel()
    found = so.interpolate_panel(full, **PANEL, columns=columns)
    pd.testing.assert_frame_equal(found.frame, full)
    assert found.frame is not full
    assert found.cells.columns.tolist() == ["unit", "period", "column", "value", "how"]
    assert found.cells.empty
    assert repr(found) == "Filled(36 rows, 0 cells filled)"


@pytest.mark.parametrize(
    ("kind", "after"),
    [("float32", "float32"), ("Float64", "Float64"), ("Float32", "Float32"), ("Int64", "Float64")],
)
def test_the_type_of_a_column_stays_unless_it_is_whole_numbers(kind, after):
    frame = pd.DataFrame(
        {
            "town": ["a"] * 3,
            "year": [1, 2, 4],
            "x": pd.array([1, None, 2], dtype="Float64").astype(kind),
        }
    )
    found = so.interpolate_panel(frame, **PANEL)
    assert found.frame["x"].dtype == after
    third = np.float64(np.float32(4 / 3)) if after.endswith("32") else 4 / 3
    assert found.frame["x"].astype(float).tolist() == pytest.approx([1.0, third, 2.0], rel=1e-15)
    assert found.cells["value"].tolist() == [float(found.frame["x"].iloc[1])]


@pytest.mark.parametrize("columns", [["town", "year"], ["town", "year", "x"]])
def test_a_panel_without_rows_or_numbers_is_full(columns):
    full, _ = panel()
    frame = full[columns].iloc[: 0 if "x" in columns else None]
    pd.testing.assert_frame_equal(so.interpolate_panel(frame, **PANEL).frame, frame)


def test_labels_of_units_of_any_kind():
    frame = pd.DataFrame(
        {"town": ["a", 1, 1, "a"], "year": [1, 1, 2, 2], "x": [1.0, 5.0, np.nan, np.nan]}
    )
    found = so.interpolate_panel(frame, **PANEL)
    assert found.frame["x"].tolist() == [1.0, 5.0, 5.0, 1.0]
    assert found.cells["unit"].tolist() == ["a", 1]


def put(frame, rows, column, value):
    return frame.assign(**{column: frame[column].mask(np.isin(np.arange(len(frame)), rows), value)})


REFUSED = {
    "no table": (lambda f: f["x"], {}, "Series: give a pandas DataFrame"),
    "no unit": (
        lambda f: f.drop(columns="town"),
        {},
        "no column 'town'; the data have year, at, x",
    ),
    "no period": (lambda f: f.drop(columns="year"), {}, "no column 'year'"),
    "one column for both": (lambda f: f, {"period": "town"}, "both name 'town'"),
    "missing unit": (
        lambda f: put(f, [3, 9], "town", None),
        {},
        r"'town', the unit, is missing in 2 rows \(3, 9\)",
    ),
    "missing period": (
        lambda f: put(f, [7], "year", np.nan),
        {},
        r"'year', the period, is missing in 1 rows \(7\)",
    ),
    "infinite period": (
        lambda f: put(f.astype({"year": float}), [7], "year", np.inf),
        {},
        "'year', the period, holds infinite",
    ),
    "text periods": (
        lambda f: f.assign(year=f["year"].astype(str)),
        {},
        r"'year', the period, is of type (str|object)",
    ),
    "repeated rows": (
        lambda f: pd.concat([f, f.iloc[[8]]]),
        {},
        r"1 rows repeat a \(town, year\) that another has: \('b', 2004\)",
    ),
    "a unit without any": (
        lambda f: put(f, range(6, 12), "x", np.nan),
        {},
        "'x' has no value at all in 'b'",
    ),
    "no such column": (lambda f: f, {"columns": ["x", "y"]}, "no column 'y'"),
    "text": (
        lambda f: f,
        {"columns": ["x", "note"]},
        r"Not a column of numbers: 'note' \((str|object)\)",
    ),
    "truth values": (lambda f: f, {"columns": ["flag"]}, r"'flag' \(bool\)"),
    "a bare name": (lambda f: f, {"columns": "x"}, "the text 'x': give a list"),
    "twice": (lambda f: f, {"columns": ["x", "x"]}, "lists 'x' more than once"),
    "two columns of a name": (lambda f: pd.concat([f, f[["x"]]], axis=1), {}, "called 'x'"),
    "infinite": (
        lambda f: put(f, [7, 8], "x", -np.inf),
        {},
        r"'x' is infinite at \('b', 2002\), \('b', 2004\)",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_filled_is_refused_by_name(what):
    change, arguments, words = REFUSED[what]
    full, _ = panel()
    with pytest.raises(so.DataError, match=words):
        so.interpolate_panel(change(full), **(PANEL | arguments))


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
    expect_refusal(
        lambda: so.interpolate_panel(frame, **at),
        "'x' has gaps",
        "commas",
        "pd.to_numeric(frame['x'])",
        "columns=",
    )
    objects = frame.assign(x=np.array([1.5, None, 3], dtype=object))
    expect_refusal(lambda: so.interpolate_panel(objects, **at), "'x' has gaps", "object")
    assert so.interpolate_panel(frame, columns=[], **at).frame.equals(frame)
    assert so.interpolate_panel(frame.assign(x=["north", None, "south"]), **at).cells.empty
    mixed = frame.assign(town=np.array([1, "1", 2], dtype=object))
    expect_refusal(lambda: so.interpolate_panel(mixed, columns=[], **at), "'town'", "read alike")
