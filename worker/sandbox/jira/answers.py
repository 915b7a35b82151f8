"""What the simulated Jira has in common in all its answers: refusals, and how a request is read."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from worker.sandbox.store import Store

NO_ISSUE = "Issue does not exist or you do not have permission to see it."


class No(Exception):
    """Jira says no: messages, and what is wrong with single fields."""

    def __init__(self, status: int, *messages: str, **errors: str) -> None:
        super().__init__(*messages)
        self.status, self.messages, self.errors = status, messages, errors


def refusal(status: int, *messages: str, **errors: str) -> web.Response:
    """An error as Jira writes it."""
    return web.json_response({"errorMessages": list(messages), "errors": errors}, status=status)


async def sent(request: web.Request) -> dict[str, Any]:
    """The JSON object of a request."""
    if request.content_type != "application/json":
        raise No(415, "Unsupported Media Type")
    try:
        body = json.loads(await request.read())
    except ValueError:
        raise No(400, "There was an error parsing JSON. Check that your request body is valid.") from None
    return (
        body if isinstance(body, dict) else _raise(400, "Invalid request payload. Refer to the REST API documentation.")
    )


def _raise(status: int, message: str) -> Any:
    raise No(status, message)


def issue_of(store: Store, request: web.Request) -> dict[str, Any]:
    """The issue that a path names by id or key."""
    name = request.match_info["issue"]
    found = next((row for row in store.issues.values() if name.upper() in (row["id"], row["key"])), None)
    if found is None:
        raise No(404, NO_ISSUE)
    return found


def is_cloud(request: web.Request) -> bool:
    """Whether it is asked as a Cloud site."""
    return "/rest/api/3" in request.path


def site_of(request: web.Request) -> str:
    """The site's address."""
    return f"{request.scheme}://{request.host}"


def address_of(request: web.Request, number: str) -> str:
    """The address of an issue in the version of the API that was asked."""
    head = request.path.partition("/rest/")[0]
    return f"{site_of(request)}{head}/rest/api/{3 if is_cloud(request) else 2}/issue/{number}"
