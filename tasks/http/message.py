"""What a destination is asked, and what it answers: its words are told without what it was sent."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from tasks.http.echoes import RUN, Sent, without_credential, without_echoes
from tasks.http.reasons import reasons_of
from tasks.http.refusals import not_json, odd_answer
from tasks.http.verdict import MOST_BYTES

EXCERPT_LENGTH = 1000
BEYOND = 4000
T = TypeVar("T")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]+")


@dataclass(frozen=True)
class Request:
    """One request. `operation` is what the audit shows: method and path without ids or query. `tries` is kept, sealed,
    until the write's end is known: what a later look-up needs to find the object by.
    """

    method: str
    path: str
    operation: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: object = None
    body: bytes | None = field(default=None, repr=False)
    writes: bool = False
    tries: str = field(default="", repr=False)

    @cached_property
    def payload(self) -> bytes:
        """The bytes of the body, as they are sent."""
        if self.body is not None:
            return self.body
        return b"" if self.json is None else json.dumps(self.json).encode()


@dataclass(frozen=True)
class Response:
    """A complete answer. It may echo what was `sent`."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    wrote: bool = False
    sent: Sent = field(default=Sent(), repr=False)
    source: str = "the remote side"

    def parsed(self, read: Callable[[Any], T]) -> T:
        """What `read` makes of the body as JSON. Where it can't, the answer is at fault, and that is what is raised."""
        content = self.json()
        try:
            return read(content)
        except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError):
            raise odd_answer(self.status, self.source, wrote=self.wrote) from None

    def json(self) -> Any:
        """The body as JSON (a byte-order mark is fine). Anything else where JSON was due is an error of the exchange."""
        text = self.body.decode("utf-8-sig", "replace")
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise not_json(self.status, self.source, wrote=self.wrote) from None

    def words(self) -> str:
        """The vendor's own words, short, on one line, and without the credential or content that it might echo."""
        text = self.body[:20_000].decode("utf-8-sig", "replace")
        try:
            told = reasons_of(json.loads(self.body[:MOST_BYTES].decode("utf-8-sig", "replace")))
            text = " / ".join(told) or text
        except (ValueError, RecursionError):
            text = re.sub(r"<[^>]{0,1000}>", " ", text)
        line = re.sub(r"\s+", " ", _CONTROL.sub(" ", text)).strip()
        # Far enough for a credential that begins in the excerpt to be seen whole.
        line = without_credential(line[: EXCERPT_LENGTH + BEYOND], self.sent.credential)
        return without_echoes(line[: EXCERPT_LENGTH + RUN], self.sent.content)[:EXCERPT_LENGTH]
