"""What a destination is: a pure preparation, a delivery that looks before it repeats, an honest test."""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

from pydantic import Field

from tasks.destinations.settings import DestinationSettings
from tasks.errors import DestinationTrouble, Permanent, Unsettled
from tasks.http.exchange import Http
from tasks.http.message import Request
from tasks.http.origin import Origin
from tasks.http.verdict import Answer, Verdict
from tasks.markup.compare import Change
from tasks.model import Command, ConnectionStep, Document, Frozen, Issue, Link, Receipt
from tasks.model.remote import Observed

PARENT = "parent"  # the text of a plan that is no content: the path of where a page goes


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


def basic(account: str, secret: str) -> dict[str, str]:
    """HTTP Basic (RFC 7617)."""
    return {"Authorization": "Basic " + base64.b64encode(f"{account}:{secret}".encode()).decode()}
