"""The table [weights] of a study's TOML file: weights from files, places, polygons, the data, and
from one another.
"""

from collections.abc import Callable
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import pandas as pd

from spillover.engine.config.keys import (
    NAME,
    NUMBER,
    PATH,
    POSITIVE,
    SHARE,
    TEXT,
    TRUTH,
    ByName,
    Either,
    Key,
    Keys,
    Several,
    Want,
    check,
    choice,
    dotted,
    near,
    require,
    whole,
)
from spillover.engine.config.toml import SHARED, standardized
from spillover.engine.data.tables import read_table
from spillover.engine.labels import as_numbers, few
from spillover.engine.recognition import are_swapped
from spillover.engine.storage.reading import check_file
from spillover.engine.weights.reading import read_weights
from spillover.engine.weights.weights import Weights
from spillover.kernels.errors import DataError, SpecificationError, WeightsError

FILE = Key("file", PATH, required=True)
COLUMNS = tuple(Key(name, NAME, required=True) for name in ("unit", "x", "y"))
COORDINATES = Keys((FILE, *COLUMNS), "a table {file, unit, x, y}")
GEOMETRY = Keys((FILE, COLUMNS[0]), "a table {file, unit}")
ENTRY = Either(
    PATH,
    ByName(Want("", lambda _: True), "the path of a file, or a table with its file or its kind"),
)
ENTRIES = ByName(ENTRY, "a table [weights] of names and files")


@dataclass(frozen=True)
class Material:
    """What entries are made from: the folder their files are in, the data, the column of the data
    that names the unit (None: the index); and the name of the TOML file, for errors.
    """

    base: Path
    data: pd.DataFrame
    unit: str | None
    where: str


Entry = dict[str, Any]
Make = Callable[[Entry, Material, dict[str, Weights]], Weights]


@dataclass(frozen=True)
class Kind:
    """The keys of an entry beside `kind`, `standardize` and `islands`, and what makes its weights,
    given those that it refers to.
    """

    keys: tuple[Key, ...]
    make: Make


def weights_table(
    base: Path,
    tables: Any,
    data: pd.DataFrame,
    *,
    unit: str | None = None,
    where: str = "the config",
    shared: Entry | None = None,
) -> dict[str, Weights]:
    """The weights that a table [weights] names, in its order, standardised as each entry, else
    `shared`, says ("row" if neither does).

    `base`: the folder that paths are relative to; `data`: the study's rows, with the column `unit`,
    else the units as its index; `where`: the name of the TOML file, for errors; `shared`:
    `standardize` and `islands` for the entries that lack them.

    An entry is the path of a file, or a table with `file` or `kind`: contiguity (geometry = {file,
    unit}, rook), knn (coordinates = {file, unit, x, y}, k, metric), distance_band (coordinates,
    threshold, metric), inverse_distance (coordinates, power, cutoff, metric), economic (values: a
    column of the data, averaged over periods; power), economic_geography (geography: the name of
    another entry; values), nested (of: the names of two others; share); and `standardize` ("row",
    "spectral", "none") and `islands` ("error", "allow"). Entries refer to others as these are
    before they are standardised, in whatever order they stand.

    SpecificationError for an unknown or missing key, kind or name and for entries that refer to
    each other in a circle; WeightsError, with the entry's name, for weights that cannot be made.

    >>> data = pd.DataFrame({"gdp": [1.0, 2.0, 4.0]}, index=["a", "b", "c"])
    >>> weights_table(Path(), {"economic": {"kind": "economic", "values": "gdp"}}, data)[
    ...     "economic"
    ... ].to_scipy().toarray()[0]
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
        name: standardized(made[name], (common | entry).get("standardize", "row"))
        for name, entry in entries.items()
    }


def _where(name: str, given: Material) -> str:
    return f"weights.{name} in {given.where}"


def check_entries(tables: Any, where: str) -> None:
    """Refuse what is no table of entries, and entries with keys that are unknown, missing, or hold
    what they may not.

    Parameters: `tables`: what tomllib read; `where`: the name of the TOML file. SpecificationError
    names file and key.
    """
    require(tables, ENTRIES, where, ("weights",))
    for name, entry in tables.items():
        if isinstance(entry, dict):
            _check_entry(entry, where, ("weights", name))


def _check_entry(entry: Entry, where: str, path: tuple[str, ...]) -> None:
    if "kind" not in entry:
        if "file" not in entry:
            known = [key.name for kind in KINDS.values() for key in kind.keys] + ["file", "kind"]
            close = [
                f"; {name} is near to {near(name, known)}"
                for name in entry
                if name not in known and near(name, known)
            ]
            raise SpecificationError(
                f"{where}: {dotted(path)} lacks its file, or its kind, one of"
                f" {', '.join(KINDS)}{''.join(close[:1])}."
            )
        check(entry, (FILE, *SHARED), where, path)
        return
    require(entry["kind"], choice(KINDS), where, (*path, "kind"))
    check(entry, (Key("kind", TEXT), *KINDS[entry["kind"]].keys, *SHARED), where, path)


def _order(entries: dict[str, Entry], given: Material) -> list[str]:
    """The names so that each comes after those it refers to."""
    links = {name: _refers(entry) for name, entry in entries.items()}
    for name, others in links.items():
        unknown = [other for other in others if other not in entries]
        if unknown:
            raise SpecificationError(
                f"{_where(name, given)} refers to {few(unknown)}, which [weights] lacks; it has"
                f" {', '.join(entries)}."
            )
    try:
        return list(TopologicalSorter(links).static_order())
    except CycleError as error:
        circle = " → ".join(reversed(error.args[1]))
        raise SpecificationError(
            f"[weights] in {given.where} goes in a circle, {circle}: make one from something else."
        ) from None


def _refers(entry: Entry) -> list[str]:
    """The names of the entries that this one is made from."""
    return [entry["geography"]] if "geography" in entry else entry.get("of", [])


def _make(
    name: str, entry: Entry, given: Material, shared: Entry, made: dict[str, Weights]
) -> Weights:
    """The raw weights of one entry, with its name in what goes wrong."""
    make = KINDS[entry["kind"]].make if "kind" in entry else _file
    try:
        weights = make(shared | entry, given, made)
        # they came with the weights that this entry refers to
        if entry.get("islands") == "error" and weights.islands:
            Weights(weights.matrix, weights.ids)
    except WeightsError as error:
        raise WeightsError(f"{_where(name, given)}: {error}") from error
    return weights


def _file(entry: Entry, given: Material, _: dict[str, Weights]) -> Weights:
    return read_weights(given.base / entry["file"], **_said(entry, "islands"))


def _contiguity(entry: Entry, given: Material, _: dict[str, Weights]) -> Weights:
    return Weights.contiguity(polygons(entry["geometry"], given), **_said(entry, "rook", "islands"))


def _knn(entry: Entry, given: Material, _: dict[str, Weights]) -> Weights:
    return Weights.knn(places(entry["coordinates"], given), entry["k"], **_said(entry, "metric"))


def _distance_band(entry: Entry, given: Material, _: dict[str, Weights]) -> Weights:
    return Weights.distance_band(
        places(entry["coordinates"], given), entry["threshold"], **_said(entry, "metric", "islands")
    )


def _inverse_distance(entry: Entry, given: Material, _: dict[str, Weights]) -> Weights:
    return Weights.inverse_distance(
        places(entry["coordinates"], given), **_said(entry, "power", "cutoff", "metric", "islands")
    )


def _economic(entry: Entry, given: Material, _: dict[str, Weights]) -> Weights:
    return Weights.economic(_values(entry["values"], given), **_said(entry, "power"))


def _economic_geography(entry: Entry, given: Material, made: dict[str, Weights]) -> Weights:
    return Weights.economic_geography(made[entry["geography"]], _values(entry["values"], given))


def _nested(entry: Entry, _: Material, made: dict[str, Weights]) -> Weights:
    first, second = entry["of"]
    return Weights.nested(made[first], made[second], **_said(entry, "share"))


def _said(entry: Entry, *names: str) -> Entry:
    return {name: entry[name] for name in names if name in entry}


def places(table: Entry, given: Material) -> pd.DataFrame:
    """Two columns of a table of places, by unit; WeightsError where their names say that x is the
    latitude, or y the longitude.
    """
    file = table["file"]
    frame = read_table(given.base / file)
    unit, x, y = (_column(frame, table[key], file) for key in ("unit", "x", "y"))
    if are_swapped((x, y)):
        raise WeightsError(
            f"coordinates of {file}: x = {x!r}, y = {y!r}, but x is the longitude and y the"
            " latitude: swap them."
        )
    return frame[[x, y]].set_index(pd.Index(frame[unit]))


def polygons(table: Entry, given: Material) -> Any:
    """A map, by unit."""
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
    return frame.set_index(_column(frame, table["unit"], file))


def _column(frame: pd.DataFrame, name: Any, what: str) -> str:
    if not isinstance(name, str) or name not in frame.columns:
        raise WeightsError(
            f"{what} has no column {name!r}; it has {', '.join(map(str, frame.columns))}."
        )
    return name


def _values(name: Any, given: Material) -> pd.Series:
    """The mean of a column of the data over the periods of each unit."""
    column = pd.Series(
        as_numbers(
            given.data[_column(given.data, name, "the data")], f"the values in column {name!r}"
        )
    )
    units = (
        given.data.index
        if given.unit is None
        else pd.Index(given.data[_column(given.data, given.unit, "the data")])
    )
    by_unit = column.groupby(units, sort=False, dropna=False, observed=True)
    lacking = by_unit.count() < by_unit.size()
    if lacking.any():
        raise WeightsError(
            f"column {name!r} has missing values for {few(lacking.index[lacking])}: fill them in,"
            " or leave these units out."
        )
    return by_unit.mean()


OTHER = Want("a text, the name of another entry", TEXT.fits)
METRIC = Key("metric", choice(("euclidean", "haversine")))
PLACES = Key("coordinates", COORDINATES, required=True)
VALUES = Key("values", NAME, required=True)
POWER = Key("power", NUMBER)
KINDS = {
    "contiguity": Kind((Key("geometry", GEOMETRY, required=True), Key("rook", TRUTH)), _contiguity),
    "knn": Kind((PLACES, Key("k", whole(1), required=True), METRIC), _knn),
    "distance_band": Kind(
        (PLACES, Key("threshold", POSITIVE, required=True), METRIC), _distance_band
    ),
    "inverse_distance": Kind((PLACES, POWER, Key("cutoff", POSITIVE), METRIC), _inverse_distance),
    "economic": Kind((VALUES, POWER), _economic),
    "economic_geography": Kind(
        (Key("geography", OTHER, required=True), VALUES), _economic_geography
    ),
    "nested": Kind(
        (
            Key("of", Several(OTHER, "a list of the names of two others", 2, 2), required=True),
            Key("share", SHARE),
        ),
        _nested,
    ),
}
