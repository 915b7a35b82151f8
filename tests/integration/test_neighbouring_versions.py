"""Two neighbouring versions on one Redis: this one reads what the next one writes, and leaves its additions in place."""

from __future__ import annotations

import json
from unittest.mock import Mock

import pytest

from tasks import lifecycle
from tasks.errors import Refused
from tasks.model import JobState, parse_command
from tasks.state.jobs import ledger, signatures
from tests.integration.test_lifecycle import DOCUMENT, INCIDENT, PUBLISH
from tests.integration.test_processes import settled

pytestmark = pytest.mark.usefixtures("destinations")


def key(services, *parts: str) -> str:
    return ":".join((services.settings.prefix, *parts))


async def newer(services, name: str, field: str, **additions) -> None:
    """Add to a JSON field of a hash, as a later version would have written it."""
    held = json.loads(await services.redis.hget(name, field))
    await services.redis.hset(name, field, json.dumps(held | additions))


async def newer_destination(services, name: str) -> None:
    """Settings that this version doesn't know, signed as the next one signs them."""
    record = key(services, "destination", name)
    await newer(services, record, "settings", colour="blue")
    raw = {k.decode(): v.decode() for k, v in (await services.redis.hgetall(record)).items()}
    signer = services.destinations._signer
    whole = signer.whole(name, raw)
    facts = {"settings": raw["settings"], "approved_by": "somebody"}
    signed = signer.sign(name, int(raw["revision"]), facts, whole.secret, whole.signed_ms)
    await services.redis.hset(record, mapping={"whole": signed.token, "shard": "3"})


async def newer_job(services, command) -> str:
    """A waiting job whose record, command, destination and document hold what this version doesn't know."""
    job = await services.submit(parse_command(command), actor="test")
    record = key(services, "job", job.id)
    await services.redis.hset(record, mapping={"from_the_future": "1", "urgency_class": "gold"})
    await newer(services, record, "command", watchers=["a"], labels={"x": 1})
    stored = {name.decode(): value.decode() for name, value in (await services.redis.hgetall(record)).items()}
    await services.redis.hset(record, "signed", signatures.signature(services.vault, job.id, stored))
    await newer_destination(services, job.destination)
    return job.id


async def test_a_job_with_unknown_fields_is_delivered_and_its_additions_stay(services, content, sandbox):
    sealed = json.loads(DOCUMENT.model_dump_json()) | {"mood": "calm"}
    record = services.contents._vault.seal(json.dumps(sealed), purpose="document", owner=DOCUMENT.id)
    await services.redis.set(key(services, "document", DOCUMENT.id), record)
    job_id = await newer_job(services, PUBLISH)
    ended = await lifecycle.attempt(services.core, job_id)
    assert ended.state is JobState.DELIVERED
    assert len(await sandbox.objects("confluence")) == 1
    stored = await services.redis.hgetall(key(services, "job", job_id))
    assert stored[b"from_the_future"] == b"1"
    assert "watchers" in json.loads(stored[b"command"])
    assert (await services.audit.verify()).ok


async def test_receipts_errors_and_events_of_the_next_version_are_read(services, content):
    job = await services.submit(parse_command(PUBLISH), actor="test")
    await lifecycle.attempt(services.core, job.id)
    record = key(services, "job", job.id)
    await newer(services, record, "receipt", etag="x", nested={"a": [1]})
    await services.redis.hset(record, "last_error", json.dumps({"code": "c", "message": "m", "hint_url": "u"}))
    subject = key(services, "subject", job.subject)
    await newer(services, subject, "receipt", etag="x")
    receipt = (await services.redis.hget(subject, "receipt")).decode()
    seal = signatures.receipt_signature(services.vault, job.subject, receipt)
    await services.redis.hset(subject, "receipt_seal", seal)
    await services.redis.rpush(f"{record}:events", json.dumps({"event": "job.teleported", "at_ms": 1, "how": "fast"}))
    found = await services.ledger.require(job.id)
    assert found.receipt is not None
    assert found.last_error.code == "c"
    assert (await services.ledger.list())[0][0].id == job.id
    assert (await services.ledger.events(job.id))[-1]["event"] == "job.teleported"
    again = await services.submit(
        parse_command(PUBLISH), actor="test", document=DOCUMENT.model_copy(update={"content_md": "other"})
    )
    ended = await lifecycle.attempt(services.core, again.id)
    assert ended.receipt.change == "updated", "the page is known by the newer version's receipt"


async def test_a_record_that_only_a_newer_version_can_read_is_left_alone_and_holds_up_no_other(
    services, content, start_worker
):
    strange = await services.submit(parse_command(PUBLISH), actor="test")
    plain = await services.submit(parse_command(INCIDENT), actor="test")
    record = key(services, "job", strange.id)
    await services.redis.hset(record, "command", json.dumps({"command": "post_to_slack", "doc_id": "doc-1"}))
    with pytest.raises(Refused, match="newer version"):
        await services.ledger.require(strange.id)
    start_worker()
    assert (await settled(services, plain.id)).state is JobState.DELIVERED
    assert await services.redis.hget(record, "state") == b"queued"
    assert [job.id for job in (await services.ledger.list())[0]] == [plain.id]


@pytest.mark.parametrize("spoilt", ["job", "subject"])
async def test_a_job_whose_other_fields_cannot_be_read_is_given_back_uncounted(services, content, spoilt, caplog):
    """Its command is known, so that it is claimed before the rest is seen."""
    job = await services.submit(parse_command(INCIDENT), actor="test")
    record = key(services, "job", job.id)
    place = (record, "receipt") if spoilt == "job" else (key(services, "subject", job.subject), "receipt")
    held = await services.redis.hget(*place)
    await services.redis.hset(*place, "from the future")
    assert (await lifecycle.attempt(services.core, job.id)).reason == "unreadable"
    assert "can't be read" in caplog.text
    assert await services.redis.hmget(record, "state", "attempts") == [b"retrying", b"0"]
    due_ms = await services.redis.zscore(key(services, "due", "servicenow"), job.id)
    assert due_ms > 1000 * (await services.redis.time())[0] + 30_000
    await (services.redis.hset(*place, held) if held else services.redis.hdel(*place))
    assert (await services.ledger.require(job.id)).last_error.code == "unreadable_record"
    assert (await lifecycle.attempt(services.core, job.id)).state is JobState.DELIVERED


async def test_a_record_that_trips_its_reader_is_given_back_as_well(services, content, monkeypatch):
    job = await services.submit(parse_command(INCIDENT), actor="test")
    with monkeypatch.context() as broken:
        broken.setattr(ledger, "subject_of", Mock(side_effect=TypeError))
        assert (await lifecycle.attempt(services.core, job.id)).reason == "unreadable"
    given_back = await services.ledger.require(job.id)
    assert (given_back.state, given_back.attempts) == (JobState.RETRYING, 0)


async def test_a_fault_after_a_claim_that_stands_costs_the_job_nothing(services, content, monkeypatch):
    """Asked again by the same name, the claim is the same: else the job would wait for its lease's end."""
    job = await services.submit(parse_command(INCIDENT), actor="test")
    claim, asked = services.ledger.claim, []

    async def tripping(*args):
        claimed = await claim(*args)
        asked.append(args)
        if len(asked) == 1:
            raise KeyError
        return claimed

    monkeypatch.setattr(services.ledger, "claim", tripping)
    assert (await lifecycle.attempt(services.core, job.id)).state is JobState.DELIVERED
    assert asked[0] == asked[1]
    assert (await services.ledger.require(job.id)).attempts == 1


async def test_what_producers_and_operators_give_stays_closed_to_unknown_fields(services):
    with pytest.raises(Refused, match="watchers"):
        parse_command({**PUBLISH, "watchers": ["a"]})
