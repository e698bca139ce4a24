"""Pictures of a sweep: impacts over weights and models, one variable over weights, posterior
probabilities.
"""

from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray as xr

from spillover.engine.estimation.plots import ACROSS
from spillover.kernels.arguments import choice
from spillover.kernels.errors import SpecificationError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INTERVAL = (0.025, 0.975)  # levels of the quantiles that intervals go from and to
NO_PROBABILITIES = (
    "These members have no posterior probabilities: sweep with sampler='exact' and proper priors, "
    "and where there are period effects row-standardise W."
)
ROW, COLUMN = 0.22, 0.5  # inches of a cell of a heat map
FAR = 30.0  # medians
WRITTEN = 15  # rows up to which a heat map has its numbers written in it
LOW, HIGH = (f"{level:g}" for level in INTERVAL)


class Pictured(NamedTuple):
    """What a picture shows of a sweep: the numbers of its impacts, over (weights, model, ..., term,
    statistic), and the posterior probabilities of its members.
    """

    impacts: xr.Dataset
    members: xr.DataArray


def draw_sweep(sweep: Pictured, kind: str, term: str | None = None) -> "Figure":
    """What `Sweep.plot` describes. SpecificationError for a term that no member has, or
    probabilities that are not there.
    """
    known = [str(name) for name in sweep.impacts["term"].to_numpy()]
    if term is not None:
        choice("is no term", term, known)
    if kind == "forest":
        return _forest(sweep, known[0] if term is None else term)
    if kind == "probability":
        return _probability(sweep)
    return _heat_maps(sweep, kind, known if term is None else [term])


def _columns(values: xr.DataArray) -> tuple[np.ndarray, list[str]]:
    """Values as (weights, columns), a column for every model under every label of the other
    dimensions, and the columns' names.
    """
    others = [str(name) for name in values.dims if name not in ("weights", "model")]
    ordered = values.transpose("weights", *others, "model")
    several = [name for name in others if values.sizes[name] > 1]
    labels = [
        "\n".join(
            [
                str(model),
                *(str(label) for name, label in zip(others, rest, strict=True) if name in several),
            ]
        )
        for *rest, model in product(*(values[name].to_numpy() for name in (*others, "model")))
    ]
    return ordered.to_numpy().reshape(values.sizes["weights"], -1), labels


def _heat_maps(sweep: Pictured, kind: str, terms: list[str]) -> "Figure":
    """Posterior means, colours centred at 0, a panel for each term; a dot where the interval
    excludes 0.
    """
    from matplotlib.colors import CenteredNorm, SymLogNorm

    figure, axes = _panels(sweep, len(terms), bars=True)
    for axis, term in zip(axes, terms, strict=True):
        one = sweep.impacts[kind].sel(term=term)
        mean, labels = _columns(one.sel(statistic="mean", drop=True))
        low, high = (_columns(one.sel(statistic=key, drop=True))[0] for key in (LOW, HIGH))
        top = np.nanmax(np.abs(mean), initial=0.0) if np.isfinite(mean).any() else 0.0
        usual = _usual(mean)
        norm = (
            SymLogNorm(usual, vmin=-top, vmax=top)
            if top > FAR * usual > 0
            else CenteredNorm(0.0, top or 1.0)
        )
        image = _image(axis, mean, sweep, labels, cmap="RdBu_r", norm=norm)
        figure.colorbar(image, ax=axis, fraction=0.06, pad=0.03)
        row, column = np.nonzero((low > 0) | (high < 0))
        pale = np.abs(norm(mean[row, column]) - 0.5) > 0.3
        axis.scatter(column, row, s=9, c=np.where(pale, "white", "black"), linewidths=0)
        axis.set_title(term, fontsize="medium")
    share = round(100 * (INTERVAL[1] - INTERVAL[0]))
    figure.supxlabel(
        f"{kind} effect: posterior mean; dots where the {share}% interval excludes 0, grey where"
        " missing",
        fontsize="small",
    )
    return figure


def _usual(values: np.ndarray) -> float:
    """The median size of values that are not 0: what lies FAR beyond it is shown on a scale that is
    logarithmic outside, or it would hide the rest.
    """
    size = np.abs(values[np.isfinite(values) & (values != 0)])
    return float(np.median(size)) if size.size else 0.0


def _probability(sweep: Pictured) -> "Figure":
    """Posterior probabilities of the members."""
    values, labels = _columns(sweep.members)
    if not np.isfinite(values).any():
        raise SpecificationError(NO_PROBABILITIES)
    figure, axes = _panels(sweep, 1, bars=True)
    image = _image(
        axes[0], values, sweep, labels, cmap="Blues", vmin=0.0, vmax=float(np.nanmax(values))
    )
    figure.colorbar(image, ax=axes[0], fraction=0.06, pad=0.03)
    if len(values) <= WRITTEN:
        for row, column in zip(*np.nonzero(values >= 0.005), strict=True):
            colour = "white" if values[row, column] > 0.6 * np.nanmax(values) else "black"
            text = f"{values[row, column]:.2f}"
            axes[0].text(
                column, row, text, ha="center", va="center", fontsize="x-small", color=colour
            )
    axes[0].set_title("posterior probability", fontsize="medium")
    return figure


def _panels(sweep: Pictured, count: int, *, bars: bool) -> tuple["Figure", list["Axes"]]:
    """Axes for heat maps of the sweep, sized by its members; the names of the weights stand at the
    left.
    """
    import matplotlib.pyplot as plt

    rows = sweep.members.sizes["weights"]
    columns = sweep.members.size // rows
    across = min(count, ACROSS)
    down = -(-count // across)
    width = COLUMN * columns + (0.9 if bars else 0.2)
    size = (
        max(across * width + 0.09 * _longest(sweep), 3.5),
        down * (ROW * max(rows, 5) + 0.9) + 0.3,
    )
    figure, axes = plt.subplots(
        down, across, figsize=size, squeeze=False, sharey=True, layout="constrained"
    )
    for axis in axes.ravel()[count:]:
        axis.set_axis_off()
    return figure, list(axes.ravel()[:count])


def _longest(sweep: Pictured) -> int:
    return max(len(str(name)) for name in sweep.members["weights"].to_numpy())


def _image(
    axis: "Axes", values: np.ndarray, sweep: Pictured, labels: list[str], **options: Any
) -> Any:
    """A heat map with weights down and models across; a member without a value is grey."""
    axis.set_facecolor("0.85")
    image = axis.imshow(
        np.ma.masked_invalid(values), aspect="auto", interpolation="nearest", **options
    )
    axis.set_xticks(range(len(labels)), labels, fontsize="x-small")
    axis.set_yticks(
        range(len(values)),
        [str(name) for name in sweep.members["weights"].to_numpy()],
        fontsize="x-small",
    )
    axis.set_xticks(np.arange(len(labels) + 1) - 0.5, minor=True)
    axis.set_yticks(np.arange(len(values) + 1) - 0.5, minor=True)
    axis.grid(which="minor", color="white", linewidth=0.8)
    axis.tick_params(which="both", length=0)
    return image


def _forest(sweep: Pictured, term: str) -> "Figure":
    """Medians and intervals of the total effect of a term over weights, a colour for each model, a
    panel for whatever else there is.
    """
    import matplotlib.pyplot as plt

    one = sweep.impacts["total"].sel(term=term)
    models = [str(name) for name in one["model"].to_numpy()]
    others = [str(name) for name in one.dims if name not in ("weights", "model", "statistic")]
    panels = list(product(*(one[name].to_numpy() for name in others)))
    names = [str(name) for name in one["weights"].to_numpy()]
    height = len(names) * max(0.1 * len(models) + 0.06, ROW) + 1.2
    size = (3.2 * len(panels) + 0.09 * _longest(sweep) + 1.2, height)
    figure, axes = plt.subplots(
        1, len(panels), figsize=size, squeeze=False, sharey=True, layout="constrained"
    )
    place = np.arange(len(names))
    for axis, labels in zip(axes[0], panels, strict=True):
        axis.axvline(0, color="0.6", linewidth=1)
        for i, model in enumerate(models):
            chosen = one.sel(model=model, **dict(zip(others, labels, strict=True)))
            low, middle, high = (chosen.sel(statistic=key).to_numpy() for key in (LOW, "0.5", HIGH))
            at = place + 0.8 * ((i + 0.5) / len(models) - 0.5)
            axis.hlines(at, low, high, color=f"C{i}", linewidth=1.2)
            axis.plot(middle, at, "o", color=f"C{i}", markersize=3, label=model)
        axis.hlines(
            place[:-1] + 0.5,
            0,
            1,
            transform=axis.get_yaxis_transform(),
            color="0.9",
            linewidth=0.6,
            zorder=0,
        )
        axis.set_yticks(place, names, fontsize="x-small")
        axis.set_ylim(len(names) - 0.5, -0.5)
        several = [
            str(label) for name, label in zip(others, labels, strict=True) if one.sizes[name] > 1
        ]
        axis.set_title(", ".join(several), fontsize="medium")
        ends = one.sel(dict(zip(others, labels, strict=True))).sel(statistic=[LOW, HIGH]).to_numpy()
        usual = _usual(
            one.sel(dict(zip(others, labels, strict=True))).sel(statistic="0.5").to_numpy()
        )
        if np.nanmax(np.abs(ends), initial=0.0) > FAR * usual > 0:
            axis.set_xscale("symlog", linthresh=usual)
            axis.set_xlim(
                min(1.2 * float(np.nanmin(ends)), 0.0), max(1.2 * float(np.nanmax(ends)), 0.0)
            )
        else:
            axis.locator_params(axis="x", nbins=5)
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside right upper", fontsize="small"
    )
    share = round(100 * (INTERVAL[1] - INTERVAL[0]))
    figure.supxlabel(f"total effect of {term}: median and {share}% interval", fontsize="small")
    return figure
