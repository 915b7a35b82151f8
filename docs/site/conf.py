"""Sphinx' settings for the documentation site; docs/site/build.py lays out the pages and runs it."""

import shlex
import sys

project = "Afterword"
html_title = "Afterword"
html_theme = "furo"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_static_path = ["static"]
html_css_files = ["site.css"]

extensions = ["myst_parser", "sphinx_click", "sphinxcontrib.mermaid"]
nitpicky = True  # together with -W: a link that leads nowhere fails the build
myst_heading_anchors = 6  # as GitHub makes them: the links work in both places
myst_fence_as_directive = ["mermaid"]
suppress_warnings = ["misc.highlighting_failure"]  # shortened JSON ("…") is shown as it is

# Diagrams become pictures while the site is built, so that a reader's browser fetches nothing.
mermaid_cmd = shlex.join([sys.executable, "-m", "mermaidx", "--quiet"])
mermaid_output_format = "svg"


def setup(app):
    """Leave out the nameless argument that catches a secret typed on the command line."""
    app.connect("sphinx-click-process-arguments", lambda _app, _context, lines: drop_nameless(lines))


def drop_nameless(lines):
    """Take the argument without a name out of a command's description."""
    while ".. option:: " in lines:
        at = lines.index(".. option:: ")
        end = next((i for i in range(at + 1, len(lines)) if lines[i].startswith(".. option::")), len(lines))
        del lines[at:end]
