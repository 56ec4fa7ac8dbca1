"""The site: `make -C docs html` writes it to docs/_build/html. How it is made: CONTRIBUTING.md, "The site"."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE)]

from chainrule._version import __version__  # noqa: E402

project = "chainrule"
author = "The chainrule developers"
copyright = f"2026, {author}"  # noqa: A001
release = version = __version__

extensions = [
    "myst_nb",
    "sphinx_design",
    "sphinx_copybutton",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "numpydoc",
    "gallery",
    "notebooks",
    "layer_pages",
    "api_pages",
    "formulas",
    "katex_math",
    "repository",
]
exclude_patterns = ["_*", "**.ipynb_checkpoints"]
templates_path = ["_templates"]
nitpicky = False
smartquotes = False  # quotation marks and dashes stand as they are written
highlight_language = "none"  # indented blocks are commands and formulas

# Pages and notebooks
myst_enable_extensions = ["amsmath", "attrs_block", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4  # links to sections as GitHub writes them
myst_dmath_double_inline = True
nb_execution_mode = "auto"
nb_execution_raise_on_error = False  # a warning with the traceback, which --fail-on-warning makes an error
nb_execution_show_tb = True
nb_execution_in_temp = True  # what cells write is not left in the repository
nb_execution_timeout = 120
nb_merge_streams = True
nb_ipywidgets_js: dict[str, dict[str, str]] = {}  # no page has widgets, and these scripts would come from elsewhere

# Docstrings
autodoc_typehints = "none"
autodoc_class_signature = "mixed"
toc_object_entries_show_parents = "hide"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

# The theme
html_theme = "pydata_sphinx_theme"
html_title = "chainrule"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "katex"
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "logo": {"text": "chainrule"},
    "navbar_align": "left",
    "header_links_before_dropdown": 5,
    "navbar_end": ["theme-switcher"],
    "article_header_end": ["notebook"],
    "navbar_persistent": ["search-button"],
    "show_nav_level": 1,
    "navigation_depth": 2,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": True,
    "back_to_top_button": True,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"
