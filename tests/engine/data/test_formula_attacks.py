"""What got past the grammar or through it once: code in arguments, one name under two stand-ins,
columns written to, sizes.
"""

import os
import random
import time

import numpy as np
import pandas as pd
import pytest

import spillover as so
from spillover.engine.data.panel import read_panel
from spillover.engine.sweeps.sweep import sweep

RNG = np.random.default_rng(11)
IDS = list("abcdefgh")
W = so.Weights(np.roll(np.eye(8), 1, axis=1) + np.roll(np.eye(8), 3, axis=1), IDS)
NAMES = ["y", "x", "a b", "column0_", "column0_inside_", "ｘ", "µg", "class"]
ROWS = pd.DataFrame(RNG.normal(size=(8, len(NAMES))), index=IDS, columns=NAMES)
ROWS = ROWS.assign(z=RNG.uniform(1, 2, size=8), group=["north", "south"] * 4)
RUN = "np.f2py.os.system('touch made')"
WHOLE = (
    "poly",
    "center",
    "scale",
    "bs",
    "cc",
    "cr",
    "cs",
    "standardize",
    "Q",
    "hashed",
    "C",
    "I",
    "lag",
    "log",
    "diff",
)


def panel(formula, frame=ROWS, unit=None, period=None, **functions):
    return read_panel(
        formula, frame, W, unit=unit, period=period, effects="none", functions=functions or None
    )


PLACES = (
    "{} ~ x",
    "{} + y ~ x",
    "y ~ {}",
    "y ~ x - {}",
    "y ~ x:{}",
    "y ~ (x + {})",
    "y - {} ~ x",
    "~ {}",
    "{}",
    "y | {} ~ x",
    "y ~ x | {}",
)


@pytest.mark.parametrize("name", WHOLE)
def test_no_argument_runs_wherever_it_stands(name, tmp_path, monkeypatch):
    """formulaic evaluates the arguments of some functions as it reads, of the response and of terms
    taken out again too.
    """
    monkeypatch.chdir(tmp_path)
    taken, messages = [], []
    for place in PLACES:
        for call in (
            f"{name}({RUN})",
            f"{name}({RUN}, 2)",
            f"{name}(x, {RUN})",
            f"{name}(x, df={RUN})",
            f"log({name}({RUN}))",
        ):
            try:
                panel(place.format(call))
                taken.append(place.format(call))
            except so.SpilloverError as error:
                messages.append(str(error))
    assert taken == []
    assert [message for message in messages if "\n" in message or "\x1b" in message] == []
    assert os.listdir(tmp_path) == []


BY_HAND = {
    "`a b` + `a b`": {"a b": ROWS["a b"]},
    "`x` + x": {"x": ROWS["x"]},
    "`a b`*z - `a b`:z": {"a b": ROWS["a b"], "z": ROWS["z"]},
    "`a b`*z + `a b`": {"a b": ROWS["a b"], "z": ROWS["z"], "a b:z": ROWS["a b"] * ROWS["z"]},
    "(`a b` + x):z": {"a b:z": ROWS["a b"] * ROWS["z"], "x:z": ROWS["x"] * ROWS["z"]},
    "`a b` + column0_": {"a b": ROWS["a b"], "column0_": ROWS["column0_"]},
    "exp(`a b`) + column0_inside_": {
        "exp(`a b`)": np.exp(ROWS["a b"]),
        "column0_inside_": ROWS["column0_inside_"],
    },
    "exp(ｘ) + x": {"exp(`ｘ`)": np.exp(ROWS["ｘ"]), "x": ROWS["x"]},
    "exp(µg) + µg": {"exp(`µg`)": np.exp(ROWS["µg"]), "µg": ROWS["µg"]},
    "x - `a b` - exp(`a b`)": {"x": ROWS["x"]},
    "class + exp(`class`)": {"class": ROWS["class"], "exp(`class`)": np.exp(ROWS["class"])},
    "I(`x` + `a b`)": {"I(x + `a b`)": ROWS["x"] + ROWS["a b"]},
}


@pytest.mark.parametrize("text", BY_HAND)
def test_a_name_is_one_column_wherever_it_stands(text):
    found = panel(f"y ~ {text}")
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


def test_categories_that_make_more_columns_than_rows_are_refused_before_they_are_made():
    ids = list(range(200))
    wide = pd.DataFrame(RNG.normal(size=(200, 3)), columns=["y", "x", "a b"])
    weights = so.Weights(np.roll(np.eye(200), 1, axis=1), ids)
    start = time.perf_counter()
    with pytest.raises(
        so.DataError, match="makes 40000 columns, one for each level, of 200 rows: is it a number"
    ):
        read_panel("y ~ C(x):C(`a b`)", wide, weights, unit=None, period=None, effects="none")
    assert time.perf_counter() - start < 1


def test_comparisons_of_text_are_numbers():
    north = (ROWS["group"] == "north").to_numpy(float)
    for text in (
        "I((group == 'north') * x)",
        "np.where(group == 'north', x, 0)",
        "I(x * np.equal(group, 'north'))",
    ):
        np.testing.assert_allclose(panel(f"y ~ {text}").x[0, :, 1], north * ROWS["x"], rtol=1e-15)


# --- functions of one's own
# ----------------------------------------------------------------------------------------------


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


# --- lags
# --------------------------------------------------------------------------------------------------

YEARS = [2001, 2002, 2003, 2004, 2005]
LONG = pd.DataFrame(
    [(unit, year, *RNG.normal(size=2)) for unit in IDS for year in YEARS],
    columns=["town", "year", "y", "x"],
)
LONG = LONG.sample(frac=1, random_state=3, ignore_index=True)
PANEL = {"unit": "town", "period": "year"}
CLOCKS = {
    "text": str,
    "periods": lambda year: pd.Period(f"{year}-01", "M") + year % 2001,
    "whole": int,
    "floats": float,
}


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_period_that_all_units_lack_is_no_period_before(clock):
    frame = LONG.assign(year=[CLOCKS[clock](year) for year in LONG["year"]])
    gap = frame[LONG["year"] != 2003]
    with pytest.raises(so.DataError, match="one is missing: fill it in"):
        panel("y ~ lag(x)", gap, **PANEL)
    every = LONG.pivot_table("x", "year", "town")[IDS].to_numpy()
    if clock == "periods":
        return
    np.testing.assert_array_equal(panel("y ~ lag(x)", frame, **PANEL).x[:, :, 1], every[:-1])
    # every second year is even: the period before is two years before
    two = frame[LONG["year"].isin(YEARS[::2])]
    np.testing.assert_array_equal(panel("y ~ lag(x)", two, **PANEL).x[:, :, 1], every[[0, 2]])


@pytest.mark.parametrize(
    "text", ["center(lag(x))", "scale(lag(x))", "poly(lag(x), 2)", "bs(diff(x), df=4)"]
)
def test_functions_of_all_rows_take_no_lags(text):
    with pytest.raises(so.SpecificationError, match="needs all rows, and lags lack the first ones"):
        panel(f"y ~ {text}", LONG, **PANEL)


def test_controls_of_a_sweep_leave_the_same_periods():
    given = {"models": ["SAR"], "sampler": "ml", "progress": False, **PANEL}
    with pytest.raises(
        so.SpecificationError,
        match="controls 'none' and 'lag' use up 0 and 1 periods, and models of different data",
    ):
        sweep("y ~ x", LONG, {"w": W}, controls={"none": "", "lag": "lag(x)"}, **given)


# --- anything at all
# --------------------------------------------------------------------------------------------------

ATOMS = (
    *(
        "x",
        "z",
        "group",
        "`a b`",
        "`x`",
        "1",
        "0",
        "2",
        "1.5",
        "-1",
        "'n'",
        "np.pi",
        "np",
        "contr.sum",
        "None",
        "True",
    ),
    *(
        "contr.treatment('north')",
        "[1, 2]",
        "x.shift(1)",
        "x.__class__",
        RUN,
        "open('made', 'w')",
        "lambda: 1",
        ".",
        "10**9",
    ),
    *(
        "``",
        "levels=['north', 'south']",
        "df=4",
        "k=1",
        "out=x",
        "**x",
        "*x",
        "\n",
        "#",
        "ｏｐｅｎ",
        "{x + 1}",
    ),
)
CALLED = (
    *(
        "log",
        "np.log",
        "I",
        "C",
        "poly",
        "bs",
        "cr",
        "center",
        "scale",
        "lag",
        "diff",
        "np.where",
        "np.maximum",
        "np.clip",
    ),
    *(
        "np.round",
        "abs",
        "cc",
        "cs",
        "np.add",
        "np.load",
        "eval",
        "np.isnan",
        "np.power",
        "np.real",
    ),
)
BETWEEN = (
    "+",
    "-",
    "*",
    "/",
    ":",
    "**",
    "^",
    "~",
    "|",
    "&",
    "==",
    ">",
    "%",
    "//",
    ",",
    "!=",
    "@",
    "in",
    "if",
    "=",
    ":=",
)


def anything(draw: random.Random, depth: int) -> str:
    kind = draw.random()
    if depth == 0 or kind < 0.4:
        return draw.choice(ATOMS)
    if kind < 0.65:
        given = ", ".join(anything(draw, depth - 1) for _ in range(draw.choice((1, 1, 2, 3))))
        return f"{draw.choice(CALLED)}({given})"
    if kind < 0.95:
        return f"{anything(draw, depth - 1)} {draw.choice(BETWEEN)} {anything(draw, depth - 1)}"
    return f"({anything(draw, depth - 1)})"


@pytest.mark.verify
def test_anything_is_a_panel_or_a_refusal_on_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw, before, long, found = (
        random.Random(5),
        ROWS.copy(deep=True),
        [],
        {"panels": 0, "refusals": 0},
    )
    for _ in range(8_000):
        formula = f"y ~ {anything(draw, 4)}"
        start = time.perf_counter()
        try:
            panel(formula)
            found["panels"] += 1
        except so.SpilloverError as error:
            found["refusals"] += 1
            long += [formula] if "\n" in str(error) or "\x1b" in str(error) else []
        long += [formula] if time.perf_counter() - start > 2 else []
    assert long == []
    assert min(found.values()) > 100
    assert os.listdir(tmp_path) == []
    pd.testing.assert_frame_equal(ROWS, before)
