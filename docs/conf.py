"""Settings of Sphinx. The built book works from a folder, without a server and without a network."""

import sys
from importlib.resources import files
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "tinynet"
copyright = "the tinynet authors"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "directives"]
exclude_patterns = ["_site", "_work", "jupyter_execute", "outputs"]

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
nb_execution_mode = "force"
nb_execution_show_tb = True  # a cell that fails is a warning, and -W makes it an error
nb_execution_timeout = 120
nb_output_stderr = "warn"
nb_merge_streams = True

autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
add_module_names = False

html_theme = "furo"
html_title = "tinynet"
html_static_path = ["book.css", str(files("sphinx-mathjax-offline").joinpath("static/mathjax/tex-svg.js"))]
html_css_files = ["book.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # summaries are fetched, which fails for a page that is opened from a folder
html_show_sphinx = False
mathjax_path = "tex-svg.js"
html_theme_options = {"navigation_with_keys": False, "top_of_page_buttons": []}
pygments_style, pygments_dark_style = "friendly", "github-dark"
