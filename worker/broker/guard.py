"""What stands between the broker and Celery: a message that Celery can't survive, or would print, is set aside.

Stock Celery ends, or logs the body, at a message whose parts aren't what it expects. Here every message of every broker is
checked as a whole first (`envelope`). One that fails goes to the dead list, sealed, and its producer's result says why. What a
producer's client wrote of its arguments (`argsrepr`, `kwargsrepr`) never reaches a log line or an event: it may hold a
password.
"""

from __future__ import annotations

import bz2
import json
import logging
import lzma
import sys
import time
import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

from celery.states import READY_STATES
from celery.utils.time import maybe_iso8601
from celery.worker.consumer import Consumer
from celery.worker.consumer.gossip import Gossip
from celery.worker.request import Request
from kombu import compression
from kombu.common import ignore_errors
from redis.exceptions import RedisError

from tasks.errors import AfterwordError, Permanent
from tasks.model import CommandName
from tasks.state.dead_list.messages import describe
from worker.answers import in_one_line
from worker.broker.envelope import LONGEST, UNREADABLE, Envelope, Fault, fault_of, result_id

log = logging.getLogger(__name__)

REFUSED_PAUSE_S = 1.0
EVENTS_S = 0.1  # between two messages about what happened
ZSTD = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
JOBS = frozenset(CommandName)  # the tasks that are jobs of the ledger
FORMER_LIST = "afterword:dead-messages"  # where version 0.1 put what it set aside, in the clear


class DiscreetRequest(Request):
    """A request that never shows its arguments in logs and events."""

    @property
    def eta(self) -> datetime | None:
        """None for a job: the ledger keeps it until its moment, where a revocation finds it, and no worker's memory does."""
        return None if self.type in JOBS else super().eta

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


class GuardedGossip(Gossip):
    """What workers tell one another, of which nothing that can't be read ends one."""

    name = Gossip.name

    def on_message(self, prepare: Any, message: Any) -> None:
        """As in Celery, without ending the worker."""
        try:
            super().on_message(prepare, message)
        except (AttributeError, KeyError, TypeError, ValueError) as trouble:
            log.warning("A word of another worker was dropped: it can't be read (%s).", type(trouble).__name__)


class GuardedConsumer(Consumer):
    """A consumer that checks each message before Celery sees it, and that doesn't ask a broker in trouble in a hurry."""

    class Blueprint(Consumer.Blueprint):
        """Celery's own steps, with the guarded gossip."""

        default_steps = tuple(
            f"{__name__}:GuardedGossip" if step.endswith(":Gossip") else step
            for step in Consumer.Blueprint.default_steps
        )

    _flushed_at = _flushes_at = float("-inf")  # moments of the monotonic clock: of the last flush, of the next one

    def __init__(self, *args: Any, **options: Any) -> None:
        bound_compression()
        self._then: deque[Callable[[], object]] = deque()
        super().__init__(*args, **options)
        self.on_task_request = self.app.reception(self).take

    def on_connection_error_before_connected(self, exc: Exception) -> None:
        """A Redis that answers and takes no writes, such as a full one, is asked again after a pause."""
        super().on_connection_error_before_connected(exc)
        time.sleep(REFUSED_PAUSE_S)

    def send_events(
        self, events: Sequence[tuple[str, Mapping[str, Any]]], then: Callable[[], object] | None = None
    ) -> None:
        """Send events by name and fields, from any thread; none while Celery connects anew. `then` is called once they are sent.

        Where the consumer's own thread reads broker heartbeats from the connection of events, it alone may write to it: the
        confirmation that another thread waited for would be read there. So events are only handed over, in any number.
        """
        if (dispatcher := self.event_dispatcher) is None:
            return
        dispatcher.buffer_limit = sys.maxsize
        for event, fields in events:
            dispatcher.send(event, **fields)
        if then is not None:
            self._then.append(then)
            self.on_send_event_buffered()  # the events may have been sent before that stood there

    def _flush_events(self) -> None:
        """As in Celery, in the consumer's own thread; what comes shortly after goes out together, once that time is over."""
        now = time.monotonic()
        if now < self._flushes_at:  # a timer is set
            return
        wait_s = self._flushed_at + EVENTS_S - now
        if wait_s > 0:
            self._flushes_at = now + wait_s
            self.hub.call_later(wait_s, self._flush)
        else:
            self._flush()

    def _flush(self) -> None:
        self._flushed_at = time.monotonic()
        waiting = list(self._then)
        super()._flush_events()
        for then in waiting:
            self._then.popleft()
            then()

    def shutdown(self) -> None:
        """As in Celery, once attempts have ended and the events of their ends are sent: no timer runs any more."""
        self.app.finish()
        ignore_errors(self, self._flush)
        super().shutdown()

    def create_task_handler(self, *args: Any, **options: Any) -> Callable[[Any], None]:
        """Celery's handler behind the check; what the check didn't foresee ends no worker either."""
        handle = super().create_task_handler(*args, **options)

        def guarded(message: Any) -> None:
            if fault := fault_of(envelope_of(message), self.app.tasks):
                self.set_aside(message, fault)
                return
            for part in (message.headers, message.payload):  # protocol 1 has its moments in the body
                if isinstance(part, dict) and (moments := [name for name in ("eta", "expires") if part.get(name)]):
                    skew = timedelta(seconds=self._skew_s())
                    part |= {name: _shifted(part[name], skew) for name in moments}
            try:
                handle(message)
            except (*self.connection_errors, *self.channel_errors):
                raise
            except Exception as trouble:
                kind = type(trouble).__name__
                self.set_aside(message, Fault("unforeseen", f"Celery can't take it ({kind})", told_by(message)))

        return guarded

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """A body that could not be unpacked."""
        self.set_aside(message, Fault("body", "its body can't be unpacked", told_by(message)))

    def on_unknown_message(self, body: object, message: Any) -> None:
        """A message that isn't a task."""
        self.set_aside(message, Fault("envelope", "it names no task", told_by(message)))

    def on_unknown_task(self, body: object, message: Any, exc: Exception) -> None:
        """A task name that we don't have."""
        self.set_aside(message, Fault("task", "there is no such task", told_by(message)))

    def on_invalid_task(self, body: object, message: Any, exc: Exception) -> None:
        """A task message whose parts are of the wrong shape."""
        self.set_aside(message, Fault("parts", "its parts are not those of a task message", told_by(message)))

    def on_ready(self) -> None:
        """As in Celery; what version 0.1 set aside in the clear is sealed."""
        super().on_ready()
        if self.connection.transport.driver_type != "redis":
            return
        try:
            with self.connection.default_channel.conn_or_acquire() as client:
                while raw := client.rpop(FORMER_LIST):
                    self._keep(bytes(raw), Fault("unreadable", "it was set aside by version 0.1"))
        except (AfterwordError, RedisError, OSError) as trouble:
            log.warning("What version 0.1 set aside can't be taken over (%s); tried again at the next start.", trouble)

    def set_aside(self, message: Any, fault: Fault) -> None:
        """Keep the message sealed, tell its producer, acknowledge it; while the ledger is away it goes back to its queue."""
        raw = raw_of(message)
        log.error("A message was set aside (%s): %s.", describe(raw), fault.words)
        try:
            unknown = self._keep(raw, fault)
        except (AfterwordError, RedisError, OSError, CancelledError) as trouble:
            log.warning("A message can't be set aside (%s); it goes back to its queue.", trouble)
            time.sleep(REFUSED_PAUSE_S)
            if not message.acknowledged:
                message.reject_log_error(log, self.connection_errors, requeue=True)
            return
        if fault.task_id and unknown:
            self._tell(fault.task_id, fault.words)
        if not message.acknowledged:
            message.ack_log_error(log, self.connection_errors)

    def _skew_s(self) -> float:
        """How far this machine's clock is ahead of the Redis server's."""
        return float(self.app.running_loop().services.journal.clock.skew_s())

    def _keep(self, raw: bytes, fault: Fault) -> bool:
        """Store it; True where no job has its id, so that a result may say what became of it."""
        loop = self.app.running_loop()

        async def keep() -> bool:
            await loop.services.dead_list.keep(raw, kind=fault.kind, words=fault.words, task_id=fault.shown_id)
            return fault.task_id is not None and not await loop.services.ledger.holds(fault.task_id)

        return bool(loop.run(keep()))

    def _tell(self, task_id: str, words: str) -> None:
        """A FAILURE with one clear line, where the id has no outcome yet."""
        backend = self.app.backend
        try:
            if backend.get_task_meta(task_id).get("status") not in READY_STATES:
                error = Permanent(
                    f"The message was set aside: {words}.", code="bad_message", advice="Correct it, and send it anew."
                )
                backend.store_result(task_id, in_one_line(error), "FAILURE")
        except Exception as trouble:
            log.warning("The producer of a message can't be told (%s).", type(trouble).__name__)


def _shifted(moment: str, skew: timedelta) -> str:
    """A producer's moment as a machine's clock shows it that is off by `skew`: Celery compares it with that clock."""
    return str((maybe_iso8601(moment) + skew).isoformat())


def envelope_of(message: Any) -> Envelope:
    """A message of kombu's as the check takes it."""
    return Envelope(
        body=message.body,
        content_type=message.content_type,
        content_encoding=message.content_encoding,
        headers=message.headers,
        properties=message.properties,
        decode=message.decode,
    )


def raw_of(message: Any) -> bytes:
    """What is kept of a message: an unreadable entry as it came, everything else with its headers and properties."""
    body = message.body if isinstance(message.body, bytes) else str(message.body).encode("utf-8", "replace")
    if message.content_type == UNREADABLE:
        return body
    shown = {
        "headers": message.headers,
        "properties": message.properties,
        "content_type": message.content_type,
        "content_encoding": message.content_encoding,
        "body": body.decode("utf-8", "backslashreplace"),
    }
    return json.dumps(shown, default=repr).encode("utf-8", "replace")


def told_by(message: Any) -> str | None:
    """The id of the producer's result, where the message tells one."""
    headers = message.headers if isinstance(message.headers, dict) else {}
    return result_id(headers.get("id"))


def bound_compression() -> None:
    """Unpack no message to more than a message may be: a few bytes could stand for gigabytes."""

    def bounded(open_: Callable[[], Any]) -> Callable[[bytes], bytes]:
        def unpack(packed: bytes) -> bytes:
            stream = open_()
            found = bytes(stream.decompress(packed, LONGEST + 1))
            if len(found) > LONGEST or not stream.eof:
                raise ValueError("a body that is too long, or cut short")
            return found

        return unpack

    compression.register(zlib.compress, bounded(zlib.decompressobj), "application/x-gzip", aliases=["gzip", "zlib"])
    compression.register(bz2.compress, bounded(bz2.BZ2Decompressor), "application/x-bz2", aliases=["bzip2", "bzip"])
    compression.register(lzma.compress, bounded(lzma.LZMADecompressor), "application/x-lzma", aliases=["lzma", "xz"])
    with suppress(ImportError):  # in Python 3.14, or by a package that kombu takes where it is there
        zstd = import_module(ZSTD)
        compression.register(
            zstd.compress, bounded(zstd.ZstdDecompressor), "application/zstd", aliases=["zstd", "zstandard"]
        )
    with suppress(KeyError):  # brotli can't be unpacked in part
        known = compression.get_encoder("brotli")[0]
        compression.register(known, _refuse, "application/x-brotli", aliases=["brotli"])


def _refuse(_packed: bytes) -> bytes:
    raise ValueError("a body in a compression that can't be bounded")
