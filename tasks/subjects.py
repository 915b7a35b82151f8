"""Which remote object a command is about: the same subject means the same page, incident or work item."""

from __future__ import annotations

from tasks.errors import Refused
from tasks.model import (
    INCIDENTS,
    KIND_OF_COMMAND,
    Command,
    CreateServiceNowIncident,
    Document,
    Issue,
    PublishToConfluence,
    subject_key,
)


def subject_of(command: Command, destination: str, content: Document | Issue | None) -> str:
    """The key of the one remote object that this command is about; without its content the command alone says which."""
    if isinstance(command, PublishToConfluence):
        identity = [command.doc_id]
        if isinstance(content, Document) and content.issue_id is not None:
            identity = [str(content.issue_id), content.doc_type]
        return subject_key(destination, command.space_key or "", *identity)
    return subject_key(destination, _place(command), command.issue_id)


def _place(command: Command) -> str:
    """The project of a ticket, or the table of a record; incidents are known without one, as before there were others."""
    if isinstance(command, CreateServiceNowIncident):
        return "" if command.table in (None, INCIDENTS) else f"table:{command.table}"
    return getattr(command, "project", "") or ""


def own_subject(command: Command, family: str, job_id: str) -> str:
    """The subject of a job that asks for a new object whatever exists: one of its own, in the family of the issue."""
    config = getattr(command, "config", None)
    return subject_key(family, job_id) if config is not None and config.if_exists == "new" else family


def undecided(command: Command) -> str:
    """Where a message stands that named no destination when there wasn't exactly one: no destination can have the name."""
    return f"{KIND_OF_COMMAND[command.command]}?"


def missing(command: Command) -> Refused:
    """Why a command without its content can't be accepted, and what to do."""
    if isinstance(command, PublishToConfluence):
        return Refused(
            f"Document {command.doc_id!r} is not stored.",
            code="unknown_document",
            advice="Store it first (`afterword document put FILE --id ID`), then submit or retry the job.",
        )
    return Refused(
        f"Issue {command.issue_id!r} is not stored.",
        code="unknown_issue",
        advice="Store it first (`afterword issue put FILE.json`), then submit or retry the job.",
    )
