"""How a destination logs in, as options of a command and as lines for people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tasks.credentials.kinds import WORDS
from tasks.state.clock import moment
from worker.cli.health import duration

if TYPE_CHECKING:
    from tasks.authorization.status import CredentialStatus
    from worker.terminal.base import F

_FIELDS = ("client_id", "tenant", "token_url", "authorize_url", "subject", "key_id", "audience", "token_file")


def auth_options(function: F) -> F:
    """The options that say how a destination logs in."""
    options = (
        click.option(
            "--auth",
            "auth_type",
            type=click.Choice(tuple(WORDS)),
            help="How to log in; without it the secret is a password, API token, PAT or bearer token, as the kind takes it.",
        ),
        click.option("--client-id", help="OAuth: the client's id."),
        click.option("--tenant", help="Entra: the directory's id or name."),
        click.option("--token-url", help="OAuth: the token endpoint, where it isn't the vendor's own."),
        click.option("--authorize-url", help="OAuth login: the page of consent, where it isn't the vendor's own."),
        click.option("--scope", "scopes", multiple=True, help="OAuth: a scope to ask for, may be repeated."),
        click.option("--subject", help="JWT: the account that the client speaks for; --username without it."),
        click.option("--key-id", help="JWT: the key's id (kid)"),
        click.option("--audience", help="JWT: the audience, the client's id without it."),
        click.option("--token-file", help="Workload identity: where the platform keeps its token."),
        click.option(
            "--private-key-file",
            type=click.Path(path_type=Path),
            help="JWT, certificate: a PEM file with the private key, and with the certificate for the latter.",
        ),
        click.option(
            "--expires",
            type=click.DateTime(["%Y-%m-%d"]),
            metavar="DATE",
            help="The day on which the secret ends (YYYY-MM-DD), to be warned 30, 7 and 1 days before.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


def take_auth(given: dict[str, Any]) -> None:
    """Put what those options say into the settings that are `given`, in their place."""
    kind, scopes, expires = given.pop("auth_type"), given.pop("scopes"), given.pop("expires")
    fields = {name: value for name in _FIELDS if (value := given.pop(name)) is not None}
    if expires is not None:
        given["credential_expires"] = expires.date()
    if kind is None:
        if fields or scopes:
            named = next(iter(fields), "scope").replace("_", "-")
            raise click.UsageError(f"--{named} needs --auth, which says how the destination logs in.")
        return
    if scopes:
        fields["scopes"] = re.split(r"[\s,]+", " ".join(scopes).strip())
    if kind == "jwt" and given.get("username"):
        fields.setdefault("subject", given["username"])
    given["auth"] = {"type": kind, **fields}


def credential_lines(status: CredentialStatus, revision: int, now_ms: int) -> list[str]:
    """What an operator asks of a credential, one fact a line."""
    found = [f"Credential:    {WORDS[status.type] if status.stored else 'none'}, revision {revision}"]
    if status.client_id:
        found.append(f"Client:        {status.client_id}")
    if status.scopes:
        found.append(f"Scopes:        {' '.join(status.scopes)}")
    if status.logged_in is not None:
        found.append(f"Login:         {'done' if status.logged_in else 'to be done: afterword destination login'}")
    if status.token_expires_ms:
        found.append(f"Access token:  until {moment(status.token_expires_ms)}, renewed by itself")
    if status.grant_expires_ms:
        found.append(f"Grant:         until {moment(status.grant_expires_ms)}, longer with each renewal")
    if status.ends_ms is not None:
        left_ms = status.ends_ms - now_ms
        when = f"in {duration(left_ms)}" if left_ms > 0 else f"{duration(-left_ms)} ago"
        found.append(f"Ends:          {moment(status.ends_ms)}, {when}")
    if status.through_gateway:
        found.append("Way:           through the vendor's gateway")
    return found


def told(status: CredentialStatus) -> Mapping[str, Any]:
    """The same for programs."""
    return status.model_dump(mode="json")
