"""Commands that need no running instance: render, screen."""

from __future__ import annotations

from collections.abc import Callable

import click

from tasks.markup import azure_devops, confluence, servicenow
from tasks.screening import STRICTNESS, Policy, screen
from worker.cli.base import STOPPED, Context, common
from worker.cli.content import read_text


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


COMMANDS = (render, screen_)
