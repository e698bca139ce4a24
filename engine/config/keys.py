"""What the keys of a TOML file may hold, said in one table a file, and the refusal of what does not
fit.

>>> keys = (Key("data", PATH, required=True), Key("draws", whole(1)))
>>> check({"data": "panel.csv", "draws": "500"}, keys, "study.toml")
Traceback (most recent call last):
...
spillover.kernels.errors.SpecificationError: study.toml: key draws: "500" is a text;
give a whole number from 1 on.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, time
from difflib import get_close_matches
from typing import Any

from spillover.engine.storage.quoting import SHOWN, quote, shorten
from spillover.kernels.errors import SpecificationError

_joined = ", ".join


@dataclass(frozen=True)
class Want:
    """What a value has to be: in words, as errors say them, and as a test that is true where it
    fits; `names`: the words to choose from, where it is one of some.
    """

    words: str
    fits: Callable[[Any], bool]
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Several:
    """A list, of `least` to `most` parts that are all as `part` wants them."""

    part: "Want"
    words: str
    least: int = 0
    most: float = math.inf


@dataclass(frozen=True)
class Keys:
    """A table with the keys of a list; `words`: what the table is, for errors."""

    keys: tuple["Key", ...]
    words: str = "a table"


@dataclass(frozen=True)
class ByName:
    """A table with names of the user's own, each for something that is as `part` wants it."""

    part: Any
    words: str


@dataclass(frozen=True)
class Either:
    """A text, or else what `other` wants."""

    text: Want
    other: Any


Wanted = Want | Several | Keys | ByName | Either


@dataclass(frozen=True)
class Key:
    """A key of a table: its name, what it holds, and whether it has to be there."""

    name: str
    wanted: Wanted
    required: bool = False


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != "" and "\0" not in value


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    try:
        return (_is_whole(value) or isinstance(value, float)) and math.isfinite(value)
    except OverflowError:  # a whole number beyond the largest float
        return False


TEXT = Want("a text", _is_text)
PATH = Want("a text, the path of a file", _is_path)
FOLDER = Want("a text, the path of a folder", _is_path)
NAME = Want("a text that is not empty", lambda value: _is_text(value) and value.strip() != "")
NUMBER = Want("a number", _is_number)
POSITIVE = Want("a positive number", lambda value: _is_number(value) and value > 0)
SHARE = Want("a number from 0 to 1", lambda value: _is_number(value) and 0 <= value <= 1)
INSIDE = Want("a number between 0 and 1", lambda value: _is_number(value) and 0 < value < 1)
TRUTH = Want("true or false", lambda value: isinstance(value, bool))
TEXTS = Several(TEXT, "a list of texts")
SEED = Want(
    "a whole number from 0 to 2**63 - 1", lambda value: _is_whole(value) and 0 <= value < 2**63
)


def whole(least: int) -> Want:
    """A whole number from `least` on, no more than 64 bits hold."""
    return Want(
        f"a whole number from {least} on", lambda value: _is_whole(value) and least <= value < 2**63
    )


def choice(names: Iterable[str]) -> Want:
    """One of some words."""
    known = tuple(names)
    return Want(
        f"one of {', '.join(map(quote, known))}",
        lambda value: _is_text(value) and value in known,
        known,
    )


def check(table: Any, keys: tuple[Key, ...], where: str, path: tuple[str, ...] = ()) -> None:
    """Refuse keys that are unknown, missing, or hold what they may not.

    Parameters: `table`: what tomllib read; `keys`: all that may be there; `where`: the file, as
    errors call it; `path`: the keys that lead to the table. SpecificationError names the file, the
    key, what it holds and what is wanted; a misspelt key also the one that it is near.

    >>> check({"daat": "panel.csv"}, (Key("data", PATH),), "study.toml")
    Traceback (most recent call last):
    ...
    spillover.kernels.errors.SpecificationError: study.toml: unknown key daat:
    did you mean data? The keys are data.
    """
    known = {key.name: key for key in keys}
    for name in table:
        if name not in known:
            raise SpecificationError(
                f"{where}: unknown key {dotted((*path, name))}: {_instead(name, known, path)}"
            )
    needed = [key.name for key in keys if key.required]
    missing = [name for name in needed if name not in table]
    if missing:
        place = f"{where}: {dotted(path)}" if path else where
        raise SpecificationError(f"{place} lacks {_joined(missing)}; it needs {_joined(needed)}.")
    for name, value in table.items():
        require(value, known[name].wanted, where, (*path, name))


def require(value: Any, wanted: Wanted, where: str, path: tuple[str, ...]) -> None:
    """Refuse a value that is not as wanted. SpecificationError as `check`."""
    if isinstance(wanted, Either):
        wanted = wanted.text if isinstance(value, str) else wanted.other
    if isinstance(wanted, Want):
        if not wanted.fits(value):
            raise (
                _misspelt(value, wanted, where, path)
                if wanted.names and isinstance(value, str)
                else refusal(value, wanted.words, where, path)
            )
    elif isinstance(wanted, Several):
        if not isinstance(value, list) or not wanted.least <= len(value) <= wanted.most:
            raise refusal(value, wanted.words, where, path)
        if wrong := [part for part in value if not wanted.part.fits(part)]:
            found = f"{shown(value)} holds {shown(wrong[0])}, {kind(wrong[0])}"
            each = f", each {wanted.part.words}" if wanted.part.names else ""
            raise SpecificationError(
                f"{where}: key {dotted(path)}: {found}; give {wanted.words}{each}."
            )
    elif not isinstance(value, dict):
        raise refusal(value, wanted.words, where, path)
    elif isinstance(wanted, Keys):
        check(value, wanted.keys, where, path)
    else:
        for name, part in value.items():
            require(part, wanted.part, where, (*path, name))


def refusal(value: Any, words: str, where: str, path: tuple[str, ...]) -> SpecificationError:
    """The error for a value that is not what `words` say."""
    return SpecificationError(
        f"{where}: key {dotted(path)}: {shown(value)} is {kind(value)}; give {words}."
    )


def _misspelt(value: str, wanted: Want, where: str, path: tuple[str, ...]) -> SpecificationError:
    close = near(value, wanted.names)
    hint = f"did you mean {quote(close)}? It is" if close else "it is"
    return SpecificationError(
        f"{where}: key {dotted(path)}: there is no {shown(value)}: {hint} {wanted.words}."
    )


def near(name: str, known: Iterable[str]) -> str | None:
    """The name that a misspelt one is nearest to, None where none is near.

    >>> near("unti", ["unit", "period"])
    'unit'
    """
    lower = {one.lower(): one for one in known}
    found = get_close_matches(name.lower(), list(lower), n=1)
    return lower[found[0]] if found else None


def _instead(name: str, known: Iterable[str], path: tuple[str, ...]) -> str:
    close, names = near(name, known), _joined(known)
    hint = f"did you mean {close}? " if close else ""
    of = f" of {dotted(path)}" if path else ""
    return f"{hint}{'The' if close else 'the'} keys{of} are {names}."


def dotted(path: tuple[str, ...]) -> str:
    """Keys as a TOML file joins them: those that are not bare in quotes."""
    bare = (
        all(c.isascii() and (c.isalnum() or c in "-_") for c in name) and name != ""
        for name in path
    )
    return ".".join(
        name if plain else shorten(quote(name)) for name, plain in zip(path, bare, strict=True)
    )


def shown(value: Any, depth: int = 3) -> str:
    """A value about as the TOML file has it, cut where it is long, and below `depth` tables or
    lists.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return shorten(quote(value[: SHOWN + 1]))
    if isinstance(value, list | dict) and depth == 0:
        return "…"
    if isinstance(value, list):
        parts = [shown(part, depth - 1) for part in value[:9]]
        return shorten(f"[{', '.join(parts)}{', …' if len(value) > 9 else ''}]")
    if isinstance(value, dict):
        parts = [
            f"{dotted((name,))} = {shown(part, depth - 1)}"
            for name, part in list(value.items())[:9]
        ]
        return shorten(f"{{{', '.join(parts)}}}")
    if _is_whole(value) and abs(value) >= 10**20:
        return (
            "a number of more than 20 digits"
            if value > 0
            else "a negative number of more than 20 digits"
        )
    return shorten(str(value))


def kind(value: Any) -> str:
    """What a value of a TOML file is, in words."""
    if isinstance(value, float) and not math.isfinite(value):
        return "not a finite number"
    kinds: tuple[tuple[Any, str], ...] = (
        (bool, "a truth value"),
        (str, "an empty text" if value == "" else "a text"),
        (int, "a whole number"),
        (float, "a number"),
        (list, f"a list of {len(value)}" if isinstance(value, list) else "a list"),
        (dict, "a table"),
        ((date, datetime, time), "a date or time"),
    )
    return next((words for types, words in kinds if isinstance(value, types)), "something else")
