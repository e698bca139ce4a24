"""What a formula computes, held against NumPy."""

import numpy as np
import pytest
import town_panel
from formula_rows import ROWS, W, panel

import spillover as so

X, Z = ROWS["x"].to_numpy(), ROWS["z"].to_numpy()


NORTH = (ROWS["group"] == "north").to_numpy(float)


COLUMNS = {  # by NumPy, beside the labels that formulaic gives
    "log(z)": ("log(z)", np.log(Z)),
    "log1p(z)": ("log1p(z)", np.log1p(Z)),
    "log10(z)": ("log10(z)", np.log10(Z)),
    "exp(x)": ("exp(x)", np.exp(X)),
    "exp10(x)": ("exp10(x)", 10.0**X),
    "expm1(x)": ("expm1(x)", np.exp(X) - 1),
    "sqrt(z)": ("sqrt(z)", np.sqrt(Z)),
    "abs(x)": ("abs(x)", np.abs(X)),
    "np.log(z)": ("np.log(z)", np.log(Z)),
    "np.maximum(x, z)": ("np.maximum(x, z)", np.maximum(X, Z)),
    "np.clip(x, -1, 1)": ("np.clip(x, -1, 1)", np.clip(X, -1, 1)),
    "np.where(x > 0, x, 0)": ("np.where(x > 0, x, 0)", np.where(X > 0, X, 0)),
    "np.where(group == 'north', x, z)": (
        "np.where(group == 'north', x, z)",
        np.where(NORTH == 1, X, Z),
    ),
    "I(x ** 2)": ("I(x ** 2)", X**2),
    "I(x ** -1)": ("I(x ** (-1))", 1 / X),
    "I(np.pi * x / 2)": ("I(np.pi * x / 2)", np.pi * X / 2),
    "I(z ** x)": ("I(z ** x)", Z**X),
    "{x ** 2}": ("x ** 2", X**2),
    "x:z": ("x:z", X * Z),
    "`a b`": ("a b", ROWS["a b"].to_numpy()),
    "`gdp.real`": ("gdp.real", ROWS["gdp.real"].to_numpy()),
    "exp(`a b`)": ("exp(`a b`)", np.exp(ROWS["a b"].to_numpy())),
    "x:`it's`": ("x:it's", X * ROWS["it's"].to_numpy()),
    f"`{ROWS.columns[-1]}`": (ROWS.columns[-1], ROWS.iloc[:, -1].to_numpy()),
    "center(x)": ("center(x)", X - X.mean()),
    "scale(x)": ("scale(x)", (X - X.mean()) / X.std(ddof=1)),
    "poly(x, 1, raw=True)": ("poly(x, 1, raw=True)[0]", X),
    "C(group, contr.treatment('south'))": ("C(group, contr.treatment('south'))[T.north]", NORTH),
    "C(group, contr.sum)": ("C(group, contr.sum)[S.north]", 2 * NORTH - 1),
    "C(group, levels=['south', 'north'])": ("C(group, levels=['south', 'north'])[T.north]", NORTH),
}


@pytest.mark.parametrize("text", COLUMNS)
def test_every_term_is_what_numpy_gives(text):
    label, values = COLUMNS[text]
    found = panel(f"y ~ {text}")
    assert found.names == ("Intercept", label)
    np.testing.assert_allclose(found.x[0, :, 1], values, rtol=1e-14)


def test_what_a_formula_computes(frame):
    """Functions of NumPy, products, powers, no intercept: the columns are what the words say."""
    model = so.OLS(
        "np.exp(y) ~ 0 + np.log(size) + x:z + {x**2}", frame, town_panel.W, **town_panel.PANEL
    )
    assert model.design.terms == ("np.log(size)", "x ** 2", "x:z")
    by_hand = np.column_stack([np.log(frame["size"]), frame["x"] ** 2, frame["x"] * frame["z"]])
    np.testing.assert_allclose(model.design.columns.reshape(24, 3), by_hand, rtol=1e-15)
    np.testing.assert_allclose(model.panel.y.ravel(), np.exp(frame["y"]), rtol=1e-15)
    assert model.panel.response == "np.exp(y)"


def test_categorical_regressors_become_indicators(frame):
    """One column a level but the first; their lags are the shares of neighbours of that level, by
    weight.
    """
    model = so.SDM("y ~ x + group", frame, town_panel.W, **town_panel.PANEL)
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
    np.testing.assert_allclose(
        model.design.columns[:, :, 5], north @ town_panel.asymmetric(6).T, rtol=1e-14
    )
    booleans = so.OLS(
        "y ~ flag", frame.assign(flag=frame["group"] == "north"), town_panel.W, **town_panel.PANEL
    )
    np.testing.assert_array_equal(booleans.design.columns[:, :, -1], north)


def test_levels_do_not_depend_on_the_order_of_the_rows(frame):
    model, other = (
        so.OLS("y ~ group", data, town_panel.W, **town_panel.PANEL)
        for data in (frame, frame.iloc[::-1])
    )
    assert model.design.terms == other.design.terms
    np.testing.assert_array_equal(model.design.columns, other.design.columns)


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
    town_panel.assert_refused(
        so.DataError,
        [label, "not finite", row, "1 rows"],
        lambda: so.SAR(formula, towns, town_panel.W),
    )


def test_comparisons_of_text_are_numbers():
    north = (ROWS["group"] == "north").to_numpy(float)
    for text in (
        "I((group == 'north') * x)",
        "np.where(group == 'north', x, 0)",
        "I(x * np.equal(group, 'north'))",
    ):
        np.testing.assert_allclose(panel(f"y ~ {text}").x[0, :, 1], north * ROWS["x"], rtol=1e-15)


def test_functions_of_the_user():
    found = so.SAR(
        "y ~ half(x) + x:add(z, 2)",
        ROWS,
        W,
        formula_functions={"half": lambda x: x / 2, "add": lambda x, k: x + k},
    )
    assert found.panel.names == ("Intercept", "half(x)", "x:add(z, 2)")
    np.testing.assert_array_equal(found.panel.x[0, :, 1:], np.column_stack([X / 2, X * (Z + 2)]))


def test_a_fault_in_a_function_of_the_user_is_told():
    def fails(_):
        raise KeyError("a fault of mine")

    with pytest.raises(so.DataError, match="a fault of mine"):
        so.SAR("y ~ f(x)", ROWS, W, formula_functions={"f": fails})
    with pytest.raises(so.DataError, match="Complex numbers"):
        so.SAR("y ~ f(x)", ROWS, W, formula_functions={"f": lambda x: x + 0j})


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.sum(),
        lambda x: x[:3],
        lambda x: np.outer(x, x),
        lambda x: None,
        lambda x: ["a"] * 8,
        lambda x: print,
    ],
)
def test_a_function_gives_one_number_for_each_row(function):
    with pytest.raises(
        so.DataError, match=r"'f' of formula_functions gave .* one number for each of 8 rows"
    ):
        panel("y ~ f(x)", f=function)


def test_a_function_that_writes_to_its_argument_leaves_the_column():
    def spoils(x):
        x[:] = 0.0
        return x + np.arange(8)

    found = panel("y ~ f(x) + x", f=spoils).x[0]
    np.testing.assert_array_equal(found[:, 1:], np.column_stack([np.arange(8.0), ROWS["x"]]))
