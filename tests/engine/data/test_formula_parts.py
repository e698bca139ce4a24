"""The columns of a formula: found, or refused by name."""

import formula_rows
import numpy as np
import pandas as pd
import pytest
from town_panel import W, assert_refused

import spillover as so

BAD_FORMULAS = {
    "unknown column": ("y ~ x + income", ["'income'", "y, x, z"]),
    "unknown response": ("income ~ x", ["'income'", "y, x, z"]),
    "unknown column inside a function": ("y ~ np.log(income)", ["'income'"]),
    "no response": ("~ x", ["no response", "y ~ x1 + x2"]),
    "regressors only": ("x + z", ["no response"]),
    "empty": ("", ["no response"]),
    "two responses": ("y + z ~ x", ["2 responses", "y, z"]),
    "a categorical response": ("group ~ x", ["3 responses", "numeric"]),
    "a response of two parts": ("y | z ~ x", ["|"]),
    "regressors of two parts": ("y ~ x | z", ["|"]),
    "not a formula": ("y ~ x +* z", ["cannot be read"]),
    "not text": (None, ["None"]),
    "the response among the regressors": ("y ~ x + y", ["'y'"]),
    "dates as a regressor": ("y ~ day", ["'day'"]),
    "complex numbers": ("y ~ wave", ["'wave'"]),
    "no regressor at all": ("y ~ 0", ["y ~ 0"]),
}


@pytest.mark.parametrize("what", BAD_FORMULAS)
def test_bad_formulas_are_refused_by_name(what, towns):
    formula, words = BAD_FORMULAS[what]
    towns = towns.assign(
        day=pd.date_range("2020-01-01", periods=6), wave=np.arange(6) * (1 + 2j) ** np.arange(6)
    )
    assert_refused(so.DataError, words, lambda: so.SAR(formula, towns, W))


def test_column_names_that_are_not_python_names_work_in_backticks(towns):
    towns = towns.assign(**{"per head": towns["x"], "gdp.real": towns["z"], "a:b": towns["size"]})
    for name in ("per head", "gdp.real", "a:b"):
        assert so.SAR(f"y ~ `{name}`", towns, W).design.terms == ("Intercept", name)


def test_a_column_may_be_called_as_a_function_is():
    frame = formula_rows.ROWS.assign(log=formula_rows.ROWS["z"], I=formula_rows.ROWS["x"])
    assert formula_rows.panel("y ~ log + exp(log) + `I`", frame).names == (
        "Intercept",
        "log",
        "exp(log)",
        "I",
    )
    with pytest.raises(
        so.DataError,
        match=r"'log' is a column and a function .* write np.log\(...\), or rename the column",
    ):
        formula_rows.panel("y ~ log(z)", frame)
