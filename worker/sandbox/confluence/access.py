"""Who may read and edit a page, and its status: calls of v1 that Cloud keeps. A Data Center has no statuses, and sets
restrictions below `/rest/experimental`. Source: Atlassian's description of v1 and reports of its habits.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from worker.sandbox.confluence.cloud import sent
from worker.sandbox.confluence.datacenter import CLOUD, DATA_CENTER, guarded_v1
from worker.sandbox.confluence.people import GROUPS, accounts, by_account
from worker.sandbox.confluence.rules import Pages, Refusal
from worker.sandbox.store import Page, Store, iso

EXPERIMENTAL = "/rest/experimental"
Users = Sequence[dict[str, str]]
OPERATIONS = ("read", "update")
STATE_LENGTH = 20
SPACE_STATES = (
    {"id": 0, "name": "Rough draft", "color": "#FFC400"},
    {"id": 1, "name": "In progress", "color": "#2684FF"},
    {"id": 2, "name": "Ready for review", "color": "#57D9A3"},
)


class ConfluenceAccess:
    """Handlers over the store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.rules = Pages(store)

    def routes(self) -> list[web.RouteDef]:
        """All routes; they stand before those of the content API, which ends with a route for all that isn't there."""
        found: list[web.RouteDef] = []
        for base in (CLOUD, DATA_CENTER):
            found.append(web.get(f"{base}/content/{{id}}/restriction/byOperation", self.by_operation))
        for base in (CLOUD, EXPERIMENTAL):
            found.append(web.put(f"{base}/content/{{id}}/restriction", self.restrict))
        state = f"{CLOUD}/content/{{id}}/state"
        found += [
            web.get(state, self.state),
            web.put(state, self.set_state),
            web.get(f"{state}/available", self.states),
            web.get(f"{CLOUD}/search/user", self.search),
            web.get(f"{DATA_CENTER}/user", self.user),
        ]
        return [web.route(route.method, route.path, guarded_v1(route.handler)) for route in found]

    async def by_operation(self, request: web.Request) -> web.Response:
        """Who may read and update the page; nobody means everybody."""
        page = self.rules.get(request.match_info["id"])
        return web.json_response({name: _limit(page, name, self.store.users) for name in OPERATIONS} | {"_links": {}})

    async def restrict(self, request: web.Request) -> web.Response:
        """All restrictions of the page at once: what isn't named is open to everybody."""
        page = self.rules.get(request.match_info["id"])
        self.rules.must_be_ours(page)
        given = json.loads(await request.read() or b"null")
        rows = given.get("results") if isinstance(given, dict) else given
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise Refusal("parameter", "An array of restrictions is required")
        cloud = request.path.startswith(CLOUD)
        limits: dict[str, dict[str, list[str]]] = {}
        for row in rows:
            if row.get("operation") not in OPERATIONS:
                raise Refusal("parameter", f"Operation {row.get('operation')!r} is not supported")
            limits[row["operation"]] = _checked(
                row.get("restrictions") or {}, "accountId" if cloud else "userKey", self.store.users
            )
        page.limits = limits
        return web.json_response(
            {"results": [_limit(page, name, self.store.users) for name in limits], "start": 0, "limit": 200}
        )

    async def state(self, request: web.Request) -> web.Response:
        """The page's status."""
        return web.json_response(_state(self.rules.get(request.match_info["id"])))

    async def states(self, request: web.Request) -> web.Response:
        """The statuses that the space offers, and those of the account's own."""
        self.rules.get(request.match_info["id"])
        return web.json_response({"spaceContentStates": SPACE_STATES, "customContentStates": self.store.page_states})

    async def set_state(self, request: web.Request) -> web.Response:
        """Another status, by the id of one that is offered or by name and colour: a version of its own, with the same text."""
        page, body = self.rules.get(request.match_info["id"]), await sent(request)
        self.rules.must_be_ours(page)
        if request.query.get("status") != "current":
            raise Refusal("parameter", "Status must be in [draft,current].")
        page.state = self._wanted(body)
        self.rules.rewrite(page, page.title, page.body)
        return web.json_response(_state(page))

    def _wanted(self, body: dict[str, Any]) -> dict[str, Any]:
        known = [*SPACE_STATES, *self.store.page_states]
        if body.get("id") is not None:
            found = next((row for row in known if row["id"] == body["id"]), None)
            if found is None:
                raise Refusal("parameter", "There is no content state with that id")
            return found
        name, color = str(body.get("name") or ""), str(body.get("color") or "")
        if not 0 < len(name) <= STATE_LENGTH:
            raise Refusal("parameter", "Name must be less than or exactly 20 characters.")
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", color):
            raise Refusal("parameter", "Color must be a valid hex string.")
        if self.store.denies("confluence", "*", "custom_status"):
            raise Refusal("parameter", "Custom content states are disabled in this space")
        made = next((row for row in known if (row["name"], row["color"]) == (name, color)), None)
        if made is None:
            made = {"id": int(self.store.next_id()), "name": name, "color": color}
            self.store.page_states.append(made)
        return made

    async def search(self, request: web.Request) -> web.Response:
        """Accounts by `user = "ID"` or by words of their shown names, never by an address."""
        query = re.fullmatch(
            r'\s*(user|user\.accountid|user\.fullname)\s*([=~])\s*"([^"]+)"\s*', request.query.get("cql", "")
        )
        if query is None:
            raise Refusal("parameter", "Could not parse cql")
        name, _, value = query.groups()
        words = value.casefold().split()
        rows = [
            row
            for row in accounts(self.store.users)
            if (row["accountId"] == value if name != "user.fullname" else _begin(words, row["displayName"]))
        ]
        shown = [{"user": _user(row) | {"email": row["email"]}, "title": row["displayName"]} for row in rows]
        return web.json_response({"results": shown, "start": 0, "limit": 25, "size": len(shown), "_links": {}})

    async def user(self, request: web.Request) -> web.Response:
        """One account of a Data Center, by its user name."""
        wanted = request.query.get("username", "").casefold()
        found = next((row for row in accounts(self.store.users) if row["username"] == wanted), None)
        if found is None:
            raise Refusal("missing", f"No user found with username : {wanted}")
        return web.json_response(_user(found))


def _begin(words: list[str], shown: str) -> bool:
    names = shown.casefold().split()
    return all(any(name.startswith(word) for name in names) for word in words)


def _checked(given: dict[str, Any], key: str, users: Users) -> dict[str, list[str]]:
    """The ids and names of one operation; an empty list has to be left out."""
    found: dict[str, list[str]] = {"user": [], "group": []}
    for kind, rows in given.items():
        if kind not in found or not isinstance(rows, list) or not rows:
            raise Refusal("parameter", f"At least one of user or group must be specified, and {kind} must have an item")
        for row in rows:
            wanted = {"user": "known", "group": "group"}[kind]
            name = str(row.get(key if kind == "user" else "name") or "")
            if row.get("type") != wanted or (by_account(name, users) is None if kind == "user" else name not in GROUPS):
                raise Refusal("parameter", f"No {kind} found: {name}")
            found[kind].append(name)
    if not any(found.values()):
        raise Refusal("parameter", "At least one of user or group must be specified")
    return found


def _user(row: dict[str, str]) -> dict[str, Any]:
    names = {"accountId": row["accountId"], "username": row["username"], "userKey": row["userKey"]}
    return {"type": "known", "displayName": row["displayName"], "publicName": row["displayName"], **names}


def _limit(page: Page, operation: str, every: Users) -> dict[str, Any]:
    limit = page.limits.get(operation) or {"user": [], "group": []}
    users = [_user(row) for name in limit["user"] if (row := by_account(name, every))]
    groups = [{"type": "group", "name": name} for name in limit["group"]]
    held = {
        kind: {"results": rows, "start": 0, "limit": 200, "size": len(rows)}
        for kind, rows in (("user", users), ("group", groups))
    }
    return {"operation": operation, "restrictions": held, "_expandable": {}, "_links": {}}


def _state(page: Page) -> dict[str, Any]:
    return {"contentState": page.state, "lastUpdated": iso(page.changed)}
