"""The keys of a TOML file: what each may hold, and the refusal of what does not fit.

>>> from spillover.engine.config import wants
>>> keys = (Key("data", wants.PATH, required=True), Key("draws", wants.whole(1)))
>>> check({"data": "panel.csv", "draws": "500"}, keys, "study.toml")
Traceback (most recent call last):
...
spillover.kernels.errors.SpecificationError: study.toml: key draws: "500" is a text;
give a whole number from 1 on.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from spillover.engine.config.wants import Several, Want
from spillover.engine.config.wording import describe_kind, find_near, join_keys, show
from spillover.engine.storage.quoting import quote
from spillover.kernels.errors import SpecificationError


@dataclass(frozen=True)
class Keys:
    """A table with the given keys; `words`: what the table is, for errors."""

    keys: tuple["Key", ...]
    words: str = "a table"


@dataclass(frozen=True)
class ByName:
    """A table whose keys the user chooses; each holds what `part` describes."""

    part: "Wanted"
    words: str


@dataclass(frozen=True)
class Either:
    """A text, or else what `other` describes."""

    text: Want
    other: "Plain"


Plain = Want | Several | Keys | ByName
Wanted = Plain | Either


@dataclass(frozen=True)
class Key:
    """A key of a table: its name, what it holds, and whether it is required."""

    name: str
    wanted: Wanted
    required: bool = False


def check(table: Any, keys: tuple[Key, ...], where: str, path: tuple[str, ...] = ()) -> None:
    """Refuse keys that are unknown or missing, and wrong values.

    Parameters
    ----------
    table : dict
        The table, as tomllib reads it.
    keys : tuple of Key
        Every key that the table may have.
    where : str
        Name of the file, for errors.
    path : tuple of str
        The keys that lead to the table.

    Raises
    ------
    SpecificationError
        The message names the file, the key, what it holds and what is wanted; for a misspelt key,
        also the known key closest to it.

    Examples
    --------
    >>> from spillover.engine.config import wants
    >>> check({"daat": "panel.csv"}, (Key("data", wants.PATH),), "study.toml")
    Traceback (most recent call last):
    ...
    spillover.kernels.errors.SpecificationError: study.toml: unknown key daat:
    did you mean data? The keys are data.
    """
    known = {key.name: key for key in keys}
    for name in table:
        if name not in known:
            way_out = _suggest(name, known, path)
            raise SpecificationError(f"{where}: unknown key {join_keys((*path, name))}: {way_out}")
    needed = [key.name for key in keys if key.required]
    missing = [name for name in needed if name not in table]
    if missing:
        place = f"{where}: {join_keys(path)}" if path else where
        raise SpecificationError(
            f"{place} lacks {', '.join(missing)}; it needs {', '.join(needed)}."
        )
    for name, value in table.items():
        require(value, known[name].wanted, where, (*path, name))


def require(value: Any, wanted: Wanted, where: str, path: tuple[str, ...]) -> None:
    """Refuse a value that is not as wanted, by the SpecificationError of `check`."""
    if isinstance(wanted, Either):
        require(value, wanted.text if isinstance(value, str) else wanted.other, where, path)
    elif isinstance(wanted, Want):
        _require_one(value, wanted, where, path)
    elif isinstance(wanted, Several):
        _require_several(value, wanted, where, path)
    elif not isinstance(value, dict):
        raise _refusal(value, wanted.words, where, path)
    elif isinstance(wanted, Keys):
        check(value, wanted.keys, where, path)
    else:
        for name, part in value.items():
            require(part, wanted.part, where, (*path, name))


def _require_one(value: Any, wanted: Want, where: str, path: tuple[str, ...]) -> None:
    if wanted.fits(value):
        return
    if not (wanted.names and isinstance(value, str)):
        raise _refusal(value, wanted.words, where, path)
    close = find_near(value, wanted.names)
    hint = f"did you mean {quote(close)}? It is" if close else "it is"
    raise SpecificationError(
        f"{where}: key {join_keys(path)}: there is no {show(value)}: {hint} {wanted.words}."
    )


def _require_several(value: Any, wanted: Several, where: str, path: tuple[str, ...]) -> None:
    if not isinstance(value, list) or not wanted.least <= len(value) <= wanted.most:
        raise _refusal(value, wanted.words, where, path)
    wrong = [part for part in value if not wanted.part.fits(part)]
    if wrong:
        what = f"{show(value)} holds {show(wrong[0])}, {describe_kind(wrong[0])}"
        each = f", each {wanted.part.words}" if wanted.part.names else ""
        raise SpecificationError(
            f"{where}: key {join_keys(path)}: {what}; give {wanted.words}{each}."
        )


def _refusal(value: Any, words: str, where: str, path: tuple[str, ...]) -> SpecificationError:
    """The error for a value that is not what `words` say."""
    return SpecificationError(
        f"{where}: key {join_keys(path)}: {show(value)} is {describe_kind(value)}; give {words}."
    )


def _suggest(name: str, known: Iterable[str], path: tuple[str, ...]) -> str:
    """What to write in place of an unknown key."""
    close, names = find_near(name, known), ", ".join(known)
    hint = f"did you mean {close}? " if close else ""
    of = f" of {join_keys(path)}" if path else ""
    return f"{hint}{'The' if close else 'the'} keys{of} are {names}."
