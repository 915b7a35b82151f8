"""A sealed canary in Redis: a key ring that can't open what this Redis holds is noticed at start, not at a delivery."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from tasks.errors import KeyTrouble
from tasks.state.outages import unavailable
from tasks.state.vault import Vault

FORMER = "afterword"  # as version 0.1 sang it, which signed no records
SIGNED = "afterword, signed"  # as version 0.2 sang it, which signed destinations and API keys
SONG = "afterword, signed, with its jobs"
BESIDE_MS = 24 * 3600_000  # for so long after an upgrade, processes of the version before may submit jobs


async def check_keys(redis: Redis, vault: Vault, prefix: str) -> str:
    """Leave a canary at first use and return its song; afterwards raise `KeyTrouble` where it doesn't open.

    The song says what of the stored records was signed: `FORMER`, `SIGNED` or `SONG`, and after an upgrade since when. Nobody
    without a key can make one.

    Nothing is written where one is there already: who starts while Redis takes no writes can still read, and wait.
    Raises `StateUnavailable` where Redis can't be read, or can't take the first one.
    """
    key = f"{prefix}:canary"
    try:
        record: Any = await redis.get(key)
        if record is None:
            await redis.set(key, vault.seal(SONG, purpose="canary", owner=prefix), nx=True)
            record = await redis.get(key)
    except (RedisError, OSError) as error:
        raise unavailable(error) from None
    try:
        return vault.open(record, purpose="canary", owner=prefix)
    except KeyTrouble as trouble:
        raise KeyTrouble(
            "The key ring doesn't fit this Redis: what is stored there was sealed with another key.",
            code="wrong_keys",
            advice="Use the key file that this Redis was set up with (AFTERWORD_KEYS_FILE), or an empty Redis.",
        ) from trouble


def unsigned_until_ms(song: str) -> int:
    """Until when a job without a signature may be one of the version before (epoch milliseconds); 0: it can't."""
    since = song.removeprefix(SONG).strip()
    return int(since) + BESIDE_MS if since.isdecimal() else 0


async def renew(redis: Redis, vault: Vault, prefix: str, now_ms: int) -> str:
    """Have the canary say that what is stored is signed since now; returns its song. Raises `StateUnavailable`."""
    song = f"{SONG} {now_ms}"
    client: Any = redis
    try:
        await client.set(f"{prefix}:canary", vault.seal(song, purpose="canary", owner=prefix))
    except (RedisError, OSError) as error:
        raise unavailable(error) from None
    return song
