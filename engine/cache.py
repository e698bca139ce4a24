"""A cache of what depends on W alone, keyed by the content of W.

Records are kept in memory, and on disk too once `keep` has been called.

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
DIGEST = "digest"  # field of a record on disk: the SHA-256 of its key and contents
LARGEST = 2**26  # bytes: no record comes near, so a larger file is not ours
UNREADABLE = (  # raised by NumPy for files that are cut short, altered, or declare what they lack
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
    """The records, the most recently used last, and the folder that also keeps them."""

    def __init__(self) -> None:
        self.records: OrderedDict[str, Arrays] = OrderedDict()
        self.folder: Path | None = None


_shelf = _Shelf()


@front_door
def keep(folder: str | Path | None = None) -> Path:
    """Keep records on disk from now on, so that the next Python session finds them.

    A record holds numbers only. It takes a few kilobytes, or a few hundred for a W of more than a
    million units.

    Parameters
    ----------
    folder : str or Path, optional
        Where to keep them; created with mode 0700 if it does not exist. By default
        $SPILLOVER_CACHE, else a folder in the user's cache.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    StorageError
        For a folder that belongs to another user, that others can write to, or that cannot be used.

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
    """Return the folder that records are kept in.

    Returns
    -------
    Path or None
        None while records are kept in memory only.

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
        Whether to delete the records on disk too. By default only memory is cleared.

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
    """Return the arrays kept for a key, made by `make` if there are none yet.

    Parameters
    ----------
    key : tuple
        Everything that the arrays depend on, the digest of W first.
    make : callable
        Returns the arrays, as a dict from names to arrays.

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
        _keep(name, arrays)  # also if it was made before `keep` was called, and over a damaged file
    return arrays


def _keep(name: str, arrays: Arrays) -> None:
    """Write a record to disk; if that fails, warn and keep records in memory only from now on.

    No result depends on the disk.
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
    """Write a record to disk, whole or not at all, even if other processes write it too."""
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
        try:
            np.savez(file, allow_pickle=False, **arrays, **{DIGEST: _digest(name, arrays)})
            file.close()
            os.replace(file.name, path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _digest(name: str, arrays: Arrays) -> np.ndarray:
    """The SHA-256 of a record and its key, which shows that it was altered or is another key's."""
    digest = hashlib.sha256(name.encode())
    for key in sorted(arrays):
        array = np.ascontiguousarray(arrays[key])
        digest.update(repr((key, array.dtype.str, array.shape)).encode() + array.tobytes())
    return np.frombuffer(digest.digest(), np.uint8)


def _read(name: str) -> Arrays | None:
    """Read a record from disk; None if there is none, or it is unreadable or was altered."""
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
