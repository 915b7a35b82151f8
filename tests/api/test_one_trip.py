"""A submission by a known key is one trip to Redis, and relies on nothing that isn't so any more."""

from __future__ import annotations

import asyncio

import pytest

from tasks.state.jobs.overview import JobFilter
from tests.api.conftest import DOCUMENT, PUBLISH
from tests.conftest import until

PLACELESS = {"command": "publish_to_confluence", "doc_id": "doc-1", "document": DOCUMENT}
BESIDE = {"TIME", "PING", "INFO", "GET", "SET"}  # what a process asks now and then, whatever it is asked


@pytest.fixture
async def known(api, destinations):
    """A producer's client whose key was right before."""
    producer = await api.with_scopes("submit")
    assert (await producer.post("/v1/jobs", PUBLISH)).status == 202
    return producer


@pytest.fixture
def limited(services):
    """Sets how many requests a key may make in a minute."""

    def limit(per_minute: int) -> None:
        settings = services.settings.model_copy(update={"api_rate_per_minute": per_minute})
        object.__setattr__(services, "settings", settings)

    return limit


async def _jobs(services) -> int:
    return await services.ledger.overview.size(JobFilter())


async def test_a_submission_by_a_known_key_is_one_command(services, known):
    """Its key, its rate and the destinations are looked at by the script that stores it."""
    first, second = (
        {**PLACELESS, "doc_id": name, "document": DOCUMENT | {"id": name, "issue_id": name}} for name in "ab"
    )
    await known.post("/v1/jobs", first)
    asked = []
    async with services.redis.client() as beside, services.redis.monitor() as monitor:
        assert (await known.post("/v1/jobs", second)).status == 202
        await beside.echo("the end")
        async for seen in monitor.listen():
            name = seen["command"].partition(" ")[0]
            if name == "ECHO":
                break
            if seen["client_type"] != "lua" and name not in BESIDE:
                asked.append(name)
    assert asked == ["EVALSHA"]


async def test_a_key_that_was_revoked_submits_nothing_more(services, known):
    await services.access.revoke(known.key.partition(".")[0], "test")
    answer = await known.post("/v1/jobs", PUBLISH)
    assert (answer.status, answer.problem) == (401, "bad_key")
    assert await _jobs(services) == 1


async def test_a_key_that_was_changed_in_redis_submits_nothing_more(services, known):
    record = f"{services.settings.prefix}:apikey:{known.key.partition('.')[0]}"
    await services.redis.hset(record, "scopes", "admin")
    answer = await known.post("/v1/jobs", PUBLISH)
    assert (answer.status, answer.problem) == (401, "bad_key")
    assert await _jobs(services) == 1


async def test_submissions_count_against_the_rate(services, api, destinations, limited):
    limited(2)
    producer = await api.with_scopes("submit")
    answers = [await producer.post("/v1/jobs", PUBLISH | {"doc_id": "doc-1"}) for _ in range(4)]
    assert [answer.status for answer in answers] == [202, 202, 429, 429]
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert await _jobs(services) == 2


@pytest.mark.parametrize("bad", [b"{", {"command": "nonsense"}, PUBLISH | {"destination": "nowhere"}])
async def test_submissions_that_are_refused_count_as_well(known, limited, bad):
    """And whoever made too many requests hears of that first."""
    limited(2)
    assert (await known.post("/v1/jobs", bad)).status in (400, 409, 422)
    assert (await known.post("/v1/jobs", bad)).status in (400, 409, 422)
    assert (await known.post("/v1/jobs", bad)).status == 429


async def test_a_conflicting_idempotency_key_counts_once(known, limited):
    limited(3)
    once = {"Idempotency-Key": "once"}
    assert (await known.post("/v1/jobs", PUBLISH, **once)).status == 202
    other = PUBLISH | {"space_key": "OTHER"}
    answers = [await known.post("/v1/jobs", other, **once) for _ in range(3)]
    assert [answer.problem for answer in answers] == ["idempotency_conflict"] * 2 + ["rate_limited"]


async def test_the_same_request_counts_again(known, limited):
    limited(2)
    once = {"Idempotency-Key": "once"}
    answers = [await known.post("/v1/jobs", PUBLISH, **once) for _ in range(3)]
    assert [answer.status for answer in answers] == [202, 202, 429]


async def test_a_submission_for_a_destination_that_was_removed_counts_once(services, known, limited):
    """The script finds that the destinations are others by now, and the second look finds none."""
    await services.destinations.remove("confluence", "test")
    limited(2)
    answers = [await known.post("/v1/jobs", PUBLISH) for _ in range(3)]
    assert [answer.problem for answer in answers] == ["unknown_destination"] * 2 + ["rate_limited"]


async def test_a_destinations_new_settings_hold_for_the_next_submission(services, known):
    await known.post("/v1/jobs", PUBLISH | {"destination": "confluence"})
    settings = (await services.destinations.require("confluence")).settings
    await services.destinations.set("confluence", settings.model_copy(update={"space": "NEW"}), None, "test")
    for named in ({}, {"destination": "confluence"}):
        answer = await known.post("/v1/jobs", PLACELESS | named)
        job = await services.ledger.require(answer.json["job_id"])
        assert job.command.space_key == "NEW"


async def test_a_second_destination_of_the_kind_is_noticed_by_the_next_submission(services, known):
    settings = (await services.destinations.require("confluence")).settings
    await services.destinations.set("wiki", settings, "fake-token", "test")
    answer = await known.post("/v1/jobs", PUBLISH)
    assert (answer.status, answer.problem) == (409, "unknown_destination")
    await services.destinations.remove("wiki", "test")
    assert (await known.post("/v1/jobs", PUBLISH)).status == 202


async def test_a_destination_that_was_removed_takes_no_submission(services, known):
    named = PUBLISH | {"destination": "confluence"}
    assert (await known.post("/v1/jobs", named)).status == 202
    await services.destinations.remove("confluence", "test")
    answers = [await known.post("/v1/jobs", body) for body in (named, PUBLISH)]
    assert [answer.problem for answer in answers] == ["unknown_destination"] * 2
    assert await _jobs(services) == 2


async def test_a_submitted_job_is_what_the_ledger_has(services, known, api):
    """The record that a submission returns isn't read back."""
    job = await services.submit(
        (await services.ledger.list())[0][0].command, actor="test", traceparent=f"00-{'a' * 32}-{'b' * 16}-01"
    )
    assert job == await services.ledger.require(job.id)


async def test_an_api_hears_of_changes_only_while_somebody_waits_for_one(services, known):
    """So it isn't woken by each submission that it takes."""
    channel = f"{services.settings.prefix}:wake"

    async def heard() -> bool:
        ((_, listeners),) = await services.redis.pubsub_numsub(channel)
        return bool(listeners)

    job = (await known.post("/v1/jobs", PUBLISH)).headers["Location"]
    assert not await heard()
    waiting = asyncio.create_task(known.get(f"{job}?wait=60"))
    await until(heard)
    await services.ledger.cancel(job.rpartition("/")[2], "test")
    assert (await waiting).json["state"] == "cancelled"
