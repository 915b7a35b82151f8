"""Celery's configuration, derived from ours."""

from __future__ import annotations

import sys
from typing import Any

from celery.concurrency import ALIASES
from kombu.entity import Queue

from config.redis_address import is_redis, is_sentinel
from config.settings import Settings
from tasks.model import KIND_OF_COMMAND
from worker.broker.options import asked_pool, check_pool
from worker.connections import backend_settings, broker_options, celery_address, tls_options, transport_options

QUEUES = ("celery", *KIND_OF_COMMAND.values())
VISIBILITY_TIMEOUT_S = 300
MESSAGE_THREADS = 8  # for connection tests, and for messages that can't be adopted
THREADS = "worker.broker.pool:ThreadPool"
PREFETCH = 4  # times the threads: messages that wait together are adopted together


def celery_settings(settings: Settings) -> dict[str, Any]:
    """The settings of app and worker.

    Messages are acknowledged late, so that one whose worker died before adopting its job comes back; a duplicate is
    harmless, because the ledger decides. The pool handles messages only: attempts run on the worker's loop.
    """
    broker, results = settings.broker_address(), settings.redis_address()
    check_pool(pool := asked_pool(sys.argv))
    ALIASES["threads"] = THREADS  # also where a command line names Celery's own, which can't grow
    return _broker(settings, broker) | {
        "result_backend": celery_address(results, socket="redis+socket"),
        "result_backend_transport_options": transport_options(settings, results),
        **backend_settings(results),
        "result_expires": settings.result_ttl_s,
        "result_extended": False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # A Redis that takes no writes for a while (no replica in step, full, just demoted) is no reason to end a worker.
        "broker_channel_error_retry": True,
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_track_started": False,
        "task_send_sent_event": True,
        "worker_send_task_events": True,
        "worker_pool": pool if pool == "prefork" else THREADS,
        "worker_concurrency": MESSAGE_THREADS,
        "worker_prefetch_multiplier": PREFETCH,
        "worker_hijack_root_logger": False,
        "worker_consumer": "worker.broker.guard:GuardedConsumer",
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "task_default_queue": "celery",
        "task_queues": _queues(broker),
        "task_create_missing_queues": True,
        "worker_enable_remote_control": True,
        "task_store_errors_even_if_ignored": False,
    }


def _broker(settings: Settings, broker: str) -> dict[str, Any]:
    """How to reach the broker. Redis in any form goes through the guarded channel and never waits without end."""
    found: dict[str, Any] = {"broker_url": celery_address(broker)}
    if is_amqp(broker):
        # A message that RabbitMQ hasn't confirmed counts as not sent: the sweeper sends it again.
        return found | {"broker_transport_options": {"confirm_publish": True}}
    if not is_redis(broker):
        return found
    options = {
        "visibility_timeout": VISIBILITY_TIMEOUT_S,
        "socket_timeout": 30,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 15,
    }
    transport = "GuardedSentinelTransport" if is_sentinel(broker) else "GuardedTransport"
    if broker.startswith("unix://"):
        transport = "GuardedSocketTransport"
    return (
        found
        | tls_options(broker)
        | {
            "broker_transport": f"worker.broker.channel:{transport}",
            "broker_transport_options": options | broker_options(broker) | transport_options(settings, broker),
        }
    )


def is_amqp(broker: str) -> bool:
    """Whether the broker is RabbitMQ or another that speaks AMQP."""
    return broker.startswith(("amqp", "pyamqp"))


def _queues(broker: str) -> list[Queue]:
    """The queues: on RabbitMQ they are replicated (quorum queues), on other brokers as they come."""
    arguments = {"x-queue-type": "quorum"} if is_amqp(broker) else None
    return [Queue(name, queue_arguments=arguments) for name in QUEUES]
