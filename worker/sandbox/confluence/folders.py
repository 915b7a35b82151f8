"""Folders of Confluence Cloud, API v2: places for pages. Their titles are unique in a space, beside those of pages.

Source: Atlassian's description of v2. There is no list of folders: they are found below what they stand in, or by the search.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from worker.sandbox.confluence.cloud import V2, guarded, paged, sent
from worker.sandbox.confluence.rules import ACCOUNT, TITLE_LENGTH, Pages, Refusal
from worker.sandbox.store import Folder, Store, iso


class ConfluenceFolders:
    """Handlers over the store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.rules = Pages(store)

    def routes(self) -> list[web.RouteDef]:
        """All routes; they stand before those of both APIs, which end with a route for all that isn't there."""
        folder = f"{V2}/folders/{{id}}"
        return [
            web.post(f"{V2}/folders", guarded(self.create)),
            web.get(folder, guarded(self.folder)),
            web.delete(folder, guarded(self.delete)),
            web.get(f"{folder}/direct-children", guarded(self.children)),
            web.get(f"{V2}/pages/{{id}}/direct-children", guarded(self.children)),
        ]

    def _get(self, number: str) -> Folder:
        found = self.store.folders.get(number)
        if found is None:
            raise Refusal("missing", "Folder not found or not permitted")
        return found

    async def create(self, request: web.Request) -> web.Response:
        """A new folder below a page or folder, or below the space's first page: 200. A taken title is 400."""
        body = await sent(request)
        key, title = self.store.space_of(str(body.get("spaceId"))), str(body.get("title") or "")
        if key is None:
            raise Refusal("missing", "Space not found or not permitted")
        if not 0 < len(title.strip()) <= TITLE_LENGTH:
            raise Refusal("parameter", "A title of at most 255 characters must be given")
        parent = str(body.get("parentId") or self.store.homepage(key))
        if parent not in self.store.folders:
            self.rules.get(parent)
        if any(f.space == key and f.title.casefold() == title.casefold() for f in self.store.folders.values()):
            raise Refusal("folder_taken")
        made = Folder(self.store.next_id(), key, title, parent, created=self.store.clock())
        self.store.folders[made.id] = made
        return web.json_response(self._shown(made))

    async def folder(self, request: web.Request) -> web.Response:
        """One folder."""
        return web.json_response(self._shown(self._get(request.match_info["id"])))

    async def delete(self, request: web.Request) -> web.Response:
        """Delete a folder."""
        del self.store.folders[self._get(request.match_info["id"]).id]
        return web.Response(status=204)

    async def children(self, request: web.Request) -> web.Response:
        """Pages and folders right below a page or folder."""
        number = request.match_info["id"]
        if "/folders/" in request.path:
            self._get(number)
        else:
            self.rules.get(number)
        rows = [(p.id, "page", p.title, p.space) for p in self.rules.find(parent=number)]
        rows += [(f.id, "folder", f.title, f.space) for f in self.store.folders.values() if f.parent == number]
        shown = [
            {"id": i, "status": "current", "title": title, "type": kind, "spaceId": self.store.spaces[space]}
            | {"childPosition": place}
            for place, (i, kind, title, space) in enumerate(rows)
        ]
        return paged(request, shown)

    def _shown(self, folder: Folder) -> dict[str, Any]:
        return {
            "id": folder.id,
            "type": "folder",
            "status": "current",
            "title": folder.title,
            "parentId": folder.parent,
            "parentType": "folder" if folder.parent in self.store.folders else "page",
            "position": int(folder.id),
            "authorId": ACCOUNT,
            "ownerId": ACCOUNT,
            "createdAt": iso(folder.created),
            "spaceId": self.store.spaces[folder.space],
            "version": {
                "number": 1,
                "message": "",
                "minorEdit": False,
                "authorId": ACCOUNT,
                "createdAt": iso(folder.created),
            },
            "_links": {"base": ""},
        }
