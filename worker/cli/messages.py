"""`afterword message`: what was set aside because no worker could take it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from tasks.state.clock import moment
from worker.terminal.base import Context, actor, common, plain

if TYPE_CHECKING:
    from worker.runtime import Services


@click.group()
def message() -> None:
    """List, open and drop messages that were set aside."""


@message.command("list")
@common
def list_(context: Context) -> None:
    """Show what was set aside, the newest first, and why."""
    from rich.table import Table

    found = context.run(lambda services: services.dead_list.list())
    table = Table("Message", "When", "Bytes", "Task id", "Why")
    for row in found:
        table.add_row(*map(plain, (row.id, moment(row.at_ms), row.length, row.task_id or "-", row.words)))
    context.show([row.model_dump(mode="json") for row in found], table if found else "No message was set aside.")


@message.command()
@click.argument("message_id")
@common
def show(context: Context, message_id: str) -> None:
    """Open one message. It may hold what nobody should have sent; looking is audited."""
    from tasks.state.audit.entries import Event

    async def look(services: Services) -> str:
        text = await services.dead_list.open(message_id)
        await services.ledger.record(Event.CONTENT_VIEWED, {"message": message_id, "actor": actor()})
        return text

    text = context.run(look)
    context.show({"message": message_id, "text": text}, plain(text))


@message.command()
@click.option("--yes", is_flag=True, help="Don't ask.")
@common
def drop(context: Context, yes: bool) -> None:
    """Forget all messages that were set aside."""
    if not yes and not (sys.stdin.isatty() and click.confirm("Drop every message that was set aside?", err=True)):
        raise click.UsageError("Nothing was dropped. Say --yes to drop them without being asked.")
    count = context.run(lambda services: services.dead_list.drop(actor()))
    context.show({"dropped": count}, f"{count} messages dropped.")
