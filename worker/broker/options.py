"""What `celery worker` may be asked for, and what it calls itself."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from config.settings import ConfigError

GREEN = ("gevent", "eventlet")
INSTEAD_OF_TIME_LIMITS = "Set `total_timeout_s` and `max_attempts` of the destination instead."

INSTEAD_OF_PURGING = "`afterword job cancel --destination NAME` ends jobs that wait, and their producers hear of it."
# Options of `celery worker` that are about each of its processes: flags, and those with a value.
FLAGS = ("without_heartbeat", "disable_prefetch")
VALUES = ("heartbeat_interval", "prefetch_multiplier", "logfile")


def check_options(options: Mapping[str, Any]) -> None:
    """Raise `ConfigError` for options of `celery worker` that can't work here, with what to use."""
    pool = options.get("pool") or options.get("pool_cls")  # by a command line, or by a program that starts a worker
    name = str(getattr(pool, "__module__", pool) or "").rpartition(".")[2]
    check_pool(name)
    if options.get("autoscale") and name == "solo":  # Celery looks for its size at each message that isn't adopted
        raise ConfigError("The pool solo can't grow, as --autoscale would have it. Leave one of them out.")
    if options.get("purge"):
        raise ConfigError(
            f"--purge would throw submissions away that no worker has stored yet. Leave it out. {INSTEAD_OF_PURGING}"
        )
    if options.get("beat"):
        raise ConfigError(
            "There is no schedule that -B could run. Leave it out, and send tasks from a beat or a cron of your own."
        )
    for option in ("time_limit", "soft_time_limit"):
        if options.get(option):
            raise ConfigError(f"{_option(option)} does not bound a delivery. {INSTEAD_OF_TIME_LIMITS}")


def check_pool(name: str) -> None:
    """Raise `ConfigError` for a pool of Celery's that can't work here."""
    if name in GREEN:
        raise ConfigError(
            f"The pool {name} can't run beside Afterword's event loop. Use threads (the default), prefork or solo."
        )


def check_command(name: str) -> None:
    """Raise `ConfigError` for a command of Celery's that would lose what was submitted."""
    if name == "purge":
        raise ConfigError(
            "Messages that wait are submissions that no worker has stored yet, and purge would throw them away. Start a "
            f"worker, which stores them. {INSTEAD_OF_PURGING}"
        )


def for_each_process(given: Mapping[str, Any]) -> list[str]:
    """Of the options that a command line gave, those that further processes of the worker get as well."""
    flags = [_option(name) for name in FLAGS if given.get(name)]
    return flags + [f"{_option(name)}={given[name]}" for name in VALUES if given.get(name) is not None]


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def asked_pool(arguments: Sequence[str]) -> str:
    """The pool that a command line names, empty where it names none. Celery takes prefork for its default, over which our setting
    wins, and looks for the package of another one before it calls us.
    """
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if argument in ("-P", "--pool"):
            return following
        for form in ("-P", "--pool="):
            if argument.startswith(form):
                return argument.removeprefix(form)
    return ""


def unique_nodename() -> str:
    """A name for this worker that no other one has, on any host. It begins as Celery's own do: accounts of Redis are
    permitted keys by that beginning.
    """
    return f"celery-{os.getpid()}-{secrets.token_hex(2)}@{socket.gethostname()}"
