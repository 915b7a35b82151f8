"""The address of this machine at which the answer of a login in a browser is awaited."""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

import click
from aiohttp import web

from tasks.errors import Refused

LOOPBACK = ("127.0.0.1", "localhost", "::1")
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'",
    "Referrer-Policy": "no-referrer",
}


@dataclass
class Callback:
    """The one address at which the answer is awaited. What doesn't bring the `state` back isn't it."""

    wanted: str
    state: str = field(repr=False)
    address: str = ""

    async def __aenter__(self) -> Self:
        parts = urlsplit(self.wanted)
        if parts.scheme != "http" or parts.hostname not in LOOPBACK:
            raise click.BadParameter(
                "must be an http address of this machine, as the default is", param_hint="--callback"
            )
        self._answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        app = web.Application()
        app.add_routes([web.get(parts.path or "/", self._come)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        host = "127.0.0.1" if parts.hostname == "localhost" else str(parts.hostname)
        try:
            await web.TCPSite(self._runner, host, 80 if parts.port is None else parts.port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise Refused(
                f"The answer can't be awaited at {self.wanted}: {error.strerror}.",
                code="no_callback",
                advice="Name another one with `--callback`, and register it with the client.",
            ) from None
        self.address = (
            self.wanted.replace(":0", f":{self._runner.addresses[0][1]}", 1) if parts.port == 0 else self.wanted
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def code(self, limit_s: float) -> str:
        """The code of the answer; raises `Refused` where the person or the vendor said no, or nobody came."""
        try:
            async with asyncio.timeout(limit_s):
                return await self._answer
        except TimeoutError:
            raise Refused(
                f"Nobody logged in within {limit_s:g} seconds.", code="no_login", advice="Run the command again."
            ) from None

    async def _come(self, request: web.Request) -> web.Response:
        asked = request.query
        if not hmac.compare_digest(asked.get("state", "").encode(), self.state.encode()) or self._answer.done():
            return _page("This is not the answer that Afterword waits for.", 400)
        if code := asked.get("code"):
            self._answer.set_result(code)
            return _page("Afterword has the answer. You can close this window.")
        words = f"{asked.get('error', 'no code')} {asked.get('error_description', '')}".strip()
        self._answer.set_exception(
            Refused(
                f"The login was refused: {words:.300}.", code="login_refused", advice="Consent, or correct the client."
            )
        )
        return _page("The login was refused. Afterword says more in the terminal.")


def _page(words: str, status: int = 200) -> web.Response:
    return web.Response(text=words, status=status, content_type="text/plain", headers=HEADERS)
