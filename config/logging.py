"""Logging: one line an event, to stderr or a file, without arguments of messages or bodies of requests.

AFTERWORD_LOG_FORMAT chooses lines for people (`text`) or one JSON object a line (`json`); both name the job, its
destination and the attempt where the line is about one.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from typing import Any

from config.settings import Settings

LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
Facts = Callable[[], Mapping[str, str | int]]


def no_facts() -> Mapping[str, str | int]:
    """For a process that works on no job."""
    return {}


class OneLine(logging.Formatter):
    """Keeps each event on its line: control characters become a space, an exception its type and place.

    A traceback quotes arguments and other people's words, so it stays out.
    """

    def __init__(self, facts: Facts = no_facts) -> None:
        super().__init__(LINE)
        self._facts = facts

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line."""
        about = " ".join(f"{name}={value}" for name, value in self._facts().items())
        return _CONTROL.sub(" ", f"{super().format(record)} [{about}]" if about else super().format(record))

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


class JsonLine(OneLine):
    """The same as one JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON; times are UTC."""
        line: dict[str, str | int] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _CONTROL.sub(" ", record.getMessage()),
            **self._facts(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure_logging(settings: Settings, facts: Facts = no_facts, file: str | None = None) -> None:
    """Set the root logger up; libraries that could print requests stay at WARNING.

    `facts` says what the current work is about. With a `file` lines go there, also after somebody moved it away; raises
    `OSError` where it can't be written.
    """
    logging.raiseExceptions = False  # a line that can't be formatted would be printed with its arguments
    handler = WatchedFileHandler(file, encoding="utf-8") if file else logging.StreamHandler()
    handler.setFormatter(JsonLine(facts) if settings.log_format == "json" else OneLine(facts))
    logging.basicConfig(level=settings.log_level, handlers=[handler], force=True)
    for name in ("aiohttp", "kombu", "amqp", "redis", "asyncio", "opentelemetry", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("celery").setLevel(max(logging.INFO, logging.getLogger().level))  # its DEBUG shows arguments
    logging.getLogger("py.warnings").setLevel(logging.ERROR)  # Celery's warnings quote tracebacks
