"""Commands that need no running instance: render, screen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from worker.terminal.base import Context, common
from worker.terminal.files import read_bytes, read_text
from worker.terminal.root import STOPPED

ATTACH = "A file handed over with the document, such as a picture it shows; may be repeated."
WARNINGS = "List what doesn't look as it was written, each with its line, instead of what would be sent."
PREVIEW = "Also write an HTML page that looks like the target, to be opened in a browser."


@click.command()
@click.argument("file")
@click.option(
    "--for",
    "target",
    type=click.Choice(["confluence", "azure_devops", "servicenow", "jira"]),
    required=True,
    help="The kind of destination.",
)
@click.option("--attach", multiple=True, type=click.Path(path_type=Path, exists=True, dir_okay=False), help=ATTACH)
@click.option("--preview", type=click.Path(path_type=Path, dir_okay=False), help=PREVIEW)
@click.option("--warnings", "only_warnings", is_flag=True, help=WARNINGS)
@common
def render(
    context: Context, file: str, target: str, attach: tuple[Path, ...], preview: Path | None, only_warnings: bool
) -> None:
    """Print what would be sent for a Markdown FILE, personal data and secrets redacted."""
    from worker.cli.outgoing import rendered

    found = rendered(context, target, read_text(file), Path(file).stem, attach, preview)
    if only_warnings:
        shown = "\n".join(found["warnings"]) or "No warnings."
        context.show({"target": target, "warnings": found["warnings"]}, shown)
        return
    for warning in found["warnings"]:
        context.tell(f"Warning: {warning}")
    if context.as_json:
        context.show(found)
    else:
        click.echo(found["body"])


@click.command("screen")
@click.argument("file")
@common
def screen_(context: Context, file: str) -> None:
    """Show what screening finds in FILE, a document or a file to attach; exit 3 where policy would stop it."""
    from worker.cli.outgoing import screened

    found = screened(context, read_bytes(file))
    rows = found["findings"]
    lines = [f"{_place(row)}: {row['type']} ({row['severity']}) → {row['action']}" for row in rows]
    context.show(found, "\n".join([*lines, f"Verdict: {found['action']}"]))
    if found["action"] in ("hold", "block"):
        raise SystemExit(STOPPED)


def _place(row: Mapping[str, Any]) -> str:
    return f"text {row['part']}, line {row['line']}" if "part" in row else f"line {row['line']}"
