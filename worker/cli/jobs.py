"""`afterword job`: what became of jobs, and what a person decides of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from tasks.model import KIND_OF_COMMAND, Job, JobState, content_id
from worker.cli.health import duration
from worker.terminal.base import Context, actor, common, plain
from worker.terminal.moments import MOMENT, Moment
from worker.terminal.watching import closed_for, describe, finish, happened, sentence, wait_for, warned

if TYPE_CHECKING:
    from rich.table import Table

    from tasks.operator.bulk import Progress, Verb
    from tasks.state.jobs.overview import JobFilter
    from worker.runtime import Services

NONE_YET = "No job yet. Submit one: afterword publish DOC_ID --space KEY"
NONE_MATCHES = "No job matches. `afterword job list` shows all."
SHORT = 8  # characters of a job's id


@click.group()
def job() -> None:
    """List, show, watch, retry, cancel and release jobs."""


_state = click.option("--state", type=click.Choice([state.value for state in JobState]), help="Jobs in this state.")
_destination = click.option("--destination", help="Jobs of this destination, by its name.")
_cause = click.option("--cause", help="Error code, with its status behind a blank, such as 'server_error 503'.")


@job.command("list")
@_state
@_destination
@click.option("--search", "text", help="Whole words of the title, an id, the remote number, the error or the actor.")
@_cause
@click.option("--kind", type=click.Choice(sorted(set(KIND_OF_COMMAND.values()))), help="Kind of destination.")
@click.option("--since", type=MOMENT, help="Submitted from then on: a time such as 2026-11-28T14:00Z, or an age: 24h.")
@click.option("--until", type=MOMENT, help="Submitted before then.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many to show.")
@common
def list_(
    context: Context, limit: int, state: str | None, since: Moment | None, until: Moment | None, **given: str | None
) -> None:
    """Show jobs, newest first."""
    from tasks.operator.filters import check_filter
    from tasks.state.jobs.overview import JobFilter

    narrowed = any((state, since, until, *given.values()))

    async def look(services: Services) -> tuple[list[Job], dict[str, str], dict[str, str], int]:
        now_ms = services.core.clock_ms()
        chosen = JobFilter(
            state=JobState(state) if state else None,
            since_ms=since.epoch_ms(now_ms) if since else None,
            until_ms=until.epoch_ms(now_ms) if until else None,
            **given,
        )
        await check_filter(services.core, chosen)
        jobs, _ = await services.ledger.list(chosen, None, limit)
        if context.as_json:
            return jobs, {}, {}, now_ms
        from worker.titles import titles_of

        closed = {record.name: record.closed for record in await services.destinations.list()}
        return jobs, await titles_of(services, jobs), closed, now_ms

    jobs, titles, closed, now_ms = context.run(look)
    if context.as_json:
        context.show([describe(row) for row in jobs])
    elif jobs:
        context.show(None, _table(jobs, titles, closed, now_ms))
    else:
        context.show(None, NONE_MATCHES if narrowed else NONE_YET)


def _table(jobs: Sequence[Job], titles: Mapping[str, str], closed: Mapping[str, str], now_ms: int) -> Table:
    from rich.table import Table

    size = shortest([row.id for row in jobs])
    table = Table("Job", "Title", "Age", "State", "Destination", "Attempts", "What happened")
    for row in jobs:
        about = titles.get(row.id) or content_id(row.command)
        age = duration(now_ms - row.created_ms)
        said = happened(row, closed.get(row.destination, ""))
        cells = (row.id[:size], about, age, row.state.value, row.destination, row.attempts, said)
        table.add_row(*map(plain, cells))
    return table


@job.command()
@click.argument("job_id")
@common
def show(context: Context, job_id: str) -> None:
    """Show one job with its timeline."""

    async def look(services: Services) -> tuple[Job, Sequence[dict[str, Any]], str]:
        found = await services.ledger.find(job_id)
        return found, await services.ledger.events(found.id), await closed_for(services, found)

    found, events, closed = context.run(look)
    head = f"Job {found.id}: {found.command.command.value} to {found.destination}"
    lines = [head, sentence(found, closed), *warned(found)]
    if found.crashes:
        lines.append(f"Attempts lost with their worker: {found.crashes}")
    for event in events:
        at = datetime.fromtimestamp(int(str(event["at_ms"])) / 1000, UTC)
        facts = ((k, v) for k, v in event.items() if k not in ("at_ms", "event") and v not in (None, "", {}))
        rest = ", ".join(f"{k}={_readable(k, v)}" for k, v in facts)
        lines.append(f"  {at:%H:%M:%S.%f}"[:-3] + f"  {event['event']}  {rest}")
    context.show({**describe(found), "events": events}, "\n".join(lines))


def shortest(ids: Sequence[str]) -> int:
    """How many characters of these ids tell them apart; at least as many as people are used to."""
    size = SHORT
    while len({each[:size] for each in ids}) < len(set(ids)):
        size += 1
    return size


def _readable(name: str, value: Any) -> str:
    """A fact of the timeline as people read it; `--json` has it whole."""
    if isinstance(value, list):
        return "+".join(map(str, value))
    if name == "error" and isinstance(value, str) and value.startswith("{"):
        return str(json.loads(value).get("code") or value)
    return str(value)


@job.command()
@click.argument("job_id")
@common
def watch(context: Context, job_id: str) -> None:
    """Follow one job until it ends."""
    finish(context, wait_for(context, context.run(lambda services: services.ledger.find(job_id)).id))


def _act(
    context: Context,
    verb: Verb,
    job_id: str | None,
    state: str | None,
    reason: str,
    **narrower: str | None,
) -> None:
    """Act on one job, or on all that match the filter."""
    from tasks.operator.bulk import APPLIES_TO
    from tasks.state.jobs.overview import JobFilter

    if (job_id is None) == (state is None and not any(narrower.values())):
        raise click.UsageError("Give either a job or a filter (--state, --destination, --cause), not both.")
    if job_id is not None:
        done = context.run(lambda services: _one(services, verb, job_id, reason))
        context.show(describe(done), f"Job {done.id} is {done.state.value}.")
        return
    if narrower.get("cause") and state is None:
        if len(APPLIES_TO[verb]) > 1:
            raise click.UsageError("--cause needs --state here.")
        state = APPLIES_TO[verb][0].value
    chosen = JobFilter(state=JobState(state) if state else None, **narrower)
    progress = context.run(lambda services: _all(context, services, verb, chosen, reason))
    meant = chosen.model_dump(mode="json", include={"state", "destination", "cause"})
    facts = {"action": verb, **meant, **progress.model_dump(exclude={"finished"})}
    moved = f", {progress.failed} had changed meanwhile" if progress.failed else ""
    context.show(facts, f"{progress.done} of {progress.total} done{moved}.")


async def _one(services: Services, verb: Verb, beginning: str, reason: str) -> Job:
    job_id = (await services.ledger.find(beginning)).id
    match verb:
        case "retry":
            return await services.retry(job_id, actor(), reason)
        case "cancel":
            return await services.ledger.cancel(job_id, actor(), reason)
        case "release":
            return await services.ledger.release(job_id, actor(), reason)


async def _all(context: Context, services: Services, verb: Verb, chosen: JobFilter, reason: str) -> Progress:
    from tasks.operator.bulk import Progress

    progress = Progress()
    async for progress in services.act_on_all(verb, chosen, actor=actor(), reason=reason):
        if not progress.finished:
            context.tell(f"{verb}: {progress.done + progress.failed} of {progress.total}")
    return progress


_reason = click.option("--reason", default="", help="Reason, for the audit.")


@job.command()
@click.argument("job_id", required=False)
@_state
@_destination
@_cause
@_reason
@common
def retry(context: Context, job_id: str | None, state: str | None, reason: str, **narrower: str | None) -> None:
    """Queue dead jobs again: one, or all that match the filter."""
    _act(context, "retry", job_id, state, reason, **narrower)


@job.command()
@click.argument("job_id", required=False)
@_state
@_destination
@_cause
@_reason
@common
def cancel(context: Context, job_id: str | None, state: str | None, reason: str, **narrower: str | None) -> None:
    """Cancel waiting jobs. Without --state a filter covers queued, retrying and held jobs."""
    _act(context, "cancel", job_id, state, reason, **narrower)


@job.command()
@click.argument("job_id", required=False)
@_state
@_destination
@_cause
@_reason
@common
def release(context: Context, job_id: str | None, state: str | None, reason: str, **narrower: str | None) -> None:
    """Release held jobs. Secrets are sent redacted."""
    _act(context, "release", job_id, state, reason, **narrower)
