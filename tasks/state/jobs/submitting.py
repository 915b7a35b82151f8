"""How a job comes into the ledger: stored once, signed, in place of the one that waits for its subject."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from redis.asyncio import Redis

from tasks.errors import Fenced, Refused
from tasks.model import KIND_OF_COMMAND, Job, JobState, field_names, with_fields
from tasks.state.audit.entries import Event
from tasks.state.batch import Reply
from tasks.state.jobs import signatures
from tasks.state.jobs.overview import kind_word
from tasks.state.jobs.reading import TIMELINE, Reading, is_timeline
from tasks.state.jobs.records import command_fields, content_name, opened_origin, sealed_origin
from tasks.state.jobs.transitions import Submission
from tasks.state.journal import Journal
from tasks.state.stored import text

REMEMBER_KEYS_MS = 7 * 24 * 3600 * 1000


class Outdated(Exception):
    """A submission relied on what isn't so any more: who calls (`caller`), or by what its destination was `chosen`."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Submitting(Reading):
    """Jobs as they are submitted, with what hangs on the message that they came as."""

    def __init__(self, redis: Redis, journal: Journal) -> None:
        super().__init__(redis, journal)
        self._superseding = False

    async def submit(self, submission: Submission) -> Job:
        """Store a job, or find the one that the same idempotency key or id already made.

        Raises `Refused` where the idempotency key belongs to another request or the id is no job's, `Fenced` for a
        job that follows another where its subject has work of its own, and `Outdated`.
        """
        job_id = submission.job_id or str(uuid.uuid4())
        if is_timeline(job_id):
            raise Refused(
                f"A job's id can't end in :{TIMELINE}.", code="bad_job_id", advice="Leave the task id to the client."
            )
        moment_ms = submission.not_before_ms
        if moment_ms is not None and moment_ms <= self._journal.clock.now_ms():
            submission = replace(submission, not_before_ms=None)
        # Few subjects have a job that waits. So it is asked for only after one had: a refusal costs no more than asking, but
        # whatever waits behind it has to be signed again.
        asks = self._superseding and not submission.follows and submission.not_before_ms is None
        waiting = await self._waiting(submission.subject) if asks else ""
        given = self._given(job_id, submission)
        reply = await self._submit(job_id, submission, given, waiting)
        if submission.follows and reply.reason in ("moved", "busy"):
            raise Fenced("The subject has work of its own.", code="busy")
        while reply.reason == "moved":
            waiting = reply.detail
            reply = await self._submit(job_id, submission, given, waiting)
        if reply.reason == "idempotency":
            stored = await self._fingerprint(submission)
            if not submission.same_request(stored):
                raise Refused(
                    f"This Idempotency-Key already made job {reply.detail}, from another request.",
                    code="idempotency_conflict",
                    advice="Use a new key for a new request.",
                )
            reply = await self._submit(job_id, replace(submission, fingerprint=stored), given, waiting)
        if reply.reason in ("caller", "chosen"):
            raise Outdated(reply.reason)
        self._superseding = bool(waiting)
        if reply.ok and reply.data:
            return _job_of(job_id, submission, given, reply.data)
        return await self.require(reply.detail or reply.reason or job_id)

    async def _fingerprint(self, submission: Submission) -> str:
        stored = await self._redis.hget(self._key("idempotency", _remembered(submission) or ""), "fingerprint")
        return text(stored or b"")

    async def _waiting(self, subject: str) -> str:
        """The job that waits for that subject; empty where none does."""
        return text(await self._redis.hget(self._key("subject", subject), "waiting") or b"")

    def _given(self, job_id: str, submission: Submission) -> dict[str, str]:
        """The fields of its record that say what it asks for, signed."""
        command, subject = submission.command, submission.subject
        fields = {
            **command_fields(command, self._journal.vault, job_id),
            "destination": submission.destination,
            "kind": KIND_OF_COMMAND[command.command],
            "subject": subject,
            "content": None if submission.follows else content_name(command),
            "issue": submission.issue,
            "follows": submission.follows,
        }
        if submission.family:
            fields["family"] = submission.family
        if submission.traceparent:
            fields["traceparent"] = submission.traceparent
        if submission.origin:
            fields["origin"] = sealed_origin(submission.origin, self._journal.vault, job_id)
        if wanted := submission.callback:
            fields |= {"callback_url": wanted.url, "callback_origin": wanted.origin, "callback_key": wanted.apikey}
        given = {name: str(value) for name, value in fields.items() if value is not None}
        given[signatures.SIGNATURE] = signatures.signature(self._journal.vault, job_id, given)
        return given

    async def _submit(self, job_id: str, submission: Submission, given: Mapping[str, str], waiting: str) -> Reply:
        """Store it in place of the job that waits for its subject, if that is the one."""
        command, subject = submission.command, submission.subject
        kind, identifier = content_name(command).split(":", 1)
        args = {
            "id": job_id,
            "fields": [part for pair in given.items() for part in pair],
            "idle": submission.follows is not None or None,
            "subject": subject,
            "waiting": waiting,
            "max_age_ms": submission.max_age_ms,
            "actor": submission.actor,
            "caller": submission.caller,
            "chosen": submission.chosen,
            "contents": dict(submission.contents or {}) or None,
            "idempotency": _remembered(submission),
            "fingerprint": submission.fingerprint,
            "remember_ms": REMEMBER_KEYS_MS,
            "not_before_ms": submission.not_before_ms,
            "until_ms": submission.until_ms,
            "terms": await self.overview.search.terms(
                [*submission.words, kind_word(KIND_OF_COMMAND[command.command]), job_id, submission.actor]
            ),
        }
        return await self._journal.commit(
            "jobs/submit",
            {k: v for k, v in args.items() if v is not None},
            Event.SUBMITTED,
            job=job_id,
            command=command.command.value,
            destination=submission.destination,
            subject=subject,
            **{kind: identifier},
            actor=submission.actor,
            supersedes=waiting or None,
        )

    async def hang(self, job_id: str, origin: Mapping[str, Any]) -> None:
        """Let what hangs on a producer's message follow its job, which is there already, unless something did or does."""
        sealed = sealed_origin(origin, self._journal.vault, job_id)
        await self._journal.query("jobs/hang", {"id": job_id, "origin": sealed})

    def origin_of(self, job: Job) -> dict[str, Any]:
        """What hangs on the message that the job came as; raises `KeyTrouble`."""
        return opened_origin(job, self._journal.vault)


def _job_of(job_id: str, submission: Submission, given: Mapping[str, str], told: Sequence[Any]) -> Job:
    """The job's record as it was stored just now: what was given, and the numbers that the script told."""
    order, now_ms, due_ms, expires_ms = map(int, told)
    return Job(
        id=job_id,
        command=with_fields(submission.command, {}),
        withheld=field_names(submission.command),
        sealed_fields=given.get("sealed_fields"),
        state=JobState.QUEUED,
        destination=submission.destination,
        kind=given["kind"],
        subject=submission.subject,
        order=order,
        created_ms=now_ms,
        updated_ms=now_ms,
        due_ms=due_ms,
        expires_ms=expires_ms,
        issue=submission.issue,
        follows=submission.follows,
        family=submission.family,
        traceparent=submission.traceparent,
        origin=given.get("origin"),
    )


def _remembered(submission: Submission) -> str | None:
    """What an idempotency key is remembered by."""
    key = submission.idempotency_key
    return hashlib.sha256(key.encode()).hexdigest() if key else None
