"""What goes wrong: vendors fail, workers are killed or stopped, Valkey and the sandbox's listener go away, a primary fails
over, messages are doubled and deleted. Every choice comes from the seed.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from redis.exceptions import RedisError

from tests.chaos.stage import Stage
from worker.connections import open_redis

FAULTS: tuple[dict[str, object], ...] = (
    {"operation": "create", "fault": "status", "status": 503, "share": 0.10},
    {"operation": "create", "fault": "commit_then_drop", "share": 0.05},
    {"operation": "create", "fault": "commit_then_500", "share": 0.03},
    {"operation": "create", "fault": "rate_limit", "share": 0.05, "retry_after": "1"},
    {"operation": "create", "fault": "slow_headers", "share": 0.02, "seconds": 4.0},
    {"operation": "update", "fault": "status", "status": 503, "share": 0.10},
    {"operation": "update", "fault": "commit_then_drop", "share": 0.05},
    {"operation": "update", "fault": "commit_then_500", "share": 0.03},
    {"operation": "update", "fault": "conflict_409", "share": 0.03},
    {"operation": "lookup", "fault": "status", "status": 503, "share": 0.03},
    {"operation": "any", "fault": "slow_headers", "share": 0.10, "seconds": 0.3},
    {"operation": "any", "fault": "slow_body", "share": 0.03, "seconds": 0.5},
    {"fault": "wiql_lag", "seconds": 1.0},
    {"fault": "page_404", "seconds": 1.0},
)
AWAY_S = (0.2, 1.0, 5.0)  # the longest is more than a producer's client bridges by itself
QUEUES = ("celery", "confluence", "servicenow", "azure_devops")
_DELETE = "local m = redis.call('LINDEX', KEYS[1], ARGV[1]); return m and redis.call('LREM', KEYS[1], 1, m) or 0"
_DOUBLE = "local m = redis.call('LINDEX', KEYS[1], ARGV[1]); return m and redis.call('LPUSH', KEYS[1], m) or 0"


@dataclass(frozen=True)
class Pace:
    """How often each thing happens: the mean pause in seconds, None for never.

    Killed and stopped are workers that have been at work for `starts` times as long as they needed to start.
    """

    kill_s: float | None = 1.0
    starts: float = 2.0
    stop_s: float | None = 20.0
    stopped_s: float = 10.0
    valkey_s: float | None = 40.0
    failover_s: float | None = 40.0
    listener_s: float | None = 30.0
    messages_s: float | None = 0.5


@dataclass
class Done:
    """What was done, by name."""

    counts: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return ", ".join(f"{name} {count}" for name, count in sorted(self.counts.items()))


async def spoil(stage: Stage, chance: random.Random) -> None:
    """Put the vendors' faults in force."""
    for fault in FAULTS:
        await stage.ask_sandbox("POST", "faults", fault | {"seed": chance.randrange(10**6)})


class Mischief:
    """All that is done to the processes while `run` runs; what it stopped goes on at its end."""

    def __init__(self, stage: Stage, pace: Pace, seed: str) -> None:
        self.stage = stage
        self.pace = pace
        self.done = Done()
        self._seed = seed

    async def run(self) -> None:
        """Until cancelled."""
        messages = self.pace.messages_s if self.stage.broker_is_redis else None
        valkey = self.pace.valkey_s if self.stage.valkey else None
        failover = self.pace.failover_s if self.stage.fail_over else None
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._now_and_then("kill", self.pace.kill_s, self._kill))
                group.create_task(self._now_and_then("stop", self.pace.stop_s, self._stop))
                group.create_task(self._now_and_then("valkey", valkey, self._restart_valkey))
                group.create_task(self._now_and_then("failover", failover, self._fail_over))
                group.create_task(self._now_and_then("listener", self.pace.listener_s, self._restart_listener))
                group.create_task(self._now_and_then("messages", messages, self._spoil_messages))
                group.create_task(self._supervise())
        finally:
            for name in list(self.stage.stopped):
                self.stage.resume(name)

    async def _now_and_then(
        self, name: str, pause_s: float | None, act: Callable[[random.Random], Awaitable[None]]
    ) -> None:
        chance = random.Random(f"{self._seed}/{name}")
        while pause_s is not None:
            await asyncio.sleep(pause_s * chance.uniform(0.6, 1.4))
            await act(chance)

    async def _kill(self, chance: random.Random) -> None:
        ready = self.stage.at_work(self.pace.starts)
        if not ready:
            return
        name = chance.choice(ready)
        self.stage.kill(name)
        self.stage.start(name)
        self.done.counts["workers killed"] += 1

    async def _stop(self, chance: random.Random) -> None:
        ready = self.stage.at_work(self.pace.starts)
        if not ready:
            return
        name = chance.choice(ready)
        self.stage.stop(name)
        self.done.counts["workers stopped"] += 1
        await asyncio.sleep(self.pace.stopped_s * chance.uniform(0.8, 1.2))
        self.stage.resume(name)

    async def _restart_valkey(self, chance: random.Random) -> None:
        valkey = self.stage.valkey
        if valkey is None:
            return
        valkey.kill()
        self.done.counts["Valkey killed"] += 1
        try:
            await asyncio.sleep(chance.choice(AWAY_S))
        finally:
            valkey.start()

    async def _fail_over(self, chance: random.Random) -> None:
        """Once begun, a failover comes to its end: the old primary is a replica before the next thing happens to it."""
        if self.stage.fail_over is None:
            return
        self.done.counts["primaries killed"] += 1
        going = asyncio.ensure_future(asyncio.to_thread(self.stage.fail_over, chance.choice(AWAY_S)))
        try:
            await asyncio.shield(going)
        finally:
            await going

    async def _restart_listener(self, chance: random.Random) -> None:
        away = {"seconds": round(chance.uniform(0.3, 2.0), 2)}
        await self.stage.ask_sandbox("POST", "listener", away)
        self.done.counts["listener restarts"] += 1

    async def _spoil_messages(self, chance: random.Random) -> None:
        """Delete or double one message of each queue that has any, at a place drawn at random."""
        client = open_redis(self.stage.settings.model_copy(update={"redis_url": self.stage.broker_url}))
        try:
            for queue in QUEUES:
                place = chance.random()
                doubled = chance.random() < 0.5
                if length := await client.llen(queue):
                    index = int(place * length)
                    if await client.eval(_DOUBLE if doubled else _DELETE, 1, queue, index):
                        self.done.counts["messages doubled" if doubled else "messages deleted"] += 1
        except (RedisError, OSError):
            return
        finally:
            await client.aclose()

    async def _supervise(self) -> None:
        """Start again, as any supervisor would, what ended by itself; none should."""
        while True:
            await asyncio.sleep(0.2)
            self.stage.at_work()
            for name in self.stage.ended():
                self.stage.stopped.discard(name)
                last_words = self.stage.last_words(name)
                self.stage.start(name)
                self.done.counts["workers ended by themselves"] += 1
                print(f"{name} ended by itself: {last_words}", file=sys.stderr, flush=True)
