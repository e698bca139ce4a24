"""What depends on W alone, kept by the content of W: in memory, and on disk once `keep` was called.

>>> import spillover as so
>>> so.cache.folder() is None  # nothing goes to disk unasked
True
"""

import hashlib
import os
import struct
import tempfile
import warnings
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from spillover.engine.storage.own_folder import find_cache_home, make_own_folder
from spillover.engine.storage.reading import reason_of
from spillover.kernels.arguments import flag, front_door, path
from spillover.kernels.errors import SpilloverWarning

Arrays = Mapping[str, np.ndarray]
DIGEST = "digest"  # of a record on disk: the SHA-256 of its key and contents
LARGEST = 2**26  # bytes of a file of ours, and far more than one has
UNREADABLE = (  # what NumPy raises for files that are torn, altered, or promise what they lack
    OSError,
    ValueError,
    EOFError,
    KeyError,
    AttributeError,
    TypeError,
    BadZipFile,
    zlib.error,
    struct.error,
    NotImplementedError,
    RuntimeError,
    MemoryError,
)
KEPT = 10_000  # records in memory: some kilobytes each, and a sweep may have thousands of W


class _Shelf:
    """The records, the latest last, and the folder they also go to."""

    def __init__(self) -> None:
        self.records: OrderedDict[str, Arrays] = OrderedDict()
        self.folder: Path | None = None


_shelf = _Shelf()


@front_door
def keep(folder: str | Path | None = None) -> Path:
    """Keep records on disk from now on, so that the next Python session finds them.

    A record holds numbers only: some kilobytes, and some hundred for a W of more than a million
    units.

    Parameters
    ----------
    folder : str or Path, optional
        Where; it is made with mode 0700 if it is not there. By default $SPILLOVER_CACHE, else a
        folder in the user's cache.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    StorageError
        For a folder that is another user's, that others may write to, or that cannot be used.

    Examples
    --------
    >>> keep("weights")  # doctest: +SKIP
    """
    given = os.environ.get("SPILLOVER_CACHE") or find_cache_home() / "spillover" / "weights"
    where = make_own_folder(given if folder is None else path("folder", folder))
    _shelf.folder = where
    return where


@front_door
def folder() -> Path | None:
    """The folder that records go to.

    Returns
    -------
    Path or None
        None where records stay in memory.

    Examples
    --------
    >>> folder() is None
    True
    """
    return _shelf.folder


@front_door
def clear(*, disk: bool = False) -> None:
    """Forget all records.

    Parameters
    ----------
    disk : bool
        Whether those in the folder are deleted too; by default only those in memory.

    Examples
    --------
    >>> clear()
    """
    flag("disk", disk)
    _shelf.records.clear()
    if disk and _shelf.folder is not None:
        for path in _shelf.folder.glob("*.npz"):
            path.unlink()


def recall(key: tuple[Any, ...], make: Callable[[], Arrays]) -> Arrays:
    """The arrays for a key, made by `make` where they are not kept yet.

    Parameters
    ----------
    key : tuple
        All that the arrays depend on, the digest of W first.
    make : callable
        Makes the arrays: a dict of names and arrays.

    Returns
    -------
    dict of str to numpy.ndarray
        The arrays by name.
    """
    name = hashlib.sha256(repr(key).encode()).hexdigest()
    stored = _shelf.records.get(name) or _read(name)
    arrays = stored or {field: np.asarray(value) for field, value in make().items()}
    _shelf.records[name] = arrays
    _shelf.records.move_to_end(name)
    while len(_shelf.records) > KEPT:
        _shelf.records.popitem(last=False)
    if _shelf.folder is not None and (
        stored is None or not (_shelf.folder / f"{name}.npz").exists()
    ):
        _keep(name, arrays)  # also a record made before `keep` was called, and over a torn file
    return arrays


def _keep(name: str, arrays: Arrays) -> None:
    """Put a record on disk. Where the disk refuses, records stay in memory from now on, which a
    warning says: no result depends on it.
    """
    assert _shelf.folder is not None
    try:
        _write(_shelf.folder / f"{name}.npz", arrays, name)
    except OSError as error:
        message = (
            f"{_shelf.folder} cannot be written to ({reason_of(error)}): log-determinants are kept"
            " in memory only from now on."
        )
        _shelf.folder = None
        warnings.warn(message, SpilloverWarning, stacklevel=2)


def _write(path: Path, arrays: Arrays, name: str) -> None:
    """Put a record on disk, whole or not at all, whoever else writes."""
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
        try:
            np.savez(file, allow_pickle=False, **arrays, **{DIGEST: _digest(name, arrays)})
            file.close()
            os.replace(file.name, path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _digest(name: str, arrays: Arrays) -> np.ndarray:
    """What tells a record from one that was altered, or that was made for another key."""
    digest = hashlib.sha256(name.encode())
    for key in sorted(arrays):
        array = np.ascontiguousarray(arrays[key])
        digest.update(repr((key, array.dtype.str, array.shape)).encode() + array.tobytes())
    return np.frombuffer(digest.digest(), np.uint8)


def _read(name: str) -> Arrays | None:
    """The arrays on disk, None where there are none that can be read, or not those that were
    written.
    """
    path = None if _shelf.folder is None else _shelf.folder / f"{name}.npz"
    try:
        if path is None or not path.is_file() or path.stat().st_size > LARGEST:
            return None
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        digest = arrays.pop(DIGEST)
        return arrays if np.array_equal(digest, _digest(name, arrays)) else None
    except UNREADABLE:
        return None
