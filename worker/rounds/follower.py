"""Looks at delivered tickets again, for destinations that are set to be followed: every worker does, each ticket in its turn."""

from __future__ import annotations

from functools import partial

from tasks.following import follow
from worker.rounds.again import SideBySide, again_and_again
from worker.runtime import Services

LOOK_EVERY_S = 5.0


async def follow_tickets(services: Services) -> None:
    """Look at one batch of each destination every five seconds, until cancelled. A slow one holds up nobody but itself."""
    looks = SideBySide("tickets of destination")

    async def look() -> float:
        for record in await services.destinations.list():
            if record.doubt is None:
                looks.begin(record.name, partial(follow, services.core, record))
        return LOOK_EVERY_S

    try:
        await again_and_again(look)
    finally:
        await looks.end()
