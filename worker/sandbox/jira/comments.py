"""Comments on issues of the simulated Jira: documents in the Cloud, texts in a Data Center."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from worker.sandbox.jira.answers import No, is_cloud, issue_of, sent, site_of
from worker.sandbox.jira.document import fault_of_document
from worker.sandbox.jira.project import TEXT_LENGTH
from worker.sandbox.store import Store, iso

AUTHOR = {"displayName": "Sandbox Bot", "active": True, "timeZone": "Etc/UTC"}


class JiraComments:
    """Handlers over the store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def listed(self, request: web.Request) -> web.Response:
        """The comments of an issue, as many as are asked for."""
        rows: list[dict[str, Any]] = issue_of(self.store, request)["comments"]
        newest_first = request.query.get("orderBy", "") == "-created"
        limit = int(request.query.get("maxResults") or 50)
        shown = (rows[::-1] if newest_first else rows)[:limit]
        return web.json_response({"startAt": 0, "maxResults": limit, "total": len(rows), "comments": shown})

    async def add(self, request: web.Request) -> web.Response:
        """Add a comment: 201."""
        row, body = issue_of(self.store, request), await _body(request)
        number, now = self.store.next_id(), iso(self.store.clock())
        where = f"{site_of(request)}{request.path}/{number}"
        made = {"id": number, "self": where, "author": AUTHOR, "body": body, "created": now, "updated": now}
        row["comments"].append(made)
        return web.json_response(made, status=201)

    def _comment(self, request: web.Request) -> dict[str, Any]:
        rows: list[dict[str, Any]] = issue_of(self.store, request)["comments"]
        number = request.match_info["comment"]
        found = next((row for row in rows if row["id"] == number), None)
        if found is None:
            raise No(404, f"Can not find a comment for the id: {number}.")
        return found

    async def one(self, request: web.Request) -> web.Response:
        """One comment."""
        return web.json_response(self._comment(request))

    async def change(self, request: web.Request) -> web.Response:
        """Another text of a comment."""
        found = self._comment(request)
        found |= {"body": await _body(request), "updated": iso(self.store.clock())}
        return web.json_response(found)

    async def drop(self, request: web.Request) -> web.Response:
        """Delete a comment: 204."""
        issue_of(self.store, request)["comments"].remove(self._comment(request))
        return web.Response(status=204)


async def _body(request: web.Request) -> Any:
    """The text of a comment: a document in the Cloud, a text in a Data Center."""
    body = (await sent(request)).get("body")
    if is_cloud(request):
        fault = fault_of_document(body, TEXT_LENGTH)
    else:
        fault = None if isinstance(body, str) and body.strip() else "Comment body can not be empty!"
    if fault:
        raise No(400, comment=fault)
    return body
