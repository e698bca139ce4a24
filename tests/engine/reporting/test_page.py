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

from spillover.engine.reporting.formatting import body, escaped, head, shown, to_latex
from spillover.engine.reporting.page import Picture, Report, Section, Table, to_html, write
from spillover.kernels.errors import SpecificationError

EVIL = "<script>alert('&amp;\"')</script>"
SPECIAL = r"& % _ # $ { } ~ ^ \ [1] * < > | ρ − –"
# What may stand in LaTeX for plain text, and the text it prints
PRINTED = {rf"\{sign}": sign for sign in "&%_#${}"} | {
    r"\textbackslash{}": "\\",
    r"\textasciitilde{}": "~",
    r"\textasciicircum{}": "^",
    r"\textless{}": "<",
    r"\textgreater{}": ">",
    r"\textbar{}": "|",
    r"$\rho$": "ρ",
    "$-$": "−",
    "--": "–",
    "{[}": "[",
    "{*}": "*",
}
TOKEN = re.compile("|".join(map(re.escape, PRINTED)) + r"|[^\\{}&%$#_~^\[*<>|]")


def drawing(**options):
    figure = Figure(**options)
    figure.subplots().plot([0, 1, 4])
    return figure


def report(*parts, title="Title", paragraphs=()):
    return Report(
        title, "lead", (Section("Section", tuple(paragraphs), parts),), {"version": "1.0"}
    )


def frames():
    rng = np.random.default_rng(1)
    mixed = {
        "estimate": [0.1 + 0.2, -1e-300, np.inf, np.nan],
        "count": [1, -2, 10**15, 0],
        "sure": [True, False, True, True],
        "unit": ["a", "1.0", "–", EVIL],
    }
    pairs = pd.MultiIndex.from_product(
        [["SDM", "SAR"], ["direct", "indirect", "total"]], names=["model", "impact"]
    )
    years = pd.MultiIndex.from_product([["x", EVIL], [1970, 1971]], names=["variable", None])
    deep = pd.MultiIndex.from_tuples(
        [("a", 1, "p"), ("a", 1, "q"), ("a", 2, "q"), ("b", 2, "q"), ("b", 2, "q")]
    )
    return {
        "mixed": pd.DataFrame(mixed),
        "wide": pd.DataFrame(
            rng.normal(size=(3, 40)) * 10.0 ** rng.integers(-9, 9, 40),
            index=[1970.5, 2, 3],
            columns=range(40),
        ),
        "grouped": pd.DataFrame(rng.normal(size=(6, 4)), pairs, years),
        "deep": pd.DataFrame(rng.normal(size=(5, 2)), deep, ["x", "x"]),
        "named": pd.DataFrame(
            rng.normal(size=(2, 2)),
            pd.Index(["a", "b"], name="unit"),
            pd.Index([1, 2], name="year"),
        ),
        "single": pd.DataFrame(rng.normal(size=(2, 3)).astype(np.float32), ["a", "b"], list("xyz")),
    }


@pytest.mark.parametrize("name", frames())
def test_the_page_gives_every_table_back_exactly(name):
    frame = frames()[name]
    (found,) = read_tables(to_html(report(Table(name, "Title", frame)))).values()
    assert_same(found, frame)


def test_a_changed_cell_is_seen():
    frame = frames()["grouped"]
    page = to_html(report(Table("grouped", "Title", frame)))
    value = repr(float(frame.iloc[2, 3]))
    (found,) = read_tables(page.replace(value, repr(float(np.nextafter(float(value), 9))))).values()
    different = found.to_numpy() != frame.to_numpy()
    assert np.argwhere(different).tolist() == [[2, 3]]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123449, "0.1234"),
        (-12.3456, "−12.35"),
        (123456.7, "123457"),
        (9.99996, "10.00"),
        (0.99996, "1.000"),
        (0.5, "0.5"),
        (31.0, "31"),
        (0.0, "0"),
        (-0.0, "0"),
        (1 / 3000, "0.0003333"),
        (3.2123e-8, "3.2e-08"),
        (-1e-5, "−1e-05"),
        (123456789.0123, "1.235e+08"),
        (np.float32(0.1), "0.1000"),
        (np.inf, "∞"),
        (-np.inf, "−∞"),
        (1970, "1970"),
        (-(10**20), "−100000000000000000000"),
        (np.int8(-3), "−3"),
        (True, "yes"),
        (np.False_, "no"),
        (np.nan, "–"),
        (None, "–"),
        (pd.NA, "–"),
        (pd.NaT, "–"),
        ("-1", "-1"),
        ((1, 2), "(1, 2)"),
    ],
)
def test_numbers_are_shown_to_four_digits(value, text):
    assert shown(value) == text


def test_numbers_shown_are_near_those_meant():
    rng = np.random.default_rng(2)
    for value in rng.normal(size=2000) * 10.0 ** rng.integers(-12, 12, 2000):
        digits = 0.051 if abs(value) < 1e-4 else 0.00051
        assert float(shown(value).replace("−", "-")) == pytest.approx(value, rel=digits)


def test_names_of_index_and_columns_stand_over_their_labels():
    found = frames()
    assert [[(cell.text, cell.columns) for cell in row] for row in head(found["grouped"])] == [
        [("variable", 2), ("x", 2), (EVIL, 2)],
        [("model", 1), ("impact", 1), ("1970", 1), ("1971", 1), ("1970", 1), ("1971", 1)],
    ]
    assert [[cell.text for cell in row] for row in head(found["named"])] == [
        ["year", "1", "2"],
        ["unit", ""],
    ]
    assert [[cell.kind for cell in row] for row in head(found["single"])] == [
        ["blank", "column", "column", "column"]
    ]


def test_labels_that_go_on_are_one_cell_within_their_group_only():
    rows = body(frames()["deep"])
    assert [[(cell.text, cell.rows) for cell in row if cell.kind == "row"] for row in rows] == [
        [("a", 3), ("1", 2), ("p", 1)],
        [("q", 1)],
        [("2", 1), ("q", 1)],
        [("b", 2), ("2", 2), ("q", 1)],
        [("q", 1)],
    ]


def test_columns_of_numbers_are_aligned_on_the_right():
    first = body(frames()["mixed"])[0]
    assert [cell.right for cell in first] == [False, True, True, False, False]
    assert [cell.right for cell in head(frames()["mixed"])[0]] == [False, True, True, False, False]


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


def test_write_gives_the_page_and_every_part(tmp_path):
    found = frames()
    tables = [Table(name, name, frame) for name, frame in found.items()]
    page = report(*tables, Picture("curve", "Curve", drawing(figsize=(4, 2))))
    folder = tmp_path / "new" / "report"
    paths = write(page, folder)
    assert sorted(paths) == sorted(path for path in folder.rglob("*") if path.is_file())
    assert {str(path.relative_to(folder)) for path in paths} == {
        "report.html",
        "figures/curve.png",
        *(f"tables/{name}.{kind}" for name in found for kind in ("csv", "tex")),
    }
    assert (folder / "report.html").read_text(encoding="utf-8") == to_html(page)
    assert read_tables(to_html(page)).keys() == found.keys()
    lines = (folder / "tables" / "wide.csv").read_text(encoding="utf-8").splitlines()
    assert [[float(text) for text in line.split(",")[1:]] for line in lines[1:]] == found[
        "wide"
    ].to_numpy().tolist()
    assert write(page, folder) == paths


def test_the_picture_in_the_page_is_the_file_and_the_figure_stays_open(tmp_path):
    import base64

    import matplotlib as mpl
    import matplotlib.pyplot as plt
    from PIL import Image

    backend, figure = mpl.get_backend(), plt.figure(figsize=(4, 2))
    try:
        figure.subplots().plot([0, 1, 4])
        page = report(Picture("curve", "Curve", figure))
        write(page, tmp_path)
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
@pytest.mark.parametrize("function", [to_html, lambda page: write(page, None)])
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


def printed(latex):
    """The text that LaTeX prints; fails on anything it would take for a command."""
    tokens = TOKEN.findall(latex)
    assert "".join(tokens) == latex, latex
    return "".join(PRINTED.get(token, token) for token in tokens)


@pytest.mark.parametrize("text", [SPECIAL, EVIL, r"\input{/etc/passwd}", "$x_1^2$", "a\n\nb"])
def test_latex_prints_special_characters(text):
    assert printed(escaped(text)) == " ".join(text.split())


def bare_braces(latex):
    """Depth of the braces that group, after each of them."""
    signs = re.findall(r"\\.|[{}]", latex, re.DOTALL)
    return np.cumsum([{"{": 1, "}": -1}.get(sign, 0) for sign in signs])


def test_latex_of_a_table_with_special_characters_everywhere():
    index = pd.MultiIndex.from_product([[SPECIAL, "b"], ["*", "[2]"]], names=[SPECIAL, "y"])
    columns = pd.MultiIndex.from_product([[SPECIAL, "&"], ["#", "_"]], names=[SPECIAL, None])
    frame = pd.DataFrame([[SPECIAL, -0.5, np.nan, True]] * 4, index, columns)
    latex = to_latex(frame, caption=SPECIAL, label="tab:t", note=SPECIAL)
    depth = bare_braces(latex)
    assert depth.min() >= 0
    assert depth[-1] == 0
    lines = latex.splitlines()
    assert lines[4] == r"\begin{tabular}{lllrll}"
    rows = [line.removesuffix(r" \\") for line in lines if line.endswith(r" \\")]
    assert len(rows) == 3 + 4
    for row in rows:
        cells = re.split(r"(?<!\\)&", row)
        assert (
            sum(int((re.match(r" ?\\multicolumn\{(\d)", cell) or [0, 1])[1]) for cell in cells) == 6
        )
    assert [printed(cell.strip()) for cell in re.split(r"(?<!\\)&", rows[4])] == [
        "",
        "[2]",
        SPECIAL,
        "−0.5",
        "–",
        "yes",
    ]
    assert printed(lines[2].removeprefix(r"\caption{").removesuffix("}")) == SPECIAL
    assert rows[0].count(r"\multicolumn{2}{c}") == 2


def test_tables_without_rows_or_columns_are_written(tmp_path):
    empty = (
        Table("rows", "No rows", pd.DataFrame({"x": [], "y": []})),
        Table("columns", "No columns", pd.DataFrame(index=["a", "b"])),
    )
    write(report(*empty), tmp_path)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("<table") == 2
    assert '<th scope="row">b</th>' in page
