"""Workflows of the simulated Jira: which transitions an issue's status has, and what their screens ask for."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from worker.sandbox.jira.answers import No, is_cloud, issue_of, sent
from worker.sandbox.jira.project import NOT_ON_SCREEN, PROJECTS, FieldRule, Project, Way, fault_of
from worker.sandbox.store import Store


def statuses(projects: Mapping[str, Project]) -> list[str]:
    """The statuses of all workflows."""
    return list(dict.fromkeys(name for p in projects.values() for name in (p.first, *(way.to for way in p.ways))))


KNOWN = statuses(PROJECTS)  # with the ids of a fresh site


class JiraWorkflow:
    """Handlers over the store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def listed(self, request: web.Request) -> web.Response:
        """The transitions that the issue has now; the fields of their screens where they are asked for."""
        row = issue_of(self.store, request)
        fields = "transitions.fields" in request.query.get("expand", "")
        shown = [_shown(way, self.store, fields=fields) for way in _ways(self.store, row)]
        return web.json_response({"expand": "transitions", "transitions": shown})

    async def take(self, request: web.Request) -> web.Response:
        """Move the issue: 204. Everything that is refused is named, and nothing is kept then."""
        row, given = issue_of(self.store, request), await sent(request)
        number = str((given.get("transition") or {}).get("id") or "")
        if not number:
            raise No(400, "Missing 'transition' identifier")
        way = next((way for way in _ways(self.store, row) if way.id == number), None)
        if way is None:
            raise No(400, f"Transition id '{number}' is not valid for this issue.")
        fields: dict[str, Any] = given.get("fields") or {}
        rules = {rule.id: rule for rule in way.fields}
        faults = {name: NOT_ON_SCREEN.format(name) for name in fields if name not in rules}
        for name, rule in rules.items():
            if fields.get(name) in (None, "", []):
                faults |= {name: f"{rule.name} is required."} if rule.required else {}
            elif fault := fault_of(rule, fields[name], self.store.users, adf=is_cloud(request)):
                faults[name] = fault
        if faults:
            raise No(400, **faults)
        row["status"], row["fields"] = way.to, row["fields"] | {name: fields[name] for name in rules if name in fields}
        row["rev"], row["updated"] = row["rev"] + 1, self.store.clock()
        return web.Response(status=204)


def _ways(store: Store, row: dict[str, Any]) -> list[Way]:
    return [way for way in store.jira_projects[row["project"]].ways if way.leads_from(row["status"])]


def _shown(way: Way, store: Store, *, fields: bool) -> dict[str, Any]:
    shown = {
        "id": way.id,
        "name": way.name,
        "to": shown_status(way.to, store.jira_projects),
        "hasScreen": bool(way.fields),
        "isGlobal": True,
    }
    return shown | ({"fields": {rule.id: shown_field(rule) for rule in way.fields}} if fields else {})


CATEGORIES = {"new": "To Do", "indeterminate": "In Progress", "done": "Done"}


def shown_status(name: str, projects: Mapping[str, Project]) -> dict[str, Any]:
    """A status with the category that its workflow puts it in."""
    own = next((found.categories[name] for found in projects.values() if name in found.categories), None)
    category = {"to do": "new", "open": "new", "done": "done", "closed": "done", "resolved": "done"}
    shown = {
        "id": str(1 + KNOWN.index(name) if name in KNOWN else 10000 + zlib.crc32(name.encode()) % 10000),
        "name": name,
    }
    key = own or category.get(name.lower(), "indeterminate")
    return shown | {"statusCategory": {"key": key, "name": CATEGORIES[key]}}


def shown_field(rule: FieldRule) -> dict[str, Any]:
    """A field of a screen, with what it takes."""
    schema: dict[str, Any] = {"type": rule.kind, **({"items": rule.items} if rule.items else {})}
    schema |= (
        {"custom": rule.custom, "customId": int(rule.id.rpartition("_")[2])} if rule.custom else {"system": rule.id}
    )
    shown = {"required": rule.required, "schema": schema, "name": rule.name, "key": rule.id, "fieldId": rule.id}
    return shown | (
        {"allowedValues": [{"name": value, "value": value} for value in rule.values]} if rule.values else {}
    )
