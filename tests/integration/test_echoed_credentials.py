"""A remote side that repeats credential and content in its errors: they stand in no record of ours afterwards."""

from __future__ import annotations

import base64

import pytest
from aiohttp import web

from tasks import lifecycle
from tasks.destinations import parse_settings
from tests.integration.test_lifecycle import DOCUMENT, EVERY, ISSUE, submit

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

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield statuses.append, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.mark.parametrize(("kind", "command"), EVERY)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
@pytest.mark.promise("echoes")
async def test_what_is_echoed_stands_nowhere(services, echo, kind, command, status, caplog):
    answer_with, url = echo
    answer_with(status)
    given = {"kind": kind, "allow_http": True, "allow_private": ("127.0.0.0/8",), **KINDS[kind]}
    given[given.pop("address")] = url
    await services.destinations.set(kind, parse_settings(given), PLANTED, "test")
    await services.contents.put_document(DOCUMENT.model_copy(update={"content_md": f"# A\n\nSo {CONTENT}."}), "test")
    await services.contents.put_issue(ISSUE.model_copy(update={"description": f"So {CONTENT}."}), "test")
    job = await submit(services, command)
    ended = await lifecycle.attempt(services.core, job.id)
    assert ended.error is not None
    stored = await services.ledger.require(job.id)
    kept = [stored.model_dump_json(), str(await services.ledger.events(job.id)), str(await services.audit.tail(100))]
    kept += [str(ended.error), ended.error.excerpt, caplog.text, str(await services.destinations.require(kind))]
    assert "failed" in str(ended.error)
    account = f"{KINDS[kind].get('email') or KINDS[kind].get('username', '')}:{PLANTED}"
    for secret in (PLANTED, CONTENT, base64.b64encode(account.encode()).decode()):
        assert not [text for text in kept if secret in text]
