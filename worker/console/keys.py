"""API keys, for admins: who has one, a new one (its text is shown once), revoke."""

from __future__ import annotations

from aiohttp import web

from tasks.errors import Refused
from tasks.state.access.rights import ROLES
from worker.console.visit import Route, Visit

HERE = "/settings/keys"
DAY_MS = 24 * 3600 * 1000
PURPOSES = (
    ("viewer", "Viewer", "reads everything, changes nothing"),
    ("producer", "Producer", "a program that submits jobs and follows them"),
    ("operator", "Operator", "submits, retries, releases, cancels, pauses"),
    ("admin", "Admin", "everything, with destinations, credentials and keys"),
)
LIFETIMES = ((30, "30 days"), (90, "90 days"), (365, "a year"), (0, "never"))


async def keys(visit: Visit) -> web.StreamResponse:
    """All keys."""
    return await _page(visit)


async def create(visit: Visit) -> web.StreamResponse:
    """Make a key; this answer is the only place where its text is ever shown."""
    scopes = ROLES.get(visit.said("purpose"))
    days = next((days for days, _ in LIFETIMES if str(days) == visit.said("days")), None)
    if scopes is None or days is None:
        return await _page(visit, problem="Choose what the key is for and when it expires.", status=422)
    expires_ms = visit.now_ms + days * DAY_MS if days else None
    try:
        key, secret = await visit.services.access.create(visit.said("name"), scopes, expires_ms, visit.actor)
    except Refused as refused:
        return await _page(visit, problem=str(refused), status=422)
    return await _page(visit, fresh=(key, secret))


async def revoke(visit: Visit) -> web.StreamResponse:
    """Refuse the key from now on, and end the sessions that were opened with it."""
    key = await visit.services.access.revoke(visit.part("id"), visit.actor)
    await visit.services.views.forget_those_of(key.id, visit.actor)
    return await visit.go(HERE, f"{key.name} is revoked. Everybody who logged in with it is logged out.")


async def _page(
    visit: Visit, *, problem: str = "", fresh: tuple[object, str] | None = None, status: int = 200
) -> web.Response:
    return await visit.page(
        "keys.html",
        status=status,
        keys=await visit.services.access.list(),
        purposes=PURPOSES,
        lifetimes=LIFETIMES,
        problem=problem,
        fresh=fresh,
        given={name: visit.said(name) for name in ("name", "purpose", "days")},
    )


ROUTES = (
    Route("GET", HERE, keys, "admin"),
    Route("POST", HERE, create, "admin"),
    Route("POST", f"{HERE}/{{id}}/revoke", revoke, "admin"),
)
