"""Workers: which are alive, what they do, which version they run; and the end of looking first."""

from __future__ import annotations

from aiohttp import web

from tasks.state.clock import in_words
from tasks.state.workers import workers as all_workers
from worker.console.visit import Route, Visit


async def workers(visit: Visit) -> web.StreamResponse:
    """All workers that said something lately."""
    services = visit.services
    found = await all_workers(services.redis, services.settings.prefix)
    return await visit.page("workers.html", workers=found, in_words=in_words)


async def clear_look_first(visit: Visit) -> web.StreamResponse:
    """Somebody has checked what is missing since the ledger went back: first attempts write straight away again."""
    await visit.services.look_first.clear(visit.actor)
    return await visit.go("/workers", "Cleared. First attempts write straight away again.")


ROUTES = (Route("GET", "/workers", workers), Route("POST", "/lookfirst/clear", clear_look_first, "operate"))
