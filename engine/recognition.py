"""Guesses at what values and names mean, where a wrong reading would give wrong numbers.

They recognise numbers stored as text, labels that are the same as text, latitudes and longitudes.
"""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

BLANKS = " \u00a0\u2009\u202f"  # blanks that separate thousands
DIGITS = rf"\d{{1,3}}([,.'’_{BLANKS}]\d{{3}})+([.,]\d+)?|\d+[.,]?\d*|[.,]\d+"
NUMBER = re.compile(rf"[+\-\u2212]?\s*[$€£¥￥]?\s*({DIGITS})([eE][+-]?\d+)?\s*[%‰％€]?")
MARKS = (
    ("%‰％", "percent signs"),
    (",", "commas"),
    ("'’_" + BLANKS, "marks of thousands"),
    ("$€£¥￥", "signs of currency"),
)
# a column holds numbers if at least this share of its distinct texts are numbers
MOSTLY = 0.5
EXACT = 2.0**53  # beyond it, floats skip some whole numbers
# what infer_dtype of pandas calls numbers in a column of objects
NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal")
LATITUDE = frozenset(
    (
        "lat",
        "lats",
        "latitude",
        "latitudes",
        "latitud",
        "latitudine",
        "breite",
        "breitengrad",
        "intptlat",
    )
)
LONGITUDE = frozenset(
    (
        "lon",
        "lons",
        "lng",
        "long",
        "longitude",
        "longitudes",
        "longitud",
        "longitudine",
        "länge",
        "längengrad",
        "intptlon",
        "intptlong",
    )
)
# looked for anywhere in a name, as Chinese does not set words apart
ELSEWHERE = {
    "纬度": "latitude",
    "緯度": "latitude",
    "经度": "longitude",
    "經度": "longitude",
}


def is_number(kind: Any) -> bool:
    """Whether a dtype holds real numbers; truth values do not count."""
    types = pd.api.types
    return types.is_numeric_dtype(kind) and not (
        types.is_bool_dtype(kind) or types.is_complex_dtype(kind)
    )


def find_numbers(texts: Iterable[str]) -> tuple[list[str], list[str], list[str]] | None:
    """Find the texts that are numbers, the other texts, and the marks that hinder a conversion.

    None if fewer than half of the distinct texts are numbers.

    >>> find_numbers(["1,234", "2,500", "n/a"])
    (['1,234', '2,500'], ['n/a'], ['commas'])
    >>> find_numbers(["north", "south", "east", "7"]) is None
    True
    """
    distinct = [text for text in dict.fromkeys(texts) if text.strip()]
    numbers = [text for text in distinct if NUMBER.fullmatch(text.strip())]
    if not numbers or len(numbers) < MOSTLY * len(distinct):
        return None
    marks = [
        name
        for signs, name in MARKS
        if any(sign in text.strip() for text in numbers for sign in signs)
    ]
    return numbers, [text for text in distinct if not NUMBER.fullmatch(text.strip())], marks


def how_to_convert(name: Any, marks: list[str], others: list[str]) -> str:
    """Say how to turn a column of numbers stored as text into numbers."""
    first = [f"take out its {' and '.join(marks)}"] if marks else []
    first += ["replace what is no number"] if others else []
    return f"{', '.join([*first, 'convert it'])} with pd.to_numeric(frame[{name!r}])"


def find_same_text(labels: pd.Index) -> list[Any]:
    """Find labels of different types that read alike, such as 1 and "1".

    >>> find_same_text(pd.Index([1, "1", 2, "x"], dtype=object))
    [1, '1']
    """
    if not labels.inferred_type.startswith("mixed"):
        return []
    texts = pd.Index([_plain(label) for label in labels.tolist()], dtype=object)
    twins: list[Any] = labels[texts.duplicated(keep=False)].tolist()
    return twins


def find_alike(labels: pd.Index) -> list[Any]:
    """Find texts that differ only by the blanks around them.

    >>> find_alike(pd.Index(["a", "b ", "b"]))
    ['b ', 'b']
    """
    if labels.inferred_type != "string":
        return []
    given = labels.tolist()
    texts = [label.strip() if isinstance(label, str) else label for label in given]
    if texts == given:
        return []
    twins: list[Any] = labels[pd.Index(texts, dtype=object).duplicated(keep=False)].tolist()
    return twins


def find_inexact(labels: pd.Index) -> list[Any]:
    """Find labels stored as floats so large that floats no longer tell whole numbers apart.

    >>> find_inexact(pd.Index([1.0, 2.0**53]))
    [9007199254740992.0]
    """
    if not pd.api.types.is_float_dtype(labels.dtype):
        return []
    values = labels.to_numpy(float, na_value=np.nan)
    large: list[Any] = labels[(np.abs(values) >= EXACT) & np.isfinite(values)].tolist()
    return large


def is_out_of_order(periods: pd.Index) -> bool:
    """Whether numbers stored as text sort in another order than as numbers: "10" before "2".

    TypeError for labels that do not sort.

    >>> is_out_of_order(pd.Index(["2", "10"])), is_out_of_order(pd.Index(["2001", "2010"]))
    (True, False)
    """
    ordered = periods.sort_values()
    if periods.inferred_type not in ("string", "categorical") or getattr(periods, "ordered", False):
        return False
    texts = [label for label in ordered.tolist() if isinstance(label, str)]
    if len(texts) < len(periods) or not all(NUMBER.fullmatch(text.strip()) for text in texts):
        return False
    values = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce").to_numpy(float)
    return bool((np.diff(values) < 0).any())


def find_coordinate(name: Any) -> str | None:
    """Tell whether the name of a column says "latitude" or "longitude"; None if neither or both.

    >>> find_coordinate("capital_lat"), find_coordinate("城市纬度"), find_coordinate("east")
    ('latitude', 'latitude', None)
    """
    if not isinstance(name, str):
        return None
    words = set(re.findall(r"[^\W\d_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()))
    kinds = {kind for part, kind in ELSEWHERE.items() if part in name}
    kinds |= {
        kind for kind, known in (("latitude", LATITUDE), ("longitude", LONGITUDE)) if words & known
    }
    return kinds.pop() if len(kinds) == 1 else None


def are_swapped(names: Iterable[Any]) -> bool:
    """Whether two columns, wanted as longitude and latitude, are named the other way round.

    >>> are_swapped(["lat", "lon"]), are_swapped(["lon", "lat"]), are_swapped(["x", "y"])
    (True, False, False)
    """
    first, second = map(find_coordinate, names)
    return first != second and (first == "latitude" or second == "longitude")


def _plain(label: Any) -> str:
    """A label as text; a whole float without its decimal point."""
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)
