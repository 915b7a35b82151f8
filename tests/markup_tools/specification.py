"""The examples of the CommonMark 0.31 specification and of GFM, from the source package of markdown-it-py.

`make specification` fetches it into `build/specification`; without it, what needs the examples is skipped.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parents[2] / "build" / "specification"
COMMONMARK = "tests/test_cmark_spec/commonmark.json"
# Tables, strikethrough, tasks and bare links, and what others found difficult about CommonMark.
FIXTURES = ("tables", "strikethrough", "strikethrough_single_tilde", "tasklists", "linkify", "commonmark_extras", "normalize", "proto", "punycode", "xss", "issue-fixes", "fatal")  # fmt: skip


class Example(NamedTuple):
    """One example: where it stands, its Markdown, and the HTML that stands there for it."""

    name: str
    markdown: str
    html: str


def examples() -> list[Example]:
    """All examples; empty where the package wasn't fetched."""
    return [example for package in sorted(FOLDER.glob("markdown_it_py-*.tar.gz"))[-1:] for example in _read(package)]


def _read(package: Path) -> Iterator[Example]:
    with tarfile.open(package) as archive:
        root = archive.getnames()[0].partition("/")[0]

        def text(name: str) -> str:
            content = archive.extractfile(f"{root}/{name}")
            assert content is not None, name
            return content.read().decode()

        for one in json.loads(text(COMMONMARK)):
            yield Example(f"CommonMark {one['example']}", one["markdown"], one["html"])
        for name in FIXTURES:
            # A name, the Markdown and the HTML, each ended by a line that holds a full stop.
            lines = text(f"tests/test_port/fixtures/{name}.md").split("\n")
            stops = [at for at, line in enumerate(lines) if line == "."]
            for number, (start, middle, end) in enumerate(zip(stops[::3], stops[1::3], stops[2::3], strict=True), 1):
                markdown, html = ("\n".join(lines[a + 1 : b]) + "\n" for a, b in ((start, middle), (middle, end)))
                yield Example(f"{name} {number}", markdown, html)
