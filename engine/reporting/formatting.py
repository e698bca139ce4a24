"""Tables for a report: numbers rounded for reading, the cells of an HTML page, and LaTeX."""

from collections.abc import Iterable
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
COMMANDS = SIGNS | dict(zip(GREEK.split(), LETTERS.split(), strict=True))
IN_LATEX = str.maketrans(
    {sign: f"$\\{name}$" for sign, name in COMMANDS.items()}
    | {sign: f"\\{sign}" for sign in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", MINUS: "$-$", MISSING: "--"}
    # at the start of a row, LaTeX would take a bare [ or * for an argument of the \\ before it
    | {"[": "{[}", "*": "{*}"}
)

Kind = Literal["column", "row", "value", "blank"]


@dataclass(frozen=True)
class Cell:
    """A cell of a table on a page.

    Attributes
    ----------
    text : str
        What the cell shows.
    kind : {"column", "row", "value", "blank"}
        "column" and "row" are headings, "value" and "blank" are not.
    full : str, optional
        The value with every digit; None for text, which is shown as it is.
    right : bool
        Whether the cell belongs to a column of numbers, which is aligned on the right.
    rows, columns : int
        How many rows and columns the cell spans.
    """

    text: str
    kind: Kind
    full: str | None = None
    right: bool = False
    rows: int = 1
    columns: int = 1


def show_value(value: Any) -> str:
    """Show a value for reading: a number to four digits, yes or no, a dash for a missing one.

    Whole numbers keep all their digits, and a number that is exact with fewer than four gets no
    trailing zeros. Anything that is neither a number nor missing is shown by `str`.

    >>> values = (0.123456, 1234.56, 0.5, 1970, 3.21e-8, True, float("nan"), "unit")
    >>> [show_value(value) for value in values]
    ['0.1235', '1235', '0.5', '1970', '3.2e-08', 'yes', '–', 'unit']
    """
    if _is_missing(value):
        return MISSING
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if not isinstance(value, Real):
        return str(value)
    # + 0.0 turns -0.0 into 0.0
    text = str(int(value)) if isinstance(value, Integral) else _round(float(value) + 0.0)
    return MINUS + text[1:] if text.startswith("-") else text


def make_head(frame: pd.DataFrame) -> list[list[Cell]]:
    """The headings of a table: a row of cells for each level of its columns.

    A label that repeats over neighbouring columns is one wide cell. The names of the index stand in
    the corner of the last row, or in a row below it where the names of the columns take the corner.

    >>> frame = pd.DataFrame({("a", "x"): [1], ("a", "y"): [2]}).rename_axis("unit")
    >>> [[cell.text for cell in row] for row in make_head(frame)]
    [['', 'a'], ['unit', 'x', 'y']]
    """
    depth, width, right = frame.index.nlevels, frame.shape[1], _find_numeric_columns(frame)
    labels, names = _list_labels(frame.columns), [_make_heading(name) for name in frame.index.names]
    rows: list[list[Cell]] = []
    for level, name in enumerate(frame.columns.names):
        spans = _count_spans(labels, level)
        cells = [
            _make_cell(label[level], "column", right=right[j], columns=span)
            for j, (label, span) in enumerate(zip(labels, spans, strict=True))
            if span
        ]
        rows.append([_make_heading(name, columns=depth), *cells])
    if any(cell.text for cell in names):
        if rows[-1][0].text:
            rows.append([*names, *([Cell("", "blank", columns=width)] if width else [])])
        else:
            rows[-1][:1] = names
    return rows


def make_body(frame: pd.DataFrame) -> list[list[Cell]]:
    """The rows of a table under its headings, each led by its labels.

    A label of an outer level that repeats over neighbouring rows is one tall cell, in the first of
    them.

    >>> frame = pd.DataFrame({"x": [0.5, 2.0]}, index=["a", "b"])
    >>> [[cell.text for cell in row] for row in make_body(frame)]
    [['a', '0.5'], ['b', '2']]
    """
    labels, right = _list_labels(frame.index), _find_numeric_columns(frame)
    spans = [_count_spans(labels, level) for level in range(frame.index.nlevels)]
    columns = [list(frame.iloc[:, j]) for j in range(frame.shape[1])]
    rows = []
    for i, label in enumerate(labels):
        lead = [
            _make_cell(part, "row", rows=span[i])
            for part, span in zip(label, spans, strict=True)
            if span[i]
        ]
        values = [
            _make_cell(column[i], "value", right=right[j]) for j, column in enumerate(columns)
        ]
        rows.append([*lead, *values])
    return rows


def to_latex(frame: pd.DataFrame, *, caption: str, label: str, note: str = "") -> str:
    r"""A table in LaTeX, for the package booktabs, with the numbers as the page shows them.

    Special characters and Greek letters are written so that LaTeX prints them; other scripts need
    XeLaTeX or LuaLaTeX.

    Parameters
    ----------
    frame : DataFrame
        The table.
    caption, note : str
        Plain text above and below it.
    label : str
        What ``\ref`` refers to.

    Examples
    --------
    >>> frame = pd.DataFrame({"R_2": [0.9]}, index=["SAR"])
    >>> print(*to_latex(frame, caption="Fit", label="tab:fit").splitlines()[6:9], sep="\n")
     & R\_2 \\
    \midrule
    SAR & 0.9 \\
    """
    texts = (
        frame.map(_format_latex)
        .set_axis(_format_labels(frame.index))
        .set_axis(_format_labels(frame.columns), axis=1)
    )
    places = "".join("r" if right else "l" for right in _find_numeric_columns(frame))
    options: dict[str, Any] = {
        "column_format": "l" * frame.index.nlevels + places,
        "multicol_align": "c",
        "multirow_align": "naive",
        "hrules": True,
        "position": "htbp",
        "position_float": "centering",
        "caption": escape_latex(caption),
        "label": label,
    }
    latex = str(texts.style.to_latex(**options))
    below = f"\\par\\smallskip{{\\footnotesize {escape_latex(note)}\\par}}\n" if note else ""
    return latex.replace("\\end{table}", below + "\\end{table}")


def escape_latex(text: str) -> str:
    r"""Plain text as LaTeX that prints it, on one line.

    >>> print(escape_latex("R&D_2 in %, ρ"))
    R\&D\_2 in \%, $\rho$
    """
    return " ".join(text.split()).translate(IN_LATEX)


def _format_latex(value: Any) -> str:
    return escape_latex(show_value(value))


def _format_labels(labels: pd.Index) -> pd.Index:
    """Index labels and their names in LaTeX."""
    names = [None if name is None else _format_latex(name) for name in labels.names]
    if isinstance(labels, pd.MultiIndex):
        return pd.MultiIndex.from_tuples(
            [tuple(map(_format_latex, label)) for label in labels], names=names
        )
    return pd.Index(list(map(_format_latex, labels)), name=names[0])


def _round(x: float) -> str:
    """A number to four digits, or to fewer where those are exact."""
    if np.isinf(x):
        return "∞" if x > 0 else "-∞"
    size = abs(x)
    if size >= LARGE or 0 < size < SMALL:
        rounded = f"{x:.{DIGITS - 1 if size >= LARGE else 1}e}"
    else:
        # the exponent of the rounded number, since 9.9996 becomes 10.00
        exponent = int(f"{x:.{DIGITS - 1}e}".partition("e")[2])
        rounded = f"{x:.{max(0, DIGITS - 1 - exponent)}f}"
    return min(repr(x).removesuffix(".0"), rounded, key=len)


def _keep_digits(value: Any) -> str | None:
    """The value with every digit; None for text, which is shown as it is."""
    if _is_missing(value):
        return str(value)
    if isinstance(value, bool | np.bool_):
        return repr(bool(value))
    if isinstance(value, Real):
        return repr(int(value)) if isinstance(value, Integral) else repr(float(value))
    return None


def _is_missing(value: Any) -> bool:
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def _find_numeric_columns(frame: pd.DataFrame) -> list[bool]:
    """Whether each column has numbers and no text: such columns are aligned on the right."""
    return [_has_numbers(frame.iloc[:, j]) for j in range(frame.shape[1])]


def _has_numbers(values: Iterable[Any]) -> bool:
    there = [value for value in values if not _is_missing(value)]
    return bool(there) and all(
        isinstance(value, Real) and not isinstance(value, bool | np.bool_) for value in there
    )


def _list_labels(index: pd.Index) -> list[tuple[Any, ...]]:
    """The labels of an index, each with one entry per level."""
    return list(index) if isinstance(index, pd.MultiIndex) else [(label,) for label in index]


def _make_cell(
    value: Any, kind: Kind, *, right: bool = False, rows: int = 1, columns: int = 1
) -> Cell:
    return Cell(
        show_value(value), kind, full=_keep_digits(value), right=right, rows=rows, columns=columns
    )


def _make_heading(name: Any, columns: int = 1) -> Cell:
    """A heading with the name of a level; blank where the level has none."""
    if name is None:
        return Cell("", "blank", columns=columns)
    return Cell(show_value(name), "column", columns=columns)


def _count_spans(labels: list[tuple[Any, ...]], level: int) -> list[int]:
    """How many cells each label of a level spans: 0 where the label before it continues.

    The innermost labels stay apart, even equal ones.

    >>> _count_spans([("a", 1), ("a", 2), ("b", 1)], 0)
    [2, 0, 1]
    """
    spans = [1] * len(labels)
    if not labels or level == len(labels[0]) - 1:
        return spans
    start = 0
    for i in range(1, len(labels)):
        if labels[i][: level + 1] == labels[start][: level + 1]:
            spans[start] += 1
            spans[i] = 0
        else:
            start = i
    return spans
