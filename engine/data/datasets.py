"""Data that come with the package."""

from importlib.resources import files

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from spillover.engine.weights.places import as_places
from spillover.engine.weights.weights import Weights
from spillover.kernels.arguments import flag, front_door
from spillover.kernels.arguments import seed as as_seed
from spillover.models.prosperity import CONTROLS, Prosperity, simulate_gdp, simulate_prosperity

YEARS = range(2014, 2024)
CENTRES = ["Beijing", "Shanghai", "Guangdong"]  # the simulated economy thins out away from them
GAPS = 10  # missing cells of `provinces`
AT_THE_ENDS = 3  # of these gaps, how many are in the first or last year


@front_door
def munnell() -> tuple[pd.DataFrame, Weights]:
    """Load the productivity of the 48 contiguous US states, 1970-1986, and their borders.

    Returns
    -------
    frame : DataFrame
        816 rows: state; year; gsp, gross state product; pcap, public capital; pc, private capital;
        emp, employment in thousands; unemp, unemployment rate in percent. Amounts are in millions
        of dollars.
    W : Weights
        Binary contiguity: 1 for states that share a border.

    Examples
    --------
    >>> frame, W = munnell()
    >>> frame.shape, W.n
    ((816, 7), 48)

    References
    ----------
    Munnell (1990), "Why has productivity growth declined? Productivity and public investment", New
    England Economic Review.
    """
    return _read("munnell"), _read_contiguity("states", "state")


@front_door
def provinces(seed: int = 0, *, complete: bool = False) -> tuple[pd.DataFrame, Weights]:
    """Simulate a panel of the 31 provinces of mainland China, 2014-2023.

    Only the map is real; NO NUMBER IN THE FRAME IS. The data follow a spatial Durbin model with
    two-way effects::

        y = rho W y + x beta + W x theta + alpha_i + xi_t + sigma e

    y is the entropy index of the ten indicators of prosperity; x is the entropy index of the five
    indicators of integration, and the five controls. The coefficients are in
    `spillover.models.prosperity.TRUTH`. In this equation, W is the row-standardised
    economic-geography weights w_ij = g_j / d_ij^2, with d_ij the great-circle distance between the
    capitals and g_j the mean of gdp_per_capita over the years.

    Parameters
    ----------
    seed : int, default 0
        Seed of the simulation; another seed gives other data from the same coefficients.
    complete : bool, default False
        Whether to return the data without gaps, for which the equation holds exactly.

    Returns
    -------
    frame : DataFrame
        310 rows, sorted by province, then year: province, year, the 15 indicators that
        `province_indicators` describes, the controls government, openness, human_capital, industry
        and technology, and gdp_per_capita in yuan, which is not in the model. Ten cells of the
        indicators are missing.
    W : Weights
        Binary contiguity: 1 for provinces that really share a border.

    Raises
    ------
    SpecificationError
        For a `seed` that is not a whole number of at least 0, or a `complete` that is not a bool.

    Examples
    --------
    >>> frame, W = provinces()
    >>> frame.shape, int(frame.isna().sum().sum()), W.n, W.is_symmetric
    ((310, 23), 10, 31, True)
    """
    rng = np.random.default_rng(as_seed(seed))
    flag("complete", complete)
    places = province_coordinates()
    gdp = simulate_gdp(-_measure_remoteness(places), len(YEARS), rng)
    near = Weights.inverse_distance(places, power=2, metric="haversine")
    size = pd.Series(gdp.mean(axis=0), places.index)
    weights = Weights.economic_geography(near, size).row_standardize()
    frame = _tabulate(simulate_prosperity(weights.matrix, gdp, rng), gdp, places.index)
    contiguity = _read_contiguity("provinces", "province")
    return frame if complete else _cut_gaps(frame, rng), contiguity


@front_door
def province_coordinates() -> pd.DataFrame:
    """Load the longitude and latitude of each capital of the provinces of `provinces`.

    Returns
    -------
    DataFrame
        Columns longitude and latitude, approximate, in degrees; indexed by province.

    Examples
    --------
    >>> province_coordinates().loc["Tibet"].to_dict()
    {'longitude': 91.13, 'latitude': 29.65}
    """
    return _read("provinces").set_index("province")[["longitude", "latitude"]]


@front_door
def province_indicators() -> pd.DataFrame:
    """Load the description of the indicators of `provinces`.

    Returns
    -------
    DataFrame
        One row per indicator, indexed by its name: the composite index that it belongs to, its
        dimension, its direction, the worst and best ends of its scale, and its meaning.

    Examples
    --------
    >>> table = province_indicators()
    >>> chosen = (table["composite"] == "integration") & (table["direction"] == "negative")
    >>> table.index[chosen].tolist()
    ['price_dispersion']
    """
    return _read("indicators").set_index("indicator")


def _read(name: str) -> pd.DataFrame:
    """Read a table of the package."""
    with (files("spillover") / "data" / f"{name}.csv").open(encoding="utf-8") as rows:
        return pd.read_csv(rows)


def _read_contiguity(table: str, unit: str) -> Weights:
    """Make binary weights from a table of units with lists of their neighbours."""
    places = _read(table)
    edges = places.assign(neighbour=places["neighbours"].str.split(";")).explode("neighbour")
    return Weights.from_edges(edges, unit, "neighbour", ids=places[unit])


def _measure_remoteness(places: pd.DataFrame) -> np.ndarray:
    """Take the square root of the distance from each capital to the nearest of the centres, (N,).

    Distances are straight lines, in radii of the earth.
    """
    points = as_places(places, None, "haversine").points
    centres = points[places.index.get_indexer(CENTRES)]
    return np.asarray(np.sqrt(cKDTree(centres).query(points)[0]))


def _tabulate(study: Prosperity, gdp: np.ndarray, ids: pd.Index) -> pd.DataFrame:
    """Lay out the simulated arrays (T, N, …) as a table, with indicators on their own scales."""
    table = province_indicators()
    worst, best = table["worst"].to_numpy(), table["best"].to_numpy()
    indicators = worst + (best - worst) * np.concatenate([study.indicators, study.parts], axis=-1)
    values = np.concatenate([indicators, study.x[..., 1:], gdp[..., None]], axis=-1)
    rows = pd.MultiIndex.from_product([ids, YEARS], names=["province", "year"])
    columns = [*table.index, *CONTROLS, "gdp_per_capita"]
    by_unit = values.transpose(1, 0, 2).reshape(len(rows), -1)
    return pd.DataFrame(by_unit, rows, columns).reset_index()


def _cut_gaps(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Return a copy in which GAPS cells of the indicators are missing, each in another province.

    The smallest and largest values of a column, which set the scale of the index, are kept.
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
