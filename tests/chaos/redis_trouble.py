"""What Redis does to its clients without dying: it takes no writes for a while, or is restored from an older copy."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.chaos.stage import Stage
from worker.connections import open_redis

# By name: what is configured meanwhile. A primary under Sentinel keeps its part, so there is nothing read-only there.
OUTAGES: Mapping[str, Mapping[str, str]] = {
    "full": {"maxmemory": "1"},
    "too few replicas": {"min-replicas-to-write": "9"},
    "read-only": {"replicaof": "127.0.0.1 1"},
}
LIMIT_S = 60.0


@contextlib.asynccontextmanager
async def _client(stage: Stage) -> AsyncIterator[Redis]:
    client = open_redis(stage.settings)
    try:
        yield client
    finally:
        await client.aclose()


async def takes_no_writes(stage: Stage, name: str, seconds: float) -> None:
    """Have Redis refuse writes for so many seconds. However this ends, it takes them afterwards."""
    async with _client(stage) as client:
        before = {}
        for setting in OUTAGES[name]:
            found = await client.config_get(setting)
            before[setting] = found.get(setting) or "no one"
        try:
            await _configure(client, OUTAGES[name])
            await asyncio.sleep(seconds)
        finally:
            await asyncio.shield(asyncio.ensure_future(_insist(client, before)))


async def _configure(client: Redis, settings: Mapping[str, str]) -> None:
    for setting, value in settings.items():
        if setting == "replicaof":
            await client.execute_command("REPLICAOF", *value.split())
        else:
            await client.config_set(setting, value)


async def _insist(client: Redis, settings: Mapping[str, str]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while True:
        try:
            return await _configure(client, settings)
        except (RedisError, OSError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.2)


class Copy:
    """A copy of the embedded server's files, and the way back to it."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._live = stage.settings.data / "valkey" / "appendonlydir"
        self._kept: Path = stage.settings.data / "copy"

    def take(self) -> None:
        """Copy what is there now; an append-only file is whole at any moment."""
        shutil.rmtree(self._kept, ignore_errors=True)
        shutil.copytree(self._live, self._kept)

    def restore(self) -> None:
        """Kill the server, and start it with the copy: everything since then is gone."""
        valkey = self._stage.valkey
        assert valkey
        valkey.kill()
        try:
            shutil.rmtree(self._live)
            shutil.copytree(self._kept, self._live)
        finally:
            valkey.start()
