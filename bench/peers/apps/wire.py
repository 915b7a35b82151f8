"""The wire: a bare loop with one aiohttp session that only POSTs, nothing queued. `python wire.py COUNT`."""

from __future__ import annotations

import asyncio

import aiohttp
from incident import AT_ONCE, ENDPOINT, HEADERS, count, incident


async def main() -> None:
    """Post them all."""
    numbers = iter(range(count()))
    async with aiohttp.ClientSession(headers=HEADERS, connector=aiohttp.TCPConnector(limit=AT_ONCE)) as session:

        async def lane() -> None:
            for number in numbers:
                async with session.post(ENDPOINT, json=incident(number)) as answer:
                    answer.raise_for_status()
                    await answer.read()

        await asyncio.gather(*(lane() for _ in range(AT_ONCE)))


if __name__ == "__main__":
    asyncio.run(main())
