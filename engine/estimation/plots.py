"""Pictures of a fit, by arviz-plots where it has them."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from spillover.engine.arviz_parts import load_arviz
from spillover.engine.estimation.results import PARAMETERS, Fit
from spillover.kernels.arguments import expect, front_door, real
from spillover.kernels.errors import SpecificationError

if TYPE_CHECKING:
    from arviz_plots.plot_collection import PlotCollection
    from matplotlib.figure import Figure

COLOURS = {"direct": "C0", "indirect": "C1", "total": "C2"}
FEWEST = 4  # draws of a chain
FITTED = "give a posterior, made by model.fit()"
ACROSS = 4  # panels side by side


@front_door
def impacts(fit: Fit, *, prob: float = 0.95) -> "Figure":
    """Draw the direct, indirect and total impacts, a panel for each variable on its own scale.

    Circles are posterior medians, lines the central intervals, and thick lines the central halves.

    Parameters
    ----------
    fit : Fit
        The posterior.
    prob : float, default 0.95
        Probability of the intervals, between 0 and 1.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.

    Raises
    ------
    SpecificationError
        For what is no `Fit`, and a probability out of range.

    Examples
    --------
    >>> so.plots.impacts(fit).savefig("impacts.pdf")  # doctest: +SKIP
    """
    import matplotlib.pyplot as plt

    expect("fit", fit, Fit, FITTED)
    real("prob", prob, 0, 1, example=0.95)
    data, tails = fit.impacts(), (1 - prob) / 2
    terms = data["term"].to_numpy()
    across = min(len(terms), ACROSS)
    down = -(-len(terms) // across)
    figure, axes = plt.subplots(
        down,
        across,
        figsize=(3.2 * across, 1.7 * down + 0.4),
        squeeze=False,
        sharey=True,
        layout="constrained",
    )
    for axis in axes.ravel()[len(terms) :]:
        axis.set_axis_off()
    for axis, term in zip(axes.ravel()[: len(terms)], terms, strict=True):
        axis.axvline(0, color="0.6", linewidth=1)
        for height, (name, colour) in zip((2, 1, 0), COLOURS.items(), strict=True):
            draws = data[name].sel(term=term)
            low, left, middle, right, high = np.quantile(draws, [tails, 0.25, 0.5, 0.75, 1 - tails])
            axis.hlines(height, low, high, color=colour, linewidth=1.5)
            axis.hlines(height, left, right, color=colour, linewidth=4)
            axis.plot(middle, height, "o", color=colour, markerfacecolor="white")
        axis.set_title(term, fontsize="medium")
        axis.set_yticks((2, 1, 0), list(COLOURS))
        axis.set_ylim(-0.6, 2.6)
        axis.locator_params(axis="x", nbins=5)
    figure.supxlabel(
        f"effect of one unit more: median, central half and {prob:.0%} interval", fontsize="small"
    )
    return figure


@front_door
def trace(fit: Fit) -> "Figure":
    """Draw the densities and the traces of every parameter by chain.

    The picture is arviz-plots' `plot_trace_dist`.

    Parameters
    ----------
    fit : Fit
        The posterior.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.

    Raises
    ------
    SpecificationError
        For what is no `Fit`, and chains of fewer than 4 draws.

    Examples
    --------
    >>> so.plots.trace(fit).savefig("trace.pdf")  # doctest: +SKIP
    """
    _check(fit)
    return _figure(
        load_arviz("plots").plot_trace_dist(
            fit.tree, compact=False, **_options(fit, _names(fit), across=2, height=1.6)
        )
    )


@front_door
def rank(fit: Fit) -> "Figure":
    """Draw the densities and the rank plots of every parameter by chain.

    Where the chains mix, the ranks of the draws of each are uniform. The picture is arviz-plots'
    `plot_rank_dist`.

    Parameters
    ----------
    fit : Fit
        The posterior.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.

    Raises
    ------
    SpecificationError
        For what is no `Fit`, and chains of fewer than 4 draws.

    Examples
    --------
    >>> so.plots.rank(fit).savefig("ranks.pdf")  # doctest: +SKIP

    References
    ----------
    Vehtari, Gelman, Simpson, Carpenter & Bürkner (2021), "Rank-normalization, folding, and
    localization", Bayesian Analysis 16.
    """
    _check(fit)
    return _figure(
        load_arviz("plots").plot_rank_dist(
            fit.tree, compact=False, **_options(fit, _names(fit), across=2, height=1.6)
        )
    )


@front_door
def prior_posterior(fit: Fit) -> "Figure":
    """Draw the prior of each parameter against its posterior.

    The picture is arviz-plots' `plot_prior_posterior`. Draws of the prior further than twenty
    posterior standard deviations from the posterior mean are left out, so that the posterior stays
    visible.

    Parameters
    ----------
    fit : Fit
        The posterior.

    Returns
    -------
    matplotlib.figure.Figure
        The picture, without the parameters that have an improper prior.

    Raises
    ------
    SpecificationError
        For what is no `Fit`, chains of fewer than 4 draws, and priors that are all improper.

    Examples
    --------
    >>> so.plots.prior_posterior(fit).savefig("priors.pdf")  # doctest: +SKIP
    """
    _check(fit)
    if "prior" not in fit.tree.children:
        raise SpecificationError(
            "Every prior of this fit is improper: there is no prior to draw. Fit with proper"
            " priors."
        )
    shared = [name for name in _names(fit) if name in fit.tree["prior"]]
    options = _options(fit, shared, across=ACROSS, height=2.2)
    return _figure(
        load_arviz("plots").plot_prior_posterior(
            _clip(fit.tree, shared), col_wrap=ACROSS, **options
        )
    )


def _check(fit: Any) -> None:
    """SpecificationError for what is no posterior, and chains too short for densities or ranks."""
    expect("fit", fit, Fit, FITTED)
    draws = fit.posterior.sizes["draw"]
    if draws < FEWEST:
        raise SpecificationError(
            f"Chains of {draws} draws are too short for this picture: fit with draws={FEWEST} or"
            " more."
        )


def _clip(tree: xr.DataTree, names: list[str]) -> xr.DataTree:
    """Cut the prior draws to twenty posterior standard deviations around the posterior mean.

    The posterior would not be visible beside wider ones.
    """
    prior, posterior = tree["prior"].to_dataset()[names], tree["posterior"].to_dataset()[names]
    dims = ("chain", "draw")
    low, high = (posterior.mean(dims) + sign * 20 * posterior.std(dims) for sign in (-1, 1))
    return xr.DataTree.from_dict(
        {"prior": prior.where((prior > low) & (prior < high)), "posterior": posterior}
    )


def _options(fit: Fit, names: list[str], *, across: int, height: float) -> dict[str, Any]:
    """The parameters to draw, and the size that gives every panel its room, for arviz-plots."""
    panels = sum(int(np.prod(fit.posterior[name].shape[2:])) for name in names)
    rows = panels if across == 2 else -(-panels // across)
    return {
        "var_names": names,
        "backend": "matplotlib",
        "figure_kwargs": {"figsize": (12, height * rows), "layout": "constrained"},
    }


def _names(fit: Fit) -> list[str]:
    """The parameters that the posterior has, in the order that all fits share."""
    return [name for name in PARAMETERS if name in fit.posterior]


def _figure(collection: "PlotCollection") -> "Figure":
    """The figure of a picture by arviz-plots."""
    figure: Figure = collection.viz["figure"].item()
    return figure
