"""Transitions that wait for Redis together: which of them one script runs, what each is answered, and where their chain stands."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from redis.exceptions import NoScriptError

from tasks.state.audit.entries import Event
from tasks.state.outages import OUTAGES, unavailable
from tasks.state.scripts import FREQUENT

TOGETHER = 16  # transitions of one script: no other client of Redis waits for long


@dataclass
class Pending:
    """One transition on its way: its script, its arguments, and the entry that describes it."""

    script: str
    args: Mapping[str, Any]
    event: Event
    data: str
    done: asyncio.Future[Reply]
    at_ms: int = 0
    seq: int = 0
    mac: str = ""
    alone: bool = False

    @property
    def runs_with(self) -> tuple[str, ...]:
        """The transitions that one script runs with this one."""
        return FREQUENT if self.script in FREQUENT else (self.script,)


@dataclass(frozen=True)
class Reply:
    """A script's answer: `ok`, `exists` or `refused` with its reason, the entry's place in the chain, and what the script
    read, as bytes; that is lost where the connection broke before the answer.
    """

    status: str
    reason: str = ""
    detail: str = ""
    intent: str = ""
    data: tuple[Any, ...] = ()

    @property
    def ok(self) -> bool:
        """True when the transition happened."""
        return self.status == "ok"


@dataclass
class Chain:
    """Where this process's chain stands: the number, MAC and time of the last entry that Redis took. `after` is the chain
    that this process wrote before, where Redis lost that.
    """

    name: str = field(default_factory=lambda: uuid.uuid4().hex[:16])
    seq: int = 0
    mac: str = ""
    at_ms: int = 0
    after: tuple[str, int, int] | None = None

    @property
    def head(self) -> str:
        """The head as the script compares it; empty before the first entry."""
        return f"{self.seq}:{self.mac}" if self.seq else ""

    def restarted(self) -> Chain:
        """The chain to write where Redis knows another head: it says which entry was written last."""
        return Chain(after=(self.name, self.seq, self.at_ms) if self.seq else self.after)


def runs_of(group: list[Pending]) -> list[list[Pending]]:
    """The group in its order, cut into what one script runs each."""
    runs: list[list[Pending]] = []
    for pending in group:
        last = runs[-1] if runs else []
        fits = last and last[0].runs_with == pending.runs_with and len(last) < TOGETHER
        if fits and not (pending.alone or last[0].alone):
            last.append(pending)
        else:
            runs.append([pending])
    return runs


def answers_of(runs: list[list[Pending]], replies: list[Any]) -> list[Any]:
    """The answer to each transition. Where one made the script of several fail, none of them happened: each is run alone."""
    each: list[Any] = []
    for run, reply in zip(runs, replies, strict=True):
        if not isinstance(reply, Exception):
            each += reply
        elif len(run) == 1 or isinstance(reply, NoScriptError) or unavailable(reply).code in OUTAGES:
            each += [reply] * len(run)
        else:
            for pending in run:
                pending.alone = True
            each += [[b"chain"]] * len(run)
    return each


def shown(data: Mapping[str, Any]) -> str:
    """What the audit shows, as it is signed."""
    return json.dumps({k: v for k, v in data.items() if v is not None}, separators=(",", ":"), sort_keys=True)


def parts_of(reply: list[Any]) -> tuple[str, str, str, tuple[Any, ...]]:
    """A script's answer: its status, reason and detail as text, and what follows as it came."""
    told = [part.decode() if isinstance(part, bytes) else str(part) for part in reply[:3]]
    status, reason, detail = (*told, "", "")[:3]
    return status, reason, detail, tuple(reply[3:])


def index_of(group: list[Pending], head: str) -> int:
    """The place in the group of the entry that is the head, -1 where it is none of them."""
    return (
        next((index for index, pending in enumerate(group) if f"{pending.seq}:{pending.mac}" == head), -1)
        if head
        else -1
    )
