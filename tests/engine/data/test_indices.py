"""entropy_index: the definition on tables, its invariances, the dimensions, what it refuses."""

import numpy as np
import pandas as pd
import pytest
from oracles.entropy import composite

import spillover as so

POSITIVE, NEGATIVE = ["income", "beds"], ["smoke", "ratio", "jobless"]
DIMENSIONS = {"wealth": ["ratio", "income"], "health": ["beds", "smoke"], "work": ["jobless"]}


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    table = pd.DataFrame(
        rng.lognormal(size=(18, 5)), columns=["income", "smoke", "beds", "ratio", "jobless"]
    )
    table["beds"] = rng.integers(0, 4, 18)
    # labels come twice, as in a panel
    return table.assign(town=list("abcdefghi") * 2).set_index("town")


def test_it_is_the_definition_on_the_pooled_rows(frame):
    names = POSITIVE + NEGATIVE
    found = so.entropy_index(frame, positive=POSITIVE, negative=NEGATIVE)
    values, entropies, weights = composite(
        [frame[name].tolist() for name in names], [False, False, True, True, True]
    )
    assert found.table.index.tolist() == names
    assert found.table["direction"].tolist() == ["positive"] * 2 + ["negative"] * 3
    np.testing.assert_allclose(found.table["entropy"], entropies, rtol=1e-12)
    np.testing.assert_allclose(found.table["divergence"], 1 - np.array(entropies), rtol=1e-10)
    np.testing.assert_allclose(found.table["weight"], weights, rtol=1e-10)
    np.testing.assert_array_equal(found.table["minimum"], frame[names].min())
    np.testing.assert_array_equal(found.table["maximum"], frame[names].max())
    pd.testing.assert_series_equal(
        found.index, pd.Series(values, frame.index, name="index"), rtol=1e-10
    )
    assert "dimension" not in found.table
    assert found.dimensions.shape == (0, 1)
    assert found.scores.shape == (18, 0)
    assert found.table.to_string() in repr(found)


def test_units_of_measurement_do_not_matter(frame):
    scaled = frame * [1e3, 1e-4, 7.0, 100.0, 0.5] + [0.0, 2.0, -3.0, 10.0, 0.1]
    one, other = (
        so.entropy_index(table, positive=POSITIVE, negative=NEGATIVE) for table in (frame, scaled)
    )
    np.testing.assert_allclose(other.table["weight"], one.table["weight"], rtol=1e-9)
    np.testing.assert_allclose(other.index, one.index, rtol=1e-9, atol=1e-12)


def test_a_negative_indicator_is_its_negation_as_a_positive_one(frame):
    one = so.entropy_index(frame, positive=POSITIVE, negative=NEGATIVE)
    other = so.entropy_index(
        frame.assign(**{name: -frame[name] for name in NEGATIVE}), positive=POSITIVE + NEGATIVE
    )
    np.testing.assert_allclose(other.index, one.index, rtol=1e-12, atol=1e-15)
    turned = so.entropy_index(frame, positive=NEGATIVE, negative=POSITIVE)
    assert not np.allclose(turned.table["weight"], one.table["weight"].loc[turned.table.index])


def test_rows_and_indicators_in_any_order(frame):
    one = so.entropy_index(frame, positive=POSITIVE, negative=NEGATIVE)
    order = np.random.default_rng(0).permutation(len(frame))
    other = so.entropy_index(frame.iloc[order], positive=POSITIVE[::-1], negative=NEGATIVE[::-1])
    np.testing.assert_allclose(other.index, one.index.iloc[order], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(
        other.table["weight"].loc[one.table.index], one.table["weight"], rtol=1e-12
    )


def test_a_list_of_any_kind_and_numbers_of_any_kind(frame):
    one = so.entropy_index(frame, positive=POSITIVE, negative=NEGATIVE)
    typed = frame.astype({"beds": "Int64", "income": "Float64"})
    other = so.entropy_index(typed, positive=iter(POSITIVE), negative=pd.Index(NEGATIVE))
    pd.testing.assert_series_equal(one.index, other.index)


def test_dimensions_add_up(frame):
    found = so.entropy_index(frame, positive=POSITIVE, negative=NEGATIVE, dimensions=DIMENSIONS)
    plain = so.entropy_index(frame, positive=POSITIVE, negative=NEGATIVE)
    pd.testing.assert_series_equal(found.index, plain.index)
    assert found.table["dimension"].to_dict() == {
        name: home for home, names in DIMENSIONS.items() for name in names
    }
    assert found.dimensions.index.tolist() == found.scores.columns.tolist() == list(DIMENSIONS)
    for name, members in DIMENSIONS.items():
        assert found.dimensions.loc[name, "weight"] == pytest.approx(
            plain.table.loc[members, "weight"].sum(), rel=1e-14
        )
        assert 0 <= found.scores[name].min() < found.scores[name].max() <= 1 + 1e-15
    np.testing.assert_allclose(
        found.scores @ found.dimensions["weight"], found.index, rtol=1e-13, atol=1e-15
    )
    alone = so.entropy_index(frame, negative=["jobless"])
    np.testing.assert_allclose(found.scores["work"], alone.index, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("value", [0, 0.3])
def test_a_constant_indicator_is_named_and_weighs_nothing(value, frame):
    dimensions = {"rest": POSITIVE, "none": ["flat"]}
    with pytest.warns(so.SpilloverWarning, match="weight 0: 'flat'") as caught:
        found = so.entropy_index(
            frame.assign(flat=value), positive=POSITIVE, negative=["flat"], dimensions=dimensions
        )
    assert caught[0].filename == __file__
    assert found.table.loc["flat", ["entropy", "divergence", "weight"]].tolist() == [1.0, 0.0, 0.0]
    pd.testing.assert_series_equal(found.index, so.entropy_index(frame, positive=POSITIVE).index)
    assert found.dimensions.loc["none", "weight"] == 0.0
    assert (found.scores["none"] == 0).all()


def with_cell(frame, column, value):
    values = frame[column].astype(float).to_numpy(copy=True)
    values[5] = value
    return frame.assign(**{column: values})


REFUSED = {
    "nothing": (lambda f: f, {}, "no indicator"),
    "no such column": (
        lambda f: f,
        {"positive": ["income", "incomes"]},
        "no column 'incomes'; the data have income, smoke",
    ),
    "no table": (
        lambda f: f.to_numpy(),
        {"positive": ["income"]},
        "ndarray: give a pandas DataFrame",
    ),
    "text for a list": (
        lambda f: f,
        {"negative": "smoke"},
        r"negative= is the text 'smoke': give a list",
    ),
    "twice": (
        lambda f: f,
        {"positive": ["income", "beds", "income"]},
        "positive= lists 'income' more than once",
    ),
    "both ways": (
        lambda f: f,
        {"positive": POSITIVE, "negative": ["smoke", "beds"]},
        "'beds' cannot be both",
    ),
    "missing": (
        lambda f: with_cell(f, "beds", np.nan),
        {"positive": POSITIVE},
        r"'beds' is missing in 1 rows \('f'\)",
    ),
    "infinite": (
        lambda f: with_cell(f, "beds", -np.inf),
        {"positive": POSITIVE},
        r"'beds' is infinite in 1 rows \('f'\)",
    ),
    "text": (
        lambda f: f.assign(beds="many"),
        {"positive": POSITIVE},
        r"not a column of numbers: 'beds' \((str|object)\)",
    ),
    "truth values": (
        lambda f: f.assign(beds=f["beds"] > 1),
        {"positive": POSITIVE},
        r"'beds' \(bool\)",
    ),
    "two columns of a name": (
        lambda f: pd.concat([f, f[["beds"]]], axis=1),
        {"positive": POSITIVE},
        "one column is called 'beds'",
    ),
    "one row": (lambda f: f.iloc[:1], {"positive": POSITIVE}, "1 observations"),
    "no rows": (lambda f: f.iloc[:0], {"positive": POSITIVE}, "0 observations"),
    "all constant": (
        lambda f: f.assign(income=1.0, beds=0),
        {"positive": POSITIVE},
        r"'income', 'beds'\), so none",
    ),
    "left out": (
        lambda f: f,
        {"positive": POSITIVE, "dimensions": {"wealth": ["income"]}},
        "'beds' belong to no dimension",
    ),
    "shared": (
        lambda f: f,
        {"positive": POSITIVE, "dimensions": {"a": POSITIVE, "b": ["beds"]}},
        "'beds' is in the dimensions 'a' and 'b'",
    ),
    "no indicator": (
        lambda f: f,
        {"positive": ["beds"], "dimensions": {"a": ["beds", "smoke"]}},
        "'smoke' in the dimension 'a' is no",
    ),
    "empty": (
        lambda f: f,
        {"positive": ["beds"], "dimensions": {"a": ["beds"], "b": []}},
        "'b' has no indicator",
    ),
    "text for a dimension": (
        lambda f: f,
        {"positive": ["beds"], "dimensions": {"a": "beds"}},
        "the text 'beds'",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_weighed_is_refused_by_name(what, frame):
    change, arguments, words = REFUSED[what]
    with pytest.raises(so.DataError, match=f"(?i){words}"):
        so.entropy_index(change(frame), **arguments)
