"""Whether Redis may delete records: with a `maxmemory-policy` other than `noeviction` it does, without a word, when it is full.

Nothing is accepted and nothing begun then, whether or not a `maxmemory` is set yet: one that is set later would take effect
at once.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from tasks.errors import StateUnavailable
from tasks.state.outages import unavailable

log = logging.getLogger(__name__)

NEEDED = "noeviction"
LOOK_EVERY_S = 5.0


async def policy_of(redis: Redis) -> str | None:
    """The server's `maxmemory-policy`; None where it doesn't tell. Raises redis-py's errors where it can't be reached."""
    client: Any = redis
    for ask, name in ((client.info, "memory"), (client.config_get, "maxmemory-policy")):
        try:
            found = await ask(name)
        except ResponseError:  # managed servers refuse one or the other
            continue
        if told := found.get("maxmemory_policy") or found.get("maxmemory-policy"):
            return str(told)
    return None


class Eviction:
    """What was last seen of the policy, looked at again after `LOOK_EVERY_S`; a change is logged once."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._looked: float | None = None
        self._trouble: StateUnavailable | None = None

    async def trouble(self, holds_s: float | None = None) -> StateUnavailable | None:
        """What is wrong, None where no record can be deleted; an answer holds for `holds_s`, by default
        `LOOK_EVERY_S`. Raises `StateUnavailable` where Redis can't be asked.
        """
        holds_s = LOOK_EVERY_S if holds_s is None else holds_s
        if self._looked is None or time.monotonic() - self._looked >= holds_s:
            try:
                policy = await policy_of(self._redis)
            except (RedisError, OSError) as error:
                raise unavailable(error) from error
            self._note(policy)
        return self._trouble

    @property
    def is_fine(self) -> bool:
        """Whether it was seen a moment ago that no record can be deleted."""
        return self._looked is not None and time.monotonic() - self._looked < LOOK_EVERY_S and self._trouble is None

    async def refuse(self) -> None:
        """Raise what is wrong, where something is."""
        if found := await self.trouble():
            raise StateUnavailable(found.message, code=found.code, advice=found.advice)

    def _note(self, policy: str | None) -> None:
        before, first = self._trouble, self._looked is None
        self._looked, self._trouble = time.monotonic(), None
        if policy is None and first:
            log.warning("Redis doesn't show its maxmemory-policy; make sure that it is %s", NEEDED)
        elif policy is not None and policy != NEEDED:
            self._trouble = StateUnavailable(
                f"Redis may delete records: its maxmemory-policy is {policy}.",
                code="redis_evicts",
                advice=f"Set maxmemory-policy to {NEEDED}, in its configuration too.",
            )
        if self._trouble and not before and not first:
            log.error("%s Nothing is accepted and no attempt begins until then", self._trouble)
        elif before and not self._trouble:
            log.warning("Redis keeps its records again: jobs are accepted and go on")
