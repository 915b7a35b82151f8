"""Logging: one line an event, to stderr, without arguments of messages or bodies of requests."""

from __future__ import annotations

import logging

from config.settings import Settings

LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def configure_logging(settings: Settings) -> None:
    """Set the root logger up; libraries that could print requests stay at WARNING."""
    logging.basicConfig(level=settings.log_level, format=LINE, force=True)
    for name in ("aiohttp", "kombu", "amqp", "redis", "asyncio", "markdown_it"):
        logging.getLogger(name).setLevel(logging.WARNING)
