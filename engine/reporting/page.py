"""A report as one page that needs nothing else: text, tables and figures; each table also as CSV
and LaTeX, each figure as PNG.
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

from spillover.engine.reporting.formatting import body, head, to_latex
from spillover.engine.storage.csv_text import csv_text
from spillover.engine.storage.whole import whole_file
from spillover.kernels.errors import SpecificationError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 150
SCREEN = 96  # pixels of CSS in an inch


@dataclass(frozen=True, eq=False)
class Table:
    """A table: its index gives the headings of the rows, levels of a MultiIndex are grouped.

    `name`: of its files, letters a-z, digits and underscores, one table's in a report; `title` and
    `note`: plain text.

    >>> Table("scores", "Scores by unit", pd.DataFrame({"score": [0.25]}, index=["a"])).name
    'scores'
    """

    name: str
    title: str
    frame: pd.DataFrame
    note: str = ""


@dataclass(frozen=True, eq=False)
class Picture:
    """A matplotlib figure, which stays the caller's: nothing here changes or closes it.

    `name`: as for `Table`, among the pictures; `title`: the caption and the alternative text;
    `note`: plain text.

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
    """A heading, the paragraphs under it in plain text, then tables and pictures in the order
    given.

    >>> Section("Data", ("Ten units, five years.",)).parts
    ()
    """

    title: str
    paragraphs: tuple[str, ...] = ()
    parts: tuple[Table | Picture, ...] = ()


@dataclass(frozen=True, eq=False)
class Report:
    """What a page shows: title, lead, sections, and at the foot what it was made with.

    `about`: what to repeat the work with, such as versions and seeds, by name.

    >>> Report("Scores", "What the scores say.", (Section("Data"),), {"seed": "0"}).sections[
    ...     0
    ... ].title
    'Data'
    """

    title: str
    lead: str
    sections: tuple[Section, ...]
    about: Mapping[str, str]


def write_report(report: Report, folder: Path) -> list[Path]:
    """Write the page and its parts: report.html, tables/NAME.csv, tables/NAME.tex,
    figures/NAME.png; returns the paths.

    `folder`: made where it is not there; files of the same names are replaced, each whole or not at
    all. CSV has every digit, LaTeX (package booktabs) those of the page.

    SpecificationError for a name of a table or a picture with other characters or there twice, and
    for paragraphs that are no tuple.

    >>> from tempfile import TemporaryDirectory
    >>> table = Table("scores", "Scores", pd.DataFrame({"score": [0.25]}, index=["a"]))
    >>> report = Report("Scores", "", (Section("Data", parts=(table,)),), {})
    >>> with TemporaryDirectory() as folder:
    ...     [path.name for path in write_report(report, Path(folder))]
    ['report.html', 'scores.csv', 'scores.tex']
    """
    _check(report)
    images = _images(report)
    texts = {"report.html": _page(report, images)}
    for table in (part for part in _parts(report) if isinstance(part, Table)):
        texts[f"tables/{table.name}.csv"] = csv_text(table.frame)
        latex = to_latex(
            table.frame, caption=table.title, label=f"tab:{table.name}", note=table.note
        )
        texts[f"tables/{table.name}.tex"] = latex
    contents = {name: text.encode() for name, text in texts.items()}
    contents |= {f"figures/{name}.png": image for name, image in images.items()}
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with whole_file(folder / name) as beside:
            beside.write_bytes(content)
    return [folder / name for name in contents]


def to_html(report: Report) -> str:
    """The report as one page: styles and images inside, no script, nothing fetched from anywhere.

    `report`: numbers are shown to four digits, and in full in the attribute data-value of their
    cells.

    SpecificationError for a name of a table or a picture with other characters or there twice, and
    for paragraphs that are no tuple.

    >>> "<h1>R&amp;D</h1>" in to_html(Report("R&D", "", (), {}))
    True
    """
    _check(report)
    return _page(report, _images(report))


def _parts(report: Report) -> list[Table | Picture]:
    return [part for section in report.sections for part in section.parts]


def _check(report: Report) -> None:
    for section in report.sections:
        if isinstance(section.paragraphs, str):
            raise SpecificationError(
                f"The paragraphs of section {section.title!r} are one string: give a tuple of"
                " strings."
            )
    seen = set()
    for part in _parts(report):
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


def _images(report: Report) -> dict[str, bytes]:
    """Every picture as PNG, by name. To save as PNG takes a canvas of its own, whatever the backend
    in use.
    """
    found = {}
    for picture in (part for part in _parts(report) if isinstance(part, Picture)):
        file = io.BytesIO()
        picture.figure.savefig(
            file, format="png", dpi=DPI, bbox_inches="tight", metadata={"Software": None}
        )
        found[picture.name] = file.getvalue()
    return found


def _page(report: Report, images: dict[str, bytes]) -> str:
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(
        (files("spillover") / "data" / "report.html.jinja").read_text(encoding="utf-8")
    )
    return template.render(report=report, sections=_numbered(report, images))


def _numbered(report: Report, images: dict[str, bytes]) -> list[dict[str, Any]]:
    """The sections as the template wants them, tables and figures numbered through."""
    taken = {_anchor(part) for part in _parts(report)} | {"contents"}
    counts = {Table: 0, Picture: 0}
    sections = []
    for section in report.sections:
        parts = []
        for part in section.parts:
            counts[type(part)] += 1
            content = _tabulated(part) if isinstance(part, Table) else _embedded(images[part.name])
            parts.append(
                {
                    "id": _anchor(part),
                    "number": counts[type(part)],
                    "title": part.title,
                    "note": part.note,
                    **content,
                }
            )
        sections.append(
            {
                "id": _slug(section.title, taken),
                "title": section.title,
                "paragraphs": section.paragraphs,
                "parts": parts,
            }
        )
    return sections


def _anchor(part: Table | Picture) -> str:
    return f"{'table' if isinstance(part, Table) else 'figure'}-{part.name}"


def _slug(title: str, taken: set[str]) -> str:
    """The title as an address within the page, added to those taken."""
    stem = re.sub(r"[\W_]+", "-", title.lower()).strip("-") or "section"
    slug, number = stem, 2
    while slug in taken:
        slug, number = f"{stem}-{number}", number + 1
    taken.add(slug)
    return slug


def _tabulated(table: Table) -> dict[str, Any]:
    return {
        "kind": "table",
        "head": head(table.frame),
        "body": body(table.frame),
        "levels": table.frame.index.nlevels,
    }


def _embedded(png: bytes) -> dict[str, Any]:
    """The image as text, and its size: the page keeps its place before it is drawn."""
    # the first chunk of every PNG
    width, height = (round(pixels * SCREEN / DPI) for pixels in struct.unpack(">II", png[16:24]))
    return {
        "kind": "figure",
        "png": base64.b64encode(png).decode(),
        "width": width,
        "height": height,
    }
