"""What is taken over of an issue in Jira: its status, key, assignee and related issues."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.destinations.contract import identifier
from tasks.destinations.jira.fields import FORMS
from tasks.destinations.jira.workflow import stage_now
from tasks.model.remote import Observed, RemoteTicket


def observed(row: Mapping[str, Any], site: str) -> Observed:
    """An issue of a search; raises `LookupError`, `TypeError`, `ValueError` or `AttributeError` for another form."""
    key, fields = identifier(row["key"]), row.get("fields") or {}
    status, assignee = fields.get("status") or {}, fields.get("assignee") or {}
    related = [link.get("outwardIssue") or link.get("inwardIssue") or {} for link in fields.get("issuelinks") or ()]
    links = {str(other["key"]) for other in [*related, fields.get("parent") or {}] if other.get("key")}
    ticket = RemoteTicket(
        number=key,
        url=f"{site}/browse/{key}",
        state=str(status.get("name") or ""),
        stage=stage_now(fields),
        assignee=str(assignee.get("displayName") or assignee.get("name") or ""),
        links=tuple(sorted(links)),
    )
    return Observed(ticket=ticket, reads={"assignee": ("assignee", FORMS.mark("assignee", assignee))})
