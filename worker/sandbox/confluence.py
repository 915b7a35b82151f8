"""Simulated Confluence: v2 and v1 of Cloud below `/wiki`, v1 of Data Center at the root."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

from aiohttp import web

from worker.sandbox.credentials import refused
from worker.sandbox.store import Page, Store

TITLE_TAKEN = "A page with this title already exists: A page already exists with the same TITLE in this space"


class Confluence:
    """Handlers over the store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def routes(self) -> list[web.RouteDef]:
        """All routes."""
        v2 = "/wiki/api/v2"
        found = [
            web.get("/_edge/tenant_info", self.tenant),
            web.get(f"{v2}/spaces", self.spaces),
            web.get(f"{v2}/spaces/{{id}}/operations", self.operations),
            web.get(f"{v2}/pages", self.pages),
            web.post(f"{v2}/pages", self.create_v2),
            web.get(f"{v2}/pages/{{id}}", self.page_v2),
            web.put(f"{v2}/pages/{{id}}", self.update_v2),
            web.delete(f"{v2}/pages/{{id}}", self.delete),
            web.get(f"{v2}/pages/{{id}}/properties", self.properties),
            web.post(f"{v2}/pages/{{id}}/properties", self.add_property),
            web.get(f"{v2}/pages/{{id}}/properties/{{property}}", self.one_property),
            web.put(f"{v2}/pages/{{id}}/properties/{{property}}", self.put_property),
            web.get("/wiki/rest/api/user/current", self.me),
        ]
        for base in ("/rest/api", "/wiki/rest/api"):
            found += [
                web.get(f"{base}/space/{{key}}", self.space_v1),
                web.get(f"{base}/content", self.find_v1),
                web.post(f"{base}/content", self.create_v1),
                web.get(f"{base}/content/{{id}}", self.page_v1),
                web.put(f"{base}/content/{{id}}", self.update_v1),
                web.delete(f"{base}/content/{{id}}", self.delete),
                web.post(f"{base}/content/{{id}}/label", self.label),
                web.post(f"{base}/content/{{id}}/property", self.add_property),
                web.get(f"{base}/content/{{id}}/property/{{property}}", self.one_property),
                web.put(f"{base}/content/{{id}}/property/{{property}}", self.put_property),
            ]
        return [web.route(r.method, r.path, _guarded(r.handler)) for r in found]

    async def tenant(self, _: web.Request) -> web.Response:
        """The site's cloud id."""
        return web.json_response({"cloudId": "00000000-0000-4000-8000-000000000000"})

    async def me(self, _: web.Request) -> web.Response:
        """The account."""
        return web.json_response({"type": "known", "accountId": "sandbox", "displayName": "Sandbox"})

    async def spaces(self, request: web.Request) -> web.Response:
        """Spaces by key."""
        wanted = [key for value in request.query.getall("keys", []) for key in value.split(",")]
        rows = [
            {
                "id": number,
                "key": key,
                "name": key,
                "type": "global",
                "status": "current",
                "_links": {"webui": f"/spaces/{key}"},
            }
            for key, number in self.store.spaces.items()
            if not wanted or key in wanted
        ]
        return web.json_response({"results": rows, "_links": {"base": _base(request)}})

    async def operations(self, request: web.Request) -> web.Response:
        """What the account may do in a space."""
        if request.match_info["id"] not in self.store.spaces.values():
            return _v2_error(404, "NOT_FOUND", "Not Found")
        rights = [{"operation": "create", "targetType": "page"}, {"operation": "read", "targetType": "space"}]
        return web.json_response({"operations": rights})

    async def pages(self, request: web.Request) -> web.Response:
        """Pages by space, title and status."""
        statuses = set(request.query.get("status", "current,archived").split(","))
        space, title = request.query.get("space-id"), request.query.get("title")
        rows = [
            self._v2(page, request)
            for page in self.store.pages.values()
            if page.status in statuses
            and (space is None or self.store.spaces[page.space] == space)
            and (title is None or page.title == title)
        ]
        return web.json_response(
            {"results": rows[: int(request.query.get("limit", "25"))], "_links": {"base": _base(request)}}
        )

    async def create_v2(self, request: web.Request) -> web.Response:
        """Create: 200, a taken title 400."""
        body = await request.json()
        key = next((k for k, number in self.store.spaces.items() if number == str(body.get("spaceId"))), None)
        if key is None:
            return _v2_error(404, "NOT_FOUND", "Space not found or not permitted")
        parent = str(body["parentId"]) if body.get("parentId") else None
        if parent and parent not in self.store.pages:
            return _v2_error(404, "NOT_FOUND", "Parent page not found or not permitted")
        page = self._create(key, str(body.get("title", "")), _storage(body), parent)
        if isinstance(page, str):
            return _v2_error(400, "BAD_REQUEST", page)
        return web.json_response(self._v2(page, request))

    def _create(self, space: str, title: str, storage: str, parent: str | None) -> Page | str:
        if not title or len(title) > 255:
            return "Title cannot be longer than 255 characters." if title else "Title is required"
        if wrong := malformed(storage):
            return f"Error parsing xhtml: {wrong}"
        if any(p.space == space and p.title == title for p in self.store.pages.values()):
            return TITLE_TAKEN
        page = Page(str(next(self.store.ids)), space, title, storage, parent=parent, created=self.store.clock())
        self.store.pages[page.id] = page
        return page

    async def page_v2(self, request: web.Request) -> web.Response:
        """One page; 404 also for what is not yet to be seen."""
        page = self._seen(request)
        return (
            web.json_response(self._v2(page, request, body=True)) if page else _v2_error(404, "NOT_FOUND", "Not Found")
        )

    def _seen(self, request: web.Request) -> Page | None:
        page = self.store.pages.get(request.match_info["id"])
        return None if page is None or self.store.clock() < self.store.unseen_until else page

    async def update_v2(self, request: web.Request) -> web.Response:
        """The next version; any other number is a conflict."""
        page = self._seen(request)
        if page is None:
            return _v2_error(404, "NOT_FOUND", "Not Found")
        body = await request.json()
        given = int(body.get("version", {}).get("number", 0))
        if given != page.version + 1:
            text = f"Version must be incremented when updating a page. Current Version: [{page.version}]. Provided version: [{given}]"
            return _v2_error(409, "CONFLICT", text)
        if wrong := self._update(page, body, body.get("parentId")):
            return _v2_error(400, "BAD_REQUEST", wrong)
        return web.json_response(self._v2(page, request))

    def _update(self, page: Page, body: dict[str, Any], parent: object) -> str | None:
        title, storage = str(body.get("title", page.title)), _storage(body)
        others = [p for p in self.store.pages.values() if p.id != page.id and p.space == page.space]
        if any(p.title == title for p in others):
            return TITLE_TAKEN
        if wrong := malformed(storage):
            return f"Error parsing xhtml: {wrong}"
        page.title, page.body, page.version = title, storage, page.version + 1
        page.parent = str(parent) if parent else page.parent
        return None

    async def delete(self, request: web.Request) -> web.Response:
        """Move to the trash."""
        page = self._seen(request)
        if page is None:
            return _v2_error(404, "NOT_FOUND", "Not Found")
        page.status = "trashed"
        return web.Response(status=204)

    async def properties(self, request: web.Request) -> web.Response:
        """Content properties, by key."""
        page = self._seen(request)
        if page is None:
            return _v2_error(404, "NOT_FOUND", "Not Found")
        key = request.query.get("key")
        return web.json_response({"results": [p for k, p in page.properties.items() if key in (None, k)]})

    async def add_property(self, request: web.Request) -> web.Response:
        """A new property; 409 where its key exists."""
        page = self._seen(request)
        if page is None:
            return _v2_error(404, "NOT_FOUND", "Not Found")
        body = await request.json()
        if body["key"] in page.properties:
            return _v2_error(409, "CONFLICT", "Property already exists")
        version = {"number": 1, "message": "", "minorEdit": False}
        page.properties[body["key"]] = {
            "id": str(next(self.store.ids)),
            "key": body["key"],
            "value": body["value"],
            "version": version,
        }
        return web.json_response(page.properties[body["key"]])

    def _property(self, request: web.Request) -> dict[str, Any] | None:
        page = self._seen(request)
        name = request.match_info["property"]
        rows = page.properties.values() if page else ()
        return next((row for row in rows if name in (row["id"], row["key"])), None)

    async def one_property(self, request: web.Request) -> web.Response:
        """One property."""
        row = self._property(request)
        return web.json_response(row) if row else _v1_error(404, "No property found")

    async def put_property(self, request: web.Request) -> web.Response:
        """The property's next version."""
        row = self._property(request)
        if row is None:
            return _v2_error(404, "NOT_FOUND", "Not Found")
        body = await request.json()
        if int(body["version"]["number"]) != row["version"]["number"] + 1:
            return _v2_error(409, "CONFLICT", "Version must be incremented when updating a property.")
        row |= {"value": body["value"], "version": {**row["version"], "number": body["version"]["number"]}}
        return web.json_response(row)

    async def space_v1(self, request: web.Request) -> web.Response:
        """A space by key."""
        key = request.match_info["key"]
        if key not in self.store.spaces:
            return _v1_error(404, f"No space with key : {key}")
        return web.json_response({"id": int(self.store.spaces[key]), "key": key, "name": key, "type": "global"})

    async def find_v1(self, request: web.Request) -> web.Response:
        """Pages by space, title and status."""
        query = request.query
        rows = [
            self._v1(page, request)
            for page in self.store.pages.values()
            if page.status == query.get("status", "current")
            and page.space == query.get("spaceKey", page.space)
            and page.title == query.get("title", page.title)
        ]
        return web.json_response({"results": rows, "start": 0, "limit": 25, "size": len(rows), "_links": {}})

    async def create_v1(self, request: web.Request) -> web.Response:
        """Create: 200, a taken title 400."""
        body = await request.json()
        key = str(body.get("space", {}).get("key"))
        if key not in self.store.spaces:
            return _v1_error(404, f"No space with key : {key}")
        ancestors = body.get("ancestors") or []
        parent = str(ancestors[-1]["id"]) if ancestors else None
        if parent and parent not in self.store.pages:
            return _v1_error(400, "The parent ID specified does not exist")
        page = self._create(key, str(body.get("title", "")), _storage(body), parent)
        return _v1_error(400, page) if isinstance(page, str) else web.json_response(self._v1(page, request))

    async def page_v1(self, request: web.Request) -> web.Response:
        """One page."""
        page = self._seen(request)
        return web.json_response(self._v1(page, request)) if page else _v1_error(404, "No content found with id")

    async def update_v1(self, request: web.Request) -> web.Response:
        """The next version; any other number is a conflict."""
        page = self._seen(request)
        if page is None:
            return _v1_error(404, "No content found with id")
        body = await request.json()
        if int(body.get("version", {}).get("number", 0)) != page.version + 1:
            return _v1_error(409, f"Version must be incremented on update. Current version is: {page.version}")
        ancestors = body.get("ancestors") or []
        wrong = self._update(page, body, ancestors[-1]["id"] if ancestors else None)
        return _v1_error(400, wrong) if wrong else web.json_response(self._v1(page, request))

    async def label(self, request: web.Request) -> web.Response:
        """Add labels."""
        page = self._seen(request)
        if page is None:
            return _v1_error(404, "No content found with id")
        body = await request.json()
        page.labels += [
            row["name"] for row in (body if isinstance(body, list) else [body]) if row["name"] not in page.labels
        ]
        return web.json_response({"results": [{"prefix": "global", "name": name} for name in page.labels]})

    def _v2(self, page: Page, request: web.Request, *, body: bool = False) -> dict[str, Any]:
        storage = {"storage": {"representation": "storage", "value": page.body}} if body else {}
        return {
            "id": page.id,
            "status": page.status,
            "title": page.title,
            "spaceId": self.store.spaces[page.space],
            "parentId": page.parent,
            "parentType": "page" if page.parent else None,
            "authorId": "sandbox",
            "ownerId": "sandbox",
            "createdAt": "2026-01-01T00:00:00.000Z",
            "version": {
                "number": page.version,
                "message": "",
                "minorEdit": False,
                "authorId": "sandbox",
                "createdAt": "2026-01-01T00:00:00.000Z",
            },
            "body": storage,
            "_links": {"webui": f"/spaces/{page.space}/pages/{page.id}", "base": _base(request)},
        }

    def _v1(self, page: Page, request: web.Request) -> dict[str, Any]:
        return {
            "id": page.id,
            "type": "page",
            "status": page.status,
            "title": page.title,
            "space": {"key": page.space},
            "version": {"number": page.version},
            "ancestors": [{"id": page.parent}] if page.parent else [],
            "body": {"storage": {"value": page.body, "representation": "storage"}},
            "_links": {"webui": f"/spaces/{page.space}/pages/{page.id}", "base": _base(request)},
        }


def _guarded(handler: Any) -> Any:
    async def guarded(request: web.Request) -> web.StreamResponse:
        if request.path != "/_edge/tenant_info" and refused(request):
            return web.json_response({"code": 401, "message": "Unauthorized; scope does not match"}, status=401)
        return await handler(request)  # type: ignore[no-any-return]

    return guarded


def malformed(storage: str) -> str | None:
    """What an XML parser says against a storage-format fragment, or None."""
    head = '<!DOCTYPE r [<!ENTITY nbsp "&#160;">]>' if "&nbsp;" in storage else ""
    try:
        ET.fromstring(f"{head}<r xmlns:ac='ac' xmlns:ri='ri'>{storage}</r>")  # noqa: S314 - the sandbox's own test data
    except ET.ParseError as error:
        return str(error)
    return None


def _storage(body: dict[str, Any]) -> str:
    given = body.get("body") or {}
    return str(given.get("value") if "value" in given else (given.get("storage") or {}).get("value") or "")


def _base(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}/wiki"


def _v2_error(status: int, code: str, title: str) -> web.Response:
    return web.json_response(
        {"errors": [{"status": status, "code": code, "title": title, "detail": None}]}, status=status
    )


def _v1_error(status: int, message: str) -> web.Response:
    return web.json_response({"statusCode": status, "data": {"errors": []}, "message": message}, status=status)
