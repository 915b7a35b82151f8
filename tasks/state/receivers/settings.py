"""What an operator says of a receiver of notifications: its kind, where it is, and what it is told of."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError, field_validator, model_validator

from tasks.errors import Refused
from tasks.http.origin import Origin, Url
from tasks.model import Frozen

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Host = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$")]
Mailbox = Annotated[
    str, StringConstraints(max_length=254, pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+$")
]
SecretUrl = Annotated[str, StringConstraints(max_length=2000, pattern=r"^https?://[!-~]+$")]


class Topic(StrEnum):
    """What a receiver can be told of."""

    HELD = "held"
    DEAD = "dead"
    SUSPENDED = "suspended"
    EXPIRING = "expiring"
    TAMPERED = "tampered"
    WENT_BACK = "went_back"


class ReceiverSettings(Frozen):
    """What all receivers have. `min_interval_s` is the shortest time between two messages, in seconds; `console` is the
    address under which people open the console, for links.
    """

    topics: tuple[Topic, ...] = Field(default=tuple(Topic), min_length=1)
    min_interval_s: int = Field(default=60, ge=1, le=86_400)
    console: Url | None = None
    allow_http: bool = False
    allow_private: tuple[str, ...] = ()
    ca_file: str | None = None

    @field_validator("allow_private")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:

        for network in value:
            try:
                ipaddress.ip_network(network, strict=False)
            except ValueError:
                raise ValueError(f"{network[:60]!r} is no network; write it as 10.1.0.0/16") from None
        return value


class Posted(ReceiverSettings):
    """A receiver that is posted to. Its address is a secret with Slack and Teams."""

    url: SecretUrl = Field(repr=False)

    @model_validator(mode="after")
    def _plain_http_is_allowed_by_name(self) -> Posted:
        parts = urlsplit(self.url)
        if not parts.hostname or parts.username is not None or parts.fragment:
            raise ValueError("url: write scheme, host and path, without an account")
        _ = self.origin
        if parts.scheme == "http" and not self.allow_http:
            raise ValueError("url: use https, or allow plain http for a host that you trust (--allow-http)")
        return self

    @property
    def origin(self) -> Origin:
        """Scheme, host and port, with what the operator permitted for them."""
        parts = urlsplit(self.url)
        return Origin(
            base_url=f"{parts.scheme}://{parts.netloc}",
            allow_http=self.allow_http,
            allow_private=self.allow_private,
            ca_file=self.ca_file,
        )

    @property
    def path(self) -> str:
        """Path and query."""
        parts = urlsplit(self.url)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    @property
    def host(self) -> str:
        """What may be shown of the address."""
        return self.origin.netloc


class WebhookReceiver(Posted):
    """A webhook, signed after Standard Webhooks with `secret` (`whsec_` and base64)."""

    kind: Literal["webhook"]
    secret: str = Field(repr=False, pattern=r"^whsec_[A-Za-z0-9+/]+=*$", max_length=200)

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, value: str) -> str:
        try:
            key = base64.b64decode(value.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            raise ValueError("must be whsec_ and base64") from None
        if len(key) < 24:
            raise ValueError("must have 24 bytes or more")
        return value


class SlackReceiver(Posted):
    """An incoming webhook of Slack, or of what takes the same messages (Mattermost, Rocket.Chat)."""

    kind: Literal["slack"]


class TeamsReceiver(Posted):
    """A workflow of Teams that posts adaptive cards when a webhook request is received."""

    kind: Literal["teams"]


class EmailReceiver(ReceiverSettings):
    """Mailboxes behind an SMTP server. `security` `none` sends in the clear and takes `allow_http`."""

    kind: Literal["email"]
    smtp_host: Host
    smtp_port: int = Field(default=587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str | None = Field(default=None, max_length=254, pattern=r"^[!-~]+$")
    password: str | None = Field(default=None, repr=False, max_length=1000)
    sender: Mailbox
    to: tuple[Mailbox, ...] = Field(min_length=1, max_length=50)

    @model_validator(mode="after")
    def _nothing_in_the_clear(self) -> EmailReceiver:
        if self.security == "none" and (self.password or not self.allow_http):
            raise ValueError(
                "security: use starttls or tls; `none` is for a server without a login, where plain text is allowed"
            )
        if (self.username is None) != (self.password is None):
            raise ValueError("username: it goes with a password")
        return self

    @property
    def host(self) -> str:
        """The server."""
        return f"{self.smtp_host}:{self.smtp_port}"

    @property
    def origin(self) -> Origin:
        """The server, as the guard of connections takes it."""
        return Origin(base_url=f"https://{self.host}", allow_private=self.allow_private, ca_file=self.ca_file)


AnyReceiver = Annotated[WebhookReceiver | SlackReceiver | TeamsReceiver | EmailReceiver, Field(discriminator="kind")]
RECEIVER: TypeAdapter[AnyReceiver] = TypeAdapter(AnyReceiver)
SECRETS = frozenset({"url", "secret", "password"})


def shown(name: str, receiver: AnyReceiver) -> dict[str, object]:
    """What anybody may see of a receiver."""
    facts = receiver.model_dump(mode="json", exclude=set(SECRETS), exclude_none=True)
    return {"name": name, "kind": receiver.kind, "host": receiver.host, **facts}


def receiver_of(name: str, given: Mapping[str, object]) -> AnyReceiver:
    """The receiver that an operator describes; raises `Refused`, which repeats no secret."""
    try:
        TypeAdapter(Name).validate_python(name)
        return RECEIVER.validate_python(given)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in problem["loc"] if part not in ("webhook", "slack", "teams", "email"))
        words = problem["msg"].removeprefix("Value error, ")
        raise Refused(
            f"The receiver can't be stored: {f'{place}: ' if place else ''}{words}.",
            code="bad_receiver",
            advice="See `afterword notify set --help`.",
        ) from None
