"""The command line: `afterword`, the same as `python -m worker`."""

from __future__ import annotations

from typing import Any

import click

from worker.cli import apikeys, content, destinations, jobs, parts, tools
from worker.cli.base import Root, data_option, json_option


def main() -> None:
    """Run the command line."""
    root()


@click.command(cls=Root, name="afterword", context_settings={"help_option_names": ["-h", "--help"]})
@json_option
@data_option
def root(**_: Any) -> None:
    """Delivers what is written after an incident: Confluence pages, ServiceNow incidents, Azure DevOps work items."""


for command in (
    *parts.COMMANDS,
    *destinations.COMMANDS,
    *content.COMMANDS,
    *jobs.COMMANDS,
    *tools.COMMANDS,
    *apikeys.COMMANDS,
):
    root.add_command(command)
