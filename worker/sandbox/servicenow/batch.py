"""ServiceNow's Batch API: several requests in one, each answered as if it had come by itself.

Source: ServiceNow's Batch API reference.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import aiohttp
from aiohttp import web

BATCH = "/api/now/{version:v1}/batch"


async def batch(request: web.Request) -> web.Response:
    """Do the requests one after the other, as this instance's own visitor with the same credential."""
    try:
        given = await request.json()
    except ValueError:
        given = None
    rows = given.get("rest_requests") if isinstance(given, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return web.json_response({"error": {"message": "rest_requests is missing", "detail": None}}, status=400)
    site = f"{request.scheme}://{request.host}"
    own = {"Authorization": request.headers.get("Authorization", ""), "Accept": "application/json"}
    async with aiohttp.ClientSession(headers=own) as session:
        done = [await _one(session, site, row) for row in rows]
    shown = {"batch_request_id": str(given.get("batch_request_id")), "serviced_requests": done}
    return web.json_response(shown | {"unserviced_requests": []})


async def _one(session: aiohttp.ClientSession, site: str, row: dict[str, Any]) -> dict[str, Any]:
    path = str(row.get("url"))
    try:
        body = base64.b64decode(str(row.get("body") or ""), validate=True)
    except binascii.Error:
        body = None
    if body is None or not path.startswith("/api/"):
        return {"id": row.get("id"), "status_code": 400, "status_text": "Bad Request", "body": "", "headers": []}
    named = [(str(h.get("name")), str(h.get("value"))) for h in row.get("headers") or () if isinstance(h, dict)]
    headers = {name: value for name, value in named if name.lower() != "content-length"}
    # It asks itself, so the name in its certificate says nothing.
    async with session.request(
        str(row.get("method")), site + path, data=body or None, headers=headers, ssl=False
    ) as answer:
        text = base64.b64encode(await answer.read()).decode()
        shown = [{"name": name, "value": value} for name, value in answer.headers.items()]
        return {
            "id": row.get("id"),
            "status_code": answer.status,
            "status_text": answer.reason,
            "body": text,
            "headers": shown,
        }
