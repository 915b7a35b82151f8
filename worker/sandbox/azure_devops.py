"""Simulated Azure DevOps: work items, WIQL and what the connection test reads, for any organisation."""

from __future__ import annotations

import json
import re
from typing import Any

from aiohttp import web

from worker.sandbox.credentials import refused
from worker.sandbox.faults import SIGN_IN
from worker.sandbox.store import Store, tags_of

CUSTOM = ("System.", "Microsoft.VSTS.", "Custom.")
READ_ONLY = frozenset({"System.Id", "System.Rev", "System.TeamProject", "System.WorkItemType"})
SEVERITIES = ("1 - Critical", "2 - High", "3 - Medium", "4 - Low")
AREA_WIT = "5264459e-e5e0-4bd8-b118-0985e68a4ec5"


class AzureDevOps:
    """Handlers over the store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def routes(self) -> list[web.RouteDef]:
        """All routes; those of an item exist with and without the project."""
        found = [
            web.options("/{org}/_apis", self.areas),
            web.get("/{org}/_apis/connectionData", self.connection),
            web.get("/{org}/_apis/projects", self.projects),
            web.get("/{org}/_apis/projects/{project}", self.project),
        ]
        for base in ("/{org}/{project}/_apis/wit", "/{org}/_apis/wit"):
            found += [
                web.get(f"{base}/workitemtypes", self.types),
                web.get(base + "/workitemtypes/{type}", self.type),
                web.post(base + "/workitems/${type}", self.create),
                web.get(base + "/workitems/{id}", self.item),
                web.patch(base + "/workitems/{id}", self.change),
                web.get(f"{base}/workitems", self.items),
                web.post(f"{base}/workitemsbatch", self.batch),
                web.post(f"{base}/wiql", self.wiql),
            ]
        return [web.route(r.method, r.path, self._guarded(r.handler)) for r in found]

    def _guarded(self, handler: Any) -> Any:
        async def guarded(request: web.Request) -> web.StreamResponse:
            if refused(request):
                return web.Response(text=SIGN_IN, status=203, content_type="text/html")
            project = request.match_info.get("project")
            if project is not None and self._project(project) is None:
                return _error(
                    404,
                    "ProjectDoesNotExistWithNameException",
                    f"TF200016: The following project does not exist: {project}.",
                )
            return await handler(request)  # type: ignore[no-any-return]

        return guarded

    def _project(self, name: str) -> str | None:
        return next((known for known in self.store.projects if known.lower() == name.lower()), None)

    async def areas(self, _: web.Request) -> web.Response:
        """The resource areas that clients ask for first."""
        area = {
            "id": AREA_WIT,
            "area": "wit",
            "resourceName": "workItems",
            "routeTemplate": "{project}/_apis/{area}/{resource}/{id}",
            "resourceVersion": 3,
            "minVersion": "1.0",
            "maxVersion": "7.2",
            "releasedVersion": "7.1",
        }
        return web.json_response({"count": 1, "value": [area]})

    async def connection(self, _: web.Request) -> web.Response:
        """Who is signed in."""
        return web.json_response(
            {"authenticatedUser": {"id": "sandbox", "providerDisplayName": "Sandbox"}, "instanceId": "sandbox"}
        )

    async def projects(self, _: web.Request) -> web.Response:
        """All projects."""
        rows = [{"id": name.lower(), "name": name, "state": "wellFormed"} for name in self.store.projects]
        return web.json_response({"count": len(rows), "value": rows})

    async def project(self, request: web.Request) -> web.Response:
        """One project."""
        name = self._project(request.match_info["project"])
        return web.json_response({"id": str(name).lower(), "name": name, "state": "wellFormed", "capabilities": {}})

    async def types(self, request: web.Request) -> web.Response:
        """The project's work item types."""
        rows = [
            {"name": name, "referenceName": f"Microsoft.VSTS.WorkItemTypes.{name}"} for name in self._types(request)
        ]
        return web.json_response({"count": len(rows), "value": rows})

    async def type(self, request: web.Request) -> web.Response:
        """One type."""
        name = request.match_info["type"]
        return web.json_response({"name": name}) if name in self._types(request) else _no_type(name)

    def _types(self, request: web.Request) -> tuple[str, ...]:
        return self.store.projects[str(self._project(request.match_info["project"]))]

    async def create(self, request: web.Request) -> web.Response:
        """Create: 200."""
        name = request.match_info["type"]
        if name not in self._types(request):
            return _no_type(name)
        if "json-patch" not in request.headers.get("Content-Type", ""):
            return web.json_response({"message": "Unsupported media type"}, status=415)
        project = self._project(request.match_info["project"])
        item: dict[str, Any] = {
            "id": None,
            "rev": 0,
            "fields": {"System.TeamProject": project, "System.WorkItemType": name, "System.State": "New"},
            "created": self.store.clock(),
        }
        if wrong := _apply(item, await request.json()):
            return wrong
        if not item["fields"].get("System.Title"):
            return _error(
                400,
                "RuleValidationException",
                "TF401320: Rule Error for field Title. Error code: Required, InvalidEmpty.",
            )
        if request.query.get("validateOnly") == "true":
            return web.json_response({"id": None, "rev": -1, "fields": item["fields"]})
        item["id"] = next(self.store.ids)
        self.store.items[item["id"]] = item
        return web.json_response(_shown(item, request))

    def _find(self, request: web.Request) -> dict[str, Any] | None:
        text = request.match_info["id"]
        return self.store.items.get(int(text)) if text.isdigit() else None

    async def item(self, request: web.Request) -> web.Response:
        """One work item."""
        item = self._find(request)
        return web.json_response(_shown(item, request)) if item else _no_item(request)

    async def change(self, request: web.Request) -> web.Response:
        """Change fields; a `test` of the revision that fails is 412."""
        item = self._find(request)
        if item is None:
            return _no_item(request)
        wrong = _apply(item, await request.json())
        return wrong or web.json_response(_shown(item, request))

    async def items(self, request: web.Request) -> web.Response:
        """Several work items."""
        ids = [int(part) for part in request.query.get("ids", "").split(",") if part.isdigit()]
        rows = [_shown(self.store.items[i], request) for i in ids if i in self.store.items]
        return web.json_response({"count": len(rows), "value": rows})

    async def batch(self, request: web.Request) -> web.Response:
        """Several work items, asked for by POST."""
        ids = (await request.json()).get("ids", [])
        rows = [_shown(self.store.items[i], request) for i in ids if i in self.store.items]
        return web.json_response({"count": len(rows), "value": rows})

    async def wiql(self, request: web.Request) -> web.Response:
        """Tags and title only; blind for a while on request, as the real index lags."""
        query = str((await request.json()).get("query", ""))
        tag = re.search(r"\[System\.Tags\]\s+CONTAINS\s+'((?:[^']|'')*)'", query, re.IGNORECASE)
        wanted = tag.group(1).replace("''", "'").lower() if tag else None
        project = self._project(request.match_info["project"]) if "project" in request.match_info else None
        blind = self.store.clock() < self.store.blind_until
        rows = [
            {"id": item["id"], "url": f"{request.scheme}://{request.host}/_apis/wit/workItems/{item['id']}"}
            for item in self.store.items.values()
            if not blind
            and (wanted is None or any(wanted in t.lower() for t in tags_of(item)))
            and (project is None or "@project" not in query or item["fields"]["System.TeamProject"] == project)
        ]
        return web.json_response(
            {
                "queryType": "flat",
                "queryResultType": "workItem",
                "asOf": "2026-01-01T00:00:00Z",
                "columns": [],
                "workItems": rows,
            }
        )


def _apply(item: dict[str, Any], operations: object) -> web.Response | None:
    if not isinstance(operations, list):
        return _error(
            400, "VssPropertyValidationException", "You must pass a valid patch document in the body of the request."
        )
    fields = dict(item["fields"])
    for operation in operations:
        path = str(operation.get("path", "")).replace("~1", "/").replace("~0", "~")
        if operation.get("op") == "test":
            if path == "/rev" and operation.get("value") != item["rev"]:
                return _error(
                    412, "TestPatchOperationFailedException", "VS403351: Test Operation for path /rev failed."
                )
            continue
        if not path.startswith("/fields/"):
            continue
        name, value = path.removeprefix("/fields/"), operation.get("value")
        if not name.startswith(CUSTOM) or name in READ_ONLY:
            return _error(
                400, "WorkItemTrackingFieldDefinitionNotFoundException", f"TF51535: Cannot find field {name}."
            )
        if name.endswith(".Severity") and value not in SEVERITIES:
            return _error(
                400,
                "RuleValidationException",
                "TF401320: Rule Error for field Severity. Error code: HasValues, LimitedToValues.",
            )
        fields[name] = value
    item["fields"], item["rev"] = fields, item["rev"] + 1
    return None


def _shown(item: dict[str, Any], request: web.Request) -> dict[str, Any]:
    base = f"{request.scheme}://{request.host}/{request.match_info['org']}"
    project = item["fields"]["System.TeamProject"]
    return {
        "id": item["id"],
        "rev": item["rev"],
        "fields": item["fields"],
        "_links": {"html": {"href": f"{base}/{project}/_workitems/edit/{item['id']}"}},
        "url": f"{base}/_apis/wit/workItems/{item['id']}",
    }


def _error(status: int, type_key: str, message: str) -> web.Response:
    body = {
        "$id": "1",
        "innerException": None,
        "message": message,
        "typeName": type_key,
        "typeKey": type_key,
        "errorCode": 0,
    }
    return web.Response(text=json.dumps(body), status=status, content_type="application/json")


def _no_type(name: str) -> web.Response:
    return _error(
        404,
        "WorkItemTypeNotFoundException",
        f"VS402323: Work item type {name} does not exist in project or you do not have permission to access it.",
    )


def _no_item(request: web.Request) -> web.Response:
    return _error(
        404,
        "WorkItemUnauthorizedAccessException",
        f"TF401232: Work item {request.match_info['id']} does not exist, or you do not have permissions to read it.",
    )
