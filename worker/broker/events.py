"""What Celery tells monitors such as Flower: sent, or kept until the broker is back, but never waited for."""

from __future__ import annotations

from typing import Any

from celery.app.events import Events
from celery.events.dispatcher import EventDispatcher


class Dispatcher(EventDispatcher):
    """Celery's own heartbeat would be sent again and again while the broker is away, and the worker heard no signal meanwhile."""

    def send(self, *args: Any, **options: Any) -> Any:
        """As Celery sends an event, once."""
        return super().send(*args, **{**options, "retry": False})


class OwnEvents(Events):
    """Celery's events, with that dispatcher."""

    dispatcher_cls = "worker.broker.events:Dispatcher"
