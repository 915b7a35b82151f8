"""What clients of the simulated Jira list before they write: projects, fields, types, statuses, priorities, people."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from worker.sandbox.jira.answers import No, is_cloud, site_of
from worker.sandbox.jira.people import account_id, names_of, shown_person
from worker.sandbox.jira.project import PRIORITIES, RESOLUTION, Project, type_id
from worker.sandbox.jira.workflow import shown_field, shown_status, statuses
from worker.sandbox.store import Store

Handler = Callable[[web.Request], Awaitable[web.Response]]


class JiraCatalog:
    """Handlers over the store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def routes(self, base: str) -> list[web.RouteDef]:
        """The lists below the API's address, and what is in some of them by its number or name."""
        single = {"issuetype": self.types, "status": self.statuses, "priority": self.priorities}
        single["resolution"] = self.resolutions
        return [
            web.get(f"{base}/project", self.projects),
            web.get(f"{base}/project/search", self.search_projects),
            web.get(f"{base}/field", self.fields),
            web.get(f"{base}/issuetype", self.types),
            web.get(f"{base}/status", self.statuses),
            web.get(f"{base}/priority", self.priorities),
            web.get(f"{base}/resolution", self.resolutions),
            *(web.get(f"{base}/{name}/{{row}}", _one_of(rows)) for name, rows in single.items()),
            web.get(f"{base}/user", self.user),
            web.get(f"{base}/user/search", self.users),
        ]

    def _projects(self, request: web.Request) -> list[dict[str, Any]]:
        visible = [
            found for found in self.store.jira_projects.values() if not self.store.denies("jira", found.key, "read")
        ]
        return [shown_project(found, request) for found in visible]

    async def projects(self, request: web.Request) -> web.Response:
        """All projects that the account sees."""
        return web.json_response(self._projects(request))

    async def search_projects(self, request: web.Request) -> web.Response:
        """The projects by a part of their names; a Data Center has none of the kind."""
        if not is_cloud(request):
            raise No(404, "No project could be found with key 'search'.")
        words = request.query.get("query", "").casefold()
        found = [row for row in self._projects(request) if words in f"{row['key']} {row['name']}".casefold()]
        return web.json_response({"startAt": 0, "maxResults": 50, "total": len(found), "isLast": True, "values": found})

    async def fields(self, _: web.Request) -> web.Response:
        """All fields of all projects."""
        rules = {rule.id: rule for found in self.store.jira_projects.values() for rule in found.fields}
        return web.json_response(
            [
                {
                    "id": rule.id,
                    "custom": bool(rule.custom),
                    "orderable": True,
                    "navigable": True,
                    "clauseNames": [rule.id],
                }
                | {name: value for name, value in shown_field(rule).items() if name in ("key", "name", "schema")}
                for rule in rules.values()
            ]
        )

    async def types(self, request: web.Request) -> web.Response:
        """All issue types."""
        names = dict.fromkeys(name for found in self.store.jira_projects.values() for name in found.types)
        return web.json_response([shown_type(name, request) for name in names])

    async def statuses(self, _: web.Request) -> web.Response:
        """All statuses of all workflows."""
        projects = self.store.jira_projects
        return web.json_response([shown_status(name, projects) for name in statuses(projects)])

    async def priorities(self, _: web.Request) -> web.Response:
        """All priorities, the highest first."""
        return web.json_response([{"id": str(n), "name": name} for n, name in enumerate(PRIORITIES, start=1)])

    async def resolutions(self, _: web.Request) -> web.Response:
        """All resolutions."""
        return web.json_response(
            [{"id": str(n), "name": name} for n, name in enumerate(RESOLUTION.values, start=10000)]
        )

    async def user(self, request: web.Request) -> web.Response:
        """One account, by its id or by its user name."""
        cloud = is_cloud(request)
        wanted = request.query.get("accountId" if cloud else "username", "")
        name = account_id if cloud else lambda row: row["user_name"]
        found = next((row for row in self.store.users if name(row) == wanted), None)
        if found is None:
            raise No(404, "Specified user does not exist or you do not have required permissions")
        return web.json_response(shown_person(found, site_of(request), cloud=cloud))

    async def users(self, request: web.Request) -> web.Response:
        """Accounts by a part of their names."""
        cloud = is_cloud(request)
        words = request.query.get("query" if cloud else "username", "").casefold()
        return web.json_response(
            [shown_person(row, site_of(request), cloud=cloud) for row in self.store.users if words in names_of(row)]
        )


def _one_of(rows: Handler) -> Handler:
    """The row of a list that a path names by its id or name."""

    async def one(request: web.Request) -> web.Response:
        found: list[dict[str, Any]] = json.loads((await rows(request)).text or "[]")
        wanted = request.match_info["row"]
        row = next((row for row in found if wanted in (row["id"], row["name"])), None)
        if row is None:
            raise No(404, f"The id or name '{wanted}' is unknown.")
        return web.json_response(row)

    return one


def shown_project(project: Project, request: web.Request) -> dict[str, Any]:
    """A project as lists and issues name it."""
    where = f"{site_of(request)}/rest/api/3/project/{project.id}"
    return {"self": where, "id": project.id, "key": project.key, "name": project.name, "projectTypeKey": "software"}


def shown_type(name: str, request: web.Request) -> dict[str, Any]:
    """An issue type as lists and issues name it."""
    number = type_id(name)
    where = f"{site_of(request)}/rest/api/3/issuetype/{number}"
    return {"self": where, "id": number, "name": name, "untranslatedName": name, "subtask": name == "Subtask"}
