"""Real worker processes and messages that no worker may take: set aside, told, and never the end of anything."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid

import pytest
import redis

from tasks.errors import Refused
from tasks.model import JobState, parse_command
from tests.conftest import until
from tests.integration.test_lifecycle import INCIDENT, ISSUE
from tests.integration.test_processes import alive
from worker.adoption import adopt
from worker.broker.guard import FORMER_LIST
from worker.connection_tests import test_by_message as by_message
from worker.machine.stack import FAKE_SECRET
from worker.metrics import render

pytestmark = pytest.mark.usefixtures("destinations")
PLANTED = "S3cret-" + "planted-77"


@pytest.fixture
def queue(valkey):
    """The lists themselves."""
    with redis.Redis.from_url(valkey.url) as client:
        client.delete(FORMER_LIST)
        yield client


def envelope(body: object = ([], {}, {}), **changes) -> dict:
    """What a plain client would push, with changes: of headers, or by the names of the envelope's parts."""
    identifier = str(uuid.uuid4())
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    entry = {
        "body": base64.b64encode(raw).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": "create_servicenow_incident", "id": identifier, "root_id": identifier, "retries": 0},
        "properties": {
            "correlation_id": identifier,
            "delivery_info": {"exchange": "", "routing_key": "celery"},
            "delivery_tag": str(uuid.uuid4()),
            "body_encoding": "base64",
        },
    }  # fmt: skip
    for name, value in changes.items():
        if name in ("headers", "properties", "content_type", "content_encoding", "whole_body"):
            entry[{"whole_body": "body"}.get(name, name.replace("_", "-"))] = value
        elif name in ("delivery_tag", "delivery_info", "body_encoding", "priority"):
            entry["properties"][name] = value
        else:
            entry["headers"][name] = value
    return entry


def worst() -> list[bytes]:
    """One of each kind that ended a worker, or could."""
    call = [["inc-1"], {}, {}]
    entries = [
        envelope({"doc_id": "x"}),
        envelope([[], {}, {}, {}]),
        envelope(5),
        envelope(call, whole_body="%%% no base64 ="),
        envelope(call, task=["a", "list"]),
        envelope(call, task={"an": "object"}),
        envelope(call, content_type="text/odd"),
        envelope(call, content_encoding=5),
        envelope(call, eta=5),
        envelope(call, eta="not a moment"),
        envelope(call, expires={}),
        envelope(call, retries="three"),
        envelope(call, timelimit=7),
        envelope(call, stamps=[1], stamped_headers=5),
        envelope(call, id=[1]),
        envelope(call, id="\ud800"),
        envelope(call, shadow={"__type__": "datetime", "__value__": "no moment"}),
        envelope(call, group={"a": 1}),
        envelope(call, delivery_tag=["x"]),
        envelope(call, delivery_tag=None),
        envelope(call, delivery_info={}),
        envelope(call, body_encoding="rot13"),
        envelope(call, priority="high"),
        envelope(call, headers=[]),
        envelope(call, headers=None),
        envelope(call, properties=5),
        envelope(call, get="a method of Celery's"),
        envelope([["inc-1"], {}, {"id": "x"}]),
        envelope([["inc-1"], {}, {"callbacks": [5]}]),
        envelope([["inc-1"], {}, {"chord": 5}]),
        envelope(b"\xff\xfe"),
        envelope(call, compression="gzip"),
        envelope(call, compression=["gzip"]),
    ]
    raw = [json.dumps(entry).encode() for entry in entries]
    return [*raw, b"not json at all", b"[]", b"9" * 5000, b"[" * 100_000, b"\x80\x04pickle", b"", b"{}", b'"x"']


async def test_no_message_ends_a_worker_and_a_job_is_delivered_afterwards(
    services, sandbox, content, start_worker, plain, queue, settings
):
    worker = start_worker()
    await alive(services)
    batch = worst()
    for number, raw in enumerate(batch):
        queue.lpush(("celery", "confluence", "servicenow", "azure_devops")[number % 4], raw)

    async def all_aside():
        return await services.dead_list.held() >= len(batch)

    await until(all_aside, what="everything in the dead list")
    result = plain.send_task("create_servicenow_incident", args=["inc-1"])
    assert result.get(timeout=40)["id"]
    assert worker.poll() is None
    assert await services.dead_list.held() == len(batch)
    log = (settings.data / "worker-0.log").read_text()
    assert "Unrecoverable" not in log
    assert "Traceback" not in log
    assert (await services.audit.verify()).ok


async def test_published_rubbish_for_all_workers_ends_none(services, sandbox, content, start_worker, plain, queue):
    worker = start_worker()
    await alive(services)
    for channel in ("/0.celery.pidbox", "/0.celeryev/worker.heartbeat", "/0.celeryev/worker.online", "/0.celeryev/odd"):
        for raw in (
            b"not json",
            b"5",
            b"[]",
            b"{}",
            b"[" * 100_000,
            json.dumps(envelope()).encode(),
            json.dumps(envelope(5)).encode(),
            json.dumps(envelope(shadow={"__type__": "datetime", "__value__": "2026-11-28T00:00:00"})).encode(),
            json.dumps(envelope(shadow={"__type__": "decimal", "__value__": "none"})).encode(),
        ):
            queue.publish(channel, raw)
    assert plain.send_task("create_servicenow_incident", args=["inc-1"]).get(timeout=40)["id"]
    assert worker.poll() is None


@pytest.mark.parametrize("protocol", [1, 2])
async def test_the_producer_of_a_message_that_was_set_aside_reads_why(
    services, content, start_worker, plain, settings, protocol
):
    start_worker()
    plain.conf.task_protocol = protocol
    unknown = plain.send_task("no_such_task", args=[PLANTED])
    pickled = plain.send_task("create_servicenow_incident", args=["inc-1", PLANTED], serializer="pickle")
    yaml = plain.send_task("create_servicenow_incident", args=["inc-1", PLANTED], serializer="yaml")
    with pytest.raises(Exception, match="there is no task of that name"):
        unknown.get(timeout=30)
    for result in (pickled, yaml):
        with pytest.raises(Exception, match="not JSON"):
            result.get(timeout=30)
    kept = await services.dead_list.list()
    assert {message.task_id for message in kept} == {unknown.id, pickled.id, yaml.id}
    assert PLANTED in "".join([await services.dead_list.open(message.id) for message in kept])
    assert PLANTED not in (settings.data / "worker-0.log").read_text()
    prefix = settings.prefix
    for key in [key async for key in services.redis.scan_iter(f"{prefix}:aside*", _type="hash")]:
        assert PLANTED.encode() not in b"".join(await services.redis.hvals(key)), "it stands there sealed"
    metrics = (await render(services)).decode()
    assert "afterword_set_aside_messages 3.0" in metrics
    assert 'afterword_messages_set_aside_total{kind="serializer"} 2.0' in metrics


async def test_a_malformed_message_with_the_id_of_a_job_changes_nothing_of_its_result(
    services, sandbox, content, start_worker, plain, queue
):
    start_worker()
    result = plain.send_task("create_servicenow_incident", args=["inc-1"])
    receipt = result.get(timeout=30)
    queue.lpush("celery", json.dumps(envelope({"no": "parts"}, id=result.id)).encode())

    async def aside():
        return await services.dead_list.held()

    await until(aside, what="the message in the dead list")
    assert plain.AsyncResult(result.id).get(timeout=30) == receipt


@pytest.mark.parametrize("said", [True, "an-id-of-nobody", None])
async def test_a_foreign_message_with_our_wake_up_header_gets_an_answer(
    services, sandbox, content, start_worker, plain, said
):
    start_worker()
    identifier = str(uuid.uuid4())
    headers = {"afterword_wakes": said or identifier}
    result = plain.send_task("create_servicenow_incident", args=["inc-1"], task_id=identifier, headers=headers)
    if said is None:
        with pytest.raises(Exception, match="No job has this id"):
            result.get(timeout=30)
    else:
        assert result.get(timeout=30)["id"]


async def test_a_second_message_of_an_id_with_other_content_is_told_of_in_timeline_audit_log_and_count(
    services, sandbox, content, start_worker, plain, settings
):
    start_worker()
    first = plain.send_task("create_servicenow_incident", args=["inc-1"], task_id="one-id-two-contents")
    receipt = first.get(timeout=30)
    second = {"args": ["inc-1", {"severity": "P1", "fields": {"u_note": PLANTED}}], "task_id": "one-id-two-contents"}
    assert plain.send_task("create_servicenow_incident", **second).get(timeout=30) == receipt

    async def noted():
        return any(event["event"] == "job.conflict" for event in await services.ledger.events("one-id-two-contents"))

    await until(noted, what="the conflict in the timeline")
    assert (await services.dead_list.counts())["conflict"] == 1
    assert "job.conflict" in [entry.event for entry in await services.audit.tail(100)]
    log = (settings.data / "worker-0.log").read_text()
    assert "a second message was set aside" in log
    assert PLANTED not in log
    assert len((await services.ledger.list())[0]) == 1


async def test_a_message_without_a_destination_is_dead_with_the_reason_where_two_would_fit(
    services, sandbox, content, start_worker, plain
):
    only = await services.destinations.require("servicenow")
    await services.destinations.set("servicenow-two", only.settings, FAKE_SECRET, "test")
    start_worker()
    result = plain.send_task("create_servicenow_incident", args=["inc-1"])
    with pytest.raises(Exception, match="names no destination, and there isn't exactly one of kind servicenow"):
        result.get(timeout=30)
    job = await services.ledger.require(result.id)
    assert job.state is JobState.DEAD
    assert await sandbox.objects("servicenow") == []


async def test_a_message_for_a_destination_of_another_kind_is_dead_with_the_reason(
    services, sandbox, content, start_worker, plain
):
    start_worker()
    result = plain.send_task("create_servicenow_incident", args=["inc-1"], kwargs={"destination": "confluence"})
    with pytest.raises(Exception, match="is of kind confluence; this job needs servicenow"):
        result.get(timeout=30)
    assert (await services.ledger.require(result.id)).state is JobState.DEAD


async def test_what_the_version_before_set_aside_in_the_clear_is_sealed_at_the_next_start(
    services, content, start_worker, queue
):
    queue.lpush(FORMER_LIST, b"junk with " + PLANTED.encode())
    start_worker()

    async def sealed():
        return await services.dead_list.held()

    await until(sealed, what="the message in the dead list")
    assert queue.llen(FORMER_LIST) == 0
    assert PLANTED in await services.dead_list.open((await services.dead_list.list())[0].id)


async def test_the_dead_list_is_bounded_in_number_and_bytes_and_what_is_dropped_stays_counted(services, monkeypatch):
    monkeypatch.setattr("tasks.state.dead_list.messages.MOST", 5)
    for number in range(8):
        await services.dead_list.keep(f"message {number}".encode(), kind="unreadable", words="it is none")
    kept = await services.dead_list.list()
    assert await services.dead_list.open(kept[0].id) == "message 7"
    assert len(kept) == 5
    monkeypatch.setattr("tasks.state.dead_list.messages.MOST_BYTES", 1500)
    await services.dead_list.keep(b"x" * 900, kind="unreadable", words="it is none")
    assert await services.dead_list.held() == 1
    assert await services.dead_list.drop("test") == 1
    assert await services.dead_list.counts() == {"unreadable": 9}
    assert (await services.audit.verify()).ok


async def test_the_ledger_takes_no_second_content_for_an_id_and_the_same_one_is_silent(services, content):
    job = await services.submit(parse_command(INCIDENT), actor="test", job_id="same-content")
    await adopt(services, job.id, INCIDENT)
    await adopt(services, job.id, INCIDENT, wakes=True)
    assert await services.dead_list.held() == 0
    await adopt(services, job.id, {**INCIDENT, "issue_id": "another"})
    await adopt(services, job.id, {"nothing": "that fits"})
    assert await services.dead_list.counts() == {"conflict": 2}
    assert (await services.ledger.require(job.id)).command == job.command


@pytest.mark.parametrize("odd", [5, 1.5, True, ["x"], {"base_url": 5}, f"{PLANTED}\ud800", b"x"])
@pytest.mark.parametrize("place", ["address", "credentials", "destination"])
async def test_a_connection_test_with_what_is_no_text_is_refused_and_none_of_it_told(services, odd, place):
    given = {"address": "https://corp-host.com", "credentials": "servicenow", "destination": None} | {place: odd}
    with pytest.raises(Refused) as refused:
        await by_message(services, "servicenow", **given)
    assert PLANTED not in str(refused.value)


async def test_two_messages_of_an_id_that_come_together_are_told_apart_as_two_that_come_one_by_one(services, content):
    """Both are looked at before the ledger has either: the job is one's, and the other one is set aside."""
    said = [{"command": "create_servicenow_incident", "issue_id": issue_id} for issue_id in ("inc-1", "inc-2", "inc-1")]
    await services.contents.put_issue(ISSUE.model_copy(update={"id": "inc-2"}), "test")
    await asyncio.gather(*(adopt(services, "one-id", given) for given in said))
    (job,) = (await services.ledger.list())[0]
    others = sum(given["issue_id"] != job.command.issue_id for given in said)
    assert (await services.dead_list.counts()).get("conflict", 0) == others
    assert [event["event"] for event in await services.ledger.events("one-id")].count("job.conflict") == others
