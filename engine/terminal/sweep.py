"""A sweep's tables and pictures as files."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
from rich.table import Table

from spillover.engine.storage.csv_text import csv_text
from spillover.engine.sweeps.chunk import EFFECTS
from spillover.engine.sweeps.results import Sweep
from spillover.engine.terminal.fit import framed

SHORT = {
    "significantly_negative": "sign. -",
    "significantly_positive": "sign. +",
    "probability_positive": "P(> 0)",
}


def tables(out: Sweep) -> dict[str, pd.DataFrame]:
    """What is published of a sweep: members, conclusions, failures, and the average where the
    members have posterior probabilities.
    """
    found = {
        "summary": out.to_frame(),
        "conclusions": out.conclusions(),
        "failures": out.failures.set_index("weights"),
    }
    if len(out.notes):
        found["notes"] = out.notes.set_index("weights")
    if np.isfinite(out.members).any():
        average = out.average().to_dataarray("impact")
        dims = [str(name) for name in average.dims if name != "statistic"]
        long = average.to_dataframe("value", dim_order=[*dims, "statistic"])["value"]
        found["average"] = long.unstack("statistic")[list(average["statistic"].to_numpy())]
    return found


def for_terminal(out: Sweep) -> Table:
    """The conclusions."""
    return framed(
        out.conclusions().rename(columns=SHORT),
        "How conclusions fare over the members (means; shares of members)",
    )


def write(out: Sweep, output: Path) -> list[Path]:
    """The tables as CSV, the pictures as PNG: heat maps, a forest for each term, posterior
    probabilities; returns what was written.
    """
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    output.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, table in tables(out).items():
        paths.append(output / f"{name}.csv")
        paths[-1].write_text(csv_text(table), encoding="utf-8")
    pictures: dict[str, tuple[str, str | None]] = {kind: (kind, None) for kind in EFFECTS}
    for i, term in enumerate(out.impacts["term"].to_numpy()):
        pictures[f"forest_{i + 1}_{re.sub(r'[^0-9A-Za-z]+', '_', str(term)).strip('_')}"] = (
            "forest",
            str(term),
        )
    if np.isfinite(out.members).any():
        pictures["probability"] = "probability", None
    for name, (kind, term) in pictures.items():
        figure = out.plot(kind, term=term)
        paths.append(output / f"{name}.png")
        figure.savefig(paths[-1], dpi=120, bbox_inches="tight")
        plt.close(figure)
    return paths
