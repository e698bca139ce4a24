"""Files and folders written whole or not at all, hashes of files, and locks that name their owner.

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

UNFINISHED = ".writing-"  # prefix of what is being written, or was left by a killed process
REPLACED = ".replaced-"  # prefix of what is moved aside while its successor takes its place
AT_ONCE = 16  # files flushed to disk at the same time
# anchored at the start, as the name of a folder may itself contain the prefix
_ASIDE = re.compile(f"^{re.escape(REPLACED)}[0-9a-f]{{32}}-")


def hash_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Yield a name beside `path` to write to; the file replaces `path` when the block ends.

    If the block fails, or the process dies in it, what was at `path` stays untouched. The new file
    takes over the mode of the one it replaces, so that a private file stays private.

    Raises
    ------
    StorageError
        For a folder that is missing or read-only, a full disk, and a `path` that is a folder, a
        pipe, a device or a read-only file.
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
    if there and not place.is_file():  # replacing /dev/null would destroy it
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
    """Yield a new folder beside `path`; it replaces `path` and all in it when the block ends.

    If the block fails, or the process dies in it, the old folder stays. A process killed between
    the two renamings at the end leaves both folders beside `path`, which the next call puts right.
    StorageError as for `whole_file`.
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
    """Put back a folder that was moved aside by a process killed before the new one was in place.

    Other folders that were moved aside are deleted.
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
    """Resolve the links in a path. StorageError for a name that no file can have."""
    try:
        return Path(os.path.realpath(given))
    except ValueError as error:  # a null character, or half a surrogate pair
        raise StorageError(f"{str(given)!a} cannot be the name of a file: {error}.") from error


def _exists(place: Path) -> bool:
    """Whether anything exists there. StorageError if the name is too long or access is denied."""
    try:
        place.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StorageError(f"{cite(place)} cannot be looked at: {error.strerror}.") from error
    return True


def _exchange(new: Path, place: Path) -> None:
    """Move the folder `new` to `place`, and delete the folder that was there, if any."""
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
    """Hold the lock `file` during the block; if the process dies, the lock is released too.

    StorageError if another process or thread holds it; the message says who, and since when. `what`
    is what the lock guards, as errors call it.
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
    except OSError:  # the lock was taken, or is being released, at this moment
        return "another process"


def _to_disk(path: Path) -> None:
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _all_to_disk(folder: Path) -> None:
    """Flush everything below a folder to disk, many files at once.

    One by one takes four times as long.
    """
    paths = [folder, *folder.rglob("*")]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(_to_disk, [path for path in paths if path.is_file()]))
        list(pool.map(_names_to_disk, [path for path in paths if path.is_dir()]))


def _names_to_disk(folder: Path) -> None:
    """Flush the names in a folder to disk: else a power failure may undo a renaming.

    Systems other than POSIX do so by themselves.
    """
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # network disks that cannot
                raise
        finally:
            os.close(handle)


def _explain_failures(path: Path) -> AbstractContextManager[None]:
    return explain_failures(path, "could not be written", ": what was there before is untouched")
