"""The ledger seen as a whole: pages of jobs and counts, from indexes that every transition keeps, never by a scan.

`jobs` and `state:S` hold all jobs, `jobs:D` and `state:S:D` those of one destination; the score is when the job was
submitted, so a page's end stays a place to go on from while jobs change their state.
"""

from __future__ import annotations

from collections.abc import Sequence

from redis.asyncio import Redis

from tasks.errors import Refused
from tasks.model import Frozen, Job, JobState
from tasks.state.jobs.records import readable, text
from tasks.state.journal import Journal


class JobFilter(Frozen):
    """Which jobs are meant; a field that is None stands for all."""

    state: JobState | None = None
    destination: str | None = None


class Count(Frozen):
    """How many jobs of a destination stand in a state, and when the oldest was submitted (epoch milliseconds)."""

    destination: str
    state: JobState
    count: int
    oldest_ms: int


class Overview:
    """Reads many jobs at once; each call costs as much as what it returns, however many jobs there are."""

    def __init__(self, redis: Redis, journal: Journal) -> None:
        self._redis = redis
        self._journal = journal
        self._prefix = journal.prefix

    async def statistics(self) -> list[Count]:
        """The number of jobs for each destination and state that has any, by destination."""
        rows = await self._journal.query("jobs/statistics", {})
        counts = [
            Count(destination=text(name), state=JobState(text(state)), count=int(count), oldest_ms=int(oldest))
            for name, state, count, oldest in rows
        ]
        return sorted(counts, key=lambda count: (count.destination, count.state))

    async def size(self, chosen: JobFilter) -> int:
        """How many jobs fit the filter now."""
        return int(await self._redis.zcard(self._index(chosen)))

    async def page(self, chosen: JobFilter, cursor: str | None, limit: int) -> tuple[list[str], str | None]:
        """Ids of jobs, newest first, and the cursor of the next page (None at the end). Raises `Refused`."""
        at, after = _place(cursor)
        args = {"index": self._index(chosen), "at": at, "after": after, "limit": limit}
        rows = [text(part) for part in await self._journal.query("jobs/page", args)]
        ids = rows[::2]
        return ids, f"{rows[-1]}-{ids[-1]}" if len(ids) == limit else None

    async def jobs(self, ids: Sequence[str]) -> list[Job]:
        """The records of these jobs in one round trip, without those that are gone, or only a newer version can read."""
        pipeline = self._redis.pipeline(transaction=False)
        for job_id in ids:
            pipeline.hgetall(f"{self._prefix}:job:{job_id}")
        stored = await pipeline.execute() if ids else []
        return [job for raw in stored if raw and (job := readable(raw))]

    def _index(self, chosen: JobFilter) -> str:
        whole = f"{self._prefix}:state:{chosen.state.value}" if chosen.state else f"{self._prefix}:jobs"
        return f"{whole}:{chosen.destination}" if chosen.destination is not None else whole


def _place(cursor: str | None) -> tuple[str, str]:
    if cursor is None:
        return "+inf", ""
    at, dash, after = cursor.partition("-")
    if not (at.isascii() and at.isdigit() and dash and after):
        raise Refused("This cursor is not one that a list gave.", code="bad_cursor", advice="Begin without one.")
    return at, after
