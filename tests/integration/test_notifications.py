"""Notifications: what needs a person reaches whom the operator named, once, grouped, and without content."""

from __future__ import annotations

import asyncio
import json

import pytest
import standardwebhooks
from aiohttp import web

from tasks import notifications
from tasks.errors import KeyTrouble, Refused
from tasks.model import Document, parse_command
from tasks.state.audit.entries import AuditEntry, Event
from tasks.state.receivers.settings import Topic, receiver_of
from tests.conftest import until
from tests.listening import listening
from worker.rounds.notifier import Notifier
from worker.rounds.notifier import test as send_test
from worker.runtime import open_services

SECRET = "whsec_" + "A" * 43 + "="
PLANTED = "S3cret-" + "planted-99"


class Receiver:
    """Somebody who is notified: keeps what arrived, and answers as told."""

    def __init__(self) -> None:
        self.got: list[tuple[dict, str, str]] = []
        self.answers: list[int] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.text(), request.path_qs))
        return web.Response(status=self.answers.pop(0) if self.answers else 200, text="ok")

    @property
    def events(self) -> list[dict]:
        return [event for _, body, _ in self.got for event in json.loads(body)["data"]["events"]]


@pytest.fixture
async def receiver():
    made = Receiver()
    async with listening(made.take) as made.url:
        yield made


def webhook(receiver, **more):
    local = {"allow_http": True, "allow_private": ["127.0.0.0/8"], "min_interval_s": 1}
    return receiver_of("ops", {"kind": "webhook", "url": f"{receiver.url}/hook", "secret": SECRET} | local | more)


async def died(services, job: str, code: str = "no_such_space") -> None:
    """An audit entry of a job that died, as the ledger writes it."""
    await services.ledger.record(Event.DEAD, {"job": job, "destination": "confluence", "error": code})


async def tell(services, name: str = "ops") -> None:
    await services.redis.hset(f"{services.settings.prefix}:receiver:progress:{name}", "due_ms", "0")
    await Notifier(services).tell(name)


async def audited(services, prefix: str = "notification.") -> list[str]:
    return [entry.event for entry in await services.audit.tail(500) if entry.event.startswith(prefix)]


async def test_two_hundred_dead_jobs_of_one_cause_are_one_event_in_one_signed_message(services, receiver):
    """Grouped, signed after Standard Webhooks, and audited before and after."""
    await services.receivers.set("ops", webhook(receiver, console="https://afterword.example"), "test")
    for number in range(200):
        await died(services, f"job-{number}")
    await died(services, "job-other", "bad_title")
    await tell(services)
    ((headers, body, path),) = receiver.got
    standardwebhooks.Webhook(SECRET).verify(body, headers)
    assert path == "/hook"
    many, one = receiver.events
    assert (many["topic"], many["count"], many["cause"]) == ("dead", 200, "no_such_space")
    assert many["jobs"] == [f"job-{number}" for number in range(5)]
    assert many["url"] == "https://afterword.example/jobs?state=dead&destination=confluence"
    assert (one["count"], one["url"]) == (1, "https://afterword.example/jobs/job-other")
    assert await audited(services) == ["notification.intent", "notification.ok"]
    assert (await services.audit.verify()).ok


async def test_what_was_told_is_not_told_again_and_what_comes_later_is(services, receiver):
    """The place moves with the message."""
    await died(services, "job-before")
    await services.receivers.set("ops", webhook(receiver), "test")
    await tell(services)
    assert receiver.got == []
    await died(services, "job-1")
    await tell(services)
    await tell(services)
    await died(services, "job-2")
    await tell(services)
    assert [event["jobs"] for event in receiver.events] == [["job-1"], ["job-2"]]


async def test_a_receiver_that_is_down_loses_nothing_and_gets_one_message_when_it_is_back(services, receiver):
    """What failed is told with what happened since."""
    await services.receivers.set("ops", webhook(receiver), "test")
    receiver.answers = [500, 503]
    await died(services, "job-1")
    await tell(services)
    await tell(services)
    assert (await services.receivers.view("ops")).failures == 2
    await died(services, "job-2")
    await tell(services)
    assert json.loads(receiver.got[-1][1])["data"]["events"][0]["jobs"] == ["job-1", "job-2"]
    assert (await services.receivers.view("ops")).failures == 0
    assert [name for name in await audited(services) if name != "notification.intent"] == [
        "notification.unknown",
        "notification.unknown",
        "notification.ok",
    ]


async def test_a_message_that_is_sent_again_keeps_its_id(services, receiver):
    """So a receiver that did take it, and answered too late, knows it again."""
    await services.receivers.set("ops", webhook(receiver), "test")
    receiver.answers = [500]
    await died(services, "job-1")
    await tell(services)
    await tell(services)
    first, again = (headers["webhook-id"] for headers, _, _ in receiver.got)
    assert first == again


async def test_an_entry_that_nobody_of_us_wrote_is_told_of_and_silences_nothing(services, receiver):
    """Who can write to Redis can't keep people from hearing of what comes after."""
    await services.receivers.set("ops", webhook(receiver), "test")
    for fields in ({"event": "x", "data": "{"}, {"seq": "one"}, {"event": "x", "data": "[]"}):
        await services.redis.xadd(f"{services.settings.prefix}:audit", fields)
    await died(services, "job-1")
    await tell(services)
    assert [(event["topic"], event["count"]) for event in receiver.events] == [("tampered", 3), ("dead", 1)]


async def test_many_causes_take_several_messages(services, receiver):
    """No message outgrows what a chat takes."""
    await services.receivers.set("ops", webhook(receiver), "test")
    for number in range(notifications.MOST_GROUPS + 5):
        await died(services, f"job-{number}", f"cause_{number}")
    await tell(services)
    assert len(receiver.events) == notifications.MOST_GROUPS
    await tell(services)
    assert len(receiver.events) == notifications.MOST_GROUPS + 5


async def test_a_receiver_is_untested_until_something_arrived_or_failed(services, receiver):
    """Nothing is green that was never tried; a receiver that is stored anew is to be tried anew."""

    async def standing():
        return (await services.receivers.view("ops")).standing

    await services.receivers.set("ops", webhook(receiver), "test")
    assert await standing() == "untested"
    receiver.answers = [404]
    assert await send_test(services, "ops")
    assert await standing() == "failing"
    assert not await send_test(services, "ops")
    assert await standing() == "good"
    await services.receivers.set("ops", webhook(receiver), "test")
    assert await standing() == "untested"
    await died(services, "job-1")
    await tell(services)
    assert await standing() == "good"


async def test_messages_keep_their_distance_and_only_one_process_sends(services, receiver):
    """A second look right after a message sends nothing, whoever looks."""
    await services.receivers.set("ops", webhook(receiver, min_interval_s=3600), "test")
    await died(services, "job-1")
    await tell(services)
    await died(services, "job-2")
    await asyncio.gather(*(Notifier(services).tell("ops") for _ in range(3)))
    assert len(receiver.got) == 1


async def test_a_process_that_died_with_a_message_is_followed_by_another(services, receiver):
    """The lease ends, the place has not moved: the message is sent then."""
    await services.receivers.set("ops", webhook(receiver), "test")
    await died(services, "job-1")
    assert await services.receivers.take("ops", 60_000)
    assert await services.receivers.take("ops", 60_000) is None
    await tell(services)
    assert len(receiver.got) == 1


@pytest.mark.parametrize("kind", ["slack", "teams"])
async def test_chats_get_their_own_shape(services, receiver, kind):
    """Slack's text and Teams' adaptive card, at an address whose query is kept."""
    local = {"allow_http": True, "allow_private": ["127.0.0.0/8"]}
    url = f"{receiver.url}/services/T0/B0?sig=abc%2Fd"
    await services.receivers.set("ops", receiver_of("ops", {"kind": kind, "url": url} | local), "test")
    await died(services, "job-1", "<!channel> [x](http://evil.example) & more")
    await tell(services)
    ((_, body, path),) = receiver.got
    assert path == "/services/T0/B0?sig=abc%2Fd"
    text = json.loads(body)
    said = text["text"] if kind == "slack" else json.dumps(text["attachments"][0]["content"]["body"])
    assert "1 job dead at confluence" in said
    assert "job-1" in said
    assert [part for part in ("<", "](", "://") if part in said] == []
    if kind == "teams":
        assert text["attachments"][0]["contentType"] == "application/vnd.microsoft.card.adaptive"
    view = await services.receivers.view("ops")
    everything = view.model_dump_json() + json.dumps([entry.data for entry in await services.audit.tail(50)])
    assert "sig=" not in everything
    assert "/services" not in everything


async def test_nothing_is_sent_to_a_private_address_that_was_not_allowed(services, receiver):
    """The same guard as for destinations."""
    await services.receivers.set("ops", webhook(receiver, allow_private=[]), "test")
    assert "not permitted" in await send_test(services, "ops")
    assert receiver.got == []


async def test_a_record_that_was_changed_in_redis_is_not_used(services, receiver):
    """Whoever can write to Redis can't redirect messages."""
    await services.receivers.set("ops", webhook(receiver), "test")
    await services.receivers.set("other", webhook(receiver), "test")
    moved = await services.redis.hget(f"{services.settings.prefix}:receiver:other", "sealed")
    await services.redis.hset(f"{services.settings.prefix}:receiver:ops", "sealed", moved)
    await died(services, "job-1")
    with pytest.raises(KeyTrouble):
        await tell(services)
    assert receiver.got == []


@pytest.mark.parametrize("removed", [False, True], ids=["changed", "removed"])
async def test_an_older_receiver_that_is_put_back_is_told_nothing(services, receiver, removed):
    """Its address may be somebody else's by now; `doctor`, the console and the API show it as unusable."""
    prefix = services.settings.prefix
    await services.receivers.set("ops", webhook(receiver), "test")
    older = await services.redis.hgetall(f"{prefix}:receiver:ops")
    if removed:
        await services.receivers.remove("ops", "test")
    else:
        await services.receivers.set("ops", webhook(receiver, url="https://hooks.example.com/new"), "test")
    await services.redis.hset(f"{prefix}:receiver:ops", mapping=older)
    await services.redis.sadd(f"{prefix}:receivers", "ops")
    await services.redis.hset(f"{prefix}:receiver:progress:ops", mapping={"cursor": "0-0", "failures": "0"})
    await died(services, "job-1")
    async with open_services(services.settings) as another:
        with pytest.raises(KeyTrouble, match="somebody put it back"):
            await tell(another)
        assert [view.standing for view in await another.receivers.views()] == ["unusable"]
    assert receiver.got == []
    await services.receivers.set("ops", webhook(receiver), "test")
    await tell(services)
    assert receiver.got, "stored again it is good"


async def test_a_real_worker_tells_of_a_held_job_without_its_content(services, destinations, receiver, start_worker):
    """From the submission to the message; neither title nor text nor secret is in it."""
    await services.receivers.set("ops", webhook(receiver), "test")
    command = parse_command({"command": "publish_to_confluence", "doc_id": "rca", "space_key": "OPS"})
    document = Document(id="rca", title="Unsaid title", content_md=f"# RCA\n\npassword = {PLANTED}\n")
    job = await services.submit(command, actor="test", document=document)
    start_worker()

    async def arrived():
        return receiver.got

    await until(arrived)
    assert [(event["topic"], event["jobs"]) for event in receiver.events] == [("held", [job.id])]
    assert PLANTED not in receiver.got[0][1]
    assert "Unsaid title" not in receiver.got[0][1]


@pytest.mark.parametrize(
    ("event", "data", "topic", "line"),
    [
        (Event.DESTINATION_SUSPENDED, {"destination": "wiki"}, Topic.SUSPENDED, "Destination wiki is suspended"),
        (
            Event.CREDENTIAL_EXPIRING,
            {"destination": "wiki", "days": 7},
            Topic.EXPIRING,
            "The credential of wiki ends within 7 days",
        ),
        (
            Event.CREDENTIAL_EXPIRING,
            {"destination": "wiki", "days": 0},
            Topic.EXPIRING,
            "The credential of wiki has ended",
        ),
        (Event.RECORD_REFUSED, {"record": "job:j", "reason": "tampered"}, Topic.TAMPERED, "1 refused record: tampered"),
        (Event.WENT_BACK, {}, Topic.WENT_BACK, "The ledger went back in time"),
    ],
)
def test_every_topic_has_its_words(event, data, topic, line):
    """From the entry to the line, and only for those who asked for it."""
    entry = AuditEntry(id="5-0", chain="c", seq=1, at_ms=5, event=event, data=data)
    (group,) = notifications.grouped([entry])
    assert (group.topic, group.line) == (topic, line)
    assert notifications.concerns(entry, [topic])
    assert not notifications.concerns(entry, set(Topic) - {topic})


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "webhook", "url": "http://hooks.example/x", "secret": SECRET},
        {"kind": "webhook", "url": "https://u:p@hooks.example/x", "secret": SECRET},
        {"kind": "webhook", "url": "https://hooks.example/x", "secret": "whsec_short"},
        {"kind": "slack", "url": "ftp://hooks.example/x"},
        {"kind": "slack", "url": "https://hooks.example/x", "allow_private": ["nowhere"]},
        {"kind": "email", "smtp_host": "m.example", "sender": "a@b.example", "to": ["x@y.example\r\nBcc: z@y.example"]},
        {"kind": "email", "smtp_host": "m.example", "sender": "a@b.example", "to": ["x@y.example"], "security": "none"},
        {"kind": "email", "smtp_host": "m.example", "sender": "a@b.example", "to": [], "username": "u"},
    ],
)
def test_a_receiver_that_would_be_unsafe_is_refused_without_repeating_it(given):
    """Plain text, accounts in addresses, short secrets, header injection."""
    with pytest.raises(Refused) as refused:
        receiver_of("ops", given)
    assert "u:p" not in str(refused.value)
    assert "whsec_short" not in str(refused.value)
