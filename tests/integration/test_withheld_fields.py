"""Fields that a producer sets may hold anything: they are sealed at rest, travel in no message, and are shown by name."""

from __future__ import annotations

import json

import pytest
from celery import Celery

from config.keys import add_key
from tasks import lifecycle
from tasks.errors import Refused
from tasks.model import JobState, parse_command
from tasks.state.jobs.signatures import sign_stored
from tests.api.conftest import api  # noqa: F401 - a fixture
from tests.conftest import until
from tests.integration.test_lifecycle import INCIDENT, ISSUE, WORK_ITEM, run, submit
from tests.integration.test_processes import settled
from tests.integration.test_rotation import afterword, moved

SECRET = "planted-Zx81-value"  # screening finds nothing in it: it has to stay inside all the same
FILED = INCIDENT | {"config": {"urgency": 3, "fields": {"work_notes": SECRET, "u_count": 7}}}

pytestmark = pytest.mark.usefixtures("destinations")


@pytest.fixture(autouse=True)
async def _content(services):
    await services.contents.put_issue(ISSUE, "test")


async def everything_in_redis(services) -> str:
    """All that this instance keeps, as text."""
    found = []
    async for key in services.redis.scan_iter(f"{services.settings.prefix}:*", count=1000):
        found += [key, await services.redis.dump(key)]
        match await services.redis.type(key):
            case b"hash":
                found += [part for pair in (await services.redis.hgetall(key)).items() for part in pair]
            case b"list":
                found += await services.redis.lrange(key, 0, -1)
            case b"string":
                found.append(await services.redis.get(key))
    return b"\n".join(found).decode("utf-8", "replace")


async def stored_in_clear(services, command) -> str:
    """A job as the version before wrote it."""
    job = await submit(services, command)
    record = f"{services.settings.prefix}:job:{job.id}"
    await services.redis.hset(record, "command", parse_command(command).model_dump_json(exclude_none=True))
    await services.redis.hdel(record, "sealed_fields", "signed")
    await sign_stored(services.redis, services.journal)
    return job.id


async def test_fields_reach_the_vendor_and_stand_nowhere_in_redis(services, sandbox):
    job = await submit(services, FILED)
    assert SECRET not in await everything_in_redis(services)
    assert (await run(services, job)).state is JobState.DELIVERED
    (made,) = await sandbox.objects("servicenow")
    assert SECRET in json.dumps(made)
    assert SECRET not in await everything_in_redis(services)


async def test_a_sealed_field_opens_in_its_own_job_only(services):
    one = await submit(services, FILED)
    other = await submit(services, INCIDENT | {"issue_id": ISSUE.id, "config": {"fields": {"u_customer": "else"}}})
    records = [f"{services.settings.prefix}:job:{job.id}" for job in (one, other)]
    await services.redis.hset(records[1], "sealed_fields", await services.redis.hget(records[0], "sealed_fields"))
    ended = await lifecycle.attempt(services.core, other.id)
    assert (ended.state, ended.error.code) == (JobState.DEAD, "context_mismatch")


async def test_sealed_fields_move_to_a_new_key_with_everything_else(services, settings, sandbox):
    job = await submit(services, FILED)
    old = services.vault.key_id
    assert add_key(settings.data / "keys") != old
    await moved(services)
    assert "job" not in {kind for use in await services.rotation.usage() if use.key_id == old for kind in use.records}
    assert (await run(services, job)).state is JobState.DELIVERED
    assert SECRET in json.dumps(await sandbox.objects("servicenow"))


async def test_a_record_of_the_version_before_is_delivered_and_shown_by_name(services, sandbox, api):  # noqa: F811
    job_id = await stored_in_clear(services, FILED)
    answer = await api.get(f"/v1/jobs/{job_id}")
    assert SECRET not in answer.text
    assert (await run(services, await services.ledger.require(job_id))).state is JobState.DELIVERED
    assert SECRET in json.dumps(await sandbox.objects("servicenow"))


async def test_an_older_version_leaves_a_record_with_sealed_fields_alone(services):
    """It would deliver the job without its fields otherwise: what it can't read, it doesn't touch."""
    job = await submit(services, FILED)
    stored = json.loads(await services.redis.hget(f"{services.settings.prefix}:job:{job.id}", "command"))
    with pytest.raises(Refused):
        parse_command(stored, stored=True)


async def test_api_command_line_and_console_show_names_only(services, settings, api, client, log_in):  # noqa: F811
    answer = await api.post("/v1/jobs", FILED)
    job_id = answer.json["job_id"]
    shown = await api.get(f"/v1/jobs/{job_id}")
    assert shown.json["command"]["config"]["fields"] == {"work_notes": "[withheld]", "u_count": "[withheld]"}
    assert shown.json["command"]["config"]["urgency"] == 3
    listed = await api.get("/v1/jobs")
    events = await api.get(f"/v1/jobs/{job_id}/events")
    _, told = await afterword(settings, "job", "show", job_id)
    await log_in("viewer")
    pages = [await (await client.get(f"/jobs/{job_id}{part}")).text() for part in ("", "/paper")]
    for text in (shown.text, listed.text, events.text, json.dumps(told), *pages):
        assert SECRET not in text
        assert "aw1." not in text
    assert "work_notes" in pages[0]


async def test_an_operator_who_decides_sees_the_fields_and_that_is_audited(services, client, log_in):
    job = await submit(services, FILED)
    await log_in("viewer")
    assert (await client.get(f"/jobs/{job.id}/text")).status == 403
    await log_in("operator")
    assert SECRET in await (await client.get(f"/jobs/{job.id}/text")).text()
    assert "content.viewed" in [entry.event for entry in await services.audit.tail(10)]


async def test_a_shown_job_that_is_submitted_again_is_refused_with_the_reason(api):  # noqa: F811
    answer = await api.post("/v1/jobs", INCIDENT | {"config": {"fields": {"u_customer": "[withheld]"}}})
    assert answer.status == 422
    assert "give the value itself" in answer.text


async def test_a_real_worker_delivers_the_fields_though_its_message_holds_none(services, sandbox, start_worker):
    start_worker()
    job = await submit(services, FILED)
    assert (await settled(services, job.id)).state is JobState.DELIVERED
    assert SECRET in json.dumps(await sandbox.objects("servicenow"))


async def test_an_earlier_versions_wake_up_for_a_job_that_was_forgotten_makes_no_new_one(
    services, sandbox, start_worker, valkey
):
    app = Celery("test", broker=valkey.url, backend=valkey.url, set_as_current=False)
    arguments = {"kwargs": {"issue_id": ISSUE.id}, "headers": {"afterword_wakes": "forgotten"}}
    app.send_task("create_servicenow_incident", task_id="forgotten", queue="servicenow", **arguments)
    start_worker()
    after = await submit(services, WORK_ITEM)
    assert (await settled(services, after.id)).state is JobState.DELIVERED

    async def taken():
        return not await services.redis.llen("servicenow")

    await until(taken, what="the wake-up's end")
    assert await services.ledger.get("forgotten") is None
    assert not await sandbox.objects("servicenow")
    app.close()


async def test_an_earlier_versions_wake_up_starts_its_job_at_once(services, start_worker, valkey):
    job = await submit(services, FILED)
    assert await services.ledger.dispatch(600_000, 10) == [job.id], "kept for ten minutes for whoever takes the message"
    app = Celery("test", broker=valkey.url, backend=valkey.url, set_as_current=False)
    arguments = {"kwargs": {"issue_id": ISSUE.id}, "headers": {"afterword_wakes": job.id}}
    app.send_task("create_servicenow_incident", task_id=job.id, queue="servicenow", **arguments)
    start_worker()
    assert (await settled(services, job.id)).state is JobState.DELIVERED
    app.close()
