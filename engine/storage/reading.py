"""Safe reading: regular files only, no more than memory holds, and text only if it is UTF-8.

>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as folder:
...     path = Path(folder) / "note.txt"
...     _ = path.write_text("one line")
...     read_text(path, "a note")
'one line'
"""

import math
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from spillover.kernels.errors import DataError, SpilloverError
from spillover.kernels.host_memory import available_memory

LONG = 80  # characters of a value in a message, at most
SAMPLE = 65_536  # bytes from which an encoding is guessed
SHARE = 0.8  # of the characters beyond ASCII that must be common Chinese ones in Chinese text
KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
BEGINNINGS = (  # first bytes of files that are often taken for text
    (b"PK\x03\x04", "an Excel workbook or another zip archive"),
    (b"PAR1", "a Parquet file"),
    (b"\x89HDF", "a NetCDF or HDF5 file"),
    (b"CDF\x01", "a NetCDF file"),
    (b"CDF\x02", "a NetCDF file"),
    (b"\x93NUMPY", "a NumPy file"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"%PDF", "a PDF"),
    (b"SQLite format 3", "an SQLite database"),
)
MARKS = (  # byte order marks of text that is not UTF-8
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
Failure = type[SpilloverError]


def cite(path: Any) -> str:
    """Show a path in an error: as it is, or escaped if a terminal would act on its characters."""
    text = str(path)
    return text if text.isprintable() else repr(text)


def spell(value: Any) -> str:
    """Show a value in an error, on one line and cut if it is long.

    Characters that a terminal would act on are escaped.

    >>> spell([1, 2]), spell("\\x1b[31m"), spell("x" * 100)[-5:]
    ('[1, 2]', "'\\\\x1b[31m'", 'xxx …')
    """
    try:
        text = " ".join(repr(value).split())
    except Exception:  # whatever a class of the user's raises in its repr
        text = f"a {type(value).__name__}"
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= LONG else f"{text[:LONG]} …"


def reason_of(failure: Exception) -> str:
    """Why the operating system refused, in its own words.

    >>> reason_of(FileNotFoundError(2, "No such file or directory"))
    'No such file or directory'
    """
    return getattr(failure, "strerror", None) or str(failure)


def as_path(path: Any, what: str, error: Failure = DataError) -> Path:
    """Convert a path given as text or as a path object; raise `error` for anything else."""
    if not isinstance(path, str | os.PathLike) or path == "":
        raise error(
            f"{spell(path)} is no path of {what}: give the name of a file, as text or a Path."
        )
    given = os.fspath(path)
    if isinstance(given, bytes):
        raise error(f"{given!r} is a path in bytes: give the name of a file as text or a Path.")
    return Path(given)


def check_file(path: Path, what: str, error: Failure = DataError) -> int:
    """Return the size in bytes of the file at `path`.

    Raises `error` if there is none, or if it is a folder, pipe, socket or device.
    """
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise error(f"{cite(path)}: there is no such file.") from None
    except (OSError, ValueError) as failure:  # ValueError: a NUL in the name
        _unreadable(path, failure, error)
    for is_kind, kind in KINDS:
        if is_kind(status.st_mode):
            raise error(f"{cite(path)} is {kind}, and {what} is read from a file: save it to one.")
    return status.st_size


def open_file(path: Path, what: str, error: Failure = DataError, times: float = 1.0) -> BinaryIO:
    """Open the file at `path` for reading; never a pipe or a device, which may have no end.

    Parameters
    ----------
    path : Path
        The file.
    what : str
        What it should hold, as errors call it.
    error : type of SpilloverError
        Raised if it cannot be read, or is too large for the memory.
    times : float
        Bytes of memory that reading takes for each byte of the file.
    """
    check_memory(path, times * check_file(path, what, error), what, error)
    try:  # without blocking, in case a pipe has taken the file's place since
        number = os.open(
            path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        )
    except (OSError, ValueError) as failure:
        _unreadable(path, failure, error)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise error(f"{cite(path)} is no file any more, and {what} is read from one.")
    return os.fdopen(number, "rb")


def read_bytes(path: Path, what: str, error: Failure = DataError, times: float = 2.0) -> bytes:
    """Read all bytes of a file, as `open_file` opens it."""
    with open_file(path, what, error, times) as file:
        try:
            # some system files give their size as 0 and never end
            limit = max(os.fstat(file.fileno()).st_size, SAMPLE)
            content = file.read(limit + 1)
        except OSError as failure:
            _unreadable(path, failure, error)
    if len(content) > limit:
        raise error(f"{cite(path)} grew while it was read: wait until it is written.")
    return content


def read_text(path: Path, what: str, error: Failure = DataError, times: float = 5.0) -> str:
    """Read a UTF-8 file as text, without its byte order mark; parameters as for `open_file`.

    Raises `error` for a file that is empty or blank, and for one that is not UTF-8 text. The
    message names the first bad byte, its line, what the file seems to be, and what to do.
    """
    return decode_text(read_bytes(path, what, error, times), path, what, error)


def decode_text(content: bytes, path: Path, what: str, error: Failure = DataError) -> str:
    """Decode the bytes of a file, with the errors of `read_text`."""
    for beginning, kind in BEGINNINGS:
        if content.startswith(beginning):
            raise error(f"{cite(path)} is {kind}, and {what} is text: save it as text in UTF-8.")
    for mark, encoding in MARKS:
        if content.startswith(mark):
            raise error(
                f"{cite(path)} is text in {encoding}, not in UTF-8: save it as UTF-8 (in Excel:"
                " CSV UTF-8)."
            )
    at = content.find(0)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        start = failure.start + (3 if content.startswith(b"\xef\xbb\xbf") else 0)
        at, text = (start if at < 0 else min(at, start)), ""
    if at >= 0:
        line = content.count(b"\n", 0, at) + 1
        guess = "a binary file" if content[at] == 0 else _guess_encoding(content, at)
        where = f"{cite(path)}, line {line}: not text in UTF-8, byte {at} is {content[at]:#04x}"
        raise error(f"{where}; it looks like {guess}. Save it as UTF-8 (in Excel: CSV UTF-8).")
    if not text.strip():
        raise error(f"{cite(path)}: the file is empty, and {what} is wanted.")
    return text


def check_memory(path: Path, needed: float, what: str, error: Failure = DataError) -> None:
    """Raise `error` if reading a file needs more memory than is free; `needed` is in bytes."""
    there = available_memory()
    if needed > there:
        takes = (
            f"{cite(path)}: to read {what} of its size takes some {size(needed)} of memory, and"
            f" {size(there)} are free"
        )
        raise error(f"{takes}. Give a smaller one, or use a machine with more.")


def size(number: float) -> str:
    """Format a number of bytes for people.

    >>> size(512), size(3.2e9), size(8e12)
    ('512 bytes', '3.2 GB', '8 TB')
    """
    if number < 1000:
        return f"{number:.0f} bytes"
    power = min(int(math.log10(number) // 3), 6)
    return f"{number / 1000**power:.3g} {'kMGTPE'[power - 1]}B"


def _guess_encoding(content: bytes, at: int) -> str:
    """Guess the encoding of text that is not UTF-8 from what surrounds its first bad byte."""
    if b"\0" in content:
        return "a binary file"
    start = content.rfind(b"\n", 0, at) + 1
    part = content[start : start + SAMPLE]
    text = part.decode("gb18030", errors="replace")
    beyond = [char for char in text if ord(char) > 127]
    common = [char for char in beyond if char.encode("gb2312", errors="ignore")]
    if len(common) >= SHARE * len(beyond):
        return "GB18030 (GBK), as Chinese Windows writes it"
    control = sum(byte < 32 and byte not in b"\t\n\r\f" for byte in part)
    return "a binary file" if control > len(part) / 100 else "Latin-1 or another old encoding"


def _unreadable(path: Path, failure: Exception, error: Failure) -> NoReturn:
    raise error(f"{cite(path)} cannot be read: {reason_of(failure)}.") from failure
