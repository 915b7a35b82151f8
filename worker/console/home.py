"""The front door: to what needs doing first."""

from __future__ import annotations

from aiohttp import web

from worker.console.visit import Route, Visit


async def home(visit: Visit) -> web.StreamResponse:
    """On a first run to the destinations, later to the jobs."""
    known = await visit.services.destinations.names()
    return await visit.go("/jobs" if known else "/settings/destinations")


ROUTES = (Route("GET", "/", home),)
