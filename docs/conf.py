"""How the site is built: `sphinx-build -W --keep-going -c docs . build/site` at the root.

The source folder is the root of the repository, so that the pages' relative links, which lead to
files on GitHub, lead to pages here.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from sphinx.application import Sphinx

import ilo_fast
from ilo_fast._util import optional

project = "ilo_fast"
author = "The ilo_fast developers"
project_copyright = "The ilo_fast developers, Apache-2.0"
version = release = ilo_fast.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.duration",
]
root_doc = "README"
include_patterns = [
    "*.md",
    "docs/**",
    "python/ilo_fast/demo/*/README.md",
    "tests/interop/README.md",
]
exclude_patterns = [".*", "build", "dist", "docs/_*", "docs/conf.py", "**/.ipynb_checkpoints"]
templates_path = ["_templates"]

# Anchors of headings are those of GitHub.
myst_heading_anchors = 4
# `languages` in a docstring is that of its own class; several have one, and none is linked then.
suppress_warnings = ["ref.python"]

# Notebooks are run at every build, offline, with nothing left behind; a failure ends the build.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_output_stderr = "remove"
nb_merge_streams = True
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.pop("MPLBACKEND", None)  # figures are shown where a cell makes them

autosummary_generate = True
autosummary_ignore_module_all = False
# On disks that do not tell capitals apart a class and a function need two names.
autosummary_filename_map = {
    "ilo_fast.Companions": "ilo_fast.Companions-class",
    "ilo_fast.Structure": "ilo_fast.Structure-class",
}
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
# Harnesses that are not installed for this; their absence is not to be noticed either.
autodoc_mock_imports = ["mteb", "lm_eval"]
optional.require = lambda *_, **__: None
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
python_maximum_signature_line_length = 88
default_role = "py:obj"

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_title = f"ilo_fast {release}"
html_copy_source = False
html_show_sourcelink = False

# Links to the outside (arXiv, GitHub, docs.ray.io): CI has no network. Where there is one,
# `sphinx-build -b linkcheck -c docs . build/links` visits them, and lists all in output.txt there.
linkcheck_timeout = 20
linkcheck_workers = 4


def add_navigation(_: Sphinx, name: str, source: list[str]) -> None:
    """The README is the first page: it has the contents at its end, unseen on GitHub."""
    if name == root_doc:
        source[0] += "\n" + (Path(__file__).parent / "_navigation.txt").read_text("utf-8")


def make_index(app: Sphinx, failure: Exception | None) -> None:
    """The first page once more, under the name that web servers look for."""
    if failure is None and app.builder.name == "html":
        shutil.copyfile(app.outdir / f"{root_doc}.html", app.outdir / "index.html")


def setup(app: Sphinx) -> None:
    app.connect("source-read", add_navigation)
    app.connect("build-finished", make_index)
