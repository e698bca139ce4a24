"""What a value in a TOML file has to be: in words, for errors, and as a test.

>>> COUNT = whole(1)
>>> COUNT.words, COUNT.fits(500), COUNT.fits("500")
('a whole number from 1 on', True, False)
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from spillover.engine.storage.quoting import quote


@dataclass(frozen=True)
class Want:
    """What one value has to be.

    Attributes
    ----------
    words : str
        What the value is, for errors: "a whole number from 1 on".
    fits : callable
        Whether a value is what it has to be.
    names : tuple of str
        The words to choose from, where the value has to be one of a few.
    """

    words: str
    fits: Callable[[Any], bool]
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Several:
    """A list of `least` to `most` values, each of which `part` describes."""

    part: Want
    words: str
    least: int = 0
    most: float = math.inf


def whole(least: int) -> Want:
    """A whole number from `least` on that fits into 64 bits."""
    return Want(
        f"a whole number from {least} on", lambda value: is_whole(value) and least <= value < 2**63
    )


def choice(names: Iterable[str]) -> Want:
    """One of the given words."""
    known = tuple(names)
    return Want(
        f"one of {', '.join(map(quote, known))}",
        lambda value: _is_text(value) and value in known,
        known,
    )


def is_whole(value: Any) -> bool:
    """Whether a value is a whole number. True and False are not, though Python says so."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != "" and "\0" not in value


def _is_number(value: Any) -> bool:
    try:
        return (is_whole(value) or isinstance(value, float)) and math.isfinite(value)
    except OverflowError:  # a whole number beyond the largest float
        return False


def _is_numbers(value: Any) -> bool:
    rows = value if isinstance(value, list) else [value]
    return all(
        _is_number(part) for row in rows for part in (row if isinstance(row, list) else [row])
    )


ANYTHING = Want("", lambda _: True)
TEXT = Want("a text", _is_text)
PATH = Want("a text, the path of a file", _is_path)
DATA = Want("a text, the path of a .csv or .parquet file", _is_path)
FOLDER = Want("a text, the path of a folder", _is_path)
NAME = Want("a text that is not empty", lambda value: _is_text(value) and value.strip() != "")
OTHER = Want("a text, the name of another entry", _is_text)
NUMBER = Want("a number", _is_number)
NUMBERS = Want("a number, or a list or a list of lists of numbers", _is_numbers)
POSITIVE = Want("a positive number", lambda value: _is_number(value) and value > 0)
SHARE = Want("a number from 0 to 1", lambda value: _is_number(value) and 0 <= value <= 1)
INSIDE = Want("a number between 0 and 1", lambda value: _is_number(value) and 0 < value < 1)
SEED = Want(
    "a whole number from 0 to 2**63 - 1", lambda value: is_whole(value) and 0 <= value < 2**63
)
TRUTH = Want("true or false", lambda value: isinstance(value, bool))
TEXTS = Several(TEXT, "a list of texts")
