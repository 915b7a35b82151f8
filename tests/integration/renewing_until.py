"""A process that renews a login and kills itself at a point: `python -m tests.integration.renewing_until POINT`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from config.settings import Settings
from tasks.authorization import authorize as rooms
from tasks.authorization.asking import Asking
from tasks.errors import DestinationTrouble
from tasks.http.exchange import Http
from tasks.state.grants.grants import Grants
from worker.runtime import open_services


def die(*_: object) -> None:
    """End as nothing can clean up after."""
    os.kill(os.getpid(), signal.SIGKILL)


async def main(point: str) -> None:
    """Renew the token of `confluence` as after a refusal."""
    tokens, keep = Asking.tokens, Grants.keep

    async def watched(asking, what, held):
        if point == "before":
            die()
        if point == "asked":  # the server has done it, and its answer is lost
            Http._read = die  # type: ignore[method-assign]
        answer = await tokens(asking, what, held)
        if point == "answered":
            die()
        return answer

    async def kept(grants, *given):
        done = await keep(grants, *given)
        if point == "kept":
            die()
        return done

    Asking.tokens, Grants.keep = watched, kept  # type: ignore[method-assign]
    async with open_services(Settings()) as services:
        record = await services.destinations.require("confluence")
        token = await rooms.authorize(services.core, record)
        await token.renew(DestinationTrouble("no", code="credential_refused", status=401))


asyncio.run(main(sys.argv[1]))
