"""The documentation site has every page in its navigation, and every link within the documentation leads to a page and a heading."""

from __future__ import annotations

import itertools
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
NAVIGATION = tomllib.loads((ROOT / "docs" / "site" / "navigation.toml").read_text())
LISTED = [page for part in NAVIGATION.values() for page in part["pages"]]
MADE = {"reference/api", "reference/cli"}  # from the code, when the site is built
BESIDE_DOCS = {"CONTRIBUTING", "CHANGELOG", "SECURITY"}
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
MARKDOWN = MarkdownIt().enable("table")


def tokens(text: str) -> Iterator[Token]:
    for token in MARKDOWN.parse(text):
        yield token
        yield from token.children or ()


def links(text: str) -> Iterator[str]:
    for token in tokens(text):
        target = token.attrGet("href") or token.attrGet("src")
        if target and not re.match(r"[a-z]+:", target):
            yield str(target)


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    found: set[str] = set()
    stream = MARKDOWN.parse(text)
    for opening, heading in itertools.pairwise(stream):
        if opening.type == "heading_open":
            words = "".join(part.content for part in heading.children or () if part.type in {"text", "code_inline"})
            slug = re.sub(r"[^\w\- ]", "", words.strip().lower()).replace(" ", "-")
            name, number = slug, 0
            while name in found:
                number += 1
                name = f"{slug}-{number}"
            found.add(name)
    return found


def broken(page: Path, text: str) -> list[str]:
    """The links of a page with that text that lead nowhere."""
    wrong = []
    for link in links(text):
        path, _, anchor = link.partition("#")
        target = Path(os.path.normpath(page.parent / path)) if path else page
        target = target / "README.md" if target.is_dir() and (target / "README.md").exists() else target
        own = text if target == page else target.read_text() if target.suffix == ".md" and target.exists() else ""
        if not (path == "" or target.exists()) or (anchor and anchor not in anchors(own)):
            wrong.append(link)
    return wrong


def test_the_site_has_four_parts():
    assert [part["title"] for part in NAVIGATION.values()] == ["Start", "Use", "Operate", "Develop"]


def test_every_page_is_in_the_navigation_once():
    """A decision is listed by the page of the decisions, README is the first page."""
    pages = {path.relative_to(ROOT).with_suffix("").as_posix() for path in (ROOT / "docs").glob("*.md")}
    assert sorted(LISTED) == sorted(pages | MADE | BESIDE_DOCS | {"docs/decisions/README"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_to_a_page_and_a_heading(page):
    assert broken(page, page.read_text()) == []


@pytest.mark.parametrize(
    "text",
    [
        "[x](nowhere.md)",
        "[x](console.md#no-such-heading)",
        "[x](#no-such-heading)",
        "![x](images/gone.png)",
        "| [x](nowhere.md) |\n|---|",
    ],
)
def test_a_link_that_leads_nowhere_would_be_found(text):
    assert len(broken(ROOT / "docs" / "page.md", text)) == 1


def test_a_link_in_code_is_no_link_and_equal_headings_are_counted():
    assert (
        broken(ROOT / "docs" / "page.md", "`[x](gone.md)`\n\n# A `b` c!\n\n# A b c\n\n[x](#a-b-c) [y](#a-b-c-1)") == []
    )


def test_the_settings_let_no_warning_and_no_other_host_in():
    """Any warning fails the build; diagrams are drawn while it is built."""
    assert '"-W"' in (ROOT / "docs" / "site" / "build.py").read_text()
    settings = (ROOT / "docs" / "site" / "conf.py").read_text()
    assert "nitpicky = True" in settings
    assert 'mermaid_output_format = "svg"' in settings
    assert "://" not in settings
