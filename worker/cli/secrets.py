"""How a secret comes to a command: from a prompt, a file or stdin, never from an argument."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tasks.errors import Refused

if TYPE_CHECKING:
    from tasks.credentials.kinds import AnyAuth
    from tasks.credentials.secret import Part
    from worker.terminal.base import Context, F

HOW_TO_GIVE = (
    "A secret is never an argument: it would be visible in the shell's history and in the process list. "
    "Leave it out and type it at the prompt, or use --secret-file FILE, or pipe it in with --secret-stdin."
)


def secret_options(function: F) -> F:
    """The ways to give a secret, and a refusal of the others that doesn't repeat what was given."""

    def refuse(_: click.Context, __: click.Parameter, value: object) -> None:
        if value:
            raise click.UsageError(HOW_TO_GIVE)

    names = ("--secret", "--token", "--api-token", "--password", "--pat", "--client-secret", "--refresh-token")
    file = click.option("--secret-file", type=click.Path(path_type=Path), help="Read the secret from this file.")
    stdin = click.option("--secret-stdin", is_flag=True, help="Read the secret from stdin, also from a terminal.")
    bare = click.option(*names, "bare", hidden=True, expose_value=False, callback=refuse)
    more = click.argument("more", nargs=-1, metavar="", expose_value=False, callback=refuse)
    return file(stdin(bare(more(function))))


def read_secret(
    context: Context, file: Path | None, *, stdin: bool, auth: AnyAuth | None = None, key_file: Path | None = None
) -> str | None:
    """The secret from files, from stdin where that is asked for or no terminal, else from prompts; None for none.

    Several parts come as `tasks.credentials.secret.as_stored` takes them. Raises `Refused` for a file that can't be read,
    without repeating its name: it might be the secret itself.
    """
    from tasks.credentials.secret import SECRET, parts_for

    if file is not None and stdin:
        raise click.UsageError("--secret-file and --secret-stdin can't be used together.")
    key = _read(context, key_file, "--private-key-file") if key_file else None
    wanted = [part for part in parts_for(auth) if not (part.pem and key)]
    if not wanted:
        return key
    if file is not None:
        text: str | None = _read(context, file, "--secret-file")
    elif stdin or not sys.stdin.isatty():
        text = sys.stdin.read()
    else:
        text = _prompted(wanted)
    text = (text or "").strip()
    if wanted == [SECRET] and "\n" in text:
        raise Refused("The secret has several lines.", code="bad_secret", advice="Give the token or password alone.")
    return "\n".join(filter(None, (text, key))) or None


def read_proxy_password(context: Context, file: Path | None, username: str | None) -> str | None:
    """The password at the proxy, from a file or a prompt; None keeps the stored one. Stdin is the destination's secret."""
    if file is not None:
        return _read(context, file, "--proxy-secret-file").strip() or None
    if username is None or not sys.stdin.isatty():
        return None
    words = f"Password of {username} at the proxy (empty keeps the stored one)"
    return click.prompt(words, hide_input=True, default="", show_default=False, err=True) or None


def _read(context: Context, file: Path, option: str) -> str:
    try:
        if file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
            context.tell("The secret file can be read by others; run `chmod 600` on it.")
        return file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise Refused(
            f"The file of {option} can't be read: {words}.", code="unreadable", advice="Check its path."
        ) from None


def _prompted(parts: list[Part]) -> str | None:
    """One prompt for each part; all of them empty keep what is stored."""
    from tasks.credentials.secret import SECRET

    if any(part.pem and part.required for part in parts):
        raise click.UsageError("A private key is given as a file: --private-key-file FILE.")
    found = {}
    for part in parts:
        words = f"{part.words[0].upper()}{part.words[1:]}"
        empty = "empty keeps the stored one" if part.required else "empty for none"
        label = (
            "Secret (token, password or PAT; empty keeps the stored one)" if part == SECRET else f"{words} ({empty})"
        )
        found[part.name] = click.prompt(label, hide_input=True, default="", show_default=False, err=True)
    if parts == [SECRET]:
        return found[SECRET.name] or None
    given = {name: value for name, value in found.items() if value}
    return json.dumps(given) if given else None
