"""A stand-in for ServiceNow's table API and Confluence's pages: answers after a settable delay, and counts what it created.

Incidents are told apart by correlation id, pages by title.
`python -m bench.peers.vendor PORT`. `PUT /_bench?delay_ms=` forgets everything and sets the delay; `GET /_bench` tells
how many objects there are and how many different ones; `GET /_bench/began` when the request for each title began
(seconds of the monotonic clock, which all processes of a Linux machine share).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter

from aiohttp import web


class Vendor:
    """What was created since the last reset."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.objects: Counter[str] = Counter()
        self.began: dict[str, float] = {}

    async def create(self, request: web.Request) -> web.Response:
        """A new incident, every time: the table API has no unique fields."""
        began = time.monotonic()
        fields = json.loads(await request.read())
        self.began.setdefault(fields["short_description"], began)
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        self.objects[fields["correlation_id"]] += 1
        number = self.objects.total()
        priority = str(int(fields["impact"]) + int(fields["urgency"]) - 1)
        row = {**fields, "sys_id": f"{number:032x}", "number": f"INC{number:07}", "priority": priority}
        return web.json_response({"result": row}, status=201)

    async def spaces(self, request: web.Request) -> web.Response:
        """Whatever space is asked for."""
        await asyncio.sleep(self.delay_s)
        return web.json_response({"results": [{"id": "1", "key": request.query["keys"]}]})

    async def create_page(self, request: web.Request) -> web.Response:
        """A new page, under a title that isn't taken (409)."""
        fields = json.loads(await request.read())
        await asyncio.sleep(self.delay_s)
        title = fields["title"]
        if title in self.objects:
            return web.json_response(
                {"errors": [{"status": 409, "title": "A page with this title exists"}]}, status=409
            )
        self.objects[title] += 1
        page = {"id": str(self.objects.total()), "title": title, "status": "current", "version": {"number": 1}}
        return web.json_response(page | {"_links": {"webui": f"/pages/{page['id']}"}})

    async def set_property(self, request: web.Request) -> web.Response:
        """A property of a page; nobody reads it."""
        fields = json.loads(await request.read())
        await asyncio.sleep(self.delay_s)
        return web.json_response({"id": "1", **fields, "version": {"number": 1}})

    async def reset(self, request: web.Request) -> web.Response:
        """Forget everything; answer after so many milliseconds from now on."""
        self.delay_s = float(request.query["delay_ms"]) / 1000
        self.objects.clear()
        self.began.clear()
        return web.Response()

    async def counts(self, request: web.Request) -> web.Response:
        """Objects, and different ones."""
        return web.json_response({"objects": self.objects.total(), "distinct": len(self.objects)})

    async def beginnings(self, request: web.Request) -> web.Response:
        """Seconds by title."""
        return web.json_response(self.began)


def main(port: int) -> None:
    """Serve until ended."""
    vendor = Vendor()
    app = web.Application()
    app.router.add_post("/api/now/table/incident", vendor.create)
    app.router.add_get("/wiki/api/v2/spaces", vendor.spaces)
    app.router.add_post("/wiki/api/v2/pages", vendor.create_page)
    app.router.add_post("/wiki/api/v2/pages/{page}/properties", vendor.set_property)
    app.router.add_put("/_bench", vendor.reset)
    app.router.add_get("/_bench", vendor.counts)
    app.router.add_get("/_bench/began", vendor.beginnings)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


if __name__ == "__main__":
    main(int(sys.argv[1]))
