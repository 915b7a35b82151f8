"""Which objects belong to one issue, and which links each of them shows: the record behind cross-links."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from redis.asyncio import Redis

from tasks.model import Command, Frozen
from tasks.state.journal import Journal

log = logging.getLogger(__name__)

UNREADABLE_PAUSE_MS = 10 * 60_000


class Member(Frozen):
    """One delivered object of an issue. `key` names it for good; `shows` are the keys of the links that are on it.

    `job` is the producer's job that delivered it last, `order` that job's number among its subject's.
    """

    key: str
    kind: str
    destination: str
    title: str
    url: str
    job: str
    order: int
    command: Command
    shows: tuple[str, ...] = ()


@dataclass(frozen=True)
class Membership:
    """What a settlement writes into the record of an issue; without a member the object leaves it."""

    issue: str
    member: Member | None

    def arguments(self) -> dict[str, str]:
        """As the script takes it."""
        entry = {"entry": self.member.model_dump_json(exclude_none=True)} if self.member else {}
        return {"issue": self.issue} | entry


@dataclass(frozen=True)
class Busy:
    """A job that waits or runs for a subject of the issue. Time in epoch milliseconds."""

    subject: str
    created_ms: int
    follows: bool


@dataclass(frozen=True)
class Due:
    """An issue whose links have to be looked at; `score` says which mark was seen."""

    issue: str
    score: str
    members: dict[str, Member]
    busy: tuple[Busy, ...]
    now_ms: int


class Links:
    """The records of issues."""

    def __init__(self, redis: Redis, journal: Journal) -> None:
        self._redis: Any = redis  # replies are bytes; redis-py's types allow for str as well
        self._journal = journal

    async def members(self, issue: str) -> dict[str, Member]:
        """The issue's delivered objects, by subject."""
        return members_of(await self._redis.hgetall(f"{self._journal.prefix}:links:{issue}"))

    async def due(self, batch: int = 50, *, ahead_ms: int = 0) -> list[Due]:
        """Issues in which something ended since their links were last looked at, and nothing for ten seconds (less
        `ahead_ms`).
        """
        found = []
        for row in await self._journal.query("followups/links_due", {"batch": batch, "ahead_ms": ahead_ms}):
            issue, score, members, busy, now_ms = (part.decode() for part in row)
            pairs = json.loads(members)
            try:
                known = {subject: _member(entry) for subject, entry in zip(pairs[::2], pairs[1::2], strict=True)}
            except ValidationError:
                log.warning("the links of issue %s can't be read; a newer version may have written them", issue)
                await self._seen(issue, score, int(now_ms) + UNREADABLE_PAUSE_MS)
                continue
            found.append(
                Due(
                    issue=issue,
                    score=score,
                    members=known,
                    busy=tuple(Busy(subject, int(at), bool(follows)) for subject, at, follows in json.loads(busy)),
                    now_ms=int(now_ms),
                )
            )
        return found

    async def done(self, due: Due, again_ms: int | None) -> None:
        """The issue was seen to; look again at `again_ms` (epoch milliseconds) where that is given."""
        await self._seen(due.issue, due.score, again_ms)

    async def _seen(self, issue: str, score: str, again_ms: int | None) -> None:
        args = {"issue": issue, "score": score} | ({"again_ms": again_ms} if again_ms is not None else {})
        await self._journal.query("followups/links_done", args)


def members_of(stored: Mapping[bytes, bytes]) -> dict[str, Member]:
    """An issue's objects by subject, from its record as stored."""
    return {subject.decode(): _member(entry) for subject, entry in stored.items()}


def _member(entry: str | bytes) -> Member:
    """A stored member, also one that a neighbouring version wrote: what it has besides is ignored."""
    return Member.model_validate_json(entry, extra="ignore")
