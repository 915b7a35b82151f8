"""Simulated Confluence Cloud, API v2 below `/wiki/api/v2`. Source: Atlassian's OpenAPI description of v2."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import web

from worker.sandbox.confluence.people import by_account
from worker.sandbox.confluence.rules import ACCOUNT, Pages, Refusal, storage_of, version_of
from worker.sandbox.credentials import fault_of
from worker.sandbox.store import Attachment, Page, Property, Store, iso

V2 = "/wiki/api/v2"
CLOUD_ID = "00000000-0000-4000-8000-000000000000"
STATUSES = frozenset({"current", "archived", "deleted", "trashed", "draft"})
TITLE_TAKEN = "A page with this title already exists: A page already exists with the same TITLE in this space"
Handler = Callable[[web.Request], Awaitable[web.Response]]


class ConfluenceCloud:
    """Handlers over the store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.rules = Pages(store)

    def routes(self) -> list[web.RouteDef]:
        """All routes; what isn't there is a 404 in the vendor's words."""
        page = f"{V2}/pages/{{id}}"
        behind_credential = [
            web.get(f"{V2}/spaces", self.spaces),
            web.get(f"{V2}/spaces/{{id}}", self.space),
            web.get(f"{V2}/spaces/{{id}}/operations", self.operations),
            web.get(f"{V2}/spaces/{{id}}/pages", self.pages),
            web.get(f"{V2}/pages", self.pages),
            web.post(f"{V2}/pages", self.create),
            web.post(f"{V2}/pages/", self.create),
            web.get(page, self.page),
            web.put(page, self.update),
            web.delete(page, self.delete),
            web.get(f"{page}/children", self.children),
            web.get(f"{page}/labels", self.labels),
            web.get(f"{page}/versions", self.versions),
            web.get(f"{page}/operations", self.page_operations),
            web.get(f"{page}/attachments", self.attachments),
            web.get(f"{V2}/attachments/{{id}}", self.attachment),
        ]
        for holder in ("pages", "attachments"):
            rows = f"{V2}/{holder}/{{id}}/properties"
            behind_credential += [
                web.get(rows, self.properties),
                web.post(rows, self.add_property),
                web.get(f"{rows}/{{property}}", self.one_property),
                web.put(f"{rows}/{{property}}", self.put_property),
                web.delete(f"{rows}/{{property}}", self.drop_property),
            ]
        behind_credential.append(web.route("*", "/wiki/api/{tail:.*}", self.nothing))
        open_ones = [web.get("/_edge/tenant_info", self.tenant)]
        return open_ones + [web.route(r.method, r.path, guarded(r.handler)) for r in behind_credential]

    async def tenant(self, _: web.Request) -> web.Response:
        """The site's cloud id, which needs no credential."""
        return web.json_response({"cloudId": CLOUD_ID})

    async def nothing(self, request: web.Request) -> web.Response:
        """No such path."""
        raise Refusal("missing", f"null for uri: {request.path}")

    async def spaces(self, request: web.Request) -> web.Response:
        """Spaces by key or id."""
        keys, ids = listed(request, "keys"), listed(request, "ids")
        chosen = [k for k, n in self.store.spaces.items() if (not keys or k in keys) and (not ids or n in ids)]
        return paged(request, [self._space(key) for key in chosen])

    async def space(self, request: web.Request) -> web.Response:
        """One space."""
        return web.json_response(self._space(self._key(request.match_info["id"])) | {"_links": _links(request)})

    def _key(self, number: str) -> str:
        key = self.store.space_of(number)
        if key is None:
            raise Refusal("missing", "Space not found or not permitted")
        return key

    def _space(self, key: str) -> dict[str, Any]:
        return {
            "id": self.store.spaces[key],
            "key": key,
            "name": key,
            "type": "global",
            "status": "current",
            "authorId": ACCOUNT,
            "createdAt": iso(0),
            "homepageId": self.store.homepage(key),
            "_links": {"webui": f"/spaces/{key}"},
        }

    async def operations(self, request: web.Request) -> web.Response:
        """What the account may do in a space."""
        space = self._key(request.match_info["id"])
        rights = [("read", "space"), ("delete", "page")]
        for action, made in (("create", "page"), ("attachment", "attachment")):
            if not self.store.denies("confluence", space, action):
                rights.append(("create", made))
        return web.json_response({"operations": [{"operation": o, "targetType": t} for o, t in rights]})

    async def page_operations(self, request: web.Request) -> web.Response:
        """What the account may do with a page."""
        self.rules.get(request.match_info["id"])
        return web.json_response({"operations": [{"operation": o, "targetType": "page"} for o in ("read", "update")]})

    async def pages(self, request: web.Request) -> web.Response:
        """Pages by space, title, id and status; current and archived ones unless told otherwise."""
        statuses = listed(request, "status") or ["current", "archived"]
        if unknown := set(statuses) - STATUSES:
            raise Refusal("parameter", f"Provided value {{{min(unknown)}}} for 'status' is not the correct type.")
        given = [request.match_info["id"]] if "id" in request.match_info else listed(request, "space-id")
        keys = [self.store.space_of(number) for number in given]
        found = self.rules.find(title=request.query.get("title"), statuses=statuses, ids=listed(request, "id") or None)
        body = "body-format" in request.query
        return paged(request, [self._page(page, body=body) for page in found if not given or page.space in keys])

    async def children(self, request: web.Request) -> web.Response:
        """Pages right below a page."""
        parent = self.rules.get(request.match_info["id"])
        found = self.rules.find(parent=parent.id)
        rows = [
            {
                "id": p.id,
                "status": p.status,
                "title": p.title,
                "spaceId": self.store.spaces[p.space],
                "childPosition": i,
            }
            for i, p in enumerate(found)
        ]
        return paged(request, rows)

    async def create(self, request: web.Request) -> web.Response:
        """Create: 200. A space or parent that isn't there is 404, a taken title 400."""
        body = await sent(request)
        key = self._key(str(body.get("spaceId")))
        parent = str(body["parentId"]) if body.get("parentId") else None
        status = str(body.get("status") or "current")
        page = self.rules.create(key, str(body.get("title") or ""), storage_of(body) or "", parent, status=status)
        if request.query.get("private") == "true":
            page.limits = {operation: {"user": [ACCOUNT], "group": []} for operation in ("read", "update")}
        return web.json_response(self._page(page, body=True) | {"_links": self._page_links(page, request)})

    async def page(self, request: web.Request) -> web.Response:
        """One page; with its body where a format is named."""
        page = self.rules.get(request.match_info["id"])
        if (wanted := request.query.get("status")) and wanted != page.status:
            raise Refusal("missing", "Not Found")
        body = "body-format" in request.query
        return web.json_response(self._page(page, body=body) | {"_links": self._page_links(page, request)})

    async def update(self, request: web.Request) -> web.Response:
        """The next version. `id`, `status`, `title`, `body` and `version` must all be there."""
        page, body = self.rules.get(request.match_info["id"]), await sent(request)
        if absent := [name for name in ("id", "status", "title", "body", "version") if body.get(name) is None]:
            raise Refusal("parameter", f"Request is missing {', '.join(absent)}")
        if str(body["id"]) != page.id:
            raise Refusal("parameter", "The id in the body is not the id in the path")
        number, message = version_of(body)
        parent = str(body["parentId"]) if body.get("parentId") else None
        owner = str(body.get("ownerId") or page.owner)
        if by_account(owner, self.store.users) is None:
            raise Refusal("parameter", f"The user {owner} can't own the page")
        self.rules.update(page, number, str(body["title"]), storage_of(body), parent=parent, message=message)
        page.owner = owner
        return web.json_response(self._page(page, body=True) | {"_links": self._page_links(page, request)})

    async def delete(self, request: web.Request) -> web.Response:
        """To the trash; out of it with `purge=true`."""
        self.rules.discard(self.rules.get(request.match_info["id"]), purge=request.query.get("purge") == "true")
        return web.Response(status=204)

    async def labels(self, request: web.Request) -> web.Response:
        """The page's labels."""
        page = self.rules.get(request.match_info["id"])
        rows = [{"id": str(i), "name": name, "prefix": "global"} for i, name in enumerate(page.labels, start=1)]
        return paged(request, rows)

    async def versions(self, request: web.Request) -> web.Response:
        """The page's versions, newest first."""
        page = self.rules.get(request.match_info["id"])
        return paged(request, [version_facts(*version) for version in reversed(page.versions)])

    def _holder(self, request: web.Request) -> Page | Attachment:
        """The page or file that a property hangs on."""
        number = request.match_info["id"]
        return self.rules.file(number) if request.path.startswith(f"{V2}/attachments/") else self.rules.get(number)

    async def properties(self, request: web.Request) -> web.Response:
        """Content properties, all or the one of a key."""
        holder, key = self._holder(request), request.query.get("key")
        return paged(request, [_property(row) for row in holder.properties.values() if key in (None, row.key)])

    async def add_property(self, request: web.Request) -> web.Response:
        """A new property; 409 where its key exists."""
        holder, body = self._holder(request), await sent(request)
        return web.json_response(
            _property(self.rules.add_property(holder, str(body.get("key") or ""), body.get("value")))
        )

    async def one_property(self, request: web.Request) -> web.Response:
        """One property, by id."""
        holder = self._holder(request)
        return web.json_response(_property(self.rules.property(holder, request.match_info["property"])))

    async def put_property(self, request: web.Request) -> web.Response:
        """The property's next version."""
        holder, body = self._holder(request), await sent(request)
        row = self.rules.property(holder, request.match_info["property"])
        self.rules.put_property(row, version_of(body)[0], body.get("value"))
        return web.json_response(_property(row))

    async def drop_property(self, request: web.Request) -> web.Response:
        """Remove a property."""
        holder = self._holder(request)
        del holder.properties[self.rules.property(holder, request.match_info["property"]).key]
        return web.Response(status=204)

    async def attachments(self, request: web.Request) -> web.Response:
        """The page's files, all or those of a name."""
        page, name = self.rules.get(request.match_info["id"]), request.query.get("filename")
        return paged(request, [_attachment(f) for f in page.attachments.values() if name in (None, f.name)])

    async def attachment(self, request: web.Request) -> web.Response:
        """One file's description."""
        return web.json_response(_attachment(self.rules.file(request.match_info["id"])))

    def _page(self, page: Page, *, body: bool) -> dict[str, Any]:
        return {
            "id": page.id,
            "status": page.status,
            "title": page.title,
            "spaceId": self.store.spaces[page.space],
            "parentId": page.parent,
            "parentType": ("folder" if page.parent in self.store.folders else "page") if page.parent else None,
            "position": int(page.id),
            "authorId": ACCOUNT,
            "ownerId": page.owner or ACCOUNT,
            "lastOwnerId": None,
            "createdAt": iso(page.created),
            "version": version_facts(page.version, page.message, page.changed, page.minor),
            "body": {"storage": {"representation": "storage", "value": page.body}} if body else {},
            "_links": self._page_links(page, None),
        }

    def _page_links(self, page: Page, request: web.Request | None) -> dict[str, str]:
        webui = f"/spaces/{page.space}/pages/{page.id}"
        links = {"webui": webui, "editui": f"/pages/resumedraft.action?draftId={page.id}", "tinyui": f"/x/{page.id}"}
        return links | (_links(request) if request else {})


def guarded(handler: Any) -> Handler:
    """The handler behind the credential check, with refusals in the vendor's words."""

    async def checked(request: web.Request) -> web.Response:
        if fault_of(request):
            return web.json_response({"code": 401, "message": "Unauthorized; scope does not match"}, status=401)
        try:
            return await handler(request)  # type: ignore[no-any-return]
        except Refusal as refusal:
            return _answer(refusal)

    return checked


def _answer(refusal: Refusal) -> web.Response:
    facts, words = refusal.facts, refusal.words
    match refusal.kind:
        case "title_taken":
            return _error(400, "BAD_REQUEST", TITLE_TAKEN)
        case "title_long" | "markup":
            return _error(400, "BAD_REQUEST", words)
        case "parameter":
            return _error(400, "INVALID_REQUEST_PARAMETER", words)
        case "missing" | "parent":
            return _error(404, "NOT_FOUND", words)
        case "forbidden":
            return _error(403, "FORBIDDEN", words)
        case "folder_taken":
            return _error(400, "BAD_REQUEST", "A folder exists with the same title in this space")
        case "large":
            return _error(413, "PAYLOAD_TOO_LARGE", words)
        case "property":
            return _error(409, "CONFLICT", words)
        case "conflict":
            text = "Version must be incremented when updating a page. "
            return _error(
                409, "CONFLICT", f"{text}Current Version: [{facts['current']}]. Provided version: [{facts['given']}]"
            )


def _error(status: int, code: str, title: str) -> web.Response:
    row = {"status": status, "code": code, "title": title, "detail": None}
    return web.json_response({"errors": [row]}, status=status)


async def sent(request: web.Request) -> dict[str, Any]:
    """The JSON object of a request; anything else is refused."""
    try:
        body = json.loads(await request.read())
    except (ValueError, web.HTTPRequestEntityTooLarge) as error:
        if isinstance(error, web.HTTPRequestEntityTooLarge):
            raise Refusal("large", "The request is too large") from None
        raise Refusal("parameter", "The request body can't be read") from None
    if not isinstance(body, dict):
        raise Refusal("parameter", "The request body is no JSON object")
    return body


def listed(request: web.Request, name: str) -> list[str]:
    """The values of a parameter that may be repeated and may hold commas."""
    return [part for value in request.query.getall(name, []) for part in value.split(",") if part]


def paged(request: web.Request, rows: Sequence[dict[str, Any]]) -> web.Response:
    """One page of results; the next one's address in `Link` and in `_links.next`, as the vendor gives it."""
    try:
        limit = int(request.query.get("limit", "25"))
        start = int(base64.urlsafe_b64decode(request.query.get("cursor", "")) or b"0")
    except (ValueError, binascii.Error):
        raise Refusal("parameter", "Provided value for 'limit' or 'cursor' is not the correct type.") from None
    if not 1 <= limit <= 250:
        raise Refusal("parameter", "Provided value for 'limit' must be between 1 and 250.")
    links, headers = _links(request), {}
    if start + limit < len(rows):
        cursor = base64.urlsafe_b64encode(str(start + limit).encode()).decode()
        links["next"] = str(request.rel_url.update_query(cursor=cursor))
        headers["Link"] = f'<{links["next"]}>; rel="next", <{links["base"]}>; rel="base"'
    return web.json_response({"results": list(rows[start : start + limit]), "_links": links}, headers=headers)


def _links(request: web.Request) -> dict[str, str]:
    return {"base": f"{request.scheme}://{request.host}/wiki"}


def version_facts(number: int, message: str, moment: float, minor: bool = False) -> dict[str, Any]:
    """A version as v2 describes it."""
    stamp = {"createdAt": iso(moment), "authorId": ACCOUNT}
    return {"number": number, "message": message, "minorEdit": minor} | stamp


def _property(row: Property) -> dict[str, Any]:
    return {"id": row.id, "key": row.key, "value": row.value, "version": version_facts(row.version, "", row.created)}


def _attachment(file: Attachment) -> dict[str, Any]:
    path = f"/download/attachments/{file.owner}/{file.name}"
    return {
        "id": file.id,
        "status": "current",
        "title": file.name,
        "createdAt": iso(file.created),
        "pageId": file.owner,
        "mediaType": file.media_type,
        "mediaTypeDescription": "File",
        "comment": file.comment,
        "fileId": file.id.removeprefix("att"),
        "fileSize": len(file.content),
        "webuiLink": f"/pages/viewpageattachments.action?pageId={file.owner}",
        "downloadLink": path,
        "version": version_facts(file.version, "", file.created),
        "_links": {"webui": f"/pages/viewpageattachments.action?pageId={file.owner}", "download": path},
    }
