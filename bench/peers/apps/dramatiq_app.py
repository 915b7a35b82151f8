"""dramatiq: one process whose threads wait for coroutines of one loop, posting only. `python dramatiq_app.py COUNT` sends."""

from __future__ import annotations

import aiohttp
import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware.asyncio import AsyncIO
from incident import AT_ONCE, ENDPOINT, HEADERS, REDIS, count, incident

broker = RedisBroker(url=REDIS)
broker.add_middleware(AsyncIO())
dramatiq.set_broker(broker)
sessions: list[aiohttp.ClientSession] = []


@dramatiq.actor
async def post(fields: dict[str, str]) -> None:
    """One POST; the loop's first one opens the session."""
    if not sessions:
        sessions.append(aiohttp.ClientSession(headers=HEADERS, connector=aiohttp.TCPConnector(limit=AT_ONCE)))
    async with sessions[0].post(ENDPOINT, json=fields) as answer:
        answer.raise_for_status()
        await answer.read()


if __name__ == "__main__":
    for number in range(count()):
        post.send(incident(number))
