"""Log in to a destination from the console: OAuth with PKCE, and a `state` that only this browser's session can answer.

The session's cookie doesn't come along when the vendor sends the browser back, because it is SameSite=Strict. The callback then
shows a page with one link to itself: whoever follows that comes from our own page.
"""

from __future__ import annotations

import hmac
import json
import secrets

from aiohttp import web

from tasks.authorization.authorize import accept_code
from tasks.credentials.grants import Visit as LoginVisit
from tasks.credentials.grants import visit as login_visit
from tasks.credentials.kinds import Login
from tasks.errors import AttemptFailed, Refused
from tasks.state.directory import DestinationRecord
from worker.console.guard import console_address
from worker.console.visit import Route, Visit

HERE = "/settings/destinations"
CALLBACK = "/settings/login-callback"


async def begin(visit: Visit) -> web.StreamResponse:
    """A page that leads to the vendor. A form can't: where it may go is ours alone by the content security policy."""
    record = await visit.services.destinations.require(visit.part("name"))
    auth = _login_of(record)
    here = console_address(visit.request, visit.services.settings.public_url)
    back, state = f"{here}{CALLBACK}", secrets.token_urlsafe(32)
    there = login_visit(auth, record.settings.endpoints, back, state)
    pending = {
        "name": record.name,
        "revision": record.revision,
        "state": state,
        "verifier": there.verifier,
        "back": back,
    }
    await visit.console.sessions.keep_login(visit.session, json.dumps(pending))
    return await visit.page("destination_login.html", record=record, address=there.address, back=back)


async def come_back(visit: Visit) -> web.StreamResponse:
    """The vendor's answer: it counts once, for the browser that asked, and as long as nothing of the destination changed."""
    if visit.someone is None:
        return await visit.page("destination_login_back.html", address=visit.request.path_qs)
    held = await visit.console.sessions.take_login(visit.someone)
    pending = json.loads(held) if held else {}
    state = str(pending.get("state", ""))
    if not state or not hmac.compare_digest(visit.asked("state").encode("utf-8", "surrogatepass"), state.encode()):
        return await visit.go(HERE, "This is not the answer of a login that was begun here. Begin it again.", "bad")
    record = await visit.services.destinations.require(str(pending["name"]))
    code, place = visit.asked("code"), f"{HERE}#{record.name}"
    if record.revision != pending["revision"]:
        return await visit.go(place, f"{record.name} was changed meanwhile. Log in again.", "bad")
    if not code:
        words = f"{visit.asked('error') or 'no code'} {visit.asked('error_description')}".strip()
        return await visit.go(place, f"The login was refused: {words:.300}", "bad")
    there = LoginVisit("", state, str(pending["verifier"]), str(pending["back"]))
    try:
        _login_of(record)
        await accept_code(visit.services.core, record, there, code, visit.actor)
    except (AttemptFailed, Refused) as trouble:
        return await visit.go(place, f"{record.name}: {trouble}", "bad")
    report = await visit.services.test_destination(record.name, visit.actor)
    if report.success:
        return await visit.go(place, f"{record.name} is logged in, and the connection test passed.")
    return await visit.go(place, f"{record.name} is logged in; the connection test failed. {report.message}", "bad")


def _login_of(record: DestinationRecord) -> Login:
    auth = record.settings.auth
    if not isinstance(auth, Login):
        raise Refused(
            f"{record.name} doesn't log in in a browser.",
            code="no_login",
            advice="Choose *OAuth login in a browser* in its form first.",
        )
    return auth


ROUTES = (
    Route("POST", f"{HERE}/{{name}}/login", begin, "admin"),
    Route("GET", CALLBACK, come_back, None),
)
