"""Where commands write: inside the folder that was named, over nothing that is not theirs.

Every folder of ours holds a list of its files with their SHA-256, `MARKER`: what it lists,
unchanged, may be replaced.

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
LITTER = (".DS_Store", "Thumbs.db", "desktop.ini")  # which file managers leave wherever they look
OURS = (UNFINISHED, REPLACED)  # what killed processes of ours leave
LARGEST = 2**24  # bytes of a list of files


def check_output(folder: Path, overwrite: bool = False) -> bool:
    """Refuse a folder that cannot be written to or holds files of others, before any work is done.

    Parameters
    ----------
    folder : Path
        Where a command is to write.
    overwrite : bool
        Whether to write into the folder whatever it holds, over files of the same names.

    Returns
    -------
    bool
        Whether there is something there already.

    Raises
    ------
    StorageError
        For a path that is a file, or in a file; for a folder that may not be written to; and unless
        `overwrite` is set, for one with files that spillover did not write, or that were changed
        since.
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
    """Whether there is anything at a path, if only a link that leads nowhere."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def list_foreign(folder: Path) -> Iterator[str]:
    """The files in a folder that spillover did not write, or that were changed since, each with
    the reason.
    """
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
    """Write files into a folder that `check_output` let pass, each whole or not at all.

    They are listed in the folder, so that they may be replaced later.

    Parameters
    ----------
    folder : Path
        Where the files go.
    write : callable
        Is given an empty folder, and returns the files that it wrote there.
    whole : bool
        Whether all that was written here before is replaced at once. If not, and where the folder
        holds other things too, files are put in place one by one, and what else is there stays.

    Returns
    -------
    list of Path
        The files in their places.

    Raises
    ------
    StorageError
        For what the disk refuses.
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
    """Make the folder of a sweep, and list its store there if that lies in it.

    So a sweep that is stopped leaves nothing that later commands take for somebody else's.
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
    """Move every file to its place.

    The list names the files before they are there: what a killed process leaves is known as ours.
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
    """Whether a folder may be exchanged for another: all in it is ours, and no process works in
    it.
    """
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
    """The list of the files in a folder that are ours; an empty one where none can be read."""
    try:
        if (folder / MARKER).is_symlink() or not (folder / MARKER).is_file():
            return {"files": {}, "apart": ()}
        with (folder / MARKER).open("rb") as file:
            about = json.loads(file.read(LARGEST))
        return {"files": dict(about["files"]), "apart": tuple(map(str, about["apart"]))}
    except (ValueError, TypeError, KeyError, RecursionError):  # torn, or somebody else's
        return {"files": {}, "apart": ()}


def _walk(root: Path, folder: Path, apart: tuple[str, ...]) -> Iterator[Path]:
    """The files below a folder, except lists, litter, folders apart and folders with a list of
    their own. Links count as files.
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
    """The folders right below with a list of their own."""
    for path in sorted(folder.iterdir()):
        if (
            path.name not in apart
            and not path.is_symlink()
            and path.is_dir()
            and (path / MARKER).is_file()
        ):
            yield path
