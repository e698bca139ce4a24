"""Folders whose contents are trusted: made for the user alone, and checked before each use.

>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as folder:
...     make_own_folder(Path(folder) / "kept").name
'kept'
"""

import os
import stat
from contextlib import suppress
from pathlib import Path

from spillover.engine.storage.failures import explain_failures
from spillover.kernels.errors import StorageError

ROOT = 0  # the administrator, who can write anywhere in any case
OTHERS = stat.S_IWGRP | stat.S_IWOTH


def make_own_folder(path: str | Path) -> Path:
    """Return a folder of the user's own, created with mode 0700 if it does not exist.

    `path` may be a link to it. StorageError if it is not a folder, cannot be created or written to,
    belongs to another user, or can be written to by others: what they put there would be run or
    trusted.
    """
    given = Path(path)
    if "://" in str(path):
        raise StorageError(
            f"{path} is no folder of this machine: give one that only you can write to."
        )
    with explain_failures(given, "cannot be used as a folder", ": give another", bad_names=True):
        place = Path(os.path.realpath(given))
        _make(place)
        if not place.is_dir():
            raise StorageError(f"{given} is no folder: remove it, or give another.")
        _check(given, place)
        if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
            raise StorageError(f"{given} cannot be written to: give another folder.")
    return given


def find_cache_home() -> Path:
    """The user's folder for caches. StorageError if the user has no home folder."""
    given = os.environ.get("XDG_CACHE_HOME")
    try:
        return Path(given) if given else Path.home() / ".cache"
    except RuntimeError as error:
        raise StorageError(
            "There is no home folder to keep a cache in: set HOME or XDG_CACHE_HOME."
        ) from error


def restrict_to_user(folder: Path) -> None:
    """Take away other users' rights to read or write the files of a folder.

    Files whose mode cannot be changed stay as they are: the folder itself keeps others out.
    """
    with suppress(OSError):
        for path in folder.iterdir():
            with suppress(OSError):
                if path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o077:
                    path.chmod(0o600)


def _make(place: Path) -> None:
    """Create the folder and its parents, all for the user alone.

    The XDG Base Directory Specification asks for this.
    """
    if not os.path.lexists(place):
        _make(place.parent)
        with suppress(FileExistsError):  # made by another process, and checked all the same
            place.mkdir(mode=0o700)


def _check(given: Path, place: Path) -> None:
    # Windows handles rights in another way, and keeps a user's profile private
    if not hasattr(os, "geteuid"):
        return
    about = place.stat()
    if about.st_uid not in (os.geteuid(), ROOT):
        raise StorageError(
            f"{given} belongs to another user (number {about.st_uid}): give a folder of your own."
        )
    if about.st_mode & OTHERS:
        raise StorageError(
            f"{given} can be written to by others: chmod go-w it after a look at what is in it, or"
            " give another folder."
        )
    for above in place.parents:
        mode = above.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise StorageError(
                f"{given} is in {above}, which everybody can write to: give a folder elsewhere."
            )
