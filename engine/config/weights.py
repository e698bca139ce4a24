"""The table [weights] of a TOML file: weights from files, maps, the data and one another."""

from collections.abc import Callable
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import pandas as pd

from spillover.engine.config import wants
from spillover.engine.config.keys import ByName, Either, Key, Keys, check, require
from spillover.engine.config.toml import SHARED, standardize
from spillover.engine.config.wording import find_near, join_keys
from spillover.engine.data.tables import read_table
from spillover.engine.labels import as_numbers, few
from spillover.engine.recognition import are_swapped
from spillover.engine.storage.reading import check_file
from spillover.engine.weights.reading import read_weights
from spillover.engine.weights.weights import Weights
from spillover.kernels.errors import DataError, SpecificationError, WeightsError

FILE = Key("file", wants.PATH, required=True)
COLUMNS = tuple(Key(name, wants.NAME, required=True) for name in ("unit", "x", "y"))
COORDINATES = Keys((FILE, *COLUMNS), "a table {file, unit, x, y}")
GEOMETRY = Keys((FILE, COLUMNS[0]), "a table {file, unit}")
ENTRY = Either(
    wants.PATH,
    ByName(wants.ANYTHING, "the path of a file, or a table with its file or its kind"),
)
ENTRIES = ByName(ENTRY, "a table [weights] of names and files")


@dataclass(frozen=True)
class Material:
    """What entries are made from.

    `base`: the folder that their paths are relative to; `data`: the rows of the study; `unit`: the
    column that names the unit of a row, None for the index; `where`: the TOML file, for errors.
    """

    base: Path
    data: pd.DataFrame
    unit: str | None
    where: str


Entry = dict[str, Any]
Make = Callable[[Entry, Material, dict[str, Weights]], Weights]


@dataclass(frozen=True)
class Kind:
    """A kind of entry: its keys, and the function that makes its weights.

    `keys`: those besides `kind`, `standardize` and `islands`. `make`: takes the entry, the
    material, and the weights made before, among them those that the entry refers to.
    """

    keys: tuple[Key, ...]
    make: Make


def make_weights(
    base: Path,
    tables: Any,
    data: pd.DataFrame,
    *,
    unit: str | None = None,
    where: str = "the config",
    shared: Entry | None = None,
) -> dict[str, Weights]:
    """Make the weights of a table [weights], in its order.

    An entry is the path of a file, or a table with `file`, or a table with `kind` and its keys:

    - contiguity: geometry = {file, unit}, rook
    - knn: coordinates = {file, unit, x, y}, k, metric
    - distance_band: coordinates, threshold, metric
    - inverse_distance: coordinates, power, cutoff, metric
    - economic: values (a column of the data, averaged over periods), power
    - economic_geography: geography (the name of another entry), values
    - nested: of (the names of two others), share

    Every table may have `standardize` ("row", "spectral", "none") and `islands` ("error", "allow").
    An entry may refer to others that come later; it takes them as they are before standardisation.

    Parameters
    ----------
    base : Path
        The folder that the paths are relative to.
    tables : dict
        The table [weights].
    data : DataFrame
        The rows of the study.
    unit : str, optional
        The column of the data that names the unit of a row; by default the index does.
    where : str
        Name of the TOML file, for errors.
    shared : dict, optional
        `standardize` and `islands` for the entries that lack them; by default "row" and "error".

    Returns
    -------
    dict of str to Weights
        The weights, standardised.

    Raises
    ------
    SpecificationError
        For an unknown or missing key, kind or name, for a wrong value, and for entries that refer
        to each other in a circle.
    WeightsError
        For weights that cannot be made; the message names the entry.

    Examples
    --------
    >>> data = pd.DataFrame({"gdp": [1.0, 2.0, 4.0]}, index=["a", "b", "c"])
    >>> made = make_weights(Path(), {"economic": {"kind": "economic", "values": "gdp"}}, data)
    >>> made["economic"].to_scipy().toarray()[0]
    array([0.  , 0.75, 0.25])
    """
    given, common = Material(base, data, unit, where), shared or {}
    check_entries(tables, where)
    check(common, SHARED, where)
    entries = {
        name: {"file": entry} if isinstance(entry, str) else entry for name, entry in tables.items()
    }
    made: dict[str, Weights] = {}
    for name in _order(entries, given):
        made[name] = _make(name, entries[name], given, common, made)
    return {
        name: standardize(made[name], (common | entry).get("standardize", "row"))
        for name, entry in entries.items()
    }


def _name_entry(name: str, given: Material) -> str:
    return f"weights.{name} in {given.where}"


def check_entries(tables: Any, where: str) -> None:
    """Refuse what is not a table of entries, unknown or missing keys, and wrong values.

    SpecificationError names the file, `where`, and the key.
    """
    require(tables, ENTRIES, where, ("weights",))
    for name, entry in tables.items():
        if isinstance(entry, dict):
            _check_entry(entry, where, ("weights", name))


def _check_entry(entry: Entry, where: str, path: tuple[str, ...]) -> None:
    """Check an entry that is a table, at the keys `path`, as `check_entries` does."""
    if "kind" in entry:
        require(entry["kind"], wants.choice(KINDS), where, (*path, "kind"))
        check(entry, (Key("kind", wants.TEXT), *KINDS[entry["kind"]].keys, *SHARED), where, path)
        return
    if "file" in entry:
        check(entry, (FILE, *SHARED), where, path)
        return
    known = ["file", "kind", *(key.name for kind in KINDS.values() for key in kind.keys)]
    close = [
        f"; {name} is near to {find_near(name, known)}"
        for name in entry
        if name not in known and find_near(name, known)
    ]
    raise SpecificationError(
        f"{where}: {join_keys(path)} lacks its file, or its kind, one of"
        f" {', '.join(KINDS)}{''.join(close[:1])}."
    )


def _order(entries: dict[str, Entry], given: Material) -> list[str]:
    """The names of the entries, each after those that it refers to."""
    links = {name: _list_references(entry) for name, entry in entries.items()}
    for name, others in links.items():
        unknown = [other for other in others if other not in entries]
        if unknown:
            raise SpecificationError(
                f"{_name_entry(name, given)} refers to {few(unknown)}, which [weights] lacks; it"
                f" has {', '.join(entries)}."
            )
    try:
        return list(TopologicalSorter(links).static_order())
    except CycleError as error:
        circle = " → ".join(reversed(error.args[1]))
        raise SpecificationError(
            f"[weights] in {given.where} goes in a circle, {circle}: make one from something else."
        ) from None


def _list_references(entry: Entry) -> list[str]:
    """The names of the entries that this one is made from."""
    return [entry["geography"]] if "geography" in entry else entry.get("of", [])


def _make(
    name: str, entry: Entry, given: Material, shared: Entry, made: dict[str, Weights]
) -> Weights:
    """The weights of one entry, not yet standardised; errors name the entry."""
    make = KINDS[entry["kind"]].make if "kind" in entry else _make_from_file
    try:
        weights = make(shared | entry, given, made)
        # weights made from other entries inherit the islands of those
        if entry.get("islands") == "error" and weights.islands:
            Weights(weights.matrix, weights.ids)
    except WeightsError as error:
        raise WeightsError(f"{_name_entry(name, given)}: {error}") from error
    return weights


def _make_from_file(entry: Entry, given: Material, _: dict[str, Weights]) -> Weights:
    return read_weights(given.base / entry["file"], **_pick(entry, "islands"))


def _make_contiguity(entry: Entry, given: Material, _: dict[str, Weights]) -> Weights:
    return Weights.contiguity(
        read_polygons(entry["geometry"], given), **_pick(entry, "rook", "islands")
    )


def _make_knn(entry: Entry, given: Material, _: dict[str, Weights]) -> Weights:
    return Weights.knn(
        read_places(entry["coordinates"], given), entry["k"], **_pick(entry, "metric")
    )


def _make_distance_band(entry: Entry, given: Material, _: dict[str, Weights]) -> Weights:
    return Weights.distance_band(
        read_places(entry["coordinates"], given),
        entry["threshold"],
        **_pick(entry, "metric", "islands"),
    )


def _make_inverse_distance(entry: Entry, given: Material, _: dict[str, Weights]) -> Weights:
    return Weights.inverse_distance(
        read_places(entry["coordinates"], given),
        **_pick(entry, "power", "cutoff", "metric", "islands"),
    )


def _make_economic(entry: Entry, given: Material, _: dict[str, Weights]) -> Weights:
    return Weights.economic(_average_by_unit(entry["values"], given), **_pick(entry, "power"))


def _make_economic_geography(entry: Entry, given: Material, made: dict[str, Weights]) -> Weights:
    return Weights.economic_geography(
        made[entry["geography"]], _average_by_unit(entry["values"], given)
    )


def _make_nested(entry: Entry, _: Material, made: dict[str, Weights]) -> Weights:
    first, second = entry["of"]
    return Weights.nested(made[first], made[second], **_pick(entry, "share"))


def _pick(entry: Entry, *names: str) -> Entry:
    return {name: entry[name] for name in names if name in entry}


def read_places(table: Entry, given: Material) -> pd.DataFrame:
    """The coordinates in a table of places, by unit.

    WeightsError where the names of the columns say that x is the latitude, or y the longitude.
    """
    file = table["file"]
    frame = read_table(given.base / file)
    unit, x, y = (_check_column(frame, table[key], file) for key in ("unit", "x", "y"))
    if are_swapped((x, y)):
        raise WeightsError(
            f"coordinates of {file}: x = {x!r}, y = {y!r}, but x is the longitude and y the"
            " latitude: swap them."
        )
    return frame[[x, y]].set_index(pd.Index(frame[unit]))


def read_polygons(table: Entry, given: Material) -> Any:
    """The polygons in a map, by unit; WeightsError where geopandas is not installed."""
    try:
        import geopandas
    except ImportError as error:
        raise WeightsError(
            "contiguity needs libpysal and geopandas: pip install 'spillover[geo]'."
        ) from error
    file = table["file"]
    if not (given.base / file).is_dir():  # some kinds of maps are folders
        check_file(given.base / file, "a map")
    try:
        frame = geopandas.read_file(given.base / file)
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(f"{given.base / file} cannot be read as a map: {error}") from error
    return frame.set_index(_check_column(frame, table["unit"], file))


def _check_column(frame: pd.DataFrame, name: Any, what: str) -> str:
    """The name of a column; WeightsError where `what` has none of that name."""
    if not isinstance(name, str) or name not in frame.columns:
        raise WeightsError(
            f"{what} has no column {name!r}; it has {', '.join(map(str, frame.columns))}."
        )
    return name


def _average_by_unit(name: Any, given: Material) -> pd.Series:
    """The mean of a column of the data over the periods of each unit."""
    values = given.data[_check_column(given.data, name, "the data")]
    column = pd.Series(as_numbers(values, f"the values in column {name!r}"))
    if given.unit is None:
        units = given.data.index
    else:
        units = pd.Index(given.data[_check_column(given.data, given.unit, "the data")])
    by_unit = column.groupby(units, sort=False, dropna=False, observed=True)
    lacking = by_unit.count() < by_unit.size()
    if lacking.any():
        raise WeightsError(
            f"column {name!r} has missing values for {few(lacking.index[lacking])}: fill them in,"
            " or leave these units out."
        )
    return by_unit.mean()


METRIC = Key("metric", wants.choice(("euclidean", "haversine")))
PLACES = Key("coordinates", COORDINATES, required=True)
VALUES = Key("values", wants.NAME, required=True)
POWER = Key("power", wants.NUMBER)
KINDS = {
    "contiguity": Kind(
        (Key("geometry", GEOMETRY, required=True), Key("rook", wants.TRUTH)), _make_contiguity
    ),
    "knn": Kind((PLACES, Key("k", wants.whole(1), required=True), METRIC), _make_knn),
    "distance_band": Kind(
        (PLACES, Key("threshold", wants.POSITIVE, required=True), METRIC), _make_distance_band
    ),
    "inverse_distance": Kind(
        (PLACES, POWER, Key("cutoff", wants.POSITIVE), METRIC), _make_inverse_distance
    ),
    "economic": Kind((VALUES, POWER), _make_economic),
    "economic_geography": Kind(
        (Key("geography", wants.OTHER, required=True), VALUES), _make_economic_geography
    ),
    "nested": Kind(
        (
            Key(
                "of",
                wants.Several(wants.OTHER, "a list of the names of two others", 2, 2),
                required=True,
            ),
            Key("share", wants.SHARE),
        ),
        _make_nested,
    ),
}
