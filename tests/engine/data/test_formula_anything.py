"""Any text whatever is a panel or a refusal on one line."""

import os
import random
import time

import pandas as pd
import pytest
from formula_rows import ROWS, RUN, panel

import spillover as so

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
