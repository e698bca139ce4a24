"""What depends on W alone, kept by the content of W: in memory always, and on disk where `keep` was called.

>>> import spillover as so
>>> so.cache.folder() is None  # nothing goes to disk unasked
True
"""

import hashlib
import os
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

Arrays = Mapping[str, np.ndarray]
KEPT = 10_000  # records in memory: some kilobytes each, and a sweep may have thousands of W


class _Shelf:
    """The records, the latest last, and the folder they also go to."""

    def __init__(self) -> None:
        self.records: OrderedDict[str, Arrays] = OrderedDict()
        self.folder: Path | None = None


_shelf = _Shelf()


def keep(folder: str | Path | None = None) -> Path:
    """Keep records on disk from now on, so that the next Python session finds them; returns the folder.

    By default $SPILLOVER_CACHE, else a folder in the user's cache. Files are some kilobytes and hold numbers only.
    """
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "spillover" / "weights"
    where = Path(folder or os.environ.get("SPILLOVER_CACHE") or default)
    where.mkdir(parents=True, exist_ok=True)
    _shelf.folder = where
    return where


def folder() -> Path | None:
    """The folder that records go to, None where they stay in memory."""
    return _shelf.folder


def clear(*, disk: bool = False) -> None:
    """Forget all records in memory, and with `disk` those of the folder too."""
    _shelf.records.clear()
    if disk and _shelf.folder is not None:
        for path in _shelf.folder.glob("*.npz"):
            path.unlink()


def remembered(key: tuple, make: Callable[[], Arrays]) -> Arrays:
    """The arrays made for a key, by `make` the first time. The key holds all that they depend on, the digest of W first."""
    name = hashlib.sha256(repr(key).encode()).hexdigest()
    stored = _shelf.records.get(name) or _read(name)
    found = stored or {field: np.asarray(value) for field, value in make().items()}
    _shelf.records[name] = found
    _shelf.records.move_to_end(name)
    while len(_shelf.records) > KEPT:
        _shelf.records.popitem(last=False)
    if _shelf.folder is not None and (stored is None or not (_shelf.folder / f"{name}.npz").exists()):
        _write(_shelf.folder / f"{name}.npz", found)  # also a record made before `keep` was called, and over a torn file
    return found


def _write(path: Path, arrays: Arrays) -> None:
    """Put a record on disk, whole or not at all, whoever else writes."""
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
        np.savez(file, allow_pickle=False, **arrays)
    os.replace(file.name, path)


def _read(name: str) -> Arrays | None:
    """The arrays on disk, None where there are none that can be read."""
    path = None if _shelf.folder is None else _shelf.folder / f"{name}.npz"
    if path is None or not path.exists():
        return None
    try:
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError, BadZipFile):
        return None
