"""The documentation beside the code: docs/architecture.md names every module, and nothing that is
not there; docs/reference/ has every public name.
"""

import ast
import re
from pathlib import Path

import pytest

import spillover

ROOT = Path(__file__).parents[1]
LAYERS = ("kernels", "models", "engine")
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
FOLDERS = sorted(
    {
        path.parent.relative_to(ROOT).as_posix()
        for layer in LAYERS
        for path in (ROOT / layer).rglob("*.py")
    }
)
PLACES = sorted(
    set(re.findall(r"`((?:kernels|models|engine|tests|docs)/[\w/.]*[\w/])(?:::([\w.]+))?`", PAGE))
)
NEW = "kernels/NAME_logdet.py"  # of a method that somebody adds


def modules_of(folder):
    """The modules of a folder; `__init__` only where it is the package itself."""
    names = {path.stem for path in (ROOT / folder).glob("*.py")}
    return names if folder == "engine/_root" else names - {"__init__"}


def named_in(folder):
    """The first column of the folder's table on the page."""
    section = re.search(rf"^### `{folder}/`\n(.*?)(?=^##|\Z)", PAGE, re.DOTALL | re.MULTILINE)
    assert section, f"docs/architecture.md has no section `{folder}/`"
    return re.findall(r"^\| `(\w+)` \|", section[1], re.MULTILINE)


def definitions(tree):
    """Names that a module defines: functions, classes, constants, and methods as Class.method."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        if isinstance(node, ast.ClassDef):
            inner = [each for each in node.body if isinstance(each, ast.FunctionDef)]
            yield from (f"{node.name}.{each.name}" for each in inner)
        if isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_page_names_every_module_once(folder):
    shown, there = named_in(folder), modules_of(folder)
    missing, gone = sorted(there - set(shown)), sorted(set(shown) - there)
    assert not missing, f"docs/architecture.md, section {folder}/, lacks {missing}"
    assert not gone, f"docs/architecture.md, section {folder}/, names {gone}: not there"
    assert len(shown) == len(there)


def test_every_folder_named_on_the_page_is_there():
    assert sorted(re.findall(r"^### `([\w/]+)/`", PAGE, re.MULTILINE)) == FOLDERS


@pytest.mark.parametrize(("path", "name"), PLACES)
def test_a_place_named_on_the_page_is_there(path, name):
    if path == NEW:
        return
    assert (ROOT / path).exists()
    text = (ROOT / path).read_text(encoding="utf-8") if name else ""
    defined = not name or name in set(definitions(ast.parse(text)))
    assert defined, f"docs/architecture.md names {path}::{name}, which is not there"


def test_the_page_names_places():
    assert len(PLACES) > 40


def test_the_picture_shows_modules_that_are_there():
    picture = (ROOT / "docs" / "images" / "architecture.svg").read_text(encoding="utf-8")
    shown = re.findall(r'<text class="file"[^>]*>([^<]+)</text>', picture)
    words = {word for text in shown for word in re.findall(r"[\w/]+", text)}
    stems = {
        f"{folder.removeprefix('engine/')}/{name}"
        for folder in FOLDERS
        for name in modules_of(folder)
    }
    known = stems | {stem.split("/")[-1] for stem in stems}
    assert words - known == {"formula", "and", "frame", "W"} - known


def test_the_worked_test_is_the_one_of_the_suite():
    example = re.search(r"```python\n(@pytest.*?)```", PAGE, re.DOTALL)
    assert example
    there = example[1].strip() in (ROOT / "tests/models/test_impacts.py").read_text("utf-8")
    assert there, "the worked test of docs/architecture.md is not that of test_impacts.py any more"


def test_the_reference_has_every_public_name_once():
    """The build of the documentation asks for the same."""
    pages = sorted((ROOT / "docs" / "reference").glob("*.md"))
    names = [
        name
        for page in pages
        for name in re.findall(r"^   (\w+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert sorted(names) == sorted(name for name in spillover.__all__ if name != "__version__")
