"""Confluence Cloud, API v2. Source: Atlassian's description of v2. Labels and uploads are v1 calls that Cloud keeps."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import parse_qs, quote, urlsplit

from tasks.destinations.confluence.api import (
    MOST_ROWS,
    PAGE_SIZE,
    Dialect,
    Draft,
    Folder,
    Page,
    PageFile,
    Person,
    TitleTaken,
    key_of,
    not_visible,
    refusal,
    storage_of,
)
from tasks.destinations.contract import identifier, rows_of
from tasks.errors import DestinationTrouble, Permanent
from tasks.http.exchange import Http
from tasks.http.message import Request

T = TypeVar("T")
REFUSED = frozenset({400, 404, 409})
STATUS_COLOR = "#2684ff"  # of a status that nobody has used yet: blue, as the vendor offers it
_ACCOUNT = re.compile(r"^(?:[0-9a-f]{24}|[0-9]{5,7}:[\w-]{1,80})$")


class CloudV2(Dialect):
    """Confluence Cloud, API v2. `base` is the path of the wiki below the site (`/wiki`)."""

    user_key = "accountId"
    creates_private = True

    def __init__(self, http: Http, base: str) -> None:
        super().__init__(http)
        self.base = f"{base}/api/v2"
        self.v1 = self.restricting = f"{base}/rest/api"
        self._ids: dict[tuple[str, str], str] = {}

    async def space(self, key: str) -> str | None:
        """The numeric id of the space."""

        def its_id(found: dict[str, Any]) -> str | None:
            ids = (identifier(row["id"]) for row in rows_of(found) if str(row.get("key", "")).upper() == key.upper())
            return next(ids, None)

        return await self.read(f"{self.base}/spaces", "GET /spaces", its_id, {"keys": key})

    async def any_space(self) -> None:
        """One row of the list."""
        response = await self.http.send(Request("GET", f"{self.base}/spaces", "GET /spaces", params={"limit": "1"}))
        response.parsed(rows_of)

    async def may_create(self, space: str, what: str = "page") -> bool | None:
        """From the space's permitted operations."""

        def permitted(found: dict[str, Any]) -> bool:
            rows = rows_of(found, "operations")
            return any(row.get("operation") == "create" and row.get("targetType") == what for row in rows)

        return await self.read(f"{self.base}/spaces/{space}/operations", "GET /spaces/{id}/operations", permitted)

    async def titled(self, space: str, title: str) -> list[Page]:
        """By the title filter; the vendor leaves trashed pages out unless asked."""
        params = {"space-id": space, "title": title, "status": "current,archived,trashed", "limit": "25"}

        def of_that_title(found: dict[str, Any]) -> list[Page]:
            rows = rows_of(found)
            return [self._page(row) for row in rows if str(row.get("title")).casefold() == title.casefold()]

        return await self.read(f"{self.base}/pages", "GET /pages", of_that_title, params) or []

    async def page(self, page_id: str) -> Page | None:
        """With its storage body."""
        params = {"body-format": "storage"}
        return await self.read(f"{self.base}/pages/{quote(page_id)}", "GET /pages/{id}", self._page, params)

    async def create(self, draft: Draft) -> Page:
        """One POST with the whole body."""
        body = self._body(draft) | {"spaceId": draft.space}
        params = {"private": "true"} if draft.private else {}
        path = f"{self.base}/pages"
        response = await self.write("POST", path, "POST /pages", body, REFUSED, tries=draft.title, params=params)
        if response.status in REFUSED:
            raise refusal(response, draft)
        return response.parsed(self._page)

    async def update(self, page: Page, draft: Draft) -> Page:
        """A PUT with the version after the one that was read. This API has no minor edit."""
        version = {"number": page.version + 1, "message": draft.message}
        body = self._body(draft) | {"id": page.id, "version": version}
        body |= {"ownerId": draft.owner} if draft.owner else {}
        response = await self.write("PUT", f"{self.base}/pages/{page.id}", "PUT /pages/{id}", body, REFUSED)
        if response.status == 404 and draft.parent_id in (None, page.parent_id):
            raise not_visible(page.id)
        if response.status in REFUSED:
            raise refusal(response, draft)
        return response.parsed(self._page)

    async def own_id(self) -> str:
        """The account id."""
        request = Request("GET", f"{self.v1}/user/current", "GET /user/current")
        return (await self.http.send(request)).parsed(lambda user: identifier(user["accountId"]))

    async def people(self, name: str) -> list[Person]:
        """By account id, else among those whose shown name has the words; the search knows no addresses."""
        by_id = f'user = "{name}"' if _ACCOUNT.match(name) else ""
        words = " ".join(re.split(r"[^\w'-]+|_", name.partition("@")[0])).strip()
        params = {"cql": by_id or f'user.fullname ~ "{words}"', "limit": "50"}

        def found(answer: dict[str, Any]) -> list[Person]:
            users = [row["user"] for row in rows_of(answer)]
            keys = ("displayName", "publicName", "email")
            return [
                Person(id=identifier(u["accountId"]), names=tuple(str(u[k]) for k in keys if u.get(k))) for u in users
            ]

        return await self.read(f"{self.v1}/search/user", "GET /search/user", found, params) or []

    async def set_status(self, page_id: str, name: str) -> None:
        """The space's own or the account's status of that name; a new one where there is none."""
        path, operation = f"{self.v1}/content/{quote(page_id)}/state", "/content/{id}/state"

        def present(answer: dict[str, Any]) -> str:
            return str((answer.get("contentState") or {}).get("name") or "")

        current = await self.read(path, f"GET {operation}", present, {"status": "current"})
        if (current or "").casefold() == name.casefold():
            return

        def offered(answer: dict[str, Any]) -> list[dict[str, Any]]:
            return [row for kind in ("spaceContentStates", "customContentStates") for row in answer.get(kind) or ()]

        rows = await self.read(f"{path}/available", f"GET {operation}/available", offered) or []
        chosen = next((row for row in rows if str(row["name"]).casefold() == name.casefold()), None)
        body = {"id": chosen["id"]} if chosen else {"name": name, "color": STATUS_COLOR}
        response = await self.write(
            "PUT", path, f"PUT {operation}", body, frozenset({400}), params={"status": "current"}
        )
        if response.status == 400:
            names = ", ".join(str(row["name"]) for row in rows) or "none"
            raise Permanent(
                f"Confluence refused the status {name!r}. It said: {response.words()!r}",
                code="status_refused",
                advice=f"Set `page_status` to one that the space offers ({names}), or permit custom ones in the space's settings.",
                status=400,
                excerpt=response.words(),
            )

    async def place(self, space: str, number: str) -> str | None:
        """A page, else a folder."""
        if title := await super().place(space, number):
            return title
        try:
            path = f"{self.base}/folders/{quote(number)}"
            found = await self.read(path, "GET /folders/{id}", _folder)
        except DestinationTrouble as trouble:
            if trouble.code != "scope_missing":
                raise
            return None
        return found.title if found else None

    async def folder(self, space: str, key: str, title: str, above: str | None) -> Folder | None:
        """From the children of what is above; at the top by the search, whose index lags."""
        try:
            return await (self._folder_below(above, title) if above else self._folder_in(key, title))
        except DestinationTrouble as trouble:
            if trouble.code != "scope_missing":  # a token that was made without folders in mind finds none
                raise
            return None

    async def _folder_in(self, key: str, title: str) -> Folder | None:
        quoted = title.replace("\\", "\\\\").replace('"', '\\"')
        params = {"cql": f'type = folder AND space = "{key}" AND title = "{quoted}"', "limit": "25"}

        def first(answer: dict[str, Any]) -> Folder | None:
            rows = [row["content"] for row in rows_of(answer)]
            return next((_folder(row) for row in rows if str(row.get("title")).casefold() == title.casefold()), None)

        return await self.read(f"{self.v1}/search", "GET /search", first, params)

    async def _folder_below(self, above: str, title: str) -> Folder | None:
        for kind in ("folders", "pages"):
            path = f"{self.base}/{kind}/{quote(above)}/direct-children"
            rows = await self._rows(path, f"GET /{kind}/{{id}}/direct-children", lambda row: row)
            if rows is None:
                continue  # what is above is of the other kind
            named = (row for row in rows if row.get("type") == "folder")
            return next((_folder(row) for row in named if str(row.get("title")).casefold() == title.casefold()), None)
        return None

    async def create_folder(self, space: str, title: str, above: str | None) -> Folder:
        """One POST."""
        body = {"spaceId": space, "title": title} | ({"parentId": above} if above else {})
        response = await self.write("POST", f"{self.base}/folders", "POST /folders", body, REFUSED)
        if response.status in REFUSED:
            said = response.words()
            if response.status == 400 and "same title" in said.casefold():
                raise TitleTaken("A folder of this title exists.", code="title_taken", status=400)
            raise Permanent(
                f"Confluence refused the folder ({response.status}). It said: {said!r}",
                code="refused",
                advice="A 404 here also means that the account may not create folders: check its rights, then `afterword job retry`.",
                status=response.status,
                excerpt=said,
            )
        return response.parsed(_folder)

    async def property(self, page_id: str, key: str) -> tuple[Any, int] | None:
        """From the list of properties with that key."""
        path = f"{self.base}/pages/{quote(page_id)}/properties"

        def of_that_key(found: dict[str, Any]) -> tuple[str, Any, int] | None:
            rows = [row for row in rows_of(found) if row.get("key") == key]
            return (
                (identifier(rows[0]["id"]), rows[0].get("value"), int(rows[0]["version"]["number"])) if rows else None
            )

        found = await self.read(path, "GET /pages/{id}/properties", of_that_key, {"key": key})
        if found is None:
            return None
        self._ids[page_id, key] = found[0]
        return found[1:]

    async def set_property(self, page_id: str, key: str, value: object, version: int | None) -> None:
        """POST; where Cloud made the property by itself (409), PUT its next version."""
        path = f"{self.base}/pages/{quote(page_id)}/properties"
        if version is None:
            json = {"key": key, "value": value}
            response = await self.write("POST", path, "POST /pages/{id}/properties", json, frozenset({409}))
            if response.status != 409:
                response.parsed(key_of)
                return
            found = await self.property(page_id, key)
            version = found[1] if found else 1
        body = {"key": key, "value": value, "version": {"number": version + 1, "message": "Afterword"}}
        place = f"{path}/{self._ids.get((page_id, key), key)}"
        (await self.write("PUT", place, "PUT /pages/{id}/properties/{id}", body)).parsed(key_of)

    async def labels(self, page_id: str) -> list[str]:
        """All of them."""
        path = f"{self.base}/pages/{quote(page_id)}/labels"
        return await self._all(path, "GET /pages/{id}/labels", lambda row: str(row["name"]))

    async def files(self, page_id: str) -> list[PageFile]:
        """All of them."""
        path = f"{self.base}/pages/{quote(page_id)}/attachments"

        def file(row: dict[str, Any]) -> PageFile:
            comment = str(row.get("comment") or "")
            return PageFile(id=identifier(row["id"]), name=str(row.get("title", "")), comment=comment)

        return await self._all(path, "GET /pages/{id}/attachments", file)

    async def _rows(self, path: str, operation: str, parse: Callable[[dict[str, Any]], T]) -> list[T] | None:
        """The rows of every page of a list, by the cursor of `_links.next`; None where there is no such list."""
        rows: list[T] = []

        def some(found: dict[str, Any]) -> tuple[list[T], list[str] | None]:
            onward = str((found.get("_links") or {}).get("next") or "")
            return [parse(row) for row in rows_of(found)], parse_qs(urlsplit(onward).query).get("cursor")

        params = {"limit": str(PAGE_SIZE)}
        while len(rows) < MOST_ROWS:
            found = await self.read(path, operation, some, params)
            if found is None:
                return None
            more, cursor = found
            rows += more
            if not cursor:
                return rows
            params = params | {"cursor": cursor[0]}
        return rows

    async def _all(self, path: str, operation: str, parse: Callable[[dict[str, Any]], T]) -> list[T]:
        rows = await self._rows(path, operation, parse)
        if rows is None:
            raise not_visible(path)
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
            id=identifier(row["id"]),
            title=str(row.get("title", "")),
            status=str(row.get("status", "current")),
            version=int(version.get("number", 1)),
            message=str(version.get("message") or ""),
            url=webui if webui.startswith("http") else site + webui,
            parent_id=str(row["parentId"]) if row.get("parentId") else None,
            space=str(row.get("spaceId") or ""),
            owner=str(row.get("ownerId") or ""),
            body=storage_of(row),
        )


def _folder(row: dict[str, Any]) -> Folder:
    return Folder(id=identifier(row["id"]), title=str(row.get("title", "")))
