"""`afterword sandbox`: the simulated vendors, and the faults of those that run."""

from __future__ import annotations

import asyncio
import http.client
import json
import sys
import urllib.error
import urllib.request
from typing import Any

import click

from worker.terminal.base import Context, common, plain
from worker.terminal.files import read_text
from worker.terminal.root import Failure, host_option

ANSWERS_WITHIN_S = 10.0


@click.group(invoke_without_command=True)
@host_option
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option(
    "--setup",
    "setup_file",
    help="A TOML file with spaces, projects, processes, tables, fields, accounts, missing rights and faults to begin with.",
)
@click.option("--fault", "faults", multiple=True, metavar="NAME|JSON", help="A fault to begin with, may be repeated.")
@common
def sandbox(context: Context, host: str, port: int, setup_file: str | None, faults: tuple[str, ...]) -> None:
    """Run the simulated Confluence, ServiceNow, Azure DevOps and Jira."""
    if click.get_current_context().invoked_subcommand is not None:
        return
    from worker.sandbox.serve import serve_until_stopped
    from worker.sandbox.setup import read

    for option, text in (("--fault", ""), ("--setup", read_text(setup_file) if setup_file else "")):
        try:
            setup = read(text, faults)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint=option) from None

    def tell(actual: int) -> None:
        context.show({"url": f"http://{host}:{actual}"}, f"Sandbox on http://{host}:{actual}")
        sys.stdout.flush()

    asyncio.run(serve_until_stopped(host, port, tell, setup))


@sandbox.command()
@click.argument("faults", nargs=-1, metavar="[NAME|JSON]...")
@click.option("--clear", is_flag=True, help="End all faults that are in force, first.")
@click.option("--url", help="The sandbox's address; that of `afterword up --sandbox` by default.")
@common
def fault(context: Context, faults: tuple[str, ...], clear: bool, url: str | None) -> None:
    """Put faults in force in a sandbox that runs, and show all that are.

    A fault is a name such as rate_limit, or JSON that says more: '{"fault": "status", "status": 502, "vendor": "jira"}'.
    """
    from worker.sandbox.faults.spec import fault_named

    try:
        specs = [fault_named(text).model_dump() for text in faults]
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="NAME|JSON") from None
    place = f"{(url or _running(context)).rstrip('/')}/_sandbox/faults"
    if clear:
        _asked("DELETE", place)
    for spec in specs:
        _asked("POST", place, spec)
    _show(context, _asked("GET", place))


def _running(context: Context) -> str:
    """The address of the sandbox that `up` started."""
    found = context.settings.instance().get("sandbox_url")
    if not found:
        advice = "Start one with `afterword up --sandbox`, or name it with --url."
        raise Failure("No sandbox runs here.", code="no_sandbox", advice=advice)
    return str(found)


def _asked(method: str, url: str, body: object = None) -> Any:
    """The answer of the control interface; None where it is empty."""
    content = None if body is None else json.dumps(body).encode()
    try:
        request = urllib.request.Request(url, content, {"Content-Type": "application/json"}, method=method)  # noqa: S310 - the operator's own address
        with urllib.request.urlopen(request, timeout=ANSWERS_WITHIN_S) as answer:  # noqa: S310
            return json.loads(answer.read() or b"null")
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError):
        raise Failure(f"No sandbox answers at {url}.", code="no_sandbox", advice="Check --url.") from None


def _show(context: Context, rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table("Fault", "Vendor", "Operation", "Left")
    for row in rows:
        left = "no limit" if row.get("left") is None else str(row["left"])
        table.add_row(*map(plain, (row["fault"], row.get("vendor", "*"), row.get("operation", "any"), left)))
    context.show(rows, table if rows else "No fault is in force.")
