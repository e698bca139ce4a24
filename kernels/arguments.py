"""Checks of arguments: whether a call fits its signature, and whether a value is of the right kind
and size.

A check returns the value as a plain Python object. Where it refuses one, the message names the
argument, says what was given, and gives a value that would do.
"""

import difflib
import functools
import inspect
import math
import numbers
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np

from spillover.kernels.errors import ArgumentError, SpecificationError

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=type)

MOST = 2**31 - 1  # the largest count: no memory holds more of anything
LAST_SEED = 2**63 - 1  # the largest seed that both NumPy and JAX take
WIDE = 60  # characters of a value that a message shows


def front_door(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function explain calls that do not fit its signature.

    Such a call raises an ArgumentError, which says what is misspelt, missing or superfluous.
    Nothing is checked before a call fails, and a TypeError from inside the function is left alone.

    Examples
    --------
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
    """Wrap the constructor and the public methods of a class in a `front_door` each."""
    for name, member in list(vars(kind).items()):
        inner = member.__func__ if isinstance(member, classmethod) else member
        if inspect.isfunction(inner) and (
            not name.startswith("_") or name in ("__init__", "__call__")
        ):
            door = front_door(inner)
            setattr(kind, name, classmethod(door) if isinstance(member, classmethod) else door)
    return kind


def _misfit(
    function: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> str | None:
    """Why a call does not fit the signature of the function; None where it fits."""
    signature = inspect.signature(function)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        return (
            _explain(name, list(signature.parameters.values()), args, kwargs)
            or f"{name}(): {error}."
        )
    return None


class _Call(NamedTuple):
    """What a message says of a call.

    `name`: of the function. `places`: the arguments that may be given without a name. `known`: all
    arguments. `needed`: those without a default. `placed`: how many were given without a name.
    `words`: the names that were given.
    """

    name: str
    places: list[str]
    known: list[str]
    needed: list[str]
    placed: int
    words: list[str]


def _explain(
    qualname: str,
    parameters: list[inspect.Parameter],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> str:
    """The first misspelt, superfluous, doubled or missing argument of a call, in words."""
    owner, _, last = qualname.rpartition(".")
    bound = bool(parameters) and parameters[0].name in ("self", "cls")
    own = parameters[1:] if bound else parameters
    known = [one.name for one in own if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    call = _Call(
        name=f"{owner if last in ('__init__', '__call__') else qualname}()",
        places=[one.name for one in own if one.kind is one.POSITIONAL_OR_KEYWORD],
        known=known,
        needed=[one.name for one in own if one.name in known and one.default is one.empty],
        placed=max(len(args) - bound, 0),
        words=list(kwargs),
    )
    reasons = (_say_misspelt, _say_superfluous, _say_doubled, _say_missing)
    return next((text for reason in reasons if (text := reason(call))), "")


def _say_misspelt(call: _Call) -> str:
    unknown = [word for word in call.words if word not in call.known]
    if not unknown:
        return ""
    near = suggestion(unknown[0], call.known)
    if near:
        return f"{call.name} has no argument {unknown[0]!r}: {near}?"
    there = f"it takes {', '.join(call.known)}" if call.known else "it takes none"
    return f"{call.name} has no argument {unknown[0]!r}: {there}."


def _say_superfluous(call: _Call) -> str:
    if call.placed <= len(call.places):
        return ""
    by_name = [word for word in call.known if word not in call.places]
    rest = f"; give others by name, such as {by_name[0]}=" if by_name else ""
    if call.places:
        there = f"only {_join(call.places)} without a name"
    else:
        there = "nothing without a name" if by_name else "no argument"
    return f"{call.name} takes {there}, not {call.placed} values{rest}."


def _say_doubled(call: _Call) -> str:
    twice = [word for word in call.places[: call.placed] if word in call.words]
    if not twice:
        return ""
    return f"{call.name} has {twice[0]!r} twice, by its place and by its name: give it once."


def _say_missing(call: _Call) -> str:
    filled = {*call.places[: call.placed], *call.words}
    missing = [word for word in call.needed if word not in filled]
    if not missing:
        return ""
    verb = "is" if len(missing) == 1 else "are"
    return f"{call.name} needs {_join(call.needed)}: {_join(missing)} {verb} missing."


def _join(words: list[str]) -> str:
    """ "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def suggestion(word: Any, known: Iterable[Any]) -> str:
    """Suggest the known word nearest to an unknown one, as a question without its question mark.

    An empty text where none is near.

    Examples
    --------
    >>> suggestion("towway", ["none", "twoway"])
    "did you mean 'twoway'"
    """
    words = {text.casefold(): text for text in map(str, known)}
    near = (
        difflib.get_close_matches(word.strip().casefold(), words, 1, 0.6)
        if isinstance(word, str)
        else []
    )
    return f"did you mean {words[near[0]]!r}" if near else ""


def show(value: Any) -> str:
    """Show a value in one line of a message.

    As Python writes it where that is short and plain, else by its kind.

    Examples
    --------
    >>> show([1, 2]), show(np.zeros(3)), show(list(range(100)))
    ('[1, 2]', 'an ndarray', 'a list of 100')
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
    """What kind of thing a value is: "a DataFrame", "the class Weights"."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    spelt = (name[:2].isupper() and name[0] in "FHLMNRSX") or name == "ndarray"  # an em, an en
    return "None" if value is None else f"{'an' if name[0] in 'aeioAEIO' or spelt else 'a'} {name}"


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
    """Check a whole number, of Python or NumPy; refuse True, text and floats such as 100.0.

    Parameters
    ----------
    name : str
        The argument, for the message.
    value : object
        What was given.
    least, most : int
        The smallest and the largest number that will do.
    example : int, optional
        What the message proposes; by default `least`.

    Returns
    -------
    int
        The number.

    Raises
    ------
    SpecificationError
        For anything else.

    Examples
    --------
    >>> whole("draws", "500")
    Traceback (most recent call last):
    ...
    spillover.kernels.errors.SpecificationError: draws='500': give a whole number from 1 on, such as
    draws=500.
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
    """A number that the caller may have meant, else the example, else the least."""
    try:
        meant = float(value) if isinstance(value, str | float | np.floating) else math.nan
    except ValueError:
        meant = math.nan
    if math.isfinite(meant) and meant == int(meant) and least <= meant <= most:
        return int(meant)
    return least if example is None else example


def seed(value: Any, name: str = "seed") -> int:
    """Check a seed for NumPy and JAX: a whole number from 0 to 2^63 - 1."""
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
    """Check a finite number; refuse True and text.

    Parameters
    ----------
    name : str
        The argument, for the message.
    value : object
        What was given.
    low, high : float
        The number must lie between these.
    closed : bool
        Whether it may equal one of them.
    example : float, optional
        What the message proposes.

    Returns
    -------
    float
        The number.

    Raises
    ------
    SpecificationError
        For anything else.
    """
    right = isinstance(value, numbers.Real | np.floating | np.integer) and not isinstance(
        value, bool | np.bool_ | np.timedelta64
    )
    try:
        number = float(value) if right else math.nan
    except (OverflowError, TypeError, ValueError):
        number = math.nan
    inside = low <= number <= high if closed else low < number < high
    if math.isfinite(number) and inside:
        return number
    such = "" if example is None else f", such as {name}={example:g}"
    raise SpecificationError(
        f"{name}={show(value)}: give a number{_between(low, high, closed)}{such}."
    )


def _between(low: float, high: float, closed: bool) -> str:
    """ " from 0 to 1", " above 0": a range in words."""
    if math.isinf(low) and math.isinf(high):
        return ""
    if math.isinf(high):
        return f" from {low:g} on" if closed else " above 0" if low == 0 else f" above {low:g}"
    return f" from {low:g} to {high:g}" if closed else f" between {low:g} and {high:g}"


def flag(name: str, value: Any) -> bool:
    """Check a truth value, of Python or NumPy."""
    if not isinstance(value, bool | np.bool_):
        raise SpecificationError(f"{name}={show(value)}: give True or False.")
    return bool(value)


def choice(
    what: str, value: Any, known: Iterable[str], *, error: type[Exception] = SpecificationError
) -> str:
    """Check that a value is one of the known words.

    Parameters
    ----------
    what : str
        How the message goes on after "There": "is no method", "are no effects".
    value : object
        What was given.
    known : iterable of str
        The words that will do.
    error : type
        The exception for any other value.

    Returns
    -------
    str
        The word.

    Examples
    --------
    >>> choice("are no effects", "towway", ("none", "twoway"))
    Traceback (most recent call last):
    ...
    spillover.kernels.errors.SpecificationError: There are no effects 'towway'; choose one of
    'none', 'twoway': did you mean 'twoway'?
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
    """Check a list or another collection, and return its items; refuse text and mappings."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        inner = (
            f"[{value!r}]" if isinstance(value, str) and len(value) <= WIDE else example or "[...]"
        )
        raise SpecificationError(f"{name}={show(value)}: give a list, such as {name}={inner}.")
    return tuple(value)


def texts(name: str, value: Any, *, example: str | None = None) -> tuple[str, ...]:
    """Check a list of texts, and return them."""
    given = items(name, value, example=example)
    wrong = [one for one in given if not isinstance(one, str)]
    if wrong:
        raise SpecificationError(
            f"{name}={show(value)}: {show(wrong[0])} is no text; give a list of names."
        )
    return given


def label(name: str, value: Any, *, error: type[Exception] = SpecificationError) -> Any:
    """Check the label of one column: any hashable value except None and functions."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
        raise error(f"{name}={show(value)}: give the name of one column, {value[0]!r}.")
    try:
        hash(value)
        plain = value is not None and not callable(value) and value == value
    except (TypeError, ValueError):  # not hashable, or without a single truth value
        plain = False
    if plain is not True and not isinstance(plain, np.bool_):
        raise error(f"{name}={show(value)}: give the name of one column.")
    return value


def text(name: str, value: Any, *, example: str) -> str:
    """Check a text."""
    if not isinstance(value, str):
        raise SpecificationError(f"{name}={show(value)}: give a text, such as {name}={example!r}.")
    return value


def path(name: str, value: Any) -> Path:
    """Check a path, given as text or as a path."""
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
    """Refuse a value that is not of the given `kind`.

    `way_out` ends the message, as in "make it spillover.Weights(matrix, ids) first".
    """
    if not isinstance(value, kind):
        raise error(f"{name} is {kind_of(value)}: {way_out}.")
