"""An issue's whole description as a file on its ticket, where the operator wants one."""

from __future__ import annotations

import hashlib
from pathlib import PurePath

from tasks.destinations.tickets.settings import Attach
from tasks.markup.options import Attachment
from tasks.markup.servicenow import document_file
from tasks.model import Issue

DOCUMENT = "@document"  # by which the newest file is remembered among a ticket's fields
DIGITS = 8


def document_of(attach: Attach, issue: Issue, *, cut: bool) -> Attachment | None:
    """The description as a Markdown file; `cut` says that the ticket's own field has no room for all of it."""
    wanted = attach == "always" or (attach == "when_cut" and cut)
    return document_file(issue.description, issue.title) if wanted else None


def named_by_content(file: Attachment) -> Attachment:
    """The file under a name that tells its content from any other, for vendors that give no digest of a file."""
    name, digest = PurePath(file.name), hashlib.sha256(file.content).hexdigest()[:DIGITS]
    return file.model_copy(update={"name": f"{name.stem} {digest}{name.suffix}"})
