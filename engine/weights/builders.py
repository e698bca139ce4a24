"""Spatial weights made from polygons, coordinates, and numbers of the units.

The functions serve the constructors of `Weights`. Those that make links return the matrix (N, N)
and the labels (N,) of its units.
"""

import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sparse
from scipy.spatial import cKDTree

from spillover.engine import memory
from spillover.engine.labels import align, as_index, as_numbers, few, type_hint
from spillover.engine.storage.reading import spell
from spillover.engine.weights.checks import Labelled
from spillover.engine.weights.libpysal_objects import read_libpysal
from spillover.engine.weights.places import FARTHEST, RADIUS, Places, as_places
from spillover.kernels.arguments import kind_of
from spillover.kernels.errors import SpilloverWarning, WeightsError

WHOLE, REAL = (int, np.integer), (int, float, np.integer, np.floating)
LARGEST = float(np.finfo(float).max)
FEW = 1_000_000  # links that are made without checking the memory
BLOCK = 4_000_000  # distances computed at a time
FAR = 10  # a cutoff this many times the greatest distance is taken to be in another unit
EQUAL = 1e-12  # distances this close, relative to themselves, are equal


def link_contiguous(geodataframe: Any, rook: bool) -> Labelled:
    """Link polygons that share a vertex, or an edge if `rook`, for `Weights.contiguity`."""
    try:
        import geopandas
        from libpysal.graph import Graph
    except ImportError as error:
        raise WeightsError(
            "contiguity needs libpysal and geopandas: pip install 'spillover[geo]'."
        ) from error
    if not isinstance(rook, bool):
        raise WeightsError(
            f"rook={spell(rook)}: say True for shared edges, False for shared vertices."
        )
    if not isinstance(geodataframe, geopandas.GeoDataFrame | geopandas.GeoSeries):
        raise WeightsError(
            f"{kind_of(geodataframe)} has no polygons: give a GeoDataFrame, its index the ids."
        )
    try:
        polygons = geodataframe.geometry
    except AttributeError as error:
        raise WeightsError(
            "the GeoDataFrame has no active geometry: choose its column by set_geometry()."
        ) from error
    ids = as_index(polygons.index)
    wrong = (
        ~polygons.geom_type.isin(["Polygon", "MultiPolygon"]).to_numpy()
        | polygons.is_empty.to_numpy()
    )
    if wrong.any():
        raise WeightsError(
            f"no polygon, or an empty one: {few(ids[wrong])}. Give each unit its area, or leave it"
            " out."
        )
    return read_libpysal(Graph.build_contiguity(polygons, rook=rook))


def link_nearest(
    coordinates: Any, k: Any, ids: Any, metric: str, max_memory: float | None
) -> Labelled:
    """Link every unit to its k nearest units, for `Weights.knn`."""
    places = as_places(coordinates, ids, metric)
    n = len(places.ids)
    if not isinstance(k, WHOLE) or isinstance(k, bool) or not 1 <= k < n:
        raise WeightsError(
            f"k={spell(k)}: give a whole number of neighbours from 1 to {n - 1}, the number of the"
            " other units."
        )
    k = int(k)
    _check_size(n * k, f"k={k} neighbours of {n} units", "choose a smaller k", max_memory)
    tree, columns = cKDTree(places.points), np.empty((n, k), dtype=np.int64)
    rows, width = np.arange(n), k + 2  # the unit itself, its k nearest, and one more to see a tie
    while len(rows):
        width = min(width, n)
        tied = []
        for part in np.array_split(rows, 1 + len(rows) * width // BLOCK):
            columns[part], settled = _choose_nearest(places, tree, part, k, width)
            tied.append(part[~settled])
        rows, width = np.concatenate(tied), 2 * width
    starts = np.arange(0, n * k + 1, k)
    return (
        sparse.csr_array((np.ones(n * k), np.sort(columns, axis=1).ravel(), starts), shape=(n, n)),
        places.ids,
    )


def _choose_nearest(
    places: Places, tree: cKDTree, rows: np.ndarray, k: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Choose the k nearest others of m units among the `width` points nearest to each.

    Ties go to the unit that comes first. Returns the choice (m, k), and (m,) whether it is final:
    no unit that ties for the last place can lie beyond those points.
    """
    n = len(places.ids)
    distance, index = tree.query(places.points[rows], k=width)
    others = np.where(index == rows[:, None], np.inf, distance)
    last = np.partition(others, k - 1, axis=1)[:, k - 1]
    slack = EQUAL * last + places.rounding
    nearer, tied = others < (last - slack)[:, None], others <= (last + slack)[:, None]
    order = np.where(nearer, 0, np.where(tied, 1, 2)) * n + index
    chosen = np.partition(order, k - 1, axis=1)[:, :k] % n
    return chosen, (distance[:, -1] > last + slack) | (width == n)


def link_within(
    coordinates: Any, threshold: Any, ids: Any, metric: str, max_memory: float | None
) -> Labelled:
    """Link units up to a distance apart, for `Weights.distance_band`."""
    places = as_places(coordinates, ids, metric)
    rows, columns, distance = _find_pairs(
        places, _as_reach(threshold, "threshold", places), "threshold", max_memory
    )
    return _mirror(rows, columns, np.ones_like(distance), places.ids)


def weigh_by_distance(
    coordinates: Any,
    power: Any,
    cutoff: Any,
    ids: Any,
    metric: str,
    max_memory: float | None,
) -> Labelled:
    """Weigh all pairs, or those up to a cutoff, by 1 / d^power, for `Weights.inverse_distance`."""
    places, power = as_places(coordinates, ids, metric), _as_positive(power, "power")
    _check_distinct(
        places,
        "stand in the same place, where 1/d has no value",
        "Merge them, move one, or use knn or distance_band.",
    )
    if cutoff is None:
        _check_size(
            len(places.ids) * (len(places.ids) - 1),
            f"all pairs of {len(places.ids)} units",
            "give a cutoff",
            max_memory,
        )
        return _weigh_all_pairs(places, power)
    rows, columns, distance = _find_pairs(
        places, _as_reach(cutoff, "cutoff", places), "cutoff", max_memory
    )
    return _mirror(rows, columns, _invert(distance, power), places.ids)


def weigh_by_difference(values: Any, power: Any, max_memory: float | None) -> Labelled:
    """Weigh all pairs by `1 / |x_i - x_j|^power`, for `Weights.economic`."""
    x, ids = _values_by_unit(values), as_index(values.index)
    places, power = Places(x[:, None], ids), _as_positive(power, "power")
    _check_distinct(
        places,
        "have the same value, where 1/|x_i - x_j| has none",
        "Give more digits or another variable, or merge them.",
    )
    way_out = "use economic_geography with sparse weights"
    _check_size(len(ids) * (len(ids) - 1), f"all pairs of {len(ids)} units", way_out, max_memory)
    return _weigh_all_pairs(places, power)


def scale_by_size(matrix: sparse.csr_array, ids: pd.Index, values: Any) -> sparse.csr_array:
    """Scale the weights to w_ij x_j / mean(x), for `Weights.economic_geography`.

    Parameters
    ----------
    matrix : csr_array, shape (N, N)
        The weights w.
    ids : Index, shape (N,)
        The labels of the units.
    values : Series, shape (N,)
        The size x > 0 of each unit, matched to `ids` by its index.
    """
    x = _values_by_unit(values)[align(ids, values.index)]
    low = x <= 0
    if low.any():
        culprits = few([f"{few(ids[[i]])} = {x[i]:g}" for i in np.flatnonzero(low)], str)
        raise WeightsError(
            f"values of 0 or less: {culprits}. They scale the weights, so give positive ones,"
            " levels and not logs or growth."
        )
    scaled = matrix.copy()
    scaled.data *= (x / x.mean())[scaled.indices]
    return scaled


def _find_pairs(
    places: Places, limit: float, what: str, max_memory: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the pairs i < j no farther apart than the limit, to rounding, and their distances."""
    straight = 2 * math.sin(min(limit / (2 * RADIUS), math.pi / 2)) if places.sphere else limit
    # a little more than the limit: the exact distances decide below
    reach = straight * (1 + 2 * EQUAL) + 2 * places.rounding
    tree, n = cKDTree(places.points), len(places.ids)
    if n * (n - 1) > FEW:
        links = int(tree.count_neighbors(tree, reach)) - n
        _check_size(
            links, f"{what}={limit:g} for {n} units", f"choose a smaller {what}", max_memory
        )
    rows, columns = tree.query_pairs(reach, output_type="ndarray").T
    apart = places.distance(places.points[rows], places.points[columns])
    slack = EQUAL * limit + places.rounding * (RADIUS if places.sphere else 1.0)
    near = apart <= limit + slack
    every = n > 2 and 2 * near.sum() == n * (n - 1)
    if every and (what == "threshold" or limit > FAR * apart.max()):
        unit = " (km are wanted)" if places.sphere else ""
        warnings.warn(
            f"{what}={limit:g} links every unit to every other, the farthest {apart.max():g} apart:"
            f" check its unit{unit}.",
            SpilloverWarning,
            stacklevel=5,
        )
    return rows[near], columns[near], apart[near]


def _mirror(rows: np.ndarray, columns: np.ndarray, values: np.ndarray, ids: pd.Index) -> Labelled:
    """Make the symmetric matrix of values given for the pairs i < j."""
    half = sparse.csr_array((values, (rows, columns)), shape=(len(ids), len(ids)))
    return (half + half.T).tocsr(), ids


def _weigh_all_pairs(places: Places, power: float) -> Labelled:
    """Compute 1 / d^power for all pairs, a block of rows at a time."""
    n, points = len(places.ids), places.points
    values, columns = np.empty(n * (n - 1)), np.empty(n * (n - 1), dtype=np.int32)
    step = max(1, BLOCK // n)
    for start in range(0, n, step):
        rows = np.arange(start, min(start + step, n))
        others = rows[:, None] != np.arange(n)
        part = slice(start * (n - 1), (rows[-1] + 1) * (n - 1))
        values[part] = _invert(places.distance(points[rows, None], points[None])[others], power)
        columns[part] = np.nonzero(others)[1]
    return sparse.csr_array((values, columns, np.arange(n + 1) * (n - 1)), shape=(n, n)), places.ids


def _invert(distances: np.ndarray, power: float) -> np.ndarray:
    """Compute 1 / d^power, and refuse values beyond the range of floats.

    They would make a link infinite or drop it.
    """
    with np.errstate(divide="ignore", over="ignore"):
        values = distances**-power
    if not (np.isfinite(values) & (values > 0)).all():
        reach = f"{distances.min():g} to {distances.max():g}"
        raise WeightsError(
            f"power={power:g} of distances from {reach} leaves the range of numbers: lower the"
            " power or change the unit."
        )
    return values


def _values_by_unit(values: Any) -> np.ndarray:
    """Read the numbers (N,) of a Series with one finite value per unit."""
    if not isinstance(values, pd.Series):
        raise WeightsError(
            f"values are {kind_of(values)}: give a Series indexed by unit, e.g."
            " frame.groupby(unit)[column].mean()."
        )
    if not len(values):
        raise WeightsError(
            "values are empty: give one per unit, e.g. frame.groupby(unit)[column].mean()."
        )
    x = as_numbers(values, "values")
    if not np.isfinite(x).all():
        bad = few(values.index[~np.isfinite(x)])
        raise WeightsError(
            f"values that are missing or infinite: {bad}. Fill them in, or leave these units out."
        )
    return x


def _check_distinct(places: Places, what: str, way_out: str) -> None:
    """Refuse units that are in the same place, to rounding."""
    again = cKDTree(places.points).query(places.points, k=2)[0][:, 1] <= places.rounding
    if again.any():
        order = np.lexsort(places.points[again].T)  # units in the same place together
        raise WeightsError(f"units {what}: {few(places.ids[again][order])}. {way_out}")


def _check_size(links: int, what: str, way_out: str, max_memory: float | None) -> None:
    """Refuse more links than there is memory for, before any is made."""
    if links > FEW or max_memory is not None:
        memory.check(
            memory.estimate_links(links),
            f"{what}, {links:,} links",
            way_out,
            max_memory,
            WeightsError,
        )


def _as_reach(value: Any, name: str, places: Places) -> float:
    """Check a distance up to which units are linked; on the globe, at most half way round."""
    # beyond 10 * FARTHEST every unit is within reach
    reach, half = min(_as_positive(value, name), 10 * FARTHEST), math.pi * RADIUS
    if places.sphere and reach > half * (1 + EQUAL):
        metres = f"{name}={reach / 1000:g} if these are metres"
        raise WeightsError(
            f"{name}={reach:g} is beyond {half:,.0f} km, half way round the earth: km are wanted,"
            f" {metres}."
        )
    return reach


def _as_positive(value: Any, name: str) -> float:
    if not isinstance(value, REAL) or isinstance(value, bool) or not 0 < value <= LARGEST:
        raise WeightsError(f"{name}={spell(value)}: give a positive number.")
    return float(value)


def as_share(share: Any) -> float:
    """Check the share of the first of two weights, from 0 to 1, for `Weights.nested`."""
    if not isinstance(share, REAL) or isinstance(share, bool) or not 0 <= share <= 1:
        raise WeightsError(
            f"share={spell(share)}: give the share of the first weights, a number from 0 to 1."
        )
    return float(share)


def check_same_units(a: pd.Index, b: pd.Index) -> None:
    """Refuse two weights with different units, naming those that only one of them has."""
    ours, theirs = a.difference(b, sort=False), b.difference(a, sort=False)
    if len(ours) or len(theirs):
        sides = "; ".join(
            f"only in {name}: {few(units)}"
            for name, units in (("a", ours), ("b", theirs))
            if len(units)
        )
        raise WeightsError(
            f"a and b have other units; {sides}. Take those of both: a[ids] and"
            f" b[ids].{type_hint(a, b)}"
        )
