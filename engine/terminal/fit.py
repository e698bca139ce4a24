"""One fit from model to files: both estimates, their tables, their pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich.table import Table

from spillover.engine.arviz_parts import load_arviz
from spillover.engine.estimation.compare import compare
from spillover.engine.estimation.ml import MLFit
from spillover.engine.estimation.model import Model
from spillover.engine.estimation.results import Fit
from spillover.engine.storage.csv_text import csv_text
from spillover.engine.terminal.tables import draw_table
from spillover.kernels.errors import ConvergenceError

PICTURES = ("impacts", "trace", "prior_posterior")  # functions of spillover.engine.estimation.plots


def estimate(model: Model, sampler: dict[str, Any]) -> tuple[Fit, MLFit | ConvergenceError]:
    """The posterior, and the maximum-likelihood estimates or the error that says why none exist."""
    fit = model.fit(**sampler)
    try:
        return fit, model.fit_ml()
    except ConvergenceError as error:
        return fit, error


def make_tables(fit: Fit, ml: MLFit | ConvergenceError) -> dict[str, pd.DataFrame]:
    """The tables of a fit: coefficients, impacts, and the posterior beside maximum likelihood."""
    fits: dict[str, Fit | MLFit] = (
        {"Bayes": fit, "ML": ml} if isinstance(ml, MLFit) else {"Bayes": fit}
    )
    impacts = load_arviz("stats").summary(fit.impacts(), round_to="none")
    return {"coefficients": fit.summary(), "impacts": impacts, "comparison": compare(fits)}


def write_files(fit: Fit, tables: Mapping[str, pd.DataFrame], folder: Path) -> list[Path]:
    """Write the posterior (NetCDF), the tables (CSV) and the figures (PNG); return their paths."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    from spillover.engine.estimation import plots

    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / "posterior.nc"]
    fit.save(paths[0])
    for name, table in tables.items():
        paths.append(folder / f"{name}.csv")
        paths[-1].write_text(csv_text(table), encoding="utf-8")
    for name in PICTURES:
        figure = getattr(plots, name)(fit)
        paths.append(folder / f"{name}.png")
        figure.savefig(paths[-1], dpi=120, bbox_inches="tight")
        plt.close(figure)
    return paths


def draw_tables(tables: Mapping[str, pd.DataFrame]) -> list[Table]:
    """The tables, cut to the width of a terminal: the files have every column and digit."""
    comparison = tables["comparison"]
    headings = [name if kind == "estimate" else "sd" for name, kind in comparison.columns]
    return [
        draw_table(_shorten(tables["coefficients"]), "Posterior of the parameters"),
        draw_table(_shorten(tables["impacts"]), "Posterior of the impacts"),
        draw_table(
            comparison.set_axis(headings, axis=1), "Estimates and their standard deviations"
        ),
    ]


def _shorten(summary: pd.DataFrame) -> pd.DataFrame:
    """ArviZ's summary without its Monte Carlo errors, and with x for beta[x]."""
    ends = [name for name in summary.columns if name.startswith(("eti", "hdi"))]
    labels = summary.index.str.replace(r"^beta\[(.*)\]$", r"\1", regex=True)
    return summary[["mean", "sd", *ends, "ess_bulk", "r_hat"]].set_axis(labels)
