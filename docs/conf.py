"""Sphinx: python -m sphinx -W --keep-going -b html docs build/docs."""

import os
import sys
from pathlib import Path

os.environ["BENCH3D_PLUGINS"] = "-*"  # the pages show what ships, not what else is installed here
sys.path.insert(0, str(Path(__file__).parent / "_ext"))

import bench3d

project = "bench3d"
author = "the bench3d authors"
copyright = "the bench3d authors, Apache-2.0"
version = release = bench3d.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "bench3d_docs"]
exclude_patterns = ["_ext", "examples"]

html_theme = "furo"
html_title = f"bench3d {version}"
html_static_path = ["_static"]
html_css_files = ["bench3d.css"]
html_show_sourcelink = False
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "friendly"
pygments_dark_style = "github-dark"

myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 3
smartquotes = False

default_role = "code"
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_default_options = {"members": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
python_maximum_signature_line_length = 88
