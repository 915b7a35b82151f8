"""What the first entry of a chain says about the whole trail: how all chains stood when this one began.

Every process writes a chain of its own, many of a single entry. Somebody who removes such a chain with its head leaves
the other chains as they were. But each later chain's first entry holds the total of all heads before it, under its MAC.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from tasks.state.audit.checkpoint import Checkpoint, Gone
from tasks.state.audit.heads import HeadSum, Total
from tasks.state.stored import texts

SEEN, AFTER = "trail_seen", "trail_after"


@dataclass(frozen=True)
class Standing:
    """How the chains stand at one moment, by the server's clock: `trimmed` says how far they were at the last trim, and
    `gone` stands for those that even that doesn't name.
    """

    at_ms: int
    last_id: str
    heads: dict[str, str]
    trimmed: dict[str, str]
    gone: Gone | None = None

    def total(self) -> Total:
        """What stands for all heads, those of trimmed chains as well."""
        summed = self.gone.sum() if self.gone else HeadSum()
        for chain, head in (self.trimmed | self.heads).items():
            summed.add(chain, head)
        return summed.total()


@dataclass(frozen=True)
class Opening:
    """The trail as a chain's writer saw it; `after` names its writer's chain before, with the last number and its time."""

    last_id: str
    total: Total
    after: tuple[str, int, int] | None = None


async def standing(redis: Redis, prefix: str) -> Standing:
    """How the chains stand now, all read in one step."""
    pipeline: Any = redis.pipeline(transaction=True)  # redis-py's types don't know that a pipeline only collects
    pipeline.hgetall(f"{prefix}:audit:heads").get(f"{prefix}:audit:base").get(f"{prefix}:audit:gone")
    heads, base, gone, newest, clock = await pipeline.xrevrange(f"{prefix}:audit", count=1).time().execute()
    return Standing(
        at_ms=clock[0] * 1000 + clock[1] // 1000,
        last_id=newest[0][0].decode() if newest else "0-0",
        heads=texts(heads),
        trimmed=_trimmed(base),
        gone=gone_of(base, gone),
    )


def _trimmed(base: bytes | None) -> dict[str, str]:
    try:
        return dict(Checkpoint.model_validate_json(base).heads) if base else {}
    except ValueError:
        return {}  # the total then differs from what it was: that shows


def gone_of(base: bytes | None, gone: bytes | None) -> Gone | None:
    """What is kept of the chains that went, where it belongs to this base; an older version leaves the one of another."""
    if base is None or gone is None:
        return None
    try:
        found = Gone.model_validate_json(gone)
        return found if found.base == Checkpoint.model_validate_json(base).mac else None
    except ValueError:
        return None  # the total then differs from what it was: that shows


def opened(data: str, seen: Standing, after: tuple[str, int, int] | None) -> str:
    """The data of an entry that begins a chain: its own, and what its writer saw."""
    total = seen.total()
    facts = json.loads(data) | {SEEN: f"{seen.last_id.replace('-', '.')} {total.entries} {total.chains} {total.digest}"}
    if after:
        facts[AFTER] = " ".join(map(str, after))
    return json.dumps(facts, separators=(",", ":"), sort_keys=True)


def opening_of(data: bytes) -> Opening | None:
    """What an entry's data says of that; None where it says nothing, as the chains of version 0.1."""
    try:
        facts = json.loads(data)
        last_id, entries, chains, digest = facts[SEEN].split(" ")
        name, seq, at_ms = facts[AFTER].split(" ") if AFTER in facts else ("", "0", "0")
        total = Total(entries=int(entries), chains=int(chains), digest=digest)
        return Opening(last_id.replace(".", "-"), total, (name, int(seq), int(at_ms)) if name else None)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
