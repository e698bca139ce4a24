"""Tables of a report: what numbers look like, how labels are grouped, and what LaTeX prints."""

import re

import numpy as np
import pandas as pd
import pytest

from spillover.engine.reporting.formatting import (
    escape_latex,
    make_body,
    make_head,
    show_value,
    to_latex,
)

EVIL = "<script>alert('&amp;\"')</script>"
SPECIAL = r"& % _ # $ { } ~ ^ \ [1] * < > | ρ − –"
# What may stand in LaTeX for plain text, and the text it prints
PRINTED = {rf"\{sign}": sign for sign in "&%_#${}"} | {
    r"\textbackslash{}": "\\",
    r"\textasciitilde{}": "~",
    r"\textasciicircum{}": "^",
    r"\textless{}": "<",
    r"\textgreater{}": ">",
    r"\textbar{}": "|",
    r"$\rho$": "ρ",
    "$-$": "−",
    "--": "–",
    "{[}": "[",
    "{*}": "*",
}
TOKEN = re.compile("|".join(map(re.escape, PRINTED)) + r"|[^\\{}&%$#_~^\[*<>|]")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123449, "0.1234"),
        (-12.3456, "−12.35"),
        (123456.7, "123457"),
        (9.99996, "10.00"),
        (0.99996, "1.000"),
        (0.5, "0.5"),
        (31.0, "31"),
        (0.0, "0"),
        (-0.0, "0"),
        (1 / 3000, "0.0003333"),
        (3.2123e-8, "3.2e-08"),
        (-1e-5, "−1e-05"),
        (123456789.0123, "1.235e+08"),
        (np.float32(0.1), "0.1000"),
        (np.inf, "∞"),
        (-np.inf, "−∞"),
        (1970, "1970"),
        (-(10**20), "−100000000000000000000"),
        (np.int8(-3), "−3"),
        (True, "yes"),
        (np.False_, "no"),
        (np.nan, "–"),
        (None, "–"),
        (pd.NA, "–"),
        (pd.NaT, "–"),
        ("-1", "-1"),
        ((1, 2), "(1, 2)"),
    ],
)
def test_numbers_are_shown_to_four_digits(value, text):
    assert show_value(value) == text


def test_numbers_shown_are_near_those_meant():
    rng = np.random.default_rng(2)
    for value in rng.normal(size=2000) * 10.0 ** rng.integers(-12, 12, 2000):
        digits = 0.051 if abs(value) < 1e-4 else 0.00051
        assert float(show_value(value).replace("−", "-")) == pytest.approx(value, rel=digits)


def test_names_of_index_and_columns_stand_over_their_labels(frames):
    assert [
        [(cell.text, cell.columns) for cell in row] for row in make_head(frames["grouped"])
    ] == [
        [("variable", 2), ("x", 2), (EVIL, 2)],
        [("model", 1), ("impact", 1), ("1970", 1), ("1971", 1), ("1970", 1), ("1971", 1)],
    ]
    assert [[cell.text for cell in row] for row in make_head(frames["named"])] == [
        ["year", "1", "2"],
        ["unit", ""],
    ]
    assert [[cell.kind for cell in row] for row in make_head(frames["single"])] == [
        ["blank", "column", "column", "column"]
    ]


def test_labels_that_go_on_are_one_cell_within_their_group_only(frames):
    rows = make_body(frames["deep"])
    assert [[(cell.text, cell.rows) for cell in row if cell.kind == "row"] for row in rows] == [
        [("a", 3), ("1", 2), ("p", 1)],
        [("q", 1)],
        [("2", 1), ("q", 1)],
        [("b", 2), ("2", 2), ("q", 1)],
        [("q", 1)],
    ]


def test_columns_of_numbers_are_aligned_on_the_right(frames):
    first = make_body(frames["mixed"])[0]
    assert [cell.right for cell in first] == [False, True, True, False, False]
    assert [cell.right for cell in make_head(frames["mixed"])[0]] == [
        False,
        True,
        True,
        False,
        False,
    ]


def printed(latex):
    """The text that LaTeX prints; fails on anything it would take for a command."""
    tokens = TOKEN.findall(latex)
    assert "".join(tokens) == latex, latex
    return "".join(PRINTED.get(token, token) for token in tokens)


@pytest.mark.parametrize("text", [SPECIAL, EVIL, r"\input{/etc/passwd}", "$x_1^2$", "a\n\nb"])
def test_latex_prints_special_characters(text):
    assert printed(escape_latex(text)) == " ".join(text.split())


def bare_braces(latex):
    """Depth of the braces that group, after each of them."""
    signs = re.findall(r"\\.|[{}]", latex, re.DOTALL)
    return np.cumsum([{"{": 1, "}": -1}.get(sign, 0) for sign in signs])


def test_latex_of_a_table_with_special_characters_everywhere():
    index = pd.MultiIndex.from_product([[SPECIAL, "b"], ["*", "[2]"]], names=[SPECIAL, "y"])
    columns = pd.MultiIndex.from_product([[SPECIAL, "&"], ["#", "_"]], names=[SPECIAL, None])
    frame = pd.DataFrame([[SPECIAL, -0.5, np.nan, True]] * 4, index, columns)
    latex = to_latex(frame, caption=SPECIAL, label="tab:t", note=SPECIAL)
    depth = bare_braces(latex)
    assert depth.min() >= 0
    assert depth[-1] == 0
    lines = latex.splitlines()
    assert lines[4] == r"\begin{tabular}{lllrll}"
    rows = [line.removesuffix(r" \\") for line in lines if line.endswith(r" \\")]
    assert len(rows) == 3 + 4
    for row in rows:
        cells = re.split(r"(?<!\\)&", row)
        assert (
            sum(int((re.match(r" ?\\multicolumn\{(\d)", cell) or [0, 1])[1]) for cell in cells) == 6
        )
    assert [printed(cell.strip()) for cell in re.split(r"(?<!\\)&", rows[4])] == [
        "",
        "[2]",
        SPECIAL,
        "−0.5",
        "–",
        "yes",
    ]
    assert printed(lines[2].removeprefix(r"\caption{").removesuffix("}")) == SPECIAL
    assert rows[0].count(r"\multicolumn{2}{c}") == 2
