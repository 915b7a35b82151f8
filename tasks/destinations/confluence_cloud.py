"""Confluence Cloud, API v2. Source: Atlassian's description of v2. Labels and uploads are v1 calls that Cloud keeps."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from tasks.destinations.confluence_api import (
    MOST_ROWS,
    PAGE_SIZE,
    Dialect,
    Draft,
    Page,
    PageFile,
    not_visible,
    refusal,
    storage_of,
)
from tasks.outbound import Http

REFUSED = frozenset({400, 404, 409})


class CloudV2(Dialect):
    """Confluence Cloud, API v2. `base` is the path of the wiki below the site (`/wiki`)."""

    def __init__(self, http: Http, base: str) -> None:
        super().__init__(http)
        self.base = f"{base}/api/v2"
        self.v1 = f"{base}/rest/api"
        self._ids: dict[tuple[str, str], str] = {}

    async def space(self, key: str) -> str | None:
        """The numeric id of the space."""
        found = await self.read(f"{self.base}/spaces", "GET /spaces", {"keys": key})
        rows = found["results"] if found else []
        return next((str(row["id"]) for row in rows if str(row.get("key", "")).upper() == key.upper()), None)

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
        rows = found["results"] if found else []
        return [self._page(row) for row in rows if str(row.get("title")).casefold() == title.casefold()]

    async def page(self, page_id: str) -> Page | None:
        """With its storage body."""
        found = await self.read(f"{self.base}/pages/{quote(page_id)}", "GET /pages/{id}", {"body-format": "storage"})
        return self._page(found) if found else None

    async def create(self, draft: Draft) -> Page:
        """One POST with the whole body."""
        body = self._body(draft) | {"spaceId": draft.space}
        response = await self.write("POST", f"{self.base}/pages", "POST /pages", body, REFUSED, tries=draft.title)
        if response.status in REFUSED:
            raise refusal(response, draft)
        return self._page(response.json())

    async def update(self, page: Page, draft: Draft) -> Page:
        """A PUT with the version after the one that was read. This API has no minor edit."""
        version = {"number": page.version + 1, "message": draft.message}
        body = self._body(draft) | {"id": page.id, "version": version}
        response = await self.write("PUT", f"{self.base}/pages/{page.id}", "PUT /pages/{id}", body, REFUSED)
        if response.status == 404 and not draft.parent_id:
            raise not_visible(page.id)
        if response.status in REFUSED:
            raise refusal(response, draft)
        return self._page(response.json())

    async def property(self, page_id: str, key: str) -> tuple[Any, int] | None:
        """From the list of properties with that key."""
        path = f"{self.base}/pages/{quote(page_id)}/properties"
        found = await self.read(path, "GET /pages/{id}/properties", {"key": key})
        rows = [row for row in (found or {}).get("results", []) if row.get("key") == key]
        if not rows:
            return None
        self._ids[page_id, key] = str(rows[0]["id"])
        return rows[0].get("value"), int(rows[0]["version"]["number"])

    async def set_property(self, page_id: str, key: str, value: object, version: int | None) -> None:
        """POST; where Cloud made the property by itself (409), PUT its next version."""
        path = f"{self.base}/pages/{quote(page_id)}/properties"
        if version is None:
            json = {"key": key, "value": value}
            response = await self.write("POST", path, "POST /pages/{id}/properties", json, frozenset({409}))
            if response.status != 409:
                return
            found = await self.property(page_id, key)
            version = found[1] if found else 1
        body = {"key": key, "value": value, "version": {"number": version + 1, "message": "Afterword"}}
        place = f"{path}/{self._ids.get((page_id, key), key)}"
        await self.write("PUT", place, "PUT /pages/{id}/properties/{id}", body)

    async def labels(self, page_id: str) -> list[str]:
        """All of them."""
        path = f"{self.base}/pages/{quote(page_id)}/labels"
        return [str(row["name"]) for row in await self._all(path, "GET /pages/{id}/labels")]

    async def files(self, page_id: str) -> list[PageFile]:
        """All of them."""
        path = f"{self.base}/pages/{quote(page_id)}/attachments"
        rows = await self._all(path, "GET /pages/{id}/attachments")
        return [
            PageFile(id=str(row["id"]), name=str(row.get("title", "")), comment=str(row.get("comment") or ""))
            for row in rows
        ]

    async def _all(self, path: str, operation: str) -> list[dict[str, Any]]:
        """The rows of every page of a list, by the cursor of `_links.next`."""
        rows: list[dict[str, Any]] = []
        params = {"limit": str(PAGE_SIZE)}
        while len(rows) < MOST_ROWS:
            found = await self.read(path, operation, params)
            if found is None:
                raise not_visible(path)
            rows += found.get("results", [])
            cursor = parse_qs(urlsplit(str((found.get("_links") or {}).get("next") or "")).query).get("cursor")
            if not cursor:
                return rows
            params = params | {"cursor": cursor[0]}
        return rows

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
        version = row.get("version") or {}
        return Page(
            id=str(row["id"]),
            title=str(row.get("title", "")),
            status=str(row.get("status", "current")),
            version=int(version.get("number", 1)),
            message=str(version.get("message") or ""),
            url=webui if webui.startswith("http") else site + webui,
            parent_id=str(row["parentId"]) if row.get("parentId") else None,
            body=storage_of(row),
        )
