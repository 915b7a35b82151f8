"""Runs the sandbox on a port."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from aiohttp import web

from worker.sandbox.app import create_app
from worker.sandbox.listener import Listener
from worker.sandbox.setup import Setup
from worker.sandbox.store import Store


async def serve(
    host: str, port: int, store: Store | None = None, setup: Setup | None = None
) -> tuple[web.AppRunner, int]:
    """Start the sandbox; port 0 takes any free one. Returns the runner to clean up and the port."""
    listener = Listener(host, port)
    app = create_app(store, listener=listener, setup=setup)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await listener.open(runner)
    return runner, listener.port


async def serve_until_stopped(
    host: str,
    port: int,
    announce: Callable[[int], None],
    setup: Setup | None = None,
) -> None:
    """Run until SIGTERM or Ctrl-C; `announce` gets the port."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    runner, actual = await serve(host, port, setup=setup)
    announce(actual)
    await stop.wait()
    await runner.cleanup()
