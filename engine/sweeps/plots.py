"""Pictures of a sweep: impacts over weights and models, one variable over weights, and posterior
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
ROW, COLUMN = 0.22, 0.5  # height and width of a cell of a heat map in inches
FAR = 30.0  # medians: values beyond need another scale, or they hide the rest
WRITTEN = 15  # rows up to which the numbers are written into a heat map
LOW, HIGH = (f"{level:g}" for level in INTERVAL)


class Pictured(NamedTuple):
    """What a picture shows of a sweep.

    Attributes
    ----------
    impacts : Dataset
        Numbers of the impacts over (weights, model, ..., term, statistic).
    members : DataArray
        Posterior probabilities over (weights, model, ...).
    """

    impacts: xr.Dataset
    members: xr.DataArray


def draw_sweep(sweep: Pictured, kind: str, term: str | None = None) -> "Figure":
    """Draw what `Sweep.plot` describes.

    SpecificationError for a term that no member has, and for probabilities where there are none.
    """
    known = [str(name) for name in sweep.impacts["term"].to_numpy()]
    if term is not None:
        choice("is no term", term, known)
    if kind == "forest":
        return _draw_forest(sweep, known[0] if term is None else term)
    if kind == "probability":
        return _draw_probabilities(sweep)
    return _draw_heat_maps(sweep, kind, known if term is None else [term])


def _flatten(values: xr.DataArray) -> tuple[np.ndarray, list[str]]:
    """Values as (weights, columns), and the names of the columns.

    There is a column for every model under every label of the other dimensions.
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


def _draw_heat_maps(sweep: Pictured, kind: str, terms: list[str]) -> "Figure":
    """Posterior means, a panel for each term, with dots where the interval excludes 0.

    The colours are centred at 0.
    """
    from matplotlib.colors import CenteredNorm, SymLogNorm

    figure, axes = _make_panels(sweep, len(terms))
    for axis, term in zip(axes, terms, strict=True):
        one = sweep.impacts[kind].sel(term=term)
        mean, labels = _flatten(one.sel(statistic="mean", drop=True))
        low, high = (_flatten(one.sel(statistic=key, drop=True))[0] for key in (LOW, HIGH))
        top = np.nanmax(np.abs(mean), initial=0.0) if np.isfinite(mean).any() else 0.0
        usual = _measure_usual(mean)
        norm = (
            SymLogNorm(usual, vmin=-top, vmax=top)
            if top > FAR * usual > 0
            else CenteredNorm(0.0, top or 1.0)
        )
        image = _draw_cells(axis, mean, sweep, labels, cmap="RdBu_r", norm=norm)
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


def _measure_usual(values: np.ndarray) -> float:
    """The median size of values that are not 0."""
    size = np.abs(values[np.isfinite(values) & (values != 0)])
    return float(np.median(size)) if size.size else 0.0


def _draw_probabilities(sweep: Pictured) -> "Figure":
    """Posterior probabilities of the members, as a heat map."""
    values, labels = _flatten(sweep.members)
    if not np.isfinite(values).any():
        raise SpecificationError(NO_PROBABILITIES)
    figure, axes = _make_panels(sweep, 1)
    image = _draw_cells(
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


def _make_panels(sweep: Pictured, count: int) -> tuple["Figure", list["Axes"]]:
    """Axes for heat maps of the sweep, sized by its members, with the names of the weights at the
    left.
    """
    import matplotlib.pyplot as plt

    rows = sweep.members.sizes["weights"]
    columns = sweep.members.size // rows
    across = min(count, ACROSS)
    down = -(-count // across)
    width = COLUMN * columns + 0.9
    size = (
        max(across * width + 0.09 * _measure_longest(sweep), 3.5),
        down * (ROW * max(rows, 5) + 0.9) + 0.3,
    )
    figure, axes = plt.subplots(
        down, across, figsize=size, squeeze=False, sharey=True, layout="constrained"
    )
    for axis in axes.ravel()[count:]:
        axis.set_axis_off()
    return figure, list(axes.ravel()[:count])


def _measure_longest(sweep: Pictured) -> int:
    """The length of the longest name of weights."""
    return max(len(str(name)) for name in sweep.members["weights"].to_numpy())


def _draw_cells(
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


def _draw_forest(sweep: Pictured, term: str) -> "Figure":
    """Medians and intervals of the total effect of a term over weights.

    Models have a colour each, and the labels of other dimensions a panel each.
    """
    import matplotlib.pyplot as plt

    one = sweep.impacts["total"].sel(term=term)
    models = [str(name) for name in one["model"].to_numpy()]
    names = [str(name) for name in one["weights"].to_numpy()]
    others = [str(name) for name in one.dims if name not in ("weights", "model", "statistic")]
    panels = list(product(*(one[name].to_numpy() for name in others)))
    height = len(names) * max(0.1 * len(models) + 0.06, ROW) + 1.2
    size = (3.2 * len(panels) + 0.09 * _measure_longest(sweep) + 1.2, height)
    figure, axes = plt.subplots(
        1, len(panels), figsize=size, squeeze=False, sharey=True, layout="constrained"
    )
    for axis, labels in zip(axes[0], panels, strict=True):
        chosen = dict(zip(others, labels, strict=True))
        _draw_intervals(axis, one.sel(chosen), models)
        _draw_rows(axis, names)
        _scale_axis(axis, one.sel(chosen))
        several = [str(label) for name, label in chosen.items() if one.sizes[name] > 1]
        axis.set_title(", ".join(several), fontsize="medium")
    figure.legend(
        *axes[0, 0].get_legend_handles_labels(), loc="outside right upper", fontsize="small"
    )
    share = round(100 * (INTERVAL[1] - INTERVAL[0]))
    figure.supxlabel(f"total effect of {term}: median and {share}% interval", fontsize="small")
    return figure


def _draw_intervals(axis: "Axes", effects: xr.DataArray, models: list[str]) -> None:
    """Medians and intervals over weights, side by side for each model."""
    place = np.arange(effects.sizes["weights"])
    axis.axvline(0, color="0.6", linewidth=1)
    for i, model in enumerate(models):
        chosen = effects.sel(model=model)
        low, middle, high = (chosen.sel(statistic=key).to_numpy() for key in (LOW, "0.5", HIGH))
        at = place + 0.8 * ((i + 0.5) / len(models) - 0.5)
        axis.hlines(at, low, high, color=f"C{i}", linewidth=1.2)
        axis.plot(middle, at, "o", color=f"C{i}", markersize=3, label=model)


def _draw_rows(axis: "Axes", names: list[str]) -> None:
    """The names of the weights, and a line between each and the next."""
    place = np.arange(len(names))
    across = axis.get_yaxis_transform()
    axis.hlines(place[:-1] + 0.5, 0, 1, transform=across, color="0.9", linewidth=0.6, zorder=0)
    axis.set_yticks(place, names, fontsize="x-small")
    axis.set_ylim(len(names) - 0.5, -0.5)


def _scale_axis(axis: "Axes", effects: xr.DataArray) -> None:
    """A scale that is logarithmic far out where some intervals would hide the others."""
    ends = effects.sel(statistic=[LOW, HIGH]).to_numpy()
    usual = _measure_usual(effects.sel(statistic="0.5").to_numpy())
    if np.nanmax(np.abs(ends), initial=0.0) > FAR * usual > 0:
        axis.set_xscale("symlog", linthresh=usual)
        low, high = 1.2 * float(np.nanmin(ends)), 1.2 * float(np.nanmax(ends))
        axis.set_xlim(min(low, 0.0), max(high, 0.0))
    else:
        axis.locator_params(axis="x", nbins=5)
