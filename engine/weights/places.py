"""Units as points: coordinates checked, in the plane or on the sphere of the earth."""

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from spillover.engine.labels import as_index, as_numbers, few
from spillover.engine.recognition import are_swapped, find_coordinate
from spillover.engine.storage.reading import spell
from spillover.kernels.errors import SpilloverWarning, WeightsError

METRICS = ("euclidean", "haversine")
DEGREES = ((-180, 360), (-90, 90))  # ranges of longitude and latitude
# km: (2a + b) / 3 of the ellipsoid GRS80, adopted by the IUGG; Moritz (2000), J. Geodesy 74,
# 128-133
RADIUS = 6371.0088
FARTHEST = 1e150  # largest coordinate: squared distances stay within the range of floats
EPS = 8 * np.finfo(float).eps  # relative rounding of a distance computed from coordinates


@dataclass(frozen=True)
class Places:
    """N units as points, with the distances between them.

    Parameters
    ----------
    points : array, shape (N, d)
        x and y in the plane (d = 2), or points on the unit sphere (d = 3). Straight lines between
        the points order the pairs as the distances do.
    ids : pandas.Index, shape (N,)
        The labels of the units.
    sphere : bool
        Whether the points lie on the unit sphere; distances are then in km along the earth.
    """

    points: np.ndarray
    ids: pd.Index
    sphere: bool = False

    @property
    def rounding(self) -> float:
        """How far rounding may move the length of a straight line between two points."""
        return float(EPS * np.abs(self.points).max(initial=0.0))

    def distance(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The distances between the points a and b (…, d): straight, or in km along the sphere.

        A chord of the unit sphere spans the angle `2 atan(|a - b| / |a + b|)`, which is accurate
        for near points and for antipodes alike.
        """
        straight: np.ndarray = np.linalg.norm(a - b, axis=-1)
        if not self.sphere:
            return straight
        angle: np.ndarray = 2 * np.arctan2(straight, np.linalg.norm(a + b, axis=-1))
        return RADIUS * angle


def as_places(coordinates: Any, ids: Any, metric: Any) -> Places:
    """Convert the coordinates of units to points.

    Parameters
    ----------
    coordinates : array, shape (N, 2), DataFrame of two columns, or points of GeoPandas
        x and y, or for the metric "haversine" longitude and latitude in degrees.
    ids : N labels, or None
        The labels of an array's rows (default 0 … N - 1); a table has its index.
    metric : "euclidean" or "haversine"

    Raises
    ------
    WeightsError
        For coordinates that are missing, infinite, off the globe or in the wrong order, and for
        points whose coordinate reference system does not suit the metric.
    """
    if not isinstance(metric, str) or metric not in METRICS:
        raise WeightsError(f"metric={spell(metric)}: choose one of {', '.join(METRICS)}.")
    coordinates = _take_points(coordinates, metric)
    given = as_numbers(coordinates, "coordinates")
    if given.ndim != 2 or given.shape[1] != 2 or not len(given):
        raise WeightsError(
            f"the coordinates have shape {given.shape}: give (n, 2), one row per unit, x and y or"
            " longitude and latitude."
        )
    names = list(coordinates.columns) if isinstance(coordinates, pd.DataFrame) else None
    if names is not None and ids is not None:
        raise WeightsError(
            "a DataFrame carries its ids, its index: leave ids out, or give frame.to_numpy()"
            " with ids."
        )
    given_ids = ids if names is None else coordinates.index
    labels = as_index(np.arange(len(given)) if given_ids is None else given_ids, len(given))
    _check_range(given, labels)
    if metric == "euclidean":
        if names is not None:
            _warn_of_degrees(given, names)
        return Places(given, labels)
    if names is not None and are_swapped(names):
        first, second = names
        way_out = f"frame[[{second!r}, {first!r}]] puts them right"
        raise WeightsError(
            f"the columns are {first!r}, then {second!r}, and the longitude is wanted first, then"
            f" the latitude: {way_out}."
        )
    _check_globe(given, labels)
    return Places(_put_on_sphere(given), labels, sphere=True)


def _check_range(given: np.ndarray, labels: pd.Index) -> None:
    """Refuse coordinates that are not finite, or too large for their distances to be floats."""
    bad = ~np.isfinite(given).all(axis=1)
    if bad.any():
        raise WeightsError(
            f"coordinates that are missing or infinite: {few(labels[bad])}. Fill them in, or leave"
            " these units out."
        )
    far = (np.abs(given) > FARTHEST).any(axis=1)
    if far.any():
        raise WeightsError(
            f"coordinates beyond {FARTHEST:g}, whose distances no float holds: {few(labels[far])}."
            " Change the unit."
        )


def _put_on_sphere(degrees: np.ndarray) -> np.ndarray:
    """Convert longitude and latitude (N, 2) to points (N, 3) of the unit sphere."""
    longitude, latitude = np.deg2rad(degrees).T
    return np.column_stack(
        (
            np.cos(latitude) * np.cos(longitude),
            np.cos(latitude) * np.sin(longitude),
            np.sin(latitude),
        )
    )


def _take_points(coordinates: Any, metric: str) -> Any:
    """Take x and y of GeoPandas points, whose coordinate reference system must suit the metric.

    Other coordinates are returned as they are.
    """
    points: Any = getattr(coordinates, "geometry", None)
    if not isinstance(coordinates, pd.DataFrame | pd.Series) or not hasattr(points, "crs"):
        return coordinates
    wrong = (points.geom_type != "Point").to_numpy() | points.is_empty.to_numpy()
    if wrong.any():
        raise WeightsError(
            f"no point, or an empty one: {few(points.index[wrong])}. Take their centroids first:"
            " frame.centroid."
        )
    if points.crs is not None and points.crs.is_geographic != (metric == "haversine"):
        what, way_out = (
            ("degrees", 'say metric="haversine"')
            if points.crs.is_geographic
            else ("a projection", 'say metric="euclidean"')
        )
        other = "to_crs() a projection" if points.crs.is_geographic else "to_crs(4326)"
        raise WeightsError(
            f"the points are in {what} ({points.crs.name}), which metric={metric!r} misreads:"
            f" {way_out}, or {other}."
        )
    return pd.DataFrame({"x": points.x, "y": points.y}, index=points.index)


def _check_globe(given: np.ndarray, labels: pd.Index) -> None:
    """Refuse what is not longitude and latitude in degrees, and say what it looks like."""
    for values, what, (low, high) in zip(given.T, ("longitude", "latitude"), DEGREES, strict=True):
        outside = np.flatnonzero((values < low) | (values > high)).tolist()
        if outside:
            culprits = few([f"{few(labels[[i]])} = {values[i]:g}" for i in outside], str)
            raise WeightsError(
                f"{what} outside [{low}, {high}]: {culprits}. Give degrees, first the longitude,"
                f" then the latitude.{_likely_mistake(given)}"
            )


def _likely_mistake(given: np.ndarray) -> str:
    """What coordinates off the globe may be instead, for the end of an error message."""
    size = np.abs(given)
    if (size[:, 0] <= 90).all() and (size[:, 1] <= 360).all():
        return " The columns look swapped: every number of the first is a latitude."
    if (size.max(axis=1) > 360).all():
        return (
            ' These look like projected coordinates, metres perhaps: say metric="euclidean", or'
            " project them back to degrees."
        )
    return ""


def _warn_of_degrees(given: np.ndarray, names: list[Any]) -> None:
    """Warn of straight distances between degrees, in columns called latitude or longitude.

    A degree of longitude is shorter than one of latitude.
    """
    kinds = [find_coordinate(name) for name in names]
    order = [1, 0] if kinds[0] == "latitude" or kinds[1] == "longitude" else [0, 1]
    in_degrees = all(
        low <= values.min() and values.max() <= high
        for values, (low, high) in zip(given.T[order], DEGREES, strict=True)
    )
    if any(kinds) and in_degrees:
        shorter = math.cos(math.radians(float(np.abs(given[:, order[1]]).mean())))
        warnings.warn(
            f"Straight distances between degrees: a degree of longitude is {shorter:.2f} of one of"
            ' latitude at these places. Say metric="haversine" for km, with the columns as'
            f" longitude, latitude; the columns are {few(names)}.",
            SpilloverWarning,
            stacklevel=6,
        )
