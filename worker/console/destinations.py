"""Settings → Destinations: a card for each destination, its form, its connection test, and pause or resume."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from tasks.authorization.status import status_of
from tasks.credentials.kinds import WORDS
from tasks.credentials.secret import needs_secret, parts_for
from tasks.destinations import AnySettings, wrong_in_mapping
from tasks.errors import Refused
from tasks.model import ConnectionStep, DestinationName
from tasks.state.directory import DestinationRecord
from tasks.state.traffic.standing import LastTest
from worker.console.credential_forms import FIELDS, SECRET_FIELDS, WAYS, secret_given, ways_of
from worker.console.destination_forms import DEFAULTS, KINDS, NETWORK, Kind, settings_from, values_of
from worker.console.visit import Route, Visit

HERE = "/settings/destinations"
BEFORE_0_2 = "/settings/integrations"
_NAME: TypeAdapter[str] = TypeAdapter(DestinationName)


async def overview(visit: Visit) -> web.StreamResponse:
    """All cards; on a first run, what can be connected."""
    records = await visit.services.destinations.list()
    cards = [
        {
            "record": record,
            "kind": KINDS[record.settings.kind],
            "health": health,
            "unreached": _unreached(KINDS[record.settings.kind], health.last_test),
            "credential": await status_of(visit.services.core, record),
        }
        for record in records
        for health in [await visit.services.destinations.shown_health(record.name)]
    ]
    return await visit.page("destinations.html", cards=cards, kinds=KINDS.values(), ways=WORDS)


async def new(visit: Visit) -> web.StreamResponse:
    """The empty form of a kind."""
    kind = KINDS.get(visit.asked("kind"))
    if kind is None:
        raise web.HTTPNotFound
    taken = await visit.services.destinations.names()
    name = next(n for n in (kind.name, *(f"{kind.name}-{i}" for i in range(2, 1000))) if n not in taken)
    return await _form(visit, kind, DEFAULTS | {"name": name}, stored=False)


async def create(visit: Visit) -> web.StreamResponse:
    """Store a new destination."""
    kind = KINDS.get(visit.said("kind"))
    if kind is None:
        raise web.HTTPNotFound
    name = visit.said("name")
    problem = ""
    try:
        _NAME.validate_python(name)
    except ValidationError:
        problem = "The name takes small letters, digits, _ and -, and begins with a letter."
    if await visit.services.destinations.get(name):
        problem = f"There is a destination {name} already. Choose another name."
    if problem:
        return await _form(visit, kind, _given(visit), stored=False, problem=problem)
    return await _save(visit, kind, name, stored=False)


async def edit(visit: Visit) -> web.StreamResponse:
    """The form of a stored destination, without its secret."""
    record = await visit.services.destinations.require(visit.part("name"))
    return await _form(visit, KINDS[record.settings.kind], values_of(record), stored=True)


async def save(visit: Visit) -> web.StreamResponse:
    """Store changed settings. An empty secret keeps the stored one, as long as the address stays."""
    record = await visit.services.destinations.require(visit.part("name"))
    return await _save(visit, KINDS[record.settings.kind], record.name, stored=True)


async def _save(visit: Visit, kind: Kind, name: str, *, stored: bool) -> web.StreamResponse:
    values = _given(visit)
    before = await visit.services.destinations.get(name)
    try:
        settings = settings_from(kind, values, before)
        secret = _secret(visit, kind, settings, before)
        await visit.services.destinations.set(
            name, settings, secret, visit.actor, proxy_password=visit.said("proxy_password") or None
        )
    except Refused as refused:
        return await _form(visit, kind, values | {"name": name}, stored=stored, problem=str(refused))
    if visit.said("then") == "test":
        return await _test(visit, name)
    return await visit.go(f"{HERE}#{name}", f"{name} is saved. Test the connection to see that it works.")


def _secret(visit: Visit, kind: Kind, settings: AnySettings, before: DestinationRecord | None) -> str | None:
    """The secret as it was filled in; None keeps the stored one. Raises `Refused` where a new destination has none."""
    secret = secret_given(settings.auth, visit.said)
    if secret is None and before is None and needs_secret(settings.auth):
        words = " and the ".join(part.words for part in parts_for(settings.auth) if part.required)
        missing = kind.secret if settings.auth is None else words
        raise Refused(f"The {missing} is missing.", code="bad_secret", advice="Fill it in.")
    return secret


def _given(visit: Visit) -> dict[str, str]:
    """What the form holds, without the secret: it is never sent back to a page."""
    return {name: visit.said(name) for name in visit.form if name not in ("csrf", "then", *SECRET_FIELDS)}


async def _form(visit: Visit, kind: Kind, values: dict[str, str], *, stored: bool, problem: str = "") -> web.Response:
    names = [field.name for field in kind.fields]
    names += [field.name for field in FIELDS[kind.name]] + [field.name for field in NETWORK]
    blank = {"name": "", "allow_http": "", "allow_private": "", "auth": "", "credential_expires": ""}
    blank |= dict.fromkeys(names, "")
    facts: dict[str, Any] = {"kind": kind, "values": blank | values, "stored": stored, "problem": problem}
    facts |= {
        "ways": ways_of(kind.name),
        "login_fields": FIELDS[kind.name],
        "network_fields": NETWORK,
        "ways_by_name": WAYS[kind.name],
        "wrong": {"mapping": wrong_in_mapping(kind.name, facts["values"].get("mapping", ""))},
    }
    return await visit.page("destination.html", status=422 if problem else 200, **facts)


async def test(visit: Visit) -> web.StreamResponse:
    """Test the connection, now."""
    return await _test(visit, visit.part("name"))


async def _test(visit: Visit, name: str) -> web.StreamResponse:
    report = await visit.services.test_destination(name, visit.actor)
    if report.success:
        return await visit.go(f"{HERE}#{name}", f"{name}: the connection test passed.")
    return await visit.go(f"{HERE}#{name}", f"{name}: the connection test failed. {report.message}", "bad")


def _unreached(kind: Kind, test: LastTest | None) -> list[ConnectionStep]:
    """The steps that a test didn't come to."""
    known = [step.name for step in test.steps] if test else []
    missing = [name for name in kind.steps if not any(step.startswith(name) for step in known)]
    return [ConnectionStep(name=name, ok=None) for name in missing] if test else []


async def pause(visit: Visit) -> web.StreamResponse:
    """Let the destination's jobs wait."""
    record = await visit.services.destinations.pause(visit.part("name"), visit.actor)
    return await visit.go(f"{HERE}#{record.name}", f"{record.name} is paused. Its jobs wait and lose nothing.")


async def resume(visit: Visit) -> web.StreamResponse:
    """Let the destination's jobs go on."""
    record = await visit.services.destinations.resume(visit.part("name"), visit.actor)
    return await visit.go(f"{HERE}#{record.name}", f"{record.name} is resumed. Its jobs go on.")


async def ask_remove(visit: Visit) -> web.StreamResponse:
    """What removing would do, before it is done."""
    record = await visit.services.destinations.require(visit.part("name"))
    health = await visit.services.destinations.shown_health(record.name)
    return await visit.page("remove.html", record=record, health=health)


async def remove(visit: Visit) -> web.StreamResponse:
    """Forget the destination and its credential."""
    name = visit.part("name")
    await visit.services.destinations.remove(name, visit.actor)
    return await visit.go(HERE, f"{name} and its credential are removed.")


async def moved(visit: Visit) -> web.StreamResponse:
    """The page's address before 0.2, which people may have kept."""
    url = visit.request.rel_url
    rest = url.raw_path.removeprefix(BEFORE_0_2) + (f"?{url.raw_query_string}" if url.raw_query_string else "")
    return web.Response(status=301, headers={"Location": HERE + rest})


ROUTES = (
    Route("GET", "/settings", overview),
    Route("GET", HERE, overview),
    Route("GET", "/settings/connect", new, "admin"),
    Route("POST", HERE, create, "admin"),
    Route("GET", f"{HERE}/{{name}}", edit, "admin"),
    Route("POST", f"{HERE}/{{name}}", save, "admin"),
    Route("POST", f"{HERE}/{{name}}/test", test, "operate"),
    Route("POST", f"{HERE}/{{name}}/pause", pause, "operate"),
    Route("POST", f"{HERE}/{{name}}/resume", resume, "operate"),
    Route("GET", f"{HERE}/{{name}}/remove", ask_remove, "admin"),
    Route("POST", f"{HERE}/{{name}}/remove", remove, "admin"),
    Route("GET", BEFORE_0_2, moved),
    Route("GET", BEFORE_0_2 + r"/{rest:.*}", moved),
)
