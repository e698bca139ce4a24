"""The packaged provinces: the map against a table of its own, the panel against the truth it was
made from.
"""

import math

import numpy as np
import pandas as pd
import pytest
import scipy.sparse.csgraph as csgraph

import spillover as so
from spillover.models.prosperity import CONTROLS, TRUTH

NEIGHBOURS = {  # counted on a map, region by region, Hainan with Guangdong
    "Beijing": 2, "Tianjin": 2, "Hebei": 7, "Shanxi": 4, "Inner Mongolia": 8,
    "Liaoning": 3, "Jilin": 3, "Heilongjiang": 2,
    "Shanghai": 2, "Jiangsu": 4, "Zhejiang": 5, "Anhui": 6, "Fujian": 3, "Jiangxi": 6,
    "Shandong": 4,
    "Henan": 6, "Hubei": 6, "Hunan": 6, "Guangdong": 5, "Guangxi": 4, "Hainan": 1,
    "Chongqing": 5, "Sichuan": 7, "Guizhou": 5, "Yunnan": 4, "Tibet": 4,
    "Shaanxi": 8, "Gansu": 6, "Qinghai": 4, "Ningxia": 3, "Xinjiang": 3,
}  # fmt: skip
REGRESSORS = ["integration", *CONTROLS]


def arc(a, b):
    """The great-circle distance in km between (longitude, latitude) in degrees, by the spherical
    law of cosines.
    """
    (x, p), (y, q) = (map(math.radians, place) for place in (a, b))
    return 6371 * math.acos(
        min(1.0, math.sin(p) * math.sin(q) + math.cos(p) * math.cos(q) * math.cos(x - y))
    )


@pytest.fixture(scope="module")
def contiguity() -> so.Weights:
    return so.provinces()[1]


@pytest.fixture(scope="module")
def complete() -> pd.DataFrame:
    """The panel without gaps, with both indices."""
    frame, _ = so.provinces(complete=True)
    return frame.assign(
        prosperity=composite(frame, "prosperity").index,
        integration=composite(frame, "integration").index,
    )


@pytest.fixture(scope="module")
def weights(complete) -> so.Weights:
    """Economic geography, row-standardised, pair by pair."""
    places, gdp = so.province_coordinates(), complete.groupby("province")["gdp_per_capita"].mean()
    raw = [
        [
            0.0 if i == j else gdp[j] / gdp.mean() / arc(places.loc[i], places.loc[j]) ** 2
            for j in places.index
        ]
        for i in places.index
    ]
    return so.Weights(raw, places.index).row_standardize()


def composite(frame, name):
    table = so.province_indicators()
    chosen = table[table["composite"] == name]
    directions = {
        way: chosen.index[chosen["direction"] == way].tolist() for way in ("positive", "negative")
    }
    dimensions = {home: part.index.tolist() for home, part in chosen.groupby("dimension")}
    return so.entropy_index(frame, **directions, dimensions=dimensions or None)


# --- the map
# --------------------------------------------------------------------------------------------------


def test_every_province_has_its_number_of_neighbours(contiguity):
    counts = dict(zip(contiguity.ids, np.diff(contiguity.matrix.indptr).tolist(), strict=True))
    assert counts == NEIGHBOURS
    assert set(contiguity.matrix.data) == {1.0}


def test_the_map_is_symmetric_connected_and_could_be_drawn(contiguity):
    assert contiguity.is_symmetric
    assert contiguity.islands == []
    assert csgraph.connected_components(contiguity.matrix, return_labels=False) == 1
    borders = contiguity.matrix.nnz // 2
    # Euler: a planar graph has no more
    assert borders == sum(NEIGHBOURS.values()) / 2 <= 3 * contiguity.n - 6


def test_the_capitals_lie_in_china_and_near_those_of_their_neighbours(contiguity):
    places = so.province_coordinates()
    assert places.index.tolist() == contiguity.ids.tolist() == sorted(NEIGHBOURS)
    assert places["longitude"].between(73.5, 135.1).all()  # the extreme points of the country
    assert places["latitude"].between(18.1, 53.6).all()
    extremes = {places[column].agg(way) for column in places for way in ("idxmin", "idxmax")}
    assert extremes == {"Xinjiang", "Heilongjiang", "Hainan"}
    far = {
        (i, j): arc(places.loc[i], places.loc[j])
        for i, j in zip(*(contiguity.ids[k] for k in contiguity.matrix.nonzero()), strict=True)
    }
    assert max(far.values()) < 1_800
    assert min(far, key=far.get) in (("Beijing", "Tianjin"), ("Tianjin", "Beijing"))


@pytest.mark.parametrize(
    ("one", "other", "km"),
    [
        ("Beijing", "Shanghai", 1067),
        ("Guangdong", "Beijing", 1890),
        ("Xinjiang", "Beijing", 2400),
        ("Sichuan", "Chongqing", 270),
    ],
)
def test_distances_are_those_of_an_atlas(one, other, km):
    """Great-circle distances between the cities as atlases and airlines give them, to 3 %."""
    places = so.province_coordinates()
    assert arc(places.loc[one], places.loc[other]) == pytest.approx(km, rel=0.03)


# --- the panel
# --------------------------------------------------------------------------------------------------


def test_the_panel_is_balanced_sorted_and_described(complete):
    table = so.province_indicators()
    frame, _ = so.provinces()
    assert frame.columns.tolist() == ["province", "year", *table.index, *CONTROLS, "gdp_per_capita"]
    assert list(zip(frame["province"], frame["year"], strict=True)) == [
        (p, t) for p in sorted(NEIGHBOURS) for t in range(2014, 2024)
    ]
    for name, row in table.iterrows():
        low, high = sorted([row["worst"], row["best"]])
        assert complete[name].between(low - 1e-12, high + 1e-12).all()
        assert (row["direction"] == "positive") == (row["best"] > row["worst"])


def test_ten_cells_are_missing_and_can_be_filled_without_moving_a_scale(complete):
    frame, _ = so.provinces()
    indicators = so.province_indicators().index
    gaps = frame.isna()
    assert gaps.to_numpy().sum() == gaps[indicators].to_numpy().sum() == 10
    assert gaps.groupby(frame["province"]).sum().to_numpy().max() == 1
    pd.testing.assert_frame_equal(
        frame.where(~gaps, complete[frame.columns]), complete[frame.columns], check_exact=True
    )
    pd.testing.assert_frame_equal(
        frame[indicators].agg(["min", "max"]),
        complete[indicators].agg(["min", "max"]),
        check_exact=True,
    )
    filled = so.interpolate_panel(frame, unit="province", period="year")
    assert set(filled.cells["how"]) == {"interpolated", "extrapolated"}
    assert not filled.frame.isna().any(axis=None)
    for name in ("prosperity", "integration"):
        error = np.abs(composite(filled.frame, name).index - complete[name])
        assert 0 < error.max() < 0.1
        assert np.median(error) < 0.001


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_seed_moves_a_scale(seed):
    frame, _ = so.provinces(seed)
    full, _ = so.provinces(seed, complete=True)
    indicators = so.province_indicators().index
    assert frame.isna().to_numpy().sum() == 10
    pd.testing.assert_frame_equal(
        frame[indicators].agg(["min", "max"]),
        full[indicators].agg(["min", "max"]),
        check_exact=True,
    )


def test_a_seed_is_a_panel():
    pd.testing.assert_frame_equal(so.provinces(5)[0], so.provinces(5)[0], check_exact=True)
    assert not np.isclose(so.provinces(5)[0]["openness"], so.provinces(6)[0]["openness"]).any()


def test_the_indices_obey_the_published_coefficients(complete, weights):
    """What the truth leaves of y, once unit and period means are out, is noise of the size asked
    for.
    """

    def wide(name):
        return complete.pivot_table(values=name, index="year", columns="province")[
            weights.ids
        ].to_numpy()

    y, W = wide("prosperity"), weights.to_scipy().toarray()
    assert y.min() == pytest.approx(0, abs=1e-12)
    assert y.max() == pytest.approx(1, abs=1e-12)
    left = y - TRUTH["rho"] * y @ W.T
    for name in REGRESSORS:
        left = left - TRUTH[name] * wide(name) - TRUTH[f"W:{name}"] * wide(name) @ W.T
    left = left - left.mean(axis=0) - left.mean(axis=1, keepdims=True) + left.mean()
    nu = (len(y) - 1) * (y.shape[1] - 1)
    sigma = 0.008  # the default of the generator
    assert np.sqrt((left**2).sum() / nu) == pytest.approx(sigma, rel=4 / np.sqrt(2 * nu))


def test_prosperity_is_alike_among_neighbours_every_year(complete, weights, contiguity):
    """z'Wz, Moran's I up to a constant, against its values for shuffled provinces: one in twenty at
    most is larger.
    """
    rng = np.random.default_rng(0)
    for W in (contiguity.row_standardize(), weights):
        for _, part in complete.groupby("year"):
            z = part.set_index("province")["prosperity"].loc[W.ids].to_numpy()
            z = z - z.mean()
            draws = np.array(
                [(shuffled := rng.permutation(z)) @ (W @ shuffled) for _ in range(999)]
            )
            assert (draws < z @ (W @ z)).mean() > 0.95


def test_maximum_likelihood_recovers_the_truth(complete, weights):
    model = so.SDM(
        "prosperity ~ " + " + ".join(REGRESSORS),
        complete,
        weights,
        effects="twoway",
        unit="province",
        period="year",
    )
    ml = model.fit_ml()
    truth = pd.Series(dict(TRUTH))
    assert set(truth.index) == set(ml.params.index) - {"sigma"}
    z = (ml.params - truth)[truth.index] / ml.std_errors[truth.index]
    assert np.abs(z).max() < 3.5
    assert ml.params["integration"] / ml.std_errors["integration"] > 10
    assert abs(ml.params["rho"] - truth["rho"]) < 0.1
