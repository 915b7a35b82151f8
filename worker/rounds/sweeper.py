"""Keeps order beside the attempts: every worker runs one, any number of them agree through the ledger's scripts.

It says that this worker lives, takes over the jobs of workers that are gone, queues links that are missing, tests
suspended destinations, closes intents that were left open, and forgets what is old.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from importlib.metadata import version

from redis.exceptions import RedisError

from tasks.cross_links import follow_up
from tasks.errors import AfterwordError, Refused
from tasks.expiry import expire_overdue
from tasks.state.clock import CORRECT_IT, SKEW_LIMIT_S, in_words
from tasks.state.upkeep.housekeeping import BATCH as FORGET_BATCH
from tasks.state.upkeep.housekeeping import Retention
from tasks.state.workers import About
from worker.rounds.again import again_and_again
from worker.runtime import Services

log = logging.getLogger(__name__)

BATCH = 200
FORGET_EVERY_S = 60.0
FORGET_BATCHES = 20
GOODBYE_S = 3.0
PROBE_LOOK_S = 1.0


class Sweeper:
    """One worker's sweeper."""

    def __init__(self, services: Services, capacity: int) -> None:
        self._services = services
        self.capacity = capacity
        self._tests: set[asyncio.Task[None]] = set()
        self._mute = False
        self._about = About(
            host=socket.gethostname(),
            pid=os.getpid(),
            version=version("afterword"),
            started_ms=services.core.clock_ms(),
        )
        self._wrong = False

    async def run(self) -> None:
        """Sweep until cancelled, then say goodbye; trouble with Redis or the broker is logged and waited out."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(again_and_again(self._beat))
                group.create_task(again_and_again(self._sweep))
                group.create_task(again_and_again(self._link))
                group.create_task(again_and_again(self._expire))
                group.create_task(again_and_again(self._keep_house))
                group.create_task(again_and_again(self.forget))
                group.create_task(again_and_again(self._probe))
        finally:
            with contextlib.suppress(AfterwordError, RedisError, OSError):
                async with asyncio.timeout(GOODBYE_S):
                    await self._services.upkeep.goodbye(self._services.core.worker)

    async def _beat(self) -> float:
        """Say that this worker lives. While Redis can't be told it is tried often: after an outage others wait for that alone
        before they take silent workers for dead.
        """
        services, at, ttl_s = self._services, time.monotonic(), self._services.settings.heartbeat_ttl_s
        name, pulse = services.core.worker, services.pulse
        skew_ms = round(1000 * services.journal.clock.skew_s())
        about = self._about.model_copy(update={"concurrency": self.capacity, "skew_ms": skew_ms})
        pulse.tries(at)
        try:
            async with asyncio.timeout(ttl_s / 2):
                taken = await services.ledger.heartbeat(
                    name, int(1000 * ttl_s), self.capacity, about.model_dump_json(), stalled=pulse.stalled
                )
        except (AfterwordError, RedisError, OSError) as trouble:  # a time-out is an OSError
            self._unheard(trouble)
            return ttl_s / 12
        if self._mute:
            log.warning("heartbeat: Redis takes it again")
        self._mute = False
        pulse.beat(at)
        self._watch_the_clock(services.journal.clock.skew_s())
        for job_id in taken:
            log.warning(
                "job %s: was taken over while Redis was out of this worker's reach; no crash is counted", job_id
            )
            await services.ledger.forgive(job_id, name)
        return max(ttl_s / 3 - (time.monotonic() - at), 0.0)

    def _unheard(self, trouble: Exception) -> None:
        if not self._mute:
            words = str(trouble) if isinstance(trouble, AfterwordError) else "Redis doesn't answer."
            log.error("heartbeat: %s Attempts wait, and go on when it takes writes again", words)
        self._mute = True

    def _watch_the_clock(self, skew_s: float) -> None:
        """One line when this machine's clock turns out wrong, and one when it is right again."""
        if not self._wrong and abs(skew_s) >= SKEW_LIMIT_S:
            self._wrong = True
            log.warning("this machine's clock is %s; jobs don't depend on it. %s", in_words(skew_s), CORRECT_IT)
        elif self._wrong and abs(skew_s) < SKEW_LIMIT_S / 2:
            self._wrong = False
            log.warning("this machine's clock is right again")

    async def _sweep(self) -> float:
        await self.turn()
        return self._services.settings.sweep_interval_s

    async def _link(self) -> float:
        """Queue the links that are missing, beside the turns: trouble with one issue's record holds up no job."""
        for job_id in await follow_up(self._services.ledger, self._services.core.links):
            log.info("job %s: queued to bring links up to date", job_id)
        return self._services.settings.sweep_interval_s

    async def _expire(self) -> float:
        """End the jobs that waited for longer than they may, whatever they wait for; returns the pause."""
        await expire_overdue(self._services.core)
        return self._services.settings.sweep_interval_s

    async def _keep_house(self) -> float:
        """Close what stays open: nobody waits for it, so no wake-up starts it. Returns the pause."""
        await self._services.upkeep.close_orphans()
        return self._services.settings.sweep_interval_s

    async def _probe(self) -> float:
        """Test the suspended destinations that are due for it, beside everything else; returns the pause."""
        for name in await self._services.destinations.due_probes():
            test = asyncio.create_task(self._test(name))
            self._tests.add(test)
            test.add_done_callback(self._tests.discard)
        return PROBE_LOOK_S

    async def _test(self, name: str) -> None:
        """One connection test; a pass lets the destination's jobs go on."""
        try:
            report = await self._services.test_destination(name, "probe")
        except (AfterwordError, RedisError, OSError) as trouble:
            log.warning("destination %s can't be tested: %s", name, trouble)
        else:
            if not report.success:
                log.info("destination %s stays suspended: %s", name, report.message)

    async def turn(self) -> None:
        """One turn: take over what lapsed."""
        lapsed = await self._services.ledger.lapsed(BATCH)
        await asyncio.gather(*(self._take_over(job_id) for job_id in lapsed))

    async def _take_over(self, job_id: str) -> None:
        try:
            state = await self._services.ledger.take_over(job_id)
        except Refused as unreadable:  # only a newer version can read it: it holds up no other
            log.warning("%s", unreadable)
            return
        if state:
            log.warning("job %s: its worker is gone; now %s", job_id, state.value)

    async def forget(self) -> float:
        """Forget what is older than the settings keep it, in batches so that no script takes long; returns the pause."""
        given = self._services.settings
        retention = Retention(
            jobs_days=given.retain_jobs_days,
            dead_days=given.retain_dead_days,
            contents_days=given.retain_contents_days,
            subjects_days=given.retain_subjects_days,
        )
        now_ms = self._services.core.clock_ms()
        for kind, age_ms in retention.ages_ms().items():
            for _ in range(FORGET_BATCHES):
                if await self._services.upkeep.forget(kind, now_ms - age_ms) < FORGET_BATCH:
                    break
        return FORGET_EVERY_S
