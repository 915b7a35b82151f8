"""What an Azure DevOps destination is told, and the fields of a work item that its mapping may use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, field_validator

from tasks.credentials.kinds import (
    Basic,
    Certificate,
    ClientCredentials,
    Endpoints,
    Login,
    Renewable,
    Token,
    WorkloadIdentity,
)
from tasks.destinations.azure_devops.addresses import organisation_of
from tasks.destinations.settings import endpoints_of
from tasks.destinations.tickets.mapping import Keys
from tasks.destinations.tickets.projects import in_project
from tasks.destinations.tickets.settings import TicketSettings
from tasks.http.origin import checked_url
from tasks.model import Command, CreateAzureDevOpsWorkItem

TITLE_LENGTH = 255
TAG_LENGTH = 400
FIELD_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+$")
OURS = frozenset({"System.Tags", "System.Id", "System.Rev", "System.TeamProject", "System.WorkItemType"})
ENTRA = "https://login.microsoftonline.com"
SCOPE = "499b84ac-1321-427f-aa17-267ca6975798/.default"  # Azure DevOps, whatever the client was granted there
REPRO = "Microsoft.VSTS.TCM.ReproSteps"
DESCRIPTION = "System.Description"
PRIORITY = "Microsoft.VSTS.Common.Priority"
SEVERITY = "Microsoft.VSTS.Common.Severity"
ASSIGNED = "System.AssignedTo"
HISTORY = "System.History"
STATE = "System.State"
# Keys of a mapping, and the field that each sets.
FIELD_OF: Mapping[str, str] = {
    "area": "System.AreaPath",
    "iteration": "System.IterationPath",
    "assigned_to": ASSIGNED,
    "state": STATE,
}
OTHER_KEYS = frozenset({"type", "body_field", "severity", "tags", "parent", "category", "source"})


def field_refusal(name: str) -> str:
    """Why a work item's field can't be set by that name; empty where it can."""
    return "" if FIELD_NAME.match(name) and name not in OURS else "can't be set as a field of a work item"


class AzureDevOpsSettings(TicketSettings):
    """An organisation. `project` and `work_item_type` are those of jobs that name none; the connection test looks at them."""

    keys: ClassVar[Keys] = Keys(frozenset(FIELD_OF) | OTHER_KEYS, field_refusal)

    kind: Literal["azure_devops"] = "azure_devops"
    org_url: str
    project: str | None = None
    work_item_type: str = "Bug"
    body_format: Literal["html", "markdown"] = "html"
    api_version: str = Field(default="7.1", pattern=r"^[0-9]\.[0-9](-preview(\.[0-9]{1,2})?)?$")
    write_lag_s: float = Field(default=30.0, ge=0, le=600)
    auth: Basic | Token | ClientCredentials | Certificate | WorkloadIdentity | Login | None = Field(
        default=None, discriminator="type"
    )

    @property
    def login_lacks(self) -> str:
        """The tenant, which is a part of Entra's addresses."""
        missing = isinstance(self.auth, ClientCredentials | Login) and not self.auth.tenant and not self.auth.token_url
        return f"`{self.auth.type}` needs `tenant`, the directory of the client" if missing and self.auth else ""

    @field_validator("org_url")
    @classmethod
    def _organisation(cls, value: str) -> str:
        return organisation_of(checked_url(value))

    @property
    def endpoints(self) -> Endpoints:
        """Microsoft Entra's v2.0 endpoints of the tenant."""
        if not isinstance(self.auth, Renewable):
            return super().endpoints
        tenant = f"{self.vendors(ENTRA)}/{getattr(self.auth, 'tenant', None)}/oauth2/v2.0"
        more = ("offline_access",) if isinstance(self.auth, Login) else ()
        return endpoints_of(self.auth, f"{tenant}/token", (SCOPE, *more), authorize_url=f"{tenant}/authorize")

    def placed(self, command: Command) -> Command:
        """The command with its project."""
        return in_project(command, self.project) if isinstance(command, CreateAzureDevOpsWorkItem) else command

    @property
    def address(self) -> str:
        """The organisation."""
        return self.org_url
