"""The panel on a page that leads to the issue's other objects: made, found again in a body, and kept up to date."""

from __future__ import annotations

import asyncio

from tasks.destinations.confluence.api import Dialect, Draft
from tasks.destinations.confluence.mark import anchor_macro, judge, message_of, parse_mark
from tasks.destinations.contract import Work
from tasks.errors import Permanent
from tasks.markup.clean import escape
from tasks.markup.confluence.stored import LINKS_ANCHOR, lines_of, pieces, split_links
from tasks.model import Link, Receipt


async def link_page(api: Dialect, work: Work) -> Receipt:
    """Bring the panel of links up to date and leave all else as it is; a page that was edited stays untouched."""
    previous = work.previous
    page = await api.page(previous.id) if previous else None
    held = await api.mark(page.id) if page is not None and page.status == "current" else None
    if previous is None:
        raise Permanent("The job has no page to link from.", code="unknown_page")
    if page is None or held is None:
        return previous.model_copy(update={"change": "skipped", "warnings": ("The page is not there any more.",)})
    mark = parse_mark(held[0])
    panel = links_panel(work.links)
    if await asyncio.to_thread(shows_links, page.body, panel):
        return previous.model_copy(update={"change": "unchanged", "version": page.version, "warnings": ()})
    standing = await asyncio.to_thread(judge, page, mark, work.subject, "", "")
    if standing.edited:
        return previous.model_copy(
            update={"change": "skipped", "warnings": ("The page was edited by hand; its links were left as they are.",)}
        )
    body = await asyncio.to_thread(with_links, page.body, panel, work.subject)
    api.http.keep_inside((page.title, body))
    draft = Draft(title=page.title, body=body, message=message_of(standing.shows), minor=True)
    written = await api.update(page, draft)
    keys = tuple(link.key for link in work.links)
    updated = mark.model_copy(update={"version": written.version, "links": keys})
    await api.set_mark(page.id, updated.model_dump(mode="json"), held[1])
    return previous.model_copy(update={"change": "updated", "version": written.version, "warnings": ()})


def links_panel(links: tuple[Link, ...]) -> str:
    """The panel with the links to the issue's other objects; empty without any."""
    if not links:
        return ""
    items = "".join(f'<li><a href="{escape(link.url)}">{escape(link.title)}</a></li>' for link in links)
    return (
        '<ac:structured-macro ac:name="panel"><ac:parameter ac:name="title">Related</ac:parameter>'
        f"<ac:rich-text-body><p>{anchor_macro(LINKS_ANCHOR)}</p><ul>{items}</ul></ac:rich-text-body></ac:structured-macro>"
    )


def with_links(body: str, panel: str, subject: str) -> str:
    """The body with that panel in place of the one it has, before our anchor or at the end. Nothing else changes."""
    rest, _ = split_links(body)
    if not panel:
        return rest
    parts = pieces(rest)
    opened = [i for i, part in enumerate(parts) if part.kind == "open" and part.name == "ac:structured-macro"]
    ours = [i for i in opened if any(f"afterword-{subject}" in part.text for part in parts[i : i + 4])]
    at = sum(len(part.raw) for part in parts[: ours[-1]]) if ours else len(rest)
    return rest[:at] + panel + rest[at:]


def shows_links(body: str, panel: str) -> bool:
    """Whether the body's panel has the links of that one."""
    return _hrefs(panel) == _hrefs(split_links(body)[1])


def _hrefs(panel: str) -> list[tuple[str, ...]]:
    hrefs = [part.attributes.get("href", "") for part in pieces(panel) if part.name == "a" and part.kind == "open"]
    return [tuple(hrefs), tuple(lines_of(panel.replace(LINKS_ANCHOR, "")))]
