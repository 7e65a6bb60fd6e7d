"""The site: Sphinx with Furo and MyST. ``make docs`` builds it, with warnings as errors."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # what is described is what is here, installed or not

project = "aiosmtplib"
author = "aiosmtplib contributors"
project_copyright = "2026 aiosmtplib contributors"
version = release = re.findall(
    r'(?m)^version = "(.+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8")
)[0]

extensions = ["myst_parser", "sphinx.ext.autodoc"]
root_doc = "index"

# A link may name a heading: page.md#the-heading
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
# The default as it is written, "None" and not what it evaluates to
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
maximum_signature_line_length = 72
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"aiosmtplib {version}"
# The search shows excerpts of the sources, which the pages do not link to.
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/favicon.svg"
html_theme_options = {"navigation_with_keys": True}


def shorten(app, what, name, obj, options, signature, returns):
    """Say defaults by their value, and "not given" by ``...``, as stubs do."""
    if signature is not None:
        for written, shown in (
            (r"~?[\w.]*Literal\[[\w.~]*Default\.token\] \| ", ""),
            (r" \| ~?[\w.]*Literal\[[\w.~]*Default\.token\]", ""),
            (r"\bDefault\.token\b", "..."),
            (r"\bDEFAULT_TIMEOUT\b", "60"),
            (r"\bNOT_GIVEN\b", "False"),
        ):
            signature = re.sub(written, shown, signature)
    return signature, returns


def setup(app):
    app.connect("autodoc-process-signature", shorten)
