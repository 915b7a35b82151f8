"""Records that are signed as a whole: whoever can write to Redis and has no key can't change what they say.

What a record says stands in it twice: in the clear, where scripts and the version before this one read it, and as one sealed
text with its owner and its revision, which is what counts. A record whose two halves differ, whose sealed half is missing or
doesn't open, or that is older than the newest one that was seen, is in doubt: it is shown, and nothing is done by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from pydantic import Field

from tasks.errors import KeyTrouble
from tasks.model import Frozen
from tasks.state.newest import Newest
from tasks.state.stored import number
from tasks.state.vault import Vault

FIELD = "whole"
_OTHER = "none"  # no sealed half is this
NO_RECORD: Mapping[bytes, bytes] = {FIELD.encode(): _OTHER.encode()}  # what a record of another type is read as
Kind = Literal["destination", "apikey"]
WORDS: Mapping[Kind, str] = {"destination": "Destination", "apikey": "API key"}


CHANGED = "was changed in Redis by somebody who has no key"


class Signed(NamedTuple):
    """A sealed half, and the moment that it holds."""

    token: str
    signed_ms: int


class Doubt(Frozen):
    """Why a record isn't acted on. `code` is `key_unavailable`, `record_unsigned`, `record_changed` or `record_older`."""

    code: str
    message: str
    advice: str

    def trouble(self) -> KeyTrouble:
        """As an error."""
        return KeyTrouble(self.message, code=self.code, advice=self.advice)


class Whole(Frozen):
    """What the sealed half says: the record's facts, its secret, the password of its proxy, and when it was signed
    (milliseconds).
    """

    facts: dict[str, Any]
    secret: str | None = Field(default=None, repr=False)
    proxy_password: str | None = Field(default=None, repr=False)
    signed_ms: int


class Known(Frozen):
    """The same without the secrets, which are kept nowhere."""

    facts: dict[str, Any]
    has_secret: bool
    signed_ms: int


class Signer:
    """Seals and opens the signed half of records of one kind."""

    def __init__(self, vault: Vault, newest: Newest, kind: Kind) -> None:
        self._vault = vault
        self._newest = newest
        self._kind = kind
        self._known: dict[str, tuple[str, str, Known]] = {}

    def sign(
        self,
        owner: str,
        revision: int,
        facts: Mapping[str, Any],
        secret: str | None,
        now_ms: int,
        proxy_password: str | None = None,
    ) -> Signed:
        """The sealed half. Its moment is later than that of any version of the record that was seen before."""
        signed_ms = max(now_ms, self._newest.of(self._name(owner)) + 1)
        whole = Whole(facts=dict(facts), secret=secret, proxy_password=proxy_password, signed_ms=signed_ms)
        text = whole.model_dump_json(exclude_none=True)
        token = self._vault.seal(text, purpose=self._kind, owner=owner, field=FIELD, revision=revision)
        return Signed(token, signed_ms)

    def anew(self, owner: str, raw: Mapping[str, str], more: Mapping[str, Any]) -> str:
        """The sealed half with some facts changed, of the same moment; raises `KeyTrouble`."""
        whole = self.whole(owner, raw)
        text = whole.model_copy(update={"facts": {**whole.facts, **more}}).model_dump_json(exclude_none=True)
        revision = number(raw.get("revision"))
        return self._vault.seal(text, purpose=self._kind, owner=owner, field=FIELD, revision=revision)

    def learn(self, owner: str, signed_ms: int) -> None:
        """Refuse anything older from now on."""
        self._newest.learn(self._name(owner), signed_ms)

    def gone(self, owner: str) -> None:
        """The record was removed: refuse whatever is put back of it."""
        self.learn(owner, self._newest.of(self._name(owner)) + 1)

    def read(self, owner: str, raw: Mapping[str, str], shown: Mapping[str, Any]) -> tuple[Known | None, Doubt | None]:
        """What the sealed half says, where it opens, and why it isn't to be acted on; `shown` is what the clear half says."""
        if FIELD not in raw:
            return None, self._doubt(owner, "record_unsigned", "isn't signed")
        if raw[FIELD] == _OTHER:
            return None, self._doubt(
                owner, "record_changed", "isn't of the type that Afterword gave it: somebody else wrote there"
            )
        try:
            known = self._opened(owner, raw)
        except KeyTrouble as trouble:
            if trouble.code == "key_unavailable":
                return None, Doubt(code=trouble.code, message=trouble.message, advice=trouble.advice)
            return None, self._doubt(owner, "record_changed", CHANGED)
        if any(known.facts.get(name) != value for name, value in shown.items()):
            return known, self._doubt(owner, "record_changed", CHANGED)
        if known.signed_ms < self._newest.of(self._name(owner)):
            return known, self._doubt(
                owner, "record_older", "is older than one that was seen here: somebody put it back"
            )
        self.learn(owner, known.signed_ms)
        return known, None

    def whole(self, owner: str, raw: Mapping[str, str]) -> Whole:
        """The sealed half with its secret, whatever the clear one says; raises `KeyTrouble`."""
        revision = number(raw.get("revision"))
        text = self._vault.open(raw.get(FIELD, ""), purpose=self._kind, owner=owner, field=FIELD, revision=revision)
        try:
            return Whole.model_validate_json(text, extra="ignore")
        except ValueError:
            raise KeyTrouble(
                "The signed half is of another version.", code="damaged", advice="Store it again."
            ) from None

    def _opened(self, owner: str, raw: Mapping[str, str]) -> Known:
        """What the sealed half says, opened once for as long as it stays the same."""
        token, revision = raw[FIELD], raw.get("revision", "")
        held = self._known.get(owner)
        if held is None or held[:2] != (token, revision):
            whole = self.whole(owner, raw)
            known = Known(facts=whole.facts, has_secret=whole.secret is not None, signed_ms=whole.signed_ms)
            held = self._known[owner] = token, revision, known
        return held[2]

    def _doubt(self, owner: str, code: str, words: str) -> Doubt:
        again = f"`afterword {self._kind} {'set' if self._kind == 'destination' else 'new'}` stores it anew"
        return Doubt(
            code=code,
            message=f"{WORDS[self._kind]} {owner} {words}.",
            advice=f"Look at it with `afterword key sign --dry-run`; `afterword key sign` confirms it, {again}.",
        )

    def _name(self, owner: str) -> str:
        return f"{self._kind}:{owner}"
