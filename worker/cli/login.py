"""`afterword destination login`: a person consents in a browser, and the answer comes back to a port of this machine."""

from __future__ import annotations

import asyncio
import secrets
import webbrowser
from typing import TYPE_CHECKING

import click

from tasks.credentials.kinds import Login
from tasks.errors import Refused
from worker.terminal.base import Context, actor, common

if TYPE_CHECKING:
    from tasks.model import ConnectionReport
    from worker.runtime import Services

CALLBACK = "http://127.0.0.1:8976/callback"


@click.command()
@click.argument("name")
@click.option("--no-browser", is_flag=True, help="Only print the address to open.")
@click.option(
    "--callback",
    default=CALLBACK,
    show_default=True,
    help="The redirect address that is registered with the client; on this machine. Port 0 takes any free one.",
)
@click.option(
    "--timeout",
    "limit_s",
    type=click.FloatRange(1, 3600),
    default=300,
    show_default=True,
    help="Seconds to wait for the login.",
)
@common
def login(context: Context, name: str, no_browser: bool, callback: str, limit_s: float) -> None:
    """Log in to a destination in a browser. What is granted renews itself from then on."""
    from tasks.authorization.authorize import accept_code
    from tasks.credentials.grants import visit
    from worker.cli.callback import Callback

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
