"""Spatial weights from elsewhere: tables, libpysal objects, and files (.gal .gwt .mtx
.npz .csv).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sparse

from spillover.engine.labels import (
    as_index,
    as_labels,
    as_numbers,
    check_hashable,
    check_told_apart,
    few,
    link_name,
    type_hint,
)
from spillover.engine.storage.reading import as_path, check_file, named
from spillover.engine.weights.checks import Bounds, how_to_make
from spillover.engine.weights.matrix_market import read_matrix_market
from spillover.engine.weights.npz_files import read_npz
from spillover.engine.weights.texts import (
    Links,
    Square,
    integers,
    read_csv,
    read_gal,
    read_gwt,
    refuse,
)
from spillover.engine.weights.weights import Weights
from spillover.kernels.arguments import front_door, label
from spillover.kernels.errors import WeightsError

Labelled = tuple[sparse.csr_array, pd.Index]


@front_door
def read_weights(
    path: str | Path, *, ids: Any = None, islands: str = "error", bounds: Bounds = None
) -> Weights:
    """The weights in a file, of the format its extension says.

    .gal: binary contiguity, units in the file's order. .gwt: "origin destination weight" lines,
    units in the order they first stand as an origin, then the rest. .csv: one link a line under a
    header (comma, semicolon or tab): the columns origin, destination, weight or focal, neighbor,
    weight or i, j, w by name, beside any others, else the two or three columns there are, in that
    order; without a weight column every weight is 1; units sorted. In these three row i of W holds
    the links with origin i, labels are integers if all of them look like integers without leading
    zeros, else text, and a self-link of weight 0 declares a unit. A .csv of other columns may be a
    square matrix: with the units in its first line and first column, in any order, units in the
    order of the lines; or four and more lines of numbers alone, units 0 … n-1. .mtx (Matrix Market:
    coordinate or array; real, integer or pattern; general, symmetric or skew-symmetric), .npz
    (`scipy.sparse.save_npz`): the matrix alone, units 0 … n-1. A link given twice is refused;
    entries that a .npz stores more than once are summed, as `Weights` does. Nothing in a file is
    run or unpickled.

    `ids`: for matrices without labels those of the rows; for the others the units in the order
    wanted, matched to the file's labels by their text (1 to "1", "New York" to "New_York"): all
    labels of the file must be among them, and those it lacks are islands. `islands`, `bounds`: as
    for `Weights`. Raises WeightsError naming the file and, where it can, the line; for folders,
    pipes and devices, and for files, or matrices that they promise, larger than memory holds.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "trade.csv")
    ...     _ = file.write_text("origin,destination,weight\\n1,2,0.5\\n2,1,3\\n")
    ...     read_weights(file).to_scipy().toarray()
    array([[0. , 0.5],
           [3. , 0. ]])

    Source: the GAL and GWT formats, Anselin (2003), GeoDa 0.9 User's Guide.
    """
    path = as_path(path, "weights", WeightsError)
    kind = path.suffix.lower()
    if kind not in LABELLED | BARE:
        what = f"cannot read {kind or 'a file without extension'}"
        raise WeightsError(f"{named(path)}: {what}; supported are {' '.join(LABELLED | BARE)}.")
    check_file(path, "weights", WeightsError)
    try:
        found = BARE[kind](path) if kind in BARE else LABELLED[kind](path)
        if isinstance(found, Links):
            matrix, labels = _assemble(found, ids)
        elif isinstance(found, Square):
            matrix, labels = _arrange(found, ids)
        else:
            matrix, labels = found, ids
        return Weights(matrix, labels, islands=islands, bounds=bounds)
    except WeightsError as error:
        message = str(error)
        raise WeightsError(
            message if message.startswith(named(path)) else f"{named(path)}: {message}"
        ) from None


def square(frame: pd.DataFrame, ids: Any) -> tuple[np.ndarray, pd.Index]:
    """The (n, n) values of a frame with the same labels on both sides, columns in the order of the
    index.
    """
    if ids is not None:
        raise WeightsError(
            "a DataFrame carries its ids, its index: leave ids out, or give frame.to_numpy() with"
            " ids."
        )
    rows, columns = as_index(frame.index), as_index(frame.columns)
    one_sided = rows.symmetric_difference(columns, sort=False)
    if len(one_sided):
        sides = (
            "only in the index or only in the columns of the frame:"
            f" {few(one_sided)}.{type_hint(rows, columns)}"
        )
        raise WeightsError(f"{sides} Give both the same labels, or give frame.to_numpy() with ids.")
    return as_numbers(frame, "the matrix")[:, columns.get_indexer(rows)], rows


def table_links(
    frame: pd.DataFrame, origin: str, destination: str, weight: str | None, ids: Any
) -> Labelled:
    """The matrix and units of a table with one link a row: `Weights.from_edges`."""
    if not isinstance(frame, pd.DataFrame):
        raise WeightsError(
            f"the edges are a {type(frame).__name__}: give a pandas DataFrame, one link a row."
        )
    given = {"origin": origin, "destination": destination} | (
        {} if weight is None else {"weight": weight}
    )
    wanted = [label(role, name, error=WeightsError) for role, name in given.items()]
    absent = [name for name in wanted if name not in frame.columns]
    if absent:
        raise WeightsError(
            f"the edges have no column {few(absent)}; their columns are {few(frame.columns)}."
        )
    again = [name for name in wanted if wanted.count(name) > 1 or (frame.columns == name).sum() > 1]
    if again:
        raise WeightsError(
            f"origin, destination and weight must be columns of their own, and {few(again[:1])} is"
            " named more than once."
        )
    for column in (origin, destination):
        lacking = frame[column].isna() | (frame[column].astype(object) == "")
        if lacking.any():
            raise WeightsError(
                f"column {column!r} has no label in the rows {few(frame.index[lacking])}: drop or"
                " fill them."
            )
        check_hashable(frame[column], f"the labels in column {column!r}")
        check_told_apart(pd.Index(frame[column].unique()), f"labels in column {column!r}")
    values = (
        np.ones(len(frame))
        if weight is None
        else as_numbers(frame[weight], f"the weights in column {weight!r}")
    )
    units = _union(frame[origin], frame[destination]) if ids is None else as_index(ids)
    return link(frame[origin], frame[destination], values, units), units


def libpysal_links(w_or_graph: Any) -> Labelled:
    """The matrix and units of a libpysal W or Graph, told apart by what they hold:
    `Weights.from_libpysal`.
    """
    if isinstance(getattr(w_or_graph, "adjacency", None), pd.Series):
        links, units = w_or_graph.adjacency, as_index(w_or_graph.unique_ids)
        return (
            link(
                links.index.get_level_values(0),
                links.index.get_level_values(1),
                links.to_numpy(dtype=float),
                units,
            ),
            units,
        )
    if not all(hasattr(w_or_graph, name) for name in ("neighbors", "weights", "id_order")):
        raise WeightsError(
            f"a {type(w_or_graph).__name__} is neither a libpysal.weights.W nor a"
            f" libpysal.graph.Graph: {how_to_make(w_or_graph)}."
        )
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
    return W(
        neighbours,
        {i: row.tolist() for i, row in zip(labels, values, strict=True)},
        id_order=labels,
        silence_warnings=True,
    )


def link(origin: Any, destination: Any, values: np.ndarray, ids: pd.Index) -> sparse.csr_array:
    """The (n, n) matrix of values[e] at the places of origin[e] and destination[e] in `ids`, each
    link once and among the ids.
    """
    sources, targets = as_labels(origin), as_labels(destination)
    rows, columns = ids.get_indexer(sources), ids.get_indexer(targets)
    unknown = sources[rows < 0].append(targets[columns < 0]).unique()
    if len(unknown):
        hint = type_hint(ids, unknown)
        raise WeightsError(
            f"in the edges but not in ids: {few(unknown)}. Add them to ids or leave those edges"
            f" out.{hint}"
        )
    again = np.flatnonzero(
        pd.Index(rows.astype(np.int64) * len(ids) + columns).duplicated()
    ).tolist()
    if again:
        pairs = few(again, lambda e: link_name(ids, rows[e], columns[e]))
        raise WeightsError(
            f"{len(again)} links are given once more: {pairs}. Keep one row each, or sum them"
            " first."
        )
    return sparse.csr_array((values, (rows, columns)), shape=(len(ids), len(ids)))


def _union(origin: pd.Series, destination: pd.Series) -> pd.Index:
    labels = pd.concat([origin, destination], ignore_index=True).unique()
    try:
        return as_index(sorted(labels))
    except TypeError as error:
        kinds = sorted({type(label).__name__ for label in labels})
        raise WeightsError(
            f"labels of the types {few(kinds)} do not sort: convert them, or give ids."
        ) from error


def _assemble(file: Links, ids: Any) -> Labelled:
    """The matrix of a file's links, under the file's own labels or those of the user."""
    if ids is None and file.unnamed:
        refuse(
            file.path,
            1,
            f"the header counts {file.unnamed} units that have no links: name all units by ids=[…],"
            ' with islands="allow"',
        )
    units, place = _units(file.units, ids)
    seen: dict[tuple[int, int], int] = {}
    for origin, destination, weight, line in file.links:
        cell = place[origin], place[destination]
        if cell in seen:
            refuse(
                file.path,
                line,
                f"the link {origin!r} → {destination!r} was given on line {seen[cell]} already",
            )
        if cell[0] == cell[1] and weight != 0:
            refuse(
                file.path,
                line,
                f"{origin!r} is linked to itself with weight {weight:g}: no unit is its own"
                " neighbour",
            )
        seen[cell] = line
    cells = np.array(list(seen), dtype=np.int64).reshape(-1, 2)
    values = np.array([one[2] for one in file.links])
    return (
        sparse.csr_array((values, (cells[:, 0], cells[:, 1])), shape=(len(units), len(units))),
        units,
    )


def _arrange(file: Square, ids: Any) -> tuple[sparse.coo_array, Any]:
    """A file's square matrix under its labels or those of the user, in their order."""
    if file.units is None:
        return file.matrix, ids
    units, place = _units(file.units, ids)
    at = np.array([place[unit] for unit in file.units])
    cells = at[file.matrix.row], at[file.matrix.col]
    return sparse.coo_array((file.matrix.data, cells), shape=(len(units), len(units))), units


def _units(found: list[str], ids: Any) -> tuple[pd.Index, dict[str, int]]:
    """The units, those of a file or those of the user, and the position among them of each that the
    file names.
    """
    own: list = [int(unit) for unit in found] if integers(found) else found
    units = as_index(own if ids is None else ids)
    key = str if ids is None else _plain
    texts = pd.Index([key(unit) for unit in units.tolist()], dtype=object)
    if texts.has_duplicates:
        raise WeightsError(
            f"ids that are the same as text: {few(units[texts.duplicated(keep=False)])}. The file"
            " cannot tell them apart."
        )
    place = {text: k for k, text in enumerate(texts)}
    unknown = [key(unit) not in place for unit in found]
    if any(unknown):
        hint = type_hint(units, pd.Index(own)[unknown])
        shown = few([unit for unit, new in zip(found, unknown, strict=True) if new])
        raise WeightsError(
            f"in the file but not in ids: {shown}. Add them to ids; W[…] then takes a part.{hint}"
        )
    return units, {unit: place[key(unit)] for unit in found}


def _plain(label: Any) -> str:
    """A label as a file of blank-separated words has it."""
    return "_".join(str(label).split())


LABELLED: dict[str, Callable[[Path], Links | Square]] = {
    ".gal": read_gal,
    ".gwt": read_gwt,
    ".csv": read_csv,
}
BARE: dict[str, Callable[[Path], Any]] = {".mtx": read_matrix_market, ".npz": read_npz}
