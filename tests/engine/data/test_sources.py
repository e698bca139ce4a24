"""Tables read in chunks give the panel, and the refusals, that the whole frame gives."""

import sys
from dataclasses import replace

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest

import spillover as so
from spillover.engine.data import sources
from spillover.engine.data.panel import read_panel

IDS = ["oslo", "bergen", "åre", "x4", "x5", "x6", "x7"]
YEARS = [2001, 2002, 2003, 2004, 2005]
PANEL = {"unit": "town", "period": "year"}
W = so.Weights(np.random.default_rng(3).uniform(0.2, 1.0, (7, 7)) * (1 - np.eye(7)), IDS)
KINDS = ["file", "folder", "partitioned folder", "dask"]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(sources, "CHUNK", 4)


@pytest.fixture
def frame() -> pd.DataFrame:
    """In random order; "late" is a level of the last rows alone."""
    rng = np.random.default_rng(1)
    labels = pd.MultiIndex.from_product([YEARS, IDS], names=["year", "town"])
    data = pd.DataFrame(
        rng.standard_normal((35, 3)), index=labels, columns=["y", "x", "z"]
    ).reset_index()
    data = data.assign(
        size=rng.uniform(1, 9, 35), code=rng.integers(1, 5, 35), flag=rng.uniform(size=35) < 0.5
    )
    data = data.sample(frac=1.0, random_state=2).reset_index(drop=True)
    data["group"] = [*np.resize(["north", "south", "east", "south"], 32), "late", "late", "late"]
    data["rank"] = pd.Categorical(
        np.resize(["low", "top", "mid"], 35), ["low", "mid", "top"], ordered=True
    )
    return data


@pytest.fixture
def stored(tmp_path):
    """stored(frame, kind): the same rows as a Parquet file of several row groups, as files in a
    folder, or as a Dask dataframe.
    """

    def store(frame, kind):
        if kind == "dask":
            return dd.from_pandas(frame, npartitions=6, sort=False)
        path = tmp_path / kind
        if kind == "file":
            frame.to_parquet(path, row_group_size=6)
        elif kind == "folder":
            path.mkdir()
            for number, start in enumerate(range(0, len(frame), 10)):
                frame.iloc[start : start + 10].to_parquet(
                    path / f"part-{number}.parquet", row_group_size=3
                )
        else:
            frame.to_parquet(path, partition_cols=["flag"], index=False)
        return str(path) if kind == "file" else path

    return store


def assert_same_panel(found, expected):
    for name in ("y", "x"):
        assert getattr(found, name).tobytes() == getattr(expected, name).tobytes()
        assert getattr(found, name).shape == getattr(expected, name).shape
    assert (found.response, found.names, found.period_name) == (
        expected.response,
        expected.names,
        expected.period_name,
    )
    pd.testing.assert_index_equal(found.periods, expected.periods)
    pd.testing.assert_index_equal(found.units, expected.units)


FORMULAS = [
    "y ~ x + z",
    "np.log(size) ~ x + group + C(code) + np.exp(x):z",
    "y ~ 0 + group:x + {x**2 - np.pi} + C(group, contr.treatment('south')) + I(z)",
    "y ~ rank + C(rank, levels=['mid', 'low', 'top']):x + np.where(x > 0, x, np.clip(z, -1, 1))",
]


@pytest.mark.parametrize("effects", ["none", "unit"])
@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("kind", KINDS)
def test_chunks_give_the_panel_of_the_frame(kind, formula, effects, frame, stored):
    expected = read_panel(formula, frame, W, effects=effects, **PANEL)
    assert_same_panel(
        read_panel(formula, stored(frame, kind), W, effects=effects, **PANEL), expected
    )


@pytest.mark.parametrize("kind", ["file", "dask"])
def test_booleans_are_numbers(kind, frame, stored):
    expected = read_panel("y ~ flag + x", frame, W, effects="none", **PANEL)
    assert_same_panel(
        read_panel("y ~ flag + x", stored(frame, kind), W, effects="none", **PANEL), expected
    )


PERIODS = {
    "text": ["2001q1", "2001q2", "2001q3", "2001q4", "2002q1"],
    "floats": [-1.5, 0.0, 2.5, 10.0, 11.0],
    "timestamps": list(pd.date_range("2001-03-31", periods=5, freq="QE")),
    "ordered categories": pd.Categorical(list("cabed"), list("edcba"), ordered=True),
}


@pytest.mark.parametrize("kind", ["file", "dask"])
@pytest.mark.parametrize("labels", PERIODS)
def test_periods_of_any_type(labels, kind, frame, stored):
    frame["year"] = pd.Series(PERIODS[labels]).iloc[frame["year"].map(YEARS.index)].array
    expected = read_panel("y ~ x", frame, W, effects="none", **PANEL)
    assert_same_panel(
        read_panel("y ~ x", stored(frame, kind), W, effects="none", **PANEL), expected
    )


UNITS = {
    "numbers": [5, 3, 99, -1, 0, 12, 4],
    "timestamps": list(pd.date_range("1999-01-01", periods=7)),
    "categories": pd.Categorical(IDS),
}


@pytest.mark.parametrize("kind", ["file", "dask"])
@pytest.mark.parametrize("labels", UNITS)
def test_units_of_any_type(labels, kind, frame, stored):
    weights = so.Weights(W.to_scipy(), pd.Series(UNITS[labels]))
    frame["town"] = pd.Series(UNITS[labels]).iloc[frame["town"].map(IDS.index)].array
    expected = read_panel("y ~ x", frame, weights, effects="none", **PANEL)
    assert_same_panel(
        read_panel("y ~ x", stored(frame, kind), weights, effects="none", **PANEL), expected
    )


@pytest.mark.parametrize("kind", ["file", "folder", "dask"])
def test_a_cross_section_by_its_index_or_by_a_column(kind, frame, stored):
    towns = frame[frame["year"] == 2003].drop(columns="year").set_index("town")
    expected = read_panel("y ~ x + group", towns, W, unit=None, period=None, effects="none")
    data = stored(towns, kind)
    assert_same_panel(
        read_panel("y ~ x + group", data, W, unit=None, period=None, effects="none"), expected
    )
    if kind != "dask":
        assert_same_panel(
            read_panel("y ~ x + group", data, W, unit="town", period=None, effects="none"), expected
        )


@pytest.mark.parametrize("index", [pd.RangeIndex(10, 24, 2), None])
@pytest.mark.parametrize("kind", ["file", "dask"])
def test_an_index_of_numbers_is_kept_or_counted(index, kind, frame, stored, tmp_path):
    towns = frame[frame["year"] == 2003].drop(columns="year").reset_index(drop=True)
    weights = so.Weights(W.to_scipy(), range(7) if index is None else index)
    expected = read_panel(
        "y ~ x", towns.set_axis(weights.ids), weights, unit=None, period=None, effects="none"
    )
    if index is None:
        data = tmp_path / "bare.parquet"
        pyarrow.parquet.write_table(
            pyarrow.table({"y": towns["y"].to_numpy(), "x": towns["x"].to_numpy()}), data
        )
    else:
        data = stored(towns.set_axis(index), kind)
    assert_same_panel(
        read_panel("y ~ x", data, weights, unit=None, period=None, effects="none"), expected
    )


def test_dask_strings_and_categories_that_differ_between_partitions(frame):
    parts = [frame.iloc[start : start + 9] for start in range(0, 35, 9)]
    later = [
        part.assign(group=part["group"].astype("category"), town=part["town"].astype("category"))
        for part in parts
    ]
    data = dd.from_map(lambda number: later[number], range(4), meta=later[0].iloc[:0])
    found = read_panel(
        "y ~ x + C(group, levels=['east', 'late', 'north', 'south'])",
        data,
        W,
        effects="none",
        **PANEL,
    )
    expected = read_panel(
        "y ~ x + C(group, levels=['east', 'late', 'north', 'south'])",
        frame,
        W,
        effects="none",
        **PANEL,
    )
    assert_same_panel(found, expected)
    plain = read_panel("y ~ x + group", data, W, effects="none", **PANEL)
    assert set(plain.names) == {
        "Intercept",
        "x",
        "group[T.late]",
        "group[T.north]",
        "group[T.south]",
    }


@pytest.mark.parametrize("formula", FORMULAS[:2])
def test_partitions_may_be_empty(formula, frame):
    number = pd.Series(np.arange(35) // 5)
    data = dd.from_map(lambda part: frame[number == part - 1], range(9), meta=frame.iloc[:0])
    expected = read_panel(formula, frame, W, effects="none", **PANEL)
    assert_same_panel(read_panel(formula, data, W, effects="none", **PANEL), expected)


@pytest.mark.parametrize("kind", ["file", "dask"])
def test_a_model_is_fitted_from_chunks(kind, frame, stored):
    a, b = (
        so.SDM("y ~ x + z", data, W, effects="unit", **PANEL).fit_ml()
        for data in (frame, stored(frame, kind))
    )
    pd.testing.assert_series_equal(a.params, b.params)


# --- refusals
# --------------------------------------------------------------------------------------------------


def changed(frame, column, value, rows):
    frame = frame.copy()
    frame.loc[frame.index[list(rows)], column] = value
    return frame


BAD = {
    "unbalanced": lambda f: f[(f["town"] != "åre") | (f["year"] < 2004)],
    "duplicated": lambda f: pd.concat([f, f.iloc[[5, 20]]]),
    "duplicated and short": lambda f: pd.concat([f.drop(index=3), f.iloc[[5]]]),
    "missing response": lambda f: changed(f, "y", np.nan, (3, 9, 30, 31)),
    "missing in two columns": lambda f: changed(
        changed(f, "x", np.nan, (0, 7)), "size", np.nan, (33,)
    ),
    "missing text": lambda f: changed(f, "group", None, (2, 34)),
    "missing unit": lambda f: changed(f, "town", None, (1, 30)),
    "missing period": lambda f: changed(f, "year", np.nan, (1, 30)),
    "infinite": lambda f: changed(f, "x", np.inf, (11, 12, 34, 2)),
    "a log of nothing": lambda f: changed(f, "size", 0.0, (11, 20)),
    "an unknown unit": lambda f: f.replace({"town": {"x5": "narvik"}}),
    "a unit missing": lambda f: f[f["town"] != "åre"],
    "units of another type": lambda f: f.assign(town=f["town"].map(IDS.index)),
    "dates as a regressor": lambda f: f.assign(x=pd.date_range("2020-01-01", periods=35)),
    "no column x": lambda f: f.drop(columns="x"),
    "no column town": lambda f: f.drop(columns="town"),
    "no rows": lambda f: f.iloc[:0],
}


@pytest.mark.parametrize("kind", ["file", "dask"])
@pytest.mark.parametrize("what", BAD)
def test_bad_data_are_refused_in_the_same_words(what, kind, frame, stored):
    bad = BAD[what](frame).reset_index(drop=True)
    messages = []
    for data in (bad, stored(bad, kind)):
        with pytest.raises(so.SpilloverError) as caught:
            so.SAR("y ~ x + np.log(size) + group", data, W, **PANEL)
        messages.append((type(caught.value), str(caught.value)))
    assert messages[0] == messages[1]


ALL_ROWS = {
    "y ~ center(x)": "center(x)",
    "y ~ z + scale(x)": "scale(x)",
    "scale(y) ~ x": "scale(y)",
    "y ~ poly(x, 2)": "poly(x, 2)",
    "y ~ bs(x, df=4)": "bs(x, df=4)",
    "y ~ cr(x, df=3)": "cr(x, df=3)",
    "y ~ lag(x)": "lag(x)",
    "y ~ x:center(z)": "center(z)",
    "y ~ np.log(size) + np.exp(center(x))": "center(x)",
    "y ~ diff(x)": "diff(x)",
    "y ~ center(`a column`)": "center(`a column`)",
    "y ~ C(x > 0)": "C(x > 0)",
    "y ~ C(code % 2)": "C(code % 2)",
    "y ~ C(np.where(x > 0, 'up', 'down'))": "C(np.where(x > 0, 'up', 'down'))",
    "y ~ {group + other}": "group + other",
}


@pytest.mark.parametrize("kind", ["file", "dask"])
@pytest.mark.parametrize("formula", ALL_ROWS)
def test_what_needs_all_rows_is_refused_by_name(formula, kind, frame, stored):
    frame = frame.assign(**{"a column": frame["x"], "other": frame["group"]})
    with pytest.raises(so.SpecificationError) as caught:
        so.SAR(formula, stored(frame, kind), W, **PANEL)
    assert all(
        word in str(caught.value)
        for word in (repr(ALL_ROWS[formula])[1:-1], "all rows", "as a column", "DataFrame")
    ), caught.value


def test_more_levels_than_a_thousand_are_refused(frame, stored, monkeypatch):
    monkeypatch.setattr(sources, "LEVELS", 3)
    with pytest.raises(
        so.DataError, match=r"'group' has more than 3 levels.*number stored as text"
    ):
        so.SAR("y ~ x + group", stored(frame, "file"), W, **PANEL)


def test_what_is_not_a_table_is_refused(frame, stored, tmp_path):
    text = tmp_path / "panel.txt"
    frame.to_csv(text)
    empty = tmp_path / "empty"
    empty.mkdir()
    for data, words in [
        (tmp_path / "none.parquet", "There is no file or folder"),
        (text, "data are read from .csv and .parquet files"),
        (str(empty), "holds no Parquet file"),
        (
            stored(frame, "dask")["y"],
            "a Dask Series; a pandas DataFrame, a Dask DataFrame or the path",
        ),
        (frame.to_numpy(), "an ndarray; a pandas DataFrame, a Dask DataFrame or the path"),
    ]:
        with pytest.raises(so.DataError, match=words):
            so.SAR("y ~ x", data, W, **PANEL)


def test_a_csv_file_gives_the_panel_that_its_frame_gives(frame, tmp_path):
    frame.to_csv(tmp_path / "panel.csv", index=False)
    for path in (tmp_path / "panel.csv", str(tmp_path / "panel.csv")):
        assert_same_panel(
            so.SAR("y ~ x + group", path, W, **PANEL).panel,
            so.SAR("y ~ x + group", frame, W, **PANEL).panel,
        )


def test_without_pyarrow_the_extra_is_named(frame, stored, monkeypatch):
    path = stored(frame, "file")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(so.DataError, match=r"pyarrow: pip install 'spillover\[parquet\]'"):
        so.SAR("y ~ x", path, W, **PANEL)


@pytest.mark.parametrize("shorter", ["first", "second"])
def test_a_table_that_changes_between_readings_is_refused(shorter, frame, monkeypatch):
    fewer = frame[frame["town"] != "x7"]
    ids, *readings = (IDS[:6], fewer, frame) if shorter == "first" else (IDS, frame, fewer)
    coming = iter(readings)
    source = replace(sources.open_source(frame), chunks=lambda columns, index: iter([next(coming)]))
    monkeypatch.setattr("spillover.engine.data.panel.open_source", lambda data: source)
    with pytest.raises(so.DataError, match="changed while they were read"):
        so.SAR("y ~ x", frame, W[ids], **PANEL)


@pytest.mark.parametrize("panel", [True, False])
def test_rows_that_move_between_readings_are_refused(panel, frame):
    """As after a shuffle, whose order Dask does not promise."""
    data = frame if panel else frame[frame["year"] == 2003].drop(columns="year").set_index("town")
    readings = iter(range(9))

    def partition(number):
        return data.iloc[number::2].sample(frac=1.0, random_state=next(readings))

    moving = dd.from_map(partition, range(2), meta=data.iloc[:0])
    with pytest.raises(so.DataError, match="another order the second time"):
        read_panel(
            "y ~ x",
            moving,
            W,
            effects="none",
            **(PANEL if panel else {"unit": None, "period": None}),
        )


@pytest.mark.parametrize("index", ["numbers", "two levels"])
def test_rows_of_many_files_without_labels_are_refused(index, frame, stored):
    towns = frame[frame["year"] == 2003].reset_index(drop=True)
    if index == "two levels":
        data = stored(towns.set_index(["year", "town"]), "file")
    else:
        data = stored(pd.concat([towns, towns]).reset_index(drop=True), "folder")
    with pytest.raises(
        so.DataError, match="no single column of labels as its index: say which column is unit="
    ):
        read_panel("y ~ x", data, W, unit=None, period=None, effects="none")
