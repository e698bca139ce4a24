"""Tables on the terminal."""

from typing import Any

import numpy as np
import pandas as pd
import rich.box
from rich.table import Table
from rich.text import Text


def draw_table(table: pd.DataFrame, title: str) -> Table:
    """A table as rich prints it: labels on the left, numbers to four digits on the right."""
    drawn = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=rich.box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for name in table.index.names:
        drawn.add_column(Text("" if name is None else str(name)), no_wrap=True)
    for column in table.columns:
        drawn.add_column(Text(str(column)), justify="right", no_wrap=True)
    for label, row in zip(table.index, table.itertuples(index=False, name=None), strict=True):
        labels = label if isinstance(label, tuple) else (label,)
        drawn.add_row(*(Text(str(part)) for part in labels), *map(show_number, row))
    return drawn


def show_number(value: Any) -> str:
    """A number to four digits where it is 1 or more, to three below; nothing where it is missing.

    >>> [show_number(value) for value in (12345.6, 12.3, 0.12345, 1970, float("nan"))]
    ['12346', '12.30', '0.123', '1970', '']
    """
    if pd.isna(value):
        return ""
    if isinstance(value, int | np.integer):
        return str(value)
    if abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{value:#.4g}" if abs(value) >= 1 else f"{value:.3g}"
