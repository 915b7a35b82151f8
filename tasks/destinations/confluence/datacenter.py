"""Confluence Data Center: the content API, v1. Source: Atlassian's description of v1 and reports of its habits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

from tasks.destinations.confluence.api import (
    MOST_ROWS,
    PAGE_SIZE,
    Dialect,
    Draft,
    Page,
    PageFile,
    Person,
    key_of,
    not_visible,
    refusal,
    storage_of,
)
from tasks.destinations.contract import identifier, rows_of
from tasks.http.exchange import Http
from tasks.http.message import Request

T = TypeVar("T")
REFUSED = frozenset({400, 404, 409})


class DataCenterV1(Dialect):
    """Confluence Data Center (and tenants that ask for v1): the content API."""

    user_key = "userKey"

    def __init__(self, http: Http, base: str) -> None:
        super().__init__(http)
        self.v1 = f"{base}/rest/api"
        self.restricting = f"{base}/rest/experimental"

    async def space(self, key: str) -> str | None:
        """The key itself, once the space is known to exist."""
        return await self.read(
            f"{self.v1}/space/{quote(key)}", "GET /space/{key}", lambda found: identifier(found["key"])
        )

    async def any_space(self) -> None:
        """One row of the list."""
        response = await self.http.send(Request("GET", f"{self.v1}/space", "GET /space", params={"limit": "1"}))
        response.parsed(rows_of)

    async def may_create(self, space: str, what: str = "page") -> bool | None:
        """This API doesn't tell."""
        return None

    async def titled(self, space: str, title: str) -> list[Page]:
        """Pages of that title by status; a release that doesn't know a status (400) has none of it."""
        rows: dict[str, Page] = {}
        for status in ("current", "archived", "trashed"):
            params = {"spaceKey": space, "title": title, "status": status, "expand": "version,ancestors"}
            request = Request("GET", f"{self.v1}/content", "GET /content", params=params | {"type": "page"})
            response = await self.http.send(request, accept=frozenset({400, 404}))
            if response.status == 200:
                found = response.parsed(lambda answer: [self._page(row) for row in rows_of(answer)])
                rows |= {page.id: page for page in found if page.title.casefold() == title.casefold()}
        return list(rows.values())

    async def page(self, page_id: str) -> Page | None:
        """With its storage body, whether it is archived or in the trash."""
        params = {"expand": "version,ancestors,space,body.storage", "status": "any"}
        return await self.read(f"{self.v1}/content/{quote(page_id)}", "GET /content/{id}", self._page, params)

    async def create(self, draft: Draft) -> Page:
        """One POST with the whole body."""
        body = self._body(draft) | {"space": {"key": draft.space}}
        response = await self.write("POST", f"{self.v1}/content", "POST /content", body, REFUSED, tries=draft.title)
        if response.status in REFUSED:
            raise refusal(response, draft)
        return response.parsed(self._page)

    async def update(self, page: Page, draft: Draft) -> Page:
        """A PUT with the version after the one that was read."""
        version = {"number": page.version + 1, "message": draft.message, "minorEdit": draft.minor}
        body = self._body(draft) | {"id": page.id, "version": version}
        response = await self.write("PUT", f"{self.v1}/content/{page.id}", "PUT /content/{id}", body, REFUSED)
        if response.status == 404 and draft.parent_id in (None, page.parent_id):
            raise not_visible(page.id)
        if response.status in REFUSED:
            raise refusal(response, draft)
        return response.parsed(self._page)

    async def own_id(self) -> str:
        """The user key."""
        request = Request("GET", f"{self.v1}/user/current", "GET /user/current")
        return (await self.http.send(request)).parsed(lambda user: identifier(user["userKey"]))

    async def people(self, name: str) -> list[Person]:
        """The one with that user name."""

        def one(user: dict[str, Any]) -> Person:
            return Person(id=identifier(user["userKey"]), names=(name, str(user.get("displayName") or "")))

        found = await self.read(f"{self.v1}/user", "GET /user", one, {"username": name})
        return [found] if found else []

    async def property(self, page_id: str, key: str) -> tuple[Any, int] | None:
        """The property of that key."""
        path = f"{self.v1}/content/{quote(page_id)}/property/{quote(key)}"

        def value(found: dict[str, Any]) -> tuple[Any, int]:
            return found.get("value"), int(found["version"]["number"])

        return await self.read(path, "GET /content/{id}/property/{key}", value, {"expand": "version"})

    async def set_property(self, page_id: str, key: str, value: object, version: int | None) -> None:
        """POST a new property, or PUT the next version of the one that is there."""
        path = f"{self.v1}/content/{quote(page_id)}/property"
        if version is None:
            json = {"key": key, "value": value}
            response = await self.write("POST", path, "POST /content/{id}/property", json, frozenset({409}))
            if response.status != 409:
                response.parsed(key_of)
                return
            found = await self.property(page_id, key)
            version = found[1] if found else 1
        body = {"key": key, "value": value, "version": {"number": version + 1}}
        response = await self.write("PUT", f"{path}/{quote(key)}", "PUT /content/{id}/property/{key}", body)
        response.parsed(key_of)

    async def labels(self, page_id: str) -> list[str]:
        """All of them."""
        path = f"{self.v1}/content/{quote(page_id)}/label"
        return await self._all(path, "GET /content/{id}/label", lambda row: str(row["name"]))

    async def files(self, page_id: str) -> list[PageFile]:
        """All of them."""
        path = f"{self.v1}/content/{quote(page_id)}/child/attachment"

        def file(row: dict[str, Any]) -> PageFile:
            comment = (row.get("metadata") or {}).get("comment") or (row.get("extensions") or {}).get("comment")
            return PageFile(id=identifier(row["id"]), name=str(row.get("title", "")), comment=str(comment))

        return await self._all(path, "GET /content/{id}/child/attachment", file, {"expand": "version,metadata"})

    async def _all(
        self, path: str, operation: str, parse: Callable[[dict[str, Any]], T], more: dict[str, str] | None = None
    ) -> list[T]:
        """The rows of every page of a list."""
        rows: list[T] = []

        def some(found: dict[str, Any]) -> tuple[list[T], bool]:
            return [parse(row) for row in rows_of(found)], bool((found.get("_links") or {}).get("next"))

        while len(rows) < MOST_ROWS:
            params = {"start": str(len(rows)), "limit": str(PAGE_SIZE), **(more or {})}
            found = await self.read(path, operation, some, params)
            if found is None:
                raise not_visible(path)
            some_rows, goes_on = found
            rows += some_rows
            if not some_rows or not goes_on:
                return rows
        return rows

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
        version = row.get("version") or {}
        return Page(
            id=identifier(row["id"]),
            title=str(row.get("title", "")),
            status=str(row.get("status", "current")),
            version=int(version.get("number", 1)),
            message=str(version.get("message") or ""),
            url=webui if webui.startswith("http") else str(links.get("base") or self.http.base_url) + webui,
            parent_id=str(ancestors[-1]["id"]) if ancestors else None,
            space=str((row.get("space") or {}).get("key") or ""),
            body=storage_of(row),
        )
