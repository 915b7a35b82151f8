"""What a page can be asked to look like, and what rendering one yields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from tasks.model import Frozen


class Look(Frozen):
    """What an operator decides of all pages.

    `link_base`: what relative links are relative to. `back_link`: an address that a panel on top leads to. `heading_shift`: levels that
    every heading moves down (up where negative). `diagrams` as code, as a macro, or as an
    image: the file handed over as `mermaid-<first 12 digits of the source's SHA-256>.svg` (or `.png`). `math` as code, or as macros.
    """

    bmp_only: bool = False
    toc: bool = False
    page_width: Literal["default", "full-width"] | None = None
    link_base: str | None = None
    back_link: str | None = None
    back_link_text: str = "Source of this page"
    heading_shift: int = Field(default=0, ge=-5, le=5)
    labels: tuple[str, ...] = ()
    diagrams: Literal["code", "macro", "image"] = "code"
    math: Literal["code", "macro"] = "code"


class PageOptions(Look):
    """What one page is asked to look like.

    `drop_title_heading`: leave a first h1 out that repeats this title. `files`: what was handed over with the document,
    by the name that it is linked by. `diagram_macros` are the macros by the language of a diagram, `math_macros` those for formulas (inline, block).
    """

    drop_title_heading: str | None = None
    diagram_macros: Mapping[str, str] = Field(
        default_factory=lambda: {"mermaid": "mermaid-macro", "plantuml": "plantuml"}
    )
    math_macros: tuple[str, str] = ("mathinline", "mathblock")
    files: Mapping[str, bytes] = Field(default_factory=dict)


class Attachment(Frozen):
    """A file that the page shows or links: uploaded under `name`, which is what the body refers to."""

    name: str
    media_type: str
    content: bytes


class RenderedPage(Frozen):
    """A rendered document.

    `title` is the front matter's, else the first h1's. `labels` come from the options and the front matter, in the form
    that Confluence takes. `properties` holds the rest of the front matter, JSON-like. `appearance` holds the content
    properties that set the page's width. `blank`: the document says nothing. `warnings` say what could not be carried over as written.
    """

    body: str
    title: str | None = None
    attachments: tuple[Attachment, ...] = ()
    labels: tuple[str, ...] = ()
    properties: Mapping[str, Any] = Field(default_factory=dict)
    appearance: Mapping[str, str] = Field(default_factory=dict)
    blank: bool = False
    warnings: tuple[str, ...] = ()
