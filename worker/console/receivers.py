"""Receivers of notifications, for admins: who is told of what, a new one, a test message, removal."""

from __future__ import annotations

from aiohttp import web

from tasks.errors import KeyTrouble, Refused
from tasks.state.access.keys import new_signing_secret
from tasks.state.receivers.settings import Topic, WebhookReceiver, receiver_of
from worker.console.visit import Route, Visit
from worker.rounds.notifier import test

HERE = "/settings/notifications"
KINDS = (("webhook", "Webhook"), ("slack", "Slack"), ("teams", "Teams"), ("email", "E-mail"))
WORDS = {
    Topic.HELD: "Held jobs",
    Topic.DEAD: "Dead jobs",
    Topic.SUSPENDED: "Suspended destinations",
    Topic.EXPIRING: "Credentials that end",
    Topic.TAMPERED: "Records changed in Redis",
    Topic.WENT_BACK: "A ledger that went back in time",
}
PLAIN = ("name", "kind", "smtp_host", "smtp_port", "security", "username", "sender", "to", "console", "allow_private")


async def receivers(visit: Visit) -> web.StreamResponse:
    """All receivers."""
    return await _page(visit)


async def store(visit: Visit) -> web.StreamResponse:
    """Store a receiver; this answer is the only place where a webhook's signing secret is ever shown."""
    try:
        receiver = receiver_of(visit.said("name"), await _unshown(visit) | _given(visit))
        await visit.services.receivers.set(visit.said("name"), receiver, visit.actor)
    except Refused as refused:
        return await _page(visit, problem=refused.message, status=422)
    if isinstance(receiver, WebhookReceiver):
        return await _page(visit, fresh=(visit.said("name"), receiver.secret))
    return await visit.go(HERE, f"{visit.said('name')} is told from now on. Send it a test message.")


async def _unshown(visit: Visit) -> dict[str, object]:
    """What a stored receiver of that name and kind has that the form doesn't show."""
    try:
        before = await visit.services.receivers.get(visit.said("name"))
    except KeyTrouble:
        return {}
    if before is None or before.kind != visit.said("kind"):
        return {}
    return before.model_dump(include={"min_interval_s", "ca_file"})


def _given(visit: Visit) -> dict[str, object]:
    kind = visit.said("kind")
    given: dict[str, object] = {"kind": kind, "topics": [str(topic) for topic in visit.form.getall("topics", [])]}
    if visit.said("console"):
        given["console"] = visit.said("console")
    if visit.said("allow_private"):
        given["allow_private"] = visit.said("allow_private").replace(",", " ").split()
    if visit.said("allow_http"):
        given["allow_http"] = True
    if kind == "webhook":
        given["secret"] = new_signing_secret()
    if kind != "email":
        return given | {"url": visit.said("url")}
    texts = ("smtp_host", "security", "username", "password", "sender")
    given |= {name: visit.said(name) for name in texts if visit.said(name)}
    if visit.said("smtp_port"):
        port = visit.said("smtp_port")
        given["smtp_port"] = int(port) if port.isascii() and port.isdecimal() and len(port) < 6 else port
    return given | {"to": visit.said("to").replace(",", " ").split()}


async def try_out(visit: Visit) -> web.StreamResponse:
    """Send a test message now."""
    name = visit.part("name")
    trouble = await test(visit.services, name)
    if trouble:
        return await visit.go(HERE, f"The test message to {name} failed: {trouble}", "bad")
    return await visit.go(HERE, f"The test message to {name} was taken.")


async def remove(visit: Visit) -> web.StreamResponse:
    """Forget a receiver with its secret."""
    await visit.services.receivers.remove(visit.part("name"), visit.actor)
    return await visit.go(HERE, f"{visit.part('name')} is told nothing any more.")


async def _page(
    visit: Visit, *, problem: str = "", fresh: tuple[str, str] | None = None, status: int = 200
) -> web.Response:
    posted = visit.request.method == "POST" and fresh is None
    return await visit.page(
        "receivers.html",
        status=status,
        receivers=await visit.services.receivers.views(),
        kinds=KINDS,
        words=WORDS,
        problem=problem,
        fresh=fresh,
        given={name: visit.said(name) if posted else "" for name in PLAIN},
        chosen=visit.form.getall("topics", []) if posted else list(Topic),
    )


ROUTES = (
    Route("GET", HERE, receivers, "admin"),
    Route("POST", HERE, store, "admin"),
    Route("POST", f"{HERE}/{{name}}/test", try_out, "admin"),
    Route("POST", f"{HERE}/{{name}}/remove", remove, "admin"),
)
