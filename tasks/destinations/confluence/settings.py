"""What a Confluence destination is told."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from tasks.credentials.kinds import Basic, ClientCredentials, Endpoints, Login, Token
from tasks.destinations.atlassian import GATEWAY, endpoints
from tasks.destinations.confluence import rows
from tasks.destinations.confluence.access import GROUP, Access
from tasks.destinations.confluence.addresses import site_of
from tasks.destinations.confluence.login import scopes_for
from tasks.destinations.placeholders import ISSUE, check
from tasks.destinations.settings import Account, DestinationSettings
from tasks.errors import Refused
from tasks.http.origin import checked_url
from tasks.markup.options import Look
from tasks.model import Command, ParentTemplate, PublishToConfluence

PLACEHOLDERS = frozenset(
    {
        *(f"document.{name}" for name in ("id", "title", "type", "created_at", "updated_at")),
        *(f"document.{name}" for name in ("date", "year", "month", "day")),
        *(f"issue.{name}" for name in ISSUE if name != "description"),
    }
)
NEEDS_ISSUE = tuple(name for name in PLACEHOLDERS if name.startswith("issue.") and name != "issue.id")
# A person by name, account id, user name or e-mail address, or a group with `group:` before its name.
Who = Annotated[str, StringConstraints(max_length=254, pattern=r"^[^\s,][^\x00-\x1f,]*$")]


class ConfluenceSettings(DestinationSettings, Look):
    """A Confluence site. `space` is that of jobs that name none; the connection test looks at it. `parent` is the parent page
    in that space for jobs that name none: a page's number, or a path of titles whose missing pages are created.

    `title_pattern`, `header`, `footer` and `properties` are put round each document (`template`).

    `readers` and `editors` say who may read and edit the pages, `owner` whose they are, `page_status` their status. Each
    holds for new pages, and for others from the setting's change on; without one, a page is left as it is. With
    `missing_parents` a path's missing parts are created as folders.

    `through_gateway` says whether Cloud is asked at Atlassian's gateway; without it, that is found out. `cloud_id` is the
    site's there; without it, the site is asked for it.
    """

    kind: Literal["confluence"] = "confluence"
    base_url: str
    email: Account | None = None
    space: str | None = None
    parent: ParentTemplate | None = None
    title_pattern: str = Field(default="{document.title}", min_length=1, max_length=500)
    header: str = Field(default="", max_length=10_000)
    footer: str = Field(default="", max_length=10_000)
    properties: dict[str, str] = Field(default_factory=dict, max_length=50)
    readers: tuple[Who, ...] = Field(default=(), max_length=100)
    editors: tuple[Who, ...] = Field(default=(), max_length=100)
    owner: Who | None = None
    page_status: str | None = Field(default=None, max_length=20, pattern=r"^\S")
    missing_parents: Literal["pages", "folders"] = "pages"
    flavor: Literal["cloud", "datacenter"] = "cloud"
    auth: Basic | Token | ClientCredentials | Login | None = Field(default=None, discriminator="type")
    through_gateway: bool | None = None
    cloud_id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]{1,64}$")
    on_drift: Literal["keep", "overwrite", "hold"] = "hold"
    on_title_conflict: Literal["refuse", "adopt", "number"] = "refuse"
    minor_edit: bool = False

    @field_validator("labels", "readers", "editors", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        """`a,b` of a command line as well as a list."""
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("readers", "editors")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not who.removeprefix(GROUP).strip() for who in value):
            raise ValueError(f"{GROUP!r} names no group")
        return type(value)(dict.fromkeys(value))  # the API's own model has lists

    @field_validator("owner")
    @classmethod
    def _a_person(cls, value: str | None) -> str | None:
        if value and value.startswith(GROUP):
            raise ValueError("a group can't own a page; name a person")
        return value

    @model_validator(mode="after")
    def _what_the_edition_has(self) -> Self:
        """What a Data Center lacks is refused when it is set, and not by the first job."""
        if self.flavor == "cloud":
            return self
        for name, what in (("owner", "owners of pages"), ("page_status", "page statuses")):
            if getattr(self, name):
                raise ValueError(f"`{name}` can't be set: Confluence Data Center has no {what}")
        if self.missing_parents == "folders":
            raise ValueError("`missing_parents` can't be folders: Confluence Data Center has none")
        if (self.readers or self.editors) and self.base_url.endswith("/wiki"):
            raise ValueError("`readers` and `editors` of a Cloud site need its API v2: set `flavor` to cloud")
        return self

    @field_validator("properties", mode="before")
    @classmethod
    def _rows(cls, value: object) -> object:
        """Rows as they are written on a command line and in a form, as well as a mapping."""
        return rows.read(value) if isinstance(value, str) else value

    @field_validator("parent", "title_pattern", "header", "footer", "properties")
    @classmethod
    def _placeholders(cls, value: str | dict[str, str] | None) -> str | dict[str, str] | None:
        """A text with a placeholder that stands for nothing is refused when it is set, and not by the first job."""
        for text in value.values() if isinstance(value, dict) else (value or "",):
            check(text, PLACEHOLDERS)
        return value

    def names_issue(self, command: Command) -> bool:
        """Whether a template or the parent's path names a field of the issue; the document knows its id itself."""
        parent = command.parent_page_id if isinstance(command, PublishToConfluence) else None
        texts = (parent or "", self.title_pattern, self.header, self.footer, *self.properties.values())
        return any(name in text for text in texts for name in NEEDS_ISSUE)

    @property
    def access(self) -> Access:
        """Readers, editors, owner and status."""
        return Access(
            readers=self.readers, editors=self.editors, owner=self.owner or "", page_status=self.page_status or ""
        )

    @property
    def login_lacks(self) -> str:
        """The account, for Basic."""
        return "`basic` needs `email`" if isinstance(self.auth, Basic) and not self.email else ""

    @field_validator("base_url")
    @classmethod
    def _site(cls, value: str) -> str:
        return site_of(checked_url(value))

    def placed(self, command: Command) -> Command:
        """The command with its space, and the parent page where the space is this destination's own."""
        if not isinstance(command, PublishToConfluence):
            return command
        try:
            check(command.parent_page_id or "", PLACEHOLDERS)
        except ValueError as error:
            advice = "Correct the path and submit again."
            raise Refused(f"The path of the parent page {error}.", code="bad_arguments", advice=advice) from None
        if command.space_key not in (None, self.space):
            return command
        if self.space is None:
            raise Refused(
                "The job names no space, and neither does its destination.",
                code="no_space",
                advice="Name one (`--space`, `space_key`), or set `space` of the destination.",
            )
        parent = command.parent_page_id or self.parent
        return command.model_copy(update={"space_key": self.space, "parent_page_id": parent})

    @property
    def account(self) -> str | None:
        """Who logs in with Basic: Cloud's e-mail address (also through v1, below `/wiki`), Data Center's user name."""
        cloud = self.flavor == "cloud" or self.base_url.endswith("/wiki")
        return self.email if cloud or "@" not in (self.email or "") else None

    @property
    def account_name(self) -> str | None:
        """The account."""
        return self.email

    @property
    def gateway(self) -> str | None:
        """Atlassian's gateway, where scoped tokens and OAuth work."""
        through = self.flavor == "cloud" and self.through_gateway is not False
        return f"{self.vendors(GATEWAY)}/ex/confluence" if through else None

    @property
    def endpoints(self) -> Endpoints:
        """Atlassian's authorization server, or the Data Center's own."""
        if not isinstance(self.auth, ClientCredentials | Login):
            return super().endpoints
        scopes = scopes_for(
            limits=bool(self.readers or self.editors),
            people=bool(self.readers or self.editors or self.owner),
            status=bool(self.page_status),
            folders=self.missing_parents == "folders",
        )
        return endpoints(self.auth, self.address, self.vendors, scopes, cloud=self.flavor == "cloud")

    @property
    def address(self) -> str:
        """The site; a trailing `/wiki` of Cloud is part of the API's path."""
        return self.base_url.removesuffix("/wiki") if self.flavor == "cloud" else self.base_url
