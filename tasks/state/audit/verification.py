"""Verifies an audit trail, entry by entry: MACs, the order in each chain, heads, and what was said of the trail elsewhere.

What speaks for a trail as a whole are *witnesses*: checkpoints kept outside Redis, and what a process that verifies remembers
of its own chain. The first entry of every chain also says how all chains stood when it began, so one witness of one chain
vouches for everything before that chain, and chains that were removed show against those that came later.
"""

from __future__ import annotations

import hmac
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tasks.errors import KeyTrouble
from tasks.model import Frozen
from tasks.state.audit.checkpoint import Checkpoint, Gone, problems_of
from tasks.state.audit.entries import SIGNED, Event
from tasks.state.audit.heads import HeadSum, Total, order, packed, position
from tasks.state.audit.opening import Opening, opening_of
from tasks.state.stored import text
from tasks.state.vault import Vault

CLOCK_TOLERANCE_MS = 10 * 60 * 1000
MOST_PROBLEMS = 100
MOST_UNDONE = 20_000  # entries between the moment that an opening speaks of and the opening itself
COVERED = tuple(name.encode() for name in SIGNED)
SUBMITTED = Event.SUBMITTED.value.encode()
ACCEPTED = Event.AUDIT_ACCEPTED.value.encode()
UNCOUNTED = "uncounted"
FIRST = (0, b"")

Place = tuple[int, int]


class Stamped(Frozen):
    """What somebody outside says of the checkpoints: how many have his time stamp, and when the first and the newest of them were
    made (epoch milliseconds by his clock). `unchecked` weren't looked at, because no certificate says who may be believed.
    """

    checkpoints: int = 0
    since_ms: int | None = None
    until_ms: int | None = None
    unchecked: int = 0


class AuditReport(Frozen):
    """The result of a verification.

    `ok` and the verdict `complete` mean: every entry from `since_ms` on is there and unchanged, up to `compared_ms`, the
    newest moment that something outside Redis speaks of. `uncounted` jobs were counted as submitted by the ledger and are not named
    in the trail. `unknown`: nothing is wrong, but nothing outside Redis shows what
    was there before `unknown_before_ms`, so entries may be missing. `broken`: `problems` names each entry, chain or
    checkpoint that doesn't hold. `stamped` says which checkpoints have a time stamp from outside, where any has. Times in epoch
    milliseconds.
    """

    ok: bool
    verdict: Literal["complete", "unknown", "broken"]
    entries: int
    chains: int
    checkpoints: int = 0
    since_ms: int | None = None
    unknown_before_ms: int | None = None
    compared_ms: int | None = None
    uncounted: int = 0
    stamped: Stamped | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Anchor:
    """What somebody said of the whole trail as it was up to the entry at `place`."""

    name: str
    place: Place
    at_ms: int
    total: Total
    heads: Mapping[str, str] = field(default_factory=dict)
    outside: bool = False


@dataclass(frozen=True)
class Own:
    """What the verifying process knows of its own chain: its name, its head, and when the last entry was written."""

    chain: str
    head: str
    at_ms: int


@dataclass
class Verification:
    """One walk over a trail. Feed it every entry in order, then ask for the report."""

    vault: Vault
    checkpoints: tuple[Checkpoint, ...] = ()
    base: Checkpoint | None = None
    gone: Gone | None = None
    own: Own | None = None
    last: dict[bytes, tuple[int, bytes]] = field(default_factory=dict)
    entries: int = 0
    submitted: int = 0
    uncounted: int = 0
    stamped: Stamped | None = None
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._trimmed = dict(self.base.heads) if self.base else {}
        self._cut: Place = order(self.base.last_id) if self.base else (0, 0)
        self._keys: dict[bytes, bytes] = {}
        self._undone: deque[tuple[Place, bytes, tuple[int, bytes]]] = deque(maxlen=MOST_UNDONE)
        self._changed: set[bytes] = set()
        self._summed: dict[bytes, tuple[int, bytes]] = {}
        self._known_damage = (0, 0)
        self._anchored: list[int] = []
        self._witnessed: list[int] = []
        self._restarts: list[tuple[str, Opening]] = []
        self._began_ms: int | None = None
        self._closed = False  # an export: its end is signed
        if self.base:
            self.problems += problems_of(self.base, self.vault)
        self.gone = self.gone if self.base and self.gone and self.gone.base == self.base.mac else None
        if self.gone:
            self.problems += problems_of(self.gone, self.vault)
        self._sum = self.gone.sum() if self.gone else HeadSum()
        kept = [point for point in self.checkpoints if order(point.last_id) >= self._cut]
        for point in kept:
            self.problems += problems_of(point, self.vault)
        self._of_statements = len(self.problems)
        self._accepted_ms: int | None = None
        self._uncounted = 0
        self._missing = {
            (chain, head): point.at_ms for point in kept if point.total is None for chain, head in point.heads.items()
        }
        self._older = [point for point in kept if point.total is None]
        for chain, head in self._trimmed.items():
            self.last[chain.encode()] = (position(head), head.partition(":")[2].encode())
            self._changed.add(chain.encode())
            self._missing.pop((chain, head), None)
        anchors = [
            Anchor(f"checkpoint of {p.at_ms}", order(p.last_id), p.at_ms, p.total, p.heads, outside=True)
            for p in kept
            if p.total
        ]
        self._anchors = sorted(anchors, key=lambda anchor: anchor.place, reverse=True)
        self._next: Place | None = self._anchors[-1].place if self._anchors else None

    def take(self, identifier: bytes, fields: Mapping[bytes, bytes]) -> None:
        """Check one entry, as the stream holds it."""
        self.entries += 1
        try:
            chain, seq, mac = fields[b"chain"], int(fields[b"seq"]), fields[b"mac"]
            first, _, rest = identifier.partition(b"-")
            place = (int(first), int(rest))
            before = self.last.get(chain, FIRST)
            message = packed(before[1], *[fields[name] for name in COVERED])
            made = hmac.digest(self._key(fields[b"key"]), message, "sha256").hex().encode()
            genuine = hmac.compare_digest(made, mac)
            late = abs(place[0] - int(fields[b"at"])) > CLOCK_TOLERANCE_MS
        except KeyTrouble as trouble:
            self.problems.append(f"entry {text(identifier)}: {trouble.message}")
            return
        except (KeyError, ValueError):
            self.problems.append(f"entry {text(identifier)}: not an audit entry")
            return
        while self._next is not None and place > self._next:
            self._pass_anchor()
        self.last[chain] = (seq, mac)
        self._changed.add(chain)
        self._undone.append((place, chain, before))
        if self._missing:
            self._missing.pop((text(chain), f"{seq}:{text(mac)}"), None)
        self.submitted += fields[b"event"] == SUBMITTED
        if seq != before[0] + 1:
            self._say(identifier, f"number {seq} of chain {text(chain)} follows number {before[0]}")
        elif not genuine:
            self._say(identifier, f"number {seq} of chain {text(chain)} was changed")
        elif late:
            self._say(identifier, "its time differs from the server's by more than ten minutes")
        elif fields[b"event"] == ACCEPTED:
            self._accept(place, fields[b"data"])
        elif seq == 1 and (opening := opening_of(fields[b"data"])):
            self._open(text(chain), place, opening)

    def _accept(self, place: Place, data: bytes) -> None:
        """An operator knew what was wrong up to here and wrote that he takes the trail as it was: it counts from here on."""
        del self.problems[self._of_statements :]
        self._restarts.clear()
        self._anchored.clear()
        self._witnessed.clear()
        self._accepted_ms = place[0]
        self._missing = {name: at_ms for name, at_ms in self._missing.items() if at_ms > place[0]}
        self._older = [point for point in self._older if point.at_ms > place[0]]
        self._uncounted = int(json.loads(data).get(UNCOUNTED, 0))

    def _say(self, identifier: bytes, what: str) -> None:
        self.problems.append(f"entry {text(identifier)}: {what}")

    def _key(self, key_id: bytes) -> bytes:
        known = self._keys.get(key_id)
        if known is None:
            known = self._keys[key_id] = self.vault.mac_key("audit", key_id.decode())
        return known

    def _open(self, chain: str, place: Place, opening: Opening) -> None:
        """A chain begins: hold the trail against what its writer saw of it."""
        if opening.after:
            self._restarts.append((chain, opening))
        if opening.total.entries == 0 and self._began_ms is None:
            self._began_ms = place[0]
        seen = order(opening.last_id)
        if seen >= self._cut:
            self._compare(Anchor(f"beginning of chain {chain}", seen, seen[0] or place[0], opening.total))

    def _pass_anchor(self) -> None:
        anchor = self._anchors.pop()
        self._next = self._anchors[-1].place if self._anchors else None
        self._compare(anchor)

    def _compare(self, anchor: Anchor) -> None:
        if self.base and not self.gone and anchor.at_ms <= self.base.at_ms:
            return  # trimmed since by a version that didn't keep what is needed here
        found = self._at(anchor.place)
        if found is None:
            return
        state, total = found
        if total == anchor.total:
            self._anchored.append(anchor.at_ms)
            if anchor.outside:
                self._witnessed.append(anchor.at_ms)
            return
        damage = (anchor.total.entries - total.entries, anchor.total.chains - total.chains)
        if damage == self._known_damage and damage != (0, 0):
            return  # told already
        self._known_damage = damage
        named = [(c, h) for c, h in sorted(anchor.heads.items()) if self._head(state.get(c.encode(), FIRST)) != h]
        for chain, head in named:
            self.problems.append(
                f"chain {chain}: a checkpoint names entry {position(head)}, which is missing or another one"
            )
        self.problems.append(
            f"{anchor.name}: there were {anchor.total.entries} entries in {anchor.total.chains} chains up to entry "
            f"{anchor.place[0]}-{anchor.place[1]}, now there are {total.entries} in {total.chains}"
            + (", other ones" if damage == (0, 0) else "")
        )

    def _at(self, place: Place) -> tuple[dict[bytes, tuple[int, bytes]], Total] | None:
        """How the chains stood right after the entry at `place`; None where that is too long ago."""
        for chain in self._changed:
            self._sum.drop(text(chain), self._head(self._summed.get(chain, FIRST)))
            self._sum.add(text(chain), self._head(self.last[chain]))
            self._summed[chain] = self.last[chain]
        self._changed.clear()
        undone: dict[bytes, tuple[int, bytes]] = {}
        for at, chain, before in reversed(self._undone):
            if at <= place:
                break
            undone[chain] = before
        else:
            if len(self._undone) == MOST_UNDONE:
                return None
        state, summed = self.last, self._sum
        if undone:
            state, summed = {**self.last, **undone}, self._sum.copy()
            for chain, before in undone.items():
                summed.drop(text(chain), self._head(self.last[chain])).add(text(chain), self._head(before))
        return state, summed.total()

    @staticmethod
    def _head(state: tuple[int, bytes]) -> str:
        return f"{state[0]}:{text(state[1])}" if state[0] else ""

    def heads(self, before: Mapping[str, str], after: Mapping[str, str]) -> None:
        """Hold the chains against the heads as they were before the walk and are after it."""
        for chain, head in before.items():
            seq, _, mac = head.partition(":")
            at, last_mac = self.last.get(chain.encode(), FIRST)
            if at < position(head) or (at == position(head) and text(last_mac) != mac):
                self.problems.append(f"chain {chain}: its head says entry {seq}, which is missing")
        for raw, state in self.last.items():
            chain = text(raw)
            if chain not in after:
                if self._trimmed.get(chain) != self._head(state):
                    self.problems.append(f"chain {chain}: its head is missing")
            elif state[0] > position(after[chain]):
                self.problems.append(f"chain {chain}: has entries behind its head")

    def counted(self, submitted: int) -> None:
        """Hold the trail against the number of submitted jobs that the ledger counted before the walk."""
        self.uncounted = max(submitted - self.submitted - (self.gone.submitted if self.gone else 0), 0)
        if self.uncounted > self._uncounted and (self.gone or not self.base):
            self.problems.append(f"the ledger counted {self.uncounted} submitted jobs that the trail doesn't name")

    def ends_at(self, checkpoint: Checkpoint | None) -> None:
        """Hold the end of an export against the checkpoint that closes it."""
        if checkpoint is None:
            self.problems.append("the checkpoint at the end of the export is missing")
            return
        self.problems += problems_of(checkpoint, self.vault)
        found = {text(chain): self._head(state) for chain, state in self.last.items()}
        for chain in sorted(found.keys() | checkpoint.heads.keys()):
            if found.get(chain) != checkpoint.heads.get(chain):
                self.problems.append(f"chain {chain}: the export ends elsewhere than its checkpoint says")
        if not self.problems:
            self._closed = True
            self._witnessed.append(checkpoint.at_ms)

    def stamps(self, stamped: Stamped, problems: list[str]) -> None:
        """Report what was found of time stamps; one that doesn't fit its checkpoint breaks the trail."""
        self.stamped = stamped
        self.problems += problems

    def report(self, now_ms: int | None = None) -> AuditReport:
        """What was found, as of `now_ms` (the server's clock)."""
        while self._next is not None:
            self._pass_anchor()
        self._look_at_older_checkpoints()
        self._look_at_restarts()
        self._look_at_own_chain()
        if self.problems:
            verdict: Literal["complete", "unknown", "broken"] = "broken"
        else:
            verdict = "complete" if self._witnessed and (self.entries or self._closed) else "unknown"
        since_ms = self._since_ms() if verdict == "complete" else None
        whole = since_ms is not None and not self._accepted_ms and (self.base or self._began_ms) is not None
        return AuditReport(
            ok=verdict == "complete",
            verdict=verdict,
            entries=self.entries,
            chains=len(self.last),
            checkpoints=len(self.checkpoints),
            since_ms=since_ms,
            unknown_before_ms=None if whole or verdict == "broken" else since_ms if since_ms is not None else now_ms,
            compared_ms=max(self._witnessed, default=None),
            uncounted=self.uncounted,
            stamped=self.stamped,
            problems=tuple(self.problems[:MOST_PROBLEMS]),
        )

    def _since_ms(self) -> int:
        if self._accepted_ms:
            return self._accepted_ms
        if self.base:
            return self._cut[0]
        return self._began_ms if self._began_ms is not None else min([*self._anchored, *self._witnessed])

    def _look_at_older_checkpoints(self) -> None:
        """Those that name all heads and no total: each head must have been met, unless its chain went with the trimmed part."""
        for (chain, head), at_ms in sorted(self._missing.items()):
            if position(head) > position(self._trimmed.get(chain, "")) and at_ms >= self._cut[0]:
                self.problems.append(
                    f"chain {chain}: a checkpoint names entry {position(head)}, which is missing or another one"
                )
        if not self._missing:
            self._witnessed += [point.at_ms for point in self._older]

    def _look_at_restarts(self) -> None:
        """A process that found its chain's head gone began another chain, which names the entry it had written last."""
        for chain, opening in self._restarts:
            name, seq, at_ms = opening.after or ("", 0, 0)
            if self.last.get(name.encode(), FIRST)[0] < seq and not self._in_trimmed_part(at_ms):
                self.problems.append(
                    f"chain {chain}: its writer had written entry {seq} of chain {name}, which is missing"
                )

    def _look_at_own_chain(self) -> None:
        own = self.own
        if own is None:
            return
        state = self.last.get(own.chain.encode(), FIRST)
        if state[0] > position(own.head) or self._head(state) == own.head:
            self._witnessed.append(own.at_ms)
        elif not self._in_trimmed_part(own.at_ms):
            self.problems.append(f"chain {own.chain}: this process wrote entry {position(own.head)}, which is missing")

    def _in_trimmed_part(self, at_ms: int) -> bool:
        """Whether an entry of that moment, by its writer's clock, may have gone with the trimmed part."""
        return self.base is not None and at_ms < self._cut[0] + CLOCK_TOLERANCE_MS
