"""Whatever somebody with Redis makes of a job's record, the pages and lists that it stands on are shown."""

from __future__ import annotations

import pytest

from tasks import lifecycle
from tasks.model import JobState, parse_command
from tests.integration.test_lifecycle import INCIDENT


@pytest.mark.usefixtures("destinations", "content")
@pytest.mark.parametrize("junk", [b"x", b"", b"-1", b"[]", b"\xff"])
async def test_a_page_with_a_job_whose_record_was_changed_is_shown(services, client, log_in, junk):
    job = await services.submit(parse_command(INCIDENT), actor="test")
    assert (await lifecycle.attempt(services.core, job.id)).state is JobState.DELIVERED
    await log_in("operator")
    record = f"{services.settings.prefix}:job:{job.id}"
    kept, wrong = await services.redis.hgetall(record), []
    assert {b"kind", b"command", b"receipt", b"state"} <= kept.keys()
    for field in kept:
        await services.redis.hset(record, field, junk)
        for page in ("/", "/jobs", f"/jobs/{job.id}"):
            answer = await client.get(page)
            wrong += [f"{page} with {field!r}: {answer.status}"] * (answer.status == 500)
        await services.redis.hset(record, field, kept[field])
    assert wrong == []


@pytest.mark.usefixtures("destinations", "content")
async def test_a_session_whose_record_is_of_another_type_is_none(services, client, log_in):
    await log_in("operator")
    async for name in services.redis.scan_iter(f"{services.settings.prefix}:session:*"):
        await services.redis.delete(name)
        await services.redis.rpush(name, "somebody's")
    answer = await client.get("/jobs")
    assert (answer.status, answer.url.path) == (200, "/login")
