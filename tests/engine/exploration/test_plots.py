"""Pictures of spatial autocorrelation: each can be saved and shows the numbers of the result it was
given.
"""

import warnings
from statistics import NormalDist

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.text import Annotation

import spillover as so
from spillover.engine.exploration.plots import COLOURS, MISSING

matplotlib.use("agg")


@pytest.fixture(autouse=True)
def closed():
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


@pytest.fixture(scope="module")
def crime(columbus):
    """CRIME with labels, its W and the coordinates of the units."""
    frame, W = columbus
    labels = [f"n{i:02d}" for i in range(49)]
    return (
        frame["CRIME"].set_axis(labels),
        so.Weights(W.matrix, labels),
        frame[["X", "Y"]].set_axis(labels),
    )


@pytest.fixture(scope="module")
def panel(munnell):
    frame, W = munnell
    return so.moran_by_period(frame, "unemp", W, unit="state", period="year", permutations=0)


@pytest.fixture(scope="module")
def squares():
    """GeoDataFrame of 49 unit squares, seven by seven, in another order than the labels
    of `crime`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what geopandas imports may warn
        import geopandas
        from shapely.geometry import box
    areas = [box(i % 7, i // 7, i % 7 + 1, i // 7 + 1) for i in range(49)]
    return (
        geopandas.GeoDataFrame({"name": [f"n{i:02d}" for i in range(49)]}, geometry=areas)
        .set_index("name")
        .iloc[::-1]
    )


def saved(figure, path):
    assert isinstance(figure, Figure)
    figure.savefig(path / "plot.png")
    figure.savefig(path / "plot.pdf")
    return figure


def points(axis):
    """Every dot on the axes."""
    return np.concatenate([np.asarray(dots.get_offsets()) for dots in axis.collections])


def slope(axis):
    """Of the one line on the axes that is neither level nor upright."""
    (found,) = (
        line.get_slope()
        for line in axis.lines
        if hasattr(line, "get_slope") and line.get_slope() is not None
    )
    return found


def test_the_scatter_plot_has_every_unit_and_the_slope_i(crime, tmp_path):
    x, W, _ = crime
    test = so.moran(x, W)
    figure = saved(so.plots.moran(test), tmp_path)
    (axis,) = figure.axes
    np.testing.assert_array_equal(points(axis), test.scatter)
    assert slope(axis) == test.statistic
    assert {text.get_text() for text in axis.texts} >= {"HH", "HL", "LH", "LL"}
    assert f"I = {test.statistic:.3f}" in axis.get_title()
    (left, right), (low, high) = axis.get_xlim(), axis.get_ylim()
    assert ((points(axis) > (left, low)) & (points(axis) < (right, high))).all()


def test_units_are_named_where_their_labels_hide_nothing(crime):
    x, W, _ = crime
    test = so.moran(x, W, permutations=0)
    (axis,) = so.plots.moran(test).axes
    labels = [text for text in axis.texts if isinstance(text, Annotation)]
    assert 20 <= len(labels) <= 40
    places = axis.transData.transform(test.scatter.to_numpy())
    boxes = [label.get_window_extent() for label in labels]
    for k, (label, box) in enumerate(zip(labels, boxes, strict=True)):
        assert tuple(label.xy) == tuple(test.scatter.loc[label.get_text()])
        assert not any(box.overlaps(other) for other in boxes[:k])
        assert not any(box.contains(*place) for place in places)
    (bare,) = so.plots.moran(test, labels=0).axes
    assert not [text for text in bare.texts if isinstance(text, Annotation)]
    (few,) = so.plots.moran(test, labels=3).axes
    farthest = np.hypot(*test.scatter.to_numpy().T).argsort()[-3:]
    assert {text.get_text() for text in few.texts if isinstance(text, Annotation)} <= set(
        test.scatter.index[farthest]
    )


def test_a_panel_has_a_scatter_plot_a_period(panel, tmp_path):
    axes = [axis for axis in saved(so.plots.moran(panel), tmp_path).axes if axis.has_data()]
    assert len(axes) == 17
    for axis, test in zip(axes, panel.tests, strict=True):
        assert axis.get_title().startswith(test.name)
        assert slope(axis) == test.statistic
        np.testing.assert_array_equal(points(axis), test.scatter)


@pytest.mark.parametrize("kind", ["years", "words"])
def test_i_over_periods_and_the_interval_without_autocorrelation(kind, panel, munnell, tmp_path):
    frame, W = munnell
    wide = frame.pivot(index="state", columns="year", values="unemp")
    result = (
        panel
        if kind == "years"
        else so.moran(wide.rename(columns="in {}".format), W, permutations=0)
    )
    (axis,) = saved(so.plots.moran_over_time(result, prob=0.9), tmp_path).axes
    place = np.arange(1970, 1987) if kind == "years" else np.arange(17)
    curve = next(
        line for line in axis.lines if len(line.get_xdata()) == 17 and line.get_color() == "C0"
    )
    np.testing.assert_array_equal(curve.get_xdata(), place)
    np.testing.assert_array_equal(curve.get_ydata(), result.table["I"])
    corners = axis.collections[0].get_paths()[0].vertices
    first = result.table.iloc[0]
    ends = first["expected"] + np.array([-1, 1]) * NormalDist().inv_cdf(0.95) * first["sd"]
    np.testing.assert_allclose(np.unique(corners[corners[:, 0] == place[0], 1]), ends)
    if kind == "words":
        assert axis.get_xticklabels()[0].get_text() == "in 1970"


def test_periods_inside_the_interval_are_open_points(munnell):
    frame, W = munnell
    noise = pd.DataFrame(np.random.default_rng(1).standard_normal((48, 6)), W.ids)
    noise[5] = frame[frame["year"] == 1986].set_index("state")["unemp"]
    (axis,) = so.plots.moran_over_time(so.moran(noise, W, permutations=0)).axes
    dots = {
        line.get_markerfacecolor(): line.get_xdata().tolist()
        for line in axis.lines
        if line.get_marker() == "o"
    }
    table = so.moran(noise, W, permutations=0).table
    inside = (
        (table["I"] - table["expected"]).abs() <= NormalDist().inv_cdf(0.975) * table["sd"]
    ).to_numpy()
    assert dots == {
        "C0": np.flatnonzero(~inside).tolist(),
        "white": np.flatnonzero(inside).tolist(),
    }


@pytest.fixture(scope="module")
def clusters(crime):
    return so.moran_local(crime[0], crime[1], permutations=0, fdr=0.2)


def test_clusters_are_mapped_on_areas_by_label(clusters, squares, tmp_path):
    figure = saved(so.plots.moran_local(clusters, squares), tmp_path)
    (areas,) = figure.axes[0].collections
    for label, path, colour in zip(
        clusters.table.index, areas.get_paths(), areas.get_facecolors(), strict=True
    ):
        np.testing.assert_array_equal(
            path.vertices.min(axis=0), squares.loc[label].geometry.bounds[:2]
        )
        assert tuple(colour) == to_rgba(COLOURS[clusters.table.loc[label, "cluster"]])
    counts = clusters.table["cluster"].value_counts()
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend[0] == f"HH: high among high ({counts['HH']})"
    assert legend[-1] == f"not significant ({counts['not significant']})"
    assert counts["HH"] > 0 < counts["LL"]


@pytest.mark.parametrize("kind", ["coordinates", "geometry"])
def test_clusters_are_mapped_on_points_by_label(kind, clusters, crime, squares, tmp_path):
    places = crime[2].iloc[::-1] if kind == "coordinates" else squares.centroid
    (axis,) = saved(so.plots.moran_local(clusters, places), tmp_path).axes
    where = crime[2] if kind == "coordinates" else pd.DataFrame({"x": places.x, "y": places.y})
    drawn = {
        tuple(map(float, spot)): tuple(colour)
        for dots in axis.collections
        for spot, colour in zip(dots.get_offsets(), dots.get_facecolors(), strict=True)
    }
    assert len(drawn) == 49
    for label, cluster in clusters.table["cluster"].items():
        assert drawn[tuple(where.loc[label])] == to_rgba(COLOURS[cluster])
    named = {text.get_text(): tuple(map(float, text.xy)) for text in axis.texts}
    found = clusters.table.index[clusters.table["cluster"] != "not significant"]
    assert named == {
        label: tuple(map(float, where.loc[label])) for label in found if kind == "coordinates"
    }


def test_islands_have_their_colour_and_their_place_in_the_legend(crime):
    x, W, coordinates = crime
    dense = W.to_scipy().toarray()
    dense[7] = 0.0
    local = so.moran_local(x, so.Weights(dense, W.ids, islands="allow"), permutations=0)
    figure = so.plots.moran_local(local, coordinates)
    assert figure.legends[0].get_texts()[-1].get_text() == "no neighbours (1)"


def test_choropleth_colours_values_by_label_and_leaves_missing_ones_grey(crime, squares, tmp_path):
    values = crime[0].copy()
    values["n05"] = np.nan
    figure = saved(so.plots.choropleth(values, squares), tmp_path)
    axis, bar = figure.axes
    (areas,) = axis.collections
    shade = matplotlib.colormaps["viridis"]((values - values.min()) / (values.max() - values.min()))
    shade[5] = to_rgba(MISSING)
    np.testing.assert_allclose(areas.get_facecolors(), shade)
    assert bar.get_ylabel() == "CRIME"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["no value"]


def test_choropleth_around_a_centre_is_symmetric(crime, squares):
    figure = so.plots.choropleth(crime[0] - 35, squares, centre=0, label="less 35")
    low, high = figure.axes[1].get_ylim()
    np.testing.assert_allclose([-low, high], np.abs(crime[0] - 35).max())
    assert figure.axes[1].get_ylabel() == "less 35"


BAD = {
    "missing place": (lambda values, areas: (values, areas.drop("n03")), "without a place: 'n03'"),
    "missing value": (
        lambda values, areas: (values.drop("n04"), areas),
        "places without a value: 'n04'",
    ),
    "repeated": (
        lambda values, areas: (values, areas.iloc[[0, *range(49)]]),
        "places repeat the labels 'n48'",
    ),
    "no labels": (
        lambda values, areas: (values, areas.reset_index()),
        "without a place: 'n00'.*of type",
    ),
    "an array": (lambda values, areas: (values, np.ones((49, 2))), "ndarray: give a GeoDataFrame"),
}


@pytest.mark.parametrize("case", BAD)
def test_places_that_do_not_match_are_named(case, crime, squares, clusters):
    change, message = BAD[case]
    values, places = change(crime[0], squares)
    with pytest.raises(so.DataError, match=message):
        so.plots.choropleth(values, places)
    if len(values) == 49:
        with pytest.raises(so.DataError, match=message):
            so.plots.moran_local(clusters, places)


def test_what_cannot_be_drawn_is_refused(crime, squares, clusters, panel):
    x, _, coordinates = crime
    for values, places, message in (
        (x.to_numpy(), squares, "values is an ndarray"),
        (x, coordinates, "geometry is a DataFrame"),
        (x * np.nan, squares, "Every value is missing"),
        (x.replace(x.iloc[3], np.inf), squares, "1 values are infinite: 'n03'"),
    ):
        with pytest.raises(so.DataError, match=message):
            so.plots.choropleth(values, places)
    with pytest.raises(so.DataError, match="Coordinates are missing or infinite: 'n02'"):
        so.plots.moran_local(clusters, coordinates.drop("n02").reindex(coordinates.index))
    with pytest.raises(so.SpecificationError, match=r"prob=1\.5"):
        so.plots.moran_over_time(panel, prob=1.5)
    for function, given, message in (
        (so.plots.moran, x, r"Series: give what so\.moran returns"),
        (
            so.plots.moran_over_time,
            panel.tests[0],
            r"Moran: give what so\.moran of a DataFrame or so\.moran_by_period returns",
        ),
    ):
        with pytest.raises(so.SpecificationError, match=message):
            function(given)
    with pytest.raises(
        so.SpecificationError, match=r"DataFrame: give what so\.moran_local returns"
    ):
        so.plots.moran_local(clusters.table, squares)
