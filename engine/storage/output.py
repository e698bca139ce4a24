"""Output folders of commands: written where the user said, without overwriting others' files.

Every output folder holds a file `MARKER`, which lists the files that spillover wrote and their
SHA-256. A listed file may be replaced if it has not changed since.

>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as folder:
...     check_output(Path(folder))  # nothing there that would be lost
False
"""

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from spillover.engine.storage.quoting import quote, shorten
from spillover.engine.storage.reading import reason_of
from spillover.engine.storage.whole import REPLACED, UNFINISHED, hash_file, whole_file, whole_folder
from spillover.kernels.errors import StorageError

MARKER = ".spillover.json"
LITTER = (".DS_Store", "Thumbs.db", "desktop.ini")  # left behind by file managers
OURS = (UNFINISHED, REPLACED)  # prefixes of what killed processes leave
LARGEST = 2**24  # bytes of a list of files, at most


def check_output(folder: Path, overwrite: bool = False) -> bool:
    """Refuse a folder that cannot be written or holds foreign files, before any work is done.

    Parameters
    ----------
    folder : Path
        Where a command is to write.
    overwrite : bool
        Whether to write into the folder whatever it holds, replacing files of the same names.

    Returns
    -------
    bool
        Whether the folder holds anything already.

    Raises
    ------
    StorageError
        For a path that is a file or lies below one; for a folder that cannot be written to; and,
        unless `overwrite` is set, for a folder with files that spillover did not write or that were
        changed since.
    """
    try:
        there = next(path for path in (folder, *folder.absolute().parents) if _there(path))
        if not there.is_dir():
            raise StorageError(
                f"The output {folder} cannot be made: {there} is no folder; give another by"
                " --output."
            )
        if not os.access(there, os.W_OK | os.X_OK):
            raise StorageError(
                f"The output {folder} cannot be written: {there} is read-only for you; give another"
                " by --output."
            )
        if there != folder or not any(folder.iterdir()):
            return False
        alien = next(list_foreign(folder), None)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise StorageError(
            f"The output {folder} cannot be looked at: {reason_of(error)}."
        ) from error
    if alien and not overwrite:
        raise StorageError(
            f"The output {folder} holds {alien}: give another folder by --output, or --overwrite"
            " (overwrite=True) to write into this one, over files of the same names."
        )
    return True


def _there(path: Path) -> bool:
    """Whether anything exists at a path, even a link that leads nowhere."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def list_foreign(folder: Path) -> Iterator[str]:
    """Yield the files that spillover did not write, or that were changed since, with the reason."""
    about = _read(folder)
    listed, apart = about["files"], about["apart"]
    for path in _walk(folder, folder, apart):
        name = path.relative_to(folder).as_posix()
        if name not in listed or path.is_symlink() or not path.is_file():
            yield f"{shorten(quote(name))}, which spillover did not write"
        elif listed[name] is not None and hash_file(path) != listed[name]:
            yield f"{shorten(quote(name))}, which was changed since spillover wrote it"
    for inner in _inner(folder, apart):
        yield from list_foreign(inner)


def publish(folder: Path, write: Callable[[Path], list[Path]], *, whole: bool = True) -> list[Path]:
    """Write files into a folder that passed `check_output`, each whole or not at all.

    They are listed in the folder, so that they may be replaced later.

    Parameters
    ----------
    folder : Path
        Where the files go.
    write : callable
        Called with an empty folder; writes files there and returns their paths.
    whole : bool
        Whether the new files replace all that spillover wrote here before. The whole folder is then
        exchanged at once, if nothing else is in it. Otherwise the files are moved into place one by
        one, and what spillover did not write stays.

    Returns
    -------
    list of Path
        The paths of the files in `folder`.

    Raises
    ------
    StorageError
        If the files cannot be written.
    """
    if whole and _replaceable(folder):
        with whole_folder(folder) as fresh:
            paths = write(fresh)
            _mark(
                fresh,
                {
                    path.relative_to(fresh).as_posix(): hash_file(path)
                    for path in _walk(fresh, fresh, ())
                },
                (),
            )
        return [folder / path.relative_to(fresh) for path in paths]
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f"{UNFINISHED}{uuid.uuid4().hex}"
    try:
        fresh.mkdir()
        paths = write(fresh)
        _move_all(fresh, folder, stale=whole)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return [folder / path.relative_to(fresh) for path in paths]


def begin(folder: Path, store: Path) -> None:
    """Create the folder of a sweep, and list the sweep's store in it if the store lies inside.

    So later commands do not take what a stopped sweep left for somebody else's files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    about = _read(folder)
    place, root = Path(os.path.realpath(store)), Path(os.path.realpath(folder))
    apart = {
        *about["apart"],
        *([place.relative_to(root).as_posix()] if root in place.parents else []),
    }
    _mark(folder, about["files"], tuple(sorted(apart)))


def _move_all(fresh: Path, folder: Path, *, stale: bool) -> None:
    """Move every file to its place; if `stale`, delete listed files that were not written again.

    The files are listed before they are moved, so that what a killed process leaves is known as
    ours.
    """
    about = _read(folder)
    names = [path.relative_to(fresh).as_posix() for path in _walk(fresh, fresh, ())]
    digests = {name: hash_file(fresh / name) for name in names}
    _mark(folder, about["files"] | dict.fromkeys(names), about["apart"])
    root = Path(os.path.realpath(folder))
    for name in names:
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if not Path(os.path.realpath(place.parent)).is_relative_to(root):
            raise StorageError(
                f"{place.parent} is a link that leads out of {folder}: remove it, or give another"
                " --output."
            )
        (fresh / name).replace(place)
    kept = (
        {}
        if stale
        else {name: digest for name, digest in about["files"].items() if name not in digests}
    )
    for name in (about["files"].keys() - digests.keys()) if stale else ():
        if (folder / name) in _walk(folder, folder, about["apart"]) and hash_file(
            folder / name
        ) == about["files"][name]:
            (folder / name).unlink()
    _mark(folder, kept | digests, about["apart"])


def _replaceable(folder: Path) -> bool:
    """Whether a folder may be replaced as a whole: all in it is ours, and we do not run inside."""
    place, here = Path(os.path.realpath(folder)), Path(os.path.realpath(Path.cwd()))
    if not place.exists():
        return True
    if (
        place == here
        or place in here.parents
        or os.path.ismount(place)
        or not os.access(place.parent, os.W_OK | os.X_OK)
    ):
        return False
    return (
        next(list_foreign(place), None) is None
        and not _read(place)["apart"]
        and not list(_inner(place, ()))
    )


def _mark(folder: Path, files: dict[str, str | None], apart: tuple[str, ...]) -> None:
    text = json.dumps({"written by": "spillover", "files": files, "apart": list(apart)}, indent=1)
    with whole_file(folder / MARKER) as beside:
        beside.write_text(text + "\n", encoding="utf-8")


def _read(folder: Path) -> dict[str, Any]:
    """Read the list of our files in a folder; an empty one if there is none or it is unreadable."""
    try:
        if (folder / MARKER).is_symlink() or not (folder / MARKER).is_file():
            return {"files": {}, "apart": ()}
        with (folder / MARKER).open("rb") as file:
            about = json.loads(file.read(LARGEST))
        return {"files": dict(about["files"]), "apart": tuple(map(str, about["apart"]))}
    except (ValueError, TypeError, KeyError, RecursionError):  # damaged, or not ours
        return {"files": {}, "apart": ()}


def _walk(root: Path, folder: Path, apart: tuple[str, ...]) -> Iterator[Path]:
    """Yield the files below a folder; links count as files.

    Left out are lists, litter, unfinished files, what `apart` names, and folders with a list of
    their own.
    """
    for path in sorted(folder.iterdir()):
        if (
            path.name in (MARKER, *LITTER)
            or path.name.startswith(OURS)
            or path.relative_to(root).as_posix() in apart
        ):
            continue
        if path.is_symlink() or not path.is_dir():
            yield path
        elif not (path / MARKER).is_file():
            yield from _walk(root, path, apart)


def _inner(folder: Path, apart: tuple[str, ...]) -> Iterator[Path]:
    """Yield the folders directly below that have a list of their own."""
    for path in sorted(folder.iterdir()):
        if (
            path.name not in apart
            and not path.is_symlink()
            and path.is_dir()
            and (path / MARKER).is_file()
        ):
            yield path
