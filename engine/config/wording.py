"""Keys and values of a TOML file as error messages show them."""

import math
from collections.abc import Iterable
from datetime import date, datetime, time
from difflib import get_close_matches
from typing import Any

from spillover.engine.config.wants import is_whole
from spillover.engine.storage.quoting import SHOWN, quote, shorten

PARTS = 9  # of a list or table that an error shows
DIGITS = 20  # of a whole number that an error shows


def join_keys(path: tuple[str, ...]) -> str:
    """Join the keys that lead to a value, as a TOML file writes them.

    >>> join_keys(("weights", "two words", "k"))
    'weights."two words".k'
    """
    return ".".join(name if _is_bare(name) else shorten(quote(name)) for name in path)


def _is_bare(name: str) -> bool:
    """Whether a key needs no quotes."""
    return name != "" and all(c.isascii() and (c.isalnum() or c in "-_") for c in name)


def show(value: Any, depth: int = 3) -> str:
    """Show a value much as a TOML file writes it, cut where it is long.

    `depth`: how many levels of lists and tables are shown.

    >>> show({"k": [1, 2], "rook": True})
    '{k = [1, 2], rook = true}'
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return shorten(quote(value[: SHOWN + 1]))
    if isinstance(value, list | dict) and depth == 0:
        return "…"
    if isinstance(value, list):
        parts = ", ".join(show(part, depth - 1) for part in value[:PARTS])
        return shorten(f"[{parts}{', …' if len(value) > PARTS else ''}]")
    if isinstance(value, dict):
        pairs = list(value.items())[:PARTS]
        parts = ", ".join(f"{join_keys((name,))} = {show(part, depth - 1)}" for name, part in pairs)
        return shorten(f"{{{parts}}}")
    if is_whole(value) and abs(value) >= 10**DIGITS:
        return f"a {'' if value > 0 else 'negative '}number of more than {DIGITS} digits"
    return shorten(str(value))


def describe_kind(value: Any) -> str:
    """What a value of a TOML file is, in words.

    >>> describe_kind(1.5), describe_kind([1, 2])
    ('a number', 'a list of 2')
    """
    match value:
        case bool():
            return "a truth value"
        case str():
            return "a text" if value else "an empty text"
        case int():
            return "a whole number"
        case float():
            return "a number" if math.isfinite(value) else "not a finite number"
        case list():
            return f"a list of {len(value)}"
        case dict():
            return "a table"
        case date() | datetime() | time():
            return "a date or time"
    return "something else"


def find_near(name: str, known: Iterable[str]) -> str | None:
    """Find the name that a misspelt one is closest to; None where none is close.

    >>> find_near("unti", ["unit", "period"])
    'unit'
    """
    lower = {one.lower(): one for one in known}
    close = get_close_matches(name.lower(), list(lower), n=1)
    return lower[close[0]] if close else None
