"""One fit from model to files: both estimates, their tables, their pictures."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rich.box
from rich.table import Table
from rich.text import Text

from spillover.engine.estimation.compare import compare
from spillover.engine.estimation.ml import MLFit
from spillover.engine.estimation.model import Model
from spillover.engine.estimation.results import Fit
from spillover.engine.storage.csv_text import csv_text
from spillover.engine.whole import arviz
from spillover.kernels.errors import ConvergenceError

PICTURES = ("impacts", "trace", "prior_posterior")


def estimate(model: Model, sampler: dict[str, Any]) -> tuple[Fit, MLFit | ConvergenceError]:
    """The posterior by NUTS and the maximum-likelihood estimates, or why there are none."""
    fit = model.fit(**sampler)
    try:
        return fit, model.fit_ml()
    except ConvergenceError as error:
        return fit, error


def tables(fit: Fit, ml: MLFit | ConvergenceError) -> dict[str, pd.DataFrame]:
    """What is published of a fit: coefficients, impacts, and the comparison of Bayes and maximum
    likelihood.
    """
    fits: dict[str, Fit | MLFit] = (
        {"Bayes": fit, "ML": ml} if isinstance(ml, MLFit) else {"Bayes": fit}
    )
    impacts = arviz("stats").summary(fit.impacts(), round_to="none")
    return {"coefficients": fit.summary(), "impacts": impacts, "comparison": compare(fits)}


def write(fit: Fit, frames: dict[str, pd.DataFrame], output: Path) -> list[Path]:
    """The posterior as NetCDF, the tables as CSV, the figures as PNG; returns what was written."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    from spillover.engine.estimation import plots

    output.mkdir(parents=True, exist_ok=True)
    fit.save(output / "posterior.nc")
    for name, table in frames.items():
        (output / f"{name}.csv").write_text(csv_text(table), encoding="utf-8")
    for name in PICTURES:
        figure = getattr(plots, name)(fit)
        figure.savefig(output / f"{name}.png", dpi=120, bbox_inches="tight")
        plt.close(figure)
    return [
        output / "posterior.nc",
        *(output / f"{name}.csv" for name in frames),
        *(output / f"{name}.png" for name in PICTURES),
    ]


def for_terminal(frames: dict[str, pd.DataFrame]) -> list[Table]:
    """The tables, cut to the width of a terminal: the files have every column and digit."""
    comparison = frames["comparison"]
    headings = [name if kind == "estimate" else "sd" for name, kind in comparison.columns]
    return [
        framed(_short(frames["coefficients"]), "Posterior of the parameters"),
        framed(_short(frames["impacts"]), "Posterior of the impacts"),
        framed(comparison.set_axis(headings, axis=1), "Estimates and their standard deviations"),
    ]


def _short(summary: pd.DataFrame) -> pd.DataFrame:
    ends = [name for name in summary.columns if name.startswith(("eti", "hdi"))]
    labels = summary.index.str.replace(r"^beta\[(.*)\]$", r"\1", regex=True)
    return summary[["mean", "sd", *ends, "ess_bulk", "r_hat"]].set_axis(labels)


def framed(table: pd.DataFrame, title: str) -> Table:
    """A frame for the terminal."""
    shown = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=rich.box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for name in table.index.names:
        shown.add_column(Text("" if name is None else str(name)), no_wrap=True)
    for column in table.columns:
        shown.add_column(Text(str(column)), justify="right", no_wrap=True)
    for label, row in zip(table.index, table.itertuples(index=False, name=None), strict=True):
        labels = label if isinstance(label, tuple) else (label,)
        shown.add_row(*(Text(str(part)) for part in labels), *(_number(value) for value in row))
    return shown


def _number(value: Any) -> str:
    if pd.isna(value):
        return ""
    if isinstance(value, int | np.integer):
        return str(value)
    return (
        f"{value:.0f}"
        if abs(value) >= 1000
        else f"{value:#.4g}"
        if abs(value) >= 1
        else f"{value:.3g}"
    )
