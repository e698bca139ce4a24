"""Coordinates in the wrong order, the wrong unit or under the wrong metric are refused or warned
of, and others are not.
"""

import math
import re
import warnings

import numpy as np
import pandas as pd
import pytest

import spillover as so
from spillover.engine.config.weights import make_weights
from spillover.engine.weights.places import RADIUS as OURS

CITIES = {
    "beijing": (116.41, 39.90),
    "shanghai": (121.47, 31.23),
    "chengdu": (104.07, 30.57),
    "harbin": (126.53, 45.80),
}
DEGREES = pd.DataFrame(CITIES.values(), index=list(CITIES), columns=["lon", "lat"])
GLOBE = {"metric": "haversine"}
METRES = DEGREES.set_axis(["x", "y"], axis=1) * 111_320.0
BUILDERS = {
    "knn": lambda places, **options: so.Weights.knn(places, 1, **options),
    "distance_band": lambda places, **options: so.Weights.distance_band(
        places, 1100 if "metric" in options else 11, islands="allow", **options
    ),
    "inverse_distance": lambda places, **options: so.Weights.inverse_distance(places, **options),
}


@pytest.mark.parametrize(
    "names",
    [
        ("lat", "lon"),
        ("Latitude", "Longitude"),
        ("纬度", "经度"),
        ("lat", "x"),
        ("y", "capital_lng"),
    ],
)
def test_columns_called_latitude_then_longitude_are_refused(names):
    swapped = DEGREES[["lat", "lon"]].set_axis(names, axis=1)
    for make in BUILDERS.values():
        with pytest.raises(so.WeightsError) as caught:
            make(swapped, **GLOBE)
        assert f"{names[0]!r}, then {names[1]!r}" in str(caught.value)
        assert f"frame[[{names[1]!r}, {names[0]!r}]] puts them right" in str(caught.value)


def test_the_way_out_of_swapped_columns_is_right():
    swapped = DEGREES[["lat", "lon"]]
    assert so.Weights.knn(swapped[["lon", "lat"]], 2, **GLOBE) == so.Weights.knn(
        DEGREES, 2, **GLOBE
    )


@pytest.mark.parametrize("make", BUILDERS)
def test_degrees_are_no_plane(make):
    """Warned of and made: tables in print rest on such distances. At the cities' mean latitude a
    degree of longitude is cos(36.9°).
    """
    shorter = f"{np.cos(np.radians(DEGREES['lat'].mean())):.2f}"
    for names in (["lon", "lat"], ["lat", "lon"]):
        with pytest.warns(so.SpilloverWarning, match="haversine") as caught:
            W = BUILDERS[make](DEGREES[names])
        assert shorter in str(caught[0].message)
        assert caught[0].filename == __file__
        assert BUILDERS[make](DEGREES[["lon", "lat"]].to_numpy(), ids=list(CITIES)) == W


@pytest.mark.parametrize(
    "places",
    [
        np.random.default_rng(0).uniform(size=(6, 2)),
        DEGREES.to_numpy(),  # without a name, it may be anything
        DEGREES.set_axis(["x", "y"], axis=1),
        METRES.set_axis(["lon", "lat"], axis=1),  # called so, and no degrees
        pd.DataFrame(np.random.default_rng(0).uniform(size=(6, 2)), columns=["east", "north"]),
    ],
)
def test_nothing_is_said_without_evidence(places):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        so.Weights.knn(places, 2)


# of GRS80, km: Moritz (2000), Geodetic Reference System 1980, J. Geodesy 74
EQUATORIAL, FLATTENING = (
    6378.137,
    1 / 298.257222101,
)
RADIUS = EQUATORIAL * (3 - FLATTENING) / 3  # (2a + b) / 3


def test_the_radius_is_the_mean_one_of_the_ellipsoid():
    assert pytest.approx(RADIUS, abs=5e-5) == OURS


R = OURS
WAYS = {
    "a quarter of a meridian": ((17, 0), (17, 90), math.pi * R / 2),
    "antipodes": ((10, -30), (190, 30), math.pi * R),
    "nearly antipodes": ((0, 0), (180, 1e-5), (math.pi - math.radians(1e-5)) * R),
    "poles": ((33, 90), (-120, -90), math.pi * R),
    "across the date line": ((179.5, 0), (-179.5, 0), math.radians(1) * R),
    "a longitude counted on": ((359, 0), (1, 0), math.radians(2) * R),
    "an octant": ((0, 0), (90, 0), math.pi * R / 2),
    "a few metres": ((5, 45), (5, 45.0001), math.radians(1e-4) * R),
    "the corners of a regular tetrahedron": (
        (0, 90),
        (40, math.degrees(math.asin(-1 / 3))),
        math.acos(-1 / 3) * R,
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_great_circles(way):
    start, end, length = WAYS[way]
    W = so.Weights.inverse_distance([start, end], metric="haversine")
    assert 1 / W.to_scipy()[0, 1] == pytest.approx(length, rel=1e-10)


def test_arrays_that_look_swapped_or_projected_are_refused_and_say_so():
    for places, words in (
        (
            DEGREES[["lat", "lon"]].to_numpy(),
            ["latitude outside [-90, 90]: 0 = 116.41", "look swapped"],
        ),
        (METRES, ["longitude outside", "projected coordinates", 'metric="euclidean"']),
        (
            DEGREES.assign(lat=[39.9, 31.2, 95.0, 45.8]),
            ["'chengdu' = 95", "first the longitude, then the latitude."],
        ),
    ):
        with pytest.raises(so.WeightsError) as caught:
            so.Weights.knn(places, 1, **GLOBE)
        assert [word for word in words if word not in str(caught.value)] == []
    assert "look" not in str(caught.value)  # one wrong number is one wrong number


@pytest.mark.parametrize("reach", [20_016, 500_000, 1e9])
def test_a_distance_beyond_half_the_earth_is_metres(reach):
    for make, name in (
        (so.Weights.distance_band, "threshold"),
        (so.Weights.inverse_distance, "cutoff"),
    ):
        with pytest.raises(
            so.WeightsError,
            match=re.escape(
                f"20,015 km, half way round the earth: km are wanted, {name}={reach / 1000:g} if"
            ),
        ):
            make(DEGREES, **{name: reach}, **GLOBE)


def test_a_band_that_links_everything_is_warned_of():
    with pytest.warns(
        so.SpilloverWarning,
        match=r"threshold=15000 links every unit.* the farthest 2576\.3 apart: check its unit \(km",
    ) as caught:
        so.Weights.distance_band(DEGREES, 15_000, **GLOBE)
    assert caught[0].filename == __file__
    with pytest.warns(so.SpilloverWarning, match=r"the farthest .* check its unit\."):
        so.Weights.distance_band(METRES, 1e8)


def test_a_cutoff_that_could_be_in_another_unit_is_warned_of():
    """Some times the greatest distance only says "all", a thousand times is metres for km."""
    so.Weights.inverse_distance(DEGREES, cutoff=20_000, **GLOBE)
    so.Weights.inverse_distance(METRES, cutoff=9 * 3e6)
    with pytest.warns(
        so.SpilloverWarning, match=r"cutoff=3e\+09 links every unit.* apart: check its unit\."
    ):
        so.Weights.inverse_distance(METRES, cutoff=1000 * 3e6)


POINTS = {"x": [116.41, 121.47, 104.07], "y": [39.90, 31.23, 30.57]}


def test_points_bring_their_metric():
    geopandas = pytest.importorskip("geopandas")
    points = geopandas.GeoSeries.from_xy(POINTS["x"], POINTS["y"], index=list("bsc"), crs=4326)
    projected = points.to_crs(32650)
    plain = pd.DataFrame(POINTS, index=list("bsc"))
    for given in (points, points.to_frame("place").assign(name="B")):
        assert so.Weights.inverse_distance(given, **GLOBE) == so.Weights.inverse_distance(
            plain, **GLOBE
        )
        with pytest.raises(so.WeightsError, match=r"degrees \(WGS 84\).*metric=\"haversine\""):
            so.Weights.knn(given, 1)
    straight = np.linalg.norm(
        projected.get_coordinates().to_numpy()[0] - projected.get_coordinates().to_numpy()[1]
    )
    assert so.Weights.inverse_distance(projected).to_scipy().toarray()[0, 1] == pytest.approx(
        1 / straight, rel=1e-12
    )
    with pytest.raises(
        so.WeightsError,
        match=r"a projection \(WGS 84 / UTM zone 50N\).*metric=\"euclidean\", or to_crs\(4326\)",
    ):
        so.Weights.knn(projected, 1, **GLOBE)
    with pytest.raises(so.WeightsError, match="no point, or an empty one: 's'"):
        so.Weights.knn(points.where(points.index != "s", None), 1, **GLOBE)


def test_a_config_that_takes_the_latitude_for_x_is_refused(tmp_path):
    DEGREES.rename_axis("city").to_csv(tmp_path / "places.csv")
    frame = pd.DataFrame({"y": 1.0}, index=list(CITIES))

    def table(x, y, metric):
        coordinates = {"file": "places.csv", "unit": "city", "x": x, "y": y}
        return make_weights(
            tmp_path,
            {"near": {"kind": "knn", "k": 2, "coordinates": coordinates, "metric": metric}},
            frame,
        )

    for metric in ("haversine", "euclidean"):
        with pytest.raises(
            so.WeightsError, match=r"weights.near.*places.csv: x = 'lat', y = 'lon'.*swap them"
        ):
            table("lat", "lon", metric)
    assert (
        table("lon", "lat", "haversine")["near"]
        == so.Weights.knn(DEGREES, 2, **GLOBE).row_standardize()
    )


def test_a_map_is_not_drawn_on_its_side():
    values = pd.Series([1.0, 2.0, 3.0, 5.0], index=list(CITIES))
    W = so.Weights.knn(DEGREES, 1, **GLOBE)
    found = so.moran_local(values, W, permutations=0)
    with pytest.raises(so.DataError, match=r"'lat', 'lon'.*longitude, is wanted first"):
        so.plots.moran_local(found, DEGREES[["lat", "lon"]])
