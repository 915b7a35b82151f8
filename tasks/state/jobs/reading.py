"""Reading the ledger: one job, its timeline, what is known of its subject, lists and counts. Nothing here changes anything."""

from __future__ import annotations

import builtins
import json
import re
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from tasks.errors import Refused
from tasks.model import Job, JobState, Receipt
from tasks.state.jobs.overview import Count, JobFilter, Overview
from tasks.state.jobs.records import job_of
from tasks.state.jobs.transitions import Shown, Subject
from tasks.state.journal import Journal
from tasks.state.stored import text

SUBJECT_FIELDS = ["receipt", "doubt_until_ms", "delivered_ms", "tried", "shown", "wrote", "receipt_seal"]
SHORTEST_BEGINNING = 4
SHOWN = 5  # jobs that are named where a beginning fits several
TURNS = (
    10  # looks for the first job of a page, each at `MOST_LOOKED_AT` at most: other clients of Redis come in between
)
PART = 2000  # ids that Redis looks at in one go: about a millisecond
_SPECIAL = re.compile(r"[\\*?\[\]^-]")  # what means more than itself in a pattern of Redis
TIMELINE = "events"  # a job's timeline stands beside its record, under this further part of its key


class Reading:
    """Jobs as they stand."""

    def __init__(self, redis: Redis, journal: Journal) -> None:
        self._redis = redis
        self._journal = journal
        self._prefix = journal.prefix
        self.overview = Overview(redis, journal)

    async def holds(self, job_id: str) -> bool:
        """Whether there is a record of that id, also one that only a newer version can read."""
        return bool(await self._redis.exists(self._key("job", job_id)))

    async def require(self, job_id: str) -> Job:
        """The job of that id; raises `Refused` where there is none."""
        job = await self.get(job_id)
        if job is None:
            raise Refused(f"There is no job {job_id!r}.", code="unknown_job", advice="`afterword job list` shows them.")
        return job

    async def find(self, beginning: str) -> Job:
        """The job of that id, or the only one whose id begins so; raises `Refused` where there is none, or several."""
        if (job := await self.get(beginning)) is not None:
            return job
        if len(beginning) < SHORTEST_BEGINNING:
            raise Refused(
                f"There is no job {beginning!r}.",
                code="unknown_job",
                advice=f"Give its whole id, or at least {SHORTEST_BEGINNING} characters of its beginning.",
            )
        found = await self._beginning_with(beginning)
        if len(found) > 1:
            raise Refused(
                f"{len(found) if len(found) <= SHOWN else 'Several'} jobs begin with {beginning!r}: "
                f"{', '.join(sorted(found)[:SHOWN])}.",
                code="ambiguous_job",
                advice="Give more of its id.",
            )
        return await self.require(found[0] if found else beginning)

    async def _beginning_with(self, beginning: str) -> builtins.list[str]:
        """Some of the ids that begin so, more than one where there are several."""
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.zrangebylex(self._key("ids"), f"[{beginning}", b"[" + beginning.encode() + b"\xff", 0, SHOWN + 1)
        pipeline.zcard(self._key("ids"))
        pipeline.zcard(self._key("jobs"))
        found, indexed, whole = await pipeline.execute()
        ids = {text(job_id) for job_id in found}
        return builtins.list(ids if indexed >= whole else ids | await self._walked(beginning))

    async def _walked(self, beginning: str) -> set[str]:
        """The same from the index of all jobs, a part at a time: as long as there are jobs of 0.2 or an older version, which
        the index of ids doesn't have.
        """
        pattern = _SPECIAL.sub(r"\\\g<0>", beginning) + "*"
        found: set[str] = set()
        async for job_id, _ in self._redis.zscan_iter(self._key("jobs"), match=pattern, count=PART):
            found.add(text(job_id))
            if len(found) > SHOWN:
                break
        return found

    async def get(self, job_id: str) -> Job | None:
        """The job of that id, or None."""
        if is_timeline(job_id):
            return None
        raw = await self._journal.reads.hgetall(self._key("job", job_id))
        return job_of(raw) if raw else None

    async def list(
        self, chosen: JobFilter | None = None, cursor: str | None = None, limit: int = 50
    ) -> tuple[list[Job], str | None]:
        """Jobs that fit a filter, newest first, and the cursor of the next page (None at the end). Raises `Refused`.

        A page may hold fewer than `limit` and still have a next one, and none at all where nothing fits among 200,000.
        """
        following = cursor
        for _ in range(TURNS):
            ids, following = await self.overview.page(chosen or JobFilter(), following, limit)
            if ids or following is None:
                break
        return await self.overview.jobs(ids), following

    async def has_jobs(self, destination: str) -> bool:
        """Whether there are jobs of that destination, also of one that was removed."""
        return bool(await self.overview.size(JobFilter(destination=destination)))

    async def statistics(self) -> builtins.list[Count]:
        """How many jobs each destination has in each state; as cheap with a hundred thousand jobs as with ten."""
        return await self.overview.statistics()

    async def counts(self) -> dict[str, int]:
        """How many jobs stand in each state."""
        pipeline = self._redis.pipeline(transaction=False)
        for state in JobState:
            pipeline.zcard(self._key("state", state))
        return dict(zip((state.value for state in JobState), await pipeline.execute(), strict=True))

    async def events(self, job_id: str) -> Sequence[dict[str, Any]]:
        """A job's timeline, oldest first."""
        return [json.loads(raw) for raw in await self._redis.lrange(self._key("job", job_id, TIMELINE), 0, -1)]

    async def about(self, job_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        """What these jobs are about, by id: `destination`, and `document` or `issue`; nothing of those that are forgotten."""
        pipeline = self._redis.pipeline(transaction=False)
        for job_id in job_ids:
            pipeline.hmget(self._key("job", job_id), ["destination", "content"])
        found = {}
        for job_id, (destination, content) in zip(job_ids, await pipeline.execute(), strict=True):
            kind, _, identifier = text(content or b"").partition(":")
            facts = {"destination": text(destination or b""), kind: identifier}
            found[job_id] = {name: value for name, value in facts.items() if name and value}
        return found

    async def subject(self, subject: str) -> Subject:
        """What is known of a subject's remote object."""
        return subject_of(await self._redis.hmget(self._key("subject", subject), SUBJECT_FIELDS))

    def _key(self, *parts: str) -> str:
        return ":".join((self._prefix, *parts))


def subject_of(raw: Sequence[Any]) -> Subject:
    """What is known of a subject, from its `SUBJECT_FIELDS`."""
    receipt, doubt_until_ms, delivered_ms, tried, shown, wrote, seal = raw
    return Subject(
        receipt=Receipt.model_validate_json(receipt, extra="ignore") if receipt else None,
        doubt_until_ms=int(doubt_until_ms) if doubt_until_ms else None,
        delivered_ms=int(delivered_ms) if delivered_ms else None,
        tried=text(tried) if tried else None,
        shown=Shown.model_validate_json(shown, extra="ignore") if shown else Shown(),
        wrote=text(wrote) if wrote else None,
        receipt_text=text(receipt) if receipt else None,
        receipt_seal=text(seal) if seal else None,
    )


def is_timeline(job_id: str) -> bool:
    """Whether the record of a job of that id would stand where the timeline of another does."""
    return job_id.endswith(f":{TIMELINE}")
