"""What a Jira destination is told, and the fields of an issue that its mapping may use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from tasks.credentials.kinds import Basic, ClientCredentials, Endpoints, Login, Token
from tasks.destinations.atlassian import GATEWAY, endpoints
from tasks.destinations.jira.addresses import site_of
from tasks.destinations.settings import Account
from tasks.destinations.tickets.mapping import Keys
from tasks.destinations.tickets.projects import in_project
from tasks.destinations.tickets.settings import TicketSettings
from tasks.http.origin import checked_url
from tasks.model import Command, CreateJiraIssue, ProjectKey

LABEL_LENGTH = 255
AT_GATEWAY = "/ex/jira/"
SCOPES = ("read:jira-work", "write:jira-work", "read:jira-user")
COMMENT = "comment"
OURS = frozenset({"project", "issuetype", "labels", "status"})
# Keys of a mapping, and the field that each sets.
FIELD_OF: Mapping[str, str] = {
    "assigned_to": "assignee",
    "reporter": "reporter",
    "priority": "priority",
    "components": "components",
    "parent": "parent",
    "environment": "environment",
}
OTHER_KEYS = frozenset({"type", "severity", "labels", "status", "resolution"})


def field_refusal(name: str) -> str:
    """Why an issue's field can't be set by that name; empty where it can."""
    return "can't be set as a field of an issue" if name.strip().lower() in OURS else ""


class JiraSettings(TicketSettings):
    """A Jira site. `project` is the one where a command names none; `site_url` is where people open issues, if elsewhere.

    `through_gateway` says whether Cloud is asked at Atlassian's gateway; without it, that is found out. `cloud_id` is the
    site's there; without it, the site is asked for it.
    """

    keys: ClassVar[Keys] = Keys(frozenset(FIELD_OF) | OTHER_KEYS, field_refusal, transition=True)

    kind: Literal["jira"] = "jira"
    base_url: str
    flavor: Literal["cloud", "datacenter"] = "cloud"
    email: Account | None = None
    project: ProjectKey | None = None
    issue_type: str | None = Field(default=None, min_length=1, max_length=128)
    labels: tuple[str, ...] = ()
    site_url: str | None = None
    write_lag_s: float = Field(default=30.0, ge=0, le=600)
    auth: Basic | Token | ClientCredentials | Login | None = Field(default=None, discriminator="type")
    through_gateway: bool | None = None
    cloud_id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]{1,64}$")

    @field_validator("base_url", "site_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        return value and site_of(checked_url(value))

    @field_validator("labels", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        """`a,b` of a command line as well as a list."""
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("labels")
    @classmethod
    def _labels(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(label != label_of(label) for label in value):
            raise ValueError("a label has no spaces, and none begins with aw-")
        return value

    @property
    def address(self) -> str:
        """The site."""
        return self.base_url

    @property
    def account_name(self) -> str | None:
        """The account of Basic; None where the secret is sent as a bearer token."""
        return None if isinstance(self.auth, Token) else self.email

    @property
    def login_lacks(self) -> str:
        """The account, for Basic."""
        return "`basic` needs `email`" if isinstance(self.auth, Basic) and not self.email else ""

    @property
    def gateway(self) -> str | None:
        """Atlassian's gateway, where scoped tokens and OAuth work; None where the operator's own address leads there."""
        through = self.cloud and self.through_gateway is not False and AT_GATEWAY not in self.base_url
        return f"{self.vendors(GATEWAY)}{AT_GATEWAY.rstrip('/')}" if through else None

    @property
    def endpoints(self) -> Endpoints:
        """Atlassian's authorization server, or the Data Center's own."""
        if not isinstance(self.auth, ClientCredentials | Login):
            return super().endpoints
        return endpoints(self.auth, self.address, self.vendors, SCOPES, cloud=self.cloud)

    def placed(self, command: Command) -> Command:
        """The command with its project."""
        return in_project(command, self.project) if isinstance(command, CreateJiraIssue) else command

    @property
    def cloud(self) -> bool:
        """Whether it is Jira Cloud."""
        return self.flavor == "cloud"


def label_of(tag: str) -> str:
    """A tag in the form of a label: without spaces; empty for one that could be taken for ours."""
    from tasks.markup import clean

    label = "-".join(clean.plain_title(tag, LABEL_LENGTH).split())
    return "" if label.lower().startswith("aw-") else label
