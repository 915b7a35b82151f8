"""Verifies an audit trail, entry by entry: MACs, the order in each chain, heads, and what checkpoints vouch for."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from tasks.errors import KeyTrouble
from tasks.model import Frozen
from tasks.state.audit.checkpoint import Checkpoint, head_of, position, problems_of
from tasks.state.audit.entries import mac_of
from tasks.state.vault import Vault

CLOCK_TOLERANCE_MS = 10 * 60 * 1000
MOST_PROBLEMS = 100


class AuditReport(Frozen):
    """The result of a verification: `problems` names each entry, chain or checkpoint that doesn't hold."""

    ok: bool
    entries: int
    chains: int
    checkpoints: int = 0
    problems: tuple[str, ...] = ()


@dataclass
class Verification:
    """One walk over a trail. Feed it every entry in order, then ask for the report."""

    vault: Vault
    checkpoints: tuple[Checkpoint, ...] = ()
    base: Checkpoint | None = None
    last: dict[str, tuple[int, str]] = field(default_factory=dict)
    entries: int = 0
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._trimmed = dict(self.base.heads) if self.base else {}
        for statement in (*self.checkpoints, *([self.base] if self.base else [])):
            self.problems += problems_of(statement, self.vault)
        self._missing = {(chain, head) for point in self.checkpoints for chain, head in point.heads.items()}
        for chain, head in self._trimmed.items():
            self.last[chain] = (position(head), head.partition(":")[2])
            self._missing.discard((chain, head))

    def take(self, identifier: str, fields: Mapping[str, str]) -> None:
        """Check one entry."""
        self.entries += 1
        try:
            chain, seq, at_ms = fields["chain"], int(fields["seq"]), int(fields["at"])
            before, previous = self.last.get(chain, (0, ""))
            genuine = hmac.compare_digest(mac_of(self.vault, fields, previous), fields["mac"])
            server_ms = int(identifier.split("-", maxsplit=1)[0])
        except KeyTrouble as trouble:
            self.problems.append(f"entry {identifier}: {trouble.message}")
            return
        except (KeyError, ValueError):
            self.problems.append(f"entry {identifier}: not an audit entry")
            return
        self.last[chain] = (seq, fields["mac"])
        self._missing.discard((chain, head_of(fields)))
        if seq != before + 1:
            self.problems.append(f"entry {identifier}: number {seq} of chain {chain} follows number {before}")
        elif not genuine:
            self.problems.append(f"entry {identifier}: number {seq} of chain {chain} was changed")
        elif abs(server_ms - at_ms) > CLOCK_TOLERANCE_MS:
            self.problems.append(f"entry {identifier}: its time differs from the server's by more than ten minutes")

    def heads(self, before: Mapping[str, str], after: Mapping[str, str]) -> None:
        """Hold the chains against the heads as they were before the walk and are after it."""
        for chain, head in before.items():
            seq, _, mac = head.partition(":")
            at, last_mac = self.last.get(chain, (0, ""))
            if at < position(head) or (at == position(head) and last_mac != mac):
                self.problems.append(f"chain {chain}: its head says entry {seq}, which is missing")
        for chain, (at, mac) in self.last.items():
            if chain not in after:
                if self._trimmed.get(chain) != f"{at}:{mac}":
                    self.problems.append(f"chain {chain}: its head is missing")
            elif at > position(after[chain]):
                self.problems.append(f"chain {chain}: has entries behind its head")

    def ends_at(self, checkpoint: Checkpoint | None) -> None:
        """Hold the end of an export against the checkpoint that closes it."""
        if checkpoint is None:
            self.problems.append("the checkpoint at the end of the export is missing")
            return
        self.problems += problems_of(checkpoint, self.vault)
        found = {chain: f"{at}:{mac}" for chain, (at, mac) in self.last.items()}
        for chain in sorted(found.keys() | checkpoint.heads.keys()):
            if found.get(chain) != checkpoint.heads.get(chain):
                self.problems.append(f"chain {chain}: the export ends elsewhere than its checkpoint says")

    def report(self) -> AuditReport:
        """What was found."""
        for chain, head in sorted(self._missing):
            if position(head) > position(self._trimmed.get(chain, "")):
                self.problems.append(
                    f"chain {chain}: a checkpoint names entry {position(head)}, which is missing or another one"
                )
        return AuditReport(
            ok=not self.problems,
            entries=self.entries,
            chains=len(self.last),
            checkpoints=len(self.checkpoints),
            problems=tuple(self.problems[:MOST_PROBLEMS]),
        )
