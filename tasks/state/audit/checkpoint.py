"""Signed statements about where every audit chain stood: checkpoints, kept outside Redis, and the base of a trimmed trail.

Somebody who can write to Redis and rolls the whole trail back, heads included, leaves chains that hold in themselves. A
checkpoint that was written elsewhere before shows what is gone. The base is the same statement inside Redis: how far each
chain was exported before its older entries were trimmed. Beside it stands what is known of the chains that went as a whole.
"""

from __future__ import annotations

import hmac
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Literal, Self

from pydantic import ValidationError

from tasks.errors import KeyTrouble, Refused
from tasks.model import Frozen
from tasks.state.audit.heads import HeadSum, Total, packed
from tasks.state.vault import Vault


class Statement(Frozen, ABC):
    """Something said of the trail, with its MAC under a key of the ring."""

    key: str
    mac: str = ""

    def signed(self, vault: Vault) -> Self:
        """The same statement with its MAC."""
        return self.model_copy(update={"mac": self._made(vault)})

    def genuine(self, vault: Vault) -> bool:
        """Whether this was signed with a key of the ring and not changed since; raises `KeyTrouble` where it is gone."""
        return hmac.compare_digest(self._made(vault), self.mac)

    def _made(self, vault: Vault) -> str:
        return vault.mac("checkpoint", self._message(), self.key).hex()

    @abstractmethod
    def _message(self) -> bytes:
        """What is signed of it."""


class Checkpoint(Statement):
    """The head (`number:MAC`) of every chain at one moment (epoch milliseconds by the server's clock).

    `last_id` is the newest entry then; for a base it is the first entry that is kept. `total` stands for all heads, those of
    trimmed chains as well; beside it `heads` may name only some. Version 0.1 wrote all heads and no total.
    """

    kind: Literal["checkpoint", "base"] = "checkpoint"
    at_ms: int
    last_id: str
    heads: Mapping[str, str]
    total: Total | None = None

    def line(self) -> str:
        """As JSON on one line; without a total it is what older versions read."""
        return self.model_dump_json(exclude_none=True)

    def _message(self) -> bytes:
        heads = [part for pair in sorted(self.heads.items()) for part in pair]
        # A chain always has a name: what follows an empty one is no head.
        total = ["", str(self.total.entries), str(self.total.chains), self.total.digest] if self.total else []
        return packed(self.kind, str(self.at_ms), self.last_id, self.key, *heads, *total)


class Gone(Statement):
    """What the trimmed part held that the base doesn't name: the sum over the chains that went as a whole, and how many
    jobs were submitted. It belongs to one base, by its MAC.
    """

    base: str
    entries: int = 0
    chains: int = 0
    value: str = "0"
    submitted: int = 0

    def sum(self) -> HeadSum:
        """The sum over the chains that went."""
        return HeadSum(self.entries, self.chains, int(self.value, 16))

    def _message(self) -> bytes:
        figures = (self.entries, self.chains, self.submitted)
        return packed("gone", self.base, *map(str, figures), self.value, self.key)


_A_FILE = "Use a file that `afterword audit checkpoint` or `audit export` wrote, or a log that has one."


def read_checkpoints(lines: Iterable[str]) -> list[Checkpoint]:
    """The checkpoints among the lines of a file: of its own, of a log, or of an export. Raises `Refused`, also for none."""
    found = []
    for number, line in enumerate(lines, 1):
        start = line.find("{")
        if start < 0 or '"heads"' not in line:
            continue
        try:
            content = json.loads(line[start:])
            found.append(Checkpoint.model_validate(content.get("checkpoint", content)))
        except (ValueError, ValidationError, AttributeError):
            raise Refused(
                f"Line {number} is no checkpoint.",
                code="bad_checkpoint",
                advice=_A_FILE,
            ) from None
    if not found:
        raise Refused("There is no checkpoint in it.", code="bad_checkpoint", advice=_A_FILE)
    return found


def problems_of(statement: Checkpoint | Gone, vault: Vault) -> list[str]:
    """Why a signed statement can't be believed, if so."""
    name = f"{statement.kind} of {statement.at_ms}" if isinstance(statement, Checkpoint) else "the trimmed part"
    try:
        genuine = statement.genuine(vault)
    except KeyTrouble as trouble:
        return [f"{name}: {trouble.message}"]
    return [] if genuine else [f"{name}: it was changed or forged"]
