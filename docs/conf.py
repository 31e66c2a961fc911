"""Sphinx configuration: pages in Markdown, API from the docstrings."""

from importlib.metadata import version as _version

project = "Skymap Scanner"
author = "The Skymap Scanner developers"
project_copyright = "2026, The Skymap Scanner developers"
release = _version("skymap-scanner")
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.extlinks",
    "sphinx.ext.mathjax",
    "numpydoc",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"Skymap Scanner {release}"
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
autodoc_typehints = "none"
numpydoc_show_class_members = False
autosummary_generate = False
extlinks = {"doi": ("https://doi.org/%s", "doi:%s")}
# numpydoc makes citations of papers in "References" sections, which nothing needs to cite.
suppress_warnings = ["ref.citation"]
