"""A worker's consumer over the guard: what becomes of each message, and when events go out."""

from __future__ import annotations

import base64
import json
from collections import deque
from threading import Thread, get_ident
from unittest.mock import MagicMock, call

import pytest
from celery.events.dispatcher import EventDispatcher
from celery.worker.strategy import default
from kombu import message as kombu_message
from kombu.asynchronous import Hub

from tasks.errors import StateUnavailable
from tests.unit.test_guard import ENTRIES, TASK, changed, client, nothing
from worker.broker.guard import GuardedConsumer


@pytest.fixture
def consumer(monkeypatch):
    """The guarded consumer of a worker whose ledger takes what it is given, over Celery's own handler."""
    guarded = GuardedConsumer.__new__(GuardedConsumer)
    guarded.app = client()
    guarded.app.tasks[TASK] = guarded.app.task(name=TASK, shared=False)(nothing)
    guarded.connection_errors, guarded.channel_errors = (ConnectionError,), ()
    guarded.kept = []
    guarded.told = []
    monkeypatch.setattr(guarded, "_keep", lambda raw, fault: guarded.kept.append((raw, fault)) or True)
    monkeypatch.setattr(guarded, "_skew_s", lambda: 0.0)
    monkeypatch.setattr(guarded, "_tell", lambda task_id, words: guarded.told.append((task_id, words)))
    guarded.strategies = {TASK: default(guarded.app.tasks[TASK], guarded.app, MagicMock(hostname="here"))}
    guarded.on_task_message, guarded.call_soon_ack = set(), lambda done: done()
    guarded._maximum_prefetch_restored = True
    guarded.restart_count = 0
    return guarded


def from_rabbitmq(entry: dict) -> kombu_message.Message:
    """The same message as an AMQP broker delivers it: its body as bytes, its headers in a table of their own."""
    channel = MagicMock(no_ack_consumers=None)
    facts = entry["properties"]
    message = kombu_message.Message(
        body=base64.b64decode(entry["body"]),
        delivery_tag=7,
        content_type=entry["content-type"],
        content_encoding=entry["content-encoding"],
        delivery_info={"exchange": "", "routing_key": "celery", "redelivered": False, "consumer_tag": "1"},
        properties={"correlation_id": facts["correlation_id"], "delivery_mode": 2, "priority": 0},
        headers=entry["headers"],
        channel=channel,
    )
    message.accept = {"application/json"}
    return message


def test_a_message_of_rabbitmq_goes_through_the_same_check_and_is_acknowledged_once_it_was_set_aside(consumer):
    handle = consumer.create_task_handler()
    bad = from_rabbitmq(changed(2, retries="three"))
    handle(bad)
    ((raw, fault),) = consumer.kept
    assert "retries" in fault.words
    assert json.loads(raw)["headers"]["retries"] == "three"
    assert consumer.told == [(ENTRIES[2]["headers"]["id"], fault.words)]
    assert bad.acknowledged
    good = from_rabbitmq(ENTRIES[2])
    handle(good)
    assert len(consumer.kept) == 1
    assert not good.acknowledged, "it is acknowledged late, by whoever runs it"


def test_what_the_check_did_not_foresee_ends_no_worker(consumer):
    consumer.strategies = {TASK: MagicMock(side_effect=AttributeError("surprise"))}
    message = from_rabbitmq(ENTRIES[2])
    consumer.create_task_handler()(message)
    assert consumer.kept[0][1].kind == "unforeseen"
    assert message.acknowledged


def test_a_lost_connection_is_no_fault_of_the_message(consumer):
    consumer.strategies = {TASK: MagicMock(side_effect=ConnectionError)}
    with pytest.raises(ConnectionError):
        consumer.create_task_handler()(from_rabbitmq(ENTRIES[2]))
    assert consumer.kept == []


def test_while_the_ledger_is_away_a_message_goes_back_to_its_queue(consumer, monkeypatch):
    monkeypatch.setattr("worker.broker.guard.REFUSED_PAUSE_S", 0)
    monkeypatch.setattr(
        consumer, "_keep", MagicMock(side_effect=StateUnavailable("Redis is away.", code="redis_absent"))
    )
    message = from_rabbitmq(changed(2, eta=5))
    consumer.create_task_handler()(message)
    assert message.channel.basic_reject.mock_calls == [call(7, requeue=True)]


def test_events_of_a_short_while_go_out_together_and_none_is_forgotten(monkeypatch):
    """Each publication costs as much as several events, and a busy worker has many."""
    published, hub = [], Hub()
    monkeypatch.setattr("worker.broker.guard.EVENTS_S", 0.2)
    consumer = object.__new__(GuardedConsumer)
    consumer.hub, consumer._then = hub, deque()
    consumer.event_dispatcher = MagicMock(flush=lambda: published.append("flush"))
    consumer._flush_events()
    assert published == ["flush"], "the first goes out at once"
    for _ in range(5):
        consumer._flush_events()
    assert published == ["flush"]
    while len(published) == 1:
        hub.run_once()
    assert published == ["flush"] * 2


def test_events_that_wait_go_out_before_a_worker_ends():
    """Nothing sets off a timer any more when the consumer is shut down."""
    done = []
    consumer = object.__new__(GuardedConsumer)
    consumer.hub, consumer.connection_errors, consumer.channel_errors = Hub(), (OSError,), ()
    consumer._then = deque()
    consumer.app = MagicMock(finish=lambda: done.append("attempts"))
    consumer.event_dispatcher = MagicMock(flush=lambda: done.append("events"))
    consumer.blueprint = MagicMock(shutdown=lambda _: done.append("end"))
    consumer.shutdown()
    assert done == ["attempts", "events", "end"]
    consumer.event_dispatcher.flush = MagicMock(side_effect=OSError)
    consumer.shutdown()
    assert done == ["attempts", "events", "end", "attempts", "end"]


def test_events_are_published_by_the_consumer_alone_however_many_others_hand_over(monkeypatch):
    """Its thread reads the same connection: a publication that waits for a confirmation in another would wait for ever."""
    published = []
    monkeypatch.setattr(
        EventDispatcher, "_publish", lambda _self, batch, *_, **__: published.append((get_ident(), len(batch)))
    )
    app, hub = client(), Hub()
    consumer = MagicMock(spec=GuardedConsumer, hub=hub)
    with app.connection_for_write() as connection:
        consumer.event_dispatcher = EventDispatcher(
            connection, app=app, buffer_group=["task"], on_send_buffered=lambda: hub.call_soon(flush)
        )
        flush = consumer.event_dispatcher.flush
        handed = [("task-started", {"uuid": str(number)}) for number in range(100)]
        other = Thread(target=GuardedConsumer.send_events, args=(consumer, handed))
        other.start()
        other.join()
        assert published == []
        hub.run_once()
    assert published == [(get_ident(), 100)]


def test_whoever_hands_events_over_hears_of_it_also_where_they_were_sent_while_they_were_handed_over():
    """Else it would hear with the next events, of which there may be none for hours."""
    heard, hub = [], Hub()
    consumer = object.__new__(GuardedConsumer)
    consumer.hub, consumer._then, consumer._flush_events_promise = hub, deque(), consumer._flush_events
    consumer.event_dispatcher = MagicMock(send=lambda *_, **__: consumer._flush())
    consumer.send_events([("task-retried", {"uuid": "job-1"})], lambda: heard.append("sent"))
    assert heard == []
    consumer._flushed_at = float("-inf")  # the while in which events are held back is over
    hub.run_once()
    assert heard == ["sent"]


def test_whoever_hands_events_over_hears_once_they_are_sent_also_after_a_connection_broke():
    heard = []
    consumer = object.__new__(GuardedConsumer)
    consumer._then, consumer.event_dispatcher, consumer.hub = deque(), MagicMock(), None
    consumer.send_events([("task-retried", {"uuid": "job-1"})], lambda: heard.append("sent"))
    consumer.event_dispatcher.flush.side_effect = OSError
    with pytest.raises(OSError):
        consumer._flush()
    assert heard == []
    consumer.event_dispatcher.flush.side_effect = None
    consumer._flush()
    consumer._flush()
    assert heard == ["sent"]
