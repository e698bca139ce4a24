"""The plan of a formula: what its columns become before anything is worked out."""

import formula_rows
import numpy as np
import pandas as pd
import pytest
from number_rows import TOWNS, WHOLE, expect_refusal, panel

from spillover.engine.sweeps.plan import SweepPlan, compute_digest, read_plan

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
        expect_refusal(lambda: panel(f"y ~ {formula}", x=given, b=given), "stored as objects")
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
        expect_refusal(
            lambda formula=formula: panel(formula, x=pd.array([None, *x[1:]], "Int64")),
            "'x' has missing values in 1 rows (3)",
        )
        expect_refusal(
            lambda formula=formula: panel(formula, x=list(map(str, x))), "Column 'x'", "text"
        )
    assert panel("y ~ poly(`a b`, 2)", **{"a b": x}).names == (
        "Intercept",
        "poly(`a b`, 2)[1]",
        "poly(`a b`, 2)[2]",
    )


def test_what_no_response_or_regressor_is():
    expect_refusal(
        lambda: panel("up ~ z", up=TOWNS["y"] > 3),
        "'up' is true or false",
        "frame['up'].astype(float)",
    )
    expect_refusal(
        lambda: panel("up ~ z", up=pd.array(TOWNS["y"] > 3, dtype="boolean")),
        "'up' is true or false",
    )
    expect_refusal(lambda: panel("word ~ z", word=["one"] * 6), "'word[one]'", "numeric response")
    expect_refusal(
        lambda: panel(x=pd.period_range("2020", periods=6, freq="M")), "Column 'x' holds period"
    )
    expect_refusal(
        lambda: panel(x=pd.date_range("2020", periods=6, tz="Asia/Shanghai")),
        "Column 'x' holds datetime64",
        "Shanghai",
    )
    unused = pd.Categorical(list("aabbab"), list("cab"))
    for formula in ("y ~ x", "y ~ C(x)"):
        expect_refusal(
            lambda formula=formula: panel(formula, x=unused),
            "no row has: 'c'",
            "remove_unused_categories()",
        )
    missing = pd.array([1, None, 3, 4, 5, 6], dtype="Int64")
    expect_refusal(lambda: panel(x=missing), "'x' has missing values in 1 rows (1)")


def test_a_sweep_takes_functions_of_the_user():
    plan = SweepPlan("y ~ f(x)", {"w": formula_rows.W}, ("SAR",), ("none",), "town", None)
    frame = formula_rows.ROWS.reset_index(names="town")
    one, other = (
        read_plan(plan, frame, {"f": lambda x, power=power: x**power}) for power in (1, 3)
    )
    assert next(iter(one.panels.values())).names == ("Intercept", "f(x)")
    assert compute_digest(one, {}) != compute_digest(other, {})  # by which a store knows its sweep
