"""Runs the demonstration and tells what happened."""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
import urllib.request
from importlib import resources
from pathlib import Path
from typing import Any

from rich.live import Live
from rich.table import Column, Table

from config.settings import Settings
from tasks.errors import Refused
from tasks.model import CommandName, Document, Issue, Job, JobState, parse_command
from tasks.state.audit import AuditReport
from worker.cli.base import Context
from worker.cli.watching import describe, follow, sentence
from worker.runtime import Services, open_services
from worker.stack import Stack, add_sandbox_destinations, running_stack

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


def run_demo(context: Context, document: Path | None) -> bool:
    """True when all three were delivered, each as one object, and the audit holds."""
    with tempfile.TemporaryDirectory(prefix="afterword-demo-") as folder:
        settings = Settings(data=Path(folder), redis_url=None, broker_url=None, keys_file=None, keys=None)
        context.err.print("Starting an embedded Valkey, three simulated vendors and a worker …")
        with running_stack(settings, sandbox_port=0) as stack:
            return asyncio.run(_deliver(context, stack, _content(document)))


def _content(file: Path | None) -> tuple[str, str]:
    """Title and Markdown."""
    if file is None:
        text = resources.files("worker.demo").joinpath("rca.md").read_text("utf-8")
    else:
        try:
            text = file.read_text("utf-8-sig")
        except UnicodeDecodeError:
            raise Refused(f"{file} is not UTF-8.", code="not_utf8", advice="Convert it first.") from None
    heading = re.search(r"^#[ \t]+(.+?)[ \t#]*$", text, re.MULTILINE)
    return (heading.group(1) if heading else file.stem if file else "Demo"), text


async def _deliver(context: Context, stack: Stack, content: tuple[str, str]) -> bool:
    title, text = content
    address = str(stack.sandbox_url)
    settings = stack.settings.model_copy(update={"redis_url": stack.redis_url})
    await add_sandbox_destinations(settings, address)
    for fault in FAULTS:
        await asyncio.to_thread(_post, f"{address}/_sandbox/faults", fault)
    async with open_services(settings) as services:
        document = Document(id="demo", title=title, content_md=text, issue_id="demo")
        issue = Issue(id="demo", title=title, description=text, severity=1, tags=("rca", "demo"))
        await services.contents.put_document(document, "demo")
        await services.contents.put_issue(issue, "demo")
        jobs = [await services.submit(parse_command(command), actor="demo") for command in COMMANDS]
        ended = await _watch(context, services, [job.id for job in jobs])
        report = await services.audit.verify()
    state = json.loads(await asyncio.to_thread(_get, f"{address}/_sandbox/state"))
    return _tell(context, ended, state["counts"], report)


async def _watch(context: Context, services: Services, ids: list[str]) -> list[Job]:
    """Follow all jobs, with a table that moves on stderr."""
    latest: dict[str, Job] = {}

    def table() -> Table:
        shown = Table("Destination", "State", "Attempts", "What happened")
        for job in latest.values():
            shown.add_row(job.destination, job.state.value, str(job.attempts), sentence(job))
        return shown

    with Live(table(), console=context.err, refresh_per_second=8) as live:

        def tell(job: Job) -> None:
            latest[job.id] = job
            live.update(table())
            if not context.err.is_terminal:
                context.err.print(f"{job.destination}: {sentence(job)}", markup=False)

        async with asyncio.timeout(LIMIT_S):
            return list(await asyncio.gather(*(follow(services, identifier, tell) for identifier in ids)))


def _tell(context: Context, jobs: list[Job], counts: dict[str, int], report: AuditReport) -> bool:
    delivered = all(job.state is JobState.DELIVERED for job in jobs)
    once = all(count == 1 for count in counts.values())
    facts = {
        "delivered": delivered,
        "objects": counts,
        "exactly_once": once,
        "audit": report.model_dump(mode="json"),
        "jobs": [describe(job) for job in jobs],
    }
    table = Table("Job", "Destination", "Attempts", "Remote id", Column("URL", overflow="fold"))
    for job in jobs:
        receipt = job.receipt
        remote = (receipt.ticket_number or receipt.id) if receipt else job.state.value
        table.add_row(
            job.id[:8],
            job.destination,
            str(job.attempts),
            remote,
            receipt.url if receipt else str(job.last_error or ""),
        )
    context.show(facts, table)
    if not context.as_json:
        held = (
            f"verified, {report.entries} entries in {report.chains} chains"
            if report.ok
            else "DOES NOT HOLD: " + "; ".join(report.problems)
        )
        counted = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items())
        context.out.print("On the way: the page's connection was cut after the commit, the incident met a 503.")
        context.out.print(
            f"Objects on the remote side: {counted}{' (exactly one each)' if once else ' (NOT one each)'}."
        )
        context.out.print(f"Audit trail: {held}.")
    return delivered and once and report.ok


def _post(url: str, body: dict[str, Any]) -> None:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310 - loopback
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 - loopback


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - loopback
        return bytes(answer.read())
