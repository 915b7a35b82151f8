"""`afterword job` and `afterword audit`: what became of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import click
from rich.table import Table

from tasks.errors import Refused
from tasks.model import Job, JobState
from worker.cli.base import Context, actor, common, plain
from worker.cli.watching import describe, finish, sentence, wait_for
from worker.runtime import Services


@click.group()
def job() -> None:
    """List, show, watch, retry, cancel and release jobs."""


_state = click.option("--state", type=click.Choice([state.value for state in JobState]))
_destination = click.option("--destination")


@job.command("list")
@_state
@_destination
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@common
def list_(context: Context, state: str | None, destination: str | None, limit: int) -> None:
    """Show jobs, newest first."""
    wanted = JobState(state) if state else None
    jobs, _ = context.run(lambda services: services.ledger.list(wanted, destination, None, limit))
    table = Table("Job", "Command", "Destination", "State", "Attempts", "What happened")
    for row in jobs:
        cells = (row.id, row.command.command, row.destination, row.state.value, row.attempts, sentence(row))
        table.add_row(*map(plain, cells))
    context.show(
        [describe(row) for row in jobs],
        table if jobs else "No such job. Submit one: afterword publish DOC_ID --space KEY",
    )


@job.command()
@click.argument("job_id")
@common
def show(context: Context, job_id: str) -> None:
    """Show one job with its timeline."""

    async def look(services: Services) -> tuple[Job, Sequence[dict[str, Any]]]:
        return await services.ledger.require(job_id), await services.ledger.events(job_id)

    found, events = context.run(look)
    lines = [f"Job {found.id}: {found.command.command.value} to {found.destination}", sentence(found)]
    for event in events:
        at = datetime.fromtimestamp(int(str(event["at_ms"])) / 1000, UTC)
        rest = ", ".join(
            f"{k}={v}" for k, v in event.items() if k not in ("at_ms", "event") and v not in (None, "", {})
        )
        lines.append(f"  {at:%H:%M:%S.%f}"[:-3] + f"  {event['event']}  {rest}")
    context.show({**describe(found), "events": events}, "\n".join(lines))


@job.command()
@click.argument("job_id")
@common
def watch(context: Context, job_id: str) -> None:
    """Follow one job to its end."""
    finish(context, wait_for(context, job_id))


def _act(
    context: Context,
    job_id: str | None,
    state: str | None,
    destination: str | None,
    act: Callable[[Services, str], Awaitable[Job]],
) -> None:
    """Act on one job, or on all that match the filter."""
    if (job_id is None) == (state is None and destination is None):
        raise click.UsageError("Name a job, or a filter (--state, --destination), and not both.")

    async def one(services: Services) -> list[Job]:
        return [await act(services, str(job_id))]

    async def all_matching(services: Services) -> list[Job]:
        found: list[Job] = []
        cursor: str | None = None
        wanted = JobState(state) if state else None
        ids: list[str] = []
        while True:
            page, cursor = await services.ledger.list(wanted, destination, cursor, 500)
            ids += [row.id for row in page]
            if cursor is None:
                break
        for number, identifier in enumerate(ids, 1):
            try:
                found.append(await act(services, identifier))
            except Refused as refused:
                context.tell(str(refused))
            if number % 100 == 0:
                context.tell(f"{number} of {len(ids)}")
        return found

    done = context.run(all_matching if job_id is None else one)
    lines = [f"Job {row.id} is {row.state.value}." for row in done[:20]] + [f"{len(done)} done."] * (job_id is None)
    context.show([describe(row) for row in done] if job_id is None else describe(done[0]), "\n".join(lines))


@job.command()
@click.argument("job_id", required=False)
@_state
@_destination
@common
def retry(context: Context, job_id: str | None, state: str | None, destination: str | None) -> None:
    """Queue dead jobs again."""
    if job_id is None and destination and state is None:
        state = JobState.DEAD.value
    _act(context, job_id, state, destination, lambda services, i: services.retry(i, actor()))


@job.command()
@click.argument("job_id", required=False)
@_state
@_destination
@click.option("--reason", default="")
@common
def cancel(context: Context, job_id: str | None, state: str | None, destination: str | None, reason: str) -> None:
    """End jobs that aren't running."""
    _act(context, job_id, state, destination, lambda services, i: services.ledger.cancel(i, actor(), reason))


@job.command()
@click.argument("job_id", required=False)
@_state
@_destination
@click.option("--reason", default="")
@common
def release(context: Context, job_id: str | None, state: str | None, destination: str | None, reason: str) -> None:
    """Let held jobs go on; what policy blocks goes out redacted."""
    _act(context, job_id, state, destination, lambda services, i: services.ledger.release(i, actor(), reason))


COMMANDS = (job,)
