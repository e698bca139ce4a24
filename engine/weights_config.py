"""The table [weights] of a study's TOML file: weights from files, places, polygons, the data, and from one another."""

from collections.abc import Callable
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import pandas as pd

from spillover.engine.config import check_standard, known, standardized
from spillover.engine.labels import as_numbers, few
from spillover.engine.reading import check_file
from spillover.engine.recognition import swapped
from spillover.engine.tables import read_table
from spillover.engine.weights import Weights
from spillover.engine.weights_files import read_weights
from spillover.kernels.errors import DataError, SpecificationError, WeightsError

SHARED = ("standardize", "islands")
ISLANDS = ("error", "allow")
COORDINATES = ("file", "unit", "x", "y")
GEOMETRY = ("file", "unit")


@dataclass(frozen=True)
class Material:
    """What entries are made from: the folder their files are in, the data, the column of the data that names the unit (None: the index);
    and the name of the TOML file, for errors."""

    base: Path
    data: pd.DataFrame
    unit: str | None
    where: str


Entry = dict[str, Any]
Make = Callable[[Entry, Material, dict[str, Weights]], Weights]


@dataclass(frozen=True)
class Kind:
    """The keys of an entry beside `kind`, `standardize` and `islands`, and what makes its weights, given those that it refers to."""

    required: tuple[str, ...]
    optional: tuple[str, ...]
    make: Make


def weights_table(
    base: Path, tables: Any, data: pd.DataFrame, *, unit: str | None = None, where: str = "the config", shared: Entry | None = None
) -> dict[str, Weights]:
    """The weights that a table [weights] names, in its order, standardised as each entry, else `shared`, says ("row" if neither does).

    `base`: the folder that paths are relative to; `data`: the study's rows, with the column `unit`, else the units as its index; `where`:
    the name of the TOML file, for errors; `shared`: `standardize` and `islands` for the entries that lack them.

    An entry is the path of a file, or a table with `file` or `kind`: contiguity (geometry = {file, unit}, rook), knn (coordinates =
    {file, unit, x, y}, k, metric), distance_band (coordinates, threshold, metric), inverse_distance (coordinates, power, cutoff, metric),
    economic (values: a column of the data, averaged over periods; power), economic_geography (geography: the name of another entry;
    values), nested (of: the names of two others; share); and `standardize` ("row", "spectral", "none") and `islands` ("error", "allow").
    Entries refer to others as these are before they are standardised, in whatever order they stand.

    SpecificationError for an unknown or missing key, kind or name and for entries that refer to each other in a circle; WeightsError,
    with the entry's name, for weights that cannot be made.

    >>> data = pd.DataFrame({"gdp": [1.0, 2.0, 4.0]}, index=["a", "b", "c"])
    >>> weights_table(Path(), {"economic": {"kind": "economic", "values": "gdp"}}, data)["economic"].to_scipy().toarray()[0]
    array([0.  , 0.75, 0.25])
    """
    if not isinstance(tables, dict):
        raise SpecificationError(f"weights = {tables!r} in {where}: give a table [weights] of names and files.")
    given, common = Material(base, data, unit, where), shared or {}
    entries = {name: {"file": entry} if isinstance(entry, str) else entry for name, entry in tables.items()}
    for name, entry in entries.items():
        _check_keys(entry, _where(name, given))
        _check_shared(common | entry, _where(name, given))
    made: dict[str, Weights] = {}
    for name in _order(entries, given):
        made[name] = _make(name, entries[name], given, common, made)
    return {name: standardized(made[name], (common | entry).get("standardize", "row")) for name, entry in entries.items()}


def _where(name: str, given: Material) -> str:
    return f"weights.{name} in {given.where}"


def _check_shared(entry: Entry, where: str) -> None:
    check_standard(entry.get("standardize", "row"), where)
    if entry.get("islands", "error") not in ISLANDS:
        raise SpecificationError(f"islands = {entry['islands']!r} for {where}: choose one of {', '.join(ISLANDS)}.")


def _check_keys(entry: Any, where: str) -> None:
    """Refuse what is no entry, and keys that are unknown or missing."""
    if not isinstance(entry, dict):
        raise SpecificationError(f"{where} is {entry!r}: give the path of a file, or a table with its file or its kind.")
    if "kind" not in entry:
        known(entry, ("file", *SHARED), where)
        if "file" not in entry:
            raise SpecificationError(f"{where} lacks its file, or its kind, one of {', '.join(KINDS)}.")
        return
    kind = KINDS.get(entry["kind"]) if isinstance(entry["kind"], str) else None
    if kind is None:
        raise SpecificationError(f"kind = {entry['kind']!r} of {where}: choose one of {', '.join(KINDS)}.")
    known(entry, ("kind", *kind.required, *kind.optional, *SHARED), where)
    missing = [key for key in kind.required if key not in entry]
    if missing:
        raise SpecificationError(f"{where} lacks {', '.join(missing)}; {entry['kind']} needs {', '.join(kind.required)}.")
    for key, parts in (("coordinates", COORDINATES), ("geometry", GEOMETRY)):
        if key in entry:
            known(entry[key], parts, f"{key} of {where}")
            lacks = [part for part in parts if part not in entry[key]]
            if lacks:
                raise SpecificationError(f"{key} of {where} lacks {', '.join(lacks)}; it needs {', '.join(parts)}.")


def _order(entries: dict[str, Entry], given: Material) -> list[str]:
    """The names so that each comes after those it refers to."""
    links = {name: _refers(entry, _where(name, given)) for name, entry in entries.items()}
    for name, others in links.items():
        unknown = [other for other in others if other not in entries]
        if unknown:
            raise SpecificationError(f"{_where(name, given)} refers to {few(unknown)}, which [weights] lacks; it has {', '.join(entries)}.")
    try:
        return list(TopologicalSorter(links).static_order())
    except CycleError as error:
        circle = " → ".join(reversed(error.args[1]))
        raise SpecificationError(f"[weights] in {given.where} goes in a circle, {circle}: make one from something else.") from None


def _refers(entry: Entry, where: str) -> list[str]:
    """The names of the entries that this one is made from."""
    if "geography" in entry:
        names, wanted = [entry["geography"]], "geography needs the name of another entry"
    elif "of" in entry:
        names, wanted = entry["of"], "of needs a list of the names of two other entries"
        if not isinstance(names, list) or len(names) != 2:
            raise SpecificationError(f"of = {names!r} of {where}: {wanted}.")
    else:
        return []
    if not all(isinstance(name, str) for name in names):
        raise SpecificationError(f"{names!r} of {where}: {wanted}.")
    return names


def _make(name: str, entry: Entry, given: Material, shared: Entry, made: dict[str, Weights]) -> Weights:
    """The raw weights of one entry, with its name in what goes wrong."""
    make = KINDS[entry["kind"]].make if "kind" in entry else _file
    try:
        weights = make(shared | entry, given, made)
        if entry.get("islands") == "error" and weights.islands:  # they came with the weights that this entry refers to
            Weights(weights.matrix, weights.ids)
    except WeightsError as error:
        raise WeightsError(f"{_where(name, given)}: {error}") from error
    return weights


def _file(entry: Entry, given: Material, _: dict[str, Weights]) -> Weights:
    return read_weights(given.base / _text(entry["file"], "file"), **_said(entry, "islands"))


def _contiguity(entry: Entry, given: Material, _: dict[str, Weights]) -> Weights:
    return Weights.contiguity(polygons(entry["geometry"], given), **_said(entry, "rook", "islands"))


def _knn(entry: Entry, given: Material, _: dict[str, Weights]) -> Weights:
    return Weights.knn(places(entry["coordinates"], given), entry["k"], **_said(entry, "metric"))


def _distance_band(entry: Entry, given: Material, _: dict[str, Weights]) -> Weights:
    return Weights.distance_band(places(entry["coordinates"], given), entry["threshold"], **_said(entry, "metric", "islands"))


def _inverse_distance(entry: Entry, given: Material, _: dict[str, Weights]) -> Weights:
    return Weights.inverse_distance(places(entry["coordinates"], given), **_said(entry, "power", "cutoff", "metric", "islands"))


def _economic(entry: Entry, given: Material, _: dict[str, Weights]) -> Weights:
    return Weights.economic(_values(entry["values"], given), **_said(entry, "power"))


def _economic_geography(entry: Entry, given: Material, made: dict[str, Weights]) -> Weights:
    return Weights.economic_geography(made[entry["geography"]], _values(entry["values"], given))


def _nested(entry: Entry, _: Material, made: dict[str, Weights]) -> Weights:
    first, second = entry["of"]
    return Weights.nested(made[first], made[second], **_said(entry, "share"))


def _said(entry: Entry, *names: str) -> Entry:
    return {name: entry[name] for name in names if name in entry}


def _text(value: Any, key: str) -> str:
    if not isinstance(value, str):
        raise WeightsError(f"{key} = {value!r}: give a text.")
    return value


def places(table: Entry, given: Material) -> pd.DataFrame:
    """Two columns of a table of places, by unit; WeightsError where their names say that x is the latitude, or y the longitude."""
    file = _text(table["file"], "file")
    frame = read_table(given.base / file)
    unit, x, y = (_column(frame, table[key], file) for key in ("unit", "x", "y"))
    if swapped((x, y)):
        raise WeightsError(f"coordinates of {file}: x = {x!r}, y = {y!r}, but x is the longitude and y the latitude: swap them.")
    return frame[[x, y]].set_index(pd.Index(frame[unit]))


def polygons(table: Entry, given: Material) -> Any:
    """A map, by unit."""
    try:
        import geopandas
    except ImportError as error:
        raise WeightsError("contiguity needs libpysal and geopandas: pip install 'spillover[geo]'.") from error
    file = _text(table["file"], "file")
    if not (given.base / file).is_dir():  # some kinds of maps are folders
        check_file(given.base / file, "a map")
    try:
        frame = geopandas.read_file(given.base / file)
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(f"{given.base / file} cannot be read as a map: {error}") from error
    return frame.set_index(_column(frame, table["unit"], file))


def _column(frame: pd.DataFrame, name: Any, what: str) -> str:
    if not isinstance(name, str) or name not in frame.columns:
        raise WeightsError(f"{what} has no column {name!r}; it has {', '.join(map(str, frame.columns))}.")
    return name


def _values(name: Any, given: Material) -> pd.Series:
    """The mean of a column of the data over the periods of each unit."""
    column = pd.Series(as_numbers(given.data[_column(given.data, name, "the data")], f"the values in column {name!r}"))
    units = given.data.index if given.unit is None else pd.Index(given.data[_column(given.data, given.unit, "the data")])
    by_unit = column.groupby(units, sort=False, dropna=False, observed=True)
    lacking = by_unit.count() < by_unit.size()
    if lacking.any():
        raise WeightsError(f"column {name!r} has missing values for {few(lacking.index[lacking])}: fill them in, or leave these units out.")
    return by_unit.mean()


KINDS = {
    "contiguity": Kind(("geometry",), ("rook",), _contiguity),
    "knn": Kind(("coordinates", "k"), ("metric",), _knn),
    "distance_band": Kind(("coordinates", "threshold"), ("metric",), _distance_band),
    "inverse_distance": Kind(("coordinates",), ("power", "cutoff", "metric"), _inverse_distance),
    "economic": Kind(("values",), ("power",), _economic),
    "economic_geography": Kind(("geography", "values"), (), _economic_geography),
    "nested": Kind(("of",), ("share",), _nested),
}
