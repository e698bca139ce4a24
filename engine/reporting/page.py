"""A report as one self-contained HTML page, and as files.

The page holds text, tables and figures. Beside it, each table is written as CSV and LaTeX, and each
figure as PNG.
"""

import base64
import io
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from spillover.engine.reporting.formatting import make_body, make_head, to_latex
from spillover.engine.storage.csv_text import csv_text
from spillover.engine.storage.whole import whole_file
from spillover.kernels.errors import SpecificationError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 150
SCREEN = 96  # pixels of CSS in an inch


@dataclass(frozen=True, eq=False)
class Table:
    """A table of a report.

    Attributes
    ----------
    name : str
        Name of its files, unique among the tables of a report: letters a-z, digits, underscores.
    title : str
        The caption, plain text.
    frame : DataFrame
        The numbers. Its index gives the headings of the rows; the levels of a MultiIndex are
        grouped.
    note : str
        Plain text under the table.

    Examples
    --------
    >>> Table("scores", "Scores by unit", pd.DataFrame({"score": [0.25]}, index=["a"])).name
    'scores'
    """

    name: str
    title: str
    frame: pd.DataFrame
    note: str = ""


@dataclass(frozen=True, eq=False)
class Picture:
    """A matplotlib figure of a report. It stays the caller's: nothing here changes or closes it.

    Attributes
    ----------
    name : str
        Name of its file, unique among the pictures of a report: letters a-z, digits, underscores.
    title : str
        The caption and the alternative text, plain text.
    figure : matplotlib.figure.Figure
        The figure.
    note : str
        Plain text under the caption.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> Picture("curve", "Score over time", Figure()).note
    ''
    """

    name: str
    title: str
    figure: "Figure"
    note: str = ""


@dataclass(frozen=True, eq=False)
class Section:
    """A heading, the paragraphs under it, then tables and pictures in order.

    Attributes
    ----------
    title : str
        The heading, plain text.
    paragraphs : tuple of str
        Plain text.
    parts : tuple of Table or Picture
        What follows the paragraphs.

    Examples
    --------
    >>> Section("Data", ("Ten units, five years.",)).parts
    ()
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    parts: tuple[Table | Picture, ...] = ()


@dataclass(frozen=True, eq=False)
class Report:
    """What a page shows: title, lead, sections, and at the foot what the report was made with.

    Attributes
    ----------
    title : str
        The heading of the page, plain text.
    lead : str
        The paragraph under it, plain text.
    sections : tuple of Section
        The sections, in their order.
    about : mapping of str to str
        What is needed to repeat the work, such as versions and seeds, by name.

    Examples
    --------
    >>> report = Report("Scores", "What they say.", (Section("Data"),), {"seed": "0"})
    >>> report.sections[0].title
    'Data'
    """

    title: str
    lead: str
    sections: tuple[Section, ...]
    about: Mapping[str, str]


def write_report(report: Report, folder: Path) -> list[Path]:
    """Write the page and its parts, each file whole or not at all.

    Parameters
    ----------
    report : Report
        The report.
    folder : Path
        Where to write; created if missing. Files of the same names are replaced.

    Returns
    -------
    list of Path
        report.html, then tables/NAME.csv with every digit and tables/NAME.tex (for the package
        booktabs) with the digits of the page, then figures/NAME.png.

    Raises
    ------
    SpecificationError
        For a table or picture whose name has other characters or is used twice, and for paragraphs
        that are one string.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> table = Table("scores", "Scores", pd.DataFrame({"score": [0.25]}, index=["a"]))
    >>> report = Report("Scores", "", (Section("Data", parts=(table,)),), {})
    >>> with TemporaryDirectory() as folder:
    ...     [path.name for path in write_report(report, Path(folder))]
    ['report.html', 'scores.csv', 'scores.tex']
    """
    _check(report)
    images = _draw_images(report)
    texts = {"report.html": _render(report, images)}
    for table in (part for part in _list_parts(report) if isinstance(part, Table)):
        texts[f"tables/{table.name}.csv"] = csv_text(table.frame)
        texts[f"tables/{table.name}.tex"] = to_latex(
            table.frame, caption=table.title, label=f"tab:{table.name}", note=table.note
        )
    contents = {name: text.encode() for name, text in texts.items()}
    contents |= {f"figures/{name}.png": image for name, image in images.items()}
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with whole_file(folder / name) as beside:
            beside.write_bytes(content)
    return [folder / name for name in contents]


def to_html(report: Report) -> str:
    """The report as one page: styles and images inside, no script, nothing fetched.

    Numbers are shown to four digits; the attribute data-value of a cell has every digit.

    Parameters
    ----------
    report : Report
        The report.

    Returns
    -------
    str
        The HTML.

    Raises
    ------
    SpecificationError
        As in `write_report`.

    Examples
    --------
    >>> "<h1>R&amp;D</h1>" in to_html(Report("R&D", "", (), {}))
    True
    """
    _check(report)
    return _render(report, _draw_images(report))


def _list_parts(report: Report) -> list[Table | Picture]:
    return [part for section in report.sections for part in section.parts]


def _check(report: Report) -> None:
    """Refuse names that are invalid or used twice, and paragraphs that are one string."""
    for section in report.sections:
        if isinstance(section.paragraphs, str):
            raise SpecificationError(
                f"The paragraphs of section {section.title!r} are one string: give a tuple of"
                " strings."
            )
    seen = set()
    for part in _list_parts(report):
        kind = type(part).__name__.lower()
        if not re.fullmatch("[a-z0-9_]+", part.name):
            raise SpecificationError(
                f"{part.name!r} cannot name a {kind}: use letters a-z, digits and underscores."
            )
        if (kind, part.name) in seen:
            raise SpecificationError(
                f"Two {kind}s of the report are named {part.name!r}: give each a name of its own."
            )
        seen.add((kind, part.name))


def _draw_images(report: Report) -> dict[str, bytes]:
    """Every picture as PNG, by name.

    The metadata omit the version of matplotlib, so that the same figure gives the same bytes.
    """
    images = {}
    for picture in (part for part in _list_parts(report) if isinstance(part, Picture)):
        file = io.BytesIO()
        # format="png" draws on a canvas for PNG, whatever the backend in use
        picture.figure.savefig(
            file, format="png", dpi=DPI, bbox_inches="tight", metadata={"Software": None}
        )
        images[picture.name] = file.getvalue()
    return images


def _render(report: Report, images: dict[str, bytes]) -> str:
    """Fill the template of the page."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(
        (files("spillover") / "data" / "report.html.jinja").read_text(encoding="utf-8")
    )
    return template.render(report=report, sections=_number_parts(report, images))


def _number_parts(report: Report, images: dict[str, bytes]) -> list[dict[str, Any]]:
    """The sections as the template reads them, with tables and figures numbered."""
    taken = {_make_anchor(part) for part in _list_parts(report)} | {"contents"}
    counts: dict[type, int] = {Table: 0, Picture: 0}
    sections = []
    for section in report.sections:
        parts = []
        for part in section.parts:
            counts[type(part)] += 1
            content = _lay_out(part) if isinstance(part, Table) else _embed(images[part.name])
            parts.append(
                {
                    "id": _make_anchor(part),
                    "number": counts[type(part)],
                    "title": part.title,
                    "note": part.note,
                    **content,
                }
            )
        address = _find_address(section.title, taken)
        taken.add(address)
        sections.append(
            {
                "id": address,
                "title": section.title,
                "paragraphs": section.paragraphs,
                "parts": parts,
            }
        )
    return sections


def _make_anchor(part: Table | Picture) -> str:
    return f"{'table' if isinstance(part, Table) else 'figure'}-{part.name}"


def _find_address(title: str, taken: set[str]) -> str:
    """Turn a title into an address within the page that is not taken yet.

    >>> _find_address("Data & indices", {"data-indices"})
    'data-indices-2'
    """
    stem = re.sub(r"[\W_]+", "-", title.lower()).strip("-") or "section"
    address, number = stem, 2
    while address in taken:
        address, number = f"{stem}-{number}", number + 1
    return address


def _lay_out(table: Table) -> dict[str, Any]:
    """The cells of a table, for the template."""
    return {
        "kind": "table",
        "head": make_head(table.frame),
        "body": make_body(table.frame),
        "levels": table.frame.index.nlevels,
    }


def _embed(png: bytes) -> dict[str, Any]:
    """An image as base64 text, with its size, for which the page reserves the space."""
    # width and height stand at bytes 16 to 23 of every PNG
    width, height = (round(pixels * SCREEN / DPI) for pixels in struct.unpack(">II", png[16:24]))
    return {
        "kind": "figure",
        "png": base64.b64encode(png).decode(),
        "width": width,
        "height": height,
    }
