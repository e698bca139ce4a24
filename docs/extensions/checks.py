"""What must hold of the documentation: it is of the wheel, it is complete, and it needs no network.

Each fault is a warning, and so an error of `make docs`. And what is public is called by its public
name, in the reference and in links.
"""

import re
from pathlib import Path
from types import FunctionType, ModuleType

from sphinx.application import Sphinx
from sphinx.util import logging

import spillover

LOGGER = logging.getLogger(__name__)
REMOTE = re.compile(r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["'](?:https?:)?//[^"']+""")
SHEET = re.compile(
    r"""<link\b[^>]*\brel=["'](?:stylesheet|preload)["'][^>]*\bhref=["'](?:https?:)?//"""
)
IMPORTED = re.compile(r"""(?:@import\s+(?:url\()?|url\()["']?(?:https?:)?//[^)"']+""")
ATTRIBUTES, PARAMETERS = (
    re.compile(rf"^\s*{title}\n\s*-+$", re.MULTILINE) for title in ("Attributes", "Parameters")
)
ENTRY = re.compile(r"^   (\w+)$", re.MULTILINE)


def check_source(app: Sphinx) -> None:
    """The package that is described lies below build/, where `make docs` installed the wheel."""
    package = Path(spillover.__file__).resolve()
    if Path(app.confdir).resolve().parent / "build" not in package.parents:
        LOGGER.warning("spillover is imported from %s, not from the wheel: use make docs", package)


def check_names(app: Sphinx) -> None:
    """Every public name stands once in the tables of reference/."""
    pages = sorted(Path(app.srcdir, "reference").glob("*.md"))
    named = [name for page in pages for name in ENTRY.findall(page.read_text(encoding="utf-8"))]
    public = {name for name in spillover.__all__ if not name.startswith("_")}
    for name in sorted(public - set(named)):
        LOGGER.warning("the public name %s is in no table of docs/reference", name)
    for name in sorted({name for name in named if named.count(name) > 1} | set(named) - public):
        LOGGER.warning("docs/reference lists %s twice, or it is not public", name)


def check_lines(app: Sphinx, name: str, source: list[str]) -> None:
    """No line begins with %: Markdown of MyST takes it for a comment and drops it."""
    for number, line in enumerate(source[0].splitlines(), 1):
        if app.env.doc2path(name).suffix == ".md" and line.lstrip().startswith("%"):
            LOGGER.warning("a line that begins with % is dropped", location=(name, number))


def name_publicly(app: Sphinx) -> None:
    """What is public is called by its public name: spillover.Weights, spillover.cache.keep."""
    for name in spillover.__all__:
        value = getattr(spillover, name)
        if isinstance(value, ModuleType):
            own = [each for each in vars(value).values() if isinstance(each, FunctionType)]
            for function in own:
                if function.__module__ == value.__name__:
                    function.__module__ = f"spillover.{name}"
        elif hasattr(value, "__qualname__"):
            value.__module__ = "spillover"


def hide_signature(
    app: Sphinx, what: str, name: str, value: object, options: object, *signature: str | None
) -> tuple[str, None] | None:
    """A record that functions return is not made by users: it has attributes, no parameters."""
    text = value.__doc__ or ""
    is_record = what == "class" and ATTRIBUTES.search(text) and not PARAMETERS.search(text)
    return ("", None) if is_record else None


def indent_formulas(
    app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]
) -> None:
    """A formula below a line that ends with :: stands apart again: numpydoc moves it to the margin
    where nothing else follows the first line of a docstring.
    """
    for at in (at for at, line in enumerate(lines) if line.rstrip().endswith("::")):
        below = next((n for n in range(at + 1, len(lines)) if lines[n].strip()), len(lines))
        end = next((n for n in range(below, len(lines)) if not lines[n].strip()), len(lines))
        margin = len(lines[at]) - len(lines[at].lstrip())
        if below < end and not lines[below].startswith(" " * (margin + 1)):
            lines[below:end] = ["    " + line for line in lines[below:end]]


def check_addresses(app: Sphinx, error: Exception | None) -> None:
    """No page loads a script, a style, a font or an image from the network."""
    if error is not None or app.builder.format != "html":
        return
    for path in sorted(Path(app.outdir).rglob("*")):
        patterns = {".html": (REMOTE, SHEET, IMPORTED), ".css": (IMPORTED,)}.get(path.suffix, ())
        text = path.read_text(encoding="utf-8") if patterns else ""
        for match in (match for pattern in patterns for match in pattern.finditer(text)):
            LOGGER.warning("%s loads from the network: %s", path, match[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Check before pages are read, and after they are written."""
    app.connect("builder-inited", check_source, priority=100)
    app.connect("builder-inited", check_names, priority=100)
    app.connect("builder-inited", name_publicly, priority=100)
    app.connect("autodoc-process-signature", hide_signature, priority=100)
    app.connect("autodoc-process-docstring", indent_formulas, priority=600)  # after numpydoc
    app.connect("source-read", check_lines)
    app.connect("build-finished", check_addresses)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
