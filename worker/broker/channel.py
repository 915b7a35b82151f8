"""kombu's channels and connections, so that nothing which stands in a Redis list, or is published there, ends a worker.

Stock kombu ends its worker at one queue entry that isn't a message. Here such an entry becomes a message that says so: like
any other it is set aside by the consumer, and acknowledged only then.

Messages that wait are taken several at once, and those that are acknowledged in one turn of Celery's loop are acknowledged
in one trip. Stock kombu takes five trips for each, and loses one whose worker dies between taking it and noting that it has it;
of those that are taken together none can be lost so.
"""

from __future__ import annotations

import json
import logging
import time
import uuid
from importlib import resources
from queue import Empty
from typing import Any

from celery.app.amqp import AMQP
from kombu.connection import Connection
from kombu.transport import redis as kombu_redis
from kombu.transport import virtual
from kombu.utils.json import dumps, loads
from kombu.utils.url import sanitize_url
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from tasks.state.clock import steady_s
from worker.broker.envelope import trouble_of_entry, wrapped

log = logging.getLogger(__name__)

TOGETHER = 16  # messages of one queue: the others have their turn as well
AGAIN_S = 60.0  # until a broker that refused to hand out several is asked for them again
TAKE = (resources.files("worker.broker") / "take.lua").read_text("utf-8")


class GuardedQoS(kombu_redis.QoS):
    """Puts messages back where that is possible, and leaves them to their time-out where it isn't. It knows which messages the
    broker has already noted as taken (`noted`), and keeps what is acknowledged until the end of a turn of Celery's loop.

    When the connection is lost with messages in hand, kombu 5.7 asks the closed connection for another one and fails
    with an AttributeError that ends the worker. The ledger sends a job's message again; one that was not adopted yet
    comes back after the visibility time-out.

    When a message was taken is told by the broker's clock, as any other worker may look at it; kombu means its own machine's.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.noted: set[str] = set()
        self._acknowledged: list[str] = []
        self._ahead_s: float | None = None  # the broker's clock, of the steady one

    def now_s(self) -> float:
        """The broker's time, asked for once in each connection, and carried on also while the machine sleeps; kombu's own where
        the account may not ask.
        """
        if self._ahead_s is None:
            try:
                with self.channel.conn_or_acquire() as client:
                    seconds, microseconds = client.time()
                moment_s = seconds + microseconds / 1e6
            except ResponseError:
                moment_s = kombu_redis.time()  # type: ignore[attr-defined]
            self._ahead_s = moment_s - steady_s()
        return self._ahead_s + steady_s()

    @property
    def visibility_timeout(self) -> float:
        """What kombu takes from its own machine's time to have the moment before which a message was taken too long ago."""
        ahead_s = kombu_redis.time() - self.now_s()  # type: ignore[attr-defined]
        return float(self.channel.visibility_timeout + ahead_s)

    def append(self, message: Any, delivery_tag: str) -> None:
        """As in kombu, by the broker's time, without noting again what was noted as it was taken."""
        if delivery_tag in self.noted:
            self.noted.discard(delivery_tag)
        else:
            place = message.delivery_info
            record = dumps([message._raw, place["exchange"], place["routing_key"]])  # noqa: SLF001 - kombu has no public way
            taken_at = {delivery_tag: self.now_s()}
            with self.pipe_or_acquire() as pipe:
                pipe.zadd(self.unacked_index_key, taken_at).hset(self.unacked_key, delivery_tag, record).execute()
        virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """As in kombu, or at the end of this turn of Celery's loop."""
        if getattr(self.channel.connection, "turns", False):
            self._acknowledged.append(delivery_tag)
        else:
            super().ack(delivery_tag)

    def acknowledge(self) -> None:
        """Tell the broker of all that was acknowledged in this turn; what can't be told comes again."""
        tags, self._acknowledged = self._acknowledged, []
        if not tags:
            return
        try:
            with self.pipe_or_acquire() as pipe:
                pipe.zrem(self.unacked_index_key, *tags).hdel(self.unacked_key, *tags).execute()
        except (RedisError, OSError) as trouble:
            log.warning(
                "%d messages could not be acknowledged (%s); they come again.", len(tags), type(trouble).__name__
            )
            return
        for tag in tags:
            virtual.QoS.ack(self, tag)

    def restore_by_tag(self, tag: Any, client: Any = None, leftmost: bool = False) -> None:
        """As in kombu; a record that can't be read is left where it is, and holds up no other."""
        try:
            super().restore_by_tag(tag, client, leftmost)
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as trouble:
            log.warning("A message in hand can't be read, and is left (%s).", type(trouble).__name__)

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """As in kombu, without ending the worker."""
        try:
            self.acknowledge()
            super().restore_unacked_once(stderr)
        except Exception as trouble:
            log.warning("Messages in hand could not be put back (%s); they come again.", type(trouble).__name__)


class Guarded:
    """A Redis channel whose unreadable entries become messages that say so, before kombu takes them apart; mixed into
    kombu's own.
    """

    client: Any
    connection: Any
    conn_or_acquire: Any
    qos: Any
    sep: str
    QoS = GuardedQoS
    _alone_until_s = 0.0  # of the monotonic clock
    _refusal = ""
    _answered: frozenset[str] = frozenset()  # the queues whose messages are acknowledged

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        """Where to connect; of a channel whose connection was lost, an error that Celery expects.

        kombu 5.7 raises an AttributeError, which ends the worker when an answer is acknowledged after a reconnect.
        """
        if self.connection is None or self.connection.client is None:
            raise RedisConnectionError("the connection of this channel is closed")
        return dict(super()._connparams(asynchronous))  # type: ignore[misc]

    def basic_consume(self, queue: str, no_ack: bool, *args: Any, **options: Any) -> Any:
        """As in kombu."""
        if not no_ack:
            self._answered |= {queue}
        return super().basic_consume(queue, no_ack, *args, **options)  # type: ignore[misc]

    def _brpop_read(self, **options: Any) -> Any:
        connection = self.client.connection
        parse = self.client.parse_response
        places: list[str] = []

        def guarded(*args: Any, **kwargs: Any) -> Any:
            reply = parse(*args, **kwargs)
            if reply:
                places.append(bytes(reply[0]).decode())
            if reply and (trouble := trouble_of_entry(bytes(reply[1]))):
                log.debug("a queue entry is %s", trouble)
                return [reply[0], wrapped(bytes(reply[1]), uuid.uuid4().hex)]
            return reply

        self.client.parse_response = guarded
        try:
            found = super()._brpop_read(**options)  # type: ignore[misc]
        finally:
            if self.client is not None and connection is not None:
                self.client.parse_response = parse
        for place in places:
            self._take_more(place)
        return found

    def _take_more(self, place: str) -> None:
        """Take what waits in the same list, as far as there is room, and hand it on."""
        queue = place.rsplit(self.sep, 1)[0]
        room = self.qos.can_consume_max_estimate()
        most = TOGETHER if room is None else min(room, TOGETHER)
        if most < 1 or queue not in self._answered or time.monotonic() < self._alone_until_s:
            return
        keys = (place, self.qos.unacked_key, self.qos.unacked_index_key)
        now_s = self.qos.now_s()
        try:
            with self.conn_or_acquire() as client:
                taken = client.eval(TAKE, len(keys), *keys, most, now_s)
        except ResponseError as refused:
            self._alone_until_s = time.monotonic() + AGAIN_S
            if str(refused) != self._refusal:  # said once: an account may lack the right for good
                log.info(
                    "Messages are taken one by one: the broker refuses the script that takes several (%s).", refused
                )
            self._refusal = str(refused)
            return
        entries = iter([(bytes(tag), bytes(entry)) for tag, entry in zip(taken[::2], taken[1::2], strict=True)])
        try:
            for tag, entry in entries:
                self._hand_on(tag, entry, queue)
        finally:
            for tag, _ in reversed(list(entries)):  # what can't be handed on any more, in its order
                self.qos.restore_by_tag(tag)

    def _hand_on(self, tag: bytes, entry: bytes, queue: str) -> None:
        """Deliver an entry that is noted under a tag; one that can't be taken apart as a message that says so."""
        if trouble := trouble_of_entry(entry):
            log.debug("a queue entry is %s", trouble)
            message = json.loads(wrapped(entry, uuid.uuid4().hex))
        else:
            message = loads(entry)  # with Celery's own types, as one that is taken alone
        noted = message["properties"]["delivery_tag"]
        if noted.encode() == tag:
            self.qos.noted.add(noted)
        self.connection._deliver(message, queue)  # noqa: SLF001 - kombu has no public way
        if noted.encode() != tag:  # noted again, as what it was delivered as
            self.qos._remove_from_indices(tag).execute()  # noqa: SLF001 - the same

    def _receive_one(self, client: Any) -> Any:
        """A message to all workers; one that can't be read is dropped."""
        try:
            return super()._receive_one(client)  # type: ignore[misc]
        except (RecursionError, UnicodeDecodeError, ArithmeticError, AttributeError, KeyError):
            # The last three come of Celery's own types in it, such as a decimal that is none.
            log.warning("A message to all workers was dropped: it can't be read.")
            raise Empty from None

    def _deliver_fanout_message(self, message: Any, exchange: str) -> Any:
        if trouble := trouble_of_entry(dumps(message).encode()):
            log.warning("A message to all workers was dropped: it is %s.", trouble)
            return True
        return super()._deliver_fanout_message(message, exchange)  # type: ignore[misc]


class GuardedChannel(Guarded, kombu_redis.Channel):
    """The guarded channel of one Redis."""


class Turning:
    """A transport that Celery's loop drives tells the broker at the end of each turn what was acknowledged in it; mixed into
    kombu's own.
    """

    cycle: Any
    turns = False

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """As in kombu."""
        super().register_with_event_loop(connection, loop)  # type: ignore[misc]
        self.turns = True
        loop.on_tick.add(self._acknowledge)

    def _acknowledge(self) -> None:
        for channel in list(self.cycle._channels):  # noqa: SLF001 - kombu has no public way
            channel.qos.acknowledge()


class GuardedTransport(Turning, kombu_redis.Transport):
    """kombu's Redis transport over the guarded channel."""

    Channel = GuardedChannel


class GuardedSocketTransport(GuardedTransport):
    """The same over a Unix socket, whose address kombu must not take apart: its path is no database."""

    can_parse_url = True

    def as_uri(self, uri: str, include_password: bool = False, mask: str = "**") -> str:
        """The address, masked unless asked otherwise."""
        return uri if include_password else sanitize_url(uri, mask=mask)


class GuardedSentinelChannel(Guarded, kombu_redis.SentinelChannel):
    """The guarded channel of a Redis that Sentinel watches."""


class GuardedSentinelTransport(Turning, kombu_redis.SentinelTransport):
    """kombu's Sentinel transport over the guarded channel."""

    Channel = GuardedSentinelChannel


class NamedConnection(Connection):
    """A connection that shows its address by the scheme that people write, and that Flower looks queues up by."""

    def as_uri(self, *args: Any, **options: Any) -> str:
        """The address, masked unless asked otherwise."""
        address = str(super().as_uri(*args, **options))
        for transport, scheme in ((GuardedSentinelTransport, "sentinel"), (GuardedTransport, "redis")):
            secure = "s" if self.ssl and scheme == "redis" else ""
            address = address.replace(f"{transport.__module__}:{transport.__name__}://", f"{scheme}{secure}://")
        return address

    def info(self) -> dict[str, Any]:
        """What `inspect stats` and Flower show of it: without how sentinels are asked, which no message can hold, with their
        password.
        """
        found = dict(super().info())
        hidden = ("sentinel_kwargs",)
        options = {name: value for name, value in found["transport_options"].items() if name not in hidden}
        return found | {"transport_options": options}


class NamedAmqp(AMQP):
    """Celery's messaging over such connections."""

    Connection = NamedConnection
