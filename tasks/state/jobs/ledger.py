"""The ledger: every job's record and every transition of it. A Celery message only says "look here"."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from redis.asyncio import Redis

from tasks.errors import Fenced, Refused, Throttled
from tasks.http.quota import Guidance
from tasks.model import Command, CommandName, Job, JobState, LastError
from tasks.state.audit.entries import Event
from tasks.state.batch import Reply
from tasks.state.jobs import signatures
from tasks.state.jobs.operating import Operating
from tasks.state.jobs.reading import subject_of
from tasks.state.jobs.records import about, job_of, opened
from tasks.state.jobs.submitting import Submitting
from tasks.state.jobs.transitions import Claimed, Lease, NotClaimed, Settlement
from tasks.state.journal import Journal
from tasks.state.stored import text, texts
from tasks.state.traffic.limiter import Turn, lesson, tell_of_breaker

log = logging.getLogger(__name__)

CRASH_LIMIT = 3
MOST_CRASHES = 10  # times the limit: where blame is always shared, a job is still stopped after so many crashes
SILENT_MS = 10_000  # a worker that claims before its first heartbeat counts as alive for so long
UNREADABLE_MS = 60_000  # a job that this version can't read is left to others for so long


class Ledger(Submitting, Operating):
    """Jobs in Redis. Every method that changes one is a single atomic script with its audit entry."""

    def __init__(self, redis: Redis, journal: Journal, crash_limit: int = CRASH_LIMIT) -> None:
        super().__init__(redis, journal)
        self._crash_limit = crash_limit
        self.unsigned_until_ms = 0  # until when jobs of the version before come without a signature

    async def claim(self, job_id: str, worker: str, lease: Lease, claim: str | None = None) -> Claimed | NotClaimed:
        """Take a job for one attempt, with a new fencing token and everything that the attempt needs, or say why not.

        The same `claim` (a name for this one try) again is the same claim: what a broken connection left in doubt can be
        asked again.
        """
        claim = claim or uuid.uuid4().hex
        args: dict[str, Any] = {"id": job_id, "worker": worker, "claim": claim, "silent_ms": SILENT_MS}
        args |= {"commands": list(CommandName), "lease": asdict(lease)}
        reply = await self._journal.commit("jobs/claim", args, Event.CLAIMED, job=job_id, worker=worker)
        if reply.ok and not reply.data:  # the connection broke before the answer: ask again for what it said
            reply = await self._journal.commit("jobs/claim", args, Event.CLAIMED, job=job_id, worker=worker)
        if reply.data:
            try:
                claimed = _claimed(reply)
            except Exception as unreadable:
                await self._leave(job_id, reply.data[0], unreadable)
                return NotClaimed("unreadable")
            record = texts(_pairs(reply.data[0]))
            beside = self._journal.clock.now_ms() < self.unsigned_until_ms
            return signatures.checked(claimed, job_id, record, self._journal.vault, unsigned=beside)
        if reply.reason == "stale":
            await self._retire(job_id, reply.detail)
        return NotClaimed(reply.reason, reply.detail)

    async def _leave(self, job_id: str, record: Sequence[bytes], unreadable: Exception) -> None:
        """Give back, uncounted and for a while, what was claimed before it was seen that this version can't read it."""
        raw = _pairs(record)
        why = str(unreadable) if isinstance(unreadable, Refused) else f"({type(unreadable).__name__})"
        log.error("job %s: its record can't be read here, and is left as it is: %s", job_id, why)
        error = LastError(
            code="unreadable_record",
            message="The record of this job or of its subject can't be read.",
            advice="A newer version of Afterword may have written it: upgrade the workers. Otherwise cancel the job.",
        )
        args: dict[str, Any] = {"id": job_id, "token": int(raw[b"token"]), "to": JobState.RETRYING}
        args |= {"due_ms": self._journal.clock.now_ms() + UNREADABLE_MS, "counted": False, "doubt": "keep"}
        args |= {"last_error": error.model_dump_json(), "suspected": False}
        facts = {"job": job_id, "error": error.code}
        reply = await self._journal.commit("jobs/settle", args, Event.WAITING, **facts)
        if reply.reason == "newer":
            args |= {"to": JobState.SUPERSEDED, "superseded_by": reply.detail}
            await self._journal.commit("jobs/settle", args, Event.SUPERSEDED, **facts, by=reply.detail)

    async def _retire(self, job_id: str, by: str) -> None:
        args = {
            "id": job_id,
            "from": [JobState.QUEUED, JobState.RETRYING],
            "to": JobState.SUPERSEDED,
            "superseded_by": by,
        }
        facts = (await self.about([job_id]))[job_id]
        await self._journal.commit("jobs/operate", args, Event.SUPERSEDED, job=job_id, by=by, **facts)

    def command_of(self, job: Job) -> Command:
        """The job's command with the fields that it sets, which nobody but its delivery needs; raises `KeyTrouble`."""
        return opened(job, self._journal.vault)

    async def intend(
        self,
        job: Job,
        event: Event,
        *,
        writes: bool,
        doubt_until_ms: int,
        facts: Mapping[str, Any],
        tried: str | None = None,
        paid: bool = True,
        patience_ms: int = 0,
    ) -> str | Turn:
        """Permit one request: durable before it is made. Returns the intent's reference, or when it is the request's turn;
        `paid` says that an earlier call kept its place, `tried` (sealed) what a write lets its object be found by. Raises
        `Fenced`.
        """
        stage = event.partition(".")[0]
        args: dict[str, Any] = {"id": job.id, "token": job.token, "stage": stage, "writes": writes}
        args |= {"doubt_until_ms": doubt_until_ms, "paid": paid, "patience_ms": patience_ms}
        if tried is not None:
            args["tried"] = tried
        reply = await self._journal.commit(
            "lua/intent", args, event, job=job.id, attempt=job.attempts, **{**about(job), **facts}
        )
        if reply.reason == "slot":
            return Turn(wait_s=int(reply.detail) / 1000)
        if reply.reason == "throttled":
            return Turn(until_ms=int(reply.detail))
        _fence(reply, job)
        return reply.intent

    async def conclude(
        self,
        job_id: str,
        intent: str,
        event: Event,
        facts: Mapping[str, Any],
        *,
        job: Job | None = None,
        destination: str | None = None,
        guidance: Guidance | None = None,
    ) -> None:
        """Close an intent with its outcome, also where the job is no longer ours; one that is closed stays as it is.

        What the answer said about limits holds for every worker.
        """
        detail = {k: v for k, v in facts.items() if v is not None}
        args: dict[str, Any] = {"id": job_id, "intent": intent, "detail": detail}
        if destination and guidance and (learned := lesson(guidance, self._journal.clock.now_ms())):
            args |= {"destination": destination, "learned": learned}
        told = {"destination": destination, **(about(job) if job else {}), **facts}
        await self._journal.commit("lua/outcome", args, event, job=job_id or None, intent=intent, **told)

    async def announce(self, event: Event, facts: Mapping[str, Any], *, within: str | None = None) -> str:
        """Make the intent of a request that belongs to no job durable; returns its reference. `within` names a destination
        whose limits it has to keep: raises `Throttled` where it isn't its turn now.
        """
        args: dict[str, Any] = {"id": "", "stage": event.partition(".")[0]}
        args |= {"destination": within, "patience_ms": 0} if within else {}
        reply = await self._journal.commit("lua/intent", args, event, **facts)
        if not reply.ok:
            raise Throttled(f"{within} has no room for it now.", code="throttled", until_ms=int(reply.detail))
        return reply.intent

    async def record(self, event: Event, facts: Mapping[str, Any]) -> None:
        """Put a fact that is about no job and no request into the audit."""
        await self._journal.commit("lua/record", {}, event, **facts)

    async def note(self, job: Job, event: Event, facts: Mapping[str, Any]) -> None:
        """Put a fact about a job, such as what screening found, into its timeline and the audit."""
        args = {"id": job.id, "intent": "", "detail": dict(facts)}
        await self._journal.commit("lua/outcome", args, event, job=job.id, **about(job), **facts)

    async def settle(self, job: Job, settlement: Settlement) -> JobState:
        """End an attempt; raises `Fenced`. A job that would wait while a newer one waits becomes superseded."""
        error, made = settlement.error, settlement.receipt
        receipt = made.model_dump_json() if made else None
        args: dict[str, Any] = {
            "id": job.id,
            "token": job.token,
            "to": settlement.to,
            "due_ms": settlement.due_ms,
            "counted": settlement.counted,
            "suspected": settlement.suspected,
            "last_error": error.model_dump_json() if error else None,
            "receipt": receipt,
            "receipt_seal": self._vouched(job.subject, receipt),
            "family_seal": self._vouched(job.family, receipt),
            "shown": settlement.shown.model_dump_json() if settlement.shown else None,
            "wrote": settlement.wrote,
            "doubt": settlement.doubt,
            "sign": settlement.sign,
            "link": settlement.link.arguments() if settlement.link else None,
            "terms": await self.overview.search.terms(_said_of(settlement)),
        }
        facts = {
            "job": job.id,
            **about(job),
            "attempt": job.attempts,
            "error": error.code if error else None,
            "status": error.status if error else None,
            "remote_id": settlement.receipt.id if settlement.receipt else None,
            "change": settlement.receipt.change if settlement.receipt else None,
            "due_ms": settlement.due_ms,
        }
        present = {k: v for k, v in args.items() if v is not None}
        reply = await self._journal.commit("jobs/settle", present, settlement.event, **facts)
        if reply.reason == "newer":
            present |= {"to": JobState.SUPERSEDED, "superseded_by": reply.detail}
            reply = await self._journal.commit("jobs/settle", present, Event.SUPERSEDED, **facts, by=reply.detail)
            _fence(reply, job)
            return JobState.SUPERSEDED
        _fence(reply, job)
        tell_of_breaker(job.destination, reply.reason)
        return settlement.to

    def _vouched(self, subject: str | None, receipt: str | None) -> str | None:
        """The signature of a subject's receipt, where there are both."""
        return signatures.receipt_signature(self._journal.vault, subject, receipt) if subject and receipt else None

    async def lapsed(self, batch: int = 100) -> list[str]:
        """Ids of running jobs whose lease ran out or whose worker is silent."""
        return [text(i) for i in await self._journal.query("jobs/lapsed", {"batch": batch})]

    async def take_over(self, job_id: str) -> JobState | None:
        """Give a dead worker's job back, or quarantine it after it has ended `crash_limit` workers in a row.

        Which of its jobs ended a worker, if any did, nobody knows: those that it ran share the blame for one crash.
        """
        job = await self.get(job_id)
        if job is None or job.state is not JobState.RUNNING:
            return None
        ran = await self._redis.get(self._key("worker", job.worker or "", "ran"))
        left = await self._redis.exists(self._key("worker", job.worker or "", "left"))
        share = 0 if left else 1 / max(int(ran or 1), 1)
        blame = job.blame + share
        spent = not left and quarantined(blame, job.crashes + 1, self._crash_limit)
        error = LastError(
            code="quarantined" if spent else "worker_lost",
            message="The worker died or stalled during this attempt.",
            advice="See the worker's log before retrying it."
            if spent
            else "The next attempt looks at the remote side first.",
        )
        args = {
            "id": job_id,
            "token": job.token,
            "to": JobState.DEAD if spent else JobState.RETRYING,
            "blame": blame,
            "share": share,
            "last_error": error.model_dump_json(),
        }
        facts = {"job": job_id, **about(job), "worker": job.worker, "crashes": job.crashes + 1}
        reply = await self._journal.commit("jobs/take_over", args, Event.TAKEN_OVER, **facts)
        if reply.reason == "newer":
            args |= {"to": JobState.SUPERSEDED, "superseded_by": reply.detail}
            reply = await self._journal.commit("jobs/take_over", args, Event.TAKEN_OVER, **facts, by=reply.detail)
        if not reply.ok:
            return None
        return JobState(str(args["to"]))

    async def overdue(self, batch: int) -> list[str]:
        """Ids of waiting jobs that are older than they may become; all of them after a few calls."""
        return list(dict.fromkeys(text(i) for i in await self._journal.query("jobs/overdue", {"batch": batch})))

    async def expire(self, job: Job, error: LastError) -> bool:
        """End a waiting job whose time is over; False where it doesn't wait any more, or was given more time."""
        args = {"id": job.id, "last_error": error.model_dump_json()}
        facts = {"job": job.id, **about(job), "error": error.code, "status": error.status}
        return (await self._journal.commit("jobs/expire", args, Event.DEAD, **facts)).ok

    async def dispatch(self, resend_ms: int, batch: int, kinds: Sequence[str] | None = None) -> list[str]:
        """Ids of jobs to run now, of these kinds (None: of all); each is offered again after `resend_ms` unless it is
        claimed.
        """
        args: dict[str, Any] = {"resend_ms": resend_ms, "batch": batch}
        if kinds is not None:
            args["kinds"] = kinds
        return [text(i) for i in await self._journal.query("jobs/dispatch", args)]

    async def heartbeat(
        self, worker: str, ttl_ms: int, capacity: int, about: str | None = None, *, stalled: bool = False
    ) -> list[str]:
        """Say that this worker lives for another `ttl_ms`, how many attempts it can run at once, and what it is. Returns the
        jobs that were taken from it though it lived, which are to be forgiven; none where it had `stalled`.

        `about` is the JSON of `tasks.state.workers.About`. It is also how a worker notices that the ledger went back in time.
        """
        facts = {"worker": worker, "ttl_ms": ttl_ms, "capacity": capacity, "about": about, "stalled": stalled}
        clock = self._journal.clock
        while True:
            known, asked = self._journal.known(), clock.asking()
            args = {k: v for k, v in facts.items() if v is not None} | known
            reply = await self._journal.query("jobs/heartbeat", args)
            if text(reply[0]) != "older":
                break
            if known == self._journal.known():  # a transition under way may have told it meanwhile
                await self._journal.went_back()
        _, now_ms, newest_ms, taken = reply
        clock.heard(int(now_ms) / 1000, asked)
        self._journal.memory.saw(int(newest_ms))
        return [text(job_id) for job_id in taken]

    async def forgive(self, job_id: str, worker: str) -> None:
        """Take back the crash that was counted for a worker that lived; a job that was quarantined for it goes on."""
        facts = {"id": job_id, "worker": worker}
        reply = await self._journal.commit("jobs/forgive", facts, Event.FORGIVEN, job=job_id, worker=worker)
        job = await self.get(job_id) if reply.ok else None
        if job and job.state is JobState.DEAD and job.last_error and job.last_error.code == "quarantined":
            with suppress(Refused):  # a newer job of its subject is under way
                await self.retry(job_id, f"worker:{worker}", "the worker lived: no crash")


def _claimed(reply: Reply) -> Claimed:
    """The claim that the script answered."""
    record, destination, known, content, members, since_ms, grant = reply.data
    return Claimed(
        job=job_of(_pairs(record)),
        subject=subject_of(known),
        destination=_pairs(destination),
        content=content,
        members=_pairs(members),
        grant=grant,
        probe=reply.reason == "probe",
        look_first_ms=int(since_ms) if since_ms else None,
    )


def _pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _said_of(settlement: Settlement) -> list[str]:
    """What else a job is found by once an attempt has ended: its remote object, or the error that it stays with."""
    if settlement.receipt:
        return [settlement.receipt.id, settlement.receipt.ticket_number or ""]
    if settlement.error and settlement.to in (JobState.HELD, JobState.DEAD):
        return [settlement.error.code, str(settlement.error.status or ""), settlement.error.message]
    return []


def quarantined(blame: float, crashes: int, limit: int) -> bool:
    """Whether a job that was running when its worker died may not run again."""
    return round(blame, 6) >= limit or crashes >= MOST_CRASHES * limit


def _fence(reply: Reply, job: Job) -> None:
    if not reply.ok:
        raise Fenced(f"Job {job.id} was taken over, cancelled or settled by another worker.", code="fenced")
