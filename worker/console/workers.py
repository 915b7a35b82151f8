"""Workers: which are alive, what they do, which version they run."""

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


ROUTES = (Route("GET", "/workers", workers),)
