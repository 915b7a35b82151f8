"""Looks at delivered tickets again, for destinations that are set to be followed: every worker does, each ticket in its turn."""

from __future__ import annotations

import asyncio

from tasks.following import follow
from worker.rounds.again import again_and_again
from worker.runtime import Services

LOOK_EVERY_S = 5.0


async def follow_tickets(services: Services) -> None:
    """Look at one batch of each destination every five seconds, until cancelled; one that is slow holds up no other for longer
    than its requests may take.
    """

    async def turn() -> float:
        records = await services.destinations.list()
        looks = (follow(services.core, record) for record in records if record.doubt is None)
        for trouble in await asyncio.gather(*looks, return_exceptions=True):
            if trouble is not None and not isinstance(trouble, int):
                raise trouble
        return LOOK_EVERY_S

    await again_and_again(turn)
