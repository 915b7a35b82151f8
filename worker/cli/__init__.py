"""The command line: `afterword`, the same as `python -m worker`."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any

import click

from worker.cli import apikeys, audit, content, destinations, doctor, jobs, keys, messages, parts, tools
from worker.terminal.base import Root, data_option, json_option


def main() -> None:
    """Run the command line."""
    root()


def show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Print the version, as JSON too, and end."""
    if wanted:
        number = version("afterword")
        click.echo(json.dumps({"version": number}) if context.obj else f"afterword {number}")
        context.exit()


@click.command(cls=Root, name="afterword", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=show_version, help="Show the version."
)
@json_option
@data_option
def root(**_: Any) -> None:
    """Delivers what is written after an incident: Confluence pages, ServiceNow incidents, Azure DevOps work items."""


PARTS = (parts, destinations, content, jobs, messages, audit, keys, apikeys, tools, doctor)
for command in (command for part in PARTS for command in part.COMMANDS):
    root.add_command(command)
