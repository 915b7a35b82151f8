"""Logging: one line an event, to stderr, without arguments of messages or bodies of requests."""

from __future__ import annotations

import logging
import re
from typing import Any

from config.settings import Settings

LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class OneLine(logging.Formatter):
    """Keeps each event on its line: control characters become a space, an exception its type and place.

    A traceback quotes arguments and other people's words, so it stays out.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        return _CONTROL.sub(" ", super().format(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name that logging calls
        """The exception's type, and the file and line that raised it."""
        kind, _, trace = ei
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
        return f"({kind.__name__ if kind else 'no exception'}{place})"

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - the name that logging calls
        """Nothing: a stack has many lines."""
        return ""


def configure_logging(settings: Settings) -> None:
    """Set the root logger up; libraries that could print requests stay at WARNING."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLine(LINE))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    for name in ("aiohttp", "kombu", "amqp", "redis", "asyncio", "markdown_it"):
        logging.getLogger(name).setLevel(logging.WARNING)
