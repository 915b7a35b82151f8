"""What a destination is told: the settings that every kind has. Nothing here sends anything, so that a command which lists
destinations or jobs loads no client.
"""

from __future__ import annotations

import ipaddress
from datetime import date
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, field_validator, model_validator

from tasks.credentials.kinds import AnyAuth, Endpoints, Renewable
from tasks.http.origin import Origin, checked_url
from tasks.model import Command, Frozen

File = Annotated[str, StringConstraints(min_length=2, max_length=1000, pattern=r"^/[^\x00-\x1f]+$")]  # on each worker
Account = Annotated[str, StringConstraints(min_length=1, max_length=254, pattern=r"^[^\x00-\x1f:]+$")]


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
            try:
                ipaddress.ip_network(block, strict=False)
            except ValueError:
                raise ValueError(f"{block[:60]!r} is no network; write it as 10.1.0.0/16") from None
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


def endpoints_of(auth: Renewable, token_url: str, scopes: tuple[str, ...] = (), **more: Any) -> Endpoints:
    """What the operator gave, and else the vendor's own."""
    given = {"authorize_url": url} if (url := getattr(auth, "authorize_url", None)) else {}
    return Endpoints(**{"token_url": auth.token_url or token_url, "scopes": auth.scopes or scopes, **more, **given})
