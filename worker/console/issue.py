"""One issue: its tickets, as they read on the remote side where that is followed."""

from __future__ import annotations

from aiohttp import web

from tasks.model import subject_key
from worker.console.visit import Route, Visit


async def show(visit: Visit) -> web.StreamResponse:
    """The page."""
    identifier = visit.part("id")
    made = await visit.services.core.followed.of(subject_key("issue", identifier))
    if not made and not await visit.services.contents.length("issue", identifier):
        raise web.HTTPNotFound
    return await visit.page("tickets.html", identifier=identifier, tickets=made)


ROUTES = (Route("GET", "/issues/{id}", show),)
