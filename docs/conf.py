"""How the documentation is built; `make docs` says with what.

Everything that a page needs comes from this folder and from installed packages: no network, when
the pages are built or when they are read.
"""

import hashlib
import os
import sys
from importlib.metadata import distribution
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "extensions"))
WHEEL = distribution("spillover")

project = "spillover"
author = "the authors of spillover"
release = WHEEL.version
version = release
html_title = f"spillover {release}"

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_nb",
    "sphinx_design",
    "mathml",
    "checks",
]
templates_path = ["templates"]
exclude_patterns = ["extensions", "templates"]
default_role = "code"  # docstrings write names in single backticks
highlight_language = "none"  # formulas; what is Python says so
nitpicky = True
# Looked up are public names: those of other packages would need their inventories, and what is
# within ours has no page.
nitpick_ignore_regex = [
    ("py:.*", r"(?!spillover\b).*"),
    ("py:.*", r"spillover\.(kernels|models|engine)\..*"),
]

# The reference
autosummary_generate = True
autosummary_imported_members = False
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = False

# Pages in Markdown
myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
myst_dmath_double_inline = True
html_math_renderer = "mathml"

# Cells are executed once for each content of page and wheel
RECORD = hashlib.sha256((WHEEL.read_text("RECORD") or "").encode()).hexdigest()
nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE.parent / "build" / "docs" / "executed" / RECORD[:16])
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_merge_streams = True
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # they would come from the network
os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"  # tqdm asks for widgets

# The look
html_theme = "pydata_sphinx_theme"
html_static_path = ["static"]
html_css_files = ["spillover.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "spillover"},
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 6,
    "show_nav_level": 1,
    "show_toc_level": 2,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
    "footer_start": [],
    "footer_end": [],
    "back_to_top_button": False,
}
ALONE = ("index", "quickstart", "mathematics", "numerics", "architecture")
html_sidebars = {name: [] for name in ALONE}  # pages without pages below them
