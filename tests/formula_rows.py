"""Rows that formulas are worked out on, and the panel that comes of them."""

import numpy as np
import pandas as pd

import spillover as so
from spillover.engine.data.panel import read_panel

RNG = np.random.default_rng(7)


IDS = list("abcdefgh")


W = so.Weights(np.roll(np.eye(8), 1, axis=1) + np.roll(np.eye(8), 3, axis=1), IDS)


ROWS = pd.DataFrame(
    {
        "y": RNG.normal(size=8),
        "x": RNG.normal(size=8),
        "z": RNG.uniform(1, 2, size=8),
        "group": ["north", "south"] * 4,
        "a b": RNG.normal(size=8),
        "gdp.real": RNG.normal(size=8),
        "it's": RNG.normal(size=8),
        "__import__('os').system('touch made')": RNG.normal(size=8),
    },
    index=IDS,
)


RUN = "np.f2py.os.system('touch made')"


YEARS = [2001, 2002, 2003, 2004, 2005]


LONG = pd.DataFrame(
    [(unit, year, *RNG.normal(size=2)) for unit in IDS for year in YEARS],
    columns=["town", "year", "y", "x"],
)


SHUFFLED = LONG.sample(frac=1, random_state=3, ignore_index=True)


def panel(formula, frame=ROWS, weights=W, unit=None, period=None, **functions):
    return read_panel(
        formula,
        frame,
        weights,
        unit=unit,
        period=period,
        effects="none",
        functions=functions or None,
    )
