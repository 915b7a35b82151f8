"""What goes wrong: vendors fail, and strangers answer for them; workers are killed, stopped and told a wrong time; Redis goes
away, takes no writes or goes back in time; connections are cut. Every choice comes from the seed.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from importlib.util import find_spec

from redis.exceptions import RedisError

from tests.chaos.clocks import OFF_S, set_clock
from tests.chaos.load import FORBIDDEN, Accepted, Producers, Subject
from tests.chaos.redis_trouble import OUTAGES, Copy, takes_no_writes
from tests.chaos.stage import KINDS, Stage
from tests.chaos.wire import HARMS, STRANGERS
from worker.attempts import cancel_all
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
# Each can be left out of a run by its name.
KNOWN = {
    "kill": "workers get SIGKILL",
    "stop": "workers get SIGSTOP, and SIGCONT later",
    "valkey": "Valkey gets SIGKILL, and is started again",
    "failover": "with --sentinel: the primary gets SIGKILL, and comes back as a replica",
    "outages": "Redis takes no writes: it is full, read-only, or has too few replicas",
    "restore": "Valkey is restored from an older copy while workers run",
    "listener": "the sandbox stops listening, and cuts all connections",
    "vendors": "vendors fail, throttle, are slow, and carry out what they answer with an error",
    "strangers": "a proxy answers in the place of a vendor: 404 as text, 407, HTML with 200 and 403",
    "rights": "one job for each destination that the account has no right to",
    "tcp": "connections of workers to Redis and vendors are slow, half-closed, silent, or cut in the middle of a reply",
    "clocks": "workers' clocks are wrong, and change while they run (needs libfaketime)",
    "messages": "messages of producers are doubled",
    "processes": "the first worker has two processes, of which the second gets SIGKILL by itself, too",
    "prefork": "the last worker is `celery -A worker worker -P prefork`",
    "plain": "one producer in five is a plain Celery client, with callbacks and chains",
}
# Until the ledger notices by itself that it went back, a restore doubles what it forgot.
NOT_YET = frozenset() if find_spec("tasks.state.look_first") else frozenset({"restore"})
DENIED = {"confluence": "ENG", "azure_devops": "Payments"}  # ServiceNow's rules are of tables: there it is one record
PATIENCE_S = 10.0
AWAY_S = (0.2, 1.0, 5.0)  # the longest is more than a producer's client bridges by itself
QUEUES = ("celery", *KINDS)
_DOUBLE = "local m = redis.call('LINDEX', KEYS[1], ARGV[1]); return m and redis.call('LPUSH', KEYS[1], m) or 0"


@dataclass(frozen=True)
class Pace:
    """How often each thing happens: the mean pause in seconds, None for never.

    Killed and stopped are workers that have been at work for `starts` times as long as they needed to start.
    """

    kill_s: float | None = 1.0
    further_s: float | None = 25.0
    starts: float = 2.0
    stop_s: float | None = 20.0
    stopped_s: float = 10.0
    valkey_s: float | None = 40.0
    failover_s: float | None = 40.0
    listener_s: float | None = 30.0
    messages_s: float | None = 0.5
    clocks_s: float | None = 10.0
    strangers_s: float | None = 25.0
    outages_s: float | None = 30.0
    restore_s: float | None = 50.0
    tcp_s: float | None = 4.0


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


async def deny(stage: Stage) -> None:
    """Take the rights to one job of each kind from the account. Comes before the other faults, and stays."""
    for vendor, target in DENIED.items():
        given = {"vendor": vendor, "target": target, "deny": ["create"]}
        await stage.ask_sandbox("POST", "permissions", given)
    one = {"vendor": "servicenow", "operation": "create", "words": Subject("servicenow", FORBIDDEN).title}
    await stage.ask_sandbox("POST", "faults", one | {"fault": "status", "status": 403, "share": 1.0})


class Mischief:
    """All that is done to the processes while `run` runs; what it stopped or broke goes on at its end.

    `producers` and what was `accepted` are needed to go back in time: what Redis forgot is submitted once more.
    """

    def __init__(
        self,
        stage: Stage,
        pace: Pace,
        seed: str,
        without: Collection[str] = (),
        producers: Producers | None = None,
        accepted: Accepted | None = None,
    ) -> None:
        self.stage = stage
        self.pace = pace
        self.done = Done()
        self._seed = seed
        self._without = without
        self._producers = producers
        self._accepted = accepted or Accepted()
        self._redis = asyncio.Lock()  # one trouble of Redis' at a time

    async def run(self) -> None:
        """Until cancelled."""
        stage, pace = self.stage, self.pace
        acts = {
            "kill": (pace.kill_s, self._kill),
            "processes": (pace.further_s, self._kill_further),
            "stop": (pace.stop_s, self._stop),
            "valkey": (pace.valkey_s if stage.valkey else None, self._restart_valkey),
            "failover": (pace.failover_s if stage.fail_over else None, self._fail_over),
            "outages": (pace.outages_s if stage.wires or stage.fail_over else None, self._refuse_writes),
            # an earlier version beside ours notices nothing
            "restore": (
                pace.restore_s if stage.valkey and self._producers and not stage.beside else None,
                self._go_back,
            ),
            "listener": (pace.listener_s, self._restart_listener),
            "strangers": (pace.strangers_s if stage.wires else None, self._answer_for_a_vendor),
            "tcp": (pace.tcp_s if stage.wires else None, self._harm_connections),
            "clocks": (pace.clocks_s if stage.has_clocks else None, self._set_a_clock),
            "messages": (pace.messages_s if stage.broker_is_redis else None, self._double_messages),
        }
        tasks = {
            asyncio.create_task(self._now_and_then(name, pause_s, act))
            for name, (pause_s, act) in acts.items()
            if name not in self._without and pause_s is not None
        } | {asyncio.create_task(self._supervise())}
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            ended.pop().result()
        finally:
            await cancel_all(tasks, PATIENCE_S)  # a task group cancels once, which redis-py may lose
            for name in list(self.stage.stopped):
                self.stage.resume(name)
            for wire in self.stage.wires.values():
                wire.delay_s = 0.0
                wire.answer_as(None)

    async def _now_and_then(self, name: str, pause_s: float, act: Callable[[random.Random], Awaitable[None]]) -> None:
        chance = random.Random(f"{self._seed}/{name}")
        while True:
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

    async def _kill_further(self, _: random.Random) -> None:
        for name in self.stage.at_work():
            if name.startswith("several"):
                self.done.counts["further processes killed"] += self.stage.kill_further(name)

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
        async with self._redis:
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
        async with self._redis:
            self.done.counts["primaries killed"] += 1
            going = asyncio.ensure_future(asyncio.to_thread(self.stage.fail_over, chance.choice(AWAY_S)))
            try:
                await asyncio.shield(going)
            finally:
                await going

    async def _refuse_writes(self, chance: random.Random) -> None:
        name = chance.choice([name for name in OUTAGES if name != "read-only" or self.stage.valkey])
        seconds = chance.choice((1.0, 5.0, 12.0))
        async with self._redis:
            await takes_no_writes(self.stage, name, seconds)
        self.done.counts[f"Redis {name}"] += 1

    async def _go_back(self, chance: random.Random) -> None:
        """Restore an older copy; producers who know of what was acknowledged since then submit it once more."""
        copy, producers = Copy(self.stage), self._producers
        assert producers
        async with self._redis, producers.held():
            copy.take()
            known = len(self._accepted.jobs)
        await asyncio.sleep(chance.uniform(3.0, 8.0))
        async with self._redis, producers.held():
            await asyncio.to_thread(copy.restore)
            self.done.counts["Redis restored"] += 1
            await producers.again(list(self._accepted.jobs)[known:])

    async def _answer_for_a_vendor(self, chance: random.Random) -> None:
        stranger, wire = chance.choice(STRANGERS), self.stage.wires[chance.choice(KINDS)]
        wire.answer_as(stranger)
        self.done.counts[f"strangers with {stranger.name}"] += 1
        try:
            await asyncio.sleep(chance.uniform(2.0, 6.0))
        finally:
            wire.answer_as(None)

    async def _harm_connections(self, chance: random.Random) -> None:
        wire = self.stage.wires[chance.choice(sorted(self.stage.wires))]
        kind = chance.choice(("delayed", *HARMS))
        self.done.counts[f"connections {kind}"] += 1
        if kind == "delayed":
            wire.delay_s = chance.choice((0.02, 0.1, 0.5))
            try:
                await asyncio.sleep(chance.uniform(0.5, 3.0))
            finally:
                wire.delay_s = 0.0
        else:
            wire.harm(kind, chance.choice((0.1, 0.5)), chance)

    async def _set_a_clock(self, chance: random.Random) -> None:
        set_clock(self.stage.settings.data, chance.choice(self.stage.names), chance.choice(OFF_S))
        self.done.counts["clocks set"] += 1

    async def _restart_listener(self, chance: random.Random) -> None:
        away = {"seconds": round(chance.uniform(0.3, 2.0), 2)}
        await self.stage.ask_sandbox("POST", "listener", away)
        self.done.counts["listener restarts"] += 1

    async def _double_messages(self, chance: random.Random) -> None:
        """Double one message of each queue that has any, at a place drawn at random."""
        client = open_redis(self.stage.settings.model_copy(update={"redis_url": self.stage.broker_url}))
        try:
            for queue in QUEUES:
                place = chance.random()
                length = await client.llen(queue)
                if length and await client.eval(_DOUBLE, 1, queue, int(place * length)):
                    self.done.counts["messages doubled"] += 1
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
