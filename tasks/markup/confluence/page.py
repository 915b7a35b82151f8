"""Markdown to Confluence storage format: an XML fragment that Confluence takes as it is, with every word of the source.

No macro ever comes from a document's words: what isn't a known construct is text. Output is deterministic.
"""

from __future__ import annotations

import re

from tasks.markup import clean, collector
from tasks.markup.confluence import storage
from tasks.markup.confluence.blocks import Blocks
from tasks.markup.confluence.files import Files
from tasks.markup.options import Attachment, PageOptions, RenderedPage
from tasks.markup.parser import front_matter
from tasks.markup.parser.parse import parse_document
from tasks.markup.parser.token import Token
from tasks.markup.slugs import heading_text, title_heading

_SEEN = re.compile(r"<(?:hr|table|ac:)")
_TAG = re.compile(r"<[^>]*>")

__all__ = ["Attachment", "PageOptions", "RenderedPage", "render", "render_page"]


def render(markdown: str) -> str:
    """The document in storage format."""
    return render_page(markdown).body


@collector.put_off()
def render_page(markdown: str, options: PageOptions = PageOptions()) -> RenderedPage:  # noqa: B008 - frozen
    """The document in storage format, with what a page needs beside it."""
    document = parse_document(markdown)
    files = Files(options.files)
    page = Blocks(document, options, files)
    skipped = title_heading(document.tokens, options.drop_title_heading or "")
    if skipped is not None and document.tokens[skipped].tag != "h1":
        skipped = None
    if skipped is not None:
        # A link to the heading leads to where it would stand: the top.
        names = {page.slugs.get(skipped, ""), str(document.tokens[skipped].meta.get("id", "")).lower()} & page.wanted
        page.out.raw("".join(f"<p>{storage.anchor(name)}</p>" for name in sorted(names)))
    _on_top(page, options)
    top = len(page.out.parts)
    page.write(without=skipped)
    page.out.end(0)
    fields = document.fields
    labels = front_matter.as_labels([*options.labels, *front_matter.labels_in(fields)])
    title = _title(document.tokens, fields.get("title"))
    shown = clean.bmp_only if options.bmp_only else str
    return RenderedPage(
        body=shown(page.out.result()),
        title=None if title is None else shown(title),
        attachments=tuple(files.attachments.values()),
        labels=tuple(shown(label) for label in labels),
        properties={k: v for k, v in fields.items() if k.lower() not in (*front_matter.LABEL_FIELDS, "title")},
        appearance=_appearance(options),
        blank=skipped is None and not any(map(_says_something, page.out.parts[top:])),
        warnings=(*document.warnings, *page.told()),
    )


def _on_top(page: Blocks, options: PageOptions) -> None:
    """The panel with the link back, then the table of contents."""
    if options.back_link:
        start, end = storage.rich_macro("panel")
        page.out.raw(f"{start}<p>")
        index = len(page.out.stack)
        page.open_link(options.back_link)
        page.out.raw(clean.escape(options.back_link_text))
        page.out.end(index)
        page.out.raw(f"</p>{end}")
    if options.toc:
        page.out.raw(storage.macro("toc"))


def _says_something(markup: str) -> bool:
    """Whether a piece of a page is words or anything else that is seen: a rule, a table, a macro, a picture."""
    return bool(_SEEN.search(markup) or clean.plain_title(_TAG.sub("", markup)))


def _title(tokens: list[Token], given: object) -> str | None:
    if isinstance(given, str) and given.strip():
        return given.strip()
    return next((heading_text(token) for token in tokens if token.type == "heading" and token.tag == "h1"), None)


def _appearance(options: PageOptions) -> dict[str, str]:
    if options.page_width is None:
        return {}
    return dict.fromkeys(("content-appearance-published", "content-appearance-draft"), options.page_width)
