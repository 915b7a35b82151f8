"""Readers' comments, API v2: below the page, or inline, which is a marker in the page's body. Source: Atlassian's description of v2."""

from __future__ import annotations

import html
import re
import uuid
from typing import Any

from aiohttp import web

from worker.sandbox.confluence.cloud import V2, guarded, paged, sent, version_facts
from worker.sandbox.confluence.rules import Pages, Refusal, malformed, storage_of
from worker.sandbox.store import Comment, Page, Store

_TAG = re.compile(r"(<[^>]*>)")


class ConfluenceComments:
    """Handlers over the store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.rules = Pages(store)

    def routes(self) -> list[web.RouteDef]:
        """All routes."""
        return [
            web.post(f"{V2}/inline-comments", guarded(self.create)),
            web.get(f"{V2}/pages/{{id}}/inline-comments", guarded(self.list)),
            web.post(f"{V2}/footer-comments", guarded(self.remark)),
            web.get(f"{V2}/pages/{{id}}/footer-comments", guarded(self.remarks)),
        ]

    async def create(self, request: web.Request) -> web.Response:
        """Comment on the words of a selection: 201. The page's version stays."""
        body = await sent(request)
        page = self.rules.get(str(body.get("pageId")))
        place, words = body.get("inlineCommentProperties") or {}, body.get("body") or {}
        selection, index = str(place.get("textSelection") or ""), int(place.get("textSelectionMatchIndex") or 0)
        made = add_comment(self.store, page, selection, str(words.get("value") or ""), index=index)
        return web.json_response(_comment(page, made), status=201)

    async def list(self, request: web.Request) -> web.Response:
        """The page's inline comments; one whose marker is gone dangles."""
        page = self.rules.get(request.match_info["id"])
        return paged(request, [_comment(page, row) for row in page.comments])

    async def remark(self, request: web.Request) -> web.Response:
        """Comment below the page: 201."""
        body = await sent(request)
        page = self.rules.get(str(body.get("pageId")))
        made = self.rules.remark(page, storage_of(body) or "")
        return web.json_response(_remark(page, made), status=201)

    async def remarks(self, request: web.Request) -> web.Response:
        """The comments below the page."""
        page = self.rules.get(request.match_info["id"])
        return paged(request, [_remark(page, row) for row in page.remarks])


def add_comment(store: Store, page: Page, selection: str, text: str, *, index: int = 0) -> Comment:
    """Put a marker round the `index`-th place where the words stand, tags between them or not. Raises `Refusal`."""
    escaped = [re.escape(html.escape(character, quote=False)) for character in selection]
    places = list(re.finditer(r"(?:<[^>]*>)*".join(escaped), page.body)) if selection.strip() else []
    if not 0 <= index < len(places):
        raise Refusal("parameter", "The text selection does not match the page")
    start, end = places[index].span()
    made = Comment(store.next_id(), str(uuid.uuid4()), selection, text, created=store.clock())
    opening, closing = f'<ac:inline-comment-marker ac:ref="{made.ref}">', "</ac:inline-comment-marker>"
    whole = page.body[:start] + opening + page.body[start:end] + closing + page.body[end:]
    if malformed(whole):
        runs = _TAG.split(page.body[start:end])
        marked = "".join(run if run.startswith("<") or not run else opening + run + closing for run in runs)
        whole = page.body[:start] + marked + page.body[end:]
    page.body = whole
    page.comments.append(made)
    return made


def _comment(page: Page, row: Comment) -> dict[str, Any]:
    return _remark(page, row) | {
        "resolutionStatus": "open" if row.ref in page.body else "dangling",
        "properties": {"inlineMarkerRef": row.ref, "inlineOriginalSelection": row.selection},
    }


def _remark(page: Page, row: Comment) -> dict[str, Any]:
    return {
        "id": row.id,
        "status": "current",
        "title": f"Re: {page.title}",
        "pageId": page.id,
        "version": version_facts(1, "", row.created),
        "body": {"storage": {"representation": "storage", "value": row.text}},
        "_links": {"webui": f"/spaces/{page.space}/pages/{page.id}?focusedCommentId={row.id}"},
    }
