"""Simulated Jira: issues of a Cloud site (v3, with documents) and of a Data Center (v2, with wiki markup), JQL, permissions,
and links to elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from worker.sandbox.credentials import fault_of
from worker.sandbox.jira.answers import No, address_of, is_cloud, issue_of, refusal, sent, site_of
from worker.sandbox.jira.attached import JiraAttached, hung_on
from worker.sandbox.jira.catalog import JiraCatalog, shown_project, shown_type
from worker.sandbox.jira.comments import JiraComments
from worker.sandbox.jira.jql import BadQuery, World, parse
from worker.sandbox.jira.people import account_id, names_of, shown_person, shown_value
from worker.sandbox.jira.project import PROJECTS, Project, faults_of, project_of, type_of
from worker.sandbox.jira.workflow import JiraWorkflow, shown_field, shown_status, statuses
from worker.sandbox.store import Store, iso

GONE = "The requested API has been removed. Please migrate to the /rest/api/3/search/jql API."
PERMISSIONS = {
    "BROWSE_PROJECTS": "read",
    "CREATE_ISSUES": "create",
    "EDIT_ISSUES": "update",
    "TRANSITION_ISSUES": "update",
    "LINK_ISSUES": "update",
    "CREATE_ATTACHMENTS": "attachment",
}
Handler = Callable[[web.Request], Awaitable[web.Response]]


class Jira:
    """Handlers over the store, with the usual projects where it begins with none."""

    def __init__(self, store: Store) -> None:
        self.store = store
        store.jira_projects = store.jira_projects or dict(PROJECTS)

    def routes(self) -> list[web.RouteDef]:
        """All routes of both versions; a path that isn't there is a 404."""
        found: list[web.RouteDef] = []
        comments, workflow = JiraComments(self.store), JiraWorkflow(self.store)
        for base in ("/rest/api/2", "/rest/api/3"):
            issue = f"{base}/issue/{{issue}}"
            types = f"{base}/issue/createmeta/{{project}}/issuetypes"
            found += JiraCatalog(self.store).routes(base) + JiraAttached(self.store).routes(base)
            found += [
                web.get(f"{base}/serverInfo", self.server),
                web.get(f"{base}/myself", self.myself),
                web.get(f"{base}/mypermissions", self.permissions),
                web.get(f"{base}/project/{{project}}", self.project),
                web.get(f"{base}/project/{{project}}/components", self.none),
                web.get(f"{base}/project/{{project}}/versions", self.none),
                web.get(types, self.types),
                web.get(f"{types}/{{type}}", self.fields),
                web.post(f"{base}/issue", self.create),
                web.get(issue, self.issue),
                web.put(issue, self.change),
                web.delete(issue, self.delete),
                web.put(f"{issue}/assignee", self.assign),
                web.get(f"{issue}/properties", self.properties),
                web.get(f"{issue}/properties/{{key}}", self.property),
                web.put(f"{issue}/properties/{{key}}", self.set_property),
                web.delete(f"{issue}/properties/{{key}}", self.drop_property),
                web.get(f"{issue}/transitions", workflow.listed),
                web.post(f"{issue}/transitions", workflow.take),
                web.get(f"{issue}/comment", comments.listed),
                web.post(f"{issue}/comment", comments.add),
                web.get(f"{issue}/comment/{{comment}}", comments.one),
                web.put(f"{issue}/comment/{{comment}}", comments.change),
                web.delete(f"{issue}/comment/{{comment}}", comments.drop),
                web.get(f"{base}/user/assignable/search", self.assignable),
                web.route("*", f"{base}/search", self.search),
                web.route("*", f"{base}/search/jql", self.search_jql),
                web.post(f"{base}/search/approximate-count", self.count),
                web.route("*", f"{base}/{{tail:.*}}", self.nothing),
            ]
        return [web.route(route.method, route.path, _guarded(route.handler)) for route in found]

    async def nothing(self, request: web.Request) -> web.Response:
        """No such API."""
        text = f"null for uri: {request.url}"
        return web.json_response({"message": text, "status-code": 404}, status=404)

    async def server(self, request: web.Request) -> web.Response:
        """What this is."""
        cloud = is_cloud(request)
        numbers = (1001, 0, 0) if cloud else (9, 12, 0)
        version = {"version": ".".join(map(str, numbers)), "versionNumbers": numbers}
        where = {"baseUrl": site_of(request), "deploymentType": "Cloud" if cloud else "Server", "buildNumber": 100200}
        return web.json_response(where | version | {"serverTitle": "Sandbox", "serverTime": iso(self.store.clock())})

    async def myself(self, request: web.Request) -> web.Response:
        """Whose the credential is."""
        return web.json_response(shown_person(self.store.me, site_of(request), cloud=is_cloud(request)))

    async def permissions(self, request: web.Request) -> web.Response:
        """Whether the account may do something in a project."""
        names = [name for name in request.query.get("permissions", "").split(",") if name]
        if not names and is_cloud(request):
            raise No(400, "The permissions query parameter is required.")
        unknown = [name for name in names if name not in PERMISSIONS]
        if unknown:
            raise No(400, f"Unrecognized permission {unknown[0]}")
        key = request.query.get("projectKey", "")
        if key and key.upper() not in self.store.jira_projects:
            raise No(404, f"No project could be found with key '{key}'.")
        rows = {
            name: {
                "id": str(place),
                "key": name,
                "name": name.replace("_", " ").title(),
                "type": "PROJECT",
                "description": "",
                "havePermission": not self.store.denies("jira", key.upper() or "*", PERMISSIONS[name]),
            }
            for place, name in enumerate(names or PERMISSIONS, start=10)
        }
        return web.json_response({"permissions": rows})

    def _held_by(self, row: dict[str, Any]) -> Project:
        found: Project = self.store.jira_projects[row["project"]]
        return found

    def _project(self, request: web.Request, status: int = 404) -> Project:
        name = request.match_info["project"]
        found = project_of(self.store.jira_projects, {"key": name, "id": name})
        if found is None or self.store.denies("jira", found.key, "read"):
            raise No(status, f"No project could be found with key '{name}'.")
        return found

    async def project(self, request: web.Request) -> web.Response:
        """One project."""
        found = self._project(request)
        types = [shown_type(name, request) for name in found.types]
        return web.json_response(shown_project(found, request) | {"issueTypes": types, "style": "classic"})

    async def none(self, request: web.Request) -> web.Response:
        """Components and versions: the projects have none."""
        self._project(request)
        return web.json_response([])

    async def types(self, request: web.Request) -> web.Response:
        """What can be created in a project."""
        found = self._project(request)
        rows = [shown_type(name, request) for name in found.types]
        return web.json_response(_listed("issueTypes", rows, request))

    async def fields(self, request: web.Request) -> web.Response:
        """What an issue of a type is created with."""
        found = self._project(request)
        if type_of(found, {"id": request.match_info["type"]}) is None:
            raise No(404, "The issue type was not found.")
        return web.json_response(_listed("fields", [shown_field(rule) for rule in found.fields], request))

    async def assignable(self, request: web.Request) -> web.Response:
        """Who can be assigned, by a part of a name or address; some accounts in the Cloud hide their address."""
        cloud = is_cloud(request)
        words = request.query.get("query" if cloud else "username", "").casefold()
        key = request.query.get("project", "")
        if key and project_of(self.store.jira_projects, {"key": key}) is None:
            raise No(404, f"No project could be found with key '{key}'.")
        return web.json_response(
            [shown_person(row, site_of(request), cloud=cloud) for row in self.store.users if words in names_of(row)]
        )

    async def create(self, request: web.Request) -> web.Response:
        """Create: 201, only numbers; every field that is refused is named, and nothing is kept then."""
        given = await sent(request)
        fields = _fields(given)
        project = project_of(self.store.jira_projects, fields.pop("project", None))
        if project is None:
            raise No(400, project="Specify a valid project ID or key")
        kind = type_of(project, fields.pop("issuetype", None))
        if kind is None:
            raise No(400, issuetype="Specify a valid issue type")
        faults = faults_of(project, fields, self.store.users, adf=is_cloud(request), whole=True)
        properties = _properties(given)
        if faults:
            raise No(400, **faults)
        number, now = self.store.next_id(), self.store.clock()
        last = self.store.issue_numbers[project.key] = self.store.issue_numbers.get(project.key, 0) + 1
        key = f"{project.key}-{last}"
        usual: dict[str, Any] = {"description": None, "labels": []}
        usual |= {"priority": {"name": "Medium"}} if any(f.id == "priority" for f in project.fields) else {}
        row: dict[str, Any] = {"id": number, "key": key, "project": project.key, "type": kind, "status": project.first}
        row |= {
            "fields": usual | fields,
            "properties": properties,
            "links": {},
            "comments": [],
            "rev": 1,
            "created": now,
            "updated": now,
        }
        self.store.issues[number] = row
        shown = {"id": number, "key": key, "self": address_of(request, number)}
        return web.json_response(shown, status=201)

    async def issue(self, request: web.Request) -> web.Response:
        """One issue."""
        wanted = request.query.get("fields", "*all").split(",")
        return web.json_response(
            _shown(issue_of(self.store, request), wanted, request.query.get("properties", ""), request, self.store)
        )

    async def change(self, request: web.Request) -> web.Response:
        """Change fields, all or none: 204."""
        row, given = issue_of(self.store, request), await sent(request)
        fields = _fields(given)
        for name, operations in (given.get("update") or {}).items():
            if name in fields:
                raise No(400, **{name: f"Field with id '{name}' and name is in both fields and update."})
            fields[name] = _operated(row["fields"].get(name), operations)
        if faults := faults_of(self._held_by(row), fields, self.store.users, adf=is_cloud(request), whole=False):
            raise No(400, **faults)
        changed = {name: value for name, value in fields.items() if row["fields"].get(name) != value}
        row["fields"] |= changed
        row["properties"] |= _properties(given)
        if changed:
            row["rev"], row["updated"] = row["rev"] + 1, self.store.clock()
        return web.Response(status=204)

    async def delete(self, request: web.Request) -> web.Response:
        """Delete an issue for good: there is no recycle bin."""
        del self.store.issues[issue_of(self.store, request)["id"]]
        return web.Response(status=204)

    async def property(self, request: web.Request) -> web.Response:
        """One property of an issue."""
        key = request.match_info["key"]
        held = issue_of(self.store, request)["properties"]
        if key not in held:
            raise No(404, "The property with the given key does not exist.")
        return web.json_response({"key": key, "value": held[key]})

    async def properties(self, request: web.Request) -> web.Response:
        """The names of all properties of an issue."""
        row = issue_of(self.store, request)
        where = f"{address_of(request, row['id'])}/properties"
        return web.json_response({"keys": [{"key": key, "self": f"{where}/{key}"} for key in row["properties"]]})

    async def drop_property(self, request: web.Request) -> web.Response:
        """Delete a property: 204."""
        held = issue_of(self.store, request)["properties"]
        if held.pop(request.match_info["key"], self) is self:
            raise No(404, "The property with the given key does not exist.")
        return web.Response(status=204)

    async def set_property(self, request: web.Request) -> web.Response:
        """Set a property: 201 for a new one, 200 for one that was there."""
        held, key = issue_of(self.store, request)["properties"], request.match_info["key"]
        try:
            value = json.loads(await request.read())
        except ValueError:
            raise No(400, "The property value must be a valid JSON.") from None
        status = 200 if key in held else 201
        held[key] = value
        return web.Response(status=status)

    async def assign(self, request: web.Request) -> web.Response:
        """Give the issue to somebody: 204."""
        row, given = issue_of(self.store, request), await sent(request)
        if given.get("accountId" if is_cloud(request) else "name") is None:
            row["fields"].pop("assignee", None)
        elif faults := faults_of(
            self._held_by(row), {"assignee": given}, self.store.users, adf=is_cloud(request), whole=False
        ):
            raise No(400, **faults)
        else:
            row["fields"]["assignee"] = given
        row["rev"], row["updated"] = row["rev"] + 1, self.store.clock()
        return web.Response(status=204)

    async def search(self, request: web.Request) -> web.Response:
        """The search of a Data Center, by numbered pages; the Cloud has removed it."""
        if is_cloud(request):
            raise No(410, GONE)
        given, rows = await self._found(request, bounded=False)
        start, limit = _number(given, "startAt", 0), _number(given, "maxResults", 50)
        page = {"expand": "schema,names", "startAt": start, "maxResults": limit, "total": len(rows)}
        shown = self._rows(rows[start : start + limit], given, request, usual=["*all"])
        return web.json_response(page | {"issues": shown})

    async def search_jql(self, request: web.Request) -> web.Response:
        """The search of the Cloud, from one page to the next by a token; a Data Center has none of the kind."""
        if not is_cloud(request):
            return await self.nothing(request)
        given, rows = await self._found(request, bounded=True)
        token, limit = str(given.get("nextPageToken") or "0"), _number(given, "maxResults", 50)
        if not re.fullmatch("[0-9]{1,9}", token):
            raise No(400, "The provided next page token is invalid or expired.")
        end = int(token) + limit
        shown = self._rows(rows[int(token) : end], given, request, usual=["id"])
        more = {"isLast": end >= len(rows)} | ({"nextPageToken": str(end)} if end < len(rows) else {})
        return web.json_response({"issues": shown} | more)

    async def count(self, request: web.Request) -> web.Response:
        """How many issues a query finds; a Data Center has none of the kind."""
        if not is_cloud(request):
            return await self.nothing(request)
        _, rows = await self._found(request, bounded=True)
        return web.json_response({"count": len(rows)})

    async def _found(self, request: web.Request, *, bounded: bool) -> tuple[dict[str, Any], list[Any]]:
        """What was asked, and what the index knows and the account may see. The index lags on request: it is blind for a
        while, or to new issues.
        """
        given: dict[str, Any] = dict(request.query) if request.method == "GET" else await sent(request)
        try:
            test, down = parse(str(given.get("jql", "")), self._world(), bounded=bounded)
        except BadQuery as bad:
            raise No(400, str(bad)) from None
        store, now = self.store, self.store.clock()
        blind = now < store.jql_blind_until
        indexed = [r for r in store.issues.values() if not blind and r["created"] <= now - store.jql_lag_s]
        rows = [row for row in indexed if not store.denies("jira", row["project"], "read") and test(row)]
        return given, sorted(rows, key=lambda row: int(row["id"]), reverse=down)

    def _world(self) -> World:
        me, projects = self.store.me, self.store.jira_projects
        shown = [shown_status(name, projects) for name in statuses(projects)]
        categories = {row["name"]: row["statusCategory"]["name"] for row in shown}
        return World((account_id(me), me["user_name"]), self.store.clock(), categories)

    def _rows(self, rows: list[Any], given: dict[str, Any], request: web.Request, *, usual: list[str]) -> list[Any]:
        fields = given.get("fields") or usual
        wanted = fields.split(",") if isinstance(fields, str) else [str(name) for name in fields]
        return [_shown(row, wanted, "", request, self.store) for row in rows]


def _guarded(handler: Any) -> Handler:
    async def guarded(request: web.Request) -> web.Response:
        if fault_of(request):
            return _no_entry(request)
        try:
            return await handler(request)  # type: ignore[no-any-return]
        except No as no:
            return refusal(no.status, *no.messages, **no.errors)

    return guarded


def _no_entry(_: web.Request) -> web.Response:
    """401, as a site says it."""
    headers = {"WWW-Authenticate": 'OAuth realm="https%3A%2F%2Fexample.atlassian.net"'}
    headers["X-Seraph-LoginReason"] = "AUTHENTICATED_FAILED"
    body = {"message": "Client must be authenticated to access this resource.", "status-code": 401}
    return web.json_response(body, status=401, headers=headers)


def _fields(given: dict[str, Any]) -> dict[str, Any]:
    fields = given.get("fields") or {}
    if not isinstance(fields, dict):
        raise No(400, "Invalid request payload. Refer to the REST API documentation.")
    return dict(fields)


def _properties(given: dict[str, Any]) -> dict[str, Any]:
    rows = given.get("properties") or []
    if not isinstance(rows, list) or not all(isinstance(row, dict) and row.get("key") for row in rows):
        raise No(400, "Invalid request payload. Refer to the REST API documentation.")
    return {str(row["key"]): row.get("value") for row in rows}


def _operated(held: Any, operations: Any) -> Any:
    """A list after `add` and `remove`, or what `set` says."""
    value = list(held) if isinstance(held, list) else held
    for operation in operations if isinstance(operations, list) else ():
        if "set" in operation:
            value = operation["set"]
        elif "add" in operation and operation["add"] not in (value or []):
            value = [*(value or []), operation["add"]]
        elif "remove" in operation:
            value = [row for row in value or [] if row != operation["remove"]]
    return value


def _number(given: Mapping[str, Any], name: str, usual: int) -> int:
    """A number of what was asked, in a body or an address."""
    value = str(given.get(name) or usual)
    if not re.fullmatch("[0-9]{1,9}", value):
        raise No(400, f"The value '{value}' of {name} is not valid.")
    return int(value)


def _listed(name: str, rows: list[Any], request: web.Request) -> dict[str, Any]:
    """A list as the Cloud names it, and as a Data Center does."""
    page = {"startAt": 0, "maxResults": 50, "total": len(rows)}
    return page | ({name: rows} if is_cloud(request) else {"values": rows, "isLast": True})


def _shown(
    row: dict[str, Any], wanted: list[str], properties: str, request: web.Request, store: Store
) -> dict[str, Any]:
    project = store.jira_projects[row["project"]]
    held = {name: shown_value(value, store.users, site_of(request)) for name, value in row["fields"].items()}
    fields = held | {
        "project": shown_project(project, request),
        "issuetype": shown_type(row["type"], request),
        "status": shown_status(row["status"], store.jira_projects),
        "created": iso(row["created"]),
        "updated": iso(row["updated"]),
        "comment": {"comments": row["comments"], "total": len(row["comments"]), "startAt": 0, "maxResults": 50},
        **hung_on(row, store, request),
    }
    every = not {"*all", "*navigable"}.isdisjoint(wanted)
    shown = {
        "expand": "renderedFields,names",
        "id": row["id"],
        "self": address_of(request, row["id"]),
        "key": row["key"],
    }
    shown_fields = {name: value for name, value in fields.items() if every or name in wanted}
    names = [name for name in properties.split(",") if name]
    found = {name: row["properties"][name] for name in names if name in row["properties"]}
    return shown | ({"fields": shown_fields} if shown_fields else {}) | ({"properties": found} if names else {})
