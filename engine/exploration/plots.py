"""Pictures of spatial autocorrelation: Moran scatter plots, Moran's I over periods, maps of
clusters and of any values.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.stats

from spillover.engine.exploration.moran import NOWHERE, UNCLEAR, Moran, MoranLocal, MoranPanel
from spillover.engine.labels import as_labels, as_numbers, few, type_hint
from spillover.engine.recognition import swapped
from spillover.kernels.arguments import front_door, kind_of, real, show, suggestion, text, whole
from spillover.kernels.errors import DataError, SpecificationError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Those of ColorBrewer's RdYlBu, which colour-blind readers can tell apart
COLOURS = {
    "HH": "#d7191c",
    "HL": "#fdae61",
    "LH": "#abd9e9",
    "LL": "#2c7bb6",
    UNCLEAR: "0.88",
    NOWHERE: "0.6",
}
MEANING = {
    "HH": "high among high",
    "HL": "high among low",
    "LH": "low among high",
    "LL": "low among low",
}
CORNERS = {"HH": (0.98, 0.98), "HL": (0.98, 0.02), "LH": (0.02, 0.98), "LL": (0.02, 0.02)}
MISSING = "0.85"
ACROSS = 5  # panels side by side
MOST_NAMED = 40  # units of a map
SIZE = 6.0  # inches of the longer side of a map
# where a label may stand beside its point
AROUND = [
    (1, 0),
    (-1, 0),
    (0, 1),
    (0, -1),
    (1, 1),
    (1, -1),
    (-1, 1),
    (-1, -1),
]


@front_door
def moran(result: Moran | MoranPanel, *, labels: int = 40) -> "Figure":
    """The Moran scatter plot: the spatial lag of x over x, both standardised, with the line through
    the origin whose slope is I.

    The quadrants are HH (high among high), LH, LL and HL. The `labels` units farthest from the
    origin are named, those for which there is room; a `MoranPanel` has a panel for each period and
    names no unit. Anselin (1996, in Spatial Analytical Perspectives on GIS).
    """
    import matplotlib.pyplot as plt

    _expect(result, (Moran, MoranPanel), "so.moran")
    whole("labels", labels, least=0, example=40)
    if isinstance(result, Moran):
        figure, axis = plt.subplots(figsize=(6.4, 5.6), layout="constrained")
        _scatter(axis, result, _limits((result,)), size=22)
        axis.set_title(f"{result.name}: {_verdict(result)}", fontsize="medium")
        axis.set_xlabel(f"{result.name}, standardised")
        axis.set_ylabel(f"spatial lag of {result.name}")
        _name_points(figure, axis, result.scatter, labels)
        return figure
    return _grid(result)


@front_door
def moran_over_time(panel: MoranPanel, *, prob: float = 0.95) -> "Figure":
    """Moran's I of every period over the central interval of probability `prob` that it has without
    spatial autocorrelation.

    The interval is E[I] ± quantile · sd under the assumption of the tests; I outside it is a filled
    point.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    _expect(panel, (MoranPanel,), "so.moran of a DataFrame or so.moran_by_period")
    real("prob", prob, 0, 1, example=0.95)
    table = panel.table
    ordered = table.index.dtype.kind in "iufM"
    place = table.index.to_numpy() if ordered else np.arange(len(table))
    reach = scipy.stats.norm.ppf(0.5 + prob / 2) * table["sd"].to_numpy()
    mean, values = table["expected"].to_numpy(), table["I"].to_numpy()
    figure, axis = plt.subplots(figsize=(7.2, 3.6), layout="constrained")
    assumption = panel.tests[0].assumption
    axis.fill_between(
        place,
        mean - reach,
        mean + reach,
        color="0.9",
        label=f"{prob:.0%} interval without autocorrelation ({assumption})",
    )
    axis.plot(place, mean, color="0.6", linewidth=1, linestyle="--")
    axis.plot(place, values, color="C0", linewidth=1.2)
    outside = np.abs(values - mean) > reach
    for chosen, face, what in ((outside, "C0", "I outside"), (~outside, "white", "I inside")):
        if chosen.any():
            axis.plot(
                place[chosen],
                values[chosen],
                "o",
                color="C0",
                markerfacecolor=face,
                markersize=5,
                label=what,
            )
    if not ordered:
        axis.set_xticks(place, [str(label) for label in table.index], rotation=45, ha="right")
    elif table.index.dtype.kind in "iu":
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel(str(table.index.name or "period"))
    axis.set_ylabel("Moran's I")
    axis.margins(y=0.12)
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize="small")
    return figure


@front_door
def moran_local(result: MoranLocal, places: Any) -> "Figure":
    """The map of the local clusters: units coloured HH, HL, LH or LL where their local Moran's I is
    significant.

    `places`: a GeoDataFrame or GeoSeries (areas are filled), or a table of two columns, x and y,
    all with the units as their index. Raises DataError that names the units without a place and the
    places without a unit.
    """
    import matplotlib.pyplot as plt

    _expect(result, (MoranLocal,), "so.moran_local")
    cluster = result.table["cluster"]
    geometry, points = _located(cluster.index, places)
    corners = points if geometry is None else geometry.total_bounds.reshape(2, 2)
    figure, axis = plt.subplots(figsize=_map_size(corners), layout="constrained")
    colours = cluster.map(COLOURS).to_list()
    if geometry is None:
        faint = (cluster == UNCLEAR).to_numpy()
        for chosen, size in ((faint, 26), (~faint, 44)):  # what was found lies on top
            shown = [colour for colour, keep in zip(colours, chosen, strict=True) if keep]
            axis.scatter(
                points[chosen, 0],
                points[chosen, 1],
                s=size,
                c=shown,
                edgecolors="0.4",
                linewidths=0.5,
            )
        for at in np.flatnonzero(~faint)[:MOST_NAMED]:
            axis.annotate(
                str(cluster.index[at]),
                points[at],
                xytext=(5, 4),
                textcoords="offset points",
                fontsize="x-small",
            )
        axis.set_aspect("equal")
        axis.margins(0.05)
    else:
        _fill(axis, geometry, colours)
    axis.set_axis_off()
    keys = _keys(cluster, "s" if points is None else "o")
    figure.legend(
        handles=keys, loc="outside lower center", ncols=2, frameon=False, fontsize="small"
    )
    axis.set_title(
        f"{result.name}: local Moran's I, false-discovery rate {result.fdr:g}", fontsize="medium"
    )
    return figure


@front_door
def choropleth(
    values: pd.Series,
    geometry: Any,
    *,
    label: str | None = None,
    cmap: str | None = None,
    centre: float | None = None,
) -> "Figure":
    """A map of the values, matched to the geometry by label.

    `values`: a Series, NaN for areas to be left grey. `geometry`: a GeoDataFrame or GeoSeries with
    the same labels as its index. `label`: of the colour bar (default: the name of the Series).
    `centre`: the value at the middle of diverging colours, e.g. 0 for effects. `cmap`: a Matplotlib
    colour map. Raises DataError that names labels which only one of the two has.
    """
    import matplotlib.pyplot as plt
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import CenteredNorm, Normalize, to_rgba
    from matplotlib.patches import Patch

    if not isinstance(values, pd.Series):
        raise DataError(
            f"values is {kind_of(values)}: give a Series with the labels of the areas as its index."
        )
    areas, _ = _located(values.index, geometry)
    if areas is None:
        raise DataError(f"geometry is {kind_of(geometry)}: give a GeoDataFrame or GeoSeries.")
    if label is not None:
        text("label", label, example="GDP")
    if centre is not None:
        real("centre", centre)
    _check_colours(cmap)
    numbers = as_numbers(values, "values")
    there, infinite = ~np.isnan(numbers), np.isinf(numbers)
    if not there.any():
        raise DataError("Every value is missing: there is nothing to draw.")
    if infinite.any():
        raise DataError(
            f"{infinite.sum()} values are infinite: {few(values.index[infinite])}. Give numbers, or"
            " NaN for grey."
        )
    norm = Normalize() if centre is None else CenteredNorm(centre)
    norm.autoscale(numbers[there])
    scale = ScalarMappable(norm, cmap or ("viridis" if centre is None else "RdBu_r"))
    colours = [
        scale.to_rgba(number) if shown else to_rgba(MISSING)
        for number, shown in zip(numbers, there, strict=True)
    ]
    figure, axis = plt.subplots(
        figsize=_map_size(areas.total_bounds.reshape(2, 2)), layout="constrained"
    )
    _fill(axis, areas, colours)
    axis.set_axis_off()
    figure.colorbar(
        scale,
        ax=axis,
        shrink=0.7,
        aspect=25,
        label=str(values.name or "") if label is None else label,
    )
    if not there.all():
        figure.legend(
            handles=[Patch(facecolor=MISSING, label="no value")],
            loc="outside lower center",
            frameon=False,
            fontsize="small",
        )
    return figure


def _check_colours(cmap: Any) -> None:
    """Refuse what is no colour map of Matplotlib's by name."""
    from matplotlib import colormaps

    if cmap is not None and (not isinstance(cmap, str) or cmap not in colormaps):
        near = suggestion(cmap, colormaps)
        way_out = f"{near}?" if near else "give the name of one, such as viridis."
        raise SpecificationError(f"There is no colour map {show(cmap)}: {way_out}")


def _expect(result: Any, kinds: tuple[type, ...], source: str) -> None:
    if not isinstance(result, kinds):
        raise SpecificationError(f"This is {kind_of(result)}: give what {source} returns.")


def _verdict(test: Moran) -> str:
    """I and its p-values in words."""
    drawn = (
        f", p = {test.p_permutation:.3g} by {test.permutations} permutations"
        if test.permutations
        else ""
    )
    return f"I = {test.statistic:.3f}, z = {test.z:.2f}, p = {test.p_value:.2g}{drawn}"


def _grid(panel: MoranPanel) -> "Figure":
    """A small scatter plot for each period, all on the same scales."""
    import matplotlib.pyplot as plt

    across = min(len(panel.tests), ACROSS)
    down = -(-len(panel.tests) // across)
    size = (2.3 * across + 0.5, 2.2 * down + 0.5)
    figure, axes = plt.subplots(
        down, across, figsize=size, squeeze=False, sharex=True, sharey=True, layout="constrained"
    )
    for axis in axes.ravel()[len(panel.tests) :]:
        axis.set_axis_off()
    for axis, test in zip(axes.ravel()[: len(panel.tests)], panel.tests, strict=True):
        _scatter(axis, test, _limits(panel.tests), size=7)
        axis.set_title(f"{test.name}: I = {test.statistic:.2f}", fontsize="medium")
    empty = down * across - len(panel.tests)
    for axis in axes[-2, across - empty :] if empty else ():
        axis.tick_params(labelbottom=True)  # nothing stands below these
    figure.supxlabel("standardised value", fontsize="medium")
    figure.supylabel("spatial lag", fontsize="medium")
    return figure


def _limits(tests: tuple[Moran, ...]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Those of x and y that hold every point and the origin, with a margin."""
    spans = []
    for column in ("value", "lag"):
        every = np.concatenate([[0.0], *(test.scatter[column].to_numpy() for test in tests)])
        margin = 0.08 * np.ptp(every)
        spans.append((float(every.min() - margin), float(every.max() + margin)))
    return spans[0], spans[1]


def _scatter(
    axis: "Axes",
    test: Moran,
    limits: tuple[tuple[float, float], tuple[float, float]],
    *,
    size: float,
) -> None:
    """Points over shaded quadrants, and the line of slope I."""
    across, up = limits
    for name, (right, top) in CORNERS.items():
        x, y = across[int(right > 0.5)], up[int(top > 0.5)]
        axis.fill([0, x, x, 0], [0, 0, y, y], color=COLOURS[name], alpha=0.16, linewidth=0)
        sides: dict[str, Any] = {
            "ha": "right" if right > 0.5 else "left",
            "va": "top" if top > 0.5 else "bottom",
        }
        axis.text(
            right, top, name, transform=axis.transAxes, color="0.45", fontsize="small", **sides
        )
    axis.axhline(0, color="0.6", linewidth=0.8)
    axis.axvline(0, color="0.6", linewidth=0.8)
    axis.axline((0, 0), slope=test.statistic, color="0.15", linewidth=1.2)
    axis.scatter(
        test.scatter["value"],
        test.scatter["lag"],
        s=size,
        c="0.25",
        edgecolors="white",
        linewidths=0.4,
        zorder=3,
    )
    axis.set_xlim(*across)
    axis.set_ylim(*up)


def _name_points(figure: "Figure", axis: "Axes", scatter: pd.DataFrame, count: int) -> None:
    """Name the points farthest from the origin, each where its label hides neither a point nor
    another label, or not at all.
    """
    figure.draw_without_rendering()  # settles the layout, after which places in pixels are final
    points, gap, frame = axis.transData.transform(scatter.to_numpy()), 0.04 * figure.dpi, axis.bbox
    taken = [np.asarray(text.get_window_extent().extents) for text in axis.texts]
    far = np.argsort(-np.hypot(*scatter.to_numpy().T), kind="stable")[:count]
    for at in far:
        text = axis.annotate(
            str(scatter.index[at]),
            scatter.iloc[at],
            xytext=(0, 0),
            textcoords="offset points",
            fontsize="x-small",
        )
        box = text.get_window_extent()
        for place in AROUND:
            low = points[at] + [
                (step - 1) / 2 * side + step * gap
                for step, side in zip(place, (box.width, box.height), strict=True)
            ]
            spot = np.concatenate(
                [low - gap / 4, low + np.array([box.width, box.height]) + gap / 4]
            )
            inside = (
                frame.x0 <= spot[0]
                and frame.y0 <= spot[1]
                and spot[2] <= frame.x1
                and spot[3] <= frame.y1
            )
            hides = ((points > spot[:2]) & (points < spot[2:])).all(axis=1).any()
            if inside and not hides and not any(_overlap(spot, other) for other in taken):
                text.set_position(tuple((low - points[at]) * 72 / figure.dpi))
                taken.append(spot)
                break
        else:
            text.remove()


def _overlap(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two boxes (x0, y0, x1, y1) share a point."""
    return bool((a[:2] < b[2:]).all() and (b[:2] < a[2:]).all())


def _located(labels: pd.Index, places: Any) -> tuple[Any, Any]:
    """The geometry, or else the coordinates (n, 2), in the order of the labels."""
    areas = getattr(places, "geometry", None)
    if not isinstance(places, pd.DataFrame | pd.Series) or (
        not hasattr(areas, "total_bounds") and np.shape(places)[1:] != (2,)
    ):
        raise DataError(
            f"places is {kind_of(places)}: give a GeoDataFrame, a GeoSeries or a table of two"
            " columns, x and y."
        )
    found = as_labels(places.index)
    for index, what in ((labels, "values"), (found, "places")):
        if index.has_duplicates:
            raise DataError(
                f"The {what} repeat the labels {few(index[index.duplicated()].unique())}: give one"
                " row a unit."
            )
    where, extra = found.get_indexer(labels), found[labels.get_indexer(found) < 0]
    if len(extra) or (where < 0).any():
        sides = (("without a place", labels[where < 0]), ("places without a value", extra))
        told = "; ".join(f"{side}: {few(units)}" for side, units in sides if len(units))
        raise DataError(
            f"The labels of values and places differ; {told}.{type_hint(labels, found)} Set the"
            " units as the index of both."
        )
    if areas is not None and hasattr(areas, "total_bounds"):
        return areas.iloc[where], None
    if swapped(places.columns):
        raise DataError(
            f"places has the columns {few(places.columns)}: x, the longitude, is wanted first, then"
            " y, the latitude."
        )
    points = as_numbers(places, "places")[where]
    if not np.isfinite(points).all():
        raise DataError(
            f"Coordinates are missing or infinite: {few(labels[~np.isfinite(points).all(axis=1)])}."
        )
    return None, points


def _keys(cluster: pd.Series, marker: str) -> list:
    """What the legend of a map of clusters shows: the four kinds, and what else there is, with
    their numbers of units.
    """
    from matplotlib.lines import Line2D

    counts, keys = cluster.value_counts(), []
    for name, colour in COLOURS.items():
        if name in counts or name in MEANING:
            text = f"{name}: {MEANING[name]}" if name in MEANING else name
            look: dict[str, Any] = {
                "marker": marker,
                "linestyle": "",
                "markersize": 8,
                "markeredgecolor": "0.4",
                "markeredgewidth": 0.5,
            }
            keys.append(
                Line2D(
                    [], [], markerfacecolor=colour, label=f"{text} ({counts.get(name, 0)})", **look
                )
            )
    return keys


def _map_size(corners: np.ndarray) -> tuple[float, float]:
    """Inches of a figure for a map, with room for its title and legend, from points or corners
    (any, 2).
    """
    wide, high = np.maximum(np.ptp(corners, axis=0), 1e-12)
    scale = SIZE / max(wide, high)
    return max(wide * scale, 0.55 * SIZE), max(high * scale, 0.45 * SIZE) + 0.9


def _fill(axis: "Axes", areas: Any, colours: list) -> None:
    areas.plot(ax=axis, color=colours, edgecolor="white", linewidth=0.5)
