"""Tables on the terminal."""

import io

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from spillover.engine.terminal.tables import draw_table, show_number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234.56, "1235"),
        (-1000.0, "-1000"),
        (999.96, "1000."),
        (1.0, "1.000"),
        (0.12345, "0.123"),
        (-1e-9, "-1e-09"),
        (0.0, "0"),
        (1970, "1970"),
        (np.int64(7), "7"),
        (np.nan, ""),
        (None, ""),
    ],
)
def test_numbers_are_short(value, text):
    assert show_number(value) == text


def test_labels_and_headings_are_text():
    """What stands in brackets is no style, and every level of the labels has a column."""
    index = pd.MultiIndex.from_tuples([("[bold]", "x")], names=["block", None])
    table = pd.DataFrame({"[red]": [0.5], 2: [1]}, index)
    file = io.StringIO()
    Console(file=file, width=60).print(draw_table(table, "Title"))
    lines = [line.split() for line in file.getvalue().splitlines()]
    assert ["Title"] in lines
    assert ["block", "[red]", "2"] in lines
    assert ["[bold]", "x", "0.5", "1"] in lines
