"""What stands between the broker and Celery: a message that Celery can't survive or would print is set aside.

Stock Celery dies of one queue entry that isn't JSON, and its error paths log message bodies. Here such an entry goes
to a dead list, and the log has its length and hash only. What a producer's client wrote of its arguments
(`argsrepr`, `kwargsrepr`) never reaches a log line or an event: it may hold a password.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from typing import Any

from celery.app.amqp import AMQP
from celery.exceptions import NotRegistered
from celery.worker.consumer import Consumer
from celery.worker.request import Request
from kombu.connection import Connection
from kombu.transport import redis as kombu_redis
from kombu.utils.url import sanitize_url
from redis.exceptions import ConnectionError as RedisConnectionError

log = logging.getLogger(__name__)

DEAD_LIST = "afterword:dead-messages"
DEAD_LIST_LENGTH = 1000
REFUSED_PAUSE_S = 1.0


def describe(raw: bytes) -> str:
    """A message by length and hash, for logs."""
    return f"{len(raw)} bytes, sha256 {hashlib.sha256(raw).hexdigest()[:16]}"


def readable(raw: bytes) -> bool:
    """True for an envelope that kombu can take apart."""
    try:
        envelope = json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return (
        isinstance(envelope, dict)
        and isinstance(envelope.get("properties"), dict)
        and isinstance(envelope["properties"].get("delivery_info"), dict)
        and "delivery_tag" in envelope["properties"]
        and isinstance(envelope.get("headers"), dict)
        and "body" in envelope
    )


class GuardedQoS(kombu_redis.QoS):
    """Puts messages back where that is possible, and leaves them to their time-out where it isn't.

    When the connection is lost with messages in hand, kombu 5.7 asks the closed connection for another one and fails
    with an AttributeError that ends the worker. The ledger sends a job's message again; one that was not adopted yet
    comes back after the visibility time-out.
    """

    def restore_unacked_once(self, stderr: Any = None) -> None:
        """As in kombu, without ending the worker."""
        try:
            super().restore_unacked_once(stderr)
        except Exception as trouble:
            log.warning("Messages in hand could not be put back (%s); they come again.", type(trouble).__name__)


class Guarded:
    """A Redis channel that sets unreadable queue entries aside before kombu parses them, and that may be closed twice;
    mixed into kombu's own.
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
            if reply and not readable(reply[1]):
                self.set_aside(bytes(reply[1]))
                return None
            return reply

        self.client.parse_response = guarded
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]
        finally:
            if self.client is not None and connection is not None:
                self.client.parse_response = parse

    def set_aside(self, raw: bytes) -> None:
        """Keep the entry in the dead list, bounded, and log what it was without showing it."""
        log.error(
            "A queue entry that is not a Celery message was set aside (%s). Send jobs with a Celery client, "
            "`afterword publish|incident|workitem`, or the API.",
            describe(raw),
        )
        with self.conn_or_acquire() as client:
            client.lpush(DEAD_LIST, raw)
            client.ltrim(DEAD_LIST, 0, DEAD_LIST_LENGTH - 1)


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
            address = address.replace(f"{transport.__module__}:{transport.__name__}://", f"{scheme}://")
        return address


class NamedAmqp(AMQP):
    """Celery's messaging over such connections."""

    Connection = NamedConnection


class DiscreetRequest(Request):
    """A request that never shows its arguments in logs and events."""

    @property
    def argsrepr(self) -> str:
        """Nothing: positional arguments are the producer's words."""
        return "()"

    @property
    def kwargsrepr(self) -> str:
        """Nothing: see the job's record by its id instead."""
        return "{}"

    def info(self, safe: bool = False) -> dict[str, Any]:
        """What remote control shows, without arguments."""
        return {**super().info(safe=True), "args": "()", "kwargs": "{}"}

    def __repr__(self) -> str:
        return f"<Request: {self.name}[{self.id}]>"


class GuardedConsumer(Consumer):
    """A consumer whose error paths name a message by hash instead of printing it, and that doesn't ask in a hurry."""

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        """A Redis that answers and takes no writes, such as a full one, is asked again after a pause."""
        super().on_connection_error_before_connected(exc)
        time.sleep(REFUSED_PAUSE_S)

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """A body in an encoding that we don't accept (pickle, yaml, broken base64)."""
        self._refuse(message, f"it can't be decoded ({type(exc).__name__}); send JSON")
        message.ack()

    def on_unknown_message(self, body: object, message: Any) -> None:
        """A message that isn't a task."""
        self._refuse(message, "it is not a task message; send it with a Celery client")
        message.reject_log_error(log, self.connection_errors)

    def on_unknown_task(self, body: object, message: Any, exc: Exception) -> None:
        """A task name that we don't have."""
        headers = message.headers if isinstance(message.headers, dict) else {}
        name = str(headers.get("task", ""))[:80]
        self._refuse(message, f"there is no task {name!r}; the README lists the names")
        message.reject_log_error(log, self.connection_errors)
        if identifier := headers.get("id"):
            self.app.backend.store_result(str(identifier), NotRegistered(name), "FAILURE")

    def on_invalid_task(self, body: object, message: Any, exc: Exception) -> None:
        """A task message whose parts are of the wrong shape."""
        self._refuse(message, "its parts are not those of a task message")
        message.reject_log_error(log, self.connection_errors)

    def _refuse(self, message: Any, why: str) -> None:
        raw = message.body if isinstance(message.body, bytes) else str(message.body).encode("utf-8", "replace")
        log.error("A message was set aside (%s): %s.", describe(raw), why)
