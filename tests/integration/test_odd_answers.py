"""Answers of a shape that no vendor documents: each is a typed error that names the vendor, none is a fault of ours."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field

import pytest
from aiohttp import ClientSession, web

from tasks import lifecycle
from tasks.destinations import parse_settings
from tasks.model import JobState
from tests.integration.test_lifecycle import DOCUMENT, EVERY, ISSUE, run, submit
from tests.listening import listening
from worker.machine.stack import FAKE_SECRET, sandbox_destinations

WORDS = "application/json"
ODD = {
    "html": (200, "text/html", "<html><body>Welcome</body></html>"),
    "empty": (200, WORDS, ""),
    "null": (200, WORDS, "null"),
    "number": (200, WORDS, "1e400"),
    "huge": (200, WORDS, '{"id": ' + "9" * 5000 + ', "result": ' + "9" * 5000 + "}"),
    "text": (200, WORDS, '"done"'),
    "list": (200, WORDS, "[]"),
    "list of numbers": (200, WORDS, "[1, 2]"),
    "object": (200, WORDS, "{}"),
    "truncated": (200, WORDS, '{"id": "12", "resu'),
    "binary": (200, WORDS, "\x00\x01\x02"),
    "deep": (200, WORDS, "[" * 50_000),
    "no id": (200, WORDS, json.dumps({"title": "x", "result": {"number": "INC1"}, "results": [{"key": "OPS"}]})),
    "nulls": (200, WORDS, json.dumps(dict.fromkeys(("id", "result", "results", "version", "fields", "workItems")))),
    "wrong types": (
        200,
        WORDS,
        json.dumps(
            {
                "id": [1],
                "rev": "x",
                "result": [7],
                "results": [7, None, {"id": None, "key": 5, "version": "x", "name": []}],
                "version": {"number": "x"},
                "fields": [],
                "relations": 5,
                "workItems": [5, {"id": None}],
                "_links": "x",
                "body": "x",
                "space": 3,
                "key": {},
            }
        ),
    ),
    "results that are no list": (200, WORDS, json.dumps({"results": 5, "result": "x", "workItems": {}, "value": 1})),
    "redirect": (302, "text/html", ""),
    "no content": (204, WORDS, ""),
    "partial": (206, WORDS, "{}"),
    "refusal of another shape": (400, WORDS, "[1]"),
    "refusal in words": (400, "text/plain", "no"),
    "not found in words": (404, "text/plain", "no"),
    "teapot": (418, WORDS, '{"message": {"a": 1}, "errors": 5}'),
}


@dataclass
class Twisted:
    """A proxy before the sandbox that passes everything on, but gives one chosen answer in an odd shape.

    What it twists the sandbox has carried out, unless it `swallows` it: the doubt about a write has to be kept. With `called`
    all answers are called that type, whatever they are.
    """

    target: str
    session: ClientSession
    url: str = ""
    odd: tuple[int, str, str] = (200, WORDS, "")
    at: int = -1
    swallows: bool = False
    called: str = ""
    seen: list[str] = field(default_factory=list)

    def turn(self, at: int, odd: tuple[int, str, str]) -> None:
        self.seen, self.at, self.odd = [], at, odd

    async def answer(self, request: web.Request) -> web.Response:
        number = len(self.seen)
        self.seen.append(f"{request.method} {request.path}")
        body = await request.read()
        if number == self.at and self.swallows:
            status, kind, words = self.odd
            return web.Response(status=status, body=words.encode(), headers={"Content-Type": kind})
        headers = {name: value for name, value in request.headers.items() if name not in ("Host", "Content-Length")}
        address = self.target + request.raw_path
        async with self.session.request(
            request.method, address, data=body or None, headers=headers, allow_redirects=False
        ) as real:
            text, kind = await real.read(), real.headers.get("Content-Type", WORDS)
        if number == self.at:
            status, kind, words = self.odd
            return web.Response(status=status, body=words.encode(), headers={"Content-Type": kind})
        text = text.replace(self.target.encode(), self.url.encode())
        return web.Response(status=real.status, body=text, headers={"Content-Type": self.called or kind})


@pytest.fixture
async def twisted(sandbox):
    made = Twisted(sandbox.url, sandbox.session)
    async with listening(made.answer, auto_decompress=False) as made.url:
        yield made


numbers = itertools.count()


async def prepared(services, vendor, command):
    """A command about content of its own."""
    number = next(numbers)
    if vendor == "confluence":
        document = DOCUMENT.model_copy(
            update={"id": f"doc-{number}", "issue_id": f"inc-{number}", "title": f"RCA {number}"}
        )
        return command | {"doc_id": document.id}, {"document": document}
    issue = ISSUE.model_copy(update={"id": f"inc-{number}"})
    return command | {"issue_id": issue.id}, {"issue": issue}


FLAVORS = ("new", "again", "in doubt")


@pytest.mark.parametrize("flavor", FLAVORS)
@pytest.mark.parametrize(("vendor", "command"), EVERY)
async def test_no_answer_of_another_shape_is_a_fault_of_ours_or_makes_a_second_object(
    services, sandbox, twisted, vendor, command, flavor
):
    given = {**sandbox_destinations(twisted.url)[vendor], "write_lag_s": 0, "total_timeout_s": 10}
    given |= {"cross_links": False, "breaker_failures": 0}
    trouble = []
    for number, (odd, answer) in enumerate(ODD.items()):
        everywhere = odd in ("redirect", "not found in words")
        if number % 3 != FLAVORS.index(flavor) and not everywhere:  # all shapes three times would take long
            continue
        for place in itertools.count():
            await services.destinations.set(vendor, parse_settings(given), FAKE_SECRET, "test")
            arguments, content = await prepared(services, vendor, command)
            made = len(await sandbox.objects(vendor))
            twisted.turn(-1, answer)
            if flavor == "again":
                await run(services, await submit(services, arguments, **content))
                twisted.turn(-1, answer)
                kind, body = next(iter(content.items()))
                text = "content_md" if kind == "document" else "description"
                content = {kind: body.model_copy(update={text: "Another text."})}
            job = await submit(services, arguments, **content)
            if flavor == "in doubt":
                subject = f"{services.settings.prefix}:subject:{job.subject}"
                await services.redis.hset(subject, "doubt_until_ms", 1)
            twisted.turn(place, answer)
            ended = await lifecycle.attempt(services.core, job.id)
            reached = len(twisted.seen) > place
            error = ended.error
            if error is not None and error.code == "internal":
                trouble.append(f"{odd} at {twisted.seen[place]}: {error}")
            elif error is not None and reached and answer[0] == 200 and len(str(error)) < 10:
                trouble.append(f"{odd} at {twisted.seen[place]}: says {error}")
            twisted.turn(-1, answer)
            if ended.state in (JobState.RETRYING, JobState.QUEUED):
                await services.destinations.set(vendor, parse_settings(given), FAKE_SECRET, "test")
                await services.redis.zadd(f"{services.settings.prefix}:due:{vendor}", {job.id: 0})
                ended = await run(services, job)
            if len(await sandbox.objects(vendor)) > made + 1:
                trouble.append(f"{odd} at request {place}: a second object")
            if not reached:
                break
    assert not trouble, "\n".join(dict.fromkeys(trouble))
    assert (await services.audit.verify()).ok
    assert not await services.redis.exists(f"{services.settings.prefix}:intents")


WRITES = ("POST", "PUT", "PATCH", "DELETE")
ASKS = ("/wiql", "/search", "/search/jql")  # questions that are posted
# What each vendor is asked to write beside the text, over settings and arguments.
MORE = {
    "confluence": ({"labels": ("rca",)}, {}),
    "servicenow": ({"attach_document": "always"}, {}),
    "azure_devops": ({"attach_document": "always"}, {}),
    "jira": ({"attach_document": "always"}, {"config": {"fields": {"comment": "A word."}}}),
}


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize(("vendor", "command"), EVERY)
async def test_a_write_that_somebody_else_answered_well_is_not_taken_for_done(
    services, sandbox, twisted, vendor, command, again
):
    """Each in turn; the vendor hears nothing of it. Once it answers itself again, all of it is there."""
    settings, arguments = MORE[vendor]
    given = {**sandbox_destinations(twisted.url)[vendor], "write_lag_s": 0, "total_timeout_s": 10}
    given |= {"cross_links": False, "breaker_failures": 0, **settings}
    twisted.swallows = True
    swallowed = []
    for place in itertools.count():
        await services.destinations.set(vendor, parse_settings(given), FAKE_SECRET, "test")
        asked, content = await prepared(services, vendor, command | arguments)
        twisted.turn(-1, ODD["object"])
        if again:
            await run(services, await submit(services, asked, **content))
            kind, body = next(iter(content.items()))
            text = "content_md" if kind == "document" else "description"
            asked, content = asked | _other(asked), {kind: body.model_copy(update={text: "Another text."})}
        job = await submit(services, asked, **content)
        twisted.turn(place, (200, WORDS, '{"login": "required"}'))
        ended = await lifecycle.attempt(services.core, job.id)
        if len(twisted.seen) <= place:
            break
        method, _, path = twisted.seen[place].partition(" ")
        if method in WRITES and not path.endswith(ASKS):
            swallowed.append(twisted.seen[place])
            assert ended.state in (JobState.RETRYING, JobState.QUEUED), f"{swallowed[-1]}: {ended}"
        twisted.turn(-1, ODD["object"])
        if ended.state is not JobState.DELIVERED:
            await services.destinations.set(vendor, parse_settings(given), FAKE_SECRET, "test")
            await services.redis.zadd(f"{services.settings.prefix}:due:{vendor}", {job.id: 0})
            assert (await run(services, job)).state is JobState.DELIVERED
    assert swallowed


def _other(asked):
    config = asked.get("config") or {}
    fields = dict.fromkeys(config.get("fields", {}), "Another word.")
    return {"config": config | {"fields": fields}} if fields else {}


@pytest.mark.parametrize(("vendor", "command"), EVERY)
async def test_a_vendors_answer_is_taken_whatever_type_it_is_called(services, sandbox, twisted, vendor, command):
    given = {**sandbox_destinations(twisted.url)[vendor], "write_lag_s": 0, "cross_links": False}
    await services.destinations.set(vendor, parse_settings(given), FAKE_SECRET, "test")
    twisted.called = "text/html; charset=utf-8"
    asked, content = await prepared(services, vendor, command)
    assert (await run(services, await submit(services, asked, **content))).state is JobState.DELIVERED
    assert (await services.test_destination(vendor, "test")).success
