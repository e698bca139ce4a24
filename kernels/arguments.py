"""What callers give: calls that fit a signature, and single values of the right kind and size,
refused by name where they are not.

Every check returns the value as plain Python holds it, and names the argument, what it is and one
that would do where it refuses.
"""

import difflib
import functools
import inspect
import math
import numbers
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np

from spillover.kernels.errors import ArgumentError, SpecificationError

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=type)

MOST = 2**31 - 1  # what a count may be: more of anything is held by no memory
LAST_SEED = 2**63 - 1  # what both NumPy and JAX take for a seed
WIDE = 60  # characters of a value that a message shows


def front_door(function: Callable[P, R]) -> Callable[P, R]:
    """The function itself, but for calls that do not fit its signature: these raise an
    ArgumentError, a TypeError too, that says what is misspelt, missing or too much.

    Nothing is looked at before a call fails, and a TypeError from within the function stays what it
    is.

    >>> @front_door
    ... def area(height: float, width: float) -> float:
    ...     return height * width
    >>> area(2.0, widht=3.0)
    Traceback (most recent call last):
    ...
    spillover.kernels.errors.ArgumentError: area() has no argument 'widht': did you mean 'width'?
    """

    @functools.wraps(function)
    def door(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except TypeError:
            misfit = _misfit(function, door.__qualname__, args, kwargs)
            if misfit is None:
                raise
            raise ArgumentError(misfit) from None

    return door


def front_doors(kind: C) -> C:
    """A class whose constructor and public methods stand behind a `front_door` each."""
    for name, member in list(vars(kind).items()):
        inner = member.__func__ if isinstance(member, classmethod) else member
        if inspect.isfunction(inner) and (
            not name.startswith("_") or name in ("__init__", "__call__")
        ):
            door = front_door(inner)
            setattr(kind, name, classmethod(door) if isinstance(member, classmethod) else door)
    return kind


def _misfit(function: Callable, name: str, args: tuple, kwargs: Mapping[str, Any]) -> str | None:
    """Why a call does not fit the signature of the function; None where it does."""
    signature = inspect.signature(function)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        return (
            _explain(name, list(signature.parameters.values()), args, kwargs)
            or f"{name}(): {error}."
        )
    return None


def _explain(
    qualname: str, parameters: list[inspect.Parameter], args: tuple, kwargs: Mapping[str, Any]
) -> str:
    """The first misspelt, superfluous, doubled or missing argument of a call, in words."""
    owner, _, last = qualname.rpartition(".")
    name = f"{owner if last in ('__init__', '__call__') else qualname}()"
    bound = bool(parameters) and parameters[0].name in ("self", "cls")
    own, given = (parameters[1:], args[1:]) if bound else (parameters, args)
    places = [one.name for one in own if one.kind is one.POSITIONAL_OR_KEYWORD]
    known = [one.name for one in own if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    unknown = [word for word in kwargs if word not in known]
    if unknown:
        near = suggestion(unknown[0], known)
        there = f"it takes {', '.join(known)}" if known else "it takes none"
        return f"{name} has no argument {unknown[0]!r}: {near or there}{'?' if near else '.'}"
    if len(given) > len(places):
        by_name = [word for word in known if word not in places]
        rest = f"; give others by name, such as {by_name[0]}=" if by_name else ""
        there = (
            f"only {_join(places)} without a name"
            if places
            else "nothing without a name"
            if by_name
            else "no argument"
        )
        return f"{name} takes {there}, not {len(given)} values{rest}."
    twice = [word for word in places[: len(given)] if word in kwargs]
    if twice:
        return f"{name} has {twice[0]!r} twice, by its place and by its name: give it once."
    filled = {*places[: len(given)], *kwargs}
    needed = [one.name for one in own if one.name in known and one.default is one.empty]
    missing = [word for word in needed if word not in filled]
    return (
        f"{name} needs {_join(needed)}: {_join(missing)} {'is' if len(missing) == 1 else 'are'}"
        " missing."
        if missing
        else ""
    )


def _join(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def suggestion(word: Any, known: Iterable[Any]) -> str:
    """ "did you mean 'twoway'", of the known word nearest to one that is not known; nothing where
    none is near.
    """
    words = {text.casefold(): text for text in map(str, known)}
    near = (
        difflib.get_close_matches(word.strip().casefold(), words, 1, 0.6)
        if isinstance(word, str)
        else []
    )
    return f"did you mean {words[near[0]]!r}" if near else ""


def show(value: Any) -> str:
    """A value on one line for a message: as Python writes it where that is short and plain, else
    its kind.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str | bytes):
        return f"{value[:WIDE]!r}{'...' if len(value) > WIDE else ''}"
    if value is None or isinstance(value, bool | float | complex):
        return repr(value)
    if isinstance(value, int):
        return (
            repr(value)
            if value.bit_length() <= 3 * WIDE
            else f"a whole number of {value.bit_length()} bits"
        )
    if isinstance(value, list | tuple | dict | set) and len(value) <= 8:
        return _short(value)
    kind = kind_of(value)
    size = f" of {len(value)}" if isinstance(value, list | tuple | dict | set | frozenset) else ""
    return f"{kind}{size}"


def kind_of(value: Any) -> str:
    """What a value is: "a DataFrame", "the class Weights"."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[:1].lower() in 'aeio' else 'a'} {name}"


def _short(value: Any) -> str:
    """A small collection of plain values as Python writes it, else its kind."""
    inside = [*value, *value.values()] if isinstance(value, dict) else list(value)
    plain = all(
        one is None or isinstance(one, str | bool | int | float | np.generic) for one in inside
    )
    text = repr(value) if plain else ""
    return text if text and len(text) <= WIDE else f"a {type(value).__name__} of {len(value)}"


def whole(
    name: str, value: Any, *, least: int = 1, most: int = MOST, example: int | None = None
) -> int:
    """A whole number from `least` to `most`, of Python or NumPy; true, text and floats such as
    100.0 are none.

    >>> whole("draws", "500")
    Traceback (most recent call last):
    ...
    spillover.kernels.errors.SpecificationError: draws='500': give a whole number from 1
    on, such as draws=500.
    """
    right = isinstance(value, int | np.integer) and not isinstance(
        value, bool | np.bool_ | np.timedelta64
    )
    if right and least <= value <= most:
        return int(value)
    reach = (
        f"from {least} on"
        if most == MOST and not (right and value > most)
        else f"from {least} to {most}"
    )
    raise SpecificationError(
        f"{name}={show(value)}: give a whole number {reach}, such as"
        f" {name}={_nearest(value, least, most, example)}."
    )


def _nearest(value: Any, least: int, most: int, example: int | None) -> int:
    """What the caller may have meant, else the example, else the least."""
    try:
        meant = float(value) if isinstance(value, str | float | np.floating) else math.nan
    except ValueError:
        meant = math.nan
    if math.isfinite(meant) and meant == int(meant) and least <= meant <= most:
        return int(meant)
    return least if example is None else example


def seed(value: Any, name: str = "seed") -> int:
    """A seed that NumPy and JAX take: a whole number from 0 to 2^63 - 1."""
    try:
        return whole(name, value, least=0, most=LAST_SEED)
    except SpecificationError:
        raise SpecificationError(
            f"{name}={show(value)}: give a whole number from 0 to 2**63 - 1, such as {name}=0."
        ) from None


def real(
    name: str,
    value: Any,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    closed: bool = False,
    example: float | None = None,
) -> float:
    """A finite number between `low` and `high`, with `closed` one of these too; neither true nor
    text.
    """
    right = isinstance(value, numbers.Real | np.floating | np.integer) and not isinstance(
        value, bool | np.bool_ | np.timedelta64
    )
    try:
        found = float(value) if right else math.nan
    except (OverflowError, TypeError, ValueError):
        found = math.nan
    inside = low <= found <= high if closed else low < found < high
    if math.isfinite(found) and inside:
        return found
    such = "" if example is None else f", such as {name}={example:g}"
    raise SpecificationError(
        f"{name}={show(value)}: give a number{_between(low, high, closed)}{such}."
    )


def _between(low: float, high: float, closed: bool) -> str:
    if math.isinf(low) and math.isinf(high):
        return ""
    if math.isinf(high):
        return f" from {low:g} on" if closed else " above 0" if low == 0 else f" above {low:g}"
    return f" from {low:g} to {high:g}" if closed else f" between {low:g} and {high:g}"


def flag(name: str, value: Any) -> bool:
    """True or False, of Python or NumPy."""
    if not isinstance(value, bool | np.bool_):
        raise SpecificationError(f"{name}={show(value)}: give True or False.")
    return bool(value)


def choice(
    what: str, value: Any, known: Iterable[str], *, error: type[Exception] = SpecificationError
) -> str:
    """One of the known words. `what`: "is no method", "are no effects".

    >>> choice("are no effects", "towway", ("none", "twoway"))
    Traceback (most recent call last):
    ...
    spillover.kernels.errors.SpecificationError: There are no effects 'towway'; choose
    one of 'none', 'twoway': did you mean 'twoway'?
    """
    words = tuple(known)
    if isinstance(value, str) and value in words:
        return str(value)
    near = suggestion(value, words)
    raise error(
        f"There {what} {show(value)}; choose one of"
        f" {', '.join(map(repr, words))}{f': {near}?' if near else '.'}"
    )


def items(name: str, value: Any, *, example: str | None = None) -> tuple[Any, ...]:
    """The members of a list or another collection; a text is none, nor is a mapping."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        inner = (
            f"[{value!r}]" if isinstance(value, str) and len(value) <= WIDE else example or "[...]"
        )
        raise SpecificationError(f"{name}={show(value)}: give a list, such as {name}={inner}.")
    return tuple(value)


def texts(name: str, value: Any, *, example: str | None = None) -> tuple[str, ...]:
    """The members of a list of texts."""
    found = items(name, value, example=example)
    wrong = [one for one in found if not isinstance(one, str)]
    if wrong:
        raise SpecificationError(
            f"{name}={show(value)}: {show(wrong[0])} is no text; give a list of names."
        )
    return found


def label(name: str, value: Any, *, error: type[Exception] = SpecificationError) -> Any:
    """The label of one column: anything that a dict takes for a key."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        raise error(f"{name}={show(value)}: give the name of one column, {value[0]!r}.")
    try:
        hash(value)
        plain = value is not None and not callable(value) and value == value
    except (TypeError, ValueError):  # what has no hash, or no one truth
        plain = False
    if plain is not True and not isinstance(plain, np.bool_):
        raise error(f"{name}={show(value)}: give the name of one column.")
    return value


def text(name: str, value: Any, *, example: str) -> str:
    """A text."""
    if not isinstance(value, str):
        raise SpecificationError(f"{name}={show(value)}: give a text, such as {name}={example!r}.")
    return value


def path(name: str, value: Any) -> Path:
    """A path, from text or another path."""
    if (
        not isinstance(value, str | os.PathLike)
        or not isinstance(os.fspath(value), str)
        or "\0" in os.fspath(value)
        or value == ""
    ):
        raise SpecificationError(
            f"{name}={show(value)}: give a path, as text or as a pathlib.Path."
        )
    return Path(value)


def expect(
    name: str,
    value: Any,
    kind: type | tuple[type, ...],
    way_out: str,
    *,
    error: type[Exception] = SpecificationError,
) -> None:
    """Refuse a value of another kind; `way_out`: "make it spillover.Weights(matrix, ids) first"."""
    if not isinstance(value, kind):
        raise error(f"{name} is {kind_of(value)}: {way_out}.")
