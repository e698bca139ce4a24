"""Every public name describes itself: a summary, each parameter, and what comes back.

The sections are numpydoc's. What is not there, is there twice over or does not belong is printed by
name.
"""

import inspect
import re
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import pairwise
from types import ModuleType
from typing import Any

import pytest

import spillover

SECTIONS = (
    "Parameters",
    "Attributes",
    "Methods",
    "Returns",
    "Yields",
    "Other Parameters",
    "Raises",
    "Warns",
    "See Also",
    "Notes",
    "References",
    "Examples",
)
ENTRY = re.compile(r"(?P<names>\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: : \S.*)?")
UNDERLINE = re.compile(r"-{3,}")


def read_sections(docstring: str) -> dict[str, list[str]]:
    """The lines of each section by its title; those before the first one under ""."""
    lines = inspect.cleandoc(docstring).splitlines()
    sections: dict[str, list[str]] = {"": []}
    title = ""
    for line, after in pairwise([*lines, ""]):
        if UNDERLINE.fullmatch(after.strip()):
            title = line.strip()
            sections[title] = []
        elif not UNDERLINE.fullmatch(line.strip()):
            sections[title].append(line)
    return sections


def list_described(lines: list[str]) -> list[str]:
    """The names that a section describes: those of its entries with text indented below them."""
    described = []
    for line, after in pairwise([*lines, ""]):
        entry = ENTRY.fullmatch(line)
        if entry and after.startswith("    ") and after.strip():
            described += [name.lstrip("*") for name in entry["names"].split(", ")]
    return described


def list_parameters(value: Callable[..., Any]) -> list[str]:
    """The parameters of a function or of a constructor, without the object itself."""
    return [name for name in inspect.signature(value).parameters if name not in ("self", "cls")]


def find_faults_of_text(docstring: str | None, *, one_line: bool) -> list[str]:
    """What is wrong with a docstring, whatever it is of."""
    if not docstring:
        return ["no docstring"]
    sections = read_sections(docstring)
    faults = [f"{title!r} is no section" for title in sections if title and title not in SECTIONS]
    first = "\n".join(sections[""]).strip().split("\n\n")[0]
    if not first.endswith("."):
        faults.append("no summary that is a sentence")
    if one_line and "\n" in first:
        faults.append("a summary of several lines")
    if any(re.search(r"\S -{3,}", line) for lines in sections.values() for line in lines):
        faults.append("a section within a paragraph")
    return faults


def find_faults_of_function(value: Callable[..., Any]) -> list[str]:
    """What is wrong with the docstring of a function."""
    faults = find_faults_of_text(value.__doc__, one_line=True)
    sections = read_sections(value.__doc__ or "")
    parameters = list_parameters(value)
    described = list_described(
        sections.get("Parameters", []) + sections.get("Other Parameters", [])
    )
    faults += [f"{name} is not described" for name in parameters if name not in described]
    faults += [f"{name} is no parameter" for name in described if name not in parameters]
    faults += [f"{name} is described twice" for name in described if described.count(name) > 1]
    returned = inspect.signature(value).return_annotation
    if returned is inspect.Signature.empty:
        faults.append("the type that it returns is not known")
    elif returned not in (None, "None") and not {"Returns", "Yields"} & set(sections):
        faults.append("what it returns is not described")
    return faults


def find_faults_of_class(kind: type) -> Iterator[str]:
    """What is wrong with the docstrings of a class, of its public methods and properties."""
    yield from (
        f"{kind.__name__}: {fault}" for fault in find_faults_of_text(kind.__doc__, one_line=True)
    )
    if not issubclass(kind, BaseException):
        sections = read_sections(kind.__doc__ or "")
        described = list_described(sections.get("Parameters", []) + sections.get("Attributes", []))
        for name in list_parameters(kind):
            if name not in described:
                yield f"{kind.__name__}: {name} is not described"
    for name, member in vars(kind).items():
        if name.startswith("_"):
            continue
        if isinstance(member, property | cached_property):
            faults = find_faults_of_text(member.__doc__, one_line=False)
        elif isinstance(member, classmethod | staticmethod) or inspect.isfunction(member):
            faults = find_faults_of_function(getattr(kind, name))
        else:
            continue
        yield from (f"{kind.__name__}.{name}: {fault}" for fault in faults)


def find_faults(name: str, value: Any) -> list[str]:
    """What is wrong with the docstrings of a public name: module, class, function or value."""
    if isinstance(value, ModuleType):
        names = getattr(value, "__all__", None) or [
            inner
            for inner, part in vars(value).items()
            if not inner.startswith("_") and getattr(part, "__module__", None) == value.__name__
        ]
        return [
            fault for inner in names for fault in find_faults(inner, getattr(value, inner))
        ] + find_faults_of_text(value.__doc__, one_line=False)
    if inspect.isclass(value):
        return list(find_faults_of_class(value))
    if callable(value):
        return [f"{name}: {fault}" for fault in find_faults_of_function(value)]
    return []


@pytest.mark.parametrize("name", spillover.__all__)
def test_every_public_name_describes_itself(name):
    faults = find_faults(name, getattr(spillover, name))
    assert not faults, "\n".join(faults)


def scale(values: list[float], by: float = 1.0, **options: float) -> list[float]:
    """Multiply values by a number.

    Parameters
    ----------
    values : list of float
        The values.
    by : float, default 1.0
        The number.
    **options
        Nothing yet.

    Returns
    -------
    list of float
        The products.
    """
    return [by * value for value in values]


def test_a_whole_docstring_has_no_faults():
    assert find_faults("scale", scale) == []


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("by : float, default 1.0\n        The number.\n", "", "by is not described"),
        ("        The number.\n", "", "by is not described"),
        ("**options\n", "options_of_old\n", "options is not described"),
        ("**options\n", "**options, other\n", "other is no parameter"),
        ("**options\n", "**options, by\n", "by is described twice"),
        ("Returns\n    -------\n", "", "what it returns is not described"),
        ("Returns\n", "Gives\n", "'Gives' is no section"),
        ("Returns\n    -------\n", "Returns -------\n", "a section within a paragraph"),
        ("by a number.", "by a number", "no summary that is a sentence"),
        ("values by a", "values\n    by a", "a summary of several lines"),
    ],
)
def test_a_fault_in_a_docstring_is_named(monkeypatch, before, after, fault):
    whole = inspect.getdoc(scale)
    indented = "\n    ".join(whole.splitlines())
    assert before in indented
    monkeypatch.setattr(scale, "__doc__", indented.replace(before, after))
    assert f"scale: {fault}" in find_faults("scale", scale)


def test_a_class_describes_its_fields_methods_and_properties():
    class Pair:
        """Two numbers.

        Attributes
        ----------
        first : float
            The first.
        """

        def __init__(self, first: float, second: float) -> None: ...

        @property
        def total(self) -> float:
            return 0.0

        def swap(self) -> "Pair":
            """Exchange the two."""
            return self

    assert find_faults("Pair", Pair) == [
        "Pair: second is not described",
        "Pair.total: no docstring",
        "Pair.swap: what it returns is not described",
    ]
