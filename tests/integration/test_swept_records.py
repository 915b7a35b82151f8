"""Somebody with Redis and without a key tries every command on every kind of record: a refusal that is told, or a wait, and no more.

The records are those that a busy instance leaves, found by SCAN: a new kind is swept by itself.
"""

from __future__ import annotations

import contextlib
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from tasks import lifecycle
from tests.integration.swept_instance import Instance, hearing, vendors
from worker.machine.embedded import EmbeddedValkey

# Records of a kind on which each command is tried, and fields of a record that are set. Three of each found nothing that one doesn't.
EACH = 1
# Attacks on records of different kinds at once, drawn anew in each run: one that hides another in this run is alone with it in few.
TOGETHER = 8
Attack = Callable[[], Awaitable[object]]


@pytest.fixture(scope="module")
def valkey(tmp_path_factory):
    """A server of this module's own: databases are swapped on it."""
    with EmbeddedValkey(tmp_path_factory.mktemp("swept")) as server:
        yield server


@pytest.fixture
async def instance(services, monkeypatch):
    # A record that a script can't read looks like an outage, which is waited for.
    monkeypatch.setattr(lifecycle, "PATIENCE_S", 0.05)
    async with vendors() as sandbox, hearing() as elsewhere, hearing() as resting:
        yield Instance(services, sandbox, elsewhere, resting)


@dataclass(frozen=True)
class Record:
    """One key of the instance, and what it held at two moments."""

    key: bytes
    type: str
    dump: bytes
    ttl_ms: int

    def kind(self, prefix: str) -> tuple[str, int, str]:
        """Records that are built alike: by their first word, their depth and Redis' type."""
        parts = self.key.decode().removeprefix(f"{prefix}:").split(":")
        return parts[0], len(parts), self.type


@dataclass(frozen=True)
class Planned:
    """One command on one record, in words and as what does it; `kind` is the record's."""

    kind: tuple[str, int, str]
    words: str
    attack: Attack


async def kept(redis: Redis, prefix: str) -> dict[bytes, Record]:
    """All records but the audit, which is attacked by `test_trail_mutations.py` and `test_trail_attacks.py`."""
    found = {}
    async for key in redis.scan_iter(f"{prefix}:*", count=1000):
        if b":audit" not in key and (dump := await redis.dump(key)) is not None:
            held = await redis.type(key), await redis.pttl(key)
            found[key] = Record(key, held[0].decode(), dump, max(held[1], 0))
    return found


async def put_back(redis: Redis, prefix: str, records: dict[bytes, Record]) -> None:
    pipeline = redis.pipeline()
    async for key in redis.scan_iter(f"{prefix}:*", count=1000):
        if b":audit" not in key and key not in records:
            pipeline.delete(key)
    for record in records.values():
        pipeline.restore(record.key, record.ttl_ms, record.dump, replace=True)
    await pipeline.execute()


def on_any(
    redis: Redis, beside: Redis, record: Record, other: Record, older: Record | None
) -> Iterator[tuple[str, Attack]]:
    """What Redis can do with a record of any type; `other` is one of its kind or type, `beside` is database 1."""
    spare = b"swept:spare"

    async def moved() -> None:
        await beside.delete(record.key)
        await redis.move(record.key, 1)

    async def renamed() -> None:
        await redis.copy(other.key, spare, replace=True)
        await redis.rename(spare, record.key)

    yield "DEL", lambda: redis.delete(record.key)
    yield "EXPIRE", lambda: redis.pexpire(record.key, 0)
    yield f"RENAME of {other.key!r}", renamed
    yield f"COPY of {other.key!r}", lambda: redis.copy(other.key, record.key, replace=True)
    yield "MOVE", moved
    yield (
        "SET of another type",
        lambda: redis.set(record.key, b"1") if record.type != "string" else redis.delete(record.key),
    )
    if older:
        yield "RESTORE of an older value", lambda: redis.restore(older.key, older.ttl_ms, older.dump, replace=True)


async def on_type(redis: Redis, record: Record, other: Record, chance: random.Random) -> list[tuple[str, Attack]]:
    """What Redis can do with parts of a record."""
    key, found = record.key, list[tuple[str, Attack]]()
    if record.type == "string":
        size = await redis.strlen(key)
        found += [
            ("APPEND", lambda: redis.append(key, b"0")),
            ("SETRANGE at the start", lambda: redis.setrange(key, 0, b"0")),
            ("SETRANGE in the middle", lambda: redis.setrange(key, size // 2, b"z")),
            ("SET of a number", lambda: redis.set(key, b"99999999999999")),
        ]
    elif record.type == "hash":
        held, theirs = await redis.hgetall(key), await redis.hgetall(other.key)
        for name in chance.sample(sorted(held), min(EACH, len(held))):
            found += [
                (f"HDEL {name!r}", lambda name=name: redis.hdel(key, name)),
                (f"HSET {name!r} to a number", lambda name=name: redis.hset(key, name, b"99999999999999")),
                (f"HSET {name!r} cut", lambda name=name: redis.hset(key, name, held[name][:-1])),
            ]
        for name in chance.sample(sorted(theirs), min(EACH, len(theirs))):
            found.append((f"HSET {name!r} as in {other.key!r}", lambda name=name: redis.hset(key, name, theirs[name])))
    elif record.type == "zset":
        theirs = await redis.zrange(other.key, 0, -1)
        found += [
            ("ZADD of others", lambda: redis.zadd(key, dict.fromkeys(theirs or [b"x"], 1))),
            ("ZADD of none", lambda: redis.zadd(key, {b"\xff": 1, b"": 2})),
        ]
    elif record.type == "set":
        theirs = await redis.smembers(other.key)
        found += [("SADD of others", lambda: redis.sadd(key, *theirs, b"\xff"))]
    elif record.type == "list":
        found += [("LPUSH", lambda: redis.lpush(key, b"[]", b"\xff", b"{}"))]
    return found


@pytest.fixture
async def beside(valkey):
    """Database 1 of the server."""
    async with Redis.from_url(valkey.url, db=1) as client:
        yield client


async def attacks_on(
    redis: Redis,
    beside: Redis,
    prefix: str,
    records: dict[bytes, Record],
    older: dict[bytes, Record],
    chance: random.Random,
) -> list[Planned]:
    """Every command on `EACH` records of each kind."""
    kinds, planned = defaultdict(list), list[Planned]()
    for record in sorted(records.values(), key=lambda record: record.key):
        kinds[record.kind(prefix)].append(record)
    for kind, alike in kinds.items():
        same_type = [record for record in records.values() if record.type == alike[0].type]
        for record in chance.sample(alike, min(EACH, len(alike))):
            other = chance.choice([one for one in alike if one != record] or same_type)
            attacks = [
                *on_any(redis, beside, record, other, changed_since(record, older)),
                *await on_type(redis, record, other, chance),
            ]
            planned += [Planned(kind, f"{record.key!r} {words}", attack) for words, attack in attacks]
    return planned


def in_rounds(planned: list[Planned], chance: random.Random) -> list[list[Planned]]:
    """The attacks in rounds of `TOGETHER` at most, each on another kind of record."""
    rounds = list[list[Planned]]()
    for one in chance.sample(planned, len(planned)):
        free = (others for others in rounds if len(others) < TOGETHER and all(one.kind != it.kind for it in others))
        if (found := next(free, None)) is None:
            rounds.append(found := [])
        found.append(one)
    return rounds


@pytest.mark.timeout(600)
async def test_no_command_on_any_record_is_more_than_a_refusal_or_a_wait(instance, beside):
    """No secret goes elsewhere, nobody may more than before, nothing else is published, and what isn't done is told."""
    redis, prefix = instance.services.redis, instance.services.settings.prefix
    await instance.begin()
    older = await kept(redis, prefix)
    await instance.go_on()
    records = await kept(redis, prefix)
    assert await instance.wrongs() == []
    await restore(instance, records)
    chance, wrong, tried = random.Random(prefix), [], 0
    planned = await attacks_on(redis, beside, prefix, records, older, chance)
    for together in in_rounds(planned, chance):
        await restore(instance, records)
        for one in together:
            with contextlib.suppress(ResponseError):  # Redis itself refuses it
                await one.attack()
                tried += 1
        words = " and ".join(one.words for one in together)
        wrong += [f"{words}: {found}" for found in await instance.wrongs()]
    await restore(instance, records)
    await beside.flushdb()
    await redis.swapdb(0, 1)
    wrong += [f"SWAPDB: {found}" for found in await instance.wrongs()]
    assert tried > len({one.kind for one in planned}) * 5
    assert wrong == [], f"by the chance of {prefix!r}"


async def restore(instance: Instance, records: dict[bytes, Record]) -> None:
    await put_back(instance.services.redis, instance.services.settings.prefix, records)
    instance.vendors.put_back()


def changed_since(record: Record, older: dict[bytes, Record]) -> Record | None:
    found = older.get(record.key)
    return found if found and found.dump != record.dump else None
