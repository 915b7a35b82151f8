"""A cancellation may get lost (`asyncio.wait_for` before Python 3.12): what has to stop stops all the same."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from aiohttp import CookieJar
from aiohttp.test_utils import TestClient, TestServer

from tasks import lifecycle
from tasks.destinations import destination_for, parse_settings
from tasks.model import JobState
from tasks.operator import operations
from tests.integration.test_lifecycle import INCIDENT, ISSUE, submit
from worker.api.app import build
from worker.machine.stack import FAKE_SECRET, sandbox_destinations
from worker.rounds import again
from worker.rounds.callbacks import Callbacks


class HardOfHearing:
    """Waits, and takes its first cancellation for the end of its waiting."""

    def __init__(self) -> None:
        self.waits = asyncio.Event()

    async def wait(self, *_: object, **__: object) -> None:
        deaf = not self.waits.is_set()
        self.waits.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if not deaf:
                raise


async def test_an_attempt_begins_no_request_after_its_deadline(services, sandbox, destinations, monkeypatch):
    await services.contents.put_issue(ISSUE, "test")
    settings = {**sandbox_destinations(sandbox.url)["servicenow"], "total_timeout_s": 0.05}
    await services.destinations.set("servicenow", parse_settings(settings), FAKE_SECRET, "test")
    kind = type(destination_for(parse_settings(settings)))
    deliver = kind.deliver

    async def late(self, *given):
        await HardOfHearing().wait()
        return await deliver(self, *given)

    monkeypatch.setattr(kind, "deliver", late)
    ended = await lifecycle.attempt(services.core, (await submit(services, INCIDENT)).id)
    assert ended.state is JobState.RETRYING
    assert ended.error.code == "attempt_timeout"
    assert not (await sandbox.state())["requests"]


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("reason", [None, lifecycle.REVOKED])
async def test_an_attempt_that_is_cut_short_while_it_settles_leaves_nothing_running(
    services, sandbox, destinations, monkeypatch, fails, reason
):
    """What was done is what the ledger says in the end, whether the cut comes before or after it is stored."""
    await services.contents.put_issue(ISSUE, "test")
    if fails:
        await sandbox.fault(vendor="servicenow", operation="create", fault="status", status=503)
    job = await submit(services, INCIDENT)
    settle, settles, go_on = services.ledger.settle, asyncio.Event(), asyncio.Event()

    async def slowly(*given):
        settles.set()
        await go_on.wait()
        return await settle(*given)

    monkeypatch.setattr(services.ledger, "settle", slowly)
    attempt = asyncio.create_task(lifecycle.attempt(services.core, job.id))
    await settles.wait()
    attempt.cancel(reason)
    go_on.set()
    ended = await attempt
    waits = JobState.CANCELLED if reason else JobState.RETRYING
    assert ended.state is (waits if fails else JobState.DELIVERED)
    stored = await services.ledger.require(job.id)
    assert stored.state is ended.state
    assert len(await sandbox.objects("servicenow")) == (0 if fails else 1)


async def test_posting_callbacks_stops(services, monkeypatch):
    monkeypatch.setattr(again, "PATIENCE_S", 0.01)
    post = HardOfHearing()

    async def origins():
        return ["https://tool.example.com"]

    async def take(*_):
        await post.wait()
        return await post.wait()

    monkeypatch.setattr(services.outbox, "origins", origins)
    monkeypatch.setattr(services.outbox, "take", take)
    running = asyncio.create_task(Callbacks(services).run())
    await post.waits.wait()
    running.cancel()
    ended, _ = await asyncio.wait({running}, timeout=30)
    assert ended
    assert running.cancelled()


async def test_a_bulk_action_stops_with_its_server_and_says_so(services, monkeypatch):
    monkeypatch.setattr("worker.console.PATIENCE_S", 0.01)
    step = HardOfHearing()

    async def steps(*_, **__):
        await step.wait()
        yield await step.wait()

    monkeypatch.setattr(operations, "act_on_all", steps)
    _, key = await services.access.create("olga", ["read", "operate"], None, "test")
    server = TestServer(build(services))
    async with TestClient(server, cookie_jar=CookieJar(unsafe=True)) as client:
        page = await client.post("/login", data={"key": key, "next": "/workers"})
        token = re.search(r'name="csrf" value="([0-9a-f]{64})"', await page.text())[1]
        begun = await client.post("/bulk", data={"csrf": token, "verb": "cancel", "state": "queued"})
        assert begun.status == 200, await begun.text()
        await step.waits.wait()
    told = await services.redis.get(f"{services.settings.prefix}:bulk:{begun.url.name}")
    assert json.loads(told)["state"] == "stopped"
