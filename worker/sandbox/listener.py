"""The sandbox's listening socket, which can go away for a while although process and objects stay."""

from __future__ import annotations

import asyncio

from aiohttp import web


class Listener:
    """Where the sandbox is reached. `port` is the real one once it listens."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.restarts = 0
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._back: asyncio.Task[None] | None = None

    async def open(self, runner: web.AppRunner) -> None:
        """Listen; port 0 takes any free one."""
        self._runner = runner
        self._site = web.TCPSite(runner, self.host, self.port, reuse_address=True)
        await self._site.start()
        self.port = int(runner.addresses[0][1])

    async def restart(self, seconds: float, spare: asyncio.BaseTransport | None = None) -> bool:
        """Stop listening and cut every connection but `spare`; listen again after `seconds`.

        What a request was about to do is still done: only its answer is lost. False while it is away already.
        """
        if self._site is None or self._runner is None or self._runner.server is None:
            return False
        site, self._site = self._site, None
        await site.stop()
        for connection in self._runner.server.connections:
            transport = connection.transport
            if transport is not None and transport is not spare:
                transport.abort()
        self.restarts += 1
        self._back = asyncio.create_task(self._return(self._runner, seconds))
        return True

    async def _return(self, runner: web.AppRunner, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.open(runner)

    async def close(self) -> None:
        """Forget a return that is still to come."""
        if self._back is not None:
            self._back.cancel()
