"""The command line: `afterword`, the same as `python -m worker`."""

from __future__ import annotations

from worker.cli import content, destinations, jobs, parts, tools
from worker.cli.base import Root


def main() -> None:
    """Run the command line."""
    root()


root = Root(
    name="afterword",
    help="Delivers what is written after an incident.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (*parts.COMMANDS, *destinations.COMMANDS, *content.COMMANDS, *jobs.COMMANDS, *tools.COMMANDS):
    root.add_command(command)
