"""taskiq: coroutines of one process, posting only. `python taskiq_app.py COUNT` sends."""

from __future__ import annotations

import asyncio

import aiohttp
from incident import AT_ONCE, ENDPOINT, HEADERS, REDIS, count, incident
from taskiq_redis import ListQueueBroker

broker = ListQueueBroker(REDIS)
sessions: list[aiohttp.ClientSession] = []


@broker.task
async def post(fields: dict[str, str]) -> None:
    """One POST; the first one opens the session."""
    if not sessions:
        sessions.append(aiohttp.ClientSession(headers=HEADERS, connector=aiohttp.TCPConnector(limit=AT_ONCE)))
    async with sessions[0].post(ENDPOINT, json=fields) as answer:
        answer.raise_for_status()
        await answer.read()


async def main() -> None:
    """Send."""
    await broker.startup()
    for number in range(count()):
        await post.kiq(incident(number))
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(main())
