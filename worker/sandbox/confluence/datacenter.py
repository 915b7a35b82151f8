"""Simulated Confluence v1: the content API of Data Center at the root, and what Cloud keeps of it below `/wiki`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from worker.sandbox.confluence.cloud import Handler, listed, sent
from worker.sandbox.confluence.people import accounts
from worker.sandbox.confluence.rules import ACCOUNT, USER_KEY, Pages, Refusal, storage_of, version_of
from worker.sandbox.credentials import by_nobody, by_oauth, fault_of
from worker.sandbox.store import Comment, Page, Property, Store, iso

CLOUD, DATA_CENTER = "/wiki/rest/api", "/rest/api"
EVERY = ("current", "archived", "trashed", "draft")


class ConfluenceContent:
    """Handlers over the store, for both addresses."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.rules = Pages(store)

    def routes(self) -> list[web.RouteDef]:
        """All routes. What the tail routes catch isn't there."""
        found: list[web.RouteDef] = []
        for base in (CLOUD, DATA_CENTER):
            one, rows = f"{base}/content/{{id}}", f"{base}/content/{{id}}/property"
            past = one.replace("/api/", "/experimental/")  # where clients of older Data Centers ask for versions
            found += [
                web.get(f"{base}/user/current", self.me),
                web.get(f"{base}/space", self.spaces),
                web.get(f"{base}/space/{{key}}", self.space),
                web.get(f"{base}/content", self.find),
                web.post(f"{base}/content", self.create),
                web.post(f"{base}/content/", self.create),
                web.get(one, self.page),
                web.put(one, self.update),
                web.delete(one, self.delete),
                web.get(f"{one}/child/page", self.children),
                web.get(f"{one}/child/comment", self.comments),
                web.get(f"{one}/label", self.labels),
                web.post(f"{one}/label", self.add_labels),
                web.delete(f"{one}/label", self.drop_label),
                web.delete(f"{one}/label/{{name}}", self.drop_label),
                web.get(rows, self.properties),
                web.post(rows, self.add_property),
                web.get(f"{rows}/{{property}}", self.property),
                web.put(f"{rows}/{{property}}", self.put_property),
                web.delete(f"{rows}/{{property}}", self.drop_property),
                web.get(f"{one}/history", self.history),
                *(web.get(f"{place}/version", self.versions) for place in (one, past)),
                *(web.get(f"{place}/version/{{number}}", self.version) for place in (one, past)),
                web.route("*", f"{base}/{{tail:.*}}", self.nothing),
            ]
        return [web.route(r.method, r.path, guarded_v1(r.handler)) for r in found]

    async def nothing(self, request: web.Request) -> web.Response:
        """No such path."""
        raise Refusal("missing", f"null for uri: {request.path}")

    async def me(self, request: web.Request) -> web.Response:
        """The account; nobody, with a credential that calls itself `anonymous`."""
        if by_nobody(request):
            return web.json_response({"type": "anonymous", "displayName": "Anonymous"})
        (row,) = accounts([self.store.me])
        return web.json_response(
            row | {"type": "known", "accountType": "atlassian", "publicName": row["displayName"], "email": ""}
        )

    async def spaces(self, request: web.Request) -> web.Response:
        """All spaces."""
        keys = listed(request, "spaceKey")
        return paged_v1(request, [self._space(key) for key in self.store.spaces if not keys or key in keys])

    async def space(self, request: web.Request) -> web.Response:
        """One space."""
        return web.json_response(self._space(self._key(request.match_info["key"])))

    def _key(self, key: str) -> str:
        if key not in self.store.spaces:
            raise Refusal("missing", f"No space with key : {key}")
        return key

    def _space(self, key: str) -> dict[str, Any]:
        known = {"id": int(self.store.spaces[key]), "key": key, "name": key, "type": "global", "status": "current"}
        home = {"homepage": {"id": self.store.homepage(key), "type": "page", "status": "current"}}
        return known | home | {"_expandable": {}, "_links": {"webui": f"/spaces/{key}"}}

    async def find(self, request: web.Request) -> web.Response:
        """Pages by space, title and status; current ones unless told otherwise."""
        query = request.query
        wanted = listed(request, "status") or ["current"]
        statuses = EVERY if "any" in wanted else wanted
        found = self.rules.find(space=query.get("spaceKey"), title=query.get("title"), statuses=statuses)
        return paged_v1(request, [self.shown(page, request) for page in found])

    async def create(self, request: web.Request) -> web.Response:
        """Create: 200, a taken title 400."""
        body = await sent(request)
        if body.get("type") == "comment":
            return web.json_response(self._commented(body))
        space = body.get("space")
        key = self._key(str(space.get("key")) if isinstance(space, dict) else "")
        page = self.rules.create(key, str(body.get("title") or ""), storage_of(body) or "", _ancestor(body))
        return web.json_response(self.shown(page, request))

    async def page(self, request: web.Request) -> web.Response:
        """One page; what is in the trash only where its status is asked for."""
        page = self.rules.get(request.match_info["id"])
        wanted = listed(request, "status") or ["current", "archived"]
        if page.status not in wanted and "any" not in wanted:
            raise Refusal("missing", f"No content found with id : ContentId{{id={page.id}}}")
        return web.json_response(self.shown(page, request))

    async def history(self, request: web.Request) -> web.Response:
        """Who made the page and its newest version, and when."""
        page = self.rules.get(request.match_info["id"])
        by = {
            "type": "known",
            "accountId": ACCOUNT,
            "username": "sandbox",
            "userKey": USER_KEY,
            "displayName": "Sandbox",
        }
        newest = version_v1(page.version, page.message, page.changed, page.minor)
        shown = {"latest": True, "createdBy": by, "createdDate": iso(page.created), "lastUpdated": newest}
        return web.json_response(shown | {"_expandable": {}, "_links": {}})

    def _versions(self, request: web.Request) -> list[dict[str, Any]]:
        return [version_v1(*version) for version in self.rules.get(request.match_info["id"]).versions]

    async def versions(self, request: web.Request) -> web.Response:
        """The page's versions, the newest first."""
        return paged_v1(request, self._versions(request)[::-1])

    async def version(self, request: web.Request) -> web.Response:
        """One version of the page, by its number."""
        number = request.match_info["number"]
        found = next((row for row in self._versions(request) if str(row["number"]) == number), None)
        if found is None:
            raise Refusal("missing", f"No version with number : {number}")
        return web.json_response(found)

    async def update(self, request: web.Request) -> web.Response:
        """The next version; any other number is a conflict."""
        page, body = self.rules.get(request.match_info["id"]), await sent(request)
        number, message = version_of(body)
        title = str(body.get("title") or page.title)
        minor = bool((body.get("version") or {}).get("minorEdit"))
        self.rules.update(page, number, title, storage_of(body), parent=_ancestor(body), message=message, minor=minor)
        return web.json_response(self.shown(page, request))

    async def delete(self, request: web.Request) -> web.Response:
        """To the trash; out of it with `status=trashed`."""
        page = self.rules.get(request.match_info["id"])
        self.rules.discard(page, purge=request.query.get("status") == "trashed")
        return web.Response(status=204)

    async def children(self, request: web.Request) -> web.Response:
        """Pages right below a page."""
        parent = self.rules.get(request.match_info["id"])
        return paged_v1(request, [self.shown(page, request) for page in self.rules.find(parent=parent.id)])

    async def comments(self, request: web.Request) -> web.Response:
        """The comments below a page, the oldest first."""
        page = self.rules.get(request.match_info["id"])
        return paged_v1(request, [_comment(page, row) for row in page.remarks])

    def _commented(self, body: dict[str, Any]) -> dict[str, Any]:
        container = body.get("container")
        page = self.rules.get(str(container.get("id")) if isinstance(container, dict) else "")
        return _comment(page, self.rules.remark(page, storage_of(body) or ""))

    async def labels(self, request: web.Request) -> web.Response:
        """The page's labels."""
        page = self.rules.get(request.match_info["id"])
        return paged_v1(request, [_label(i, name) for i, name in enumerate(page.labels, start=1)])

    async def add_labels(self, request: web.Request) -> web.Response:
        """Add labels; a known one stays as it is."""
        page = self.rules.get(request.match_info["id"])
        given = await request.json()
        for row in given if isinstance(given, list) else [given]:
            name = str(row.get("name", "")).lower()
            if not name or " " in name:
                raise Refusal("parameter", f"The label {name!r} contains characters that are not allowed")
            if name not in page.labels:
                page.labels.append(name)
        return paged_v1(request, [_label(i, name) for i, name in enumerate(page.labels, start=1)])

    async def drop_label(self, request: web.Request) -> web.Response:
        """Remove a label."""
        page = self.rules.get(request.match_info["id"])
        name = request.match_info.get("name") or request.query.get("name", "")
        page.labels = [label for label in page.labels if label != name]
        return web.Response(status=204)

    async def properties(self, request: web.Request) -> web.Response:
        """Content properties."""
        page = self.rules.get(request.match_info["id"])
        return paged_v1(request, [_property(row) for row in page.properties.values()])

    async def property(self, request: web.Request) -> web.Response:
        """One property, by key."""
        page = self.rules.get(request.match_info["id"])
        return web.json_response(_property(self.rules.property(page, request.match_info["property"])))

    async def add_property(self, request: web.Request) -> web.Response:
        """A new property; 409 where its key exists."""
        page, body = self.rules.get(request.match_info["id"]), await sent(request)
        return web.json_response(
            _property(self.rules.add_property(page, str(body.get("key") or ""), body.get("value")))
        )

    async def put_property(self, request: web.Request) -> web.Response:
        """The property's next version; version 1 makes a new one."""
        page, body, key = self.rules.get(request.match_info["id"]), await sent(request), request.match_info["property"]
        number = version_of(body)[0]
        if key not in page.properties and number == 1:
            return web.json_response(_property(self.rules.add_property(page, key, body.get("value"))))
        row = self.rules.property(page, key)
        self.rules.put_property(row, number, body.get("value"))
        return web.json_response(_property(row))

    async def drop_property(self, request: web.Request) -> web.Response:
        """Remove a property."""
        page = self.rules.get(request.match_info["id"])
        del page.properties[self.rules.property(page, request.match_info["property"]).key]
        return web.Response(status=204)

    def shown(self, page: Page, request: web.Request) -> dict[str, Any]:
        """A page as the API shows it."""
        cloud = request.path.startswith("/wiki")
        base = f"{request.scheme}://{request.host}" + ("/wiki" if cloud else "")
        webui = f"/spaces/{page.space}/pages/{page.id}" if cloud else f"/pages/viewpage.action?pageId={page.id}"
        above = self.store.above(page)
        return {
            "id": page.id,
            "type": "page",
            "status": page.status,
            "title": page.title,
            "space": self._space(page.space),
            "history": {"latest": True, "createdDate": iso(page.created), "createdBy": {"type": "known"}},
            "version": version_v1(page.version, page.message, page.changed, page.minor),
            "ancestors": [
                {"id": i, "type": "page", "status": "current", "title": self.store.pages[i].title} for i in above
            ],
            "body": {"storage": {"value": page.body, "representation": "storage"}},
            "extensions": {"position": "none"},
            "_expandable": {},
            "_links": {
                "webui": webui,
                "tinyui": f"/x/{page.id}",
                "base": base,
                "self": f"{base}/rest/api/content/{page.id}",
            },
        }


def guarded_v1(handler: Any) -> Handler:
    """The handler behind the credential check, with refusals in the words of v1."""

    async def guarded(request: web.Request) -> web.Response:
        fault = fault_of(request)
        if fault == "revoked":
            return error_v1(403, "Current user not permitted to use Confluence")
        if fault:
            return error_v1(401, "Unauthorized")
        if by_oauth(request) and _gone(request):
            return error_v1(410, "This deprecated endpoint has been removed.")
        try:
            return await handler(request)  # type: ignore[no-any-return]
        except Refusal as refusal:
            return _answer(refusal)

    return guarded


def _gone(request: web.Request) -> bool:
    """True for a page call of Cloud's v1, which OAuth clients no longer have."""
    head, found, tail = request.path.partition(f"{CLOUD}/content")
    return bool(found) and not head and "/" not in tail.strip("/")


def _answer(refusal: Refusal) -> web.Response:
    facts, words = refusal.facts, refusal.words
    match refusal.kind:
        case "title_taken":
            text = "A page with this title already exists: A page already exists with the title "
            return error_v1(400, f"{text}{facts['title']} in the space with key {facts['space']}")
        case "title_long":
            return error_v1(400, "Could not create content with type page", words)
        case "parent":
            return error_v1(400, f"The parent ID specified does not exist: {facts['id']}")
        case "missing":
            return error_v1(404, words)
        case "forbidden":
            return error_v1(403, words)
        case "large":
            return error_v1(413, words)
        case "property":
            return error_v1(409, words)
        case "conflict":
            return error_v1(409, f"Version must be incremented on update. Current version is: {facts['current']}")
        case _:
            return error_v1(400, words)


def error_v1(status: int, message: str, key: str | None = None) -> web.Response:
    """A refusal as the API words it."""
    errors = [{"message": {"key": key, "args": []}}] if key else []
    data = {"authorized": status not in (401, 403), "valid": not errors, "errors": errors, "successful": False}
    return web.json_response({"statusCode": status, "data": data, "message": message}, status=status)


def _ancestor(body: dict[str, Any]) -> str | None:
    given = body.get("ancestors")
    return str(given[-1].get("id")) if isinstance(given, list) and given and isinstance(given[-1], dict) else None


def paged_v1(request: web.Request, rows: Sequence[dict[str, Any]]) -> web.Response:
    """A part of a list, by `start` and `limit`."""
    try:
        start, limit = int(request.query.get("start", "0")), int(request.query.get("limit", "25"))
    except ValueError:
        raise Refusal("parameter", "start and limit must be numbers") from None
    shown = list(rows[start : start + limit])
    links = {"base": f"{request.scheme}://{request.host}", "context": "", "self": str(request.url)}
    if start + limit < len(rows):
        links["next"] = str(request.rel_url.update_query(start=start + limit, limit=limit))
    return web.json_response({"results": shown, "start": start, "limit": limit, "size": len(shown), "_links": links})


def version_v1(number: int, message: str, moment: float, minor: bool = False) -> dict[str, Any]:
    """A version as the API shows it."""
    by = {"type": "known", "accountId": ACCOUNT, "displayName": "Sandbox"}
    return {"by": by, "when": iso(moment), "number": number, "message": message, "minorEdit": minor}


def _property(row: Property) -> dict[str, Any]:
    version = version_v1(row.version, "", row.created)
    return {"id": row.id, "key": row.key, "value": row.value, "version": version, "_links": {}, "_expandable": {}}


def _label(number: int, name: str) -> dict[str, Any]:
    return {"prefix": "global", "name": name, "id": str(number), "label": name}


def _comment(page: Page, row: Comment) -> dict[str, Any]:
    return {
        "id": row.id,
        "type": "comment",
        "status": "current",
        "title": f"Re: {page.title}",
        "version": version_v1(1, "", row.created),
        "body": {"storage": {"value": row.text, "representation": "storage"}},
        "extensions": {"location": "footer"},
        "_links": {"webui": f"/spaces/{page.space}/pages/{page.id}?focusedCommentId={row.id}"},
    }
