"""Weights that cannot be made: each refusal names the culprit and the way out."""

import builtins
import re

import numpy as np
import pandas as pd
import pytest

from spillover.engine import memory
from spillover.engine.weights import builders
from spillover.engine.weights.weights import Weights
from spillover.kernels.errors import WeightsError

N = 40

RNG = np.random.default_rng(11)

PLANE = RNG.uniform(-5, 20, (N, 2)) * [1.0, 3.0]

# uniform on the sphere
GLOBE = np.column_stack((RNG.uniform(-180, 360, N), np.degrees(np.arcsin(RNG.uniform(-1, 1, N)))))

LABELS = [f"unit {i}" for i in RNG.permutation(N)]

ALL_LINKED = pytest.mark.filterwarnings(
    "ignore:.*links every unit:spillover.kernels.errors.SpilloverWarning"
)

SIDE = 5

LATTICE = np.array([(x, y) for y in range(SIDE) for x in range(SIDE)])

ONE = np.array([[0, 1, 3, 0], [2, 0, 0, 0], [0, 5, 0, 1], [1, 0, 0, 0.0]])

TWO = np.array([[0, 0, 0, 7], [1, 0, 1, 2], [4, 0, 0, 0], [1, 1, 1, 0.0]])

FOUR = list("abcd")


def squares(cells, index=None):
    geopandas, shapely = pytest.importorskip("geopandas"), pytest.importorskip("shapely")
    return geopandas.GeoDataFrame(
        geometry=[shapely.box(x, y, x + 1, y + 1) for x, y in cells], index=index
    )


def with_value(i, j, value, places=PLANE):
    changed = places.copy()
    changed[i, j] = value
    return changed


X = pd.Series([1.0, 2.0, 4.0, 7.0], FOUR)
HAVERSINE = {"metric": "haversine"}
REFUSED = {
    "k = 0": (Weights.knn, (PLANE, 0), {}, ["k=0", f"1 to {N - 1}"]),
    "k = n": (Weights.knn, (PLANE, N), {}, [f"k={N}"]),
    "half a neighbour": (Weights.knn, (PLANE, 1.5), {}, ["k=1.5", "whole"]),
    "k = True": (Weights.knn, (PLANE, True), {}, ["k=True"]),
    "an unknown metric": (
        Weights.knn,
        (PLANE, 2),
        {"metric": "manhattan"},
        ["'manhattan'", "euclidean, haversine"],
    ),
    "three coordinates": (Weights.knn, (np.ones((4, 3)), 2), {}, [r"\(4, 3\)"]),
    "no units": (Weights.distance_band, (np.ones((0, 2)), 2), {}, [r"\(0, 2\)"]),
    "text": (Weights.knn, (pd.DataFrame({"x": [1, 2], "y": ["n", "s"]}), 1), {}, ["columns 'y'"]),
    "a missing coordinate": (
        Weights.knn,
        (with_value(3, 0, np.nan), 2),
        {"ids": LABELS},
        [repr(LABELS[3]), "missing"],
    ),
    "an infinite coordinate": (
        Weights.distance_band,
        (with_value(3, 1, np.inf), 2),
        {"ids": LABELS},
        [repr(LABELS[3])],
    ),
    "ids beside a frame": (
        Weights.knn,
        (pd.DataFrame(PLANE), 2),
        {"ids": LABELS},
        ["leave ids out"],
    ),
    "too few ids": (Weights.knn, (PLANE, 2), {"ids": FOUR}, [f"4 ids for {N} units"]),
    "a repeated unit": (
        Weights.knn,
        (pd.DataFrame(PLANE, index=[*LABELS[1:], LABELS[2]]), 2),
        {},
        ["more than once", LABELS[2]],
    ),
    "latitude first": (
        Weights.knn,
        (with_value(5, 1, 116.4, GLOBE), 2),
        HAVERSINE | {"ids": LABELS},
        [f"latitude.*{LABELS[5]}' = 116.4", "first the longitude"],
    ),
    "beyond the globe": (
        Weights.distance_band,
        (with_value(2, 0, -181.0, GLOBE), 2),
        HAVERSINE,
        ["longitude", "2 = -181"],
    ),
    "and again": (
        Weights.distance_band,
        (with_value(2, 0, 361.0, GLOBE), 2),
        HAVERSINE,
        ["longitude", "2 = 361"],
    ),
    "threshold 0": (Weights.distance_band, (PLANE, 0), {}, ["threshold=0", "positive"]),
    "threshold without end": (Weights.distance_band, (PLANE, np.inf), {}, ["threshold=inf"]),
    "threshold as text": (Weights.distance_band, (PLANE, "9"), {}, ["threshold='9'"]),
    "an island in a band": (
        Weights.distance_band,
        ([[0, 0], [1, 0], [9, 9]], 2),
        {"ids": list("pqr")},
        ["'r'", 'islands="allow"'],
    ),
    "an island within a cutoff": (
        Weights.inverse_distance,
        ([[0, 0], [1, 0], [9, 9]], 1, 2),
        {},
        ["neighbours: 2"],
    ),
    "power 0": (Weights.inverse_distance, (PLANE, 0), {}, ["power=0"]),
    "power NaN": (Weights.inverse_distance, (PLANE, np.nan), {}, ["power=nan"]),
    "cutoff below 0": (Weights.inverse_distance, (PLANE, 1, -1.0), {}, ["cutoff=-1.0"]),
    "two in one place": (
        Weights.inverse_distance,
        ([[0, 0], [1, 1], [-0.0, 0]],),
        {"ids": list("pqr")},
        ["'p', 'r'", "knn"],
    ),
    "two in one place, with a cutoff": (
        Weights.inverse_distance,
        ([[0, 0], [1, 1], [0, 0]], 1, 5),
        {"ids": list("pqr")},
        ["'p', 'r'"],
    ),
    "one place by two longitudes": (
        Weights.inverse_distance,
        ([[-180, 3], [0, 0], [180, 3]],),
        HAVERSINE,
        ["place.*: 0, 2"],
    ),
    "one place by a longitude counted on": (
        Weights.inverse_distance,
        ([[360, 3], [7, 0], [0, 3]],),
        HAVERSINE,
        ["place.*: 0, 2"],
    ),
    "one pole": (
        Weights.inverse_distance,
        ([[7, 90], [0, 0], [100, 90]],),
        HAVERSINE,
        ["place.*: 0, 2"],
    ),
    "weights too small": (Weights.inverse_distance, (PLANE, 500), {}, ["power=500", "range"]),
    "weights too large": (Weights.inverse_distance, (PLANE / 1e4, 500), {}, ["power=500", "range"]),
    "equal values": (
        Weights.economic,
        (pd.Series([3.0, 1, 2, 1, 3.0], list("abcde")),),
        {},
        ["'b', 'd', 'a', 'e'", "same value"],
    ),
    "equal values but for rounding": (
        Weights.economic,
        (pd.Series([0.3, 1, 0.1 + 0.2], list("abc")),),
        {},
        ["'a', 'c'"],
    ),
    "a missing value": (Weights.economic, (X.where(X != 4),), {}, ["'c'", "missing"]),
    "values without units": (Weights.economic, (X.to_numpy(),), {}, ["ndarray", "Series"]),
    "values of a panel": (
        Weights.economic,
        (pd.concat([X, X + 0.5]),),
        {},
        ["more than once: 'a'"],
    ),
    "values as text": (Weights.economic, (X.astype(str),), {}, ["real numbers"]),
    "power of text": (Weights.economic, (X,), {"power": "2"}, ["power='2'"]),
    "a value of 0": (
        Weights.economic_geography,
        (Weights(ONE, FOUR), X - 1),
        {},
        ["'a' = 0", "positive"],
    ),
    "a value below 0": (
        Weights.economic_geography,
        (Weights(ONE, FOUR), X - 3),
        {},
        ["'a' = -2, 'b' = -1"],
    ),
    "values of other units": (
        Weights.economic_geography,
        (Weights(ONE, FOUR), X.rename({"a": "z"})),
        {},
        ["in the data but not in W: 'z'", "in W but not in the data: 'a'"],
    ),
    "no geography": (Weights.economic_geography, (ONE, X), {}, ["geography is an ndarray"]),
    "nested of other units": (
        Weights.nested,
        (Weights(ONE, FOUR), Weights(TWO, list("abxy"))),
        {},
        ["in a: 'c', 'd'", "in b: 'x', 'y'"],
    ),
    "nested of more units": (
        Weights.nested,
        (Weights(ONE, FOUR), Weights.knn(PLANE[:5], 1, ids=list("abcde"))),
        {},
        ["only in b: 'e'"],
    ),
    "nested of other labels": (
        Weights.nested,
        (Weights(ONE, FOUR), Weights(TWO)),
        {},
        ["type string", "type integer"],
    ),
    "a share above 1": (Weights.nested, (Weights(ONE), Weights(TWO), 1.5), {}, ["share=1.5"]),
    "a share of NaN": (Weights.nested, (Weights(ONE), Weights(TWO), np.nan), {}, ["share=nan"]),
    "nested of a matrix": (Weights.nested, (Weights(ONE), TWO), {}, ["b is an ndarray"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_and_names_the_culprit(case):
    make, given, options, wanted = REFUSED[case]
    with pytest.raises(WeightsError) as caught:
        make(*given, **options)
    for text in wanted:
        assert re.search(text, str(caught.value)), f"{text!r} not in {caught.value}"


@ALL_LINKED
@pytest.mark.parametrize(
    ("make", "way_out"),
    [
        (lambda: Weights.inverse_distance(PLANE), "give a cutoff"),
        (lambda: Weights.inverse_distance(PLANE, 1, 1e3), "smaller cutoff"),
        (lambda: Weights.distance_band(PLANE, 1e3), "smaller threshold"),
        (lambda: Weights.knn(PLANE, N - 1), "smaller k"),
        (lambda: Weights.economic(pd.Series(np.arange(N))), "economic_geography"),
    ],
)
def test_more_links_than_memory_holds_are_refused_before_they_are_made(monkeypatch, make, way_out):
    assert make().matrix.nnz == N * (N - 1)
    monkeypatch.setattr(builders, "FEW", 0)
    monkeypatch.setattr(memory, "available_memory", lambda: memory.estimate_links(N * (N - 1)) - 1)
    with pytest.raises(WeightsError, match=rf"{N * (N - 1):,} links.*{way_out}"):
        make()
    # fewer are made
    assert Weights.distance_band(PLANE, 9.0, islands="allow").matrix.nnz < N * (N - 1)


def test_contiguity_refuses_what_is_no_polygon():
    shapely = pytest.importorskip("shapely")
    frame = squares(LATTICE[:4], FOUR)
    points = frame.set_geometry(frame.geometry.where(frame.index != "c", shapely.Point(0, 0)))
    for wrong, what in (
        (points, "no polygon.*'c'"),
        (frame.set_geometry(frame.geometry.where(frame.index != "b", None)), "no polygon.*'b'"),
        (
            frame.set_geometry(frame.geometry.where(frame.index != "b", shapely.Polygon())),
            "no polygon.*'b'",
        ),
        (frame.set_axis(["a", "b", "a", "d"]), "more than once: 'a'"),
        (pd.DataFrame(PLANE), "DataFrame has no polygons"),
        (frame.rename(columns={"geometry": "shape"}), "set_geometry"),
    ):
        with pytest.raises(WeightsError, match=what):
            Weights.contiguity(wrong, islands="allow")
    with pytest.raises(WeightsError, match="rook='no'"):
        Weights.contiguity(frame, rook="no")


def test_contiguity_names_the_extra_it_needs(monkeypatch):
    load = builtins.__import__

    def without(name, *rest):
        if name.startswith(("libpysal", "geopandas")):
            raise ImportError(name)
        return load(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(WeightsError, match=re.escape("pip install 'spillover[geo]'")):
        Weights.contiguity(None)
