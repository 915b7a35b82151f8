"""Where the chains of a trail stand, and the one figure that stands for all of them.

A head is `number:MAC` of a chain's last entry. The total of many heads is a sum of hashes (2048 bits), so it can be kept up
to date entry by entry, whatever the order, and needs no key: heads are made of MACs, and nobody without the key can choose them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from tasks.model import Frozen

MODULUS = 1 << 2048


class Total(Frozen):
    """How many entries and chains there ever were up to some moment, and a digest of every chain's head then."""

    entries: int
    chains: int
    digest: str


def packed(*fields: str | bytes) -> bytes:
    """The fields, each behind its length in bytes, so that no two lists of fields give the same message."""
    parts = [field if isinstance(field, bytes) else field.encode("utf-8", "surrogatepass") for field in fields]
    return b"".join([piece for part in parts for piece in (len(part).to_bytes(4, "big"), part)])


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


class HeadSum:
    """The sum over heads, changed one by one."""

    def __init__(self, entries: int = 0, chains: int = 0, value: int = 0) -> None:
        self.entries, self.chains, self.value = entries, chains, value

    def add(self, chain: str, head: str) -> HeadSum:
        """With this chain's head."""
        return self._move(chain, head, 1)

    def drop(self, chain: str, head: str) -> HeadSum:
        """Without this chain's head."""
        return self._move(chain, head, -1)

    def _move(self, chain: str, head: str, sign: int) -> HeadSum:
        if head:
            element = int.from_bytes(hashlib.shake_256(packed(chain, head)).digest(256), "big")
            self.entries += sign * position(head)
            self.chains += sign
            self.value = (self.value + sign * element) % MODULUS
        return self

    def copy(self) -> HeadSum:
        """The same, to go on from."""
        return HeadSum(self.entries, self.chains, self.value)

    def total(self) -> Total:
        """What stands for the heads in the sum."""
        digest = hashlib.sha256(packed(str(self.entries), str(self.chains), f"{self.value:x}")).hexdigest()
        return Total(entries=self.entries, chains=self.chains, digest=digest)
