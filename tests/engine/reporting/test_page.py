"""Reports: the page gives every number back, text is text whatever it contains, the files hold what
the page shows.
"""

import io
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from page_tables import assert_same, read_tables

from spillover.engine.reporting.page import Picture, Report, Section, Table, to_html, write_report
from spillover.kernels.errors import SpecificationError

EVIL = "<script>alert('&amp;\"')</script>"


def drawing(**options):
    figure = Figure(**options)
    figure.subplots().plot([0, 1, 4])
    return figure


def report(*parts, title="Title", paragraphs=()):
    return Report(
        title, "lead", (Section("Section", tuple(paragraphs), parts),), {"version": "1.0"}
    )


@pytest.mark.parametrize("name", ["mixed", "wide", "grouped", "deep", "named", "single"])
def test_the_page_gives_every_table_back_exactly(name, frames):
    frame = frames[name]
    (back,) = read_tables(to_html(report(Table(name, "Title", frame)))).values()
    assert_same(back, frame)


def test_a_changed_cell_is_seen(frames):
    frame = frames["grouped"]
    page = to_html(report(Table("grouped", "Title", frame)))
    value = repr(float(frame.iloc[2, 3]))
    (back,) = read_tables(page.replace(value, repr(float(np.nextafter(float(value), 9))))).values()
    different = back.to_numpy() != frame.to_numpy()
    assert np.argwhere(different).tolist() == [[2, 3]]


class Outline(HTMLParser):
    """Tags, ids, links and attributes of a page, and whether tags close in order."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.ids, self.links, self.images, self.open, self.text = [], [], [], [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append(tag)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if "href" in given else []
        self.images += [given] if tag == "img" else []
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_text_stays_text_wherever_it_is_put():
    frame = pd.DataFrame({EVIL: [1.0, 2.0]}, index=pd.Index(["a", EVIL], name=EVIL))
    parts = Table("t", EVIL, frame, EVIL), Picture("p", EVIL, drawing(), EVIL)
    page = Report(EVIL, EVIL, (Section(EVIL, (EVIL,), parts),), {EVIL: EVIL})
    outline = Outline(to_html(page))
    assert "script" not in outline.tags
    assert not outline.open
    # title twice, lead, contents, heading, paragraph, captions, notes, labels, foot
    assert "".join(outline.text).count(EVIL) == 15
    assert outline.images[0]["alt"] == EVIL


def test_the_contents_lead_to_every_section_and_ids_are_unique():
    titles = ["Data", "data!", "数据", "?!", "Table scores", "Contents"]
    sections = tuple(Section(title) for title in titles)
    scores = (
        Table("scores", "Scores", pd.DataFrame({"x": [1]})),
        Picture("scores", "Scores", drawing()),
    )
    outline = Outline(to_html(Report("Title", "", (*sections, Section("Parts", parts=scores)), {})))
    expected = ["data", "data-2", "数据", "section", "table-scores-2", "contents-2", "parts"]
    assert outline.links == [f"#{name}" for name in expected]
    assert len(set(outline.ids)) == len(outline.ids)
    assert {*expected, "table-scores", "figure-scores"} <= set(outline.ids)


def test_tables_and_figures_are_numbered_through_the_sections():
    frame = pd.DataFrame({"x": [1]})
    first = Section("One", parts=(Picture("a", "A", drawing()), Table("b", "B", frame)))
    second = Section("Two", parts=(Table("c", "C", frame), Picture("d", "D", drawing())))
    text = " ".join(
        "".join(Outline(to_html(Report("Title", "", (first, second), {}))).text).split()
    )
    assert re.findall(r"(?:Table|Figure) \d\. [A-D]", text) == [
        "Figure 1. A",
        "Table 1. B",
        "Table 2. C",
        "Figure 2. D",
    ]


def test_the_page_allows_nothing_from_outside():
    page = to_html(report(Picture("p", "P", drawing())))
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert {"default-src 'none'", "img-src data:", "style-src 'unsafe-inline'"} <= set(
        policy[1].split("; ")
    )
    assert not re.search(r"https?:|@import|url\(", page)


def test_write_gives_the_page_and_every_part(frames, tmp_path):
    tables = [Table(name, name, frame) for name, frame in frames.items()]
    page = report(*tables, Picture("curve", "Curve", drawing(figsize=(4, 2))))
    folder = tmp_path / "new" / "report"
    paths = write_report(page, folder)
    assert sorted(paths) == sorted(path for path in folder.rglob("*") if path.is_file())
    assert {str(path.relative_to(folder)) for path in paths} == {
        "report.html",
        "figures/curve.png",
        *(f"tables/{name}.{kind}" for name in frames for kind in ("csv", "tex")),
    }
    assert (folder / "report.html").read_text(encoding="utf-8") == to_html(page)
    assert read_tables(to_html(page)).keys() == frames.keys()
    lines = (folder / "tables" / "wide.csv").read_text(encoding="utf-8").splitlines()
    assert [[float(text) for text in line.split(",")[1:]] for line in lines[1:]] == frames[
        "wide"
    ].to_numpy().tolist()
    assert write_report(page, folder) == paths


def test_the_picture_in_the_page_is_the_file_and_the_figure_stays_open(tmp_path):
    import base64

    import matplotlib as mpl
    import matplotlib.pyplot as plt
    from PIL import Image

    backend, figure = mpl.get_backend(), plt.figure(figsize=(4, 2))
    try:
        figure.subplots().plot([0, 1, 4])
        page = report(Picture("curve", "Curve", figure))
        write_report(page, tmp_path)
        assert plt.fignum_exists(figure.number)
        assert mpl.get_backend() == backend
    finally:
        plt.close(figure)
    (image,) = Outline((tmp_path / "report.html").read_text(encoding="utf-8")).images
    content = base64.b64decode(image["src"].removeprefix("data:image/png;base64,"), validate=True)
    assert content == (tmp_path / "figures" / "curve.png").read_bytes()
    with Image.open(io.BytesIO(content)) as drawn:
        assert [round(pixels * 96 / 150) for pixels in drawn.size] == [
            int(image["width"]),
            int(image["height"]),
        ]
        assert drawn.info["dpi"] == pytest.approx((150, 150), abs=0.1)


@pytest.mark.parametrize("name", ["", "Upper", "with space", "../up", "dash-ed", "name\n", "é"])
@pytest.mark.parametrize("function", [to_html, lambda page: write_report(page, None)])
def test_names_that_are_no_names_of_files_are_refused(name, function):
    with pytest.raises(
        SpecificationError, match=rf"{re.escape(repr(name))} cannot name a table.*use letters"
    ):
        function(report(Table(name, "Title", pd.DataFrame({"x": [1]}))))


def test_a_name_may_be_used_once_for_each_kind():
    frame = pd.DataFrame({"x": [1]})
    to_html(report(Table("same", "A", frame), Picture("same", "B", drawing())))
    with pytest.raises(SpecificationError, match=r"Two tables .* named 'same'"):
        to_html(report(Table("same", "A", frame), Table("same", "B", frame)))
    with pytest.raises(SpecificationError, match=r"Two pictures .* named 'same'"):
        to_html(report(Picture("same", "A", drawing()), Picture("same", "B", drawing())))


def test_paragraphs_are_a_tuple():
    with pytest.raises(SpecificationError, match=r"section 'Data' are one string.*tuple"):
        to_html(Report("Title", "", (Section("Data", "text"),), {}))


def test_tables_without_rows_or_columns_are_written(tmp_path):
    empty = (
        Table("rows", "No rows", pd.DataFrame({"x": [], "y": []})),
        Table("columns", "No columns", pd.DataFrame(index=["a", "b"])),
    )
    write_report(report(*empty), tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("<table") == 2
    assert '<th scope="row">b</th>' in page
