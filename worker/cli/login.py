"""`afterword destination login`: a person consents in a browser, and the answer comes back to a port of this machine."""

from __future__ import annotations

import asyncio
import hmac
import secrets
import webbrowser
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

import click
from aiohttp import web

from tasks.authorization.authorize import accept_code
from tasks.credentials.grants import visit
from tasks.credentials.kinds import Login
from tasks.errors import Refused
from tasks.model import ConnectionReport
from worker.runtime import Services
from worker.terminal.base import Context, actor, common

CALLBACK = "http://127.0.0.1:8976/callback"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'",
    "Referrer-Policy": "no-referrer",
}


@click.command()
@click.argument("name")
@click.option("--no-browser", is_flag=True, help="Only print the address to open.")
@click.option(
    "--callback",
    default=CALLBACK,
    show_default=True,
    help="The redirect address that is registered with the client; on this machine. Port 0 takes any free one.",
)
@click.option("--timeout", "limit_s", type=click.FloatRange(1, 3600), default=300, show_default=True, help="Seconds")
@common
def login(context: Context, name: str, no_browser: bool, callback: str, limit_s: float) -> None:
    """Log in to a destination in a browser; what is granted goes on by itself from there."""

    async def work(services: Services) -> ConnectionReport:
        record = await services.destinations.require(name)
        auth = record.settings.auth
        if not isinstance(auth, Login):
            raise Refused(
                f"{name} doesn't log in in a browser.",
                code="no_login",
                advice="Set it up for that first: `afterword destination set … --auth login --client-id …`.",
            )
        state = secrets.token_urlsafe(32)
        async with Callback(callback, state) as back:
            visited = visit(auth, record.settings.endpoints, back.address, state)
            context.tell(f"Open this address and consent:\n{visited.address}")
            if not no_browser:
                await asyncio.to_thread(webbrowser.open, visited.address)
            code = await back.code(limit_s)
        await accept_code(services.core, record, visited, code, actor())
        return await services.test_destination(name, actor())

    report = context.run(work)
    said = "Its connection test passes." if report.success else f"Its connection test fails: {report.message}"
    context.show({"name": name, "logged_in": True, "test": report.result()}, f"{name} is logged in. {said}")


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
                "must be an http address of this machine, such as " + CALLBACK, param_hint="--callback"
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
