"""Signed statements about where every audit chain stood: checkpoints, kept outside Redis, and the base of a trimmed trail.

Somebody who can write to Redis and rolls the whole trail back, heads included, leaves chains that hold in themselves. A
checkpoint that was written elsewhere before shows what is gone. The base is the same statement inside Redis: how far each
chain was exported before its older entries were trimmed.
"""

from __future__ import annotations

import hmac
import json
import struct
from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import ValidationError

from tasks.errors import KeyTrouble, Refused
from tasks.model import Frozen
from tasks.state.vault import Vault


class Checkpoint(Frozen):
    """The head (`number:MAC`) of every chain at one moment (epoch milliseconds by the server's clock).

    `last_id` is the newest entry then; for a base it is the first entry that is kept.
    """

    kind: Literal["checkpoint", "base"] = "checkpoint"
    at_ms: int
    last_id: str
    heads: Mapping[str, str]
    key: str
    mac: str = ""

    def signed(self, vault: Vault) -> Checkpoint:
        """The same statement with its MAC."""
        return self.model_copy(update={"mac": vault.mac("checkpoint", self._message(), self.key).hex()})

    def genuine(self, vault: Vault) -> bool:
        """Whether this was signed with a key of the ring and not changed since; raises `KeyTrouble` where it is gone."""
        return hmac.compare_digest(vault.mac("checkpoint", self._message(), self.key).hex(), self.mac)

    def _message(self) -> bytes:
        heads = [part for pair in sorted(self.heads.items()) for part in pair]
        return packed(self.kind, str(self.at_ms), self.last_id, self.key, *heads)


def packed(*fields: str) -> bytes:
    """The fields, each behind its length in bytes, so that no two lists of fields give the same message."""
    parts = [field.encode("utf-8", "surrogatepass") for field in fields]
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def position(head: str) -> int:
    """The number of the entry that a head names; 0 for none."""
    return int(head.split(":", 1)[0] or 0) if head else 0


def head_of(fields: Mapping[str, str]) -> str:
    """The head of a chain whose last entry has these fields."""
    return f"{fields['seq']}:{fields['mac']}"


def order(identifier: str) -> tuple[int, int]:
    """An entry's id as a value that sorts."""
    milliseconds, _, sequence = identifier.partition("-")
    return int(milliseconds), int(sequence or 0)


def read_checkpoints(lines: Iterable[str]) -> list[Checkpoint]:
    """The checkpoints among the lines of a file: of its own, or of an export that ends with one. Raises `Refused`."""
    found = []
    for number, line in enumerate(lines, 1):
        if '"heads"' not in line:
            continue
        try:
            content = json.loads(line)
            found.append(Checkpoint.model_validate(content.get("checkpoint", content)))
        except (ValueError, ValidationError, AttributeError):
            raise Refused(
                f"Line {number} is no checkpoint.",
                code="bad_checkpoint",
                advice="Use a file that `afterword audit checkpoint` or `audit export` wrote.",
            ) from None
    return found


def problems_of(checkpoint: Checkpoint, vault: Vault) -> list[str]:
    """Why a checkpoint can't be believed, if so."""
    try:
        genuine = checkpoint.genuine(vault)
    except KeyTrouble as trouble:
        return [f"{checkpoint.kind} of {checkpoint.at_ms}: {trouble.message}"]
    return [] if genuine else [f"{checkpoint.kind} of {checkpoint.at_ms}: it was changed or forged"]
