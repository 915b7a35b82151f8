"""Simulated ServiceNow: the table API of `incident`, with its silences."""

from __future__ import annotations

import uuid
from typing import Any

from aiohttp import web

from worker.sandbox.credentials import refused
from worker.sandbox.store import Store

TABLE = "/api/now/table/{table}"
FIELDS = {
    "short_description": 160,
    "description": 4000,
    "impact": 1,
    "urgency": 1,
    "correlation_id": 100,
    "correlation_display": 100,
    "assignment_group": 100,
    "category": 40,
    "subcategory": 40,
    "caller_id": 100,
    "work_notes": 4000,
    "comments": 4000,
    "state": 2,
    "cmdb_ci": 100,
    "business_service": 100,
    "close_notes": 4000,
    "contact_type": 40,
    "assigned_to": 100,
}
CHOICES = {"impact": "123", "urgency": "123", "state": "123678"}


class ServiceNow:
    """Handlers over the store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def routes(self) -> list[web.RouteDef]:
        """All routes."""
        return [
            web.get(TABLE, self.find),
            web.post(TABLE, self.create),
            web.get(TABLE + "/{sys_id}", self.one),
            web.patch(TABLE + "/{sys_id}", self.change),
            web.put(TABLE + "/{sys_id}", self.change),
            web.delete(TABLE + "/{sys_id}", self.delete),
            web.post("/oauth_token.do", self.token),
        ]

    async def token(self, request: web.Request) -> web.Response:
        """An access token."""
        form = await request.post()
        if not form.get("grant_type") or "wrong" in str(form):
            return web.json_response({"error": "server_error", "error_description": "access_denied"}, status=401)
        return web.json_response({"access_token": uuid.uuid4().hex, "token_type": "Bearer", "expires_in": 1799})

    def _check(self, request: web.Request) -> web.Response | None:
        if refused(request):
            return _error(401, "User Not Authenticated", "Required to provide Auth information")
        if request.match_info["table"] != "incident":
            return _error(400, f"Invalid table {request.match_info['table']}", None)
        return None

    async def find(self, request: web.Request) -> web.Response:
        """Rows of a query; a part that can't be parsed is ignored."""
        if wrong := self._check(request):
            return wrong
        rows = [
            row for row in self.store.incidents.values() if self._matches(row, request.query.get("sysparm_query", ""))
        ]
        limit, offset = int(request.query.get("sysparm_limit", 10000)), int(request.query.get("sysparm_offset", 0))
        shown = [_shown(row, request) for row in rows[offset : offset + limit]]
        return web.json_response({"result": shown}, headers={"X-Total-Count": str(len(rows))})

    def _matches(self, row: dict[str, str], query: str) -> bool:
        alternatives = query.split("^OR")
        return any(self._all(row, part) for part in alternatives)

    def _all(self, row: dict[str, str], query: str) -> bool:
        for part in query.split("^"):
            name, equals, value = part.partition("=")
            if equals and name in row and row[name] != value:
                return False
        return True

    async def create(self, request: web.Request) -> web.Response:
        """Create: 201; unknown fields and choices are dropped."""
        if wrong := self._check(request):
            return wrong
        if "application/json" not in request.headers.get("Content-Type", ""):
            return _error(400, "Exception while reading request", "The payload is not valid JSON.")
        number = next(self.store.ids)
        row = dict.fromkeys(FIELDS, "") | {
            "sys_id": uuid.uuid4().hex,
            "number": f"INC{number:07d}",
            "impact": "3",
            "urgency": "3",
            "state": "1",
            "sys_mod_count": "-1",
            "active": "true",
        }
        self._apply(row, await request.json())
        self.store.incidents[row["sys_id"]] = row
        where = f"{request.scheme}://{request.host}{request.path}/{row['sys_id']}"
        return web.json_response({"result": _shown(row, request)}, status=201, headers={"Location": where})

    def _apply(self, row: dict[str, str], given: dict[str, Any]) -> None:
        for name, value in given.items():
            text = str(value)
            if name in FIELDS and not (name in CHOICES and text not in CHOICES[name]):
                row[name] = text[: FIELDS[name]]
        row["priority"] = str(int(row["impact"]) + int(row["urgency"]) - 1)
        row["sys_mod_count"] = str(int(row["sys_mod_count"]) + 1)

    async def one(self, request: web.Request) -> web.Response:
        """One incident."""
        if wrong := self._check(request):
            return wrong
        row = self.store.incidents.get(request.match_info["sys_id"])
        return web.json_response({"result": _shown(row, request)}) if row else _missing()

    async def change(self, request: web.Request) -> web.Response:
        """Change fields."""
        if wrong := self._check(request):
            return wrong
        row = self.store.incidents.get(request.match_info["sys_id"])
        if row is None:
            return _missing()
        self._apply(row, await request.json())
        return web.json_response({"result": _shown(row, request)})

    async def delete(self, request: web.Request) -> web.Response:
        """Delete an incident."""
        if wrong := self._check(request):
            return wrong
        found = self.store.incidents.pop(request.match_info["sys_id"], None)
        return web.Response(status=204) if found else _missing()


def _shown(row: dict[str, str], request: web.Request) -> dict[str, str]:
    names = request.query.get("sysparm_fields")
    return {name: row[name] for name in names.split(",") if name in row} if names else row


def _error(status: int, message: str, detail: str | None) -> web.Response:
    return web.json_response({"error": {"message": message, "detail": detail}, "status": "failure"}, status=status)


def _missing() -> web.Response:
    return _error(404, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")
