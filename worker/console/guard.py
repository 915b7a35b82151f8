"""What stands before every page: who is it, may they, did the request come from our own page; and the safe headers.

A form is taken only with the session's token and, where the browser says where it comes from, from this very host. The
session's cookie is `__Host-` and secure over https; over plain http it is given out on loopback addresses only.
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
from urllib.parse import quote, urlsplit

from aiohttp import web
from redis.exceptions import RedisError

from tasks.errors import AfterwordError, KeyTrouble, Refused, StateUnavailable, place_of
from tasks.state.outages import unavailable
from worker.console.sessions import Session
from worker.console.visit import Console, Form, Route, Visit

log = logging.getLogger(__name__)

SECURE_COOKIE = "__Host-afterword"
LOCAL_COOKIE = "afterword-local"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


class Stranger(Exception):
    """Nobody is logged in."""


class Forbidden(Exception):
    """They may not, or the request did not come from our own page; the text says which."""


def guarded(console: Console, route: Route) -> object:
    """The route's handler behind the guard."""

    async def answer(request: web.Request) -> web.StreamResponse:
        visit = Visit(request, console)
        try:
            response = await _admit(visit, route)
        except web.HTTPRedirection as redirection:
            response = web.Response(status=redirection.status, headers={"Location": redirection.headers["Location"]})
            response.cookies.update(redirection.cookies)
        except Stranger:
            response = _to_login(visit)
        except Exception as error:
            response = await _trouble(visit, error)
        if not response.prepared:
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
        return response

    return answer


async def _admit(visit: Visit, route: Route) -> web.StreamResponse:
    request = visit.request
    visit.someone = await whoever(visit)
    if route.scope is not None and visit.someone is None:
        raise Stranger
    if request.method == "POST":
        _same_place(request)
        visit.form = await _form(request, route.most_bytes)
        given = visit.said("csrf").encode("utf-8", "surrogatepass")
        if route.scope is not None and visit.someone and not hmac.compare_digest(given, visit.someone.csrf.encode()):
            raise Forbidden("The form is from an earlier login or another site. Go back, reload the page, try again.")
    if route.scope is not None and visit.someone and not visit.someone.may(route.scope):
        raise Forbidden(_lacks(visit.someone, route.scope))
    return await route.handler(visit)


def _lacks(someone: Session, scope: str) -> str:
    """Why somebody may not do something, and how they could."""
    if someone.key_id is None:
        return (
            f"You are signed in as {someone.role}; this takes the right to {scope}. "
            "An administrator of your sign-in can put you into a group that has it; then sign in again."
        )
    return (
        f"Your key {someone.name!r} is a {someone.role}'s; this takes the right to {scope}. "
        "An admin can make you another key under API keys."
    )


async def _form(request: web.Request, most_bytes: int) -> Form:
    try:
        return await request.clone(client_max_size=most_bytes).post()
    except (ValueError, LookupError, AssertionError):  # what aiohttp raises for a body that isn't what it calls itself
        raise web.HTTPBadRequest from None


async def whoever(visit: Visit) -> Session | None:
    """The session behind the request's cookie."""
    identifier = visit.request.cookies.get(cookie_name(visit.request))
    if not identifier or len(identifier) > 200:
        return None
    return await visit.console.sessions.find(identifier, visit.now_ms)


def over_https(request: web.Request) -> bool:
    """Whether the browser speaks https, to us or to a proxy before us."""
    return request.secure or request.headers.get("X-Forwarded-Proto", "").split(",")[-1].strip() == "https"


def console_address(request: web.Request, public_url: str | None) -> str:
    """The console's own address, which others send a browser back to: the operator's, or the one that was asked for."""
    return public_url or f"{'https' if over_https(request) else 'http'}://{request.host}"


def on_loopback(request: web.Request) -> bool:
    """Whether the browser addresses this very machine, so that plain http shows nothing to a network."""
    try:
        name = urlsplit(f"//{request.host}").hostname or ""
    except ValueError:
        return False
    return name == "localhost" or name.endswith(".localhost") or is_loopback(name)


def is_loopback(address: str) -> bool:
    """Whether an IP address is this machine's own."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def cookie_name(request: web.Request) -> str:
    """The session cookie's name: browsers keep `__Host-` cookies for https and this host alone."""
    return SECURE_COOKIE if over_https(request) else LOCAL_COOKIE


def _same_place(request: web.Request) -> None:
    """Refuse a form that a browser says comes from elsewhere."""
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site not in (None, "same-origin") or (origin is not None and origin.partition("://")[2] != request.host):
        raise Forbidden("The form was sent from another site. Open the console itself and try again there.")


def _to_login(visit: Visit) -> web.Response:
    request = visit.request
    wanted = request.path_qs if request.method == "GET" and "text/html" in request.headers.get("Accept", "") else "/"
    if request.path == "/live":
        return web.Response(status=401)
    return web.Response(status=303, headers={"Location": f"/login?next={quote(wanted, safe='')}"})


async def _trouble(visit: Visit, error: Exception) -> web.StreamResponse:
    """The page for what went wrong, without a word of what only we should know."""
    status, title, text = _words(error)
    if status >= 500:
        resource = visit.request.match_info.route.resource  # the address as sent may hold what is secret
        place = resource.canonical if resource else "(unknown)"
        log.error("%s: %s", place, place_of(error))
    try:
        return await visit.page("error.html", status=status, title=title, text=text, code=status)
    except (RedisError, AfterwordError, OSError):  # the frame needs Redis; the plain page needs nothing
        visit.someone = None
        return await visit.page("error.html", status=status, title=title, text=text, code=status)


def _words(error: Exception) -> tuple[int, str, str]:
    match error:
        case Forbidden():
            return 403, "Not allowed", str(error)
        case web.HTTPRequestEntityTooLarge():
            return (
                413,
                "Too large",
                "A document may have up to 4 MB, its files 10 MB together. Shorten it, or leave files out.",
            )
        case web.HTTPNotFound():
            return 404, "Page not found", "There is no such page. It may have been renamed, or the link is incomplete."
        case web.HTTPException():
            return error.status, error.reason, "The console can't do that. Go back and try another way."
        case Refused() if error.code.startswith("unknown_"):
            return 404, "Not found", str(error)
        case Refused():
            return 409, "Not possible", str(error)
        case StateUnavailable():
            return 503, "Redis is not available", str(error)
        case KeyTrouble():
            return 503, "An encryption key is missing", str(error)
        case RedisError() | OSError():
            return 503, "Redis is not available", f"{unavailable(error)} Nothing was lost."
    return (
        500,
        "Internal error",
        "A fault in Afterword itself. The server's log names it. No change was made in part.",
    )
