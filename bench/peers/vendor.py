"""A stand-in for ServiceNow's table API: answers each POST after a settable delay, and counts objects by correlation id.

`python -m bench.peers.vendor PORT`. `PUT /_bench?delay_ms=` forgets everything and sets the delay; `GET /_bench` tells
how many objects there are and for how many correlation ids; `GET /_bench/began` when the request for each title began
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

    async def reset(self, request: web.Request) -> web.Response:
        """Forget everything; answer after so many milliseconds from now on."""
        self.delay_s = float(request.query["delay_ms"]) / 1000
        self.objects.clear()
        self.began.clear()
        return web.Response()

    async def counts(self, request: web.Request) -> web.Response:
        """Objects, and different correlation ids."""
        return web.json_response({"objects": self.objects.total(), "distinct": len(self.objects)})

    async def beginnings(self, request: web.Request) -> web.Response:
        """Seconds by title."""
        return web.json_response(self.began)


def main(port: int) -> None:
    """Serve until ended."""
    vendor = Vendor()
    app = web.Application()
    app.router.add_post("/api/now/table/incident", vendor.create)
    app.router.add_put("/_bench", vendor.reset)
    app.router.add_get("/_bench", vendor.counts)
    app.router.add_get("/_bench/began", vendor.beginnings)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


if __name__ == "__main__":
    main(int(sys.argv[1]))
