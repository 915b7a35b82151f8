"""How many messages wait in the broker's queues, whatever the broker."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from kombu.connection import Connection
from kombu.exceptions import ChannelError, OperationalError

from config.settings import Settings
from worker.broker.settings import QUEUES, celery_settings

log = logging.getLogger(__name__)

CONNECT_LIMIT_S = 3.0


@dataclass(frozen=True)
class QueueLengths:
    """Messages by queue."""

    reachable: bool
    messages: Mapping[str, int] = field(default_factory=dict)


def queue_lengths(settings: Settings) -> QueueLengths:
    """One look at the broker over a connection of its own, for a thread; a queue nobody has declared yet has none."""
    given = celery_settings(settings)
    options = {**given.get("broker_transport_options", {}), "max_retries": 1, "socket_timeout": CONNECT_LIMIT_S}
    connection = Connection(
        given["broker_url"],
        transport=given.get("broker_transport"),
        transport_options=options,
        ssl=given.get("broker_use_ssl") or False,
        connect_timeout=CONNECT_LIMIT_S,
    )
    try:
        with connection:
            connection.ensure_connection(max_retries=1, timeout=CONNECT_LIMIT_S)
            messages = {name: _length(connection, name) for name in QUEUES}
            return QueueLengths(reachable=True, messages=messages)
    except (OperationalError, *connection.connection_errors, *connection.channel_errors) as trouble:
        log.warning("the broker can't be asked for its queues (%s)", type(trouble).__name__)
        return QueueLengths(reachable=False)


def _length(connection: Connection, name: str) -> int:
    """A passive declaration changes nothing and says how many messages are ready; each failure ends its channel."""
    channel = connection.channel()
    try:
        return int(channel.queue_declare(queue=name, passive=True).message_count)
    except (ChannelError, *connection.channel_errors):
        return 0
    finally:
        channel.close()
