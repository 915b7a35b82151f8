"""What a ServiceNow destination is told, and the names of the incident table that its mapping may use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import field_validator

from tasks.destinations.contract import Account
from tasks.destinations.servicenow.addresses import instance_of
from tasks.destinations.tickets.mapping import Keys
from tasks.destinations.tickets.settings import TicketSettings
from tasks.destinations.tickets.status import Stage
from tasks.http.exchange import checked_url

SHORT_DESCRIPTION_LENGTH = 160
DESCRIPTION_LENGTH = 4000
JOURNAL_LENGTH = 4000
JOURNALS = ("work_notes", "comments")
FIELD_NAME = re.compile(r"^[a-z][a-z0-9_]{0,79}$")
OURS = frozenset({"correlation_id", "correlation_display", "sys_id", "number"})
# Keys of a mapping, and the column that each sets.
COLUMN_OF: Mapping[str, str] = {
    "assignment_group": "assignment_group",
    "assigned_to": "assigned_to",
    "caller": "caller_id",
    "category": "category",
    "subcategory": "subcategory",
    "ci": "cmdb_ci",
    "service": "business_service",
    "contact_type": "contact_type",
    "state": "state",
}
OTHER_KEYS = frozenset({"severity", "impact", "urgency", "close_code", "close_notes"})
STATES: Mapping[Stage, str] = {"open": "1", "working": "2", "resolved": "6", "closed": "7"}
CLOSE_CODE = "Solved (Permanently)"
CLOSE_NOTES = "Issue {id} is {status}."


def field_refusal(name: str) -> str:
    """Why an incident's field can't be set by that name; empty where it can."""
    return "" if FIELD_NAME.match(name) and name not in OURS else "can't be set as a field of an incident"


class ServiceNowSettings(TicketSettings):
    """A ServiceNow instance."""

    keys: ClassVar[Keys] = Keys(frozenset(COLUMN_OF) | OTHER_KEYS, field_refusal)

    kind: Literal["servicenow"] = "servicenow"
    instance_url: str
    username: Account | None = None
    attach_document: Literal["never", "when_cut", "always"] = "never"

    @field_validator("instance_url")
    @classmethod
    def _instance(cls, value: str) -> str:
        return instance_of(checked_url(value))

    @property
    def address(self) -> str:
        """The instance."""
        return self.instance_url
