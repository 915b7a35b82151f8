"""A sealed canary in Redis: a key ring that can't open what this Redis holds is noticed at start, not at a delivery."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from tasks.errors import KeyTrouble, StateUnavailable
from tasks.state.vault import Vault

SONG = "afterword"


async def check_keys(redis: Redis, vault: Vault, prefix: str) -> None:
    """Leave a canary at first use; afterwards raise `KeyTrouble` where it doesn't open."""
    key = f"{prefix}:canary"
    try:
        await redis.set(key, vault.seal(SONG, purpose="canary", owner=prefix), nx=True)
        record: Any = await redis.get(key)
    except (RedisError, OSError) as error:
        raise StateUnavailable(
            f"Redis refused the first write: {str(error)[:200]}",
            code="redis_refused",
            advice="It must be a writable primary with free memory; see AFTERWORD_REDIS_URL.",
        ) from None
    try:
        vault.open(record.decode(), purpose="canary", owner=prefix)
    except KeyTrouble as trouble:
        raise KeyTrouble(
            "The key ring doesn't fit this Redis: what is stored there was sealed with another key.",
            code="wrong_keys",
            advice="Use the key file that this Redis was set up with (AFTERWORD_KEYS_FILE), or an empty Redis.",
        ) from trouble
