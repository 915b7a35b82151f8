"""An answer's outcome is stored with what its attempt stores next, in one trip to Redis where one is under way, and always before it."""

from __future__ import annotations

import asyncio
import json

import pytest

from tasks import lifecycle
from tasks.errors import StateUnavailable
from tasks.model import JobState
from tests.integration.test_lifecycle import EVERY, submit

LIMIT_S = 20

pytestmark = pytest.mark.usefixtures("destinations", "content")


@pytest.mark.parametrize(("vendor", "arguments"), EVERY)
async def test_an_attempt_goes_on_before_redis_has_answered_for_an_outcome(services, monkeypatch, vendor, arguments):
    """That answer is kept back here until the next transition is asked for."""
    commit, asked = services.journal.commit, asyncio.Event()

    async def answered_late(script, args, event, **data):
        nonlocal asked
        asked.set()
        if script != "lua/outcome":
            return await commit(script, args, event, **data)
        asked = following = asyncio.Event()
        reply = await commit(script, args, event, **data)
        await _asked(following)
        return reply

    job = await submit(services, arguments)
    monkeypatch.setattr(services.journal, "commit", answered_late)
    ended = await lifecycle.attempt(services.core, job.id)
    assert (ended.state, ended.error) == (JobState.DELIVERED, None), vendor


@pytest.mark.parametrize("together", [False, True], ids=["alone", "with what comes next"])
@pytest.mark.parametrize(("vendor", "arguments"), EVERY)
async def test_what_comes_next_waits_for_an_outcome_that_redis_did_not_take(
    services, monkeypatch, vendor, arguments, together
):
    """The attempt goes on, its answer isn't lost, and the audit keeps the order."""
    commit, following, refused = services.journal.commit, asyncio.Event(), asyncio.Event()
    away = StateUnavailable("Redis can't be reached.", code="redis_absent")
    outcomes = 0

    async def refused_once(script, args, event, **data):
        nonlocal outcomes
        outcomes += script == "lua/outcome"
        if outcomes == 1 and script == "lua/outcome":
            if together:
                await _asked(following)
            refused.set()
            raise away
        if outcomes == 1 and not following.is_set():
            following.set()
            await refused.wait()
            raise away
        return await commit(script, args, event, **data)

    job = await submit(services, arguments)
    monkeypatch.setattr(services.journal, "commit", refused_once)
    ended = await lifecycle.attempt(services.core, job.id)
    assert (ended.state, ended.error) == (JobState.DELIVERED, None), vendor
    assert following.is_set() == together
    open_intents = 0
    for event in await _told(services, job.id):
        open_intents += event.endswith(".intent") - event.endswith(".ok")
        assert open_intents in (0, 1)
        assert event != "job.delivered" or not open_intents
    assert (await services.ledger.require(job.id)).attempts == 1


async def _asked(following: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(following.wait(), LIMIT_S)
    except TimeoutError:
        pytest.fail("The attempt waits for its outcome.")


async def _told(services, job: str) -> list[str]:
    """What the audit tells of the job from its claim on."""
    stream = await services.redis.xrange(f"{services.settings.prefix}:audit")
    told = [fields[b"event"].decode() for _, fields in stream if json.loads(fields[b"data"]).get("job") == job]
    return told[told.index("job.claimed") :]
