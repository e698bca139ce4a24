"""Files and folders that are written whole or not at all, their SHA-256, and a lock with its
owner's name.

>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as folder:
...     with whole_file(Path(folder) / "note.txt") as beside:
...         _ = beside.write_text("kept")
...     (Path(folder) / "note.txt").read_text()
'kept'
"""

import errno
import getpass
import hashlib
import os
import re
import shutil
import socket
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import filelock

from spillover.engine.storage.failures import explain_failures
from spillover.engine.storage.reading import cite
from spillover.kernels.errors import StorageError

UNFINISHED = ".writing-"  # begins the names of what is being written, or a killed process left
REPLACED = ".replaced-"  # and of what is moved aside while its successor takes its place
AT_ONCE = 16  # files under way to the disk
# anchored at the start: the name of another folder may hold it
_ASIDE = re.compile(f"^{re.escape(REPLACED)}[0-9a-f]{{32}}-")


def hash_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A name beside `path` to write to; the file takes the place of `path` when the block ends.

    Where the block fails, or the process dies in it, what was at `path` before is still there,
    untouched. A file that is replaced hands on its mode: what only its owner could read stays so.

    Raises
    ------
    StorageError
        For a folder that is not there or not writable, a full disk, and a `path` that is a folder,
        a pipe, a device or a read-only file.
    """
    given = Path(path)
    place = _place(given)
    there = _exists(place)
    if there and place.is_dir():
        raise StorageError(f"{cite(given)} is a folder: give the name of a file.")
    if not place.parent.is_dir():
        raise StorageError(
            f"There is no folder {cite(given.parent)} to write {given.name} to: make it first."
        )
    if there and not place.is_file():  # to replace /dev/null would be the end of it
        raise StorageError(
            f"{cite(given)} is no file, but a pipe or a device: give the name of a file."
        )
    if there and not os.access(place, os.W_OK):
        raise StorageError(f"{cite(given)} is read-only: it is left as it is; give another name.")
    beside = place.with_name(f"{UNFINISHED}{uuid.uuid4().hex}-{place.name}")
    with _explain_failures(given):
        try:
            yield beside
            _to_disk(beside)
            if place.is_file():
                shutil.copymode(place, beside)
            beside.replace(place)
            _names_to_disk(place.parent)
        finally:
            with suppress(FileNotFoundError):
                beside.unlink()


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """A new folder beside `path` to write to; it replaces `path` and all in it when the block ends.

    Where the block fails, or the process dies in it, the old folder is still there. A process
    killed between the two renamings at the end leaves both beside `path`, which the next call puts
    right. StorageError as for `whole_file`.
    """
    given = Path(path)
    place = _place(given)
    if _exists(place) and not place.is_dir():
        raise StorageError(f"{cite(given)} is a file: give the name of a folder.")
    beside = place.with_name(f"{UNFINISHED}{uuid.uuid4().hex}-{place.name}")
    with _explain_failures(given):
        place.parent.mkdir(parents=True, exist_ok=True)
        restore(place)
        beside.mkdir()
        try:
            yield beside
            _all_to_disk(beside)
            _exchange(beside, place)
            _names_to_disk(place.parent)
        finally:
            if beside.exists():
                shutil.rmtree(beside, ignore_errors=True)


def restore(place: Path) -> None:
    """Put back a folder that was moved aside by a process which was killed before the new one was
    in place.
    """
    asides = [
        path
        for path in place.parent.glob(f"{REPLACED}*")
        if _ASIDE.sub("", path.name) == place.name
    ]
    old = sorted(asides, key=lambda path: path.stat().st_mtime)
    if old and not place.exists():
        old.pop().replace(place)
    for path in old:
        shutil.rmtree(path, ignore_errors=True)


def _place(given: Path) -> Path:
    """Where a path leads, links followed. StorageError for a name that no disk can have."""
    try:
        return Path(os.path.realpath(given))
    except ValueError as error:  # a null character, or half a surrogate pair
        raise StorageError(f"{str(given)!a} cannot be the name of a file: {error}.") from error


def _exists(place: Path) -> bool:
    """Whether there is anything. StorageError for a name that is too long, and where one may not
    look.
    """
    try:
        place.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StorageError(f"{cite(place)} cannot be looked at: {error.strerror}.") from error
    return True


def _exchange(new: Path, place: Path) -> None:
    """`new` takes the place of the folder at `place`, if there is one, which goes."""
    if not place.exists():
        new.replace(place)
        return
    aside = place.with_name(f"{REPLACED}{uuid.uuid4().hex}-{place.name}")
    place.replace(aside)
    try:
        new.replace(place)
    except OSError:
        aside.replace(place)
        raise
    shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def hold_lock(file: Path, what: str) -> Iterator[None]:
    """Hold the lock `file` for the block; it ends with the process at the latest.

    StorageError where another process or thread holds it, which says who, and since when. `what`
    the lock guards, as errors call it.
    """
    owner = file.with_name(f"{file.name}.owner")
    with _explain_failures(file):
        lock = filelock.FileLock(file)
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout as error:
            raise StorageError(
                f"{what} is in use by {_owner(owner)}: wait for it, end it, or give another place."
            ) from error
    try:
        with _explain_failures(file), whole_file(owner) as beside:
            beside.write_text(_myself(), encoding="utf-8")
        yield
    finally:
        with suppress(OSError):
            owner.unlink()
        lock.release()


def _myself() -> str:
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        user = "a user without a name"
    since = datetime.now(UTC).isoformat(sep=" ", timespec="seconds")
    return f"process {os.getpid()} of {user} on {socket.gethostname()} since {since}"


def _owner(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:  # taken a moment ago, or on its way out
        return "another process"


def _to_disk(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _all_to_disk(folder: Path) -> None:
    """Put all below a folder on the disk, many files at once: one by one takes four times as
    long.
    """
    paths = [folder, *folder.rglob("*")]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(_to_disk, [path for path in paths if path.is_file()]))
        list(pool.map(_names_to_disk, [path for path in paths if path.is_dir()]))


def _names_to_disk(folder: Path) -> None:
    """Put the names in a folder on the disk: else a renaming is lost when the power fails.

    Systems other than POSIX do so by themselves.
    """
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # network disks without it
                raise
        finally:
            os.close(handle)


def _explain_failures(path: Path) -> AbstractContextManager[None]:
    return explain_failures(path, "could not be written", ": what was there before is untouched")
