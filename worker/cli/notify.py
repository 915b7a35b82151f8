"""`afterword notify`: who is told of what needs a person."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tasks.errors import KeyTrouble, Refused
from tasks.state.receivers.settings import (
    RECEIVER,
    AnyReceiver,
    EmailReceiver,
    Topic,
    WebhookReceiver,
    receiver_of,
    view_of,
)
from worker.cli.secrets import read_secret, secret_options
from worker.terminal.base import Context, actor, common, plain

if TYPE_CHECKING:
    from worker.runtime import Services

# What each kind can't do without, by the name of its option.
NEEDS: dict[str, dict[str, str]] = {
    "webhook": {"--url": "url"},
    "slack": {},
    "teams": {},
    "email": {"--smtp-host": "smtp_host", "--from": "sender", "--to": "to"},
}


@click.group()
def notify() -> None:
    """Say who is notified of what needs a person: held and dead jobs, suspended destinations, and more."""


@notify.command("set")
@click.argument("name")
@click.option("--kind", type=click.Choice(tuple(NEEDS)), required=True, help="Where messages go.")
@click.option(
    "--url", help="The address of a webhook. With Slack and Teams the address is the secret, and is asked for."
)
@click.option("--topics", help=f"Comma-separated, by default all: {', '.join(Topic)}.")
@click.option(
    "--interval",
    "min_interval_s",
    type=click.IntRange(1, 86_400),
    help="Seconds between two messages at least; 60 by default.",
)
@click.option("--console", help="The address under which people open the console, for links in messages.")
@click.option("--smtp-host", help="The SMTP server of e-mails.")
@click.option("--smtp-port", type=click.IntRange(1, 65535), help="Its port; 587 by default.")
@click.option(
    "--security", type=click.Choice(("starttls", "tls", "none")), help="How e-mails are encrypted on the way."
)
@click.option("--username", help="The account at the SMTP server; its password is the secret.")
@click.option("--from", "sender", help="The mailbox that e-mails come from.")
@click.option("--to", multiple=True, help="A mailbox that e-mails go to; may be repeated.")
@click.option("--allow-http", is_flag=True, help="Allow plain text on the way.")
@click.option("--allow-private", multiple=True, metavar="CIDR", help="Allow this private network; may be repeated.")
@click.option("--ca-file", help="Certificate authorities to trust beside the usual ones: a file on each worker.")
@secret_options
@common
def set_(
    context: Context,
    name: str,
    kind: str,
    topics: str | None,
    secret_file: Path | None,
    *,
    secret_stdin: bool,
    **given: Any,
) -> None:
    """Store a receiver. What is left out has its default; a secret that is left out stays as it is stored.

    The secret is the address for Slack and Teams, the account's password for e-mails, and the signing secret (`whsec_…`) of
    a webhook, for which one is made where none is given.
    """
    from tasks.state.access.keys import new_signing_secret

    left_out = (None, False, ())
    facts = {key: value for key, value in given.items() if not any(value is none for none in left_out)} | {"kind": kind}
    if topics is not None:
        facts["topics"] = [topic.strip() for topic in topics.split(",") if topic.strip()]
    if missing := [option for option, part in NEEDS[kind].items() if part not in facts]:
        raise click.UsageError(f"Missing option '{missing[0]}'.")
    if kind in ("slack", "teams") and "url" in facts:
        raise click.UsageError("Give this address as the secret: who knows it can post there.")
    asks = secret_file is not None or secret_stdin or kind in ("slack", "teams") or "username" in facts
    secret = read_secret(context, secret_file, stdin=secret_stdin) if asks else None
    part = {"webhook": "secret", "email": "password"}.get(kind, "url")
    made: list[str] = []

    async def store(services: Services) -> AnyReceiver:
        try:
            before = await services.receivers.get(name)
        except KeyTrouble:
            before = None
        found = facts | ({part: secret} if secret else kept(before, facts, part))
        if kind == "webhook" and part not in found:
            found[part] = new_signing_secret()
            made.append(found[part])
        receiver = receiver_of(name, found)
        await services.receivers.set(name, receiver, actor())
        return receiver

    receiver = context.run(store)
    lines = [f"Receiver {name} ({receiver.kind}, {receiver.host}) is told of: {', '.join(receiver.topics)}."]
    lines += [f"Its messages are signed with this secret, shown only once: {each}" for each in made]
    lines.append(f"Try it: afterword notify test {name}")
    context.show(
        view_of(name, receiver).model_dump(mode="json") | ({"secret": made[0]} if made else {}), "\n".join(lines)
    )


def kept(before: AnyReceiver | None, facts: dict[str, Any], part: str) -> dict[str, Any]:
    """The stored secret, where it still goes to the same place."""
    if before is None or before.kind != facts["kind"]:
        return {}
    if isinstance(before, WebhookReceiver) and before.url != facts.get("url"):
        return {}
    if isinstance(before, EmailReceiver) and (before.smtp_host, before.username) != (
        facts.get("smtp_host"),
        facts.get("username"),
    ):
        return {}
    value = RECEIVER.dump_python(before).get(part)
    return {part: value} if value else {}


@notify.command("list")
@common
def list_(context: Context) -> None:
    """Show all receivers, without their secrets."""
    from rich.table import Table

    rows = context.run(lambda services: services.receivers.views())
    table = Table("Name", "Kind", "Host", "Told of", "State")
    for row in rows:
        state = row.trouble or (f"failing, {row.failures} in a row" if row.failures else row.standing)
        table.add_row(*map(plain, (row.name, row.kind, row.host, ", ".join(row.topics), state)))
    empty = "Nobody is notified. Say who: afterword notify set NAME --kind webhook --url URL"
    context.show([row.model_dump(mode="json") for row in rows], table if rows else empty)


@notify.command()
@click.argument("name")
@common
def test(context: Context, name: str) -> None:
    """Send a test message now."""
    from worker.rounds.notifier import test as send_test

    trouble = context.run(lambda services: send_test(services, name))
    if trouble:
        raise Refused(f"The test message to {name} failed: {trouble}", code="notification_failed", advice="")
    context.show({"name": name, "success": True}, f"The test message to {name} was taken.")


@notify.command()
@click.argument("name")
@common
def remove(context: Context, name: str) -> None:
    """Tell a receiver nothing any more, and forget it with its secret."""
    context.run(lambda services: services.receivers.remove(name, actor()))
    context.show({"name": name, "removed": True}, f"Receiver {name} is removed.")
