"""Spatial weights from files: .gal, .gwt, .csv, .mtx and .npz, as a matrix and labels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sparse

from spillover.engine.labels import as_index, few, type_hint
from spillover.engine.storage.failures import prefix_errors
from spillover.engine.storage.reading import check_file, cite
from spillover.engine.weights.checks import Labelled
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
from spillover.kernels.errors import WeightsError

# formats that name the units, and formats of a matrix alone
LABELLED: dict[str, Callable[[Path], Links | Square]] = {
    ".gal": read_gal,
    ".gwt": read_gwt,
    ".csv": read_csv,
}
BARE: dict[str, Callable[[Path], sparse.coo_array]] = {
    ".mtx": read_matrix_market,
    ".npz": read_npz,
}


def read_matrix(path: Path, ids: Any) -> tuple[sparse.sparray, Any]:
    """Read the matrix (N, N) and the labels of its units from a file, in its extension's format.

    The labels are None where neither the file nor `ids` has any.
    """
    kind = path.suffix.lower()
    if kind not in LABELLED | BARE:
        what = f"cannot read {kind or 'a file without extension'}"
        raise WeightsError(f"{cite(path)}: {what}; supported are {' '.join(LABELLED | BARE)}.")
    check_file(path, "weights", WeightsError)
    if kind in BARE:
        return BARE[kind](path), ids
    file = LABELLED[kind](path)
    return _assemble(file, ids) if isinstance(file, Links) else _arrange(file, ids)


def _assemble(file: Links, ids: Any) -> Labelled:
    """Assemble the matrix of a file's links, under the file's own labels or those of the user."""
    if ids is None and file.unnamed:
        refuse(
            file.path,
            1,
            f"the header counts {file.unnamed} units that have no links: name all units by ids=[…],"
            ' with islands="allow"',
        )
    units, place = _match_units(file.path, file.units, ids)
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
    """Put a file's square matrix under its own labels or those of the user, in their order."""
    if file.units is None:
        return file.matrix, ids
    units, place = _match_units(file.path, file.units, ids)
    at = np.array([place[unit] for unit in file.units])
    cells = at[file.matrix.row], at[file.matrix.col]
    return sparse.coo_array((file.matrix.data, cells), shape=(len(units), len(units))), units


def _match_units(path: Path, own: list[str], ids: Any) -> tuple[pd.Index, dict[str, int]]:
    """The units, the user's or else the file's, and each file label's position among them."""
    labels: list[Any] = [int(label) for label in own] if integers(own) else list(own)
    key = str if ids is None else _join_words
    with prefix_errors(WeightsError, cite(path)):
        units = as_index(labels if ids is None else ids)
        texts = pd.Index([key(unit) for unit in units.tolist()], dtype=object)
        if texts.has_duplicates:
            raise WeightsError(
                f"ids that are the same as text: {few(units[texts.duplicated(keep=False)])}. The"
                " file cannot tell them apart."
            )
        place = {text: k for k, text in enumerate(texts)}
        unknown = [key(label) not in place for label in own]
        if any(unknown):
            hint = type_hint(units, pd.Index(labels)[unknown])
            absent = few([label for label, new in zip(own, unknown, strict=True) if new])
            raise WeightsError(
                f"in the file but not in ids: {absent}. Add them to ids; W[…] then takes a"
                f" part.{hint}"
            )
    return units, {label: place[key(label)] for label in own}


def _join_words(label: Any) -> str:
    """A label as it stands in a file of blank-separated words."""
    return "_".join(str(label).split())
