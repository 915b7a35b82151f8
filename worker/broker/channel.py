"""kombu's channels and connections, so that nothing which stands in a Redis list, or is published there, ends a worker.

Stock kombu ends its worker at one queue entry that isn't a message. Here such an entry becomes a message that says so: like
any other it is set aside by the consumer, and acknowledged only then.
"""

from __future__ import annotations

import json
import logging
import uuid
from queue import Empty
from typing import Any

from celery.app.amqp import AMQP
from kombu.connection import Connection
from kombu.transport import redis as kombu_redis
from kombu.utils.url import sanitize_url
from redis.exceptions import ConnectionError as RedisConnectionError

from worker.broker.envelope import trouble_of_entry, wrapped

log = logging.getLogger(__name__)


class GuardedQoS(kombu_redis.QoS):
    """Puts messages back where that is possible, and leaves them to their time-out where it isn't.

    When the connection is lost with messages in hand, kombu 5.7 asks the closed connection for another one and fails
    with an AttributeError that ends the worker. The ledger sends a job's message again; one that was not adopted yet
    comes back after the visibility time-out.
    """

    def restore_by_tag(self, tag: Any, client: Any = None, leftmost: bool = False) -> None:
        """As in kombu; a record that can't be read is left where it is, and holds up no other."""
        try:
            super().restore_by_tag(tag, client, leftmost)
        except (ValueError, TypeError, KeyError, RecursionError) as trouble:
            log.warning("A message in hand can't be read, and is left (%s).", type(trouble).__name__)

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """As in kombu, without ending the worker."""
        try:
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
    QoS = GuardedQoS

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        """Where to connect; of a channel whose connection was lost, an error that Celery expects.

        kombu 5.7 raises an AttributeError, which ends the worker when an answer is acknowledged after a reconnect.
        """
        if self.connection is None or self.connection.client is None:
            raise RedisConnectionError("the connection of this channel is closed")
        return dict(super()._connparams(asynchronous))  # type: ignore[misc]

    def _brpop_read(self, **options: Any) -> Any:
        connection = self.client.connection
        parse = self.client.parse_response

        def guarded(*args: Any, **kwargs: Any) -> Any:
            reply = parse(*args, **kwargs)
            if reply and (trouble := trouble_of_entry(bytes(reply[1]))):
                log.debug("a queue entry is %s", trouble)
                return [reply[0], wrapped(bytes(reply[1]), uuid.uuid4().hex)]
            return reply

        self.client.parse_response = guarded
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]
        finally:
            if self.client is not None and connection is not None:
                self.client.parse_response = parse

    def _receive_one(self, client: Any) -> Any:
        """A message to all workers; one that can't be read is dropped."""
        try:
            return super()._receive_one(client)  # type: ignore[misc]
        except (RecursionError, UnicodeDecodeError):
            log.warning("A message to all workers was dropped: it can't be read.")
            raise Empty from None

    def _deliver_fanout_message(self, message: Any, exchange: str) -> Any:
        if trouble := trouble_of_entry(json.dumps(message).encode()):
            log.warning("A message to all workers was dropped: it is %s.", trouble)
            return True
        return super()._deliver_fanout_message(message, exchange)  # type: ignore[misc]


class GuardedChannel(Guarded, kombu_redis.Channel):
    """The guarded channel of one Redis."""


class GuardedTransport(kombu_redis.Transport):
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


class GuardedSentinelTransport(kombu_redis.SentinelTransport):
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


class NamedAmqp(AMQP):
    """Celery's messaging over such connections."""

    Connection = NamedConnection
