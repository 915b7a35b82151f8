"""A request to the simulated Azure DevOps, taken apart, and how it is answered."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from worker.sandbox.azure_devops.patch import Refused


@dataclass(frozen=True)
class Call:
    """A request, taken apart. `base` is the address of the organisation; `part` the groups of the path."""

    request: web.Request
    base: str
    org: str
    project: str | None
    part: re.Match[str]

    async def json(self) -> Any:
        """The body; refused where it is no JSON."""
        try:
            return json.loads(await self.request.read())
        except ValueError:
            text = "TF400898: The request body is not valid JSON."
            raise Refused(400, "VssPropertyValidationException", text) from None

    def number(self, name: str, usual: int) -> int:
        """A number of the query."""
        given = self.request.query.get(name, str(usual))
        if not re.fullmatch("[0-9]{1,9}", given):
            raise Refused(400, "VssPropertyValidationException", f"The value '{given}' is not valid for {name}.")
        return int(given)


Handler = Callable[[Call], Awaitable[Any]]
Route = tuple[str, str, Handler]


def listed(text: str | None) -> list[str]:
    """The parts of a list in a query."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def rows(found: list[Any]) -> dict[str, Any]:
    """A list as the vendor writes it."""
    return {"count": len(found), "value": found}


def written(request: web.Request, body: Any, *, status: int = 200) -> web.Response:
    """An answer in JSON, with the version that was asked for."""
    named = re.search(r"api-version=([\w.-]+)", request.query_string + ";" + request.headers.get("Accept", ""))
    kind = f"application/json; charset=utf-8; api-version={named.group(1) if named else '7.1'}"
    headers = {"Content-Type": kind, "Cache-Control": "no-cache"}
    return web.Response(body=json.dumps(body).encode(), status=status, headers=headers)
