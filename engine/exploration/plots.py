"""Plots of spatial autocorrelation: Moran scatter plots, Moran's I over time, maps."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.stats

from spillover.engine.exploration.moran import NOWHERE, UNCLEAR, Moran, MoranLocal, MoranPanel
from spillover.engine.labels import as_labels, as_numbers, few, type_hint
from spillover.engine.recognition import are_swapped
from spillover.kernels.arguments import front_door, kind_of, real, show, suggestion, text, whole
from spillover.kernels.errors import DataError, SpecificationError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

# ColorBrewer's RdYlBu, which colour-blind readers can tell apart
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
MOST_NAMED = 40  # units of a map, at most
SIZE = 6.0  # inches of the longer side of a map
# where a label may stand beside its point, in steps to the right and up
AROUND = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))
Limits = tuple[tuple[float, float], tuple[float, float]]  # of the axes x and y


@front_door
def moran(result: Moran | MoranPanel, *, labels: int = 40) -> "Figure":
    """Draw the Moran scatter plot: the spatial lag of x against x, with the line whose slope is I.

    x is standardised first. The quadrants are HH (high among high), LH, LL and HL.

    Parameters
    ----------
    result : Moran or MoranPanel
        What `spillover.moran` returns. A `MoranPanel` is drawn with one panel per period, without
        names of units.
    labels : int, default 40
        How many units are named, those farthest from the origin first. A unit is not named if its
        label would hide a point or another label.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.

    Raises
    ------
    SpecificationError
        For a `result` of another type.

    Examples
    --------
    >>> import spillover as so
    >>> frame, W = so.munnell()
    >>> unemp = frame[frame["year"] == 1986].set_index("state")["unemp"]
    >>> figure = so.plots.moran(so.moran(unemp, W.row_standardize()))
    >>> figure.axes[0].get_xlabel()
    'unemp, standardised'

    References
    ----------
    Anselin (1996), in Spatial Analytical Perspectives on GIS.
    """
    import matplotlib.pyplot as plt

    _expect(result, (Moran, MoranPanel), "so.moran")
    whole("labels", labels, least=0, example=40)
    if isinstance(result, MoranPanel):
        return _draw_grid(result)
    figure, axis = plt.subplots(figsize=(6.4, 5.6), layout="constrained")
    _draw_scatter(axis, result, _find_limits((result,)), size=22)
    axis.set_title(f"{result.name}: {_describe(result)}", fontsize="medium")
    axis.set_xlabel(f"{result.name}, standardised")
    axis.set_ylabel(f"spatial lag of {result.name}")
    _name_points(figure, axis, result.scatter, labels)
    return figure


@front_door
def moran_over_time(panel: MoranPanel, *, prob: float = 0.95) -> "Figure":
    """Draw Moran's I of every period, and the interval for I without spatial autocorrelation.

    The interval is E[I] ± quantile · sd, under the assumption of the tests. Filled points mark I
    outside it.

    Parameters
    ----------
    panel : MoranPanel
        What `spillover.moran_by_period` returns, or `spillover.moran` for a DataFrame.
    prob : float in (0, 1), default 0.95
        Probability of the interval.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.

    Raises
    ------
    SpecificationError
        For a `panel` of another type, and for a `prob` outside (0, 1).

    Examples
    --------
    >>> import spillover as so
    >>> frame, W = so.munnell()
    >>> panel = so.moran_by_period(
    ...     frame, "unemp", W.row_standardize(), unit="state", period="year", permutations=0
    ... )
    >>> so.plots.moran_over_time(panel).axes[0].get_ylabel()
    "Moran's I"
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    _expect(panel, (MoranPanel,), "so.moran of a DataFrame or so.moran_by_period")
    real("prob", prob, 0, 1, example=0.95)
    table = panel.table
    ordered = table.index.dtype.kind in "iufM"
    place = table.index.to_numpy() if ordered else np.arange(len(table))
    figure, axis = plt.subplots(figsize=(7.2, 3.6), layout="constrained")
    _draw_over_time(axis, place, panel, prob)
    if not ordered:
        axis.set_xticks(place, [str(label) for label in table.index], rotation=45, ha="right")
    elif table.index.dtype.kind in "iu":
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel(str(table.index.name or "period"))
    axis.set_ylabel("Moran's I")
    axis.margins(y=0.12)
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize="small")
    return figure


def _draw_over_time(axis: "Axes", place: np.ndarray, panel: MoranPanel, prob: float) -> None:
    """Draw the interval, its middle, and I of every period at its place on the axis."""
    table, assumption = panel.table, panel.tests[0].assumption
    reach = scipy.stats.norm.ppf(0.5 + prob / 2) * table["sd"].to_numpy()
    mean, values = table["expected"].to_numpy(), table["I"].to_numpy()
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


@front_door
def moran_local(result: MoranLocal, places: Any) -> "Figure":
    """Draw the map of the spatial clusters: HH, HL, LH and LL where local Moran's I is significant.

    Parameters
    ----------
    result : MoranLocal
        What `spillover.moran_local` returns.
    places : GeoDataFrame, GeoSeries or DataFrame
        The areas of the units, which are filled, or a table of two columns, x (longitude) and y
        (latitude), which are drawn as points. The units are its index.

    Returns
    -------
    matplotlib.figure.Figure
        The map.

    Raises
    ------
    DataError
        For units without a place and places without a unit, which it names.
    SpecificationError
        For a `result` of another type.

    Examples
    --------
    >>> import spillover as so
    >>> frame, W = so.provinces(complete=True)
    >>> gdp = frame[frame["year"] == 2023].set_index("province")["gdp_per_capita"]
    >>> local = so.moran_local(gdp, W.row_standardize(), permutations=0)
    >>> so.plots.moran_local(local, so.province_coordinates()).axes[0].get_title()
    "gdp_per_capita: local Moran's I, false-discovery rate 0.05"
    """
    import matplotlib.pyplot as plt

    _expect(result, (MoranLocal,), "so.moran_local")
    cluster = result.table["cluster"]
    areas, points = _match_places(cluster.index, places)
    corners = points if areas is None else areas.total_bounds.reshape(2, 2)
    figure, axis = plt.subplots(figsize=_size_map(corners), layout="constrained")
    if areas is None:
        _draw_points(axis, cluster, points)
    else:
        _fill_areas(axis, areas, cluster.map(COLOURS).to_list())
    axis.set_axis_off()
    keys = _make_keys(cluster, "s" if points is None else "o")
    figure.legend(
        handles=keys, loc="outside lower center", ncols=2, frameon=False, fontsize="small"
    )
    axis.set_title(
        f"{result.name}: local Moran's I, false-discovery rate {result.fdr:g}", fontsize="medium"
    )
    return figure


def _draw_points(axis: "Axes", cluster: pd.Series, points: np.ndarray) -> None:
    """Draw the units as points, with those in a cluster larger, on top and named."""
    colours = cluster.map(COLOURS).to_list()
    faint = (cluster == UNCLEAR).to_numpy()
    for chosen, size in ((faint, 26), (~faint, 44)):
        kept = [colour for colour, keep in zip(colours, chosen, strict=True) if keep]
        axis.scatter(
            points[chosen, 0], points[chosen, 1], s=size, c=kept, edgecolors="0.4", linewidths=0.5
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


@front_door
def choropleth(
    values: pd.Series,
    geometry: Any,
    *,
    label: str | None = None,
    cmap: str | None = None,
    centre: float | None = None,
) -> "Figure":
    """Draw a map with each area coloured by its value.

    Parameters
    ----------
    values : Series
        One value per area, by its label; NaN leaves the area grey.
    geometry : GeoDataFrame or GeoSeries
        The areas, with the same labels as its index.
    label : str, optional
        Label of the colour bar; by default the name of the Series.
    cmap : str, optional
        Name of a Matplotlib colour map; by default "viridis", or "RdBu_r" with a `centre`.
    centre : float, optional
        The value in the middle of diverging colours, such as 0 for effects.

    Returns
    -------
    matplotlib.figure.Figure
        The map.

    Raises
    ------
    DataError
        For labels that only one of the two has, for infinite values, and where every value is
        missing.
    SpecificationError
        For a colour map that does not exist.

    Examples
    --------
    >>> import geopandas
    >>> import spillover as so
    >>> from shapely.geometry import box
    >>> areas = geopandas.GeoSeries([box(0, 0, 1, 1), box(1, 0, 2, 1)], index=["west", "east"])
    >>> values = pd.Series({"east": 2.0, "west": 1.0}, name="GDP")
    >>> so.plots.choropleth(values, areas).axes[-1].get_ylabel()
    'GDP'
    """
    areas = _check_map(values, geometry)
    if label is not None:
        text("label", label, example="GDP")
    if centre is not None:
        real("centre", centre)
    _check_colours(cmap)
    return _draw_choropleth(
        areas,
        _check_numbers(values),
        label=str(values.name or "") if label is None else label,
        cmap=cmap or ("viridis" if centre is None else "RdBu_r"),
        centre=centre,
    )


def _check_map(values: Any, geometry: Any) -> Any:
    """Return the areas in the order of the values. DataError where the two do not fit."""
    if not isinstance(values, pd.Series):
        raise DataError(
            f"values is {kind_of(values)}: give a Series with the labels of the areas as its index."
        )
    areas, _ = _match_places(values.index, geometry)
    if areas is None:
        raise DataError(f"geometry is {kind_of(geometry)}: give a GeoDataFrame or GeoSeries.")
    return areas


def _check_numbers(values: pd.Series) -> np.ndarray:
    """Convert the values to floats; some may be NaN, but not all."""
    numbers = as_numbers(values, "values")
    infinite = np.isinf(numbers)
    if np.isnan(numbers).all():
        raise DataError("Every value is missing: there is nothing to draw.")
    if infinite.any():
        raise DataError(
            f"{infinite.sum()} values are infinite: {few(values.index[infinite])}. Give numbers, or"
            " NaN for grey."
        )
    return numbers


def _draw_choropleth(
    areas: Any, numbers: np.ndarray, *, label: str, cmap: str, centre: float | None
) -> "Figure":
    import matplotlib.pyplot as plt
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import CenteredNorm, Normalize, to_rgba
    from matplotlib.patches import Patch

    there = ~np.isnan(numbers)
    norm = Normalize() if centre is None else CenteredNorm(centre)
    norm.autoscale(numbers[there])
    scale = ScalarMappable(norm, cmap)
    colours = [
        scale.to_rgba(number) if known else to_rgba(MISSING)
        for number, known in zip(numbers, there, strict=True)
    ]
    corners = areas.total_bounds.reshape(2, 2)
    figure, axis = plt.subplots(figsize=_size_map(corners), layout="constrained")
    _fill_areas(axis, areas, colours)
    axis.set_axis_off()
    figure.colorbar(scale, ax=axis, shrink=0.7, aspect=25, label=label)
    if not there.all():
        figure.legend(
            handles=[Patch(facecolor=MISSING, label="no value")],
            loc="outside lower center",
            frameon=False,
            fontsize="small",
        )
    return figure


def _check_colours(cmap: Any) -> None:
    """Refuse what is not the name of a Matplotlib colour map."""
    from matplotlib import colormaps

    if cmap is not None and (not isinstance(cmap, str) or cmap not in colormaps):
        near = suggestion(cmap, colormaps)
        way_out = f"{near}?" if near else "give the name of one, such as viridis."
        raise SpecificationError(f"There is no colour map {show(cmap)}: {way_out}")


def _expect(result: Any, kinds: tuple[type, ...], source: str) -> None:
    if not isinstance(result, kinds):
        raise SpecificationError(f"This is {kind_of(result)}: give what {source} returns.")


def _describe(test: Moran) -> str:
    """Say I and its p-values in words."""
    drawn = (
        f", p = {test.p_permutation:.3g} by {test.permutations} permutations"
        if test.permutations
        else ""
    )
    return f"I = {test.statistic:.3f}, z = {test.z:.2f}, p = {test.p_value:.2g}{drawn}"


def _draw_grid(panel: MoranPanel) -> "Figure":
    """Draw a small scatter plot for each period, all on the same scales."""
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
        _draw_scatter(axis, test, _find_limits(panel.tests), size=7)
        axis.set_title(f"{test.name}: I = {test.statistic:.2f}", fontsize="medium")
    empty = down * across - len(panel.tests)
    for axis in axes[-2, across - empty :] if empty else ():
        axis.tick_params(labelbottom=True)  # these have no panel below them
    figure.supxlabel("standardised value", fontsize="medium")
    figure.supylabel("spatial lag", fontsize="medium")
    return figure


def _find_limits(tests: tuple[Moran, ...]) -> Limits:
    """Find limits of the axes that hold every point and the origin, with a margin."""
    spans = []
    for column in ("value", "lag"):
        every = np.concatenate([[0.0], *(test.scatter[column].to_numpy() for test in tests)])
        margin = 0.08 * np.ptp(every)
        spans.append((float(every.min() - margin), float(every.max() + margin)))
    return spans[0], spans[1]


def _draw_scatter(axis: "Axes", test: Moran, limits: Limits, *, size: float) -> None:
    """Draw points over shaded quadrants, and the line of slope I."""
    across, up = limits
    for name, (right, top) in CORNERS.items():
        x, y = across[int(right > 0.5)], up[int(top > 0.5)]
        axis.fill([0, x, x, 0], [0, 0, y, y], color=COLOURS[name], alpha=0.16, linewidth=0)
        axis.text(
            right,
            top,
            name,
            transform=axis.transAxes,
            color="0.45",
            fontsize="small",
            ha="right" if right > 0.5 else "left",
            va="top" if top > 0.5 else "bottom",
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
    """Name the points farthest from the origin, where the label hides no point or other label.

    A point without such a place stays unnamed.
    """
    figure.draw_without_rendering()  # settles the layout, and with it all places in pixels
    points, gap = axis.transData.transform(scatter.to_numpy()), 0.04 * figure.dpi
    frame = np.asarray(axis.bbox.extents)
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
        extent = text.get_window_extent()
        size = np.array([extent.width, extent.height])
        for place in np.array(AROUND):
            corner = points[at] + ((place - 1) / 2 * size + place * gap)
            box = np.concatenate([corner - gap / 4, corner + size + gap / 4])
            if _is_free(box, frame, points, taken):
                text.set_position(tuple((corner - points[at]) * 72 / figure.dpi))
                taken.append(box)
                break
        else:
            text.remove()


def _is_free(
    box: np.ndarray, frame: np.ndarray, points: np.ndarray, taken: list[np.ndarray]
) -> bool:
    """Whether a box (x0, y0, x1, y1) lies in the frame and covers no point and no other box."""
    inside = (frame[:2] <= box[:2]).all() and (box[2:] <= frame[2:]).all()
    hides = ((points > box[:2]) & (points < box[2:])).all(axis=1).any()
    return bool(inside and not hides and not any(_overlap(box, other) for other in taken))


def _overlap(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two boxes (x0, y0, x1, y1) share a point."""
    return bool((a[:2] < b[2:]).all() and (b[:2] < a[2:]).all())


def _match_places(labels: pd.Index, places: Any) -> tuple[Any, Any]:
    """Find the areas, or else the coordinates (N, 2), in the order of the labels."""
    areas = getattr(places, "geometry", None)
    has_areas = hasattr(areas, "total_bounds")
    if not isinstance(places, pd.DataFrame | pd.Series) or (
        not has_areas and np.shape(places)[1:] != (2,)
    ):
        raise DataError(
            f"places is {kind_of(places)}: give a GeoDataFrame, a GeoSeries or a table of two"
            " columns, x and y."
        )
    order = _match_labels(labels, as_labels(places.index))
    if areas is not None and has_areas:
        return areas.iloc[order], None
    if are_swapped(places.columns):
        raise DataError(
            f"places has the columns {few(places.columns)}: x, the longitude, is wanted first, then"
            " y, the latitude."
        )
    points = as_numbers(places, "places")[order]
    if not np.isfinite(points).all():
        raise DataError(
            f"Coordinates are missing or infinite: {few(labels[~np.isfinite(points).all(axis=1)])}."
        )
    return None, points


def _match_labels(labels: pd.Index, places: pd.Index) -> np.ndarray:
    """Find the positions of the labels among those of the places.

    DataError unless both have the same labels, each once.
    """
    for index, what in ((labels, "values"), (places, "places")):
        if index.has_duplicates:
            raise DataError(
                f"The {what} repeat the labels {few(index[index.duplicated()].unique())}: give one"
                " row a unit."
            )
    order, extra = places.get_indexer(labels), places[labels.get_indexer(places) < 0]
    if len(extra) or (order < 0).any():
        sides = (("without a place", labels[order < 0]), ("places without a value", extra))
        told = "; ".join(f"{side}: {few(units)}" for side, units in sides if len(units))
        raise DataError(
            f"The labels of values and places differ; {told}.{type_hint(labels, places)} Set the"
            " units as the index of both."
        )
    return np.asarray(order)


def _make_keys(cluster: pd.Series, marker: str) -> "list[Line2D]":
    """Make the legend of a map of clusters, with the number of units of each kind.

    The four quadrants are always in it, the other kinds where they occur.
    """
    from matplotlib.lines import Line2D

    counts, keys = cluster.value_counts(), []
    for name, colour in COLOURS.items():
        if name in counts or name in MEANING:
            meaning = f"{name}: {MEANING[name]}" if name in MEANING else name
            key = Line2D([], [], marker=marker, linestyle="", markersize=8, markerfacecolor=colour)
            key.set(
                markeredgecolor="0.4",
                markeredgewidth=0.5,
                label=f"{meaning} ({counts.get(name, 0)})",
            )
            keys.append(key)
    return keys


def _size_map(corners: np.ndarray) -> tuple[float, float]:
    """Choose the size in inches of a map's figure, with room for its title and legend.

    `corners`: the points or corners (…, 2) of the map.
    """
    wide, high = np.maximum(np.ptp(corners, axis=0), 1e-12)
    scale = SIZE / max(wide, high)
    return max(wide * scale, 0.55 * SIZE), max(high * scale, 0.45 * SIZE) + 0.9


def _fill_areas(axis: "Axes", areas: Any, colours: list[Any]) -> None:
    areas.plot(ax=axis, color=colours, edgecolor="white", linewidth=0.5)
