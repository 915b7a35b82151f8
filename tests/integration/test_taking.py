"""Messages are taken from a Redis broker several at once: none is lost, doubled, or held up by a bad one among them."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
import redis
from kombu import Connection, Consumer, Queue
from kombu.asynchronous import Hub
from kombu.transport import redis as kombu_redis

from worker.broker import channel
from worker.broker.channel import TOGETHER, GuardedTransport
from worker.broker.envelope import UNREADABLE

WAITING = TOGETHER + 8
BAD = {
    "not JSON": b"nonsense",
    "not UTF-8": b'{"properties": {"delivery_tag": "t", "delivery_info": {"exchange": "", "routing_key": "q"}}, "\xff": 1}',
    "without a body": b'{"headers": {}, "properties": {"delivery_tag": "t", "delivery_info": {"exchange": "", "routing_key": "q"}}}',
    "two tags": b'{"body": "e30=", "headers": {}, "content-type": "application/json", "content-encoding": "utf-8", "properties":'
    b' {"delivery_tag": "\\u00e4", "body_encoding": "base64", "delivery_info": {"exchange": "", "routing_key": "q"}}}',
}


class Taker:
    """A consumer of one queue of a broker, as a worker has one."""

    def __init__(self, url: str, queue: str, no_ack: bool = False) -> None:
        self.connection = Connection(url, transport=GuardedTransport)
        self.messages: list = []
        self.channel = self.connection.channel()
        self.consumer = Consumer(
            self.channel, [Queue(queue)], on_message=self.messages.append, no_ack=no_ack, accept=["json"]
        )
        self.consumer.consume()

    def take(self) -> None:
        self.connection.drain_events(timeout=10)


@pytest.fixture
def client(settings) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(str(settings.redis_url)) as client:
        yield client


@pytest.fixture
def queue(client) -> Iterator[str]:
    name = f"taking-{uuid.uuid4().hex}"
    yield name
    client.delete(name, "unacked", "unacked_index")


@pytest.fixture
def taker(settings, queue):
    @contextmanager
    def take(**options) -> Iterator[Taker]:
        made = Taker(str(settings.redis_url), queue, **options)
        try:
            yield made
        finally:
            made.connection.release()

    return take


@pytest.fixture
def put(settings, queue):
    """Sends messages that hold their numbers."""

    def send(numbers) -> None:
        with Connection(str(settings.redis_url)) as connection:
            producer = connection.SimpleQueue(queue)
            for number in numbers:
                producer.put(number)

    return send


def test_messages_that_wait_are_taken_together_in_their_order_and_each_is_noted(taker, put, client):
    put(range(WAITING))
    with taker() as one:
        one.take()
        assert [message.payload for message in one.messages] == list(range(1 + TOGETHER))
        assert client.hlen("unacked") == client.zcard("unacked_index") == 1 + TOGETHER
        one.take()
        assert [message.payload for message in one.messages] == list(range(WAITING))
        for message in one.messages:
            message.ack()
        assert client.hlen("unacked") == client.zcard("unacked_index") == 0


def test_no_more_are_taken_than_there_is_room_for(taker, put, client, queue):
    put(range(WAITING))
    with taker() as one:
        one.channel.basic_qos(0, 5, False)
        one.take()
        assert len(one.messages) == 5
        assert client.llen(queue) == WAITING - 5


def test_the_brokers_time_goes_on_while_this_machine_sleeps(taker, client, monkeypatch):
    """Linux' monotonic clock stands still then: all that was taken later would look long taken to others, and come again."""
    with taker() as one:
        one.channel.qos.now_s()
        monkeypatch.setattr(channel, "time", SimpleNamespace(monotonic=lambda: 0.0))
        before_s = one.channel.qos.now_s()
        client.ping()
        assert one.channel.qos.now_s() > before_s


def test_what_was_taken_and_not_acknowledged_goes_back_in_its_order(taker, put):
    """Also what was never handed on."""
    put(range(WAITING))
    with taker() as one:
        one.take()
    with taker() as another:
        while len(another.messages) < WAITING:
            another.take()
        assert sorted(message.payload for message in another.messages) == list(range(WAITING))
        for message in another.messages:
            message.ack()


def test_a_message_that_cant_be_handed_on_holds_up_none_behind_it(taker, put, client, queue):
    put(range(4))
    with taker() as one:

        def stumble(message) -> None:
            if message.payload == 1:
                raise ConnectionError("the broker is gone")
            one.messages.append(message)

        one.consumer.on_message = stumble
        with pytest.raises(ConnectionError):
            one.take()
        assert client.llen(queue) == 2, "those behind it wait in their list again"
        assert client.hlen("unacked") == 2


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_entry_among_them_becomes_a_message_that_says_so(taker, put, client, queue, bad):
    """It leaves nothing behind once it was acknowledged, and those around it come as they are."""
    put([1, 2])
    client.lpush(queue, bad)
    put([3, 4])
    with taker() as one:
        while len(one.messages) < 5:
            one.take()
        readable = [message.payload for message in one.messages if message.content_type != UNREADABLE]
        assert [number for number in readable if number] == [1, 2, 3, 4]
        for message in one.messages:
            message.ack()
        assert client.hlen("unacked") == client.zcard("unacked_index") == 0


def test_what_nobody_acknowledges_is_not_noted(taker, put, client):
    """As with the answers to remote control."""
    put(range(3))
    with taker(no_ack=True) as one:
        while len(one.messages) < 3:
            one.take()
    assert client.hlen("unacked") == 0


def test_a_message_with_types_of_celerys_own_is_the_same_taken_alone_and_together(settings, taker, queue):
    moment = datetime(2026, 11, 28, 14, 0, tzinfo=UTC)
    with Connection(str(settings.redis_url)) as connection:
        producer = connection.SimpleQueue(queue)
        for number in range(3):
            producer.put(number, headers={"began": moment})
    with taker() as one:
        one.take()
        assert [message.headers["began"] for message in one.messages] == [moment] * 3


@pytest.mark.parametrize("kind", ["decimal", "bytes", "datetime"])
def test_a_record_of_a_message_in_hand_that_kombu_cant_read_is_left_and_holds_up_no_other(taker, put, client, kind):
    odd = json.dumps([{"headers": {"x": {"__type__": kind, "__value__": "x" if kind != "bytes" else 5}}}, "", "q"])
    put([0])
    with taker() as one:
        one.take()
        (tag,) = client.hkeys("unacked")
        client.hset("unacked", "odd", odd)
        client.zadd("unacked_index", {"odd": 2, tag: 1})  # the newest comes first
        one.channel.qos.restore_visible(interval=1)
        assert client.hkeys("unacked") == [b"odd"]


@pytest.mark.parametrize("off_s", [-7200.0, 7200.0])
def test_a_wrong_clock_of_a_workers_machine_puts_back_nothing_that_another_has_at_hand(
    taker, put, client, monkeypatch, off_s
):
    """When a message was taken, and whether that is too long ago, is told by the broker's clock."""
    put(range(3))
    with taker() as wrong, taker() as right:
        monkeypatch.setattr(kombu_redis, "time", lambda: time.time() + off_s)
        wrong.take()
        now_s = client.time()[0]
        moments = [moment for _, moment in client.zrange("unacked_index", 0, -1, withscores=True)]
        assert len(moments) == 3
        assert all(abs(moment - now_s) < 60 for moment in moments)
        for one in (wrong, right):
            one.channel.qos.restore_visible(interval=1)
            assert client.hlen("unacked") == 3
        late = {tag: moment - 3600 for tag, moment in client.zrange("unacked_index", 0, -1, withscores=True)}
        client.zadd("unacked_index", late)
        wrong.channel.qos.restore_visible(interval=1)
        assert client.hlen("unacked") == 0, "what was taken too long ago goes back"


def test_an_account_that_may_run_no_scripts_takes_them_one_by_one_until_it_may(
    settings, taker, put, client, queue, monkeypatch
):
    put(range(3))
    user = f"without-scripts-{uuid.uuid4().hex}"
    client.acl_setuser(user, enabled=True, passwords=["+fake-password"], keys=["*"], channels=["*"])
    client.execute_command("ACL", "SETUSER", user, "+@all", "-@scripting")
    url = str(settings.redis_url)
    account = url.partition("://")[0] + f"://{user}:fake-password@" + url.partition("://")[2].rpartition("@")[2]
    one = Taker(account, queue)
    try:
        while len(one.messages) < 3:
            one.take()
        assert [message.payload for message in one.messages] == [0, 1, 2]
        monkeypatch.setattr(channel, "AGAIN_S", 0.0)
        one.channel._alone_until_s = 0.0  # a while later
        put([3, 4])
        one.take()
        assert len(one.messages) == 4, "refused again"
        client.execute_command("ACL", "SETUSER", user, "+@scripting")
        put([5, 6])
        one.take()
        assert [message.payload for message in one.messages] == list(range(7)), "together again, without a new start"
        for message in one.messages:
            message.ack()
    finally:
        one.connection.release()
        client.acl_deluser(user)


def test_what_is_acknowledged_in_one_turn_of_celerys_loop_is_told_at_its_end(taker, put, client):
    put(range(3))
    hub = Hub()
    with taker() as one:
        one.connection.register_with_event_loop(hub)
        turn = hub.create_loop()
        while len(one.messages) < 3:
            next(turn)
        for message in one.messages:
            message.ack()
        assert client.hlen("unacked") == 3
        next(turn)
        assert client.hlen("unacked") == client.zcard("unacked_index") == 0
        put([3])
        while len(one.messages) < 4:
            next(turn)
        one.messages[-1].ack()  # the loop ends before its turn does
    assert client.hlen("unacked") == 0
