"""Matrix Market files (.mtx), read defensively: sizes are checked before any array is made.

Source: Boisvert, Pozo & Remington (1996), The Matrix Market Exchange Formats: Initial Design,
NISTIR 5935.
"""

import io
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
import pandas as pd
import scipy.sparse as sparse

from spillover.engine.storage.reading import check_memory, cite, read_bytes
from spillover.kernels.errors import WeightsError

FIELDS = ("real", "double", "integer", "unsigned-integer", "pattern")
WHOLE_FIELDS = ("integer", "unsigned-integer", "pattern")
SYMMETRIES = ("general", "symmetric", "skew-symmetric")
WHOLE = b"0123456789+- \t\r\n"
REAL = WHOLE + b".eE"
TIMES = 10  # bytes of memory for each byte of a file
ROW = 200  # bytes of memory for each unit, linked or not
WHAT = "a Matrix Market file"


class Head(NamedTuple):
    """The header of a file, and the byte and the line at which its entries start."""

    dense: bool
    field: str
    symmetry: str
    sizes: tuple[int, ...]
    start: int
    line: int


def read_matrix_market(path: Path) -> sparse.coo_array:
    """Read the matrix in a file.

    It may be coordinate or array; real, integer or pattern; general, symmetric or skew-symmetric.
    WeightsError, with the line, for anything that the format does not allow, for complex and
    Hermitian matrices, and for a cell given twice.
    """
    content = read_bytes(path, WHAT, WeightsError, TIMES)
    head = _head(content, path)
    rows, columns = head.sizes[:2]
    check_memory(path, ROW * max(rows, columns), f"a matrix of {rows} × {columns}", WeightsError)
    if head.symmetry != "general" and rows != columns:
        _refuse(
            path,
            head.line - 1,
            f"a {head.symmetry} matrix of {rows} × {columns}: it must be square",
        )
    row, column, value = (_dense if head.dense else _sparse)(content, head, path)
    if head.symmetry != "general":
        beyond = row != column
        sign = -1.0 if head.symmetry == "skew-symmetric" else 1.0
        mirrored = column[beyond], row[beyond], sign * value[beyond]
        row, column, value = (
            np.concatenate(pair) for pair in zip((row, column, value), mirrored, strict=True)
        )
    return sparse.coo_array((value, (row, column)), shape=(rows, columns))


def _head(content: bytes, path: Path) -> Head:
    """Read the first line, skip comments and blank lines, and read the line of sizes."""
    stream, number = io.BytesIO(content), 1
    words = _line(stream).lower().split()
    if len(words) != 5 or words[:2] != ["%%matrixmarket", "matrix"]:
        _refuse(path, 1, 'expected "%%MatrixMarket matrix" and what kind of one it is')
    _, _, kind, field, symmetry = words
    if (
        kind not in ("coordinate", "array")
        or field not in FIELDS
        or symmetry not in SYMMETRIES
        or (kind, field) == ("array", "pattern")
    ):
        able = (
            "coordinate or array; real, integer or pattern (coordinate only); general, symmetric or"
            " skew-symmetric"
        )
        _refuse(path, 1, f"{' '.join(words[2:])!r} is none of what is read: {able}")
    text = "%"
    while text.startswith("%") or not text.strip():
        number, before = number + 1, stream.tell()
        text = _line(stream)
        if stream.tell() == before:
            _refuse(path, number, "the file ends before its sizes")
    sizes = text.split()
    if len(sizes) != (2 if kind == "array" else 3) or not all(
        one.isascii() and one.isdigit() and len(one) <= 18 for one in sizes
    ):
        wanted = "rows and columns" if kind == "array" else "rows, columns and entries"
        _refuse(path, number, f"expected the numbers of {wanted}, found {text.strip()[:60]!r}")
    return Head(
        dense=kind == "array",
        field=field,
        symmetry=symmetry,
        sizes=tuple(map(int, sizes)),
        start=stream.tell(),
        line=number + 1,
    )


def _line(stream: io.BytesIO) -> str:
    return stream.readline().decode("latin-1")


def _sparse(content: bytes, head: Head, path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read the rows, columns and values of a coordinate file.

    Every cell must be inside the matrix, and occur once.
    """
    rows, columns, count = head.sizes
    names = ["row", "column"] if head.field == "pattern" else ["row", "column", "value"]
    _check_room(content, head, count, 2 * len(names), path)
    table = _table(content, head, names, path)
    if len(table) != count:
        _refuse(path, head.line - 1, f"the header says {count} entries, the file has {len(table)}")
    row, column = (table[name] - 1 for name in ("row", "column"))
    value = np.ones(count) if head.field == "pattern" else table["value"]
    outside = (row < 0) | (row >= rows) | (column < 0) | (column >= columns)
    if outside.any():
        _at(
            path,
            content,
            head,
            int(np.argmax(outside)),
            f"the entry is outside the matrix of {rows} × {columns}, whose indices start at 1",
        )
    if head.symmetry == "skew-symmetric" and (row == column).any():
        _at(
            path,
            content,
            head,
            int((row == column).argmax()),
            "a skew-symmetric matrix has no diagonal",
        )
    first, second = (
        (row, column)
        if head.symmetry == "general"
        else (np.minimum(row, column), np.maximum(row, column))
    )
    again = pd.DataFrame({"first": first, "second": second}).duplicated().to_numpy()
    if again.any():
        which = int(again.argmax())
        _at(
            path,
            content,
            head,
            which,
            f"the entry {row[which] + 1}, {column[which] + 1} was given already",
        )
    return row, column, value


def _dense(content: bytes, head: Head, path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read the rows, columns and values of an array file, without its zeros.

    It has one value per line, column by column; a symmetric matrix has its lower triangle only.
    """
    rows, columns = head.sizes
    skew = head.symmetry == "skew-symmetric"
    # Python's integers do not overflow
    lower = np.arange(columns, dtype=object) if head.symmetry != "general" else 0
    count = (
        rows * columns
        if head.symmetry == "general"
        else rows * (rows + 1) // 2 - (rows if skew else 0)
    )
    _check_room(content, head, count, 2, path)
    value = _table(content, head, ["value"], path)["value"]
    if len(value) != count:
        _refuse(path, head.line - 1, f"expected {count} values, the file has {len(value)}")
    if head.symmetry == "general":
        column, row = np.divmod(np.arange(count), max(rows, 1))
    else:
        lengths = np.asarray(rows - lower - skew, dtype=np.int64).clip(0)
        column = np.repeat(np.arange(columns), lengths)
        row = np.arange(count) - np.repeat(np.cumsum(lengths) - lengths, lengths) + column + skew
    linked = value != 0
    return row[linked], column[linked], value[linked]


def _check_room(content: bytes, head: Head, count: int, least: int, path: Path) -> None:
    """Refuse a header that promises more entries than the file has room for.

    An entry takes at least `least` bytes; the last may lack its end of line.
    """
    most = (len(content) - head.start + 1) // least
    if count > most:
        _refuse(
            path,
            head.line - 1,
            f"the sizes promise {count} entries, and the rest of the file has room for {most} at"
            " most",
        )


def _table(content: bytes, head: Head, names: list[str], path: Path) -> np.ndarray:
    """Read the entries by NumPy's fast reader.

    Characters that no number has are refused first, as the reader accepts more than numbers.
    """
    body, allowed = content[head.start :], WHOLE if head.field in WHOLE_FIELDS else REAL
    kind = np.dtype([(name, np.float64 if name == "value" else np.int64) for name in names])
    if not body.strip():
        return np.empty(0, kind)
    try:
        if body.translate(None, allowed):
            raise ValueError("it has characters that no number has")
        return np.loadtxt(io.BytesIO(body), kind, comments=None, ndmin=1)
    except (ValueError, OverflowError) as failure:
        _refuse_first(body, head, names, path)
        raise WeightsError(f"{cite(path)}: cannot be read as {WHAT}: {failure}.") from failure


def _refuse_first(body: bytes, head: Head, names: list[str], path: Path) -> None:
    """Refuse the first line that is not an entry."""
    for number, line in enumerate(body.splitlines(), head.line):
        words = line.decode("latin-1").split()
        if words and not (
            len(words) == len(names)
            and all(_is_number(*pair, head) for pair in zip(names, words, strict=True))
        ):
            _refuse(
                path,
                number,
                f"expected {', '.join(names)} as numbers, found {' '.join(words)[:60]!r}",
            )


def _is_number(name: str, word: str, head: Head) -> bool:
    whole = name != "value" or head.field in WHOLE_FIELDS
    if set(word.encode("latin-1")) - set(WHOLE if whole else REAL):
        return False
    try:
        return float(word) < np.inf if name == "value" else abs(int(word[:400])) < 2**63
    except ValueError:
        return False


def _at(path: Path, content: bytes, head: Head, which: int, what: str) -> NoReturn:
    """Refuse the entry number `which`, naming its line."""
    lines = enumerate(content[head.start :].splitlines(), head.line)
    entries = (number for number, line in lines if line.strip())
    _refuse(path, next(number for place, number in enumerate(entries) if place == which), what)


def _refuse(path: Path, line: int, what: str) -> NoReturn:
    raise WeightsError(f"{cite(path)}, line {line}: {what}.")
