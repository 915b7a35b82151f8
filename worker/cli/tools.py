"""Commands that need no running instance, or look at it: render, screen, key, doctor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click

from config.keys import create_key_file, load_key_ring, new_key
from tasks.markup import azure_devops, confluence, servicenow
from tasks.screening import STRICTNESS, Policy, screen
from tasks.state.vault import seal
from worker.cli.base import STOPPED, Context, common
from worker.cli.content import read_text
from worker.cli.destinations import read_secret, secret_options


@click.command()
@click.argument("file")
@click.option("--for", "target", type=click.Choice(["confluence", "azure_devops", "servicenow"]), required=True)
@common
def render(context: Context, file: str, target: str) -> None:
    """Print what would be sent for a Markdown FILE."""
    text = read_text(file)
    renderers: dict[str, Callable[[str], str]] = {
        "confluence": confluence.render,
        "azure_devops": azure_devops.render,
        "servicenow": lambda source: servicenow.render(source, limit=4000),
    }
    rendered = renderers[target](text)
    if context.as_json:
        context.show({"target": target, "body": rendered})
    else:
        click.echo(rendered)


@click.command("screen")
@click.argument("file")
@common
def screen_(context: Context, file: str) -> None:
    """Show what screening finds in FILE; exit 3 where policy would stop it."""
    text = read_text(file)
    policy = Policy()
    verdict = screen(text, policy)
    rows = []
    for finding in verdict.findings:
        line = text.count("\n", 0, finding.start) + 1
        rows.append({**finding.model_dump(), "line": line, "action": policy.action(finding)})
    lines = [f"line {row['line']}: {row['type']} ({row['severity']}) → {row['action']}" for row in rows]
    context.show({"action": verdict.action, "findings": rows}, "\n".join([*lines, f"Verdict: {verdict.action}"]))
    if STRICTNESS.get(verdict.action, 0) >= STRICTNESS["hold"]:
        raise SystemExit(STOPPED)


@click.group()
def key() -> None:
    """Make and look at keys; seal a credential for a message."""


@key.command()
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write a key file (0600) instead of printing a key."
)
@common
def new(context: Context, out: Path | None) -> None:
    """Make a new key."""
    if out is None:
        fresh = new_key()
        context.show({"key": fresh}, fresh)
        return
    create_key_file(out)
    context.show({"file": str(out)}, f"Key file {out} is made. Keep a copy: without it nothing stored can be read.")


@key.command()
@common
def status(context: Context) -> None:
    """Show which keys are on the ring, by id."""
    ring = load_key_ring(context.settings)
    context.show(
        {"current": ring.order[0], "keys": list(ring.order)},
        f"Current key {ring.order[0]}; on the ring: {', '.join(ring.order)}",
    )


@key.command("seal")
@secret_options
@common
def seal_(context: Context, secret_file: Path | None, secret_stdin: bool) -> None:
    """Seal a credential, so that it can be named in a Celery message of a connection test."""
    secret = read_secret(context, secret_file, stdin=secret_stdin)
    if not secret:
        raise click.UsageError("No secret was given.")
    token = seal(secret, load_key_ring(context.settings))
    context.show({"token": token}, token)


COMMANDS = (render, screen_, key)
