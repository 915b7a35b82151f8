"""What a destination is: settings, a pure preparation, a delivery that looks before it repeats, an honest test."""

from __future__ import annotations

import base64
import ipaddress
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Annotated, Any, Generic, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, field_validator, model_validator

from tasks.credentials.kinds import AnyAuth, Endpoints, Renewable
from tasks.errors import DestinationTrouble, Permanent, Unsettled
from tasks.http.exchange import Http, Request
from tasks.http.origin import Origin, checked_url
from tasks.http.verdict import Answer, Verdict
from tasks.markup.compare import Change
from tasks.model import Command, ConnectionStep, Document, Frozen, Issue, Link, Receipt
from tasks.model.remote import Observed

File = Annotated[str, StringConstraints(min_length=2, max_length=1000, pattern=r"^/[^\x00-\x1f]+$")]  # on each worker
Account = Annotated[str, StringConstraints(min_length=1, max_length=254, pattern=r"^[^\x00-\x1f:]+$")]
PARENT = "parent"  # the text of a plan that is no content: the path of where a page goes


class DestinationSettings(Frozen):
    """What every destination can be told.

    `rate_per_s` and `burst` bound the requests of all workers together, no rate by default. `breaker_failures` attempts
    of different jobs that fail in a row (0: never) open the breaker for `breaker_cooldown_s`. `probe_interval_s` is
    the pause before a suspended destination is tested again. `auth` says how it logs in; without it the secret is taken as
    this kind of destination takes it by default. `credential_expires` is the day on which it ends, where that is known.

    `proxy_url` is a proxy that all requests go through, `proxy_username` our name there, whose password is sealed with the
    record. `connect_to` is a host to connect to instead of the address's own. `ca_file`
    adds certificate authorities, `client_cert_file` and `client_key_file` are shown to a server that asks: PEM files, by
    absolute paths on the machines of workers and API.
    """

    allow_http: bool = False
    allow_private: tuple[str, ...] = ()
    total_timeout_s: float = Field(default=30.0, gt=0, le=300)
    max_attempts: int = Field(default=16, ge=1, le=100)
    max_age_hours: float = Field(default=72.0, gt=0, le=24 * 30)
    concurrency: int = Field(default=24, ge=1, le=200)
    write_lag_s: float = Field(default=5.0, ge=0, le=600)
    cross_links: bool = True
    rate_per_s: float | None = Field(default=None, ge=0.05, le=1000)
    burst: int = Field(default=1, ge=1, le=1000)
    breaker_failures: int = Field(default=10, ge=0, le=1000)
    breaker_cooldown_s: float = Field(default=5.0, ge=1, le=300)
    probe_interval_s: float = Field(default=60.0, ge=1, le=86400)
    auth: AnyAuth | None = Field(default=None, discriminator="type")
    credential_expires: date | None = None
    proxy_url: str | None = None
    proxy_username: Account | None = None
    connect_to: str | None = Field(default=None, pattern=r"^[A-Za-z0-9.:-]{1,253}$")
    ca_file: File | None = None
    client_cert_file: File | None = None
    client_key_file: File | None = None

    @field_validator("proxy_url")
    @classmethod
    def _proxy(cls, value: str | None) -> str | None:
        return value and checked_url(value)

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.proxy_url and self.connect_to:
            raise ValueError("`proxy_url` and `connect_to` exclude each other: behind a proxy, the proxy connects")
        if self.proxy_username and not self.proxy_url:
            raise ValueError("`proxy_username` belongs to a `proxy_url`, which is missing")
        if self.client_key_file and not self.client_cert_file:
            raise ValueError("`client_key_file` belongs to a `client_cert_file`, which is missing")
        return self

    @field_validator("allow_private")
    @classmethod
    def _blocks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for block in value:
            ipaddress.ip_network(block, strict=False)
        return value

    @property
    def address(self) -> str:
        """The address as the operator wrote it."""
        raise TypeError(type(self).__name__)

    def placed(self, command: Command) -> Command:
        """The command with the place that it goes to, from these settings where it names none; raises `Refused` where they
        name none either.
        """
        return command

    def names_issue(self, command: Command) -> bool:
        """Whether the page of a job's document shows fields of the issue that it is about."""
        return False

    @property
    def origin(self) -> Origin:
        """Where requests go, and what the operator permitted for that."""
        return self.beside(self.address)

    def beside(self, address: str) -> Origin:
        """Another address that the destination's requests go to, such as its authorization server's. Private networks are
        permitted for all of them; plain http only at the destination's own host.
        """
        same_host = urlsplit(address).hostname == urlsplit(self.address).hostname
        return Origin(
            base_url=address,
            allow_http=self.allow_http and same_host,
            allow_private=self.allow_private,
            proxy_url=self.proxy_url,
            proxy_username=self.proxy_username,
            connect_to=self.connect_to if same_host else None,
            ca_file=self.ca_file,
            client_cert_file=self.client_cert_file if same_host else None,
            client_key_file=self.client_key_file if same_host else None,
        )

    def vendors(self, address: str) -> str:
        """A service that the vendor runs for all its customers. A destination on plain http is a simulated one, which has
        that service at its own address.
        """
        own = urlsplit(self.address)
        return address if own.scheme == "https" else f"{own.scheme}://{own.netloc}"

    @property
    def account_name(self) -> str | None:
        """The account that a password belongs to."""
        return None

    @property
    def login_lacks(self) -> str:
        """What the chosen way to log in needs and isn't given, in words; empty where nothing is missing."""
        return ""

    @property
    def gateway(self) -> str | None:
        """Where the vendor's gateway has the sites of this kind, for tokens that the site refuses; None where there is none."""
        return None

    @property
    def endpoints(self) -> Endpoints:
        """Where a renewable credential is asked for, and for which scopes."""
        raise TypeError(type(self).__name__)


class Work(Frozen):
    """One job's content, screened, and what is known of its subject.

    `previous` is the receipt of an earlier delivery of the subject. With `doubt_until_ms` set an earlier write may
    exist: look first; a look-up that finds nothing counts only from that moment on (epoch milliseconds). `tried` is what
    that write said the object could be found by, or of a ticket what it would have set. `wrote` is what earlier deliveries
    left in its fields, as their receipts said. `links` lead to the issue's other objects. `source` is the digest of all
    that decides how the object looks. A document comes with its `issue` where the destination's settings name the issue's fields.
    """

    job_id: str
    subject: str
    command: Command
    document: Document | None = None
    issue: Issue | None = None
    previous: Receipt | None = None
    doubt_until_ms: int | None = None
    tried: str = ""
    wrote: Mapping[str, tuple[str, str]] = Field(default_factory=dict)
    links: tuple[Link, ...] = ()
    released: bool = False
    source: str = ""

    def settle_doubt(self, now_ms: int) -> None:
        """Permit a new write after a look-up that found nothing; raises `Unsettled` while it is too early."""
        if self.doubt_until_ms is not None and now_ms < self.doubt_until_ms:
            raise Unsettled(
                "An earlier request may still have taken effect; waiting until the remote side would show it.",
                code="unsettled",
                until_ms=self.doubt_until_ms,
            )


class Preview(Frozen):
    """What a delivery would do. `action` is create, update, unchanged, hold or keep; empty parts don't change."""

    action: str
    url: str | None = None
    title: tuple[str, str] | None = None
    parent: tuple[str | None, str | None] | None = None
    labels_added: tuple[str, ...] = ()
    labels_removed: tuple[str, ...] = ()
    uploads: tuple[str, ...] = ()
    diff: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()


class Needs(Frozen):
    """What one job needs of the account besides a good credential: the space or project it writes to, the type of item, and
    whether it sets labels or uploads files. With `settings`, what all jobs need because the settings name it.
    """

    target: str | None = None
    item_type: str | None = None
    labels: bool = False
    files: bool = False
    settings: bool = False


Plan = TypeVar("Plan")
SettingsT = TypeVar("SettingsT", bound=DestinationSettings)


@dataclass(frozen=True)
class Prepared(Generic[Plan]):
    """What will be sent: `texts` for the last screening, `plan` for the delivery. `warnings` say what doesn't look as written."""

    texts: Mapping[str, str]
    plan: Plan
    warnings: tuple[str, ...] = ()

    @property
    def content(self) -> tuple[str, ...]:
        """The texts that nothing told of an answer may repeat: all but the path of where it goes."""
        return tuple(text for name, text in self.texts.items() if name != PARENT)


class Destination(ABC, Generic[SettingsT]):
    """One configured destination. Holds settings, never a credential."""

    def __init__(self, settings: SettingsT) -> None:
        self.settings = settings

    @cached_property
    def origin(self) -> Origin:
        """Where requests go."""
        return self.settings.origin

    @property
    def total_timeout_s(self) -> float:
        """The bound of one exchange."""
        return self.settings.total_timeout_s

    @property
    def write_lag_s(self) -> float:
        """How long a finished write may stay invisible to a look-up."""
        return self.settings.write_lag_s

    @property
    @abstractmethod
    def vendor(self) -> str:
        """What answers where `reach` passes, as people call it."""

    @property
    def probe(self) -> Request:
        """A small question that no anonymous visitor gets an answer to: whether a credential works at the vendor's gateway."""
        raise TypeError(type(self).__name__)

    @property
    def signs_in_by_page(self) -> bool:
        """Whether a refused credential is answered with a sign-in page."""
        return False

    @staticmethod
    @abstractmethod
    def judge(answer: Answer) -> Verdict:
        """Whose trouble an answer tells of, by the vendor's own error shapes. Pure."""

    @abstractmethod
    def authorization(self, secret: str | None) -> Mapping[str, str]:
        """The headers that carry the credential; raises `DestinationTrouble` where there is none."""

    def bearer(self, token: str) -> Mapping[str, str]:
        """The headers that carry an access token (RFC 6750)."""
        return {"Authorization": f"Bearer {token}"}

    @abstractmethod
    def prepare(self, work: Work) -> Prepared[Any]:
        """Render the content. Pure; raises `Permanent` for arguments that can't work."""

    async def unchanged(self, work: Work, http: Http) -> Receipt | None:
        """The receipt of an object that shows the work's `source` already, untouched since; None where that isn't certain.

        Found out by reading only, before anything is rendered.
        """
        return None

    @abstractmethod
    async def deliver(self, work: Work, prepared: Prepared[Any], http: Http, now_ms: Callable[[], int]) -> Receipt:
        """Bring the remote object up to date: at most one object for the subject, whatever happened before."""

    @abstractmethod
    async def link(self, work: Work, http: Http) -> Receipt:
        """Bring the links of the delivered object up to date, and leave all else on it alone."""

    async def observe(self, tickets: Mapping[str, Receipt], http: Http) -> Mapping[str, Observed]:
        """Delivered tickets as they read now, by subject, in as few requests as can be; those not to be seen are missing."""
        return {}

    async def preview(self, work: Work, prepared: Prepared[Any], http: Http) -> Preview:
        """What `deliver` would change now, found out by reading only; raises `Permanent` where it can't be told."""
        raise Permanent(
            f"A dry run is for Confluence pages; {self.settings.address} takes something else.",
            code="no_dry_run",
            advice="`afterword render FILE --for …` prints what would be sent.",
        )

    @abstractmethod
    def needs(self, command: Command | None, plan: object = None) -> Needs:
        """What a job with that command and plan needs; without a command, what the settings name."""

    @abstractmethod
    async def reach(self, http: Http) -> list[ConnectionStep]:
        """Whether the vendor itself answers, and as whom: what every job of the destination depends on. Changes nothing.

        A step that is not ok, as well as anything that is raised, speaks against the destination as a whole.
        """

    @abstractmethod
    async def rights(self, http: Http, needs: Needs) -> list[ConnectionStep]:
        """Whether the account may do what is needed, as far as reading can tell. Changes nothing."""


def identifier(value: object) -> str:
    """An object's id as the vendor gave it; raises `ValueError` for what can't be one."""
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise ValueError("no id")
    return str(value)


def rows_of(found: Mapping[str, Any], name: str = "results") -> list[dict[str, Any]]:
    """The rows of a list; raises `TypeError` where there is none, or where one isn't an object."""
    rows = found[name]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise TypeError(name)
    return rows


def stored(secret: str | None) -> str:
    """The secret; raises `DestinationTrouble` where none is stored."""
    if not secret:
        raise DestinationTrouble(
            "No credential is stored.", code="no_credential", advice="Store one with `afterword destination set`."
        )
    return secret


def endpoints_of(auth: Renewable, token_url: str, scopes: tuple[str, ...] = (), **more: Any) -> Endpoints:
    """What the operator gave, and else the vendor's own."""
    given = {"authorize_url": url} if (url := getattr(auth, "authorize_url", None)) else {}
    return Endpoints(**{"token_url": auth.token_url or token_url, "scopes": auth.scopes or scopes, **more, **given})


def basic(account: str, secret: str) -> dict[str, str]:
    """HTTP Basic (RFC 7617)."""
    return {"Authorization": "Basic " + base64.b64encode(f"{account}:{secret}".encode()).decode()}
