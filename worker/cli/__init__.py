"""The command line: `afterword`, the same as `python -m worker`."""

from __future__ import annotations

import atexit
import gc
import json
import os
import sys
from typing import Any

import click

from worker.terminal.root import Places, Root, data_option, json_option

OBJECTS_BETWEEN = 50_000  # that are made before a collection; a listing's imports make about 60,000
COMMANDS = Places(
    {
        "api": ("worker.cli.parts:api", "Run the HTTP API and the console."),
        "apikey": ("worker.cli.apikeys:apikey", "Make, list and revoke keys of the HTTP API."),
        "audit": ("worker.cli.audit:audit", "Read, verify and export the audit trail."),
        "completion": ("worker.cli.completion:completion", "Print the script that completes commands in your shell."),
        "demo": ("worker.cli.parts:demo", "Deliver a real RCA to three simulated vendors, with faults."),
        "destination": ("worker.cli.destinations:destination", "Configure, test, pause and resume destinations."),
        "doctor": ("worker.cli.doctor:doctor", "Check settings, keys, Redis, workers and destinations."),
        "document": ("worker.cli.content:document", "Store documents."),
        "incident": (
            "worker.cli.content:incident",
            "Create a ServiceNow incident, or a record of another table, from an issue.",
        ),
        "issue": ("worker.cli.content:issue", "Store issues."),
        "job": ("worker.cli.jobs:job", "List, show, watch, retry, cancel and release jobs."),
        "key": ("worker.cli.keys:key", "Make, inspect and rotate keys; seal a credential for a message."),
        "lookfirst": (
            "worker.cli.lookfirst:lookfirst",
            "See, set and clear that attempts look first.",
        ),
        "message": ("worker.cli.messages:message", "List, open and drop messages that were set aside."),
        "notify": ("worker.cli.notify:notify", "Say who is notified of what needs a person."),
        "publish": ("worker.cli.content:publish", "Publish a document as a Confluence page."),
        "render": ("worker.cli.tools:render", "Print what would be sent for a Markdown FILE."),
        "sandbox": ("worker.cli.sandbox:sandbox", "Run the simulated Confluence, ServiceNow, Azure DevOps and Jira."),
        "screen": ("worker.cli.tools:screen_", "Show what screening finds in FILE; exit 3 where policy would stop it."),
        "session": ("worker.cli.sessions:session", "List and end the sessions of people who signed in."),
        "ticket": (
            "worker.cli.content:ticket",
            "Create the ticket of an issue, of the kind that the destination takes.",
        ),
        "up": ("worker.cli.parts:up", "Run everything on this machine, until Ctrl-C."),
        "worker": ("worker.cli.parts:worker", "Run a worker, the same as `celery -A worker worker`."),
        "workitem": ("worker.cli.content:workitem", "Create an Azure DevOps work item from an issue."),
    }
)


def main() -> None:
    """Run the command line."""
    collect_seldom()
    skip_what_nobody_uses()
    root()


def collect_seldom() -> None:
    """Keep Python's garbage collector from going through what the imports made, again and again while they make it and once
    more at the end: nothing of that is ever garbage, and it takes more than a quarter of a short command's time.
    """
    gc.set_threshold(OBJECTS_BETWEEN)
    atexit.register(gc.freeze)


def skip_what_nobody_uses() -> None:
    """Keep two libraries from loading what no command uses and what takes longer than most commands: pydantic looks for plug-ins
    in all that is installed, and redis-py loads OpenTelemetry's metrics where they are installed.
    """
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    sys.modules.setdefault("opentelemetry.sdk.metrics", None)  # type: ignore[arg-type]


def show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    """Print the version, as JSON too, and end."""
    if wanted:
        from importlib.metadata import version

        number = version("afterword")
        click.echo(json.dumps({"version": number}) if context.obj else f"afterword {number}")
        context.exit()


@click.command(cls=Root, places=COMMANDS, name="afterword", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=show_version, help="Show the version."
)
@json_option
@data_option
def root(**_: Any) -> None:
    """Delivers what is written after an incident: Confluence pages, ServiceNow incidents, work items, Jira issues."""
