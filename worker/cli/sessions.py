"""`afterword session`: who is signed in at the console, and their end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from worker.terminal.base import Context, actor, common, plain

if TYPE_CHECKING:
    from worker.console.sessions import Sessions
    from worker.runtime import Services
    from worker.signin.policy import Person


@click.group()
def session() -> None:
    """List and end the sessions of people who signed in. A session of an API key ends with `apikey revoke`."""


@session.command("list")
@common
def list_(context: Context) -> None:
    """Show who is signed in."""
    from rich.table import Table

    async def work(services: Services) -> list[dict[str, Any]]:
        found = [_row(person, since_ms) async for _, person, since_ms in _sessions(services).of_people()]
        return sorted(found, key=lambda row: (row["actor"], row["created_ms"]))

    rows = context.run(work)
    table = Table("Who", "Role", "Signed in")
    for row in rows:
        at = f"{datetime.fromtimestamp(row['created_ms'] / 1000, UTC):%Y-%m-%d %H:%M}"
        table.add_row(*map(plain, (row["actor"], row["role"], at)))
    context.show(rows, table if rows else "Nobody is signed in.")


@session.command()
@click.argument("who", required=False)
@click.option("--all", "everybody", is_flag=True, help="End the session of everybody who signed in.")
@common
def end(context: Context, who: str | None, everybody: bool) -> None:
    """End all sessions of WHO at once. WHO is `oidc:SUBJECT`, as `session list` and the audit name them."""
    from tasks.state.audit.entries import Event

    if bool(who) == everybody:
        raise click.UsageError("Name whose sessions end, or give --all.")

    async def work(services: Services) -> list[dict[str, Any]]:
        sessions, ended = _sessions(services), []
        async for digest, person, since_ms in sessions.of_people():
            row = _row(person, since_ms)
            if everybody or who in (row["actor"], f"oidc:{row['subject']}", row["subject"]):
                await sessions.close(digest, services.core.clock_ms())
                await services.ledger.record(Event.LOGGED_OUT, {"actor": row["actor"], "by": actor()})
                ended.append(row)
        return ended

    rows = context.run(work)
    context.show({"ended": rows}, f"{len(rows)} sessions ended.")


def _row(person: Person, created_ms: int) -> dict[str, Any]:
    return {"actor": person.actor, "subject": person.subject, "role": person.role, "created_ms": created_ms}


def _sessions(services: Services) -> Sessions:
    from worker.console.sessions import Sessions

    return Sessions(services.redis, services.vault, services.access, services.settings.prefix, services.ended)
