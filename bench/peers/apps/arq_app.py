"""arq: coroutines of one process, posting only. `python arq_app.py COUNT` sends."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import aiohttp
from arq import create_pool
from arq.connections import RedisSettings
from incident import AT_ONCE, ENDPOINT, HEADERS, REDIS, count, incident


async def post(context: dict[str, Any], fields: dict[str, str]) -> None:
    """One POST."""
    async with context["session"].post(ENDPOINT, json=fields) as answer:
        answer.raise_for_status()
        await answer.read()


async def opened(context: dict[str, Any]) -> None:
    """The worker's session."""
    context["session"] = aiohttp.ClientSession(headers=HEADERS, connector=aiohttp.TCPConnector(limit=AT_ONCE))


async def closed(context: dict[str, Any]) -> None:
    """Its end."""
    await context["session"].close()


class WorkerSettings:
    """What the `arq` command reads."""

    functions: ClassVar = [post]
    on_startup = opened
    on_shutdown = closed
    max_jobs = AT_ONCE
    redis_settings = RedisSettings.from_dsn(REDIS)


async def main() -> None:
    """Send."""
    queue = await create_pool(WorkerSettings.redis_settings)
    for number in range(count()):
        await queue.enqueue_job("post", incident(number))
    await queue.aclose()


if __name__ == "__main__":
    asyncio.run(main())
