"""The text of a formula: its size is bounded, and one name is one column."""

import time

import numpy as np
import pandas as pd
import pytest
from formula_rows import ROWS, panel

import spillover as so

LARGE = {
    "x ** 9**9**9": "power follows a power",
    "I(9**9**9 * x)": "nothing that a formula may hold",
    "I(x**9**9**9)": "nothing that a formula may hold",
    "I(x**65)": "between -64 and 64",
    "(x + z)**30": "more than 5000 terms",
    "(x + z)**9999999999": "whole number from 1 to 50",
    "(((x + z)**9)**9)**9": "more than 5000 terms",
    "*".join(f"I(x + {i})" for i in range(30)): "more than 5000 terms",
    "/".join(["(x + z + group)"] * 4) + "".join([":(x + z + group)"] * 9): "more than 5000 terms",
    "(" * 3000 + "x" + ")" * 3000: "more than 40 brackets",
    "I" + "(" * 3000 + "x" + ")" * 3000: "more than 40 brackets",
    "I(" + "-" * 9000 + "x)": "cannot be read|nothing that a formula",
    "x + " * 9000 + "x": "20000 are allowed",
    "poly(x, 1000000000)": "50 is the most",
    "poly(x, degree=1000000000)": "50 is the most",
    "bs(x, df=1000000000)": "50 is the most",
    "I(x * 99999999999999999999)": "too large a number",
    "~" * 500 + "x": "cannot be read|nothing that",
    ")x(": "more brackets close",
    "(x": "does not close",
}


@pytest.mark.parametrize("text", LARGE, ids=lambda text: text[:20])
def test_large_formulas_are_refused_before_they_are_worked_out(text):
    with pytest.raises(so.SpilloverError, match=LARGE[text]):
        panel(f"y ~ {text}")


@pytest.mark.parametrize("formula", [5, None, b"y ~ x", ["y ~ x"], {"y": "x"}])
def test_a_formula_is_text(formula):
    with pytest.raises(so.DataError, match="write it as text"):
        panel(formula)


NAMES = ["a b", "column0_", "column0_inside_", "ｘ", "µg", "class"]
NAMED = ROWS.assign(**dict(zip(NAMES, np.random.default_rng(11).normal(size=(6, 8)), strict=True)))
BY_HAND = {
    "`a b` + `a b`": {"a b": NAMED["a b"]},
    "`x` + x": {"x": NAMED["x"]},
    "`a b`*z - `a b`:z": {"a b": NAMED["a b"], "z": NAMED["z"]},
    "`a b`*z + `a b`": {"a b": NAMED["a b"], "z": NAMED["z"], "a b:z": NAMED["a b"] * NAMED["z"]},
    "(`a b` + x):z": {"a b:z": NAMED["a b"] * NAMED["z"], "x:z": NAMED["x"] * NAMED["z"]},
    "`a b` + column0_": {"a b": NAMED["a b"], "column0_": NAMED["column0_"]},
    "exp(`a b`) + column0_inside_": {
        "exp(`a b`)": np.exp(NAMED["a b"]),
        "column0_inside_": NAMED["column0_inside_"],
    },
    "exp(ｘ) + x": {"exp(`ｘ`)": np.exp(NAMED["ｘ"]), "x": NAMED["x"]},
    "exp(µg) + µg": {"exp(`µg`)": np.exp(NAMED["µg"]), "µg": NAMED["µg"]},
    "x - `a b` - exp(`a b`)": {"x": NAMED["x"]},
    "class + exp(`class`)": {"class": NAMED["class"], "exp(`class`)": np.exp(NAMED["class"])},
    "I(`x` + `a b`)": {"I(x + `a b`)": NAMED["x"] + NAMED["a b"]},
}


@pytest.mark.parametrize("text", BY_HAND)
def test_a_name_is_one_column_wherever_it_stands(text):
    found = panel(f"y ~ {text}", NAMED)
    assert found.names == ("Intercept", *BY_HAND[text])
    np.testing.assert_allclose(
        found.x[0, :, 1:], np.column_stack(list(BY_HAND[text].values())), rtol=1e-14
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("np.log(z, x)", "np.log takes 1 argument"),
        ("np.maximum(x, z, x)", "np.maximum takes 2 arguments"),
        ("np.clip(x, 0, 1, z)", "np.clip takes 1 to 3"),
        ("np.where(x > 0)", "np.where takes 3"),
        ("np.add(x)", "np.add takes 2"),
        ("log(x, z)", "log takes 1"),
        ("diff(x, 2)", "diff takes 1"),
        ("np.round(x, 1000000000)", "50 is the most"),
        ("np.around(x, decimals=1000000000)", "50 is the most"),
        ("poly(x, -1000000000)", "50 is the most"),
        ("bs(x, knots=[" + "1," * 60 + "1])", "A list of 61"),
        ("I(group * 1000000000)", "'group' holds text"),
        ("np.multiply(group, 1000000000)", "'group' holds text"),
        ("I((group + group) * 9)", "'group' holds text"),
        ("I(-np.where(x > 0, group, group))", "'group' holds text"),
        ("log(group)", "'group' holds text"),
        ("C(group, levels=['south'])", "levels= of C.* leaves out values"),
        ("'\x1b[31m'", r"'\\x1b"),
        ("I(x ** None)", "an exponent lies between"),
        ("`x``z`", "an operator beside `x` is missing"),
        ("x`z`", "an operator beside `z` is missing"),
        ("`log`(z)", "`log` is a column, and no function"),
        ("I(`log`(z))", "`log` is a column, and no function"),
        ("*".join(f"C(x > {i})" for i in range(12)), "too many factors"),
        ("/".join(f"I(x + {i})" for i in range(1500)), "too many factors"),
        (":".join(f"I(x + {i})" for i in range(1500)), "too many factors"),
        ("I(" + " + ".join("x" * 210) + ")", "more than 200 levels"),
        ("I(group == 'north)')", "cannot be read"),
    ],
)
def test_what_would_write_repeat_or_hang_is_refused(text, words):
    before, start = ROWS.copy(deep=True), time.perf_counter()
    with pytest.raises(so.SpilloverError, match=words) as caught:
        panel(f"y ~ {text}")
    assert time.perf_counter() - start < 1
    assert len(str(caught.value)) < 1000
    pd.testing.assert_frame_equal(ROWS, before)
