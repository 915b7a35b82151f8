"""`afterword apikey`: who may use the HTTP API."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from tasks.errors import Refused
from worker.terminal.base import Context, actor, common, plain

if TYPE_CHECKING:
    from tasks.state.access.rights import ApiKey
    from worker.runtime import Services

UNITS_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}


@click.group()
def apikey() -> None:
    """Make, list and revoke keys of the HTTP API."""


def lifetime_ms(text: str) -> int:
    """`90d`, `12h` or `30m` in milliseconds; raises `click.BadParameter`."""
    found = re.fullmatch(r"([1-9][0-9]{0,5})([mhd])", text)
    if found is None:
        raise click.BadParameter("write a number and m, h or d, such as 90d")
    return int(found[1]) * UNITS_MS[found[2]]


@apikey.command()
@click.argument("name", required=False)
@click.option("--name", "named", help="The same as NAME: who or what will use the key.")
@click.option(
    "--scopes", default="submit,read", show_default=True, help="Comma-separated: submit, read, operate, admin."
)
@click.option("--expires", help="When it expires, counted from now, such as 90d; never by default.")
@common
def new(context: Context, name: str | None, named: str | None, scopes: str, expires: str | None) -> None:
    """Make a key. Its text is shown only once; Afterword stores an HMAC of it."""
    from tasks.state.access.rights import Scope

    wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
    if not wanted or set(wanted) - set(Scope):
        raise click.BadParameter(f"{scopes!r:.60}: name one or more of {', '.join(Scope)}", param_hint="--scopes")
    valid_ms = lifetime_ms(expires) if expires else None

    async def make(services: Services) -> tuple[ApiKey, str, str | None]:
        expires_ms = services.core.clock_ms() + valid_ms if valid_ms else None
        key, text = await services.access.create(name or named or "unnamed", wanted, expires_ms, actor())
        return key, text, await services.access.callback_secret(key.id)

    key, text, secret = context.run(make)
    lines = [
        f"API key {key.name} ({', '.join(key.scopes)}), shown only once: {text}",
        f"Callbacks of its jobs are signed with: {secret}",
    ]
    context.show({**describe(key), "api_key": text, "callback_secret": secret}, "\n".join(lines))


@apikey.command("list")
@common
def list_(context: Context) -> None:
    """Show all keys, without their secrets."""
    from rich.table import Table

    async def work(services: Services) -> tuple[list[ApiKey], int]:
        return await services.access.list(), services.core.clock_ms()

    keys, now_ms = context.run(work)
    table = Table("Id", "Name", "Scopes", "Made", "Expires", "Last used", "State")
    for key in keys:
        state = "revoked" if key.revoked else "changed in Redis, refused" if key.changed else "good"
        if key.expires_ms is not None and key.expires_ms <= now_ms:
            state = "expired"
        cells = (key.id, key.name, ", ".join(key.scopes), _day(key.created_ms), _day(key.expires_ms))
        table.add_row(*map(plain, (*cells, _day(key.last_used_ms), state)))
    empty = "No API key yet. Make one: afterword apikey new NAME --scopes submit,read"
    context.show([describe(key) for key in keys], table if keys else empty)


@apikey.command()
@click.argument("key_id")
@common
def revoke(context: Context, key_id: str) -> None:
    """Revoke a key: it is refused from now on. KEY_ID is the part before the dot."""
    identifier = _id_of(key_id)

    async def work(services: Services) -> ApiKey:
        revoked = await services.access.revoke(identifier, actor())
        await services.views.forget_those_of(identifier, actor())
        return revoked

    key = context.run(work)
    context.show(describe(key), f"API key {key.name} ({key.id}) is revoked.")


@apikey.command("callback-secret")
@click.argument("key_id")
@common
def callback_secret(context: Context, key_id: str) -> None:
    """Show the secret that signs the callbacks of a key's jobs."""
    identifier = _id_of(key_id)
    secret = context.run(lambda services: services.access.callback_secret(identifier))
    if secret is None:
        raise Refused(
            f"There is no API key {identifier!r:.60}.",
            code="unknown_apikey",
            advice="`afterword apikey list` shows them.",
        )
    context.show({"id": identifier, "callback_secret": secret}, secret)


def describe(key: ApiKey) -> dict[str, Any]:
    """A key as JSON."""
    return key.model_dump(mode="json")


def _id_of(given: str) -> str:
    """The id; a whole key is refused, because an argument stands in the shell's history and the process list."""
    if "." in given:
        raise click.UsageError("Give the part before the dot only: the rest is the secret. Revoke this key now.")
    return given


def _day(at_ms: int | None) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M}" if at_ms else "never"
