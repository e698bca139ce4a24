"""Weights written as text: .gal, .gwt, and .csv with an edge list or a square matrix.

Every error names the line.
"""

import csv
import io
import math
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
import pandas as pd
import scipy.sparse as sparse

from spillover.engine.labels import few
from spillover.engine.storage.reading import check_memory, cite, read_text
from spillover.kernels.errors import WeightsError

INTEGER = re.compile(r"-?[1-9][0-9]{0,17}|0")  # no leading zeros: "01001" is a code, not a number
HEADERS = (("origin", "destination", "weight"), ("focal", "neighbor", "weight"), ("i", "j", "w"))
DIGITS = 18  # digits of a count, at most
TIMES = 60  # bytes of memory for each byte of a list of links
EDGES = "a header that names origin, destination and weight makes it an edge list"
MATRIX = (
    "the labels of the units in the first line and, in the same order or another, the first column"
    " make it a matrix"
)


class Links(NamedTuple):
    """The units of a file, in its order, and its links with their lines; labels are text."""

    path: Path
    units: list[str]
    links: list[tuple[str, str, float, int]]  # origin, destination, weight, line
    unnamed: int = 0  # units that the header counts but no line names


class Square(NamedTuple):
    """A square matrix in a file, rows and columns in one order; `units` is None without labels."""

    path: Path
    units: list[str] | None
    matrix: sparse.coo_array


def read_gal(path: Path) -> Links:
    """Read the links of a .gal file.

    Its header is "n" or "0 n file key"; then each unit has a line "id k", and its k neighbours on
    one line or more.
    """
    lines = _lines(path)
    n = _count(path, *lines[0])
    units: dict[str, int] = {}
    links: list[tuple[str, str, float, int]] = []
    at = 1
    while at < len(lines):
        number, words = lines[at]
        if len(words) != 2 or not words[1].isdecimal() or len(words[1]) > DIGITS:
            refuse(
                path, number, f"expected a unit and its number of neighbours, found {few(words)}"
            )
        unit, k, at, count = words[0], int(words[1]), at + 1, 0
        if unit in units:
            refuse(path, number, f"unit {unit!r} was given on line {units[unit]} already")
        units[unit] = number
        while count < k:
            if at == len(lines) or count + len(lines[at][1]) > k:
                beside = (
                    "the file ends"
                    if at == len(lines)
                    else f"line {lines[at][0]} has {count + len(lines[at][1])}"
                )
                refuse(path, number, f"unit {unit!r} should have {k} neighbours, but {beside}")
            links += [(unit, neighbour, 1.0, lines[at][0]) for neighbour in lines[at][1]]
            count, at = count + len(lines[at][1]), at + 1
    if len(units) != n:
        refuse(path, lines[0][0], f"the header says {n} units, the file has {len(units)}")
    for _, neighbour, _, number in links:
        if neighbour not in units:
            refuse(path, number, f"neighbour {neighbour!r} is not a unit of the file")
    return Links(path, list(units), links)


def read_gwt(path: Path) -> Links:
    """Read the links of a .gwt file.

    Its header is "n" or "0 n file key"; then come lines "origin destination weight".
    """
    lines = _lines(path)
    n = _count(path, *lines[0])
    links = []
    for number, words in lines[1:]:
        if len(words) != 3:
            refuse(path, number, f"expected origin, destination and weight, found {few(words)}")
        links.append((words[0], words[1], _weight(path, number, words[2]), number))
    units = list(dict.fromkeys([one[0] for one in links] + [one[1] for one in links]))
    if len(units) > n:
        refuse(path, lines[0][0], f"the header says {n} units, the file has {len(units)}")
    return Links(path, units, links, n - len(units))


def read_csv(path: Path) -> Links | Square:
    """Read the links or the square matrix of a .csv file.

    An edge list has a header and one link per line. A matrix has labels in its first line and first
    column, or none at all. A header with the column names of an edge list makes it one. Otherwise
    four or more columns are a matrix, and two or three are an edge list, unless three have the same
    two labels in the first line and the first column.
    """
    text = read_text(path, "an edge list or a square matrix", WeightsError)
    names = next(_fields(path, text))[1]
    columns = _columns_by_name([name.lower() for name in names])
    if columns is None:
        square = _matrix(path, text, names)
        if square is not None:
            return square
        columns = _columns_by_order(path, names)
    check_memory(path, TIMES * len(text), "an edge list", WeightsError)
    return _edges(path, text, len(names), columns)


def _fields(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, each with the number of its last line.

    The separator is the comma, semicolon or tab, whichever the first line has most of.
    """
    head = text.lstrip().partition("\n")[0]
    mark = max(",;\t", key=head.count)
    rows = csv.reader(
        io.StringIO(text, newline=""), delimiter=mark, skipinitialspace=True, strict=True
    )
    try:
        for row in rows:
            fields = [field.strip() for field in row]
            if any(fields):
                yield rows.line_num, fields
    except csv.Error as error:
        refuse(
            path,
            rows.line_num,
            f"cannot be read as CSV: {error}; look for a quotation mark that does not end",
        )


def _edges(path: Path, text: str, width: int, columns: list[int]) -> Links:
    rows, links = _fields(path, text), []
    next(rows)
    for line, row in rows:
        if len(row) != width:
            refuse(path, line, f"{len(row)} fields under a header of {width}")
        origin, destination, *weight = (row[k] for k in columns)
        if not origin or not destination:
            refuse(path, line, "a label is missing")
        links.append((origin, destination, _weight(path, line, weight[0]) if weight else 1.0, line))
    labels = {label for one in links for label in one[:2]}
    return Links(path, sorted(labels, key=int if integers(labels) else None), links)


def _columns_by_name(names: list[str]) -> list[int] | None:
    """Find origin, destination and any weight in a header that names them; None if none does."""
    for trio in HEADERS:
        ends = [names.index(name) for name in trio[:2] if name in names]
        if len(ends) == 2:
            again = [name for name in trio if names.count(name) > 1]
            rest = (
                [names.index(trio[2])]
                if trio[2] in names
                else [k for k in range(len(names)) if k not in ends]
            )
            if len(rest) <= 1 and not again:
                return ends + rest
    return None


def _columns_by_order(path: Path, names: list[str]) -> list[int]:
    """Take origin, destination and any weight by their order."""
    if any(_is_number(name) for name in names):
        refuse(
            path,
            1,
            f"{few(names)} looks like data: the first line names the columns, e.g."
            " origin,destination,weight",
        )
    if len(names) not in (2, 3):
        way_out = f"name three of them origin, destination and weight, or keep only those; {MATRIX}"
        refuse(path, 1, f"found the columns {few(names)}: {way_out}")
    return list(range(len(names)))


def _matrix(path: Path, text: str, names: list[str]) -> Square | None:
    """Read the square matrix in a CSV file; None if it holds none.

    WeightsError where it could be a matrix or something else.
    """
    width, bare = len(names), all(_is_number(name) for name in names)
    firsts = [row[0] for _, row in _fields(path, text)]
    same = sorted(firsts[1:]) == sorted(names[1:])
    if width < 3 or (width == 3 and not bare):
        if bare and len(firsts) == width:
            _ambiguous(path, width)
        return _values(path, text, names) if width == 3 and same else None
    if bare:
        if width == 3:
            return _ambiguous(path, width) if len(firsts) == width else None
        if same and len(set(names[1:])) == width - 1 and integers(names):
            what = f"the first line and the first column are {few(names)}: labels or weights"
            refuse(
                path,
                1,
                f"{what}? Leave the first cell blank before labels; give a matrix without labels"
                " its own, other ones",
            )
        return _values(path, text, None, len(firsts))
    if same:
        return _values(path, text, names)
    if len(firsts) == width or set(firsts[1:]) & set(names[1:]):
        rows, columns = (pd.Index(labels).unique() for labels in (firsts[1:], names[1:]))
        sides = (
            ("only in the first column", rows.difference(columns, sort=False)),
            ("only in it", columns.difference(rows, sort=False)),
        )
        shown = "; ".join(f"{side}: {few(labels)}" for side, labels in sides if len(labels))
        refuse(
            path,
            1,
            "the labels in the first line are not those of the first column;"
            f" {shown or 'some stand there more than once'}",
        )
    return None


def _ambiguous(path: Path, width: int) -> NoReturn:
    refuse(path, 1, f"{width} lines of {width} numbers are links or a matrix: {EDGES}; {MATRIX}")


def _values(path: Path, text: str, names: list[str] | None, width: int = 0) -> Square:
    """Read a matrix with labels or without, its columns put in the order of its rows."""
    labels, columns, values, counts = [], [], [], []
    rows = _fields(path, text)
    if names is not None:
        next(rows)
        width = len(names)
        again = (
            sorted({name for name in names[1:] if names[1:].count(name) > 1})
            if len(set(names[1:])) < width - 1
            else []
        )
        if again or "" in names[1:]:
            refuse(
                path,
                1,
                f"labels of columns that are missing or given more than once: {few(again or [''])}",
            )
    for line, row in rows:
        if len(row) != width:
            what = (
                f"the file has {width} lines: a square matrix is wanted"
                if names is None
                else f"the first line has {width}"
            )
            refuse(path, line, f"{len(row)} fields, and {what}")
        cells = row if names is None else row[1:]
        labels.append(row[0])
        weights = _weights(path, line, cells)
        linked = np.flatnonzero(weights)
        columns.append(linked)
        values.append(weights[linked])
        counts.append(len(linked))
    row_of, column_of = np.repeat(np.arange(len(labels)), counts), np.concatenate(columns)
    if names is not None:
        place = {label: k for k, label in enumerate(labels)}
        column_of = np.array([place[name] for name in names[1:]])[column_of]
    matrix = sparse.coo_array(
        (np.concatenate(values), (row_of, column_of)), shape=(len(labels), len(labels))
    )
    return Square(path, None if names is None else labels, matrix)


def _weights(path: Path, line: int, cells: list[str]) -> np.ndarray:
    """Read the weights in one row of a matrix."""
    try:
        weights = np.array([float(cell) for cell in cells])
    except ValueError:
        weights = np.array([np.nan])
    if "_" in "".join(cells) or not (np.isfinite(weights) & (weights >= 0)).all():
        return np.array([_weight(path, line, cell) for cell in cells])
    return weights


def integers(labels: Collection[str]) -> bool:
    """Whether all labels look like integers, and none like a code with leading zeros."""
    return all(INTEGER.fullmatch(label) for label in labels)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text  # Python reads 1_000 as 1000


def _weight(path: Path, line: int, text: str) -> float:
    if not _is_number(text) or not 0 <= float(text) < math.inf:
        refuse(path, line, f"the weight {text!r} is not a finite number of at least 0")
    return float(text)


def _count(path: Path, line: int, words: list[str]) -> int:
    """Read the number of units in a header "n" or "0 n file key"."""
    count = words[min(1, len(words) - 1)]
    if not count.isdecimal() or len(count) > DIGITS:
        refuse(path, line, f"expected a header with the number of units, found {few(words)}")
    return int(count)


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """Split a file into the lines that are not blank: their numbers and words."""
    text = read_text(path, "weights", WeightsError, TIMES)
    return [
        (number, line.split()) for number, line in enumerate(text.splitlines(), 1) if line.strip()
    ]


def refuse(path: Path, line: int, what: str) -> NoReturn:
    """Raise WeightsError for a line of a file."""
    raise WeightsError(f"{cite(path)}, line {line}: {what}.")
