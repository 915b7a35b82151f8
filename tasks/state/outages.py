"""Redis is unreachable or takes no writes: what that means for a write, and how long it is tried again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoPermissionError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tasks.errors import AfterwordError, StateUnavailable, place_of

log = logging.getLogger(__name__)

T = TypeVar("T")

WRONG_TYPE = "redis_wrong_type"


class Said(NamedTuple):
    """What a server says, by words of it, and what that means: a code for programs, what it is, and what to do."""

    words: tuple[str, ...]
    code: str
    message: str
    advice: str


SAYS = (
    Said(
        ("OOM",),
        "redis_full",
        "Redis is full and refuses writes: all of its maxmemory is used.",
        "Raise maxmemory, and leave maxmemory-policy at noeviction; the jobs go on by themselves then.",
    ),
    Said(
        ("NOREPLICAS",),
        "redis_not_replicated",
        "Redis takes no writes: too few replicas follow its primary.",
        "Start the replicas (`min-replicas-to-write` says how many); all goes on by itself then.",
    ),
    Said(
        ("MISCONF",),
        "redis_read_only",
        "Redis takes no writes: it can't save them to its disk.",
        "Free or repair its disk; its log names the file. All goes on by itself then.",
    ),
    Said(
        ("READONLY",),
        "redis_read_only",
        "Redis is read-only: it is a replica.",
        "Point AFTERWORD_REDIS_URL at the primary, or make this one the primary.",
    ),
    Said(
        ("LOADING",),
        "redis_absent",
        "Redis reads its data from disk after a start.",
        "Wait until it has. All goes on by itself then.",
    ),
    Said(
        ("max number of clients",),
        "redis_absent",
        "Redis takes no more connections: its maxclients is reached.",
        "Raise it, or end clients. All goes on by itself then.",
    ),
    Said(
        ("BUSY ",),
        "redis_absent",
        "Redis is busy with somebody's script.",
        "Wait, or end the script (`SCRIPT KILL`). All goes on by itself then.",
    ),
    Said(
        ("MASTERDOWN",),
        "redis_absent",
        "Redis is a replica that has lost its primary.",
        "Point AFTERWORD_REDIS_URL at the primary. All goes on by itself then.",
    ),
    Said(
        ("WRONGPASS", "NOAUTH", "invalid username-password"),
        "redis_absent",
        "Redis refuses the account.",
        "Correct the user and the password in AFTERWORD_REDIS_URL. All goes on by itself then.",
    ),
    Said(
        ("WRONGTYPE",),
        WRONG_TYPE,
        "A record in Redis isn't of the type that Afterword gave it, so somebody else wrote there; `afterword doctor` says where.",
        "Put Redis back from a copy, or store anew what that record held.",
    ),
)
OUTAGES = frozenset({"redis_absent", "redis_full", "redis_read_only", "redis_not_replicated"})  # they end by themselves


def unavailable(error: Exception) -> StateUnavailable:
    """What an error of Redis means for whoever wanted to write, and what to do about it."""
    text = str(error)
    said = f"{getattr(error, 'status_code', None) or ''} {text}"  # redis-py takes the first word off where it knows it
    for words, code, message, advice in SAYS:
        if any(word in said for word in words):
            return StateUnavailable(message, code=code, advice=advice)
    if isinstance(error, RedisTimeoutError | TimeoutError):
        return StateUnavailable(
            "Redis doesn't answer.",
            code="redis_absent",
            advice="See whether its process and machine run and what lies between; all goes on by itself then.",
        )
    if isinstance(error, RedisConnectionError | OSError):
        return StateUnavailable(
            "Redis can't be reached.",
            code="redis_absent",
            advice="Start it (`afterword up`) or correct AFTERWORD_REDIS_URL.",
        )
    if isinstance(error, NoPermissionError) or "no permissions" in text:
        return StateUnavailable(
            f"Redis refused the write: {text[:200].rstrip('.')}.",
            code="redis_refused",
            advice="Give the account the rights that deploy/redis/users.acl names.",
        )
    return StateUnavailable(f"Redis refused the write: {text[:200]}", code="redis_refused", advice="See its log.")


async def patiently(work: Callable[[], Awaitable[T]], limit_s: float) -> T:
    """The result of `work`, tried again for as long as Redis is away or takes no writes: whoever has something to store has
    it as long as he lives. What Redis refuses otherwise is tried for `limit_s` seconds, and after a fault of ours it is tried
    once more; then the last error is raised.

    For transitions that may be asked for twice: what a first try brought in, a second one finds.
    """
    deadline = time.monotonic() + limit_s
    delay_s, faults = 0.1, 0
    while True:
        try:
            return await work()
        except (StateUnavailable, RedisError, OSError) as error:
            trouble = error if isinstance(error, StateUnavailable) else unavailable(error)
            if trouble.code not in OUTAGES and time.monotonic() + delay_s > deadline:
                raise
        except AfterwordError:
            raise
        except Exception as fault:
            faults += 1
            if faults > 1:
                raise
            log.error("A fault of ours: %s; tried once more", place_of(fault))
        await asyncio.sleep(delay_s)
        delay_s = min(2 * delay_s, 1.0)
