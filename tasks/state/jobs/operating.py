"""What people do to a job: retry, cancel, release. Each is one transition with its audit entry, or a refusal that says why."""

from __future__ import annotations

from typing import Any

from tasks.errors import Refused
from tasks.model import TERMINAL, Job, JobState
from tasks.state.audit.entries import Event
from tasks.state.batch import Reply
from tasks.state.jobs import signatures
from tasks.state.jobs.overview import JobFilter
from tasks.state.jobs.reading import Reading, is_timeline
from tasks.state.stored import texts

RESTING = (JobState.QUEUED, JobState.RETRYING, JobState.HELD, JobState.DEAD)


class Operating(Reading):
    """Jobs as operators act on them."""

    async def retry(self, job_id: str, actor: str, reason: str = "", *, subject: str | None = None) -> Job:
        """Queue a dead job again, with its attempts and age reset; as another `subject` where its content changed that."""
        return await self._operate(
            job_id,
            (JobState.DEAD,),
            JobState.QUEUED,
            Event.RETRIED,
            actor=actor,
            reason=reason,
            subject=subject,
            signed=await self._signed_anew(job_id, subject) if subject else None,
        )

    async def _signed_anew(self, job_id: str, subject: str) -> str | None:
        """The signature of a job that moves to another subject; None where it isn't as it was submitted."""
        raw = await self._redis.hgetall(self._key("job", job_id))
        record = texts(raw)
        if signatures.doubt_of(self._journal.vault, job_id, record):
            return None
        return signatures.signature(self._journal.vault, job_id, record | {"subject": subject})

    async def cancel(self, job_id: str, actor: str, reason: str = "", *, superseded_by: str | None = None) -> Job:
        """End a job that isn't running; it may say which job took its place."""
        return await self._operate(
            job_id,
            RESTING,
            JobState.CANCELLED,
            Event.CANCELLED,
            actor=actor,
            reason=reason,
            superseded_by=superseded_by,
        )

    async def release(self, job_id: str, actor: str, reason: str = "") -> Job:
        """Let a held job go on: what was held passes, what policy blocks goes out redacted."""
        return await self._operate(
            job_id,
            (JobState.HELD,),
            JobState.QUEUED,
            Event.RELEASED,
            actor=actor,
            reason=reason,
            released=True,
            release_seal=signatures.release(self._journal.vault, job_id),
        )

    async def _operate(
        self,
        job_id: str,
        states: tuple[JobState, ...],
        to: JobState,
        event: Event,
        *,
        actor: str,
        reason: str = "",
        **extra: Any,
    ) -> Job:
        args = {"id": job_id, "from": list(states), "to": to, "actor": actor, "reason": reason}
        args |= {k: v for k, v in extra.items() if v is not None}
        if is_timeline(job_id):
            await self.require(job_id)
        facts = (await self.about([job_id]))[job_id] | {"job": job_id, "actor": actor, "reason": reason or None}
        reply = await self._journal.commit("jobs/operate", args, event, **facts)
        if not reply.ok:
            code = "unknown_job" if reply.reason == "unknown" else "wrong_state"
            message, advice = _why_not(job_id, reply, states)
            raise Refused(message, code=code, advice=advice)
        return await self.require(job_id)

    async def announce_bulk(self, verb: str, chosen: JobFilter, total: int, *, actor: str, reason: str) -> None:
        """Put an operator's action on many jobs into the audit, before the first of them is touched."""
        event = {"retry": Event.BULK_RETRIED, "cancel": Event.BULK_CANCELLED, "release": Event.BULK_RELEASED}[verb]
        facts = chosen.model_dump(mode="json", exclude_none=True) | {
            "total": total,
            "actor": actor,
            "reason": reason or None,
        }
        await self._journal.commit("lua/record", {}, event, **facts)


def _why_not(job_id: str, reply: Reply, states: tuple[JobState, ...]) -> tuple[str, str]:
    """What is in the way, and what to do."""
    allowed = f"{', '.join(states[:-1])} or {states[-1]}" if len(states) > 1 else states[0]
    ended = reply.detail in {state.value for state in TERMINAL - {JobState.DEAD}}
    reasons = {
        "unknown": (f"There is no job {job_id!r}.", "`afterword job list` shows them."),
        "state": (
            f"Job {job_id} is {reply.detail}; this is possible only while it is {allowed}.",
            "It has ended: submit a new job." if ended else "Look at it again: it may have changed meanwhile.",
        ),
        "stale": (f"A newer job of the same subject, {reply.detail}, was delivered.", "Submit a new job instead."),
        "rival": (f"A newer job of the same subject, {reply.detail}, is under way.", "Wait for it, or cancel it."),
    }
    return reasons.get(reply.reason, (f"The ledger refused: {reply.reason}.", ""))
