"""Tells Celery what becomes of each job, whatever way it came: events for Flower, the result, and what hangs on it.

A producer's message is acknowledged once its job is in the ledger. What hung on the message (`link`, `link_error`, the
rest of a chain, a chord) waits sealed in the job's record, and is done when the job has ended, however it ended. The
ledger names each end to one worker at a time; one that dies before it has told it is followed by another.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from celery import Celery
from celery.app.task import Context
from celery.canvas import signature
from celery.exceptions import Retry, TaskRevokedError
from celery.states import FAILURE, REVOKED
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from tasks.errors import KeyTrouble
from tasks.lifecycle import Ended
from tasks.model import TERMINAL, Job, JobState
from worker.answers import failure_of, wait_of
from worker.rounds.again import again_and_again
from worker.rounds.results import Results, mark_as_retry
from worker.runtime import Services

log = logging.getLogger(__name__)

PACE_S, BUSY_PACE_S = 0.02, 0.1  # what happens meanwhile is told together: after a pause, and round after round
MOST_KEPT = 10_000  # run times of ends that other workers may tell of
Happened = tuple[str, Mapping[str, Any]]  # an event of Celery's by its name, and its fields
Then = Callable[[], object] | None  # what is called once events are on their way, in any thread
Send = Callable[[Sequence[Happened], Then], None]


@dataclass(frozen=True)
class Note:
    """Something on a job's way, for whoever looks on."""

    event: str
    job: Job
    fields: Mapping[str, Any] = field(default_factory=dict)
    waits: Retry | None = None


class Teller:
    """One worker's teller. `send` sends events of Celery's, where events are on: those of a round in few messages."""

    def __init__(self, services: Services, app: Celery, send: Send) -> None:
        self._services = services
        self._app = app
        self._send = send
        self._notes: list[Note] = []
        self._events: list[Happened] = []
        self._waits_sent: dict[str, int] = {}  # ids of jobs, and until when it may have been (epoch milliseconds)
        self._took_s: dict[str, float] = {}
        self._woken = asyncio.Event()
        self._telling = asyncio.Lock()
        self._not_before = 0.0  # by the loop's clock

    def started(self, job: Job) -> None:
        """An attempt began."""
        if job.attempts == 1 and job.origin is None:
            self._say(Note("task-received", job))
        self._say(Note("task-started", job))

    def ended(self, job: Job, ended: Ended, took_s: float) -> None:
        """An attempt ended after `took_s` seconds; the end of a job is told from the ledger, by whoever takes it there."""
        waits = wait_of(ended)
        if waits is not None:
            self._say(Note("task-retried", job, {"exception": str(waits), "traceback": ""}, waits=waits))
            return
        if len(self._took_s) >= MOST_KEPT:
            self._took_s.clear()
        self._took_s[job.id] = took_s
        self._woken.set()

    async def run(self) -> None:
        """Tell until cancelled; trouble is logged, and what was not told is told later."""
        await again_and_again(self.tell, self._woken)

    async def tell(self) -> float:
        """Tell everything that there is; returns the seconds until the next look for ends that nobody told."""
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(max(PACE_S, self._not_before - clock()))
        async with self._telling:
            await self._tell()
            self._not_before = clock() + BUSY_PACE_S
        return 0.0 if self._notes else self._services.settings.sweep_interval_s

    async def _tell(self) -> None:
        upkeep, worker = self._services.upkeep, self._services.core.worker
        job_ids = await upkeep.to_tell(worker)
        wait = {note.job.id for note in self._notes if note.waits is not None}
        sent = dict(self._waits_sent)
        others = (wait | sent.keys()) - set(job_ids)
        asked = [*job_ids, *others]
        found = await self._services.ledger.overview.jobs(asked) if asked else []
        # On a busy machine another worker may have ended the job meanwhile, and Flower keeps the last word of a wait. So no
        # such word goes out after that, and an end that came before it was on its way is told once more.
        over = {job.id for job in found if job.state in TERMINAL}
        notes, self._notes = self._notes, []
        notes = [note for note in notes if note.waits is None or note.job.id not in over]
        self._waits_sent = dict(self._waits_sent.items() - sent.items())
        jobs = [job for job in found if job.id not in others]
        again = [job for job in found if job.id in others & over and job.updated_ms <= sent.get(job.id, 0)]
        if notes or job_ids or again:
            loop = asyncio.get_running_loop()
            untold = await asyncio.to_thread(
                self._tell_all, notes, jobs, again, lambda ids: loop.call_soon_threadsafe(self._look_again, ids)
            )
            told = {job.id: job.updated_ms for job in jobs if job.id not in untold}
            gone = dict.fromkeys(set(job_ids) - {job.id for job in jobs}, 0)
            await upkeep.told(worker, gone | told, sorted(untold))

    def _say(self, note: Note) -> None:
        self._notes.append(note)
        self._woken.set()

    def _look_again(self, job_ids: set[str]) -> None:
        """That these jobs wait is on its way to whoever looks on."""
        self._waits_sent |= dict.fromkeys(job_ids, self._services.core.clock_ms())
        self._woken.set()

    def _tell_all(
        self, notes: list[Note], jobs: list[Job], again: Sequence[Job], later: Callable[[set[str]], object]
    ) -> set[str]:
        """In a thread, because Celery's own calls block. Returns the ids of the jobs whose end has to be told again. Of ends in
        `again` there is an event only; `later` hears of jobs that wait, once that is on its way.
        """
        results = Results(self._app.backend)
        try:
            for note in notes:
                self._event(note.event, note.job, **note.fields)
            for job in again:
                self._event_of_end(job)
            waits = {note.job.id for note in notes if note.waits is not None}
            self._pass_on(partial(later, waits) if waits else None)  # before another worker can tell what came next
            for note in notes:
                if note.waits is not None:
                    mark_as_retry(self._app.backend, note.job.id, note.waits)
            ended = [job for job in jobs if job.state in TERMINAL]
            untold = {job.id for job in ended if not _told(job.id, partial(self._end, job, results))}
            together = results.kept
            return untold | (set() if _told(", ".join(together), results.store) else together)
        finally:
            self._pass_on()

    def _pass_on(self, then: Then = None) -> None:
        events, self._events = self._events, []
        if events:
            self._send(events, then)

    def _end(self, job: Job, results: Results) -> None:
        """Tell a job's end; where nothing hangs on a success, its result is kept in `results`."""
        request = self._request(job)
        took_s = self._took_s.pop(job.id, None)  # unknown where another worker ran it
        backend = self._app.backend
        if job.state is JobState.DELIVERED and job.receipt is not None:
            result = job.receipt.result()
            if request.callbacks or request.chain or request.chord:
                self._go_on(request, result)
                backend.mark_as_done(job.id, result, request)
            else:
                results.succeeded(job.id, result, request)
        elif job.state is JobState.CANCELLED:
            # Celery's own `mark_as_revoked` leaves error callbacks and the rest of a chain waiting for ever.
            if backend.get_state(job.id) == FAILURE:  # it was dead: only the word of a wait takes that back in Flower
                self._event("task-retried", job, exception="", traceback="")
            revoked = TaskRevokedError(f"The job is {job.state.value}.")
            backend.mark_as_failure(job.id, revoked, request=request, state=REVOKED)
        else:
            backend.mark_as_failure(job.id, failure_of(job), request=request)
        self._event_of_end(job, **({} if took_s is None else {"runtime": took_s}))

    def _event_of_end(self, job: Job, **runtime: float) -> None:
        if job.state is JobState.DELIVERED and job.receipt is not None:
            self._event("task-succeeded", job, result=repr(job.receipt.result()), **runtime)
        elif job.state is JobState.CANCELLED:
            self._event("task-revoked", job, terminated=False, signum=None, expired=False)
        else:
            self._event("task-failed", job, exception=repr(str(failure_of(job))), traceback="")

    def _event(self, event: str, job: Job, **fields: Any) -> None:
        """One event, sent at the end of the round; each names its task, for whoever began to look on after the first."""
        about = {"uuid": job.id, "root_id": job.id, "name": job.command.command.value, "args": "()", "kwargs": "{}"}
        self._events.append((event, about | fields))

    def _request(self, job: Job) -> Context:
        """The request as Celery's own functions take it, with what hangs on it."""
        try:
            origin = self._services.ledger.origin_of(job)
        except KeyTrouble as trouble:
            log.error("job %s: what hangs on it can't be opened: %s", job.id, trouble)
            origin = {}
        about: dict[str, Any] = {
            "id": job.id,
            "task": job.command.command.value,
            "root_id": job.id,
            "children": [],
            "delivery_info": {},
        }
        return Context(about | origin)

    def _go_on(self, request: Context, result: Mapping[str, str]) -> None:
        """Send what follows a success: its callbacks, and the rest of its chain."""
        chain = list(request.chain or ())
        following: list[tuple[Any, dict[str, Any]]] = [(given, {}) for given in request.callbacks or ()]
        if chain:
            following.append((chain.pop(), {"chain": chain}))
        for given, rest in following:
            facts = {"parent_id": request.id, "root_id": request.root_id, **rest}
            try:
                request.children.append(signature(given, app=self._app).apply_async((result,), **facts))
            except (RedisError, OSError, OperationalError):
                raise
            except Exception as fault:  # such as a serializer that isn't there: the delivery is a success all the same
                log.error("job %s: what follows it can't be sent: %s", request.id, type(fault).__name__)


def _told(job_ids: str, tell: Callable[[], None]) -> bool:
    """Tell ends; False where that has to be tried again."""
    try:
        tell()
    except (RedisError, OSError, OperationalError) as trouble:
        log.warning("job %s: its end is told later: %s", job_ids, type(trouble).__name__)
        return False
    except Exception as fault:  # what hangs on one job must not keep the ends of all others
        log.error("job %s: its end can't be told: %s", job_ids, type(fault).__name__)
    return True
