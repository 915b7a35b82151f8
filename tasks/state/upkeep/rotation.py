"""Key rotation: every sealed record moves to the current key, while jobs run and whatever is killed meanwhile.

1. A new key stands first in the key file; running processes follow the file and seal with it from then on.
2. `reseal` goes through all records with a cursor kept in Redis. Each is put back only where nobody changed it since it
   was read, so a newer record is never overwritten. Passes go on until one finds nothing that names another key.
3. A key is retired only when no record, no audit entry and no stored digest names it any more; `usage` counts them.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any

from redis.asyncio import Redis

from tasks.errors import KeyTrouble
from tasks.model import Frozen
from tasks.state.audit.entries import Event
from tasks.state.jobs import signatures
from tasks.state.jobs.reading import is_timeline
from tasks.state.journal import Journal
from tasks.state.signed import FIELD
from tasks.state.vault import Vault, key_id_of

BATCH = 200
BATCH_BYTES = 4_000_000
PASSES = 10
ID_LENGTH = 24
# What is sealed where: the first part of a record's key, and each hash field (None for a plain string) with its purpose.
SEALED: Mapping[str, Mapping[str | None, str]] = {
    "canary": {None: "canary"},
    "searchkey": {None: "search"},
    "document": {None: "document"},
    "issue": {None: "issue"},
    "destination": {"secret": "credential", FIELD: "destination"},
    "grant": {"held": "grant"},
    "apikey": {"sealed": "apikey", FIELD: "apikey"},
    "subject": {"tried": "tried", "wrote": "wrote", "remote": "remote", signatures.RECEIPT: signatures.RECEIPTS},
    "job": {
        "sealed_fields": "fields",
        "origin": "origin",
        signatures.SIGNATURE: signatures.PURPOSE,
        signatures.RELEASE: signatures.PURPOSE,
    },
    "aside": {"sealed": "aside"},
    "receiver": {"sealed": "receiver"},
    "view": {"sealed": "view"},
}


class KeyUse(Frozen):
    """What names one key: sealed records by kind, audit entries, and digests that can't be made anew (by kind)."""

    key_id: str
    records: Mapping[str, int]
    audit_entries: int = 0

    @property
    def total(self) -> int:
        """Everything that would be lost with the key."""
        return sum(self.records.values()) + self.audit_entries


class Resealed(Frozen):
    """How far a rotation is: records looked at, moved to the current key, and those that could not be opened."""

    seen: int
    moved: int
    unreadable: tuple[str, ...] = ()
    finished: bool = False


class Rotation:
    """Moves what Redis holds from one key to the next."""

    def __init__(self, redis: Redis, journal: Journal, vault: Vault) -> None:
        self._redis: Any = redis  # replies are bytes; redis-py's types allow for str as well
        self._journal = journal
        self._vault = vault
        self._prefix = journal.prefix

    async def usage(self) -> list[KeyUse]:
        """What names each key, by key id; reads the beginning of every record and every audit entry."""
        records: dict[str, Counter[str]] = {}
        async for kind, value in self._beginnings():
            if key_id := key_id_of(value):
                records.setdefault(key_id, Counter())[kind] += 1
        entries = await self._audit_keys()
        return [
            KeyUse(key_id=key_id, records=dict(records.get(key_id, {})), audit_entries=entries[key_id])
            for key_id in sorted({*records, *entries})
        ]

    async def reseal(self, actor: str) -> AsyncIterator[Resealed]:
        """Move every record to the current key; begins where an interrupted rotation to the same key ended."""
        state = f"{self._prefix}:rotation"
        target = self._vault.key_id
        if (await self._redis.hget(state, "to") or b"").decode() != target:
            await self._redis.delete(state)
            fields = {"rotation": ["to", target, "cursor", "0"]}
            await self._journal.commit("lua/record", {"hash": fields}, Event.KEY_ROTATED, key=target, actor=actor)
        total, unreadable = Resealed(seen=0, moved=0), set[str]()
        for _ in range(PASSES):
            moved_before = total.moved
            async for batch in self._pass(state, unreadable):
                total = Resealed(seen=total.seen + batch.seen, moved=total.moved + batch.moved)
                yield total
            if total.moved == moved_before:
                break
        done = Resealed(seen=total.seen, moved=total.moved, unreadable=tuple(sorted(unreadable)), finished=True)
        seconds, micros = await self._redis.time()
        await self._journal.commit(
            "lua/record",
            {"hash": {"rotation": ["cursor", "0", "finished_ms", str(seconds * 1000 + micros // 1000)]}},
            Event.KEY_RESEALED,
            key=target,
            moved=done.moved,
            unreadable=len(unreadable),
            actor=actor,
        )
        yield done

    async def settles_in_ms(self, settle_ms: int) -> int:
        """How long until the last rotation is `settle_ms` past, by the server's clock; 0 where none is younger."""
        seconds, micros = await self._redis.time()
        finished = int(await self._redis.hget(f"{self._prefix}:rotation", "finished_ms") or 0)
        return max(finished + settle_ms - (seconds * 1000 + micros // 1000), 0) if finished else 0

    async def _pass(self, state: str, unreadable: set[str]) -> AsyncIterator[Resealed]:
        """One walk over all keys from the stored cursor to the end, a batch at a time."""
        cursor = int(await self._redis.hget(state, "cursor") or 0)
        while True:
            cursor, keys = await self._redis.scan(cursor, match=f"{self._prefix}:*", count=BATCH)
            changes, size, moved = [], 0, 0
            for key in keys:
                for change in await self._changes(key.decode(), unreadable):
                    changes.append(change)
                    size += len(change["record"])
                    if size > BATCH_BYTES:
                        await self._put_back(changes, cursor=None)
                        moved, changes, size = moved + len(changes), [], 0
            await self._put_back(changes, cursor=cursor)
            yield Resealed(seen=len(keys), moved=moved + len(changes))
            if cursor == 0:
                return

    async def _put_back(self, changes: list[dict[str, str]], *, cursor: int | None) -> None:
        """One script for the batch; without a change only the cursor moves, which needs no audit entry."""
        place = await self._redis.hget(f"{self._prefix}:rotation", "cursor") if cursor is None else str(cursor)
        if changes:
            args = {"changes": changes, "cursor": place.decode() if isinstance(place, bytes) else place}
            await self._journal.commit(
                "upkeep/reseal", args, Event.RESEALED, key=self._vault.key_id, records=len(changes)
            )
        elif cursor is not None:
            await self._redis.hset(f"{self._prefix}:rotation", "cursor", str(cursor))

    async def _changes(self, key: str, unreadable: set[str]) -> list[dict[str, str]]:
        fields = {} if is_timeline(key) else SEALED.get(self._kind(key), {})
        found = [await self._change(key, field, purpose, unreadable) for field, purpose in fields.items()]
        return [change for change in found if change is not None]

    async def _change(self, key: str, field: str | None, purpose: str, unreadable: set[str]) -> dict[str, str] | None:
        raw = await self._redis.hget(key, field) if field else await self._redis.get(key)
        if raw is None:
            return None
        text = raw.decode("utf-8", "replace")
        if key_id_of(text) in (None, self._vault.key_id):
            return None
        try:
            record = self._vault.reseal(text, purpose)
        except KeyTrouble:
            unreadable.add(key[len(self._prefix) + 1 :])
            return None
        change = {"key": key, "sha1": hashlib.sha1(raw, usedforsecurity=False).hexdigest(), "record": record}
        return change | ({"field": field} if field else {})

    async def _beginnings(self) -> AsyncIterator[tuple[str, str]]:
        """How each string and each hash field under our prefix begins, with the kind of its record."""
        for type_ in ("string", "hash"):
            cursor = -1
            while cursor != 0:
                found = await self._redis.scan(max(cursor, 0), match=f"{self._prefix}:*", count=BATCH, _type=type_)
                cursor, keys = found
                pipeline = self._redis.pipeline(transaction=False)
                for key in keys:
                    _ = pipeline.hvals(key) if type_ == "hash" else pipeline.getrange(key, 0, ID_LENGTH)
                for key, answer in zip(keys, await pipeline.execute(), strict=True):
                    for value in answer if isinstance(answer, list) else [answer]:
                        yield self._kind(key.decode()), value[:ID_LENGTH].decode("utf-8", "replace")

    def _kind(self, key: str) -> str:
        return key[len(self._prefix) + 1 :].split(":", 1)[0]

    async def _audit_keys(self) -> Counter[str]:
        base = await self._redis.get(f"{self._prefix}:audit:base")  # signed at the last trim
        counts: Counter[str] = Counter([str(json.loads(base)["key"])] if base else [])
        position = "-"
        while rows := await self._redis.xrange(f"{self._prefix}:audit", position, count=1000):
            counts.update(fields[b"key"].decode() for _, fields in rows if b"key" in fields)
            position = f"({rows[-1][0].decode()}"
        return counts
