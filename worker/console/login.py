"""The login page, logging in with an API key, and out."""

from __future__ import annotations

import asyncio

from aiohttp import web

from tasks.state.access.rights import Scope
from tasks.state.audit.entries import Event
from worker.console.guard import cookie_name, is_loopback, on_loopback, over_https
from worker.console.sessions import FAILURES_WITHIN_S
from worker.console.visit import Route, Visit

LONGEST_KEY = 300
PENALTY_S = 1.0


async def show(visit: Visit) -> web.StreamResponse:
    """The login page; straight on for whoever is logged in."""
    target = own_path(visit.asked("next"))
    if visit.someone:
        await visit.go(target)
    return await _page(visit, target)


async def log_in(visit: Visit) -> web.StreamResponse:
    """Take a key and open a session. A refused key is counted by address and audited, never repeated.

    A good key is taken whatever others tried from the same address, as behind a proxy; who goes on guessing has to wait.
    """
    sessions, address = visit.console.sessions, visit.address
    target = own_path(visit.said("next"))
    if not over_https(visit.request) and not on_loopback(visit.request):
        text = "Over plain http a key would cross the network unencrypted. Use https, or a tunnel to this machine."
        return await _page(visit, target, text, 403)
    given = visit.said("key")
    key = await visit.services.access.authenticate(given) if 0 < len(given) <= LONGEST_KEY else None
    if key is None and await sessions.too_many_failures(address):
        await asyncio.sleep(PENALTY_S)
        response = await _page(visit, target, "Too many keys were refused. Wait a minute, then try again.", 429)
        response.headers["Retry-After"] = str(FAILURES_WITHIN_S)
        return response
    if key is None:
        await sessions.count_failure(address)
        await visit.services.ledger.record(Event.LOGIN_REFUSED, {"address": address})
        return await _page(visit, target, "That key isn't known here, or it was revoked or has expired.", 401)
    if not key.may(Scope.READ):
        text = "That key may submit jobs but not read. Use one with the scope read, operate or admin."
        return await _page(visit, target, text, 403)
    await visit.services.access.admit(key, visit.services.settings.api_rate_per_minute)  # notes when it was last used
    if visit.someone:
        await sessions.close(visit.someone.digest, visit.now_ms)
    identifier = await sessions.open(key, visit.now_ms)
    await visit.services.ledger.record(Event.LOGGED_IN, {"actor": key.name, "key": key.id, "address": address})
    response = web.HTTPSeeOther(target)
    keep_session(visit, response, identifier)
    raise response


def keep_session(visit: Visit, response: web.StreamResponse, identifier: str) -> None:
    """Give the browser its session."""
    response.set_cookie(
        cookie_name(visit.request),
        identifier,
        path="/",
        httponly=True,
        samesite="Strict",
        secure=over_https(visit.request),
    )


async def log_out(visit: Visit) -> web.StreamResponse:
    """End the session."""
    key = {"key": visit.session.key_id} if visit.session.key_id else {}
    await visit.console.sessions.close(visit.session.digest, visit.now_ms)
    await visit.services.ledger.record(Event.LOGGED_OUT, {"actor": visit.actor, **key})
    response = web.HTTPSeeOther("/login" if key else "/login?left=oidc")
    response.del_cookie(cookie_name(visit.request), path="/", secure=over_https(visit.request), samesite="Strict")
    raise response


def own_path(wanted: str) -> str:
    """Where to go after the login: a path of the console, never another site."""
    plain = wanted.startswith("/") and not wanted.startswith(("//", "/\\", "/login", "/live"))
    return wanted if plain and wanted.isprintable() else "/"


async def _page(visit: Visit, target: str, text: str = "", status: int = 200) -> web.Response:
    here = on_loopback(visit.request) and is_loopback(visit.address)
    data = visit.services.settings.data if here else None
    signing_in = visit.console.signing_in
    name = signing_in.policy.name if signing_in else None
    left = await signing_in.way_out() if signing_in and visit.asked("left") else None
    return await visit.page("login.html", status=status, target=target, text=text, data=data, name=name, left=left)


ROUTES = (
    Route("GET", "/login", show, None),
    Route("POST", "/login", log_in, None),
    Route("POST", "/logout", log_out, "read"),
)
