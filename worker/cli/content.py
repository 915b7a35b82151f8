"""Commands that bring content: document, issue, publish, incident, workitem, ticket."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
from pydantic import BaseModel, ValidationError

from tasks.errors import Refused
from tasks.model import (
    Command,
    CommandName,
    Document,
    Issue,
    Job,
    Severity,
    explain,
    parse_command,
    parse_severity,
    subject_key,
)
from worker.cli.preview import shown
from worker.terminal.base import Context, actor, common
from worker.terminal.files import read_text
from worker.terminal.root import Failure
from worker.terminal.watching import finish, wait_for

if TYPE_CHECKING:
    from tasks.state.jobs.followed import Delivered
    from worker.runtime import Services


def read_object(file: str) -> dict[str, Any]:
    """A file's JSON object."""
    try:
        value = json.loads(read_text(file))
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise Refused(f"{file} is not JSON ({place}).", code="not_json", advice="Correct it.") from None
    except (ValueError, RecursionError):
        what = "half a character, a number of thousands of digits, or a nesting too deep"
        raise Refused(f"{file} holds {what}.", code="not_json", advice="Correct it.") from None
    if not isinstance(value, dict):
        raise Refused(
            f"{file} is not a JSON object.", code="not_json", advice="Write one issue or document as an object."
        )
    return value


def validated(model: type[Any], data: dict[str, Any], file: str) -> Any:
    """`data` as a model; raises `Refused` naming each bad field."""
    if not issubclass(model, BaseModel):
        raise TypeError(model)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise Refused(f"{file} is not valid: {explain(error)}.", code="bad_content", advice="Correct it.") from None


@click.group()
def document() -> None:
    """Store documents."""


@document.command("put")
@click.argument("file")
@click.option("--id", "identifier", help="Document id; the file's name by default.")
@click.option("--title", help="Title; the front matter's, or the first heading, by default.")
@click.option(
    "--type", "doc_type", type=click.Choice(["rca", "postmortem"]), help="What sort of document; rca by default."
)
@click.option("--issue-id", help="The issue that it is about. Every version of its document goes to the same page.")
@click.option(
    "--attach",
    multiple=True,
    metavar="FILE",
    help="A file that the text shows or links to, under the path that the text uses.",
)
@common
def document_put(context: Context, file: str, attach: tuple[str, ...], **given: str | None) -> None:
    """Store a document from a Markdown FILE.

    `-` is stdin; a .json file holds it as the API takes it.
    """
    if file.endswith(".json"):
        data = read_object(file)
    else:
        from tasks.markup.title import title_of

        text = read_text(file)
        stem = "document" if file == "-" else Path(file).stem
        data = {"id": stem, "title": title_of(text, stem), "content_md": text}
    options = {
        "id": given["identifier"],
        "title": given["title"],
        "doc_type": given["doc_type"],
        "issue_id": given["issue_id"],
    }
    if attach:
        folder = Path() if file == "-" else Path(file).parent
        data["attachments"] = [*(data.get("attachments") or ()), *(handed_over(name, folder) for name in attach)]
    found = validated(Document, data | {k: v for k, v in options.items() if v}, file)
    context.run(lambda services: services.put(found, actor()))
    files = [attached.name for attached in found.attachments]
    unused, told = _unused(Document, data)
    context.show(
        {"id": found.id, "title": found.title, "attachments": files} | unused,
        f"Document {found.id} is stored{f' with {len(files)} files' if files else ''}. Publish it: afterword publish {found.id} --space KEY{told}",
    )


def _unused(model: type[BaseModel], data: dict[str, Any]) -> tuple[dict[str, list[str]], str]:
    """The fields that nothing is made of, for programs and for people; nothing where there are none."""
    names = sorted(set(data) - set(model.model_fields))
    return ({"ignored": names}, f"\nIgnored, for it has no such fields: {', '.join(names)}.") if names else ({}, "")


def handed_over(file: str, folder: Path) -> dict[str, Any]:
    """A file as an attachment, named as a document in that folder links it."""
    path = Path(file)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Refused(f"{file} can't be read: {error.strerror}.", code="unreadable", advice="Check the path.") from None
    inside = path.resolve().is_relative_to(folder.resolve())
    name = path.resolve().relative_to(folder.resolve()).as_posix() if inside else path.name
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return {"name": name, "media_type": kind, "content": content}


@click.group()
def issue() -> None:
    """Store issues, and see what became of their tickets."""


@issue.command("put")
@click.argument("file")
@common
def issue_put(context: Context, file: str) -> None:
    """Store an issue from a JSON FILE, as the API takes it. `-` is stdin."""
    data = read_object(file)
    found = validated(Issue, data, file)
    context.run(lambda services: services.put(found, actor()))
    unused, told = _unused(Issue, data)
    context.show(
        {"id": found.id, "title": found.title} | unused,
        f"Issue {found.id} is stored. Create its incident: afterword incident {found.id}{told}",
    )


@issue.command("show")
@click.argument("issue_id")
@common
def issue_show(context: Context, issue_id: str) -> None:
    """Show the tickets of an issue. Where they are followed, as they read on the remote side."""
    from worker.api.outputs import TicketView

    async def work(services: Services) -> tuple[bool, list[Delivered]]:
        stored = await services.contents.length("issue", issue_id) > 0
        return stored, await services.core.followed.of(subject_key("issue", issue_id))

    stored, made = context.run(work)
    if not stored and not made:
        raise Refused(f"There is no issue {issue_id!r:.80}.", code="unknown_issue", advice="Check its id.")
    rows = [TicketView.of(each).model_dump(mode="json") for each in made]
    lines = [
        f"{row['destination']}: {row['ticket_number']}  {row['url']}\n  "
        + (
            f"{row['state']}, {row['assignee'] or 'assigned to nobody'}"
            + (f", with {', '.join(row['links'])}" * bool(row["links"]))
            if row["state"]
            else "its state is not followed"
        )
        for row in rows
    ]
    context.show(
        {"id": issue_id, "stored": stored, "tickets": rows}, "\n".join(lines) or f"Issue {issue_id} has no ticket yet."
    )


def submit(context: Context, arguments: dict[str, Any], key: str | None, wait: bool) -> None:
    """Submit a command, and see it through where `--wait` asks for that."""
    command = parse_command(arguments)
    _follow(context, _stored(context, lambda services: _submitted(services, command, key)), wait=wait)


def _stored(context: Context, work: Callable[[Services], Awaitable[Job]]) -> Job:
    """The job that this submits. Ctrl-C may come before it is stored, or after."""
    try:
        return context.run(work)
    except KeyboardInterrupt:
        raise Failure(
            "Stopped. The job may have been stored.",
            code="stopped",
            advice="`afterword job list` shows whether it was.",
        ) from None


async def _submitted(services: Services, command: Command, key: str | None) -> Job:
    return await services.submit(command, actor=actor(), idempotency_key=key)


def _follow(context: Context, job: Job, *, wait: bool) -> None:
    if not wait:
        text = f"Job {job.id} is {job.state.value}. Follow it: afterword job watch {job.id}"
        context.show({"job_id": job.id, "state": job.state.value}, text)
        return
    finish(context, wait_for(context, job.id))


def ticket_config(field: tuple[str, ...], **given: Any) -> dict[str, Any] | None:
    """The overrides of a ticket."""
    config = {name: value for name, value in given.items() if value is not None}
    fields = {}
    for pair in field:
        name, equals, value = pair.partition("=")
        if not equals:
            raise click.BadParameter(f"{pair!r:.60} is not NAME=VALUE", param_hint="--field")
        fields[name] = value
    return config | ({"fields": fields} if fields else {}) or None


def _known_severity(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value is not None and parse_severity(value) not in get_args(Severity):
        raise click.BadParameter(f"{value!r:.60}: name P1 to P5, or critical, high, medium, low or info")
    return value


_to = click.option("--to", "destination", help="Name of the destination; needed where there are several of this kind.")
_wait = click.option(
    "--wait", is_flag=True, help="Wait until the job ends and show the result; exit 3 if screening stopped it."
)
_key = click.option("--idempotency-key", help="Idempotency key: submitting again with the same key gives the same job.")
_field = click.option("--field", multiple=True, metavar="NAME=VALUE", help="Set a field of the ticket.")
_severity = click.option("--severity", callback=_known_severity, help="P1 to P5, or critical, high, medium, low, info.")


@click.command()
@click.argument("doc_id")
@click.option("--space", "space_key", help="Key of the Confluence space; the destination's by default.")
@click.option(
    "--parent",
    "parent_page_id",
    help="Parent page: its number, or a path such as Post-mortems/2026 (missing pages are created); the destination's by default.",
)
@_to
@_wait
@_key
@click.option("--dry-run", is_flag=True, help="Show what would change on the page; write nothing.")
@common
def publish(context: Context, wait: bool, idempotency_key: str | None, dry_run: bool, **given: Any) -> None:
    """Publish a document as a Confluence page."""
    if dry_run:
        command = parse_command({"command": CommandName.PUBLISH, **given})
        seen = context.run(lambda services: services.preview(command))
        context.show(seen.model_dump(mode="json"), shown(seen))
        return
    submit(context, {"command": CommandName.PUBLISH, **given}, idempotency_key, wait)


@click.command()
@click.argument("issue_id")
@click.option("--table", help="Another table than incident, such as problem; the destination's by default.")
@_severity
@_field
@_to
@_wait
@_key
@common
def incident(
    context: Context,
    wait: bool,
    idempotency_key: str | None,
    field: tuple[str, ...],
    severity: str | None,
    **given: Any,
) -> None:
    """Create a ServiceNow incident, or a record of another table, from an issue."""
    config = ticket_config(field, severity=severity)
    submit(context, {"command": CommandName.INCIDENT, "config": config, **given}, idempotency_key, wait)


@click.command()
@click.argument("issue_id")
@click.option("--project", help="Azure DevOps project; the destination's by default.")
@click.option("--type", "work_item_type", help="Work item type; the destination's by default.")
@_severity
@_field
@_to
@_wait
@_key
@common
def workitem(
    context: Context,
    wait: bool,
    idempotency_key: str | None,
    field: tuple[str, ...],
    severity: str | None,
    work_item_type: str | None,
    **given: Any,
) -> None:
    """Create an Azure DevOps work item from an issue."""
    config = ticket_config(field, severity=severity, work_item_type=work_item_type)
    submit(context, {"command": CommandName.WORK_ITEM, "config": config, **given}, idempotency_key, wait)


@click.command()
@click.argument("issue_id")
@click.option("--to", "destination", required=True, help="Name of the destination, of whatever kind of ticket.")
@click.option("--project", help="Jira: the project's key; Azure DevOps: its name. The destination's by default.")
@click.option("--type", "work_item_type", help="Type of the issue or work item; the destination's by default.")
@_severity
@_field
@_wait
@_key
@common
def ticket(
    context: Context,
    issue_id: str,
    destination: str,
    wait: bool,
    idempotency_key: str | None,
    field: tuple[str, ...],
    project: str | None,
    **given: Any,
) -> None:
    """Create the ticket of an issue: an incident, work item or Jira issue, as the destination takes it."""
    from tasks.destinations.tickets.commands import ticket_command

    config = ticket_config(field, **given)

    async def work(services: Services) -> Job:
        record = await services.destinations.require(destination)
        command = ticket_command(record.name, record.settings, issue_id, project=project, config=config)
        return await _submitted(services, command, idempotency_key)

    _follow(context, _stored(context, work), wait=wait)
