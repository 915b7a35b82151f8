"""Outcomes posted to a producer: signed, at least once, under one id, whatever dies."""

from __future__ import annotations

import json
import signal

import pytest
import standardwebhooks
from aiohttp import web

from tasks.callback_policy import callback_policy, origin_of
from tasks.callbacks import next_due, payload, sign
from tasks.errors import Refused
from tasks.model import JobState
from tasks.state.audit.entries import Event
from tasks.state.followups.outbox import Outcome
from tests.api.conftest import DOCUMENT, PUBLISH
from tests.conftest import until
from tests.listening import listening
from worker.rounds.callbacks import Callbacks

OUTCOME = Outcome(
    message="msg_j_1",
    job="j",
    command="publish_to_confluence",
    destination="confluence",
    state=JobState.DEAD,
    at_ms=1_000_000,
    url="http://127.0.0.1:1/hook",
    origin="http://127.0.0.1:1",
    apikey="ak_0",
    attempts=1,
)


class Receiver:
    """A producer's endpoint: keeps what it got, and answers as it is told."""

    def __init__(self) -> None:
        self.got: list[tuple[dict, str]] = []
        self.answers: list[int] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.text()))
        status = self.answers.pop(0) if self.answers else 200
        location = {"Location": f"{self.url}/elsewhere"} if status == 307 else None
        return web.Response(status=status, text="<html>thanks</html>", content_type="text/html", headers=location)


@pytest.fixture
async def receiver():
    made = Receiver()
    async with listening(made.take) as made.url:
        yield made


@pytest.fixture
def settings(settings, receiver):
    """The operator allows the receiver's origin and its loopback address."""
    allowed = {"callback_origins": receiver.url, "callback_private": "127.0.0.0/8"}
    return settings.model_copy(update=allowed)


async def ended(api, receiver, *, expected=JobState.CANCELLED) -> str:
    """A job with a callback that has ended."""
    path = (await api.post("/v1/jobs", PUBLISH | {"callback_url": f"{receiver.url}/hook"})).headers["Location"]
    assert (await api.post(f"{path}/cancel")).json["state"] == expected
    return path.rpartition("/")[2]


async def secret_of(api) -> str:
    return await api.services.access.callback_secret(api.key.partition(".")[0])


async def post_due(services, receiver) -> None:
    """Post what is due now, once."""
    poster = Callbacks(services)
    for outcome in await services.outbox.take(receiver.url, 10, 60_000):
        await poster.post(outcome)
    for session in poster._sessions.values():
        await session.close()


async def make_due(services, receiver) -> None:
    due = f"{services.settings.prefix}:callbacks:{receiver.url}"
    for message in await services.redis.zrange(due, 0, -1):
        await services.redis.zadd(due, {message: 0})


async def names(services, job: str) -> list[str]:
    return [event["event"] for event in await services.ledger.events(job)]


async def test_an_independent_client_verifies_what_a_real_worker_posts(
    api, destinations, receiver, start_worker, settings, monkeypatch
):
    monkeypatch.setenv("AFTERWORD_CALLBACK_ORIGINS", settings.callback_origins)
    monkeypatch.setenv("AFTERWORD_CALLBACK_PRIVATE", settings.callback_private)
    start_worker()
    job = (await api.post("/v1/jobs", PUBLISH | {"callback_url": f"{receiver.url}/hook"})).json["job_id"]

    async def arrived():
        return receiver.got

    headers, body = (await until(arrived))[0]
    verified = standardwebhooks.Webhook(await secret_of(api)).verify(body, headers)
    assert verified["type"] == "job.delivered"
    assert verified["data"]["job_id"] == job
    assert verified["data"]["result"].keys() == {"id", "url"}
    assert DOCUMENT["title"] not in body
    other = standardwebhooks.Webhook("whsec_" + "A" * 43 + "=")
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        other.verify(body, headers)

    async def settled():
        return "callback.ok" in await names(api.services, job)

    await until(settled)
    assert len(receiver.got) == 1
    assert (await api.get("/v1/audit/verify")).json["ok"]
    entries = [entry for entry in await api.services.audit.tail(50) if entry.event.startswith("callback.")]
    assert [entry.event for entry in entries] == ["callback.intent", "callback.ok"]
    assert entries[1].data["intent"] == f"{entries[0].chain}/{entries[0].seq}"
    assert await api.services.redis.zcard(f"{settings.prefix}:intents") == 0


async def test_a_post_whose_worker_died_leaves_an_intent_that_is_closed_as_unknown(
    services, api, destinations, receiver
):
    await ended(api, receiver)
    outcome = (await services.outbox.take(receiver.url, 1, 60_000))[0]
    intent = await services.outbox.announce(outcome, {"host": "receiver"})
    await services.redis.zadd(f"{services.settings.prefix}:intents", {intent: 0})
    assert await services.upkeep.close_orphans() == 1
    late = {"status": 200}
    await services.outbox.settle(outcome, Event.CALLBACK_OK, None, late, intent)
    closed = [e.event for e in await services.audit.tail(50) if e.data.get("intent") == intent]
    assert closed == ["callback.unknown"], "one outcome, and the message is posted again"
    await make_due(services, receiver)
    assert await services.outbox.take(receiver.url, 1, 60_000)


async def test_a_failed_post_is_made_again_under_the_same_id(api, destinations, receiver, services):
    receiver.answers = [500, 307, 200]
    job = await ended(api, receiver)
    for _ in range(4):
        await make_due(services, receiver)
        await post_due(services, receiver)
    assert len(receiver.got) == 3
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert len({body for _, body in receiver.got}) == 1
    assert [name for name in await names(services, job) if name.startswith("callback")] == [
        "callback.unknown",
        "callback.failed",
        "callback.ok",
    ] or (await names(services, job))[-1] == "callback.ok"
    assert await services.outbox.origins() == [] or await services.outbox.take(receiver.url, 10, 1000) == []


async def test_a_receiver_that_is_gone_is_not_asked_again(api, destinations, receiver, services):
    receiver.answers = [410]
    job = await ended(api, receiver)
    await post_due(services, receiver)
    await make_due(services, receiver)
    await post_due(services, receiver)
    assert len(receiver.got) == 1
    assert (await names(services, job))[-1] == "callback.dead"


async def test_a_poster_that_dies_leaves_the_message_to_the_next(api, destinations, receiver, services):
    await ended(api, receiver)
    (taken,) = await services.outbox.take(receiver.url, 10, 60_000)
    assert await services.outbox.take(receiver.url, 10, 60_000) == []
    await make_due(services, receiver)
    await post_due(services, receiver)
    headers, _ = receiver.got[0]
    assert headers["webhook-id"] == taken.message


async def test_a_killed_worker_loses_no_outcome(
    api, destinations, receiver, settings, start_worker, services, monkeypatch
):
    monkeypatch.setenv("AFTERWORD_CALLBACK_ORIGINS", settings.callback_origins)
    monkeypatch.setenv("AFTERWORD_CALLBACK_PRIVATE", settings.callback_private)
    receiver.answers = [503] * 2
    jobs = [await ended(api, receiver) for _ in range(5)]
    first = start_worker()

    async def begun():
        return receiver.got

    await until(begun)
    first.send_signal(signal.SIGKILL)
    first.wait()
    await make_due(services, receiver)
    start_worker()

    async def all_told():
        return {json.loads(body)["data"]["job_id"] for _, body in receiver.got} == set(jobs)

    await until(all_told)

    async def all_settled():
        return not await services.outbox.origins()

    await until(all_settled)
    ids = {headers["webhook-id"] for headers, _ in receiver.got}
    assert len(ids) == len(jobs)


async def test_every_terminal_state_tells_its_producer(api, destinations, receiver, services):
    body = PUBLISH | {"callback_url": f"{receiver.url}/hook"}
    older = (await api.post("/v1/jobs", body)).json["job_id"]
    newer = (await api.post("/v1/jobs", body)).json["job_id"]
    await post_due(services, receiver)
    (told,) = [json.loads(text) for _, text in receiver.got]
    assert (told["type"], told["data"]["job_id"]) == ("job.superseded", older)
    assert told["data"]["superseded_by"] == newer


async def test_an_origin_that_the_operator_did_not_list_is_refused(api, destinations, receiver):
    for url in ("https://example.com/hook", receiver.url.replace("127.0.0.1", "localhost") + "/hook"):
        answer = await api.post("/v1/jobs", PUBLISH | {"callback_url": url})
        assert (answer.status, answer.problem) == (403, "callback_refused")
    assert (await api.get("/v1/jobs")).json["jobs"] == []


async def test_a_listed_origin_on_a_private_address_is_refused_unless_its_network_is_allowed(
    api, destinations, receiver, services
):
    job = await ended(api, receiver)
    object.__setattr__(services, "callbacks", callback_policy(receiver.url, ""))
    await post_due(services, receiver)
    assert receiver.got == []
    last = (await services.ledger.events(job))[-1]
    assert (last["event"], last["detail"]) == ("callback.failed", "address_refused")


async def test_an_origin_that_is_no_longer_listed_gets_nothing(api, destinations, receiver, services):
    job = await ended(api, receiver)
    object.__setattr__(services, "callbacks", callback_policy("", ""))
    await post_due(services, receiver)
    assert receiver.got == []
    assert (await names(services, job))[-1] == "callback.failed"


def test_our_signature_is_the_one_of_standard_webhooks():
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    signature = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_failed_post_is_never_put_off_for_ever():
    late = OUTCOME.at_ms + 72 * 3600_000
    assert next_due(OUTCOME, status=500, now_ms=late, chance=0.5) is None
    assert next_due(OUTCOME, status=410, now_ms=OUTCOME.at_ms, chance=0.5) is None
    for attempt in range(1, 200):
        tried = OUTCOME.model_copy(update={"attempts": attempt})
        due = next_due(tried, status=None, now_ms=late - 1, chance=0.999)
        assert late - 1 < due <= late - 1 + 3_600_000


def test_the_payload_is_the_outcome_as_it_was():
    told = json.loads(payload(OUTCOME))
    assert told["timestamp"] == "1970-01-01T00:16:40.000Z"
    assert told["data"]["result"] is None


@pytest.mark.parametrize(
    "origins",
    [
        "example.com",
        "https://example.com/path",
        "ftp://example.com",
        "https://*.a.com",
        "https://a.com:65536",
        "https://a.com:0",
    ],
)
def test_a_setting_that_is_no_origin_is_refused(origins):
    with pytest.raises(Refused, match="AFTERWORD_CALLBACK_ORIGINS"):
        callback_policy(origins, "")


def test_an_origin_is_compared_as_a_whole():
    assert origin_of("HTTPS://Example.com:443/a") == "https://example.com"
    assert origin_of("https://example.com.evil.com/") != origin_of("https://example.com/")
    assert origin_of("https://example.com:8443/") != origin_of("https://example.com/")


async def test_an_outcome_that_only_a_newer_version_can_read_holds_up_no_other(api, destinations, receiver, services):
    for number in (1, 2):
        body = PUBLISH | {"callback_url": f"{receiver.url}/hook", "doc_id": f"d{number}"}
        body["document"] = DOCUMENT | {"id": f"d{number}", "issue_id": f"i{number}"}
        job = (await api.post("/v1/jobs", body)).json["job_id"]
        assert (await api.post(f"/v1/jobs/{job}/cancel")).status == 200
    newer = f"{services.settings.prefix}:callback:msg_{job}_1"
    await services.redis.hset(newer, "state", "teleported")
    taken = await services.outbox.take(receiver.url, 4, 40_000)
    assert len(taken) == 1
    assert taken[0].job != job
    assert await services.redis.hget(newer, "state") == b"teleported"
