"""What the account may not do: in a space, a project or a table, each refused in its vendor's own words.

Everything is permitted until something is denied: to everybody over the control interface, to one account in the set-up.
"""

from __future__ import annotations

import itertools
import json
from typing import Any

from aiohttp import web

from worker.sandbox.accounts import Action, Vendor
from worker.sandbox.faults.answers import Handler
from worker.sandbox.faults.spec import operation_of, vendor_of
from worker.sandbox.jira.answers import NO_ISSUE
from worker.sandbox.jira.answers import refusal as jira_refusal
from worker.sandbox.request_marks import OWN
from worker.sandbox.store import Store, project_id

NO_AREA = "TF237111: The current user does not have permissions to save work items under the specified area path."
NO_PROJECT = "TF400813: The user is not authorized to access this resource."
NO_EDIT = "You do not have permission to edit issues in this project."
NO_SPACE = "The account is not permitted to do this in the space"


def guarding(store: Store) -> Any:
    """Middleware that refuses what is denied."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.get(OWN) or not (store.denied or store.accounts):
            return await handler(request)
        vendor, action = vendor_of(request.path), action_of(request)
        target = await _target(store, vendor, request)
        return _refusal(vendor, action, request) if store.denies(vendor, target, action) else await handler(request)

    return guard


def action_of(request: web.Request) -> Action:
    """What a request does with an object. A dry run of a create needs the right to create."""
    path = request.path.lower()
    if request.method not in ("GET", "HEAD", "OPTIONS"):
        if path.endswith("/label"):
            return "label"
        if path.endswith("/restriction"):
            return "restrict"
        if "/attachment" in path:
            return "attachment"
        if "/workitems/$" in path:
            return "create"
    found = operation_of(request)
    return found if found in ("create", "update") else "read"


async def _target(store: Store, vendor: Vendor, request: web.Request) -> str:
    """The space, project or table of a request; empty where it is about none."""
    parts = [part for part in request.path.split("/") if part]
    after = {name.lower(): value for name, value in itertools.pairwise(parts)}
    if vendor == "servicenow":
        return request.query.get("table_name") or after.get("table", "")
    if vendor == "azure_devops":
        depth = 2 if parts and parts[0].lower() == "tfs" else 1
        named = parts[depth] if len(parts) > depth and parts[depth] != "_apis" else after.get("projects", "")
        return next((known for known in store.projects if named.lower() in (known.lower(), project_id(known))), named)
    if vendor == "jira":
        return await _jira_project(store, after, request)
    page = store.pages.get(after.get("pages") or after.get("content", ""))
    if page is not None:
        return page.space
    if "spaces" in after or "space" in after:
        return store.space_of(after.get("spaces", "")) or after.get("space", "")
    try:
        given = json.loads(await request.read() or b"{}")
    except ValueError:
        return ""
    space = given.get("space") if isinstance(given, dict) else None
    if isinstance(space, dict):
        return str(space.get("key"))
    return store.space_of(str(given.get("spaceId"))) or "" if isinstance(given, dict) else ""


async def _jira_project(store: Store, after: dict[str, str], request: web.Request) -> str:
    """The key of the project of a request to Jira; the search and the list of permissions say it themselves."""
    name = after.get("issue", "").upper()
    if name and name != "CREATEMETA":
        return next((row["project"] for row in store.issues.values() if name in (row["id"], row["key"])), "")
    if request.method == "POST" and request.path.endswith("/issue"):
        try:
            given = json.loads(await request.read() or b"{}")
            return str(given["fields"]["project"]["key"])
        except (ValueError, LookupError, TypeError):
            return ""
    return (after.get("createmeta") or after.get("project", "")).upper()


def _refusal(vendor: Vendor, action: Action, request: web.Request) -> web.Response:
    if vendor == "servicenow":
        detail = "ACL Exception Insert Failed due to security constraints"
        return web.json_response(
            {"error": {"message": "Operation Failed", "detail": detail}, "status": "failure"}, status=403
        )
    if vendor == "jira" and action == "create":
        return jira_refusal(400, project="You cannot create issues in this project.")
    if vendor == "jira":
        return jira_refusal(*(404, NO_ISSUE) if action == "read" else (403, NO_EDIT))
    if vendor == "azure_devops":
        text = NO_PROJECT if action == "read" else NO_AREA
        kind = {"typeName": "", "typeKey": "UnauthorizedAccessException", "errorCode": 0, "eventId": 3000}
        return web.json_response({"$id": "1", "innerException": None, "message": text, **kind}, status=403)
    if action in ("label", "attachment") and request.path.startswith("/wiki/"):
        return web.json_response({"code": 401, "message": "Unauthorized; scope does not match"}, status=401)
    if "/api/v2/" in request.path:
        row = {"status": 403, "code": "FORBIDDEN", "title": NO_SPACE, "detail": None}
        return web.json_response({"errors": [row]}, status=403)
    data = {"authorized": False, "valid": True, "errors": [], "successful": False}
    return web.json_response({"statusCode": 403, "data": data, "message": NO_SPACE}, status=403)
