"""What a Jira destination is told."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from tasks.credentials.kinds import Basic, Token
from tasks.destinations.contract import Account, DestinationSettings
from tasks.errors import Refused
from tasks.http.origin import checked_url
from tasks.markup import clean
from tasks.model import Command, CreateJiraIssue, ProjectKey

LABEL_LENGTH = 255


class JiraSettings(DestinationSettings):
    """A Jira site. `project` is the one where a command names none; `site_url` is where people open issues, if elsewhere.
    `link_base` is what relative links and images of a description are relative to.
    """

    kind: Literal["jira"] = "jira"
    base_url: str
    link_base: str | None = None
    flavor: Literal["cloud", "datacenter"] = "cloud"
    email: Account | None = None
    project: ProjectKey | None = None
    issue_type: str | None = Field(default=None, min_length=1, max_length=128)
    labels: tuple[str, ...] = ()
    site_url: str | None = None
    write_lag_s: float = Field(default=30.0, ge=0, le=600)
    on_drift: Literal["keep", "overwrite", "hold"] = "keep"
    auth: Basic | Token | None = Field(default=None, discriminator="type")

    @field_validator("base_url", "site_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        return value and checked_url(value)

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

    def placed(self, command: Command) -> Command:
        """The command with its project."""
        if not isinstance(command, CreateJiraIssue) or command.project is not None:
            return command
        if self.project is None:
            raise Refused(
                "The job names no project, and neither does its destination.",
                code="no_project",
                advice="Name one (`--project`, `project`), or set `project` of the destination.",
            )
        return command.model_copy(update={"project": self.project})

    @property
    def cloud(self) -> bool:
        """Whether it is Jira Cloud."""
        return self.flavor == "cloud"


def label_of(tag: str) -> str:
    """A tag in the form of a label: without spaces; empty for one that could be taken for ours."""
    label = "-".join(clean.plain_title(tag, LABEL_LENGTH).split())
    return "" if label.lower().startswith("aw-") else label
