"""Tables of a report: numbers as one reads them, cells of a page that keep the full
value, LaTeX.
"""

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
import pandas as pd

MISSING, MINUS = "–", "−"
DIGITS = 4
SMALL, LARGE = 1e-4, 1e7  # numbers outside are shown as 3.2e-08
GREEK = "α β γ δ ε ζ η θ ι κ λ μ ν ξ π ρ σ τ υ φ χ ψ ω Γ Δ Θ Λ Ξ Π Σ Φ Ψ Ω"
LETTERS = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau"
    " upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega"
)
SIGNS = {"∞": "infty", "≤": "le", "≥": "ge", "≠": "ne", "≈": "approx", "→": "to", "′": "prime"}
IN_LATEX = str.maketrans(
    {
        sign: f"$\\{name}$"
        for sign, name in {
            **SIGNS,
            **dict(zip(GREEK.split(), LETTERS.split(), strict=True)),
        }.items()
    }
    | {sign: f"\\{sign}" for sign in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", MINUS: "$-$", MISSING: "--"}
    # bare at the start of a row they would be taken for an argument of the \\ before them
    | {
        "[": "{[}",
        "*": "{*}",
    }
)


@dataclass(frozen=True)
class Cell:
    """A cell of a page: what it shows, and for anything but text the full value.

    `kind`: "column" and "row" are headings, "value" and "blank" are not; `right`: it belongs to a
    column of numbers; `rows` and `columns`: how many it spans.
    """

    text: str
    kind: Literal["column", "row", "value", "blank"]
    full: str | None = None
    right: bool = False
    rows: int = 1
    columns: int = 1


def shown(value: Any) -> str:
    """A value as one reads it: numbers to four digits, exact ones to fewer, truth as yes or no, a
    dash for what is missing.

    `value`: any; whole numbers keep all their digits, what is neither number nor missing is shown
    by `str`.

    >>> [
    ...     shown(value)
    ...     for value in (0.123456, 1234.56, 0.5, 1970, 3.21e-8, True, float("nan"), "unit")
    ... ]
    ['0.1235', '1235', '0.5', '1970', '3.2e-08', 'yes', '–', 'unit']
    """
    if _is_missing(value):
        return MISSING
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if not isinstance(value, Real):
        return str(value)
    # + 0.0: no minus before a zero
    text = str(int(value)) if isinstance(value, Integral) else _rounded(float(value) + 0.0)
    return MINUS + text[1:] if text.startswith("-") else text


def head(frame: pd.DataFrame) -> list[list[Cell]]:
    """The headings of the columns: a row a level, and one for the names of the index where those of
    the columns take the corner.

    `frame`: any; labels that go on over several columns are one cell.

    >>> [
    ...     [cell.text for cell in row]
    ...     for row in head(pd.DataFrame({("a", "x"): [1], ("a", "y"): [2]}).rename_axis("unit"))
    ... ]
    [['', 'a'], ['unit', 'x', 'y']]
    """
    depth, width, right = frame.index.nlevels, frame.shape[1], _columns_of_numbers(frame)
    labels, names = _labels(frame.columns), [_heading(name) for name in frame.index.names]
    rows: list[list[Cell]] = []
    for level, name in enumerate(frame.columns.names):
        spans = _spans(labels, level)
        cells = [
            Cell(shown(label[level]), "column", _full(label[level]), right[j], columns=span)
            for j, (label, span) in enumerate(zip(labels, spans, strict=True))
            if span
        ]
        rows.append([_heading(name, columns=depth), *cells])
    if any(cell.text for cell in names):
        if rows[-1][0].text:
            rows.append([*names, *([Cell("", "blank", columns=width)] if width else [])])
        else:
            rows[-1][:1] = names
    return rows


def body(frame: pd.DataFrame) -> list[list[Cell]]:
    """The rows under the headings, each led by its labels.

    `frame`: any; a label of an outer level that goes on over several rows is one cell, in the first
    of them.

    >>> [
    ...     [cell.text for cell in row]
    ...     for row in body(pd.DataFrame({"x": [0.5, 2.0]}, index=["a", "b"]))
    ... ]
    [['a', '0.5'], ['b', '2']]
    """
    labels, right = _labels(frame.index), _columns_of_numbers(frame)
    spans = [_spans(labels, level) for level in range(frame.index.nlevels)]
    columns = [list(frame.iloc[:, j]) for j in range(frame.shape[1])]
    rows = []
    for i, label in enumerate(labels):
        lead = [
            Cell(shown(part), "row", _full(part), rows=span[i])
            for part, span in zip(label, spans, strict=True)
            if span[i]
        ]
        values = [
            Cell(shown(column[i]), "value", _full(column[i]), right[j])
            for j, column in enumerate(columns)
        ]
        rows.append([*lead, *values])
    return rows


def to_latex(frame: pd.DataFrame, *, caption: str, label: str, note: str = "") -> str:
    """The table in LaTeX, for the package booktabs, with the numbers as the page shows them.

    `frame`: any; `caption`, `note`: plain text; `label`: what \\ref refers to. Special characters
    and Greek letters are written so that LaTeX prints them; other scripts need XeLaTeX or LuaLaTeX.

    >>> to_latex(
    ...     pd.DataFrame({"R_2": [0.9]}, index=["SAR"]), caption="Fit", label="tab:fit"
    ... ).splitlines()[6:9]
    [' & R\\\\_2 \\\\\\\\', '\\\\midrule', 'SAR & 0.9 \\\\\\\\']
    """
    texts = (
        frame.map(_latex)
        .set_axis(_latex_labels(frame.index))
        .set_axis(_latex_labels(frame.columns), axis=1)
    )
    places = "l" * frame.index.nlevels + "".join(
        "r" if right else "l" for right in _columns_of_numbers(frame)
    )
    layout: Any = {
        "column_format": places,
        "multicol_align": "c",
        "multirow_align": "naive",
        "hrules": True,
    }
    where: Any = {
        "position": "htbp",
        "position_float": "centering",
        "caption": escaped(caption),
        "label": label,
    }
    latex = texts.style.to_latex(**layout, **where)
    below = f"\\par\\smallskip{{\\footnotesize {escaped(note)}\\par}}\n" if note else ""
    return latex.replace("\\end{table}", below + "\\end{table}")


def _latex(value: Any) -> str:
    return escaped(shown(value))


def _latex_labels(labels: pd.Index) -> pd.Index:
    names = [None if name is None else _latex(name) for name in labels.names]
    if isinstance(labels, pd.MultiIndex):
        return pd.MultiIndex.from_tuples(
            [tuple(map(_latex, label)) for label in labels], names=names
        )
    return pd.Index(list(map(_latex, labels)), name=names[0])


def escaped(text: str) -> str:
    """Plain text as LaTeX that prints it, on one line.

    `text`: any.

    >>> escaped("R&D_2 in %, ρ")
    'R\\\\&D\\\\_2 in \\\\%, $\\\\rho$'
    """
    return " ".join(text.split()).translate(IN_LATEX)


def _rounded(x: float) -> str:
    if np.isinf(x):
        return "∞" if x > 0 else "-∞"
    size = abs(x)
    if size >= LARGE or 0 < size < SMALL:
        rounded = f"{x:.{DIGITS - 1 if size >= LARGE else 1}e}"
    else:
        # of the rounded number: 9.9996 is 10.00
        exponent = int(f"{x:.{DIGITS - 1}e}".partition("e")[2])
        rounded = f"{x:.{max(0, DIGITS - 1 - exponent)}f}"
    return min(repr(x).removesuffix(".0"), rounded, key=len)


def _full(value: Any) -> str | None:
    """What a reader needs to get the very value back; None for text, which is shown as it is."""
    if _is_missing(value):
        return str(value)
    if isinstance(value, bool | np.bool_):
        return repr(bool(value))
    if isinstance(value, Real):
        return repr(int(value)) if isinstance(value, Integral) else repr(float(value))
    return None


def _is_missing(value: Any) -> bool:
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def _columns_of_numbers(frame: pd.DataFrame) -> list[bool]:
    """Which columns have numbers and no text: those are aligned on the right."""
    return [_has_numbers(list(frame.iloc[:, j])) for j in range(frame.shape[1])]


def _has_numbers(values: list[Any]) -> bool:
    there = [value for value in values if not _is_missing(value)]
    return bool(there) and all(
        isinstance(value, Real) and not isinstance(value, bool | np.bool_) for value in there
    )


def _labels(index: pd.Index) -> list[tuple[Any, ...]]:
    return list(index) if isinstance(index, pd.MultiIndex) else [(label,) for label in index]


def _heading(name: Any, columns: int = 1) -> Cell:
    return Cell(
        "" if name is None else shown(name), "blank" if name is None else "column", columns=columns
    )


def _spans(labels: list[tuple[Any, ...]], level: int) -> list[int]:
    """How many places the label of a level takes: 0 where the one before goes on. The innermost
    labels stay apart, even equal ones.
    """
    spans = [1] * len(labels)
    if not labels or level == len(labels[0]) - 1:
        return spans
    start = 0
    for i in range(1, len(labels)):
        if labels[i][: level + 1] == labels[start][: level + 1]:
            spans[start], spans[i] = spans[start] + 1, 0
        else:
            start = i
    return spans
