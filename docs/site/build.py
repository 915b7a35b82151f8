"""Builds the documentation site: `python docs/site/build.py [FOLDER]`, build/site by default.

The pages are those that the repository shows, laid out under build/site-source with the navigation and the two references, which
are made from the code. Any warning fails the build: a link or an anchor that leads nowhere, a page that nothing leads to.
"""

from __future__ import annotations

import re
import shutil
import sys
import tomllib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from sphinx.cmd.build import main as sphinx

from worker.api.openapi import document_of
from worker.api.routes import ROUTES
from worker.console.reference import Field, Operation, operations

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SOURCE = ROOT / "build" / "site-source"
FOLDER = re.compile(r"\]\(((?:[\w-]+/)*[\w-]+)\)")
BESIDE_DOCS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
CLI = """The command line
================

.. click:: worker.cli:root
   :prog: afterword
   :nested: full
"""


def main(folder: Path) -> int:
    """Build the site in FOLDER; Sphinx' exit code."""
    lay_out()
    return sphinx(["-W", "--keep-going", "-q", "-E", "-c", str(HERE), "-b", "html", str(SOURCE), str(folder)])


def lay_out() -> None:
    """All pages where they are in the repository; README with the navigation as index."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(ROOT / "docs", SOURCE / "docs", ignore=shutil.ignore_patterns("site", "examples"))
    for name in BESIDE_DOCS:
        shutil.copy(ROOT / name, SOURCE)
    parts = tomllib.loads((HERE / "navigation.toml").read_text("utf-8")).values()
    toctrees = "".join(toctree(part["pages"], caption=part["title"], hidden="") for part in parts)
    (SOURCE / "README.md").rename(SOURCE / "index.md")
    add(SOURCE / "index.md", toctrees)
    add(SOURCE / "docs" / "decisions" / "README.md", toctree(["[0-9]*"], glob="", maxdepth="1"))
    for page in SOURCE.rglob("*.md"):
        page.write_text(FOLDER.sub(partial(to_readme, page.parent), page.read_text("utf-8")), "utf-8")
    (SOURCE / "reference").mkdir()
    (SOURCE / "reference" / "api.md").write_text("\n".join(api_reference()) + "\n", "utf-8")
    (SOURCE / "reference" / "cli.rst").write_text(CLI, "utf-8")


def to_readme(here: Path, link: re.Match[str]) -> str:
    """A link to a folder leads to its README, as it does where the repository is shown."""
    return f"]({link[1]}/README.md)" if (here / link[1]).is_dir() else link[0]


def add(page: Path, text: str) -> None:
    page.write_text(f"{page.read_text('utf-8')}\n{text}", "utf-8")


def toctree(pages: Sequence[str], **options: str) -> str:
    lines = [f":{name}: {value}".rstrip() for name, value in options.items()]
    entries = [page if "*" in page else f"/{page}" for page in pages]
    return "\n".join(["```{toctree}", *lines, "", *entries, "```", ""])


def api_reference() -> Iterator[str]:
    """The API's operations by group, as the page at /docs shows them."""
    specification = document_of(ROUTES)
    yield f"# API reference\n\n{specification['info']['description']}"
    for tag in specification["tags"]:
        yield f"\n## {tag['name'].capitalize()}\n\n{tag['description']}"
        for name, operation in operations(specification):
            if name == tag["name"]:
                yield from described(operation)


def described(operation: Operation) -> Iterator[str]:
    scopes = " or ".join(f"`{scope}`" for scope in operation.scopes)
    yield f"\n### {operation.method} {operation.path}\n\n{operation.text}"
    yield f"\nNeeds a key with the scope {scopes}." if scopes else "\nNeeds no key."
    for title, fields in (("Parameters", operation.parameters), *((f"Body: {n}", f) for n, f in operation.bodies)):
        if fields:
            yield f"\n**{title}**\n\n| name | type | meaning |\n|---|---|---|"
            yield from map(row, fields)
    for title, value in operation.examples:
        yield f"\n**Example: {title}**\n\n```json\n{value}\n```"
    yield "\n**Answers**\n"
    for status, said, fields in operation.answers:
        names = ", ".join(f"`{field.name}`" for field in fields)
        yield f"* {status} {said}" + (f": {names}" if names else "")


def row(field: Field) -> str:
    required = " (required)" if field.required else ""
    cells = (f"`{field.name}`{required}", f"`{field.type}`", field.text)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "site"))
