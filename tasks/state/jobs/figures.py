"""What the metrics show, read from the ledger in one look, so that any process can answer for all of them."""

from __future__ import annotations

from typing import Any

from tasks.model import Frozen
from tasks.state.journal import Journal
from tasks.state.stored import text

ATTEMPT_BOUNDS_MS = (100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 180_000)  # as in prelude.lua


class QueueFigures(Frozen):
    """A destination's jobs as the sweeper sees them. `lag_ms`: how long the most overdue one has been due."""

    destination: str
    due: int
    lag_ms: int
    sent: int
    running: int


class AttemptFigures(Frozen):
    """Ended attempts of a destination by outcome: how many took at most each bound (the last has none), and the sum."""

    destination: str
    outcome: str
    buckets: tuple[int, ...]
    total_ms: int


class Tally(Frozen):
    """A counter since this Redis was set up. `destination` is empty for those that don't exist."""

    destination: str
    name: str
    count: int


class Figures(Frozen):
    """One look at everything. Times in epoch milliseconds by the Redis server's clock."""

    now_ms: int
    queues: tuple[QueueFigures, ...]
    submitted: tuple[Tally, ...]
    entered: tuple[Tally, ...]
    attempts: tuple[AttemptFigures, ...]
    audit_entries: int
    audit_chains: int
    audit_oldest_ms: int
    audit_newest_ms: int


async def read_figures(journal: Journal) -> Figures:
    """The figures of now; raises `StateUnavailable`."""
    now_ms, queues, counters, (entries, chains, oldest, newest) = await journal.query("jobs/figures", {})
    pairs = dict(zip(counters[::2], counters[1::2], strict=True))
    tallies = [(text(name).split(" "), int(count)) for name, count in pairs.items()]
    return Figures(
        now_ms=int(now_ms),
        queues=tuple(sorted((_queue(row) for row in queues), key=lambda queue: queue.destination)),
        submitted=tuple(
            Tally(destination=words[0], name="submitted", count=count)
            for words, count in sorted(tallies)
            if words[1:] == ["submitted"]
        ),
        entered=tuple(
            Tally(destination=words[0], name=words[2], count=count)
            for words, count in sorted(tallies)
            if words[1] == "entered"
        ),
        attempts=_attempts(tallies),
        audit_entries=int(entries),
        audit_chains=int(chains),
        audit_oldest_ms=int(text(oldest).split("-")[0] or 0),
        audit_newest_ms=int(text(newest).split("-")[0] or 0),
    )


def _queue(row: list[Any]) -> QueueFigures:
    name, due, lag_ms, sent, running = row
    return QueueFigures(destination=text(name), due=due, lag_ms=lag_ms, sent=sent, running=running)


def _attempts(tallies: list[tuple[list[str], int]]) -> tuple[AttemptFigures, ...]:
    columns = [str(bound) for bound in ATTEMPT_BOUNDS_MS] + ["inf"]
    buckets: dict[tuple[str, str], list[int]] = {}
    totals: dict[tuple[str, str], int] = {}
    for words, count in tallies:
        if words[1] == "attempt" and words[3] in columns:
            buckets.setdefault((words[0], words[2]), [0] * len(columns))[columns.index(words[3])] = count
        elif words[1] == "attempt_ms":
            totals[words[0], words[2]] = count
    return tuple(
        AttemptFigures(destination=key[0], outcome=key[1], buckets=tuple(row), total_ms=totals.get(key, 0))
        for key, row in sorted(buckets.items())
    )
