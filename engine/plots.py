"""Pictures of a fit, by arviz-plots where it has them."""

from typing import TYPE_CHECKING

import arviz_plots
import numpy as np
import xarray as xr

from spillover.engine.results import PARAMETERS, Fit
from spillover.kernels.errors import SpecificationError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = {"direct": "C0", "indirect": "C1", "total": "C2"}


def impacts(fit: Fit, *, prob: float = 0.95) -> "Figure":
    """A forest of the direct, indirect and total impacts: posterior medians, central `prob` intervals and, thicker, central halves."""
    import matplotlib.pyplot as plt

    data = fit.impacts()
    terms = data["term"].to_numpy()
    figure, axes = plt.subplots(1, 3, sharey=True, figsize=(10, 1.2 + 0.45 * len(terms)), layout="constrained")
    tails = (1 - prob) / 2
    heights = np.arange(len(terms))[::-1]
    for axis, (name, colour) in zip(axes, POINTS.items(), strict=True):
        low, left, middle, right, high = data[name].quantile([tails, 0.25, 0.5, 0.75, 1 - tails], dim=("chain", "draw")).to_numpy()
        axis.axvline(0, color="0.6", linewidth=1)
        axis.hlines(heights, low, high, color=colour, linewidth=1.5)
        axis.hlines(heights, left, right, color=colour, linewidth=4)
        axis.plot(middle, heights, "o", color=colour, markerfacecolor="white")
        axis.set_title(name)
    axes[0].set_yticks(heights, terms)
    axes[0].margins(y=0.5 / max(len(terms), 1))
    axes[1].set_xlabel(f"impact of one unit more: median, half and {prob:.0%} interval")
    return figure


def trace(fit: Fit) -> "Figure":
    """Densities and traces of the parameters by chain (arviz-plots' trace_dist)."""
    return _figure(arviz_plots.plot_trace_dist(fit.tree, var_names=_names(fit), backend="matplotlib"))


def rank(fit: Fit) -> "Figure":
    """Densities and rank plots of the parameters by chain (arviz-plots' rank_dist): ranks of chains that mix are uniform."""
    return _figure(arviz_plots.plot_rank_dist(fit.tree, var_names=_names(fit), backend="matplotlib"))


def prior_posterior(fit: Fit) -> "Figure":
    """The prior of each parameter against its posterior (arviz-plots' prior_posterior).

    SpecificationError where all priors are improper, so that there is nothing to show.
    """
    if "prior" not in fit.tree.children:
        raise SpecificationError("Every prior of this fit is improper: there is no prior to draw. Fit with proper priors.")
    shared = [name for name in _names(fit) if name in fit.tree["prior"]]
    return _figure(arviz_plots.plot_prior_posterior(_clipped(fit.tree, shared), var_names=shared, backend="matplotlib"))


def _clipped(tree: xr.DataTree, names: list[str]) -> xr.DataTree:
    """Prior draws cut to twenty posterior standard deviations around the posterior mean, so that the posterior is visible beside them."""
    prior, posterior = tree["prior"].to_dataset()[names], tree["posterior"].to_dataset()[names]
    dims = ("chain", "draw")
    low, high = (posterior.mean(dims) + sign * 20 * posterior.std(dims) for sign in (-1, 1))
    return xr.DataTree.from_dict({"prior": prior.where((prior > low) & (prior < high)), "posterior": posterior})


def _names(fit: Fit) -> list[str]:
    return [name for name in PARAMETERS if name in fit.posterior]


def _figure(collection: "arviz_plots.PlotCollection") -> "Figure":
    return collection.viz["figure"].item()
