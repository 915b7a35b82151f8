"""Celery's configuration, derived from ours."""

from __future__ import annotations

from typing import Any

from kombu.entity import Queue

from config.settings import Settings

QUEUES = ("celery", "confluence", "servicenow", "azure_devops")
VISIBILITY_TIMEOUT_S = 300


def celery_settings(settings: Settings) -> dict[str, Any]:
    """The settings of app and worker.

    Messages are acknowledged late, so that one whose worker died before adopting its job comes back; a duplicate is
    harmless, because the ledger decides.
    """
    broker = settings.broker_address()
    transport: dict[str, Any] = {}
    if broker.startswith(("redis://", "rediss://")):
        transport["broker_transport"] = "worker.guard:GuardedTransport"
    if broker.startswith(("redis", "sentinel", "unix")):
        transport["broker_transport_options"] = {
            "visibility_timeout": VISIBILITY_TIMEOUT_S,
            "socket_timeout": 30,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 15,
        }
    return transport | {
        "broker_url": broker,
        "result_backend": settings.redis_address(),
        "result_expires": settings.result_ttl_s,
        "result_extended": False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "task_serializer": "json",
        "result_serializer": "json",
        "accept_content": ["json"],
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_track_started": False,
        "task_send_sent_event": True,
        "worker_send_task_events": True,
        "worker_pool": "threads",
        "worker_concurrency": settings.concurrency,
        "worker_prefetch_multiplier": 1,
        "worker_hijack_root_logger": False,
        "worker_consumer": "worker.guard:GuardedConsumer",
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "task_default_queue": "celery",
        "task_queues": [Queue(name) for name in QUEUES],
        "task_create_missing_queues": True,
        "worker_enable_remote_control": True,
        "task_store_errors_even_if_ignored": False,
    }
