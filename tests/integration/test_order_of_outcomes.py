"""An answer's outcome is stored with what its attempt stores next, in one trip to Redis where one is under way, and before it."""

from __future__ import annotations

import asyncio
import json

import pytest

from tasks import audited, lifecycle
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


@pytest.mark.parametrize(("vendor", "arguments"), EVERY)
async def test_a_settlement_waits_for_every_outcome_before_it(services, monkeypatch, vendor, arguments):
    """Also for one that Redis didn't take while it took the next intent, as at the end of a trip."""
    commit, following, away = services.journal.commit, asyncio.Event(), StateUnavailable("Away.", code="redis_absent")
    tries: list[str] = []

    async def refused_late(script, args, event, **data):
        if script != "lua/outcome":
            reply = await commit(script, args, event, **data)
            if tries and not following.is_set():
                following.set()
                await asyncio.sleep(0.05)  # the refusal is heard before the answer
            return reply
        tries.append(args["intent"])
        if args["intent"] == tries[0]:
            if len(tries) == 1:
                await _asked(following)
                raise away
            await asyncio.sleep(0.3)
        return await commit(script, args, event, **data)

    job = await submit(services, arguments)
    monkeypatch.setattr(services.journal, "commit", refused_late)
    ended = await lifecycle.attempt(services.core, job.id)
    assert (ended.state, ended.error) == (JobState.DELIVERED, None), vendor
    told = await _told(services, job.id)
    assert sum(event.endswith(".intent") for event in told) == sum(event.endswith(".ok") for event in told)


async def test_an_outcome_that_redis_refuses_for_good_is_told_in_the_log(services, monkeypatch, caplog):
    commit = services.journal.commit

    async def refused(script, args, event, **data):
        if script == "lua/outcome":
            raise StateUnavailable("Redis refused the write.", code="redis_refused")
        return await commit(script, args, event, **data)

    job = await submit(services, EVERY[1][1])
    monkeypatch.setattr(services.journal, "commit", refused)
    monkeypatch.setattr(audited, "OUTCOME_S", 0.0)
    ended = await lifecycle.attempt(services.core, job.id)
    assert ended.state is JobState.DELIVERED
    assert f"job {job.id}: the outcome of a request is not in the audit: Redis refused the write." in caplog.text


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
