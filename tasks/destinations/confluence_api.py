"""The two dialects of Confluence's REST API behind one set of verbs: v2 of Cloud, v1 of Data Center."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any
from urllib.parse import quote

from tasks.errors import Permanent, Transient
from tasks.model import Frozen
from tasks.outbound import Http, Request, vendor_words

PROPERTY = "afterword"
TOLERATED = frozenset({400, 404})


class Page(Frozen):
    """A page as the API shows it. `body` is its storage format where it was asked for."""

    id: str
    title: str
    status: str
    version: int
    url: str
    parent_id: str | None = None
    body: str = ""


class Draft(Frozen):
    """A page to be written."""

    title: str
    body: str
    space: str
    parent_id: str | None = None


class Dialect(ABC):
    """Verbs over one HTTP client. A look-up gives None or nothing where the vendor says 404."""

    def __init__(self, http: Http) -> None:
        self.http = http

    @abstractmethod
    async def space(self, key: str) -> str | None:
        """What the API calls the space of that key."""

    @abstractmethod
    async def may_create(self, space: str) -> bool | None:
        """Whether the account may create pages there; None where the API can't say."""

    @abstractmethod
    async def titled(self, space: str, title: str) -> list[Page]:
        """Pages of that very title in the space, archived and trashed ones too."""

    @abstractmethod
    async def page(self, page_id: str) -> Page | None:
        """The page of that id with its body."""

    @abstractmethod
    async def create(self, draft: Draft) -> Page | None:
        """Create a page; None where its title is taken."""

    @abstractmethod
    async def update(self, page: Page, draft: Draft) -> Page:
        """Write the page's next version; raises `Transient` on a version conflict."""

    @abstractmethod
    async def mark(self, page_id: str) -> tuple[dict[str, Any], int] | None:
        """Our content property and its version."""

    @abstractmethod
    async def set_mark(self, page_id: str, value: dict[str, Any], version: int | None) -> None:
        """Write our content property: a new one, or the version after `version`."""

    async def write(
        self, method: str, path: str, operation: str, json: object, accept: frozenset[int] = frozenset()
    ) -> tuple[int, Any]:
        """A write with JSON in and out; statuses in `accept` come back instead of raising.

        A page that was found or made a moment ago can still, or already, be missing: that is worth another attempt.
        """
        request = Request(method, path, operation, json=json, writes=True)
        try:
            response = await self.http.send(request, accept=accept)
        except Permanent as refused:
            if refused.status != 404:
                raise
            raise Transient(
                f"The page is not there: it is too new to be shown, or was removed meanwhile. {refused.message}",
                code="page_not_there",
                status=404,
                answered=True,
                excerpt=refused.excerpt,
            ) from None
        return response.status, response.json()

    async def read(self, path: str, operation: str, params: dict[str, str] | None = None) -> Any:
        """A read; None on 404."""
        response = await self.http.send(Request("GET", path, operation, params=params or {}), accept=frozenset({404}))
        return None if response.status == 404 else response.json()


class CloudV2(Dialect):
    """Confluence Cloud, API v2. `base` is the path of the wiki below the site (`/wiki`)."""

    def __init__(self, http: Http, base: str) -> None:
        super().__init__(http)
        self.base = f"{base}/api/v2"
        self._ids: dict[str, str] = {}

    async def space(self, key: str) -> str | None:
        """The numeric id of the space."""
        found = await self.read(f"{self.base}/spaces", "GET /spaces", {"keys": key})
        ids = (
            [str(row["id"]) for row in found["results"] if str(row.get("key", "")).upper() == key.upper()]
            if found
            else []
        )
        return ids[0] if ids else None

    async def may_create(self, space: str) -> bool | None:
        """From the space's permitted operations."""
        found = await self.read(f"{self.base}/spaces/{space}/operations", "GET /spaces/{id}/operations")
        if found is None:
            return None
        rows = found.get("operations", [])
        return any(row.get("operation") == "create" and row.get("targetType") == "page" for row in rows)

    async def titled(self, space: str, title: str) -> list[Page]:
        """By the title filter; the vendor leaves trashed pages out unless asked."""
        params = {"space-id": space, "title": title, "status": "current,archived,trashed", "limit": "25"}
        found = await self.read(f"{self.base}/pages", "GET /pages", params)
        return [self._page(row) for row in found["results"] if row.get("title") == title] if found else []

    async def page(self, page_id: str) -> Page | None:
        """With its storage body."""
        found = await self.read(f"{self.base}/pages/{quote(page_id)}", "GET /pages/{id}", {"body-format": "storage"})
        return self._page(found) if found else None

    async def create(self, draft: Draft) -> Page | None:
        """One POST with the whole body."""
        body = self._body(draft) | {"spaceId": draft.space}
        status, answer = await self.write("POST", f"{self.base}/pages", "POST /pages", body, TOLERATED)
        if status in TOLERATED:
            _refuse_unless_title_is_taken(status, answer, draft)
            return None
        return self._page(answer)

    async def update(self, page: Page, draft: Draft) -> Page:
        """A PUT with the version after the one that was read."""
        body = self._body(draft) | {"id": page.id, "version": {"number": page.version + 1, "message": "Afterword"}}
        path = f"{self.base}/pages/{page.id}"
        status, answer = await self.write("PUT", path, "PUT /pages/{id}", body, TOLERATED)
        if status in TOLERATED:
            _refuse_unless_title_is_taken(status, answer, draft)
            raise _title_taken(draft.title)
        return self._page(answer)

    async def mark(self, page_id: str) -> tuple[dict[str, Any], int] | None:
        """From the list of properties with our key."""
        path = f"{self.base}/pages/{quote(page_id)}/properties"
        found = await self.read(path, "GET /pages/{id}/properties", {"key": PROPERTY})
        rows = [row for row in (found or {}).get("results", []) if row.get("key") == PROPERTY]
        if not rows:
            return None
        self._ids[page_id] = str(rows[0]["id"])
        return _value(rows[0]), int(rows[0]["version"]["number"])

    async def set_mark(self, page_id: str, value: dict[str, Any], version: int | None) -> None:
        """POST; where Cloud made the property by itself (409), PUT its next version."""
        path = f"{self.base}/pages/{quote(page_id)}/properties"
        if version is None:
            json = {"key": PROPERTY, "value": value}
            status, _ = await self.write("POST", path, "POST /pages/{id}/properties", json, frozenset({409}))
            if status != 409:
                return
            found = await self.mark(page_id)
            version = found[1] if found else 1
        body = {"key": PROPERTY, "value": value, "version": {"number": version + 1, "message": "Afterword"}}
        await self.write("PUT", f"{path}/{self._ids.get(page_id, PROPERTY)}", "PUT /pages/{id}/properties/{id}", body)

    def _body(self, draft: Draft) -> dict[str, Any]:
        body: dict[str, Any] = {
            "status": "current",
            "title": draft.title,
            "body": {"representation": "storage", "value": draft.body},
        }
        return body | ({"parentId": draft.parent_id} if draft.parent_id else {})

    def _page(self, row: dict[str, Any]) -> Page:
        links = row.get("_links") or {}
        webui = str(links.get("webui") or f"/pages/viewpage.action?pageId={row['id']}")
        site = str(links.get("base") or self.http.base_url + self.base.removesuffix("/api/v2"))
        return Page(
            id=str(row["id"]),
            title=str(row.get("title", "")),
            status=str(row.get("status", "current")),
            version=int(row["version"]["number"]),
            url=webui if webui.startswith("http") else site + webui,
            parent_id=str(row["parentId"]) if row.get("parentId") else None,
            body=str((((row.get("body") or {}).get("storage")) or {}).get("value") or ""),
        )


class DataCenterV1(Dialect):
    """Confluence Data Center (and tenants that ask for v1): the content API."""

    def __init__(self, http: Http, base: str) -> None:
        super().__init__(http)
        self.base = f"{base}/rest/api"

    async def space(self, key: str) -> str | None:
        """The key itself, once the space is known to exist."""
        found = await self.read(f"{self.base}/space/{quote(key)}", "GET /space/{key}")
        return str(found["key"]) if found else None

    async def may_create(self, space: str) -> bool | None:
        """This API doesn't tell."""
        return None

    async def titled(self, space: str, title: str) -> list[Page]:
        """Current and trashed pages of that title."""
        rows: list[Page] = []
        for status in ("current", "trashed"):
            params = {
                "spaceKey": space,
                "title": title,
                "status": status,
                "expand": "version,ancestors",
                "type": "page",
            }
            found = await self.read(f"{self.base}/content", "GET /content", params)
            rows += [self._page(row) for row in (found or {}).get("results", []) if row.get("title") == title]
        return list({page.id: page for page in rows}.values())

    async def page(self, page_id: str) -> Page | None:
        """With its storage body."""
        params = {"expand": "version,ancestors,body.storage"}
        found = await self.read(f"{self.base}/content/{quote(page_id)}", "GET /content/{id}", params)
        return self._page(found) if found else None

    async def create(self, draft: Draft) -> Page | None:
        """One POST with the whole body."""
        body = self._body(draft) | {"space": {"key": draft.space}}
        status, answer = await self.write("POST", f"{self.base}/content", "POST /content", body, TOLERATED)
        if status in TOLERATED:
            _refuse_unless_title_is_taken(status, answer, draft)
            return None
        return self._page(answer)

    async def update(self, page: Page, draft: Draft) -> Page:
        """A PUT with the version after the one that was read."""
        body = self._body(draft) | {"id": page.id, "version": {"number": page.version + 1, "message": "Afterword"}}
        status, answer = await self.write("PUT", f"{self.base}/content/{page.id}", "PUT /content/{id}", body, TOLERATED)
        if status in TOLERATED:
            _refuse_unless_title_is_taken(status, answer, draft)
            raise _title_taken(draft.title)
        return self._page(answer)

    async def mark(self, page_id: str) -> tuple[dict[str, Any], int] | None:
        """The property of our key."""
        path = f"{self.base}/content/{quote(page_id)}/property/{PROPERTY}"
        found = await self.read(path, "GET /content/{id}/property/{key}", {"expand": "version"})
        return (_value(found), int(found["version"]["number"])) if found else None

    async def set_mark(self, page_id: str, value: dict[str, Any], version: int | None) -> None:
        """POST a new property, or PUT the next version of the one that is there."""
        path = f"{self.base}/content/{quote(page_id)}/property"
        if version is None:
            json = {"key": PROPERTY, "value": value}
            status, _ = await self.write("POST", path, "POST /content/{id}/property", json, frozenset({409}))
            if status != 409:
                return
            found = await self.mark(page_id)
            version = found[1] if found else 1
        body = {"key": PROPERTY, "value": value, "version": {"number": version + 1}}
        await self.write("PUT", f"{path}/{PROPERTY}", "PUT /content/{id}/property/{key}", body)

    def _body(self, draft: Draft) -> dict[str, Any]:
        body: dict[str, Any] = {
            "type": "page",
            "title": draft.title,
            "body": {"storage": {"value": draft.body, "representation": "storage"}},
        }
        return body | ({"ancestors": [{"id": draft.parent_id}]} if draft.parent_id else {})

    def _page(self, row: dict[str, Any]) -> Page:
        links = row.get("_links") or {}
        webui = str(links.get("webui") or f"/pages/viewpage.action?pageId={row['id']}")
        ancestors = row.get("ancestors") or []
        return Page(
            id=str(row["id"]),
            title=str(row.get("title", "")),
            status=str(row.get("status", "current")),
            version=int((row.get("version") or {}).get("number", 1)),
            url=webui if webui.startswith("http") else str(links.get("base") or self.http.base_url) + webui,
            parent_id=str(ancestors[-1]["id"]) if ancestors else None,
            body=str((((row.get("body") or {}).get("storage")) or {}).get("value") or ""),
        )


def _value(row: dict[str, Any]) -> dict[str, Any]:
    value = row.get("value")
    return value if isinstance(value, dict) else {}


def _refuse_unless_title_is_taken(status: int, answer: object, draft: Draft) -> None:
    """None where the answer says that the title is taken; raises `Permanent` with its words for all else."""
    words = str(answer)
    lowered = words.lower()
    if status == 400 and "title" in lowered and ("already exists" in lowered or "same title" in lowered):
        return
    said = vendor_words(answer)
    if draft.parent_id and ("parent" in lowered or "ancestor" in lowered or status == 404):
        raise Permanent(
            f"There is no parent page {draft.parent_id} in this space, or the account can't see it. It said: {said!r}",
            code="unknown_parent",
            advice="Name another parent page, or none.",
            status=status,
            excerpt=said,
        )
    raise Permanent(
        f"Confluence refused the page ({status}). It said: {said!r}",
        code="refused",
        advice="Correct what it names, then `afterword job retry`.",
        status=status,
        excerpt=said,
    )


def _title_taken(title: str) -> Permanent:
    return Permanent(
        f"Another page of this space has the title {title!r}.",
        code="title_taken",
        advice="Give the document another title, or set `on_title_conflict` to adopt or number.",
    )
