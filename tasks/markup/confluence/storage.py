"""Pieces of Confluence's storage format."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

from tasks.markup import clean
from tasks.markup.clean import escape
from tasks.markup.words import LANGUAGES

_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")


def macro(name: str, parameters: Mapping[str, str] | None = None, body: str = "") -> str:
    """A macro with its parameters and a body that is markup already."""
    inner = "".join(parameter(key, value) for key, value in (parameters or {}).items())
    return f'<ac:structured-macro ac:name="{escape(name)}">{inner}{body}</ac:structured-macro>'


def parameter(name: str, value: str) -> str:
    """A macro's parameter."""
    return f'<ac:parameter ac:name="{name}">{escape(value)}</ac:parameter>'


def rich_macro(name: str, title: str = "") -> tuple[str, str]:
    """The start and end of a macro with blocks inside."""
    titled = parameter("title", title) if title else ""
    start = f'<ac:structured-macro ac:name="{name}">{titled}<ac:rich-text-body>'
    return start, "</ac:rich-text-body></ac:structured-macro>"


def cdata(text: str) -> str:
    """Text in CDATA; an end marker inside is split over two sections."""
    return "<![CDATA[" + clean.xml_text(text).replace("]]>", "]]]]><![CDATA[>") + "]]>"


def plain_macro(name: str, text: str, parameters: Mapping[str, str] | None = None) -> str:
    """A macro whose body is text as it is."""
    return macro(name, parameters, f"<ac:plain-text-body>{cdata(text)}</ac:plain-text-body>")


def code_macro(text: str, language: str = "", title: str = "") -> str:
    """A code block."""
    parameters = {}
    if language in LANGUAGES:
        parameters["language"] = LANGUAGES[language]
    if title:
        parameters["title"] = title
    return plain_macro("code", text, parameters)


def task(number: int, *, done: bool) -> tuple[str, str]:
    """The start and end of an item of a task list."""
    status = "complete" if done else "incomplete"
    start = f"<ac:task><ac:task-id>{number}</ac:task-id><ac:task-status>{status}</ac:task-status><ac:task-body>"
    return start, "</ac:task-body></ac:task>"


def anchor(name: str) -> str:
    """A place that links can lead to."""
    return macro("anchor", {"": name})


def anchor_link(name: str) -> tuple[str, str]:
    """The start and end of a link to a place on the page."""
    return f'<ac:link ac:anchor="{escape(name)}"><ac:link-body>', "</ac:link-body></ac:link>"


def file_link(name: str) -> tuple[str, str]:
    """The start and end of a link to an attachment of the page."""
    start = f'<ac:link><ri:attachment ri:filename="{escape(name)}"/><ac:link-body>'
    return start, "</ac:link-body></ac:link>"


def image(resource: str, alt: str, title: str = "", width: str = "") -> str:
    """An image; `resource` is an `ri:` element."""
    given = {"ac:alt": alt, "ac:title": title, "ac:width": width}
    attributes = "".join(f' {name}="{escape(value)}"' for name, value in given.items() if value)
    return f"<ac:image{attributes}>{resource}</ac:image>"


def words_of(markup: str) -> str:
    """The words of a piece of storage format, on one line."""
    text = _TAG.sub(" ", _CDATA.sub(lambda found: escape(found.group(1)), markup))
    return re.sub(r"\s+", " ", html.unescape(text)).strip()
