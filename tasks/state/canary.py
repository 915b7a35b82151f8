"""A sealed canary in Redis: a key ring that can't open what this Redis holds is noticed at start, not at a delivery."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from tasks.errors import KeyTrouble
from tasks.state.journal import unavailable
from tasks.state.vault import Vault

FORMER = "afterword"  # as version 0.1 sang it, which signed no records
SONG = "afterword, signed"


async def check_keys(redis: Redis, vault: Vault, prefix: str) -> bool:
    """Leave a canary at first use; afterwards raise `KeyTrouble` where it doesn't open. True where it says that what is
    stored was signed: one of version 0.1 says that it wasn't yet, and nobody without a key can make such a one.

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
        return vault.open(record.decode(), purpose="canary", owner=prefix) != FORMER
    except KeyTrouble as trouble:
        raise KeyTrouble(
            "The key ring doesn't fit this Redis: what is stored there was sealed with another key.",
            code="wrong_keys",
            advice="Use the key file that this Redis was set up with (AFTERWORD_KEYS_FILE), or an empty Redis.",
        ) from trouble


async def renew(redis: Redis, vault: Vault, prefix: str) -> None:
    """Have the canary say that what is stored is signed; raises `StateUnavailable`."""
    client: Any = redis
    try:
        await client.set(f"{prefix}:canary", vault.seal(SONG, purpose="canary", owner=prefix))
    except (RedisError, OSError) as error:
        raise unavailable(error) from None
