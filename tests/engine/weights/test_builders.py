"""Weights that are made: against libpysal, brute force over all pairs, and the geometry of lattices
and spheres.
"""

import math

import numpy as np
import pandas as pd
import pytest

from spillover.engine.weights import builders
from spillover.engine.weights.weights import Weights
from spillover.kernels.errors import WeightsError

N = 40
RNG = np.random.default_rng(11)
PLANE = RNG.uniform(-5, 20, (N, 2)) * [1.0, 3.0]
# uniform on the sphere
GLOBE = np.column_stack((RNG.uniform(-180, 360, N), np.degrees(np.arcsin(RNG.uniform(-1, 1, N)))))
PLACES = {"euclidean": PLANE, "haversine": GLOBE}
LABELS = [f"unit {i}" for i in RNG.permutation(N)]
# of GRS80, km: Moritz (2000), Geodetic Reference System 1980, J. Geodesy 74
EQUATORIAL, FLATTENING = (
    6378.137,
    1 / 298.257222101,
)
RADIUS = EQUATORIAL * (3 - FLATTENING) / 3  # (2a + b) / 3


def plane(a, b):
    return math.hypot(a[0] - b[0], a[1] - b[1])


def globe(a, b):
    """Vincenty's (1975) formula where the ellipsoid is a sphere."""
    (lam, phi), (mu, psi) = np.radians(a), np.radians(b)
    across = math.cos(psi) * math.sin(mu - lam)
    along = math.cos(phi) * math.sin(psi) - math.sin(phi) * math.cos(psi) * math.cos(mu - lam)
    up = math.sin(phi) * math.sin(psi) + math.cos(phi) * math.cos(psi) * math.cos(mu - lam)
    return RADIUS * math.atan2(math.hypot(across, along), up)


def all_pairs(metric, places):
    way = {"euclidean": plane, "haversine": globe}[metric]
    return np.array([[way(a, b) for b in places] for a in places])


DISTANCE = {metric: all_pairs(metric, places) for metric, places in PLACES.items()}
OFF = ~np.eye(N, dtype=bool)

ALL_LINKED = pytest.mark.filterwarnings(
    "ignore:.*links every unit:spillover.kernels.errors.SpilloverWarning"
)


def dense(W: Weights) -> np.ndarray:
    return W.to_scipy().toarray()


def nearest(distance: np.ndarray, k: int) -> np.ndarray:
    """The k nearest others of each, of those equally far the first."""
    rows = [
        sorted((d, j) for j, d in enumerate(row) if j != i)[:k] for i, row in enumerate(distance)
    ]
    return np.array(
        [[float(j in {near for _, near in row}) for j in range(len(distance))] for row in rows]
    )


@pytest.mark.parametrize("k", [1, 4, N - 1])
@pytest.mark.parametrize("metric", PLACES)
def test_knn_is_brute_force(metric, k):
    W = Weights.knn(PLACES[metric], k, ids=LABELS, metric=metric)
    np.testing.assert_array_equal(dense(W), nearest(DISTANCE[metric], k))
    assert W.ids.tolist() == LABELS
    assert W.is_symmetric == (k == N - 1)


def test_knn_is_that_of_libpysal():
    theirs = pytest.importorskip("libpysal.weights").KNN.from_array(PLANE, k=5)
    np.testing.assert_array_equal(dense(Weights.knn(PLANE, 5)), theirs.sparse.toarray())


SIDE = 5
LATTICE = np.array([(x, y) for y in range(SIDE) for x in range(SIDE)])


@pytest.mark.parametrize("block", [1, builders.BLOCK])
@pytest.mark.parametrize("k", [1, 2, 3, 7, 24])
@pytest.mark.parametrize(
    ("step", "start"), [(1, 0), (0.1, 0), (0.1, 1 / 3), (1e-3, 4e6), (1e5 / 3, -4e6)]
)
def test_ties_go_to_the_first_unit_whatever_the_rounding(monkeypatch, step, start, k, block):
    """The order comes from squared distances in whole numbers."""
    monkeypatch.setattr(builders, "BLOCK", block)
    order = np.random.default_rng(k).permutation(SIDE**2)
    corners = LATTICE[order]
    exact = ((corners[:, None] - corners[None]) ** 2).sum(axis=2)
    W = Weights.knn(start + step * corners, k)
    np.testing.assert_array_equal(dense(W), nearest(exact, k))


@pytest.mark.parametrize("tilt", [0, 23])
def test_ties_on_a_circle_of_latitude(tilt):
    """Twelve places a twelfth of a turn apart: the two beside are equally far, and of those two
    steps away the first comes third.
    """
    hours = np.random.default_rng(tilt).permutation(12)
    apart = np.abs(hours[:, None] - hours[None])
    W = Weights.knn(np.column_stack((30.0 * hours, np.full(12, tilt))), 3, metric="haversine")
    np.testing.assert_array_equal(dense(W), nearest(np.minimum(apart, 12 - apart), 3))


def test_knn_among_many_units_in_one_place():
    """More of them than are looked at first: all are at distance 0, and the first have it."""
    places = np.repeat([[0.0, 0.0], [1.0, 0.0], [9.0, 9.0]], [15, 2, 1], axis=0)[
        np.random.default_rng(2).permutation(18)
    ]
    exact = ((places[:, None] - places[None]) ** 2).sum(axis=2)
    for k in (1, 3, 16):
        np.testing.assert_array_equal(dense(Weights.knn(places, k)), nearest(exact, k))


@ALL_LINKED
@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("metric", PLACES)
def test_distance_band_is_brute_force(metric, share):
    distance = DISTANCE[metric]
    threshold = np.quantile(distance[OFF], share) * (1 + 1e-7)
    W = Weights.distance_band(PLACES[metric], threshold, ids=LABELS, metric=metric, islands="allow")
    np.testing.assert_array_equal(dense(W), OFF & (distance <= threshold))
    assert W.ids.tolist() == LABELS


def test_distance_band_is_that_of_libpysal():
    weights = pytest.importorskip("libpysal.weights")
    theirs = weights.DistanceBand.from_array(
        PLANE, threshold=9.0, binary=True, silence_warnings=True
    )
    assert 0 < theirs.sparse.nnz < N * (N - 1)
    np.testing.assert_array_equal(
        dense(Weights.distance_band(PLANE, 9.0, islands="allow")), theirs.sparse.toarray()
    )


@pytest.mark.parametrize(("step", "start"), [(1, 7), (0.1, 7 / 3), (1e-3, 4e6), (1e5 / 3, -4e6)])
def test_a_distance_equal_to_the_threshold_is_within_it(step, start):
    """On a lattice the next units are the rook's neighbours, those across a corner make it the
    queen's.
    """
    exact = ((LATTICE[:, None] - LATTICE[None]) ** 2).sum(axis=2)
    for squared in (1, 2):
        W = Weights.distance_band(start + step * LATTICE, step * math.sqrt(squared))
        np.testing.assert_array_equal(dense(W), (exact > 0) & (exact <= squared))


@ALL_LINKED
def test_half_way_round_the_earth_links_all():
    places = [[0, 90], [0, -90], [5, 0]]
    W = Weights.distance_band(places, math.pi * builders.RADIUS, metric="haversine")
    np.testing.assert_array_equal(dense(W), 1 - np.eye(3))


@pytest.mark.parametrize("share", [None, 0.3, 1.0])
@pytest.mark.parametrize("power", [1, 2, 0.5])
@pytest.mark.parametrize("metric", PLACES)
def test_inverse_distance_is_brute_force(monkeypatch, metric, power, share):
    monkeypatch.setattr(builders, "BLOCK", 3 * N + 1)  # some rows at a time
    distance = DISTANCE[metric] + np.eye(N)
    cutoff = None if share is None else np.quantile(distance[OFF], share) * (1 + 1e-7)
    W = Weights.inverse_distance(
        PLACES[metric], power, cutoff, ids=LABELS, metric=metric, islands="allow"
    )
    want = OFF * (distance <= (np.inf if cutoff is None else cutoff)) / distance**power
    # the radius is rounded to four digits
    scale = (RADIUS / builders.RADIUS) ** power if metric == "haversine" else 1.0
    np.testing.assert_allclose(dense(W), want * scale, rtol=1e-9)
    assert W.is_symmetric
    assert W.ids.tolist() == LABELS


# theirs, on the diagonal
@pytest.mark.filterwarnings("ignore:divide by zero encountered in power:RuntimeWarning")
@pytest.mark.parametrize("power", [1, 2])
def test_inverse_distance_is_that_of_libpysal(power):
    weights = pytest.importorskip("libpysal.weights")
    theirs = weights.DistanceBand.from_array(
        PLANE, threshold=9.0, binary=False, alpha=-float(power), silence_warnings=True
    )
    W = Weights.inverse_distance(PLANE, power=power, cutoff=9.0, islands="allow")
    np.testing.assert_allclose(dense(W), theirs.sparse.toarray(), rtol=1e-12)


@pytest.mark.parametrize("power", [1, 2])
def test_economic_is_the_loop(power):
    x = pd.Series(RNG.normal(size=9), index=LABELS[:9])
    want = [
        [0.0 if i == j else 1 / abs(a - b) ** power for j, b in enumerate(x)]
        for i, a in enumerate(x)
    ]
    W = Weights.economic(x, power=power)
    np.testing.assert_allclose(dense(W), want, rtol=1e-12)
    assert W.ids.tolist() == LABELS[:9]


@pytest.mark.parametrize("standard", [False, True])
def test_economic_geography_is_the_loop(standard):
    geography = Weights.knn(PLANE, 3, ids=LABELS)
    geography = geography.row_standardize() if standard else geography
    x = pd.Series(RNG.lognormal(size=N), index=LABELS)
    W = Weights.economic_geography(geography, x[RNG.permutation(LABELS)])
    mean, w = sum(x) / N, dense(geography)
    want = [[w[i, j] * x[LABELS[j]] / mean for j in range(N)] for i in range(N)]
    np.testing.assert_allclose(dense(W), want, rtol=1e-12)
    assert (W.ids.tolist(), W.transform) == (LABELS, "raw")
    assert dense(geography).sum() == pytest.approx(N if standard else 3 * N)  # left as it was


ONE = np.array([[0, 1, 3, 0], [2, 0, 0, 0], [0, 5, 0, 1], [1, 0, 0, 0.0]])
TWO = np.array([[0, 0, 0, 7], [1, 0, 1, 2], [4, 0, 0, 0], [1, 1, 1, 0.0]])
FOUR = list("abcd")


@pytest.mark.parametrize("share", [0, 0.25, 0.5, 1])
@pytest.mark.parametrize("transform", ["raw", "row", "spectral"])
def test_nested_is_the_mean_of_the_standardised(transform, share):
    a, b = Weights(ONE, FOUR), Weights(TWO, FOUR)[["d", "b", "a", "c"]]
    a = {"raw": a, "row": a.row_standardize(), "spectral": a.spectral_standardize()}[transform]
    W = Weights.nested(a, b, share)
    want = share * ONE / ONE.sum(axis=1)[:, None] + (1 - share) * TWO / TWO.sum(axis=1)[:, None]
    np.testing.assert_allclose(dense(W), want, rtol=1e-14)
    assert (W.ids.tolist(), W.transform, W.is_row_standardized) == (FOUR, "row", True)


def test_nested_gives_an_island_of_one_its_row_in_the_other():
    one, two = ONE.copy(), TWO.copy()
    one[1] = one[2] = two[2] = 0.0
    W = Weights.nested(
        Weights(one, FOUR, islands="allow"), Weights(two, FOUR, islands="allow"), 0.25
    )
    assert W.islands == ["c"]
    np.testing.assert_allclose(dense(W)[1], TWO[1] / TWO[1].sum(), rtol=1e-15)
    np.testing.assert_allclose(
        dense(W)[0], 0.25 * ONE[0] / ONE[0].sum() + 0.75 * TWO[0] / TWO[0].sum(), rtol=1e-15
    )


def test_economic_geography_keeps_islands():
    geography = Weights(ONE * [[1], [0], [1], [1]], FOUR, islands="allow")
    assert Weights.economic_geography(geography, pd.Series([1.0, 2, 3, 4], FOUR)).islands == ["b"]


def squares(cells, index=None):
    geopandas, shapely = pytest.importorskip("geopandas"), pytest.importorskip("shapely")
    return geopandas.GeoDataFrame(
        geometry=[shapely.box(x, y, x + 1, y + 1) for x, y in cells], index=index
    )


@pytest.mark.parametrize("rook", [False, True])
def test_contiguity_is_that_of_libpysal(rook):
    """A lattice with holes and an island: the queen's and the rook's neighbours, ids from the
    index.
    """
    weights = pytest.importorskip("libpysal.weights")
    cells = np.vstack((np.delete(LATTICE, [7, 11, 12], axis=0), [[30, 30]]))
    names = [f"cell {i}" for i in np.random.default_rng(0).permutation(len(cells))]
    frame = squares(cells, names)
    theirs = (weights.Rook if rook else weights.Queen).from_dataframe(
        frame, use_index=True, silence_warnings=True
    )
    W = Weights.contiguity(frame, rook=rook, islands="allow")
    assert W.ids.tolist() == names
    assert W.islands == names[-1:]
    np.testing.assert_array_equal(dense(W), theirs.sparse.toarray())
    step = np.abs(cells[:, None] - cells[None])
    np.testing.assert_array_equal(
        dense(W), (step.sum(axis=2) == 1) if rook else (step.max(axis=2) == 1)
    )
    with pytest.raises(WeightsError, match=names[-1]):
        Weights.contiguity(frame, rook=rook)
    assert Weights.contiguity(frame.geometry, rook=rook, islands="allow") == W


@pytest.mark.parametrize("metric", PLACES)
def test_a_frame_names_the_units(metric):
    frame = pd.DataFrame(
        PLACES[metric], index=pd.Index(LABELS, name="city"), columns=["east", "north"]
    )
    W = Weights.inverse_distance(frame, metric=metric)
    assert W.ids.equals(frame.index)
    assert Weights.inverse_distance(PLACES[metric], ids=LABELS, metric=metric) == W
    assert Weights.knn(PLACES[metric].tolist(), 2, metric=metric).ids.tolist() == list(range(N))
