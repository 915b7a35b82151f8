"""What an operator says of a receiver of notifications: its kind, where it is, and what it is told of."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError

from tasks.errors import Refused
from tasks.http.origin import Origin, Url
from tasks.model import Frozen, explain

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Host = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$")]
Mailbox = Annotated[
    str, StringConstraints(max_length=254, pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+$")
]
SigningSecret = Annotated[  # 24 bytes or more in base64
    str, StringConstraints(pattern=r"^whsec_([A-Za-z0-9+/]{4}){8,45}([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$")
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

    model_config = ConfigDict(strict=True)  # beside what `Frozen` says; JSON knows its types

    topics: tuple[Topic, ...] = Field(default=tuple(Topic), min_length=1)
    min_interval_s: int = Field(default=60, ge=1, le=86_400)
    console: Url | None = None
    allow_http: bool = False
    allow_private: tuple[str, ...] = ()
    ca_file: str | None = None


class Posted(ReceiverSettings):
    """A receiver that is posted to. Its address is a secret with Slack and Teams."""

    url: SecretUrl = Field(repr=False)

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
    secret: SigningSecret = Field(repr=False)


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

    @property
    def host(self) -> str:
        """The server."""
        return f"{self.smtp_host}:{self.smtp_port}"

    @property
    def origin(self) -> Origin:
        """The server, as the guard of connections takes it."""
        return Origin(base_url=f"https://{self.host}", allow_private=self.allow_private, ca_file=self.ca_file)


FORMS: Mapping[str, str] = {
    "url": "must be an address, such as https://hooks.example.com/afterword",
    "console": "must be an address, such as https://afterword.example.com",
    "secret": "must be whsec_ and at least 24 bytes in base64",
    "smtp_host": "must be the name of a server, such as smtp.example.com",
    "sender": "must be a mailbox, such as afterword@example.com",
    "to": "must be mailboxes, such as ops@example.com",
}

AnyReceiver = Annotated[WebhookReceiver | SlackReceiver | TeamsReceiver | EmailReceiver, Field(discriminator="kind")]
RECEIVER: TypeAdapter[AnyReceiver] = TypeAdapter(AnyReceiver, config=ConfigDict(defer_build=True))


class ReceiverView(Frozen):
    """What anybody may see of a receiver. `standing` says how the newest message or test ended since it was stored; `failures`
    counts the messages that failed in a row; `trouble` says why its record can't be used.
    """

    name: str
    kind: Literal["webhook", "slack", "teams", "email", "unknown"]
    host: str = ""
    topics: tuple[Topic, ...] = ()
    min_interval_s: int | None = None
    console: str | None = None
    to: tuple[str, ...] = ()
    standing: Literal["untested", "good", "failing", "unusable"] = "untested"
    failures: int = 0
    trouble: str = ""


def view_of(name: str, receiver: AnyReceiver, failures: int = 0, standing: str = "untested") -> ReceiverView:
    """The receiver without its secrets."""
    return ReceiverView(
        name=name,
        kind=receiver.kind,
        host=receiver.host,
        topics=receiver.topics,
        min_interval_s=receiver.min_interval_s,
        console=receiver.console,
        to=receiver.to if isinstance(receiver, EmailReceiver) else (),
        standing="failing" if failures or standing == "failing" else "good" if standing == "good" else "untested",
        failures=failures,
    )


def checked(receiver: AnyReceiver) -> AnyReceiver:
    """The receiver, where its fields fit each other; raises `Refused`, which repeats no secret."""
    for network in receiver.allow_private:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            raise _refused("allow_private: write networks as 10.1.0.0/16") from None
    if isinstance(receiver, EmailReceiver):
        if receiver.security == "none" and (receiver.password or not receiver.allow_http):
            raise _refused(
                "security: `none` is for a server without a login, on a way that you trust: allow it with `--allow-http`"
            )
        if (receiver.username is None) != (receiver.password is None):
            raise _refused("username: it goes with a password")
        return receiver
    try:
        parts = urlsplit(receiver.url)
        fits = bool(parts.hostname and parts.username is None and not parts.fragment and receiver.origin)
    except ValueError:
        fits = False
    if not fits:
        raise _refused("url: write scheme, host and path, without an account")
    if parts.scheme == "http" and not receiver.allow_http:
        raise _refused("url: it is plain http; use https, or allow it with `--allow-http` for a host that you trust")
    return receiver


def receiver_of(name: str, given: Mapping[str, object]) -> AnyReceiver:
    """The receiver that an operator describes; raises `Refused`, which repeats no secret."""
    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError:
        raise _refused("its name must be small letters, digits, - and _, with a letter or digit first") from None
    try:
        return checked(RECEIVER.validate_json(json.dumps(dict(given))))
    except ValidationError as error:
        said = explain(error, FORMS)
        raise _refused(said.replace(f"{given.get('kind')}.", "")) from None


def _refused(words: str) -> Refused:
    advice = "Correct that field, and store it again."
    return Refused(f"The receiver can't be stored: {words}.", code="bad_receiver", advice=advice)
