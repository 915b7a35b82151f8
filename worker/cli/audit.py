"""Commands for the audit trail: read, verify, export, and checkpoints kept outside Redis."""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tasks.errors import Refused
from tasks.state.clock import moment
from worker.terminal.base import Context, actor, common
from worker.terminal.root import FAILED, UNKNOWN, Failure

if TYPE_CHECKING:
    from tasks.state.audit.checkpoint import Checkpoint
    from tasks.state.audit.entries import AuditEntry
    from tasks.state.audit.search import Search
    from tasks.state.audit.verification import AuditReport, Stamped
    from worker.runtime import Services

DAY_MS = 24 * 3600 * 1000
CHECKPOINTS = "audit-checkpoints.jsonl"
MOST_TOLD = 20
DOCUMENT = '{"lines": ['


@click.group()
def audit() -> None:
    """Read, verify and export the audit trail."""


def searching(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which entries; the command gets them as one `Search`."""

    @functools.wraps(command)
    def wrapped(*args: Any, **given: Any) -> Any:
        from tasks.state.audit.search import Search

        sought = {name: given.pop(name) or "" for name in ("event", "job", "destination", "actor", "about")}
        return command(*args, search=Search(**sought), **given)

    for option in (
        click.option("--about", help="Only about this document or issue, by its id."),
        click.option("--actor", help="Only by this key, account or worker; a part of the name will do."),
        click.option("--destination", help="Only of this destination."),
        click.option("--job", help="Only of this job; a part of its id will do."),
        click.option("--event", help="Only of this event, such as job.dead, or of a group, such as delivery."),
    ):
        wrapped = option(wrapped)
    return wrapped


@audit.command()
@click.option("-n", "--count", default=50, show_default=True, type=click.IntRange(1, 10_000), help="How many to show.")
@common
@searching
def tail(context: Context, count: int, search: Search) -> None:
    """Show the newest entries that fit, the oldest first. They are found however far back they are."""
    from tasks.state.audit.search import Search, newest

    async def find(services: Services) -> list[AuditEntry]:
        if search == Search():
            return await services.audit.tail(count)
        found, _ = await newest(services.audit, search, services.ledger.about, before=None, count=count)
        return found[::-1]

    entries = context.run(find)
    rows = [entry.model_dump(mode="json") for entry in entries]
    nothing = "No entry yet." if search == Search() else "No entry fits."
    context.show(rows, "\n".join(map(_line, entries)) or nothing)


def _line(entry: AuditEntry) -> str:
    from tasks.state.audit.opening import AFTER, SEEN

    at = datetime.fromtimestamp(entry.at_ms / 1000, UTC)
    facts = " ".join(f"{k}={v}" for k, v in entry.data.items() if k not in (SEEN, AFTER))
    return f"{at:%Y-%m-%d %H:%M:%S} {entry.event:18} {facts}"


@audit.command()
@click.option("--checkpoint", "files", multiple=True, type=click.Path(path_type=Path), help="A file of checkpoints.")
@click.option("--export", "exported", type=click.Path(path_type=Path), help="Verify an export instead of the trail.")
@common
def verify(context: Context, files: tuple[Path, ...], exported: Path | None) -> None:
    """Verify every entry and chain.

    They are compared with what is known outside Redis as well.

    Exit 0: complete since the moment it says. Exit 1: something was changed or is missing. Exit 4: nothing is wrong, but
    whether entries are missing can't be known, because nothing outside Redis was found to compare them with.

    Checkpoints that are kept (AFTERWORD_CHECKPOINTS) or in the data folder are used without being named.
    """
    from tasks.state.audit import export as trail

    own = context.settings.data / CHECKPOINTS
    points = [point for file in (*files, *([own] if own.exists() else [])) for point in _checkpoints(file)]

    async def check(services: Services) -> AuditReport:
        if exported is not None:
            return trail.verify_export(services.vault, _exported(exported))
        with context.progress("Verifying") as tell:
            return await services.audit.verify(points, tell)

    report = context.run(check)
    context.show(report.model_dump(mode="json"), _told(report))
    if report.verdict != "complete":
        raise SystemExit(FAILED if report.verdict == "broken" else UNKNOWN)


@audit.command()
@click.option("--reason", required=True, help="What happened; the audit records it.")
@click.option("--yes", is_flag=True, help="Don't ask.")
@common
def accept(context: Context, reason: str, yes: bool) -> None:
    """Take a broken trail as it is, once you know why.

    So after a restored backup, or a failover that lost entries.

    What is wrong now stays in the trail, with who accepted it and why. `audit verify` counts from here on.
    """
    from tasks.state.audit.entries import Event
    from tasks.state.audit.verification import UNCOUNTED

    async def look(services: Services) -> AuditReport:
        with context.progress("Verifying") as tell:
            return await services.audit.verify(tell=tell)

    report = context.run(look)
    if report.verdict != "broken":
        raise Refused("Nothing is wrong with the trail.", code="audit_not_broken", advice="There is nothing to accept.")
    context.tell("\n".join(report.problems))
    if not yes:
        click.confirm("Accept the trail as it is?", abort=True, err=True)
    facts = {
        "problems": list(report.problems[:MOST_TOLD]),
        UNCOUNTED: report.uncounted or None,
        "reason": reason[:500],
        "actor": actor(),
    }
    context.run(lambda services: services.ledger.record(Event.AUDIT_ACCEPTED, facts))
    context.show({"accepted": len(report.problems)}, "The trail is accepted as it is; it counts from here on.")


def _told(report: AuditReport) -> str:
    """The verdict for people."""
    count = f"{report.entries} entries in {report.chains} chains"
    if report.verdict == "broken":
        return "\n".join(("The audit trail is not intact.", *report.problems))
    if report.verdict == "unknown":
        return (
            f"Whether the audit trail is complete can't be known before {_moment(report.unknown_before_ms)}: nothing outside "
            f"Redis shows what it held. Nothing is wrong with the {count} that are there."
        )
    compared = (
        f"The newest of {report.checkpoints} checkpoints" if report.checkpoints else "What is known outside Redis"
    )
    lines = [
        f"The audit trail is intact: {count}, complete since {_moment(report.since_ms)}.",
        f"{compared} is of {_moment(report.compared_ms)}; what was written later is chained to it.",
    ]
    if report.unknown_before_ms is not None:
        lines.append(f"Whether entries before {_moment(report.unknown_before_ms)} are missing can't be known.")
    return "\n".join([*lines, *_stamped(report.stamped)])


def _stamped(found: Stamped | None) -> list[str]:
    """What is known of time stamps, for people."""
    said = []
    if found and found.checkpoints:
        said.append(
            f"{found.checkpoints} checkpoints have a time stamp from outside, the first of {_moment(found.since_ms)}, the newest of "
            f"{_moment(found.until_ms)}."
        )
    if found and found.unchecked:
        said.append(f"{found.unchecked} time stamps were not checked: set AFTERWORD_TIMESTAMP_CA_FILE.")
    return said


def _moment(at_ms: int | None) -> str:
    return moment(at_ms or 0)


@audit.command()
@click.option("--out", type=click.Path(path_type=Path), help="Append it to this file; - for stdout only.")
@common
def checkpoint(context: Context, out: Path | None) -> None:
    """Write a checkpoint to a file outside Redis.

    It is a signed list of every chain's last entry.

    The file is DATA/audit-checkpoints.jsonl by default. A copy on another machine shows whether Redis was rolled back.
    """
    made: Checkpoint = context.run(lambda services: services.audit.checkpoint())
    file = out or context.settings.data / CHECKPOINTS
    if str(file) != "-":
        _append(file, made.line() + "\n")
    count = made.total.chains if made.total else len(made.heads)
    human = made.line() if str(file) == "-" else f"{count} chains have a checkpoint in {file}."
    context.show(made.model_dump(mode="json") | {"file": str(file)}, human)


def _entry_id(_: click.Context, __: click.Parameter, text: str) -> str:
    if text != "-" and not re.fullmatch(r"[0-9]{1,15}(-[0-9]{1,15})?", text):
        raise click.BadParameter(
            f"{text!r:.60} is no entry's id; `audit export` writes each entry's, such as 1764338400000-0"
        )
    return text


@audit.command()
@click.option("--out", type=click.Path(path_type=Path), help="The file to write; standard output by default.")
@click.option("--after", default="-", callback=_entry_id, help="Only entries after the entry with this id.")
@click.option(
    "--trim-days", type=click.IntRange(1), help="After the export, delete entries older than this many days from Redis."
)
@common
@searching
def export(context: Context, out: Path | None, after: str, trim_days: int | None, search: Search) -> None:
    """Export the trail as JSON lines (OCSF API Activity). The last line is a checkpoint.

    With a filter it is the entries that fit, and no checkpoint: `audit verify --export` is for the whole trail.

    Without --out the lines go to standard output. With --json they are the `lines` of one JSON document.

    With --trim-days the file is on disk before anything is deleted, and the rest of the trail can still be verified.
    """
    from importlib import metadata

    from tasks.state.audit import export as trail
    from tasks.state.audit.entries import Event
    from tasks.state.audit.ocsf import api_activity, line_of
    from tasks.state.audit.search import Search, oldest
    from tasks.state.upkeep.trimming import trim

    if trim_days and (out is None or after != "-" or search != Search()):
        raise click.UsageError("--trim-days needs --out FILE and the whole trail (no --after, no filter).")
    product = metadata.version("afterword")

    async def fitting(services: Services) -> AsyncIterator[str]:
        async for identifier, fields in oldest(services.audit, search, services.ledger.about, after=after):
            yield line_of(api_activity(identifier, fields, product))

    async def whole(services: Services) -> tuple[int, int]:
        everything = trail.lines(services.audit, services.vault, product, after=after)
        found = everything if search == Search() else fitting(services)
        count = await (_write_document(found) if context.as_json and out is None else _write(out, found))
        dropped = 0
        facts = {"entries": count, "after": None if after == "-" else after, "actor": actor()}
        await services.ledger.record(Event.AUDIT_EXPORTED, facts)
        if trim_days:
            before_ms = services.core.clock_ms() - trim_days * DAY_MS
            dropped = await trim(services.audit, services.journal, services.vault, before_ms=before_ms, actor=actor())
        return count, dropped

    count, dropped = context.run(whole)
    told = f"{count} entries exported" + (f", {dropped} deleted from Redis." if trim_days else ".")
    if out is None and context.as_json:
        click.echo(f'], "entries": {count}, "dropped": 0}}')
    elif out is None:
        context.tell(told)
    else:
        context.show({"file": str(out), "entries": count, "dropped": dropped}, told)


async def _write_document(lines: AsyncIterator[str]) -> int:
    """Write the lines as the beginning of one JSON document, each still on a line of its own; returns as `_write`."""
    count, between = 0, f"{DOCUMENT}\n"
    async for line in lines:
        click.echo(f"{between}{line}", nl=False)
        count, between = count + _is_entry(line), ",\n"
    click.echo()
    return count


def _is_entry(line: str) -> bool:
    return not line.startswith('{"checkpoint"')


async def _write(out: Path | None, lines: AsyncIterator[str]) -> int:
    """Write the lines and make them durable; returns how many of them are entries."""
    count = 0
    try:
        file = sys.stdout if out is None else out.open("x", encoding="utf-8")
    except OSError as error:
        advice = "Name a file that doesn't exist yet."
        raise Failure(f"{out} can't be written: {error.strerror}.", code="unavailable", advice=advice) from None
    async for line in lines:
        file.write(line + "\n")
        count += _is_entry(line)
    file.flush()
    if out is not None:
        os.fsync(file.fileno())
        file.close()
    return count


def _append(file: Path, line: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8") as opened:
            opened.write(line)
            opened.flush()
            os.fsync(opened.fileno())
    except OSError as error:
        raise Failure(f"{file} can't be written: {error.strerror}.", code="unavailable") from None


def _exported(file: Path) -> list[str]:
    """The lines of an export, also of one that was written as one document."""
    lines = _lines(file)
    return [line.rstrip(",") for line in lines[1:-1]] if lines[:1] == [DOCUMENT] else lines


def _checkpoints(file: Path) -> list[Checkpoint]:
    from tasks.state.audit.checkpoint import read_checkpoints

    try:
        return read_checkpoints(_lines(file))
    except Refused as refused:
        raise Refused(f"{file}: {refused.message}", code=refused.code, advice=refused.advice) from None


def _lines(file: Path) -> list[str]:
    try:
        return [line for line in file.read_text("utf-8").split("\n") if line]
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise Failure(f"{file} can't be read: {words}.", code="unreadable", advice="Check the path.") from None
