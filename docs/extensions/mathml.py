"""Formulas as MathML: browsers draw it themselves, without scripts and without a network.

Sphinx's own renderers load MathJax from the network or need a LaTeX installation. A formula that
is not understood is a warning at its line, and so an error of `make docs`.
"""

from html import escape

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

CONVERTER = LatexToMathML(allow_unreliable_rendering=True, fancy_error=False)
LOGGER = logging.getLogger(__name__)


def convert(latex: str, node: nodes.Node, *, display: bool) -> str:
    """MathML of a formula, or its source as text where it is not understood."""
    try:
        return CONVERTER.convert_with_local_state(latex, displaystyle=display)
    except LatexError as error:
        LOGGER.warning("a formula that MathML does not take: %s", error, location=node)
        return f"<code>{escape(latex)}</code>"


def align(latex: str) -> str:
    """A formula of several lines, as the environment that sets them below each other."""
    several = r"\\" in latex and r"\begin{" not in latex
    return rf"\begin{{aligned}}{latex}\end{{aligned}}" if several else latex


def visit_math(self: HTML5Translator, node: nodes.math) -> None:
    """A formula within a line."""
    self.body.append(convert(node.astext(), node, display=False))
    raise nodes.SkipNode


def visit_displaymath(self: HTML5Translator, node: nodes.math_block) -> None:
    """A formula on lines of its own, with its number where it has a label."""
    self.body.append(self.starttag(node, "div", CLASS="math-block"))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append(convert(align(node.astext()), node, display=True) + "</div>\n")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Offer `html_math_renderer = "mathml"`."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_displaymath, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
