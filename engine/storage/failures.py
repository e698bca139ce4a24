"""Error messages that say what the operating system refused, and which file is at fault.

>>> from pathlib import Path
>>> with explain_failures(Path("/nowhere"), "cannot be read"):
...     _ = Path("/nowhere").read_text()
Traceback (most recent call last):
...
spillover.kernels.errors.StorageError: /nowhere cannot be read (No such file or directory).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spillover.engine.storage.reading import cite, reason_of
from spillover.kernels.errors import StorageError


@contextmanager
def explain_failures(
    path: Path, complaint: str, way_out: str = "", *, bad_names: bool = False
) -> Iterator[None]:
    """Turn the operating system's errors in the block into StorageErrors.

    Parameters
    ----------
    path : Path
        What the block works on.
    complaint : str
        What cannot be done with it, such as "cannot be used as a folder".
    way_out : str
        What to do about it, such as ": give another"; by default nothing.
    bad_names : bool
        Whether a ValueError counts too, as for a null character in the path. By default it does
        not, since other code in the block may raise one.
    """
    kinds = (OSError, ValueError) if bad_names else (OSError,)
    try:
        yield
    except kinds as error:
        raise StorageError(f"{cite(path)} {complaint} ({reason_of(error)}){way_out}.") from error


@contextmanager
def prefix_errors(kind: type[Exception], prefix: object) -> Iterator[None]:
    """Put a prefix, such as the name of a file, before the messages of errors of this kind.

    >>> with prefix_errors(KeyError, "panel.csv"):
    ...     raise KeyError("no such column")
    Traceback (most recent call last):
    ...
    KeyError: "panel.csv: 'no such column'"
    """
    try:
        yield
    except kind as error:
        raise kind(f"{prefix}: {error}") from error.__cause__
