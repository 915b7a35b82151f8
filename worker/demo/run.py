"""Runs the demonstration and tells what happened."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
import urllib.request
from importlib import resources
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.table import Column, Table

from config.settings import Settings
from tasks.markup.title import title_of
from tasks.model import CommandName, Document, Issue, Job, JobState, parse_command
from tasks.state.audit.verification import AuditReport
from worker.machine.stack import Stack, running_stack
from worker.runtime import Services, open_services
from worker.terminal.base import Context, plain
from worker.terminal.files import read_text
from worker.terminal.root import DONE, FAILED, STOPPED
from worker.terminal.watching import describe, follow, sentence

LIMIT_S = 90
FAULTS: tuple[dict[str, Any], ...] = (
    {"vendor": "confluence", "operation": "create", "fault": "commit_then_drop"},
    {"vendor": "servicenow", "operation": "create", "fault": "status", "status": 503},
)
COMMANDS: tuple[dict[str, Any], ...] = (
    {"command": CommandName.PUBLISH, "doc_id": "demo", "space_key": "OPS"},
    {"command": CommandName.INCIDENT, "issue_id": "demo"},
    {"command": CommandName.WORK_ITEM, "issue_id": "demo", "project": "Operations"},
)
MADE = ("pages", "incidents", "work_items")


def run_demo(context: Context, document: Path | None) -> int:
    """The exit code: done where all three were delivered, each as one object, and the audit holds."""
    text = (
        read_text(str(document)) if document else resources.files("worker.demo").joinpath("rca.md").read_text("utf-8")
    )
    title = title_of(text, document.stem if document else "Demo")
    with tempfile.TemporaryDirectory(prefix="afterword-demo-") as folder:
        settings = Settings(data=Path(folder)).model_copy(
            update={"redis_url": None, "broker_url": None, "keys_file": None, "keys": None}
        )
        context.tell("Starting an embedded Valkey, three simulated vendors and a worker …")
        with running_stack(settings, sandbox_port=0) as stack:
            return asyncio.run(_deliver(context, stack, title, text))


async def _deliver(context: Context, stack: Stack, title: str, text: str) -> int:
    address = str(stack.sandbox_url)
    for fault in FAULTS:
        await asyncio.to_thread(_post, f"{address}/_sandbox/faults", fault)
    async with open_services(stack.own_settings) as services:
        document = Document(id="demo", title=title, content_md=text, issue_id="demo")
        issue = Issue(id="demo", title=title, description=text, severity=1, tags=("rca", "demo"))
        await services.put(document, "demo")
        await services.put(issue, "demo")
        jobs = [await services.submit(parse_command(command), actor="demo") for command in COMMANDS]
        ended = await _watch(context, services, [job.id for job in jobs])
        report = await services.audit.verify()
    state = json.loads(await asyncio.to_thread(_get, f"{address}/_sandbox/state"))
    return _tell(context, ended, {name: state["counts"][name] for name in MADE}, report)


async def _watch(context: Context, services: Services, ids: list[str]) -> list[Job]:
    """Follow all jobs until they rest or time is up; on a terminal in a table that moves."""
    latest: dict[str, Job] = {}

    def table() -> Table:
        shown = Table("Destination", "State", "Attempts", "What happened")
        for job in latest.values():
            shown.add_row(*map(plain, (job.destination, job.state.value, job.attempts, sentence(job))))
        return shown

    live = Live(table(), console=context.err, refresh_per_second=8, transient=True)
    with live if context.err.is_terminal else contextlib.nullcontext():

        def tell(job: Job, _: str) -> None:
            latest[job.id] = job
            if context.err.is_terminal:
                live.update(table())
            else:
                context.tell(f"{job.destination}: {sentence(job)}")

        try:
            async with asyncio.timeout(LIMIT_S):
                await asyncio.gather(*(follow(services, identifier, tell) for identifier in ids))
        except TimeoutError:
            context.tell(f"Not all jobs came to rest within {LIMIT_S} s.")
    return [await services.ledger.require(identifier) for identifier in ids]


def _tell(context: Context, jobs: list[Job], counts: dict[str, int], report: AuditReport) -> int:
    """Show what happened; returns the exit code."""
    delivered = all(job.state is JobState.DELIVERED for job in jobs)
    once = all(count == 1 for count in counts.values())
    facts = {
        "delivered": delivered,
        "objects": counts,
        "exactly_once": once,
        "audit": report.model_dump(mode="json"),
        "jobs": [describe(job) for job in jobs],
    }
    held = f"verified, {report.entries} entries in {report.chains} chains"
    if not report.ok:
        held = "NOT INTACT: " + "; ".join(report.problems)
    counted = ", ".join(f"{count} {_counted(name, count)}" for name, count in counts.items())
    words = ["On the way: the page's connection was cut after the commit, the incident met a 503."] * delivered
    words += [
        f"Objects on the remote side: {counted} ({'exactly one each' if once else 'NOT one each'}).",
        f"Audit trail: {held}.",
    ]
    context.show(facts, Group(_table(jobs), *map(plain, words)))
    if any(job.state is JobState.HELD for job in jobs):
        return STOPPED
    return DONE if delivered and once and report.ok else FAILED


def _table(jobs: list[Job]) -> Table:
    table = Table("Job", "Destination", "Attempts", "Remote id", Column("URL", overflow="fold"))
    for job in jobs:
        receipt = job.receipt
        remote = (receipt.ticket_number or receipt.id) if receipt else job.state.value
        end = receipt.url if receipt else job.last_error or ""
        table.add_row(*map(plain, (job.id[:8], job.destination, job.attempts, remote, end)))
    return table


def _counted(name: str, count: int) -> str:
    words = name.replace("_", " ")
    return words.removesuffix("s") if count == 1 else words


def _post(url: str, body: dict[str, Any]) -> None:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310 - loopback
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 - loopback


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - loopback
        return bytes(answer.read())
