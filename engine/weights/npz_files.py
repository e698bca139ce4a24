"""Matrices written by `scipy.sparse.save_npz`, read defensively.

Nothing is unpickled, sizes are checked before contents are read, and indices before SciPy sees
them.
"""

import ast
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sparse

from spillover.engine.labels import few
from spillover.engine.storage.reading import check_memory, cite, open_file
from spillover.engine.weights.matrix_market import ROW
from spillover.kernels.errors import WeightsError

TIMES = 12  # bytes of memory for each byte of the zip's directory, which may be the whole file
COPIES = 8  # copies of the arrays in memory at once
HEADER = 10_000  # bytes of the header of an array, at most, as in NumPy
PLAIN = re.compile(r"[<>|=]?[biufcSU][0-9]{1,4}")  # types without objects or fields
WHAT = "a matrix saved by scipy.sparse.save_npz"
FAILURES = (  # raised by zipfile and zlib for broken archives
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    OSError,
    EOFError,
    ValueError,
    KeyError,
    IndexError,
    OverflowError,
    RuntimeError,  # encrypted, or of an unknown compression (NotImplementedError)
)
PARTS = {
    "csr": ("data", "indices", "indptr"),
    "csc": ("data", "indices", "indptr"),
    "bsr": ("data", "indices", "indptr"),
    "coo": ("data", "row", "col"),
    "dia": ("data", "offsets"),
}
Entries = tuple[np.ndarray, np.ndarray, np.ndarray]  # values, rows, columns


class Header(NamedTuple):
    """The header of an array in the file, which says how to read it.

    `fortran`: whether its elements are stored by columns; `before`: how many bytes precede them.
    """

    dtype: np.dtype
    shape: tuple[int, ...]
    fortran: bool
    before: int


class BrokenArchive(Exception):
    """What is wrong with an archive; `read_npz` adds the name of the file."""


def read_npz(path: Path) -> sparse.coo_array:
    """Read a matrix in the format csr, csc, bsr, coo or dia; repeated entries are kept.

    WeightsError for anything else.
    """
    with open_file(path, WHAT, WeightsError, TIMES) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return _matrix(archive, path)
        except WeightsError:
            raise
        except (BrokenArchive, *FAILURES) as failure:
            reason = str(failure) or type(failure).__name__
            raise WeightsError(
                f"{cite(path)}: cannot be read as a .npz matrix, {WHAT}: {reason.rstrip('.')}."
            ) from failure


def _matrix(archive: zipfile.ZipFile, path: Path) -> sparse.coo_array:
    members = {one.filename: one for one in archive.infolist()}
    if len(members) < len(archive.infolist()):
        raise BrokenArchive("two members have the same name")
    kind = _kind(archive, members)
    wanted = ("shape", *PARTS[kind])
    if kind == "coo" and "coords.npy" in members:
        wanted = ("shape", "data", "coords")
    headers = {name: _header(archive, _member(members, name)) for name in wanted}
    held = sum(prod(one.shape) * one.dtype.itemsize for one in headers.values())
    check_memory(path, COPIES * held, "a matrix", WeightsError)
    shape = _integers(_array(archive, _member(members, "shape"), headers["shape"]), "shape")
    if shape.shape != (2,) or (shape < 0).any():
        raise BrokenArchive(f"its shape is {few(shape.ravel())}: rows and columns are wanted")
    rows, columns = map(int, shape)
    check_memory(path, ROW * max(rows, columns), f"a matrix of {rows} × {columns}", WeightsError)
    _check_kind(headers["data"], path)
    parts = {name: _array(archive, _member(members, name), headers[name]) for name in wanted[1:]}
    value, row, column = ENTRIES[kind](parts, rows, columns)
    return sparse.coo_array((value, (row, column)), shape=(rows, columns))


def _kind(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> str:
    member = _member(members, "format")
    header = _header(archive, member)
    if header.dtype.kind not in "SU" or header.shape != () or header.dtype.itemsize > 100:
        raise BrokenArchive("its format is not a short text")
    text = _array(archive, member, header)[()]
    kind = text.decode("latin-1") if isinstance(text, bytes) else str(text)
    if kind not in PARTS:
        raise BrokenArchive(f"its format is {kind!r}, and those read are {', '.join(PARTS)}")
    return kind


def _member(members: dict[str, zipfile.ZipInfo], name: str) -> zipfile.ZipInfo:
    if f"{name}.npy" not in members:
        raise BrokenArchive(f"it has no {name}.npy, only {few(list(members)) or 'nothing'}")
    return members[f"{name}.npy"]


def _header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Header:
    """Read the header of an array, whose size must be the one that the archive states."""
    with archive.open(member) as file:
        start = _read(file, 8)
        if start[:6] != b"\x93NUMPY" or start[6] not in (1, 2, 3):
            raise BrokenArchive(f"{member.filename} is no NumPy array")
        width = 2 if start[6] == 1 else 4
        length = int.from_bytes(_read(file, width), "little")
        if length > HEADER:
            raise BrokenArchive(f"the header of {member.filename} has {length} bytes")
        text = _read(file, length).decode("latin-1")
    try:
        told = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise BrokenArchive(f"the header of {member.filename} is none of NumPy's") from None
    if not isinstance(told, dict) or set(told) != {"descr", "fortran_order", "shape"}:
        raise BrokenArchive(f"the header of {member.filename} is none of NumPy's")
    descr, shape = told["descr"], told["shape"]
    if not isinstance(descr, str) or not PLAIN.fullmatch(descr):
        raise BrokenArchive(
            f"{member.filename} holds {str(descr)[:40]!r}, not numbers; objects are never unpickled"
        )
    if (
        not isinstance(shape, tuple)
        or not all(type(one) is int and 0 <= one < 2**62 for one in shape)
        or len(shape) > 3
    ):
        raise BrokenArchive(f"{member.filename} has the shape {str(shape)[:40]}")
    try:
        kind = np.dtype(descr)
    except TypeError:
        raise BrokenArchive(
            f"{member.filename} holds {descr!r}, which is no type of numbers"
        ) from None
    header = Header(kind, shape, bool(told["fortran_order"]), 8 + width + length)
    if prod(shape) * kind.itemsize != member.file_size - header.before:
        raise BrokenArchive(
            f"{member.filename} promises {prod(shape) * kind.itemsize} bytes and has"
            f" {member.file_size - header.before}"
        )
    return header


def _read(file: Any, count: int) -> bytes:
    content: bytes = file.read(count)
    if len(content) < count:
        raise BrokenArchive("it is cut short")
    return content


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, header: Header) -> np.ndarray:
    with archive.open(member) as file:
        _read(file, header.before)
        content = _read(file, member.file_size - header.before)
        file.read(1)  # the checksum is compared at the end
    flat = np.frombuffer(content, header.dtype)
    return flat.reshape(header.shape, order="F" if header.fortran else "C")


def _check_kind(data: Header, path: Path) -> None:
    if data.dtype.kind not in "biuf":
        raise WeightsError(
            f"{cite(path)}: the matrix holds {data.dtype} values: weights are real numbers."
        )


def _integers(values: np.ndarray, name: str) -> np.ndarray:
    if values.dtype.kind not in "iu":
        raise BrokenArchive(f"{name} holds {values.dtype} values, not integers")
    if values.dtype.kind == "u" and values.size and values.max() > np.iinfo(np.int64).max:
        raise BrokenArchive(f"{name} holds numbers beyond 2^63")
    return values.astype(np.int64)


def _numbers(values: np.ndarray) -> np.ndarray:
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _places(values: np.ndarray, count: int, below: int, name: str) -> np.ndarray:
    """Check the positions along one axis: one for each value, each inside the matrix."""
    positions = _integers(values, name)
    if positions.shape != (count,):
        raise BrokenArchive(f"{name} has the shape {positions.shape}, and there are {count} values")
    if count and not (positions.min() >= 0 and positions.max() < below):
        raise BrokenArchive(
            f"{name} holds positions outside the matrix, from {positions.min()} to"
            f" {positions.max()} of {below}"
        )
    return positions


def _by_pointer(
    parts: dict[str, np.ndarray], major: int, minor: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Find the positions of the stored values (or blocks) of a compressed format.

    Returns their positions along both axes, and how many values are in use.
    """
    pointer = _integers(parts["indptr"], "indptr")
    stored = len(parts["data"]) if parts["data"].ndim else -1
    if (
        pointer.shape != (major + 1,)
        or pointer[0] != 0
        or (np.diff(pointer) < 0).any()
        or pointer[-1] > stored
    ):
        raise BrokenArchive(
            f"its indptr does not part {stored} values among {major} rows or columns"
        )
    along = _places(parts["indices"], stored, minor, "indices")
    used = int(pointer[-1])
    return np.repeat(np.arange(major), np.diff(pointer)), along[:used], used


def _from_rows(
    parts: dict[str, np.ndarray], rows: int, columns: int, turned: bool = False
) -> Entries:
    if parts["data"].ndim != 1:
        raise BrokenArchive(f"data has the shape {parts['data'].shape}")
    major, minor, used = _by_pointer(parts, *((columns, rows) if turned else (rows, columns)))
    values = _numbers(parts["data"])[:used]
    return (values, minor, major) if turned else (values, major, minor)


def _from_columns(parts: dict[str, np.ndarray], rows: int, columns: int) -> Entries:
    return _from_rows(parts, rows, columns, turned=True)


def _from_blocks(parts: dict[str, np.ndarray], rows: int, columns: int) -> Entries:
    data = _numbers(parts["data"])
    if data.ndim != 3 or 0 in data.shape[1:] or rows % data.shape[1] or columns % data.shape[2]:
        raise BrokenArchive(
            f"blocks of the shape {data.shape} do not make a matrix of {rows} × {columns}"
        )
    high, wide = data.shape[1:]
    block_row, block_column, used = _by_pointer(parts, rows // high, columns // wide)
    row = (
        block_row[:, None, None] * high
        + np.arange(high)[None, :, None]
        + np.zeros((1, 1, wide), np.int64)
    )
    column = (
        block_column[:, None, None] * wide
        + np.arange(wide)[None, None, :]
        + np.zeros((1, high, 1), np.int64)
    )
    return data[:used].ravel(), row.ravel(), column.ravel()


def _from_list(parts: dict[str, np.ndarray], rows: int, columns: int) -> Entries:
    values = _numbers(parts["data"])
    if values.ndim != 1:
        raise BrokenArchive(f"data has the shape {values.shape}")
    if "coords" in parts:
        if parts["coords"].ndim != 2 or len(parts["coords"]) != 2:
            raise BrokenArchive(f"coords has the shape {parts['coords'].shape}")
        parts = {"row": parts["coords"][0], "col": parts["coords"][1]}
    return (
        values,
        _places(parts["row"], len(values), rows, "row"),
        _places(parts["col"], len(values), columns, "col"),
    )


def _from_diagonals(parts: dict[str, np.ndarray], rows: int, columns: int) -> Entries:
    """Read the entries of a dia matrix.

    data[k, j] is in column j, offsets[k] columns right of the diagonal; what falls outside the
    matrix is padding.
    """
    data, offsets = _numbers(parts["data"]), _integers(parts["offsets"], "offsets")
    if data.ndim != 2 or offsets.shape != (len(data),) or len(np.unique(offsets)) < len(offsets):
        raise BrokenArchive(
            f"data of the shape {data.shape} and {offsets.size} offsets make no diagonals"
        )
    if offsets.size and not (-rows <= offsets.min() and offsets.max() <= columns):
        raise BrokenArchive(
            f"offsets from {offsets.min()} to {offsets.max()} lie outside a matrix of {rows} ×"
            f" {columns}"
        )
    column = np.broadcast_to(np.arange(data.shape[1]), data.shape)
    row = column - offsets[:, None]
    inside = (row >= 0) & (row < rows) & (column < columns) & (data != 0)
    return data[inside], row[inside], column[inside]


ENTRIES: dict[str, Callable[[dict[str, np.ndarray], int, int], Entries]] = {
    "csr": _from_rows,
    "csc": _from_columns,
    "bsr": _from_blocks,
    "coo": _from_list,
    "dia": _from_diagonals,
}
