"""Attacks of docs/threat-model.md as a whole: by the ledger, the worker's attempt and real sockets."""

from __future__ import annotations

import random
import socket

import pytest
from aiohttp import web

from tasks import lifecycle
from tasks.destinations import parse_settings
from tasks.errors import KeyTrouble, Refused
from tasks.model import JobState, parse_command
from tasks.state.jobs.asked import Asked
from tasks.state.receivers.settings import receiver_of
from tasks.state.views.registry import Person
from tests.integration.test_lifecycle import DOCUMENT, INCIDENT, ISSUE
from tests.listening import listening
from worker.machine.stack import FAKE_SECRET

RETIRED = "0badc0de"


async def pointed_at(services, address: str, **more) -> None:
    given = {"kind": "servicenow", "instance_url": address, "username": "svc", "allow_http": True, **more}
    await services.destinations.set("servicenow", parse_settings(given), FAKE_SECRET, "test")


async def attempted(services):
    job = await services.submit(parse_command(INCIDENT), actor="test", issue=ISSUE)
    return job, await lifecycle.attempt(services.core, job.id)


@pytest.mark.usefixtures("destinations")
async def test_a_token_under_a_retired_key_suspends_its_destination_and_nothing_is_asked(services, sandbox):
    """No storm of attempts: the job waits until the destination is in order, and its attempt doesn't count."""
    record = f"{services.settings.prefix}:destination:servicenow"
    version, _, token = (await services.redis.hget(record, "whole")).decode().split(".", 2)
    await services.redis.hset(record, "whole", f"{version}.{RETIRED}.{token}")
    job, ended = await attempted(services)
    assert ended.state is JobState.QUEUED
    found = await services.destinations.require("servicenow")
    assert found.state == "suspended"
    assert RETIRED in found.reason
    assert (await services.ledger.require(job.id)).attempts == 0
    assert (await sandbox.state())["requests"] == []
    assert (await services.destinations.require("confluence")).state == "ready"


@pytest.mark.usefixtures("destinations")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_and_takes_no_credential_along(services, status):
    """Neither to another port of the same host nor to the address where clouds keep their secrets."""
    heard: list[str] = []

    async def note(request: web.Request) -> web.Response:
        heard.append(request.path)
        return web.json_response({"result": []})

    async with listening(note) as elsewhere:
        for there in (f"{elsewhere}/latest/meta-data", "http://169.254.169.254/latest/meta-data"):

            async def lead(_: web.Request, there: str = there) -> web.Response:
                return web.Response(status=status, headers={"Location": there})

            async with listening(lead) as vendor:
                await pointed_at(services, vendor, allow_private=("127.0.0.0/8",))
                _, ended = await attempted(services)
                assert ended.state is not JobState.DELIVERED
    assert heard == []


@pytest.mark.usefixtures("destinations")
async def test_a_name_that_leads_inside_when_it_is_connected_to_is_refused_at_the_socket(services, monkeypatch):
    """A name is public when somebody looks, and this machine's own when the connection is made."""
    heard: list[str] = []

    async def note(request: web.Request) -> web.Response:
        heard.append(request.path)
        return web.json_response({"result": []})

    real, asked = socket.getaddrinfo, []

    def rebound(host, port, *args, **kwargs):
        if host != "rebound.example":
            return real(host, port, *args, **kwargs)
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebound)
    async with listening(note) as inside:
        address = inside.replace("127.0.0.1", "rebound.example")
        await pointed_at(services, address)
        _, ended = await attempted(services)
        assert asked, "the name was looked up"
        assert ended.state is not JobState.DELIVERED
        assert heard == []
        await pointed_at(services, address, allow_private=("127.0.0.0/8",))
        await attempted(services)
        assert heard, "where the operator permits the network, it is reached"


OLGA = Person(id="ak_1", name="Olga", actor="Olga", shares=True)


async def test_mutated_contents_receivers_and_views_are_what_was_stored_or_a_refusal(services):
    """Flipped, cut, emptied, swapped with one of another kind or name, deleted: never another content, receiver or view."""
    chance, prefix = random.Random(7), services.settings.prefix
    for name in ("a", "b"):
        await services.contents.put_document(DOCUMENT.model_copy(update={"id": name, "title": name}), "test")
        await services.contents.put_issue(ISSUE.model_copy(update={"id": name, "title": name}), "test")
        hook = {"kind": "webhook", "url": f"https://{name}.example.com/hook", "secret": "whsec_" + "A" * 43 + "="}
        await services.receivers.set(name, receiver_of(name, hook), "test")
    views = {name: await services.views.save(OLGA, name, Asked(q=f"pool {name}"), shared=True) for name in ("a", "b")}
    readers = {
        "document": services.contents.document,
        "issue": services.contents.issue,
        "receiver": services.receivers.require,
        "view": lambda name: services.views.require(views[name].id, OLGA),
    }
    places = {
        kind: {name: f"{prefix}:{kind}:{name}" for name in ("a", "b")} for kind in ("document", "issue", "receiver")
    }
    places["view"] = {name: f"{prefix}:view:{view.id}" for name, view in views.items()}
    known = {kind: {name: await read(name) for name in ("a", "b")} for kind, read in readers.items()}
    held = {place: await services.redis.dump(place) for each in places.values() for place in each.values()}

    async def stored(kind: str, name: str) -> bytes:
        place = places[kind][name]
        return await (
            services.redis.hget(place, "sealed") if kind in ("receiver", "view") else services.redis.get(place)
        )

    refused = 0
    for _ in range(400):
        kind, name = chance.choice(list(readers)), chance.choice("ab")
        text = bytearray(await stored(kind, name))
        match chance.choice(["flip", "cut", "empty", "swap", "revision"]):
            case "flip":
                text[chance.randrange(len(text))] ^= 1 << chance.randrange(8)
            case "cut":
                del text[chance.randrange(len(text)) :]
            case "empty":
                text.clear()
            case "swap":
                text = bytearray(await stored(chance.choice(list(readers)), chance.choice("ab")))
            case "revision" if kind == "receiver":
                await services.redis.hset(places[kind][name], "revision", chance.choice(["", "0", "x", "9" * 15]))
        if kind in ("receiver", "view"):
            await services.redis.hset(places[kind][name], "sealed", bytes(text))
        else:
            await services.redis.set(places[kind][name], bytes(text))
        try:
            assert await readers[kind](name) == known[kind][name]
        except (KeyTrouble, Refused):
            refused += 1
        await services.redis.restore(places[kind][name], 0, held[places[kind][name]], replace=True)
    assert refused > 200
