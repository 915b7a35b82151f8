"""What the API takes: strict JSON, closed to unknown fields but for upstream's own documents and issues."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.config import JsonDict

from tasks.credentials.secret import SECRET, parts_for
from tasks.destinations import AnySettings, parse_settings
from tasks.destinations.azure_devops.settings import AzureDevOpsSettings
from tasks.destinations.confluence.settings import ConfluenceSettings, Who
from tasks.destinations.jira.settings import JiraSettings
from tasks.destinations.servicenow.settings import ServiceNowSettings
from tasks.errors import Refused
from tasks.http.origin import Url
from tasks.model import (
    Command,
    CreateAzureDevOpsWorkItem,
    CreateJiraIssue,
    CreateServiceNowIncident,
    Document,
    Identifier,
    Issue,
    PublishToConfluence,
    TicketConfig,
    explain,
    parse_command,
)
from tasks.model.content import SEEN
from worker.api.fields import (
    ApiMoment,
    ApiSeverity,
    Base64Text,
    Cidr,
    Destination,
    FileName,
    IdentifierOrNone,
    Line,
    MediaType,
    PageId,
    Secret,
)

STRICT = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)
LENIENT = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)
# Of content, further fields are named in the answer.
OPEN = LENIENT | ConfigDict(extra="allow", json_schema_extra=lambda schema: schema.pop("additionalProperties", None))
MOST_NAMED = 20
# A field's type is widened here to what upstream really sends; the base model's validators narrow it again.


class FileIn(BaseModel):
    """A file that a document shows, such as a screenshot; further fields are ignored."""

    model_config = LENIENT

    name: FileName
    media_type: MediaType | None = None
    content: Base64Text


def ignored(content: BaseModel | None) -> tuple[str, ...]:
    """The names of a content's fields that nothing is made of, as far as an answer has room for them."""
    names = sorted((content.model_extra if content else None) or ())
    return tuple(f"{name:.80}" for name in names[:MOST_NAMED])


class DocumentIn(Document):
    """An RCA or post-mortem in Markdown, in upstream's shape; further fields are ignored, and named in the answer. One without
    words is refused: it would replace a page's body by nothing.
    """

    model_config = OPEN

    id: IdentifierOrNone | None = None  # type: ignore[assignment]
    content_md: Annotated[str, StringConstraints(pattern=SEEN)]
    issue_id: IdentifierOrNone | None = None
    doc_type: Literal["rca", "postmortem", ""] | None = "rca"  # type: ignore[assignment]
    created_at: ApiMoment = None  # type: ignore[assignment]
    updated_at: ApiMoment = None  # type: ignore[assignment]
    attachments: list[FileIn] | Literal[""] | None = None  # type: ignore[assignment]

    @model_validator(mode="after")
    def _files_fit(self) -> Self:
        """What no schema can say of the files is judged by `content`."""
        return self

    def content(self, identifier: str) -> Document:
        """The document under that id; raises `Refused` where two files have one name, or all are too long."""
        given = self.model_dump(exclude_unset=True, exclude_none=True) | {"id": identifier}
        try:
            return Document.model_validate(given)
        except ValidationError as error:
            raise Refused(
                f"The document is not valid: {explain(error)}.",
                code="bad_content",
                advice="Correct it and send it again.",
            ) from None


class IssueIn(Issue):
    """One incident, in upstream's shape; further fields are ignored, and named in the answer."""

    model_config = OPEN

    id: Identifier | None = None  # type: ignore[assignment]
    description: str | None = ""  # type: ignore[assignment]
    severity: ApiSeverity = None  # type: ignore[assignment]
    status: str | None = "open"  # type: ignore[assignment]
    category: str | None = ""  # type: ignore[assignment]
    source: str | None = ""  # type: ignore[assignment]
    assigned_to: str | None = ""  # type: ignore[assignment]
    tags: Annotated[list[str] | str | None, Field(description="An array, or one as a JSON string")] = ()  # type: ignore[assignment]
    created_at: ApiMoment = None  # type: ignore[assignment]
    updated_at: ApiMoment = None  # type: ignore[assignment]
    resolved_at: ApiMoment = None  # type: ignore[assignment]

    def content(self, identifier: str) -> Issue:
        """The issue under that id."""
        return Issue.model_validate(self.model_dump(exclude_unset=True) | {"id": identifier})


class TicketConfigIn(TicketConfig):
    """What may be overridden for one ticket."""

    model_config = STRICT

    severity: ApiSeverity = None  # type: ignore[assignment]


class _JobFields(BaseModel):
    destination: Destination | None = Field(
        default=None, description="Name of the destination; may be left out where there is one of its kind"
    )
    callback_url: Url | None = Field(
        default=None, description="The outcome is posted there, signed; its origin must be allowed by the operator"
    )

    def command_of(self) -> Command:
        """The command as the ledger stores it."""
        given = self.model_dump(mode="json", exclude={"document", "issue", "callback_url"}, exclude_none=True)
        return parse_command(given)


class PublishIn(_JobFields, PublishToConfluence):
    """Put a document on a page of a Confluence space."""

    model_config = STRICT

    command: Literal["publish_to_confluence"]  # type: ignore[assignment]
    parent_page_id: PageId | None = None  # type: ignore[assignment]
    document: DocumentIn | None = Field(default=None, description="The content; without it, the document of doc_id")


class IncidentIn(_JobFields, CreateServiceNowIncident):
    """File an issue as a ServiceNow incident."""

    model_config = STRICT

    command: Literal["create_servicenow_incident"]  # type: ignore[assignment]
    config: TicketConfigIn | None = None  # type: ignore[assignment]
    issue: IssueIn | None = Field(default=None, description="The content; without it, the issue of issue_id")


class WorkItemIn(_JobFields, CreateAzureDevOpsWorkItem):
    """File an issue as an Azure DevOps work item."""

    model_config = STRICT

    command: Literal["create_azuredevops_workitem"]  # type: ignore[assignment]
    config: TicketConfigIn | None = None  # type: ignore[assignment]
    issue: IssueIn | None = Field(default=None, description="The content; without it, the issue of issue_id")


class JiraIssueIn(_JobFields, CreateJiraIssue):
    """File an issue as an issue of a Jira project."""

    model_config = STRICT

    command: Literal["create_jira_issue"]  # type: ignore[assignment]
    config: TicketConfigIn | None = None  # type: ignore[assignment]
    issue: IssueIn | None = Field(default=None, description="The content; without it, the issue of issue_id")


class JobIn(RootModel[Annotated[PublishIn | IncidentIn | WorkItemIn | JiraIssueIn, Field(discriminator="command")]]):
    """One job: the command by the name of upstream's task, its arguments, and the content where it comes along."""

    model_config = ConfigDict(strict=True, frozen=True)


class Reason(BaseModel):
    """Why an operator acts; it stands in the audit."""

    model_config = STRICT

    reason: Line = ""


def _fit_for_a_header(value: SecretStr | None) -> SecretStr | None:
    """The secret; raises `ValueError` for what a header can't carry."""
    if value is not None and not re.fullmatch(r"[!-~]([ -~]*[!-~])?", value.get_secret_value()):
        raise ValueError("must be one line of printable ASCII without spaces around it")
    return value


class SecretsIn(BaseModel):
    """The parts of a secret that has several, or is a key: what each kind of `auth` takes is in docs/credentials.md."""

    model_config = STRICT

    client_secret: Secret | None = None
    password: Secret | None = None
    refresh_token: Secret | None = None
    private_key: Annotated[
        SecretStr | None, Field(max_length=20_000, description="PEM; with the certificate for `certificate`")
    ] = None

    @field_validator("client_secret", "password", "refresh_token", mode="after")
    @classmethod
    def _one_line(cls, value: Any) -> Any:
        return _fit_for_a_header(value)

    def joined(self) -> str:
        """All parts in one text."""
        parts = {name: getattr(self, name) for name in type(self).model_fields}
        return json.dumps({name: part.get_secret_value() for name, part in parts.items() if part is not None})


class _Settings(BaseModel):
    allow_private: tuple[Cidr, ...] = Field(default=(), description="Private networks that may be connected to")
    secret: Secret | None = None
    secrets: SecretsIn | None = None
    proxy_password: SecretStr | None = Field(default=None, min_length=1, max_length=1000)

    @field_validator("secret", mode="after")
    @classmethod
    def _one_line(cls, value: Any) -> Any:
        return _fit_for_a_header(value)

    def settings(self) -> AnySettings:
        """The settings without the secret."""
        return parse_settings(self.model_dump(exclude={"secret", "secrets", "proxy_password"}, exclude_none=True))

    def given_for_proxy(self) -> str | None:
        """The password at the proxy."""
        return self.proxy_password.get_secret_value() if self.proxy_password else None

    def given(self) -> str | None:
        """The secret, or its parts, as `tasks.credentials.secret.as_stored` takes them; raises `Refused` for both."""
        if self.secrets is None:
            return self.secret.get_secret_value() if self.secret else None
        if self.secret or parts_for(self.settings().auth) == (SECRET,):
            raise Refused(
                "`secrets` are the parts of another kind of credential.",
                code="bad_secret",
                advice="Give `secret` alone.",
            )
        return self.secrets.joined()


def _http_where_permitted(address: str) -> ConfigDict:
    """The schema of settings whose address may only be plain http where `allow_http` says so, and whose key has a certificate."""
    permitted: JsonDict = {"properties": {"allow_http": {"const": True}}, "required": ["allow_http"]}
    secure: JsonDict = {"anyOf": [{"properties": {address: {"pattern": "^https:"}}}, permitted]}
    keyless: JsonDict = {"properties": {"client_key_file": {"type": "null"}}}
    certified: JsonDict = {"properties": {"client_cert_file": {"type": "string"}}, "required": ["client_cert_file"]}
    return ConfigDict(json_schema_extra={"allOf": [secure, {"anyOf": [keyless, certified]}]})


def _confluence() -> ConfigDict:
    """The same, and what only the Cloud has."""
    found = _http_where_permitted("base_url")
    cloud: JsonDict = {"properties": {"flavor": {"const": "cloud"}}}
    bare: JsonDict = {"owner": {"type": "null"}, "page_status": {"type": "null"}, "missing_parents": {"const": "pages"}}
    limits: JsonDict = {"anyOf": [{"not": {"properties": {"base_url": {"pattern": "/wiki"}}}}, {"properties": _OPEN}]}
    center: JsonDict = {"properties": bare, "allOf": [limits]}
    return ConfigDict(json_schema_extra={"allOf": [*found["json_schema_extra"]["allOf"], {"anyOf": [cloud, center]}]})  # type: ignore[index, call-overload, misc]


_OPEN: JsonDict = {"readers": {"maxItems": 0}, "editors": {"maxItems": 0}}


class ConfluenceIn(_Settings, ConfluenceSettings):
    """A Confluence site."""

    model_config = STRICT | _confluence()

    kind: Literal["confluence"]
    base_url: Url
    labels: list[str] = Field(default_factory=list)  # type: ignore[assignment]
    readers: list[Who] = Field(default_factory=list, max_length=100)  # type: ignore[assignment]
    editors: list[Who] = Field(default_factory=list, max_length=100)  # type: ignore[assignment]


class ServiceNowIn(_Settings, ServiceNowSettings):
    """A ServiceNow instance."""

    model_config = STRICT | _http_where_permitted("instance_url")

    kind: Literal["servicenow"]
    instance_url: Url


class AzureDevOpsIn(_Settings, AzureDevOpsSettings):
    """An Azure DevOps organisation or collection."""

    model_config = STRICT | _http_where_permitted("org_url")

    kind: Literal["azure_devops"]
    org_url: Url


JiraLabel = Annotated[str, Field(json_schema_extra={"format": "jira-label"})]


class JiraIn(_Settings, JiraSettings):
    """A Jira site."""

    model_config = STRICT | _http_where_permitted("base_url")

    kind: Literal["jira"]
    base_url: Url
    site_url: Url | None = None
    labels: list[JiraLabel] = Field(default_factory=list)  # type: ignore[assignment]


class DestinationIn(
    RootModel[Annotated[ConfluenceIn | ServiceNowIn | AzureDevOpsIn | JiraIn, Field(discriminator="kind")]]
):
    """A destination's settings and, where it changes, its credential."""

    model_config = ConfigDict(strict=True, frozen=True)
