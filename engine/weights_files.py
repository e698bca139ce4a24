"""Spatial weights from elsewhere: tables, libpysal objects, and files (.gal .gwt .mtx .npz .csv)."""

import csv
import io
import math
import re
import zipfile
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
import pandas as pd
import scipy.io
import scipy.sparse as sparse

from spillover.engine.labels import as_index, as_labels, as_numbers, check_told_apart, few, link_name, type_hint
from spillover.engine.weights import Weights
from spillover.engine.weights_checks import Bounds
from spillover.kernels.errors import WeightsError

INTEGER = re.compile(r"-?[1-9][0-9]{0,17}|0")  # no leading zeros: "01001" is a code, not a number
HEADERS = (("origin", "destination", "weight"), ("focal", "neighbor", "weight"), ("i", "j", "w"))

Labelled = tuple[sparse.csr_array, pd.Index]


class Links(NamedTuple):
    """The units a file names, in its order, and its links, each with the line it stands on; labels are text."""

    path: Path
    units: list[str]
    links: list[tuple[str, str, float, int]]  # origin, destination, weight, line
    unnamed: int = 0  # units the header counts and no line names


def read_weights(path: str | Path, *, ids: Any = None, islands: str = "error", bounds: Bounds = None) -> Weights:
    """The weights in a file, of the format its extension says.

    .gal: binary contiguity, units in the file's order. .gwt: "origin destination weight" lines, units in the order they first stand
    as an origin, then the rest. .csv: one link a line under a header (comma, semicolon or tab): the columns origin, destination,
    weight or focal, neighbor, weight or i, j, w by name, beside any others, else the two or three columns there are, in that
    order; without a weight column every weight is 1; units sorted. In these three row i of W holds the links with origin i, labels
    are integers if all of them look like integers without leading zeros, else text, and a self-link of weight 0 declares a unit.
    .mtx (Matrix Market), .npz (`scipy.sparse.save_npz`): the matrix alone, units 0 … n-1.

    `ids`: for .mtx and .npz the labels of the rows; for the others the units in the order wanted, matched to the file's labels by
    their text (1 to "1", "New York" to "New_York"): all labels of the file must be among them, and those the file lacks are islands.
    `islands`, `bounds`: as for `Weights`. Raises WeightsError naming the file and, where it can, the line.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "trade.csv")
    ...     _ = file.write_text("origin,destination,weight\\n1,2,0.5\\n2,1,3\\n")
    ...     read_weights(file).to_scipy().toarray()
    array([[0. , 0.5],
           [3. , 0. ]])

    Source: the GAL and GWT formats, Anselin (2003), GeoDa 0.9 User's Guide.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in LABELLED | BARE:
        raise WeightsError(f"{path}: cannot read {kind or 'a file without extension'}; supported are {' '.join(LABELLED | BARE)}.")
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such file.")
    try:
        matrix, labels = (_bare(path, BARE[kind]), ids) if kind in BARE else _assemble(LABELLED[kind](path), ids)
        return Weights(matrix, labels, islands=islands, bounds=bounds)
    except WeightsError as error:
        message = str(error)
        raise WeightsError(message if message.startswith(str(path)) else f"{path}: {message}") from None


def square(frame: pd.DataFrame, ids: Any) -> tuple[np.ndarray, pd.Index]:
    """The (n, n) values of a frame with the same labels on both sides, columns in the order of the index."""
    if ids is not None:
        raise WeightsError("a DataFrame carries its ids, its index: leave ids out, or give frame.to_numpy() with ids.")
    rows, columns = as_index(frame.index), as_index(frame.columns)
    one_sided = rows.symmetric_difference(columns, sort=False)
    if len(one_sided):
        sides = f"only in the index or only in the columns of the frame: {few(one_sided)}.{type_hint(rows, columns)}"
        raise WeightsError(f"{sides} Give both the same labels, or give frame.to_numpy() with ids.")
    return as_numbers(frame, "the matrix")[:, columns.get_indexer(rows)], rows


def table_links(frame: pd.DataFrame, origin: str, destination: str, weight: str | None, ids: Any) -> Labelled:
    """The matrix and units of a table with one link a row: `Weights.from_edges`."""
    if not isinstance(frame, pd.DataFrame):
        raise WeightsError(f"the edges are a {type(frame).__name__}: give a pandas DataFrame, one link a row.")
    wanted = [name for name in (origin, destination, weight) if name is not None]
    absent = [name for name in wanted if name not in frame.columns]
    if absent:
        raise WeightsError(f"the edges have no column {few(absent)}; their columns are {few(frame.columns)}.")
    again = [name for name in wanted if wanted.count(name) > 1 or (frame.columns == name).sum() > 1]
    if again:
        raise WeightsError(f"origin, destination and weight must be columns of their own, and {few(again[:1])} is named more than once.")
    for column in (origin, destination):
        lacking = frame[column].isna() | (frame[column].astype(object) == "")
        if lacking.any():
            raise WeightsError(f"column {column!r} has no label in the rows {few(frame.index[lacking])}: drop or fill them.")
        check_told_apart(pd.Index(frame[column].unique()), f"labels in column {column!r}")
    values = np.ones(len(frame)) if weight is None else as_numbers(frame[weight], f"the weights in column {weight!r}")
    units = _union(frame[origin], frame[destination]) if ids is None else as_index(ids)
    return link(frame[origin], frame[destination], values, units), units


def libpysal_links(w_or_graph: Any) -> Labelled:
    """The matrix and units of a libpysal W or Graph, told apart by what they hold: `Weights.from_libpysal`."""
    if isinstance(getattr(w_or_graph, "adjacency", None), pd.Series):
        links, units = w_or_graph.adjacency, as_index(w_or_graph.unique_ids)
        return link(links.index.get_level_values(0), links.index.get_level_values(1), links.to_numpy(dtype=float), units), units
    if not all(hasattr(w_or_graph, name) for name in ("neighbors", "weights", "id_order")):
        raise WeightsError(f"a {type(w_or_graph).__name__} is neither a libpysal.weights.W nor a libpysal.graph.Graph.")
    order = list(w_or_graph.id_order)
    units = as_index(order)
    origin = units.repeat([len(w_or_graph.neighbors[i]) for i in order])
    destination = as_labels([j for i in order for j in w_or_graph.neighbors[i]])
    values = np.array([value for i in order for value in w_or_graph.weights[i]], dtype=float)
    return link(origin, destination, values, units), units


def libpysal_weights(weights: Weights) -> Any:
    """The same weights as a `libpysal.weights.W`: `Weights.to_libpysal`."""
    try:
        from libpysal.weights import W
    except ImportError as error:
        raise ImportError("to_libpysal() needs libpysal: pip install 'spillover[geo]'.") from error
    labels, cuts = weights.ids.tolist(), weights.matrix.indptr[1:-1]
    columns, values = np.split(weights.matrix.indices, cuts), np.split(weights.matrix.data, cuts)
    neighbours = {i: [labels[j] for j in row] for i, row in zip(labels, columns, strict=True)}
    return W(neighbours, {i: row.tolist() for i, row in zip(labels, values, strict=True)}, id_order=labels, silence_warnings=True)


def link(origin: Any, destination: Any, values: np.ndarray, ids: pd.Index) -> sparse.csr_array:
    """The (n, n) matrix of values[e] at the places of origin[e] and destination[e] in `ids`, each link once and among the ids."""
    sources, targets = as_labels(origin), as_labels(destination)
    rows, columns = ids.get_indexer(sources), ids.get_indexer(targets)
    unknown = sources[rows < 0].append(targets[columns < 0]).unique()
    if len(unknown):
        hint = type_hint(ids, unknown)
        raise WeightsError(f"in the edges but not in ids: {few(unknown)}. Add them to ids or leave those edges out.{hint}")
    again = np.flatnonzero(pd.Index(rows.astype(np.int64) * len(ids) + columns).duplicated()).tolist()
    if again:
        pairs = few(again, lambda e: link_name(ids, rows[e], columns[e]))
        raise WeightsError(f"{len(again)} links are given once more: {pairs}. Keep one row each, or sum them first.")
    return sparse.csr_array((values, (rows, columns)), shape=(len(ids), len(ids)))


def _union(origin: pd.Series, destination: pd.Series) -> pd.Index:
    labels = pd.concat([origin, destination], ignore_index=True).unique()
    try:
        return as_index(sorted(labels))
    except TypeError as error:
        kinds = sorted({type(label).__name__ for label in labels})
        raise WeightsError(f"labels of the types {few(kinds)} do not sort: convert them, or give ids.") from error


def _gal(path: Path) -> Links:
    """Header "n" or "0 n file key", then for each unit "id k" and, where k > 0, its k neighbours, on one line or more."""
    lines = _lines(path)
    n = _count(path, *lines[0])
    units: dict[str, int] = {}
    links: list[tuple[str, str, float, int]] = []
    at = 1
    while at < len(lines):
        number, words = lines[at]
        if len(words) != 2 or not words[1].isdecimal():
            _refuse(path, number, f"expected a unit and its number of neighbours, found {few(words)}")
        unit, k, at, found = words[0], int(words[1]), at + 1, 0
        if unit in units:
            _refuse(path, number, f"unit {unit!r} was given on line {units[unit]} already")
        units[unit] = number
        while found < k:
            if at == len(lines) or found + len(lines[at][1]) > k:
                beside = "the file ends" if at == len(lines) else f"line {lines[at][0]} has {found + len(lines[at][1])}"
                _refuse(path, number, f"unit {unit!r} should have {k} neighbours, but {beside}")
            links += [(unit, neighbour, 1.0, lines[at][0]) for neighbour in lines[at][1]]
            found, at = found + len(lines[at][1]), at + 1
    if len(units) != n:
        _refuse(path, lines[0][0], f"the header says {n} units, the file has {len(units)}")
    for _, neighbour, _, number in links:
        if neighbour not in units:
            _refuse(path, number, f"neighbour {neighbour!r} is not a unit of the file")
    return Links(path, list(units), links)


def _gwt(path: Path) -> Links:
    """Header "n" or "0 n file key", then "origin destination weight" lines."""
    lines = _lines(path)
    n = _count(path, *lines[0])
    links = []
    for number, words in lines[1:]:
        if len(words) != 3:
            _refuse(path, number, f"expected origin, destination and weight, found {few(words)}")
        links.append((words[0], words[1], _weight(path, number, words[2]), number))
    units = list(dict.fromkeys([one[0] for one in links] + [one[1] for one in links]))
    if len(units) > n:
        _refuse(path, lines[0][0], f"the header says {n} units, the file has {len(units)}")
    return Links(path, units, links, n - len(units))


def _csv(path: Path) -> Links:
    """A header, then a link a line."""
    text = _text(path)
    head = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count), skipinitialspace=True)
    names = [name.strip().lower() for name in next(rows, [])]
    columns = _columns(path, names)
    links = []
    for row in rows:
        if not any(field.strip() for field in row):
            continue
        if len(row) != len(names):
            _refuse(path, rows.line_num, f"{len(row)} fields under a header of {len(names)}")
        origin, destination, *weight = (row[k].strip() for k in columns)
        if not origin or not destination:
            _refuse(path, rows.line_num, "a label is missing")
        links.append((origin, destination, _weight(path, rows.line_num, weight[0]) if weight else 1.0, rows.line_num))
    labels = {label for one in links for label in one[:2]}
    return Links(path, sorted(labels, key=int if _integers(labels) else None), links)


def _columns(path: Path, names: list[str]) -> list[int]:
    """Where origin, destination and, if there is one, weight stand in the header of an edge list."""
    if any(_is_number(name) for name in names):
        _refuse(path, 1, f"{few(names)} looks like data: the first line names the columns, e.g. origin,destination,weight")
    for trio in HEADERS:
        ends = [names.index(name) for name in trio[:2] if name in names]
        if len(ends) == 2:
            rest = [names.index(trio[2])] if trio[2] in names else [k for k in range(len(names)) if k not in ends]
            if len(rest) <= 1:
                return ends + rest
    if len(names) not in (2, 3):
        _refuse(path, 1, f"found the columns {few(names)}: name three of them origin, destination and weight, or keep only those")
    return list(range(len(names)))


def _bare(path: Path, read: Callable[[Path], Any]) -> Any:
    """A matrix without labels, by scipy's reader; nothing is unpickled."""
    try:
        return read(path)
    except (ValueError, KeyError, TypeError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path}: cannot be read as a {path.suffix} matrix: {error}") from error


def _assemble(file: Links, ids: Any) -> Labelled:
    """The matrix of a file's links, under the file's own labels or those of the user."""
    if ids is None and file.unnamed:
        _refuse(file.path, 1, f'the header counts {file.unnamed} units that have no links: name all units by ids=[…], with islands="allow"')
    own = [int(unit) for unit in file.units] if _integers(file.units) else file.units
    units = as_index(own if ids is None else ids)
    key = str if ids is None else _plain
    texts = pd.Index([key(unit) for unit in units.tolist()], dtype=object)
    if texts.has_duplicates:
        raise WeightsError(f"ids that are the same as text: {few(units[texts.duplicated(keep=False)])}. The file cannot tell them apart.")
    place = {text: k for k, text in enumerate(texts)}
    unknown = [unit for unit in file.units if key(unit) not in place]
    if unknown:
        hint = type_hint(units, pd.Index(own)[[unit in set(unknown) for unit in file.units]])
        raise WeightsError(f"in the file but not in ids: {few(unknown)}. Add them to ids; W[…] then takes a part.{hint}")
    seen: dict[tuple[int, int], int] = {}
    for origin, destination, weight, line in file.links:
        cell = place[key(origin)], place[key(destination)]
        if cell in seen:
            _refuse(file.path, line, f"the link {origin!r} → {destination!r} was given on line {seen[cell]} already")
        if cell[0] == cell[1] and weight != 0:
            _refuse(file.path, line, f"{origin!r} is linked to itself with weight {weight:g}: no unit is its own neighbour")
        seen[cell] = line
    cells = np.array(list(seen), dtype=np.int64).reshape(-1, 2)
    values = np.array([one[2] for one in file.links])
    return sparse.csr_array((values, (cells[:, 0], cells[:, 1])), shape=(len(units), len(units))), units


def _integers(labels: Collection[str]) -> bool:
    return all(INTEGER.fullmatch(label) for label in labels)


def _plain(label: Any) -> str:
    """A label as a file of blank-separated words has it."""
    return "_".join(str(label).split())


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text  # which Python reads as a mark of thousands


def _weight(path: Path, line: int, text: str) -> float:
    if not _is_number(text) or not 0 <= float(text) < math.inf:
        _refuse(path, line, f"the weight {text!r} is not a finite number of at least 0")
    return float(text)


def _count(path: Path, line: int, words: list[str]) -> int:
    """The number of units in a header "n" or "0 n file key"."""
    count = words[min(1, len(words) - 1)]
    if not count.isdecimal():
        _refuse(path, line, f"expected a header with the number of units, found {few(words)}")
    return int(count)


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """The lines that are not blank, with their numbers, as words."""
    return [(number, line.split()) for number, line in enumerate(_text(path).splitlines(), 1) if line.strip()]


def _text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise WeightsError(f"{path}: not text in UTF-8, byte {error.start} is {error.object[error.start]:#x}.") from error
    if not text.strip():
        raise WeightsError(f"{path}: the file is empty.")
    return text


def _refuse(path: Path, line: int, what: str) -> NoReturn:
    raise WeightsError(f"{path}, line {line}: {what}.")


LABELLED: dict[str, Callable[[Path], Links]] = {".gal": _gal, ".gwt": _gwt, ".csv": _csv}
BARE: dict[str, Callable[[Path], Any]] = {".mtx": partial(scipy.io.mmread, spmatrix=False), ".npz": sparse.load_npz}
