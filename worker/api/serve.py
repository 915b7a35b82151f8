"""Runs the API on a port; errors that come before a request reaches the application are problem documents as well."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from config.keys import refuse_guessable
from config.settings import Settings
from tasks.state.access.rights import Scope
from worker.api.app import ANSWER_S, build
from worker.api.problems import ProblemError
from worker.attempts import cancel_all
from worker.processes.warm import load
from worker.runtime import Services, open_services

FIRST_KEY_LOCK_MS = 10_000
SHUTDOWN_S = 2.0
HEAD_LIMIT_S = 20.0
IDLE_LIMIT_S = 75.0  # longer than proxies keep a connection that they don't use


class ProblemHandler(RequestHandler):
    """One connection. The head of a request must be there `HEAD_LIMIT_S` after its first byte: a client that drips it in
    holds no connection for longer.
    """

    _late: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """As in aiohttp, with an eye on how long a request's head takes."""
        super().data_received(data)
        if not self._between_requests():
            self._in_time()
        elif self._late is None:
            self._late = asyncio.get_running_loop().call_later(HEAD_LIMIT_S, self._too_slow)

    def connection_lost(self, exc: BaseException | None) -> None:
        """As in aiohttp."""
        self._in_time()
        super().connection_lost(exc)

    def _between_requests(self) -> bool:
        return self._waiter is not None and not self._waiter.done()

    def _in_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _too_slow(self) -> None:
        self._late = None
        if self._between_requests():
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to a request that HTTP's own rules refuse; it isn't logged, since it quotes what was sent."""
        if status >= 500:
            problem = ProblemError(500, "internal", "A fault in Afterword itself.")
        elif exc is not None and type(exc).__name__ == "LineTooLong":
            problem = ProblemError(400, "header_too_long", "The address or a header is too long.", "8 kB is the most.")
        else:
            problem = ProblemError(400, "bad_request", "The request is not valid HTTP.", "Check headers and framing.")
        response = problem.response()
        response.force_close()
        return response


class ProblemServer(web.Server):
    """Makes the connections' handlers."""

    def __init__(self, given: web.Server, options: dict[str, Any]) -> None:
        super().__init__(given.request_handler, request_factory=given.request_factory, **options)
        self._options = options

    def __call__(self) -> RequestHandler:
        """The handler of a new connection."""
        return ProblemHandler(self, loop=asyncio.get_running_loop(), **self._options)


class Runner(web.AppRunner):
    """aiohttp's runner with our handler of broken requests."""

    async def _make_server(self) -> web.Server:
        return ProblemServer(
            await super()._make_server(), {"access_log": None, "lingering_time": 1.0, "keepalive_timeout": IDLE_LIMIT_S}
        )


async def serve(services: Services, host: str, port: int) -> tuple[Runner, int]:
    """Start the API; port 0 takes any free one. Returns the runner to clean up and the port."""
    load()
    runner = Runner(build(services), access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except BaseException:
        await runner.cleanup()
        raise
    return runner, int(runner.addresses[0][1])


async def serve_until_stopped(
    settings: Settings, host: str, port: int, announce: Callable[[int, str | None], None]
) -> None:
    """Run until SIGTERM or Ctrl-C; `announce` gets the port, and the first key where there was none yet."""
    refuse_guessable(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with open_services(settings, ANSWER_S) as services:
        await services.eviction.refuse()
        runner, actual = await serve(services, host, port)
        announce(actual, await first_key(services, "api"))
        await stop.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(4 * SHUTDOWN_S):
                await runner.cleanup()
        await cancel_all(asyncio.all_tasks() - {asyncio.current_task()}, SHUTDOWN_S)


async def first_key(services: Services, actor: str) -> str | None:
    """The text of a new admin key where there is no key at all yet; None ever after. Two starts at once make one."""
    if await services.access.list():
        return None
    lock = f"{services.settings.prefix}:apikeys:first"
    if not await services.redis.set(lock, "1", nx=True, px=FIRST_KEY_LOCK_MS) or await services.access.list():
        return None
    _, text = await services.access.create("first", [Scope.ADMIN], None, actor)
    return text
