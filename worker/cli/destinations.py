"""`afterword destination`: where jobs go."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tasks.credentials.kinds import Login
from tasks.errors import Refused
from tasks.model import KIND_OF_COMMAND
from worker.cli.credentials import auth_options, credential_lines, take_auth, told
from worker.cli.health import lines
from worker.cli.login import login
from worker.cli.secrets import read_proxy_password, read_secret, secret_options
from worker.terminal.base import Context, actor, common, plain
from worker.terminal.files import read_text

if TYPE_CHECKING:
    from tasks.authorization.status import CredentialStatus
    from tasks.state.directory import DestinationRecord
    from tasks.state.traffic.limiter import Health
    from worker.runtime import Services

PEM = click.Path(resolve_path=True)  # it is read by workers, which run elsewhere


@click.group()
def destination() -> None:
    """Configure, test, pause and resume destinations."""


def describe(record: DestinationRecord) -> dict[str, Any]:
    """A destination without its credential."""
    return record.model_dump(mode="json")


@destination.command("set")
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(tuple(KIND_OF_COMMAND.values())),
    required=True,
    help="What sort of system it is.",
)
@click.option("--base-url", help="Confluence, Jira: the site (https://example.atlassian.net)")
@click.option(
    "--email",
    help="Confluence, Jira: the account of the API token; Data Center: a user name, to log in with a password.",
)
@click.option("--space", help="Confluence: the space of jobs that name none; the connection test checks it.")
@click.option(
    "--flavor", type=click.Choice(["cloud", "datacenter"]), help="Confluence, Jira: cloud (default) or datacenter."
)
@click.option("--instance-url", help="ServiceNow: the instance (https://example.service-now.com)")
@click.option("--username", help="ServiceNow: the account.")
@click.option("--org-url", help="Azure DevOps: the organization (https://dev.azure.com/example)")
@click.option(
    "--project", help="Azure DevOps, Jira: the project of jobs that name none; the connection test checks it."
)
@click.option("--type", "item_type", help="Azure DevOps: work item type, Bug by default; Jira: issue type.")
@click.option("--mapping", help="Tickets: a TOML file that maps issues to fields, see docs/tickets.md.")
@click.option(
    "--set", "extra", multiple=True, metavar="FIELD=VALUE", help="Any other setting, such as on_drift=overwrite."
)
@click.option("--allow-http", is_flag=True, help="Allow plain http to this host.")
@click.option("--allow-private", multiple=True, metavar="CIDR", help="Allow addresses in this private network (CIDR).")
@click.option("--proxy-url", help="Send all requests through this HTTP proxy (http://proxy.example:3128)")
@click.option("--proxy-username", help="The proxy: the user name; its password comes from a prompt or a file.")
@click.option(
    "--proxy-secret-file", type=click.Path(path_type=Path), help="The proxy: read the password from this file."
)
@click.option("--connect-to", metavar="HOST", help="Connect to this host or address instead of the address's own.")
@click.option("--ca-file", type=PEM, help="Trust the certificate authorities in this PEM file, too.")
@click.option("--client-cert-file", type=PEM, help="Show this client certificate (PEM) to a server that asks.")
@click.option("--client-key-file", type=PEM, help="The key of the client certificate (PEM, no passphrase).")
@auth_options
@secret_options
@common
def set_(
    context: Context,
    name: str,
    extra: tuple[str, ...],
    secret_file: Path | None,
    secret_stdin: bool,
    private_key_file: Path | None,
    proxy_secret_file: Path | None,
    **given: Any,
) -> None:
    """Store a destination. The secret comes from a prompt, --secret-file or stdin, never from an argument."""
    from tasks.destinations import check_settings, parse_settings
    from worker.connection_tests import ADDRESS_FIELD

    if any(character not in "abcdefghijklmnopqrstuvwxyz0123456789_-" for character in name) or not name[:1].isalpha():
        raise Refused(
            f"{name!r:.60} is no name for a destination.", code="bad_name", advice="Use small letters, digits, _ and -."
        )
    address = ADDRESS_FIELD[given["kind"]]
    if not given[address] and not any(pair.startswith(f"{address}=") for pair in extra):
        raise click.MissingParameter(param_type="option", param_hint=f"'--{address.replace('_', '-')}'")
    given["issue_type" if given["kind"] == "jira" else "work_item_type"] = given.pop("item_type")
    given["allow_http"] = given["allow_http"] or None
    given["allow_private"] = given["allow_private"] or None
    take_auth(given)
    for pair in extra:
        key, equals, value = pair.partition("=")
        if not equals:
            raise click.BadParameter(f"{pair!r:.60} is not FIELD=VALUE", param_hint="--set")
        given[key] = value
    if given["mapping"]:
        given["mapping"] = read_text(given["mapping"])
    settings = parse_settings(given)
    check_settings(settings)  # before anybody types a secret
    secret = read_secret(context, secret_file, stdin=secret_stdin, auth=settings.auth, key_file=private_key_file)
    password = read_proxy_password(context, proxy_secret_file, settings.proxy_username)
    record = context.run(
        lambda services: services.destinations.set(name, settings, secret, actor(), proxy_password=password)
    )
    missing = "" if record.has_credential else " It has no credential yet."
    then = "Log in now" if isinstance(settings.auth, Login) else "Check it"
    verb = "login" if isinstance(settings.auth, Login) else "test"
    pasted = next((given[field] for field in ADDRESS_FIELD.values() if given.get(field)), "")
    if (taken := settings.origin.base_url) != pasted.strip().rstrip("/"):
        missing += f" Of the address, {taken} was taken."
    context.show(
        describe(record),
        f"Destination {name} is stored (revision {record.revision}).{missing} {then}: afterword destination {verb} {name}",
    )


def _told(health: Health) -> dict[str, Any]:
    """How it stands, for programs."""
    return {"standing": health.standing.model_dump(mode="json"), "health": health.model_dump(mode="json")}


@destination.command("list")
@common
def list_(context: Context) -> None:
    """List the destinations and their states."""
    from rich.table import Table

    async def work(services: Services) -> list[tuple[DestinationRecord, Health]]:
        records = await services.destinations.list()
        return [(record, await services.destinations.shown_health(record.name)) for record in records]

    found = context.run(work)
    table = Table("Name", "Kind", "Address", "State", "Running", "Waiting")
    for record, health in found:
        cells = (record.name, record.settings.kind, record.settings.address, health.standing.words)
        table.add_row(*map(plain, (*cells, health.running, health.waiting)))
    empty = "No destination yet. Add one: afterword destination set NAME --kind confluence --base-url URL --email E --space KEY"
    rows = [describe(record) | _told(health) for record, health in found]
    context.show(rows, table if found else empty)


@destination.command()
@click.argument("name")
@common
def show(context: Context, name: str) -> None:
    """Show one destination: its settings, state and limits."""
    from tasks.authorization.status import status_of

    async def work(services: Services) -> tuple[DestinationRecord, Health, CredentialStatus, int]:
        record = await services.destinations.require(name)
        health = await services.destinations.shown_health(name)
        return record, health, await status_of(services.core, record), services.core.clock_ms()

    record, health, status, now_ms = context.run(work)
    given = record.settings.model_dump(mode="json", exclude_none=True)
    head = [
        f"Destination:   {record.name} ({record.settings.kind}), {record.settings.address}",
        *credential_lines(status, record.revision, now_ms),
    ]
    settings = ["Settings:", *(f"  {key} = {json.dumps(value)}" for key, value in given.items())]
    text = "\n".join([*head, *lines(health, now_ms), *settings])
    context.show(describe(record) | _told(health) | {"credential": told(status)}, text)


@destination.command()
@click.argument("name")
@common
def test(context: Context, name: str) -> None:
    """Test address, credential and rights, step by step."""
    report = context.run(lambda services: services.test_destination(name, actor()))
    marks = {True: "ok     ", False: "FAILED ", None: "unknown"}
    lines = [f"{marks[step.ok]}  {step.name}: {step.detail}" for step in report.steps]
    steps = [step.model_dump() for step in report.steps]
    context.show(
        {**report.result(), "steps": steps},
        "\n".join([*lines, report.message if report.success else "The test failed."]),
    )
    if not report.success:
        raise SystemExit(1)


destination.add_command(login)


@destination.command()
@click.argument("name")
@common
def pause(context: Context, name: str) -> None:
    """Pause a destination: its jobs wait."""
    record = context.run(lambda services: services.destinations.pause(name, actor()))
    context.show(describe(record), f"Destination {name} is paused; its jobs wait.")


@destination.command()
@click.argument("name")
@common
def resume(context: Context, name: str) -> None:
    """Resume a destination: its jobs go on."""
    record = context.run(lambda services: services.destinations.resume(name, actor()))
    context.show(describe(record), f"Destination {name} is resumed.")


@destination.command()
@click.argument("name")
@common
def remove(context: Context, name: str) -> None:
    """Remove a destination and its credential."""
    context.run(lambda services: services.destinations.remove(name, actor()))
    context.show({"removed": name}, f"Destination {name} is removed.")
