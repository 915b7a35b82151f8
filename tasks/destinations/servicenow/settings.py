"""What a ServiceNow destination is told, and the names of the incident table that its mapping may use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from tasks.credentials.kinds import (
    ApiKey,
    Basic,
    ClientCredentials,
    Endpoints,
    JwtBearer,
    Login,
    Password,
    Renewable,
    Token,
)
from tasks.destinations.servicenow.addresses import instance_of
from tasks.destinations.settings import Account, endpoints_of
from tasks.destinations.tickets.mapping import Keys
from tasks.destinations.tickets.settings import TicketSettings
from tasks.destinations.tickets.status import Stage
from tasks.http.origin import checked_url
from tasks.model import INCIDENTS, Command, CreateServiceNowIncident, TableName

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
ENDS = ("close_code", "close_notes")
OTHER_KEYS = frozenset({"severity", "impact", "urgency", *ENDS})
STATES: Mapping[Stage, str] = {"open": "1", "working": "2", "resolved": "6", "closed": "7"}
CLOSE_CODE = "Solved (Permanently)"
CLOSE_NOTES = "Issue {id} is {status}."


def field_refusal(name: str) -> str:
    """Why an incident's field can't be set by that name; empty where it can."""
    return "" if FIELD_NAME.match(name) and name not in OURS else "can't be set as a field of a record"


class ServiceNowSettings(TicketSettings):
    """A ServiceNow instance. `table` is the one of jobs that name none; it extends `task`, as `problem` and `change_request` do."""

    keys: ClassVar[Keys] = Keys(frozenset(COLUMN_OF) | OTHER_KEYS, field_refusal)

    kind: Literal["servicenow"] = "servicenow"
    instance_url: str
    username: Account | None = None
    table: TableName = INCIDENTS
    auth: Basic | Token | ApiKey | ClientCredentials | Password | JwtBearer | Login | None = Field(
        default=None, discriminator="type"
    )

    @field_validator("instance_url")
    @classmethod
    def _instance(cls, value: str) -> str:
        return instance_of(checked_url(value))

    def placed(self, command: Command) -> Command:
        """The command with its table: what the job is about doesn't change with the setting later."""
        if not isinstance(command, CreateServiceNowIncident) or command.table is not None:
            return command
        return command.model_copy(update={"table": self.table})

    @property
    def login_lacks(self) -> str:
        """The account, where a password goes with it."""
        missing = isinstance(self.auth, Basic | Password) and not self.username
        return f"`{self.auth.type}` needs `username`" if missing and self.auth else ""

    @property
    def account_name(self) -> str | None:
        """The account."""
        return self.username

    @property
    def endpoints(self) -> Endpoints:
        """The instance's own: it is its own authorization server."""
        if not isinstance(self.auth, Renewable):
            return super().endpoints
        site = self.instance_url
        return endpoints_of(self.auth, f"{site}/oauth_token.do", authorize_url=f"{site}/oauth_auth.do")

    @property
    def address(self) -> str:
        """The instance."""
        return self.instance_url
