"""Citations lead somewhere: from the code to a numbered section of docs/, and from the pages on
mathematics and numerics to files and tests that exist.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("kernels", "models", "engine", "tests", "bench")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
PAGES = ("mathematics.md", "numerics.md")
# "docs/page.md 5", "docs/page.md 2.3, 4 and 7", across the end of a line and a comment mark
GAP = r"[\s#]+"
NUMBER = r"\d+(?:\.\d+)*"
CITATION = re.compile(rf"docs/([\w-]+\.md)((?:(?:,|{GAP}and)?{GAP}{NUMBER})*)")
BARE = re.compile(rf"(?<!docs/)\b(?:{'|'.join(map(re.escape, PAGES))}){GAP}\d")
HEADING = re.compile(rf"^#+ ({NUMBER})\.? ", re.MULTILINE)


def broken(text, docs):
    """The citations in a text that name no page of a folder, or no section of the page."""
    wrong = [match.group() for match in BARE.finditer(text)]
    for page, numbers in CITATION.findall(text):
        path = docs / page
        if not path.is_file():
            wrong.append(page)
            continue
        sections = set(HEADING.findall(path.read_text(encoding="utf-8")))
        wanted = re.findall(NUMBER, numbers)
        wrong += [f"{page} {number}" for number in wanted if number not in sections]
    return wrong


def test_every_citation_in_the_code_is_a_section():
    own = Path(__file__)
    wrong = {
        str(path): broken(path.read_text(encoding="utf-8"), ROOT / "docs")
        for path in SOURCES
        if path != own
    }
    assert {path: found for path, found in wrong.items() if found} == {}


def test_the_code_cites_both_pages():
    cited = {
        page for path in SOURCES for page, _ in CITATION.findall(path.read_text(encoding="utf-8"))
    }
    assert set(PAGES) <= cited


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("as docs/page.md 1 has it", []),
        ("docs/page.md 1, 2 and 2.1; docs/page.md", []),
        ("docs/page.md\n    # 2.1", []),
        ("docs/page.md 1, 3", ["page.md 3"]),
        ("docs/page.md 2 and\n7", ["page.md 7"]),
        ("docs/page.md 2.2", ["page.md 2.2"]),
        ("docs/other.md 1", ["other.md"]),
        ("see numerics.md 1", ["numerics.md 1"]),
    ],
)
def test_a_citation_that_leads_nowhere_is_found(text, wrong, tmp_path):
    (tmp_path / "page.md").write_text(
        "# Page\n\n## 1. One\n\n## 2. Two\n\n### 2.1 Half\n", encoding="utf-8"
    )
    assert broken(text, tmp_path) == wrong


@pytest.mark.parametrize("page", PAGES)
def test_files_and_tests_that_the_pages_name_exist(page):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    paths = set(re.findall(r"`((?:kernels|models|engine|tests|bench)/[\w/.]+\.\w+)[ `]", text))
    assert paths
    assert sorted(path for path in paths if not (ROOT / path).is_file()) == []
    tests = set(re.findall(r"`(test_\w+)`", text))
    known = {
        name
        for path in SOURCES
        for name in re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8"))
    }
    assert sorted(tests - known) == []


@pytest.mark.parametrize("page", PAGES)
def test_sections_are_numbered_in_turn(page):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    numbers = [tuple(map(int, number.split("."))) for number in HEADING.findall(text)]
    assert numbers == sorted(set(numbers))
    own = [number[0] for number in numbers if len(number) == 1]
    assert own == list(range(own[0], own[0] + len(own)))
    assert all(len(number) == 1 or number[:-1] in numbers for number in numbers)
