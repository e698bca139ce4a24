"""A sweep's tables and pictures as files, and its conclusions on the terminal."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from rich.table import Table

from spillover.engine.storage.csv_text import csv_text
from spillover.engine.sweeps.chunk import EFFECTS
from spillover.engine.sweeps.results import Sweep
from spillover.engine.terminal.tables import draw_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHORT = {  # headings of the conclusions that are too long for a terminal
    "significantly_negative": "sign. -",
    "significantly_positive": "sign. +",
    "probability_positive": "P(> 0)",
}


def make_tables(sweep: Sweep) -> dict[str, pd.DataFrame]:
    """The tables of a sweep: members, conclusions, failures, and notes where there are any.

    Where members have posterior probabilities, also the average over the members.
    """
    tables = {
        "summary": sweep.to_frame(),
        "conclusions": sweep.conclusions(),
        "failures": sweep.failures.set_index("weights"),
    }
    if len(sweep.notes):
        tables["notes"] = sweep.notes.set_index("weights")
    if np.isfinite(sweep.members).any():
        average = sweep.average().to_dataarray("impact")
        dims = [str(name) for name in average.dims if name != "statistic"]
        long = average.to_dataframe("value", dim_order=[*dims, "statistic"])["value"]
        tables["average"] = long.unstack("statistic")[list(average["statistic"].to_numpy())]
    return tables


def draw_conclusions(sweep: Sweep) -> Table:
    """The conclusions, cut to the width of a terminal."""
    return draw_table(
        sweep.conclusions().rename(columns=SHORT),
        "How conclusions fare over the members (means; shares of members)",
    )


def write_files(sweep: Sweep, folder: Path) -> list[Path]:
    """Write the tables (CSV) and the pictures (PNG); return their paths."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, table in make_tables(sweep).items():
        paths.append(folder / f"{name}.csv")
        paths[-1].write_text(csv_text(table), encoding="utf-8")
    for name, (kind, term) in _list_pictures(sweep).items():
        figure: Figure = sweep.plot(kind, term=term)
        paths.append(folder / f"{name}.png")
        figure.savefig(paths[-1], dpi=120, bbox_inches="tight")
        plt.close(figure)
    return paths


def _list_pictures(sweep: Sweep) -> dict[str, tuple[str, str | None]]:
    """The kind and the term of every picture, by the name of its file.

    A heat map for each kind of impact, a forest for each term, and the posterior probabilities
    where there are any.
    """
    pictures: dict[str, tuple[str, str | None]] = {kind: (kind, None) for kind in EFFECTS}
    for i, term in enumerate(map(str, sweep.impacts["term"].to_numpy()), 1):
        # the number tells apart terms that differ only in characters that the label drops
        label = re.sub(r"[^0-9A-Za-z]+", "_", term).strip("_")
        pictures[f"forest_{i}_{label}"] = ("forest", term)
    if np.isfinite(sweep.members).any():
        pictures["probability"] = ("probability", None)
    return pictures
