"""Runs what is due: this worker's attempts, on its event loop, as many at once as it has room for.

Whenever the ledger wakes it, an attempt ends or a moment comes at which a job may start, it takes what is due and has
room; with nothing else to do it begins the very job that a wake-up names. An attempt costs no message: the broker only carries producers' messages.
"""

from __future__ import annotations

import asyncio
import logging
import time

from redis.exceptions import RedisError

from tasks import lifecycle
from tasks.destinations import KINDS
from tasks.errors import AfterwordError, place_of
from tasks.model import Job
from tasks.state.jobs.reading import is_timeline
from worker.attempts import Attempts
from worker.rounds.again import again_and_again
from worker.rounds.teller import Teller
from worker.runtime import Services
from worker.wakes import listen

log = logging.getLogger(__name__)

BATCH = 100  # jobs taken at once: the others of a long backlog are left for other workers
FIRST_BEAT_S = 0.02  # between two looks whether the ledger knows this worker
TOGETHER, APART_S = 8, 0.01  # attempts that begin together, and the time until the next of them do
PACE_S = 0.005  # between two looks of a busy worker, so that what ends meanwhile makes room for more at once


class Runner:
    """One worker's attempts. `capacity` is how many it runs at once, `kinds` whose jobs it takes (None: all)."""

    def __init__(
        self, services: Services, attempts: Attempts, teller: Teller, capacity: int, kinds: frozenset[str] | None = None
    ) -> None:
        self._services = services
        self._attempts = attempts
        self._teller = teller
        self.capacity = capacity
        self._kinds = sorted(kinds) if kinds is not None else None
        self._woken = asyncio.Event()

    async def run(self) -> None:
        """Run what is due until cancelled; trouble with Redis is logged and waited out."""
        async with asyncio.TaskGroup() as group:
            group.create_task(listen(self._services.redis, self._services.settings.prefix, self.hear))
            group.create_task(again_and_again(self._take, self._woken))

    def hear(self, word: str) -> None:
        """A wake-up. A worker that has nothing to do begins the job that its word names, if it is its turn, and is spared to ask
        for it; any other one looks what is due.
        """
        kind, _, job_id = word.partition(" ")
        if (
            job_id
            and self._is_idle
            and kind in (KINDS if self._kinds is None else self._kinds)
            and not is_timeline(job_id)
        ):
            self.begin(job_id)
        else:
            self._woken.set()

    @property
    def _is_idle(self) -> bool:
        busy = len(self._attempts) or self._attempts.stopping
        return not busy and self._services.pulse.last is not None and self._services.eviction.is_fine

    async def _take(self) -> float:
        """Begin what is due and has room; returns the seconds until the next look."""
        if self._services.pulse.last is None:
            return FIRST_BEAT_S  # the ledger shares out the room that it knows of: without it, one destination would get all
        longest_s = self._services.settings.sweep_interval_s
        room = min(self.capacity - len(self._attempts), BATCH)
        if self._attempts.stopping or room <= 0 or await self._services.eviction.trouble():
            return longest_s
        resend_ms = int(1000 * self._services.settings.resend_after_s)
        due = await self._services.ledger.dispatch(resend_ms, room, self._kinds)
        for number, job_id in enumerate(due):
            # Those that begin together are rendered together and then wait for their vendor together, with the processor idle.
            if number and number % TOGETHER == 0:
                await asyncio.sleep(APART_S)
            self.begin(job_id)
        if len(due) == room:
            return 0.0
        if len(self._attempts):
            await asyncio.sleep(PACE_S)
            if self._woken.is_set():  # an attempt has ended, or a job has come
                return 0.0
        return await self._services.destinations.upcoming_s(longest_s)

    def begin(self, job_id: str) -> None:
        """Run one attempt of a job, if it is its turn."""
        self._attempts.begin(job_id, self._attempt(job_id))

    async def _attempt(self, job_id: str) -> None:
        began: list[tuple[Job, float]] = []

        def started(job: Job) -> None:
            began.append((job, time.monotonic()))
            self._teller.started(job)

        try:
            ended = await lifecycle.attempt(self._services.core, job_id, started)
        except (AfterwordError, RedisError, OSError) as trouble:
            log.error("job %s: %s", job_id, trouble)
        except Exception as fault:
            log.error(
                "job %s: a fault of ours ended its attempt (%s); it goes on once its lease has ended",
                job_id,
                place_of(fault),
            )
        else:
            if isinstance(ended, lifecycle.Ended):
                [(job, since)] = began
                self._teller.ended(job, ended, time.monotonic() - since)
            elif ended.reason == "unreadable":
                log.warning("job %s: only a newer version of Afterword can read it; it is left as it is", job_id)
        finally:
            # Only once this attempt is out of the count: its end makes room.
            asyncio.get_running_loop().call_soon(self._woken.set)
