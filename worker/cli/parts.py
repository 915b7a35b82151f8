"""Commands that run something: up, demo, worker, api."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from worker.terminal.base import Context, common
from worker.terminal.root import Failure, host_option

if TYPE_CHECKING:
    from worker.machine.stack import Stack


@click.command()
@click.option("--sandbox", is_flag=True, help="Add simulated vendors, with a destination for each.")
@click.option(
    "--port",
    default=8080,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port of API and console, on loopback; 0 takes a free one.",
)
@click.option(
    "--sandbox-port",
    default=0,
    type=click.IntRange(0, 65535),
    help="Port of the sandbox; a free one by default.",
)
@common
def up(context: Context, sandbox: bool, port: int, sandbox_port: int) -> None:
    """Run everything on this machine, until Ctrl-C."""
    from worker.machine.stack import Stopped, keep_alive, running_stack

    try:
        with running_stack(context.settings, api_port=port, sandbox_port=sandbox_port if sandbox else None) as stack:
            announce(context, stack)
            trouble = keep_alive(stack)
    except Stopped:
        context.tell("Stopped.")
        return
    raise Failure(trouble, code="part_ended")


def announce(context: Context, stack: Stack) -> None:
    """Say where everything is."""
    settings = stack.own_settings
    facts = {
        "data": str(settings.data),
        "broker_url": settings.broker_address(),
        "producer_url": stack.producers_url,
        "api_url": stack.api_url,
        "sandbox_url": stack.sandbox_url,
        "new_keys": stack.new_keys,
    }
    if stack.first_key:
        facts["api_key"] = stack.first_key
    lines = [
        f"API and console:           {stack.api_url}",
        f"Data, keys and logs:       {settings.data}",
        f"Plain Celery clients use:  {stack.producers_url}",
    ]
    if stack.new_keys:
        lines.append(f"New key file, keep a copy: {settings.data / 'keys'}")
    if stack.first_key:
        lines.append(f"First API key (admin), shown only once: {stack.first_key}")
    if stack.sandbox_url:
        lines.append(f"Sandbox pages:             {stack.sandbox_url}")
    how = f"with --data {context.data}" if context.data else "without options"
    lines.append(f"Other commands find this instance {how}. Ctrl-C stops it.")
    context.show(facts, "\n".join(lines))
    sys.stdout.flush()


@click.command()
@click.option("--document", type=click.Path(path_type=Path), help="Deliver this Markdown file instead.")
@common
def demo(context: Context, document: Path | None) -> None:
    """Deliver a real RCA to three simulated vendors, with faults, in a temporary folder."""
    from worker.demo.run import run_demo

    raise SystemExit(run_demo(context, document))


@click.command()
@click.option("--concurrency", type=click.IntRange(1, 2000), help="Attempts at once (AFTERWORD_CONCURRENCY).")
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    help="Processes that share the attempts (AFTERWORD_WORKER_PROCESSES); by default as many as it can use, at most 4.",
)
@click.option("--name", help="Node name in Celery, unique by default; %h stands for the host, as in `worker-1@%h`.")
@click.option("--queues", help="Comma-separated queues, all by default.")
@common
def worker(
    context: Context, concurrency: int | None, processes: int | None, name: str | None, queues: str | None
) -> None:
    """Run a worker, the same as `celery -A worker worker`."""
    from worker.broker.settings import QUEUES

    if queues and (unknown := {name.strip() for name in queues.split(",")} - {*QUEUES}):
        names = ", ".join(QUEUES)
        raise click.BadParameter(f"{min(unknown)!r:.60} is no queue; there are {names}", param_hint="--queues")
    from worker.celery import app

    os.environ["AFTERWORD_DATA"] = str(context.settings.data)  # the app reads the settings by itself
    if processes:
        os.environ["AFTERWORD_WORKER_PROCESSES"] = str(processes)
    app.prepare()
    arguments = ["worker", "--without-gossip", "--without-mingle", "--loglevel", context.settings.log_level]
    if concurrency:
        arguments += ["--concurrency", str(concurrency)]
    if queues:
        arguments += ["--queues", queues]
    if name:
        arguments += ["--hostname", name]
    app.worker_main(arguments)


@click.command()
@host_option
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@common
def api(context: Context, host: str, port: int) -> None:
    """Run the HTTP API and the console."""
    from config.logging import configure_logging
    from worker.api.serve import serve_until_stopped

    configure_logging(context.settings)

    def tell(actual: int, first_key: str | None) -> None:
        url = f"http://{f'[{host}]' if ':' in host else host}:{actual}"
        facts = {"url": url} | ({"api_key": first_key} if first_key else {})
        lines = [f"API and console on {url}"]
        if first_key:
            lines.append(f"First API key (admin), shown only once: {first_key}")
        context.show(facts, "\n".join(lines))
        sys.stdout.flush()

    asyncio.run(serve_until_stopped(context.settings, host, port, tell))
