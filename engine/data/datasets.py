"""Data that come with the package."""

from importlib.resources import files

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from spillover.engine.weights.builders import as_places
from spillover.engine.weights.weights import Weights
from spillover.kernels.arguments import flag, front_door
from spillover.kernels.arguments import seed as as_seed
from spillover.models.prosperity import CONTROLS, Prosperity, simulate_gdp, simulate_prosperity

YEARS = range(2014, 2024)
# the simulated economy thins out with the distance from them
CENTRES = [
    "Beijing",
    "Shanghai",
    "Guangdong",
]
# missing cells of `provinces`, and how many of them are in its first or last year
GAPS, AT_THE_ENDS = (
    10,
    3,
)


@front_door
def munnell() -> tuple[pd.DataFrame, Weights]:
    """Productivity of the 48 contiguous US states, 1970-1986, and which of them share a border.

    Returns the frame (816 rows: state, year, gsp: gross state product, pcap: public capital, pc:
    private capital, emp: employment in thousands, unemp: unemployment rate in percent; amounts in
    millions of dollars) and binary contiguity weights.

    >>> frame, W = munnell()
    >>> frame.shape, W.n
    ((816, 7), 48)

    Source: Munnell (1990), "Why has productivity growth declined? Productivity and public
    investment", New England Economic Review.
    """
    return _read("munnell"), _contiguity(_read("states"), "state")


@front_door
def provinces(seed: int = 0, *, complete: bool = False) -> tuple[pd.DataFrame, Weights]:
    """A SIMULATED panel of the 31 provinces of mainland China, 2014-2023, and which of them really
    share a border.

    y = rho W y + x beta + W x theta + alpha_i + xi_t + sigma e,   y = the entropy index of the ten
    indicators of prosperity

    with x the entropy index of the five indicators of integration and the five controls, the
    coefficients in `spillover.models.prosperity.TRUTH`, and W the row-standardised
    economic-geography weights: w_ij = g_j / d_ij^2, d_ij the great-circle distance between the
    capitals and g_j the mean over the years of gdp_per_capita. Only the map is real; no number in
    the frame is.

    `seed`: another one gives other data from the same truth; `complete`: leave out the gaps, for
    which the equation holds exactly.

    Returns the frame (310 rows, sorted by province, then year: province, year, the 15 indicators
    that `province_indicators` describes, government, openness, human_capital, industry, technology,
    and gdp_per_capita in yuan, which is not in the model) with ten cells of the indicators missing,
    and binary contiguity weights.

    >>> frame, W = provinces()
    >>> frame.shape, int(frame.isna().sum().sum()), W.n, W.is_symmetric
    ((310, 23), 10, 31, True)
    """
    rng = np.random.default_rng(as_seed(seed))
    flag("complete", complete)
    places = province_coordinates()
    gdp = simulate_gdp(-_remoteness(places), len(YEARS), rng)
    near = Weights.inverse_distance(places, power=2, metric="haversine")
    weights = Weights.economic_geography(
        near, pd.Series(gdp.mean(axis=0), places.index)
    ).row_standardize()
    frame = _frame(simulate_prosperity(weights.matrix, gdp, rng), gdp, places.index)
    return frame if complete else _with_gaps(frame, rng), _contiguity(
        _read("provinces"), "province"
    )


@front_door
def province_coordinates() -> pd.DataFrame:
    """Longitude and latitude of the capitals of the 31 provinces of `provinces`, in degrees,
    approximate, indexed by province.

    >>> province_coordinates().loc["Tibet"].to_dict()
    {'longitude': 91.13, 'latitude': 29.65}
    """
    return _read("provinces").set_index("province")[["longitude", "latitude"]]


@front_door
def province_indicators() -> pd.DataFrame:
    """The indicators of `provinces`, one row each: the composite, dimension, direction, the ends of
    the scale, the meaning.

    >>> table = province_indicators()
    >>> table.index[
    ...     (table["composite"] == "integration") & (table["direction"] == "negative")
    ... ].tolist()
    ['price_dispersion']
    """
    return _read("indicators").set_index("indicator")


def _read(name: str) -> pd.DataFrame:
    with (files("spillover") / "data" / f"{name}.csv").open(encoding="utf-8") as rows:
        return pd.read_csv(rows)


def _contiguity(places: pd.DataFrame, name: str) -> Weights:
    edges = places.assign(neighbour=places["neighbours"].str.split(";")).explode("neighbour")
    return Weights.from_edges(edges, name, "neighbour", ids=places[name])


def _remoteness(places: pd.DataFrame) -> np.ndarray:
    """The square root of the straight distance in radii of the earth from each capital to the
    nearest of the centres.
    """
    points = as_places(places, None, "haversine").points
    return np.sqrt(cKDTree(points[places.index.get_indexer(CENTRES)]).query(points)[0])


def _frame(study: Prosperity, gdp: np.ndarray, ids: pd.Index) -> pd.DataFrame:
    """The study as a table, its indicators on their own scales: worst + (best - worst) z."""
    table = province_indicators()
    worst, best = table["worst"].to_numpy(), table["best"].to_numpy()
    indicators = worst + (best - worst) * np.concatenate([study.indicators, study.parts], axis=-1)
    values = np.concatenate([indicators, study.x[..., 1:], gdp[..., None]], axis=-1).transpose(
        1, 0, 2
    )
    rows = pd.MultiIndex.from_product([ids, YEARS], names=["province", "year"])
    columns = [*table.index, *CONTROLS, "gdp_per_capita"]
    return pd.DataFrame(values.reshape(len(rows), -1), rows, columns).reset_index()


def _with_gaps(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """A copy with GAPS indicators missing, each in another province; none is its column's smallest
    or largest, which set the scale.
    """
    out, years, columns = frame.copy(), len(YEARS), province_indicators().index
    units = rng.permutation(frame["province"].nunique()).tolist()
    for gap in range(GAPS):
        column = columns[rng.integers(len(columns))]
        ends = {int(frame[column].argmin()) // years, int(frame[column].argmax()) // years}
        unit = next(unit for unit in units if unit not in ends)
        units.remove(unit)
        year = rng.choice([0, years - 1]) if gap < AT_THE_ENDS else rng.integers(1, years - 1)
        out.loc[unit * years + year, column] = np.nan
    return out
