"""Server-sent events: one word whenever what a page shows may have changed. The page then fetches itself again.

No content travels here; the page's own guard decides anew what may be seen.
"""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import web
from redis.exceptions import RedisError

from worker.console import bulk
from worker.console.visit import Route, Visit
from worker.verifications import VERIFICATIONS

LOOK_EVERY_S = 1.0
SILENCE_S = 15.0
LONGEST_S = 15 * 60.0
MOST_STREAMS = 500


async def live(visit: Visit) -> web.StreamResponse:
    """A stream of `change` events for the topic `job:ID`, `bulk:ID`, `audit:RUN` or everything, for a quarter of an hour; browsers come again."""
    console = visit.console
    if console.streams >= MOST_STREAMS:
        raise web.HTTPServiceUnavailable
    console.streams += 1
    try:
        return await _stream(visit)
    finally:
        console.streams -= 1


async def _stream(visit: Visit) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
    before = await fingerprint(visit)  # before the answer begins: what goes wrong here can still be told
    await response.prepare(visit.request)
    loop = asyncio.get_running_loop()
    started = spoke = loop.time()
    await response.write(b"retry: 3000\n\n")
    with contextlib.suppress(ConnectionError, RedisError):
        while loop.time() - started < LONGEST_S and not await _closing(visit):
            now = await fingerprint(visit)
            if now != before:
                await response.write(b"event: change\ndata: 1\n\n")
                before, spoke = now, loop.time()
            elif loop.time() - spoke > SILENCE_S:
                await response.write(b": still here\n\n")
                spoke = loop.time()
    return response


async def _closing(visit: Visit) -> bool:
    """Wait for the next look; True when the server stops meanwhile."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LOOK_EVERY_S):
            return await visit.console.closing.wait()
    return False


async def fingerprint(visit: Visit) -> tuple[object, ...]:
    """Something small that differs whenever the topic changed: every transition appends to the audit stream."""
    kind, _, identifier = visit.asked("topic").partition(":")
    if kind == "job":
        job = await visit.services.ledger.get(identifier)
        events = await visit.services.ledger.events(identifier)
        return (job.updated_ms if job else 0, len(events), events[-1]["at_ms"] if events else 0)
    if kind == "bulk":
        return (await bulk.find(visit, identifier),)
    if kind == "audit":
        run = visit.request.app[VERIFICATIONS].find(identifier)
        return (run and (run.progress.entries, run.task.done()),)
    newest = await visit.services.audit.tail(1)
    alive = await visit.services.redis.zcard(f"{visit.services.settings.prefix}:workers")
    return (newest[0].id if newest else "", alive)


ROUTES = (Route("GET", "/live", live),)
