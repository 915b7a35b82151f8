"""Signing in at the organisation's own provider: the way there, the way back, and a page for whatever went wrong.

What the answer is compared with stands sealed in a cookie that comes along when the provider sends the browser back
(SameSite=Lax). The session's own cookie is Strict: it doesn't go out with a request that another site caused, so the answer is a
page of ours that leads on, and not a redirection.
"""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web

from tasks.state.audit.entries import Event
from worker.console import login
from worker.console.guard import console_address, on_loopback, over_https
from worker.console.rendering import query
from worker.console.visit import Route, Visit
from worker.signin.signing_in import CALLBACK, PATIENCE_MS, Pending, SigningIn
from worker.signin.trouble import SignInRefused

log = logging.getLogger(__name__)

HERE = "/login/oidc"
SECURE_COOKIE = "__Host-afterword-signin"
LOCAL_COOKIE = "afterword-signin-local"
LONGEST_TARGET = 1000  # bytes; more than that and a browser may not keep the cookie
LONGEST_COOKIE = 8000


async def begin(visit: Visit) -> web.StreamResponse:
    """Lead to the provider, from the address that it will lead back to."""
    signing_in, target = _signing_in(visit), _target(visit)
    if visit.someone:
        await visit.go(target)
    here = console_address(visit.request, visit.services.settings.public_url)
    elsewhere = here.partition("://")[2] != visit.request.host
    if elsewhere and not visit.asked("led"):
        raise web.HTTPSeeOther(f"{here}{query(HERE, next=target, led=1)}")
    try:
        _refuse_plain_http(visit)
        if elsewhere:
            raise _hidden_host(here)
        address, kept = await signing_in.begin(here + CALLBACK, target)
    except SignInRefused as refused:
        return await _refused(visit, refused)
    response = web.HTTPSeeOther(address)
    response.set_cookie(
        _cookie_name(visit),
        kept,
        max_age=PATIENCE_MS // 1000,
        path="/",
        httponly=True,
        samesite="Lax",
        secure=over_https(visit.request),
    )
    raise response


async def come_back(visit: Visit) -> web.StreamResponse:
    """The provider's answer: it counts once, for the browser that asked."""
    signing_in = _signing_in(visit)
    given = {name: visit.asked(name) for name in ("state", "code", "error", "error_description", "iss")}
    given = {name: value for name, value in given.items() if value}
    kept = visit.request.cookies.get(_cookie_name(visit), "")
    pending = None
    try:
        pending = await signing_in.pending(kept[:LONGEST_COOKIE], given)
        if not await _may_ask(visit):
            raise _too_many()
        response = await _signed_in(visit, signing_in, pending, given)
    except SignInRefused as refused:
        response = await _refused(visit, refused, pending)
    if pending:
        secure = over_https(visit.request)
        response.del_cookie(_cookie_name(visit), path="/", secure=secure, httponly=True, samesite="Lax")
    return response


async def _signed_in(visit: Visit, signing_in: SigningIn, pending: Pending, given: dict[str, str]) -> web.Response:
    sessions = visit.console.sessions
    try:
        person = await signing_in.complete(pending, given)
    except SignInRefused:
        await sessions.count_failure(visit.address, "signins")
        raise
    if visit.someone:
        await sessions.close(visit.someone.digest, visit.now_ms)
        visit.someone = None
    identifier = await sessions.open_for(person, signing_in.policy, visit.now_ms)
    facts = {"actor": person.actor, "way": "oidc", "role": person.role, "group": person.group, "address": visit.address}
    await visit.services.ledger.record(Event.LOGGED_IN, facts)
    response = await visit.page("signed_in.html", person=person, target=pending.target)
    login.keep_session(visit, response, identifier)
    return response


async def _may_ask(visit: Visit) -> bool:
    """Each answer costs a request to the provider and its audit entries, and anybody can make answers up: after too many from one
    address the provider is asked once a second for it. Others may have the same address, as behind a proxy, so it isn't locked out.
    """
    sessions, address = visit.console.sessions, visit.address
    return not await sessions.too_many_failures(address, "signins") or await sessions.takes_turn(address, "signins")


def _too_many() -> SignInRefused:
    return SignInRefused(
        "Too many sign-ins from this address came to nothing.",
        code="too_many",
        advice="Sign in again in a moment, or log in with an API key.",
        status=429,
    )


def _hidden_host(here: str) -> SignInRefused:
    return SignInRefused(
        f"The console was asked for under another name than {here}.",
        code="host_hidden",
        advice="The operator has the proxy keep the `Host` header, or corrects AFTERWORD_PUBLIC_URL.",
        status=502,
    )


def _refuse_plain_http(visit: Visit) -> None:
    if not over_https(visit.request) and not on_loopback(visit.request):
        raise SignInRefused(
            "Over plain http a session would cross the network unencrypted.",
            code="plain_http",
            advice="Use https, or a tunnel to this machine.",
        )


async def _refused(visit: Visit, refused: SignInRefused, pending: Pending | None = None) -> web.Response:
    """The page for it. It is counted by address and audited as a refused key is; who goes on trying has to wait."""
    sessions, address = visit.console.sessions, visit.address
    if await sessions.too_many_failures(address):
        await asyncio.sleep(login.PENALTY_S)
    else:
        await sessions.count_failure(address)
        facts = {"way": "oidc", "reason": refused.code, "address": address}
        await visit.services.ledger.record(Event.LOGIN_REFUSED, facts)
        log.warning("sign-in refused (%s): %s", refused.code, refused.message)
    target = pending.target if pending else _target(visit)
    name = _signing_in(visit).policy.name
    return await visit.page("sign_in_refused.html", status=refused.status, refused=refused, target=target, name=name)


def _signing_in(visit: Visit) -> SigningIn:
    if visit.console.signing_in is None:
        raise web.HTTPNotFound
    return visit.console.signing_in


def _target(visit: Visit) -> str:
    target = login.own_path(visit.asked("next"))
    return target if len(target.encode()) <= LONGEST_TARGET else "/"


def _cookie_name(visit: Visit) -> str:
    return SECURE_COOKIE if over_https(visit.request) else LOCAL_COOKIE


ROUTES = (
    Route("GET", HERE, begin, None),
    Route("GET", CALLBACK, come_back, None),
)
