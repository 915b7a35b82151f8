"""What any worker's sweeper does for all: close intents left open, tell of ends, say goodbye, forget what is old."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from redis.asyncio import Redis

from tasks.model import Frozen
from tasks.state.audit.entries import Event
from tasks.state.jobs.reading import Reading
from tasks.state.journal import Journal
from tasks.state.stored import text

BATCH = 200
LONGEST_TEST_MS = 15 * 60 * 1000
TELL_LEASE_MS = 60_000  # of a worker that lives
TELL_AGAIN_MS = 2_000
DAY_MS = 24 * 3600 * 1000

Kind = Literal["finished:done", "finished:dead", "contents", "subjects"]


class Retention(Frozen):
    """How many days what is no longer needed stays, counted from its end or its last use."""

    jobs_days: float
    dead_days: float
    contents_days: float
    subjects_days: float

    def ages_ms(self) -> dict[Kind, int]:
        """The age at which each kind is forgotten."""
        days: dict[Kind, float] = {
            "finished:done": self.jobs_days,
            "finished:dead": self.dead_days,
            "contents": self.contents_days,
            "subjects": self.subjects_days,
        }
        return {kind: int(DAY_MS * value) for kind, value in days.items()}


class Upkeep:
    """The ledger's housekeeping. Every method is safe to run in any number of workers at once."""

    def __init__(self, redis: Redis, journal: Journal) -> None:
        self._redis: Any = redis  # redis-py's types for sets allow for a client that doesn't wait
        self._journal = journal
        self._jobs = Reading(redis, journal)

    async def close_orphans(self) -> int:
        """Close as unknown each intent whose attempt is over without an outcome, and return how many there were."""
        orphans = await self._journal.query("upkeep/orphans", {"batch": 5 * BATCH, "test_ms": LONGEST_TEST_MS})
        for intent, job_id, stage in ([text(part) for part in row] for row in orphans):
            detail = "no outcome was recorded"
            args = {"id": job_id, "intent": intent, "detail": {"detail": detail}}
            facts = (await self._jobs.about([job_id]))[job_id] | {
                "job": job_id or None,
                "intent": intent,
                "detail": detail,
            }
            await self._journal.commit("lua/outcome", args, Event(f"{stage}.unknown"), **facts)
        return len(orphans)

    async def goodbye(self, worker: str) -> None:
        """Take a worker that ends out of the list of those that live; the next one on this machine knows what it saw last."""
        memory = self._journal.memory
        reply = await self._journal.query("upkeep/goodbye", {"worker": worker, "seen": memory.seen})
        memory.saw(int(reply[1]))

    async def unsend(self, job_id: str) -> None:
        """Offer a job again at once, whose wake-up reached a worker that takes no more."""
        await self._journal.query("upkeep/unsend", {"id": job_id})

    async def to_tell(self, worker: str) -> list[str]:
        """Ids of jobs whose end this worker is to tell Celery of. Others are asked once it is gone, or a minute later."""
        args = {"batch": BATCH, "lease_ms": TELL_LEASE_MS, "worker": worker}
        return [text(i) for i in await self._journal.query("upkeep/to_tell", args)]

    async def tell_again(self, job_id: str) -> None:
        """Have the end of a job told once more: its result, not what hung on it."""
        await self._journal.query("upkeep/tell_again", {"id": job_id})

    async def told(self, worker: str, ends: Mapping[str, int], untold: Sequence[str] = ()) -> None:
        """Remember which of the ends that this worker was to tell are told: by job id, when its record had changed last
        (`updated_ms`). Those that couldn't be told are offered again soon.

        One that was retried and ended again meanwhile has another end to be told.
        """
        args = {"worker": worker, "ends": [[job_id, str(at_ms)] for job_id, at_ms in ends.items()]}
        await self._journal.query("upkeep/told", args | {"untold": list(untold), "pause_ms": TELL_AGAIN_MS})

    async def forget(self, kind: Kind, before_ms: int) -> int:
        """Forget one batch of what was last needed before that moment (epoch milliseconds); returns its size.

        Finished jobs go with their timeline, indexes and idempotency mark. A document, an issue or a subject stays
        while an unfinished job needs it. The audit has an entry for each batch; the trail itself stays whole.
        """
        args = {"kind": kind, "before_ms": before_ms}
        names = [text(i) for i in await self._journal.query("upkeep/ripe", args | {"batch": BATCH})]
        if names:
            facts = {"kind": kind, "before_ms": before_ms, "count": len(names)}
            await self._journal.commit("upkeep/trim", args | {"names": names}, Event.TRIMMED, **facts)
        return len(names)
