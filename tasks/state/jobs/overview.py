"""The ledger seen as a whole: pages of jobs and counts, from indexes that every transition keeps, never by a scan.

`jobs`, `state:S` and `cause:S:C` hold all jobs, `jobs:D`, `state:S:D` and `cause:S:C:D` those of one destination, and
`find:T` those that a term finds; the score is when the job was submitted, so a page's end stays a place to go on from
while jobs change their state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from redis.asyncio import Redis

from tasks.errors import Refused
from tasks.model import Frozen, Job, JobState
from tasks.state.jobs.records import readable
from tasks.state.jobs.search import Search
from tasks.state.journal import Journal
from tasks.state.stored import text
from tasks.state.wrong_types import all_of

SLOT_MS = 300_000  # as the scripts count
HISTORY_MS = 8 * 86_400_000  # for which the scripts keep them
MOST_LOOKED_AT = 20_000  # jobs that one page looks at where words or dates narrow it: some tens of milliseconds
PATIENCE = 2_000  # jobs that it looks at, newest first, before it has Redis intersect the indexes as a whole
MOST_INTERSECTED = 100_000  # jobs in the smallest index for that: a tenth of a second at most
SAMPLE = 1_000  # of those, from which it is estimated how many fit
MOST_IN_COMMON = 5_000  # jobs that this may give; where more fit, a page is soon found by looking on


class JobFilter(Frozen):
    """Which jobs are meant; a field that is None stands for all. `text` are words that each must occur in what a job is
    found by; `cause` is an error's code, with its status behind a blank where it has one, of dead jobs where no state
    is named; `kind` is the kind of destination. A job fits that was submitted from `since_ms` on and before `until_ms` (epoch milliseconds).
    """

    state: JobState | None = None
    destination: str | None = None
    cause: str | None = None
    kind: str | None = None
    text: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None


class Count(Frozen):
    """How many jobs of a destination stand in a state, and when the oldest was submitted (epoch milliseconds)."""

    destination: str
    state: JobState
    count: int
    oldest_ms: int


class Cause(Frozen):
    """An error that jobs of one state share: how many, when the oldest and the newest were submitted (epoch
    milliseconds), and the newest job as an example.
    """

    name: str
    count: int
    oldest_ms: int
    newest_ms: int
    example: str


class Slot(Frozen):
    """What happened in a stretch of time, by destination and then by what: `submitted`, a state that jobs entered, or
    `took` with the longest time of a delivery in milliseconds (`took 5000`, `took inf`).
    """

    at_ms: int
    counts: dict[str, dict[str, int]]


class Overview:
    """Reads many jobs at once; each call costs as much as what it returns, however many jobs there are."""

    def __init__(self, redis: Redis, journal: Journal) -> None:
        self._redis = redis
        self._journal = journal
        self._prefix = journal.prefix
        self.search = Search(redis, journal.vault, journal.prefix)
        self._past: dict[int, Slot] = {}  # slots that are over, which nothing changes any more

    async def statistics(self) -> list[Count]:
        """The number of jobs for each destination and state that has any, by destination."""
        rows = await self._journal.query("jobs/statistics", {})
        counts = [
            Count(destination=text(name), state=JobState(text(state)), count=int(count), oldest_ms=int(oldest))
            for name, state, count, oldest in rows
        ]
        return sorted(counts, key=lambda count: (count.destination, count.state))

    async def causes(self, state: JobState, destination: str | None = None) -> list[Cause]:
        """Why jobs that are retrying, held or dead are so: every error that any of them has, the most frequent first."""
        rows = await self._journal.query("jobs/causes", {"state": state, "destination": destination or ""})
        causes = [
            Cause(name=text(name), count=int(count), oldest_ms=int(oldest), newest_ms=int(newest), example=text(job_id))
            for name, count, oldest, job_id, newest in rows
        ]
        return sorted(causes, key=lambda cause: (-cause.count, cause.name))

    async def history(self, since_ms: int, until_ms: int) -> list[Slot]:
        """What happened, in slots of five minutes, oldest first, kept for eight days; slots without anything are left out."""
        moments = range(since_ms - since_ms % SLOT_MS, until_ms, SLOT_MS)
        asked = [at_ms for at_ms in moments if at_ms not in self._past]
        pipeline = self._redis.pipeline(transaction=False)
        for at_ms in asked:
            pipeline.hgetall(f"{self._prefix}:history:{at_ms}")
        read = {
            at_ms: Slot(at_ms=at_ms, counts=_by_destination(counts))
            for at_ms, counts in zip(asked, await pipeline.execute(), strict=True)
        }
        slots = [read[at_ms] if at_ms in read else self._past[at_ms] for at_ms in moments]
        over_ms = self._journal.clock.now_ms() - 2 * SLOT_MS
        self._past |= {at_ms: slot for at_ms, slot in read.items() if at_ms <= over_ms}
        for at_ms in [at_ms for at_ms in self._past if at_ms < over_ms - HISTORY_MS]:
            del self._past[at_ms]
        return [slot for slot in slots if slot.counts]

    async def size(self, chosen: JobFilter) -> int:
        """How many jobs fit a filter of state, destination and cause now."""
        return int(await self._redis.zcard(self._index(chosen)))

    async def page(self, chosen: JobFilter, cursor: str | None, limit: int) -> tuple[list[str], str | None]:
        """Ids of jobs, newest first, and the cursor of the next page (None at the end). Raises `Refused`.

        A page may hold fewer than `limit` and still have a next one: it looks at so many jobs and no more.
        """
        at, after = _place(cursor)
        if chosen.until_ms is not None and cursor is None:
            at = f"({chosen.until_ms}"
        indexes = [self._index(chosen), *(f"{self._prefix}:find:{term}" for term in await self._terms(chosen))]
        least = "-inf" if chosen.since_ms is None else str(chosen.since_ms)
        most = {"most": MOST_LOOKED_AT, "patience": PATIENCE, "whole": MOST_INTERSECTED}
        most |= {"sample": SAMPLE, "met": MOST_IN_COMMON}
        args = {"indexes": indexes, "at": at, "after": after, "least": least, "limit": limit, **most}
        rows, onward, last = await self._journal.query("jobs/page", args)
        return [text(part) for part in rows[::2]], f"{text(onward)}-{text(last)}" if onward else None

    async def _terms(self, chosen: JobFilter) -> list[str]:
        terms = await self.search.terms([chosen.text]) if chosen.text else []
        return terms + (await self.search.terms([kind_word(chosen.kind)]) if chosen.kind else [])

    async def jobs(self, ids: Sequence[str]) -> list[Job]:
        """The records of these jobs in one round trip, without those that are gone, that only a newer version can read, or
        that are none.
        """
        pipeline = self._redis.pipeline(transaction=False)
        for job_id in ids:
            pipeline.hgetall(f"{self._prefix}:job:{job_id}")
        stored = all_of(await pipeline.execute(raise_on_error=False), None) if ids else []
        return [job for raw in stored if raw and (job := readable(raw))]

    def _index(self, chosen: JobFilter) -> str:
        parts = ["state", chosen.state.value] if chosen.state else ["jobs"]
        if chosen.cause is not None:
            parts = ["cause", (chosen.state or JobState.DEAD).value, chosen.cause]
        return ":".join((self._prefix, *parts, *([chosen.destination] if chosen.destination is not None else [])))


def kind_word(kind: str) -> str:
    """The word that jobs of a kind of destination are found by; no text has it."""
    return "kind0" + kind.replace("_", "")


def _by_destination(counts: Mapping[bytes, bytes]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for name, count in counts.items():
        destination, _, what = text(name).partition(" ")
        found.setdefault(destination, {})[what] = int(count)
    return found


def _place(cursor: str | None) -> tuple[str, str]:
    if cursor is None:
        return "+inf", ""
    at, dash, after = cursor.partition("-")
    if not (at.isascii() and at.isdigit() and dash and after):
        raise Refused("This cursor is not one that a list gave.", code="bad_cursor", advice="Begin without one.")
    return at, after
