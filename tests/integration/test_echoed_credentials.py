"""A remote side that repeats credential and content in its errors: they stand in no record of ours afterwards."""

from __future__ import annotations

import base64
import logging

import pytest
from aiohttp import web

from tasks import lifecycle, redaction
from tasks.destinations import parse_settings
from tasks.model import JobState
from tests.integration.repeating_vendor import Case, RepeatingVendor, serving
from tests.integration.test_lifecycle import DOCUMENT, EVERY, ISSUE, submit
from tests.listening import listening

CONTENT = "the planted sentence that only the document holds"
PLANTED = "planted-" + "not-a-secret"
KINDS = {
    "confluence": {"address": "base_url", "email": "planted@example.com", "space": "OPS"},
    "servicenow": {"address": "instance_url", "username": "planted"},
    "azure_devops": {"address": "org_url", "project": "Operations"},
    "jira": {"address": "base_url", "email": "planted@example.com", "project": "OPS"},
}
FOUND = {
    "results": [{"id": "1", "key": "OPS"}],
    "workItems": [],
    "value": [],
    "issueTypes": [{"id": "1", "name": "Bug"}],
    "issues": [],
}


@pytest.fixture
async def echo():
    """A server that finds every space and answers each write with the credential it was sent: a setter of the status
    it does that with, and its address.
    """
    statuses = [400]

    async def answer(request: web.Request) -> web.Response:
        if request.method == "GET" or "wiql" in request.path:
            return web.json_response(FOUND)
        sent = request.headers["Authorization"].rpartition(" ")[2]
        words = f"the account {base64.b64decode(sent).decode()} ({sent}) failed on {CONTENT}"
        body = {"message": words, "errors": [{"title": words}], "error": {"message": words, "detail": "ACL"}}
        return web.json_response(body, status=statuses[-1])

    async with listening(answer) as url:
        yield statuses.append, url


@pytest.mark.parametrize(("kind", "command"), EVERY)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
@pytest.mark.promise("echoes")
async def test_what_is_echoed_stands_nowhere(services, echo, kind, command, status, caplog):
    answer_with, url = echo
    answer_with(status)
    await prepare(services, kind, url)
    job = await submit(services, command)
    ended = await lifecycle.attempt(services.core, job.id)
    assert ended.error is not None
    assert "failed" in str(ended.error)
    assert await not_repeated(services, job.id, kind, [str(ended.error), ended.error.excerpt, caplog.text])


@pytest.mark.parametrize(("kind", "command"), EVERY)
@pytest.mark.parametrize("repeats", ["", CONTENT])
@pytest.mark.promise("echoes")
async def test_an_object_whose_id_is_an_echo_is_looked_up_and_not_made_again(services, kind, command, repeats, caplog):
    """Nobody can know what was made: the job is in doubt, and the echo stands nowhere."""
    caplog.set_level(logging.DEBUG)
    async with serving(RepeatingVendor([Case("what was made", str, repeats)])) as vendor:
        await prepare(services, kind, vendor.url)
        job = await submit(services, command)
        ended = await lifecycle.attempt(services.core, job.id)
        assert (ended.state, ended.error.code) == (JobState.RETRYING, "odd_answer")
        assert await not_repeated(services, job.id, kind, [str(ended.error), caplog.text])
        looked, written = vendor.looks, len(vendor.answered)
        await lifecycle.attempt(services.core, job.id)
        assert vendor.looks > looked
        assert len(vendor.answered) == written


@pytest.mark.parametrize(("kind", "command"), EVERY)
@pytest.mark.promise("echoes")
async def test_a_crash_that_quotes_what_it_worked_on_shows_none_of_it(services, kind, command, caplog, monkeypatch):
    """Whatever a library puts into its exception: record, audit and log say where it happened, and not with what."""
    caplog.set_level(logging.DEBUG)

    def crash(work, *_):
        raise ValueError(f"can't take {PLANTED} of {work} with {CONTENT}")

    monkeypatch.setattr(redaction, "outgoing", crash)
    await prepare(services, kind, "http://127.0.0.1:1")
    job = await submit(services, command)
    ended = await lifecycle.attempt(services.core, job.id)
    assert ended.error.code == "internal"
    assert "ValueError at" in caplog.text
    assert await not_repeated(services, job.id, kind, [str(ended.error), caplog.text])


async def prepare(services, kind: str, url: str) -> None:
    """A destination of that kind there, and content for it."""
    given = {"kind": kind, "allow_http": True, "allow_private": ("127.0.0.0/8",), **KINDS[kind]}
    given[given.pop("address")] = url
    await services.destinations.set(kind, parse_settings(given), PLANTED, "test")
    page = {"title": "case-0", "content_md": f"# A\n\nSo {CONTENT}."}
    await services.contents.put_document(DOCUMENT.model_copy(update=page), "test")
    await services.contents.put_issue(
        ISSUE.model_copy(update={"title": "case-0", "description": f"So {CONTENT}."}), "test"
    )


async def not_repeated(services, job: str, kind: str, told: list[str]) -> bool:
    """Whether neither credential nor content stands in what was told, and in what is kept of the job."""
    stored = await services.ledger.require(job)
    kept = [stored.model_dump_json(), str(await services.ledger.events(job)), str(await services.audit.tail(100))]
    kept += [*told, str(await services.destinations.require(kind))]
    account = f"{KINDS[kind].get('email') or KINDS[kind].get('username', '')}:{PLANTED}"
    secrets = (PLANTED, CONTENT, base64.b64encode(account.encode()).decode())
    return not any(secret in text for secret in secrets for text in kept)
