"""What no W can be made of is refused by all constructors in one line, never by a library
underneath.
"""

from decimal import Decimal

import geopandas
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sparse
import shapely

import spillover as so


class Rude:
    """Whose repr would paint the terminal."""

    def __repr__(self) -> str:
        return "\x1b[31mrude\n"


class Ruder:
    """Whose repr fails."""

    def __repr__(self) -> str:
        raise RuntimeError


W = so.Weights([[0, 1, 1], [1, 0, 0], [2, 0, 0]], ids=["a", "b", "c"])
PLACES = pd.DataFrame({"x": [0.0, 1, 2], "y": [0.0, 1, 3]}, index=["a", "b", "c"])
EDGES = pd.DataFrame({"o": ["a", "b", "c"], "d": ["b", "a", "a"], "w": [1.0, 2, 3]})
SIZES = pd.Series([1.0, 2, 4], ["a", "b", "c"])
SQUARES = geopandas.GeoDataFrame(
    geometry=[shapely.box(x, 0, x + 1, 1) for x in range(3)], index=["a", "b", "c"]
)
HOSTILE = {
    "none": None,
    "an object": object(),
    "rude": Rude(),
    "ruder": Ruder(),
    "a signalling nan": Decimal("sNaN"),
    "signalling nans": pd.Series([Decimal("sNaN"), 1, 2], ["a", "b", "c"]),
    "infinite": float("inf"),
    "beyond floats": 10**400,
    "complex": 1 + 2j,
    "no text": "",
    "text": "queen",
    "bytes": b"queen",
    "an empty list": [],
    "empty lists": [[], []],
    "ragged": [[0, 1], [1]],
    "lists as labels": [["a"], ["b"], ["c"]],
    "rude labels": [Rude(), Rude(), Rude()],
    "numbers beyond floats": [[0, 10**400], [1, 0]],
    "far away": [[0.0, 0.0], [1e300, 1e300], [-1e300, 1e300]],
    "a set": {"a", "b"},
    "a generator": (label for label in "xyz"),
    "an empty array": np.zeros((0, 0)),
    "three dimensions": np.zeros((2, 2, 2)),
    "objects": np.array([[0, Rude()], [1, 0]], dtype=object),
    "records": np.zeros(3, [("a", float)]),
    "sparse of one dimension": sparse.coo_array(np.array([1.0, 2, 0])),
    "an empty frame": pd.DataFrame(),
    "an empty series": pd.Series(dtype=float),
    "lists in columns": pd.DataFrame({"o": [["a"], ["b"]], "d": [["b"], ["a"]], "w": [1, 2]}),
    "levels": pd.Series([1.0, 2, 3], pd.MultiIndex.from_tuples([(1, 2), (1, 3), (2, 2)])),
    "no geometry": geopandas.GeoSeries([None]),
    "a class": Rude,
}
CALLS = {
    "matrix": so.Weights,
    "ids": lambda value: so.Weights([[0, 1, 1], [1, 0, 0], [2, 0, 0]], ids=[value]),
    "islands": lambda value: so.Weights([[0, 1], [1, 0]], islands=value),
    "frame": lambda value: so.Weights.from_edges(value, "o", "d"),
    "origin": lambda value: so.Weights.from_edges(EDGES, value, "d"),
    "destination": lambda value: so.Weights.from_edges(EDGES, "o", value),
    "libpysal": so.Weights.from_libpysal,
    "polygons": so.Weights.contiguity,
    "rook": lambda value: so.Weights.contiguity(SQUARES, rook=value),
    "coordinates": lambda value: so.Weights.knn(value, 1),
    "k": lambda value: so.Weights.knn(PLACES, value),
    "metric": lambda value: so.Weights.knn(PLACES, 1, metric=value),
    "band": lambda value: so.Weights.distance_band(value, 1.0),
    "threshold": lambda value: so.Weights.distance_band(PLACES, value),
    "power": lambda value: so.Weights.inverse_distance(PLACES, value),
    "sizes": so.Weights.economic,
    "economic power": lambda value: so.Weights.economic(SIZES, power=value),
    "geography": lambda value: so.Weights.economic_geography(value, SIZES),
    "nested": lambda value: so.Weights.nested(W, value),
    "share": lambda value: so.Weights.nested(W, W, value),
    "lag": W.lag,
    "subset": lambda value: W[value],
    "path": so.read_weights,
    "LogDet": so.LogDet.build,
    "model": lambda value: so.SAR("y ~ x", PLACES, value),
}


@pytest.mark.parametrize("call", CALLS)
def test_hostile_values_are_refused_in_one_line(call):
    for name, value in HOSTILE.items():
        if (call, name) == ("lag", "far away"):  # a variable like any other
            continue
        with pytest.raises(so.SpilloverError) as caught:
            CALLS[call](value)
        message = str(caught.value)
        assert message.isprintable(), (name, message)
        assert len(message) < 700, (name, message)


@pytest.mark.parametrize(
    "bounds", [1, "ab", (1, -1), (0, 1), (-1, float("inf")), [[-1, 1]], (-1, 0, 1), {}]
)
def test_bounds_that_are_none(bounds):
    with pytest.raises(so.WeightsError, match=r"two numbers around 0|real numbers"):
        so.Weights([[0, 1], [1, 0]], bounds=bounds)


def test_what_is_no_weights_is_told_how_to_become_one():
    libpysal = pytest.importorskip("libpysal")
    graph = pytest.importorskip("libpysal.graph")
    theirs = libpysal.weights.W({"a": ["b"], "b": ["a", "c"], "c": ["b"]})
    for value, way_out in (
        (theirs, "spillover.Weights.from_libpysal(w)"),
        (graph.Graph.from_W(theirs), "spillover.Weights.from_libpysal(w)"),
        (W.to_scipy(), "spillover.Weights(matrix, ids)"),
        (W.to_scipy().toarray(), "spillover.Weights(matrix, ids)"),
        ("queen.gal", "spillover.read_weights('queen.gal')"),
        (EDGES, "spillover.Weights.from_edges(frame"),
        (3, "spillover.read_weights(path)"),
    ):
        for call in ("model", "LogDet", "geography", "nested"):
            with pytest.raises(so.SpilloverError) as caught:
                CALLS[call](value)
            assert way_out in str(caught.value)
    with pytest.raises(so.WeightsError, match=r"spillover.Weights\(matrix, ids\)"):
        so.Weights.from_libpysal(W.to_scipy())


def test_polygons_as_places_are_told_to_take_centroids():
    with pytest.raises(so.WeightsError, match="centroid"):
        so.Weights.knn(SQUARES, 1)


def test_masks_are_refused_however_they_come():
    for mask in (
        [True, False, True],
        np.array([True, False, True]),
        pd.Series([True, False, True]),
        (True, False, True),
    ):
        with pytest.raises(so.WeightsError, match="true and false"):
            W[mask]
    assert W[(label for label in ("c", "a"))].ids.tolist() == ["c", "a"]
