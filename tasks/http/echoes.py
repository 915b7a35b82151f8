"""A remote side that repeats what it was sent: its words are kept, and our credential and content in them are not. Pure.

A credential is looked for in whatever a text can carry it in: as it is, in any of the encodings that `encodings` undoes, in
capitals, reversed, with line breaks, blanks or signs put in between.
Where only a part of it is seen, all that was said is dropped. `Sent` says the same of what we make of an answer: a sentence, an id.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple
from urllib.parse import unquote_plus

from tasks.http.encodings import MOST_TOGETHER, forms

RUN = 20  # characters in a row that no answer has in common with a document by chance
_BLOCK = RUN // 2  # every run of RUN characters holds a whole block of this length
MARK = "[content]"
DROPPED = "[left out: it repeats the credential]"
CONTENT_DROPPED = "[left out: it repeats the content]"
LEFT_OUT = "[left out: it repeats what was sent]"
PART = 8  # characters in a row of a credential that a text has in common with it only by repeating it
LONG_PART = 13  # the same where our own words stand as well, which a password may hold
SHORTEST = 4
GROWS = 18  # signs that NFKC makes of one at most; of one of Latin-1 it leaves two letters or digits (Unicode 16)
MIXED = 6  # letters and digits in a row that no word and no number of ours has
_WHITE = re.compile(r"\s+")
_PIECE = re.compile(r"[^\s/?&=()]+")  # of an address
_RECORD = re.compile(r"\b[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}\b")
# Letters of what the vendors' addresses have between names and ids.
ADDRESS = frozenset({
    "navtodo", "uri", "incidentdo", "sysid", "browse", "spaces", "display", "pages", "viewpageaction", "pageid", "workitems",
    "edit", "wiki",
})  # fmt: skip
_BARE = re.compile(r"[\W_]+")
_ENCODED = re.compile(r"[A-Za-z0-9+/_-]{28}")  # what may be base64, also backwards


class _Needles:
    """The letters and digits by which a text gives secrets away: of their parts, forwards and backwards, and of their codes."""

    def __init__(self, secrets: Iterable[str], part: int) -> None:
        found = {needle for secret in secrets if len(secret) >= SHORTEST for needle in _needles(secret, part)}
        self._part = part
        self._parts = {needle for needle in found if len(needle) == part}
        self._others = found - self._parts
        self.shortest = min(map(len, found), default=sys.maxsize)

    def stand_in(self, bare: str) -> bool:
        """Whether letters and digits hold any of them."""
        if len(bare) < self.shortest:  # as most of what a wrong guess decodes to
            return False
        windows = range(len(bare) - self._part + 1)
        if len(self._parts) > len(windows):
            found = not self._parts.isdisjoint(bare[at : at + self._part] for at in windows)
        else:
            found = any(map(bare.__contains__, self._parts))
        return found or any(map(bare.__contains__, self._others))


class _Hidden(NamedTuple):
    """What may not be seen: `whole`, the longest first; `packed`, without blanks, in lower case, forwards and backwards; in part."""

    whole: tuple[str, ...]
    packed: tuple[str, ...]
    needles: _Needles
    shortest: int  # of those in `packed`

    def gives_away(self, form: str) -> bool:
        """Whether a form of a text has any of it, or a part."""
        most = len(form) * (1 if form.isascii() else 2 if max(form) <= "\xff" else GROWS)
        if most >= self.needles.shortest and self.needles.stand_in(_core(form)):
            return True
        if most < self.shortest:
            return False
        packed = _WHITE.sub("", form).casefold()
        return any(map(packed.__contains__, self.packed))


def _hidden(texts: Iterable[str], needles: _Needles) -> _Hidden:
    whole = tuple(sorted(set(texts), key=len, reverse=True))
    packed = tuple(_WHITE.sub("", way).casefold() for text in whole for way in (text, text[::-1]))
    return _Hidden(whole, packed, needles, min(map(len, packed), default=sys.maxsize))


@dataclass(frozen=True)
class Credential:
    """What an answer could show of a credential: `secrets` none of which may be seen, not even in part, and `pairs` such as
    `account:password`, of which the account may.
    """

    secrets: tuple[str, ...] = field(default=(), repr=False)
    pairs: tuple[str, ...] = field(default=(), repr=False)

    @cached_property
    def hidden(self) -> _Hidden:
        """What gives it away in words that aren't ours."""
        texts = (text for text in (*self.secrets, *self.pairs) if len(text) >= SHORTEST)
        return _hidden(texts, _Needles(self.secrets, PART))

    @cached_property
    def words(self) -> re.Pattern[str] | None:
        """Any of the secrets as a word by itself, which a part of an address or of an id is not; None where there is none."""
        each = "|".join(re.escape(secret) for secret in self.secrets if secret)
        return re.compile(rf"(?<![\w/.-])(?:{each})(?![\w/-]|\.\w)") if each else None

    @cached_property
    def hidden_in_ours(self) -> _Hidden:
        """What gives it away in a sentence of ours."""
        secrets = [secret for secret in self.secrets if _is_telling(secret)]
        return _hidden((*secrets, *filter(_is_telling, self.pairs)), _Needles(secrets, LONG_PART))


def credential_of(authorization: Mapping[str, str], more: Iterable[str] = ()) -> Credential:
    """What an answer could show of the credential in these headers: as sent, and what HTTP Basic encodes; and `more`."""
    secrets, pairs = set(more), set[str]()
    for value in authorization.values():
        scheme, _, sent = value.rpartition(" ")
        pairs.add(value)
        secrets.add(sent)
        if scheme.lower() == "basic":
            with suppress(binascii.Error, UnicodeDecodeError):
                account = base64.b64decode(sent).decode()
                pairs |= {account, sent}
                secrets.discard(sent)  # begins with the account, which may be told
                secrets.add(account.partition(":")[2])
    return Credential(tuple(sorted(secrets)), tuple(sorted(pairs)))


def without_credential(said: str, credential: Credential, *, ours: bool = False) -> str:
    """`said` with the credential masked where it stands as it is; only a note where it stands there in any other form, or a
    part of it does: a longer one where the words are `ours`.
    """
    hidden = credential.hidden_in_ours if ours else credential.hidden
    for secret in hidden.whole:
        said = said.replace(secret, "[credential]")
    if hidden.whole and any(hidden.gives_away(form) for form in forms(said)):
        return DROPPED
    return said


def _is_telling(secret: str) -> bool:
    """Whether our own words hold a secret only where somebody repeats it: it is long, or has letters and digits mixed."""
    core = _core(secret)
    mixed = any(sign.isdigit() for sign in core) and any(sign.isalpha() for sign in core)
    return len(secret) >= PART or (len(core) >= MIXED and mixed)


def _needles(secret: str, part: int) -> Iterator[str]:
    core, raw = _core(secret), secret.encode("utf-8", "replace")
    if len(core) >= SHORTEST:
        for at in range(max(len(core) - part + 1, 1)):
            yield core[at : at + part]
            yield core[at : at + part][::-1]
        yield codecs.encode(core, "rot13")
    made = (base64.b32encode, base64.b32hexencode, base64.b64encode, base64.b85encode, base64.a85encode)
    codes = [raw.hex(), *(encode(raw).decode().rstrip("=") for encode in made)]
    for shift in range(3):
        code = base64.b64encode(b"\x00" * shift + raw).decode()
        codes.append(code[(0, 2, 3)[shift] : (len(raw) + shift) // 3 * 4])
    yield from (way for code in map(_core, codes) if len(code) >= PART - 2 for way in (code, code[::-1]))


def _core(text: str) -> str:
    """The letters and digits of a text, small: what is left of it however it was broken up."""
    plain = text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()
    return plain if plain.isascii() and plain.isalnum() else _BARE.sub("", plain)


class _Runs:
    """Texts by their runs of `RUN` characters, each of which holds a whole block."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts
        self.blocks = {text[place : place + _BLOCK] for text in texts for place in range(0, len(text), _BLOCK)}

    def masked_in(self, said: str) -> str:
        """`said` with a mark in place of what it has in common with the texts."""
        near = {
            start
            for place in range(len(said) - _BLOCK + 1)
            if said[place : place + _BLOCK] in self.blocks
            for start in range(max(place - _BLOCK, 0), place + 1)
        }
        ours = bytearray(len(said))
        for start in near:
            run = said[start : start + RUN]
            if len(run) == RUN and any(run in text for text in self.texts):
                ours[start : start + RUN] = b"\x01" * RUN
        return "".join(
            MARK if repeated and (place == 0 or not ours[place - 1]) else "" if repeated else said[place]
            for place, repeated in enumerate(ours)
        )


@dataclass(frozen=True)
class Content:
    """The texts that were sent. What it takes to find them in an answer is worked out once, where there is something to find."""

    texts: tuple[str, ...] = field(default=(), repr=False)

    @cached_property
    def lines(self) -> _Runs:
        """Each text as one line."""
        return _Runs([_WHITE.sub(" ", text) for text in self.texts if len(text) >= RUN])

    @cached_property
    def cores(self) -> _Runs:
        """The letters and digits of each text."""
        return _Runs([core for text in self.texts if len(core := _core(text)) >= RUN])


def without_echoes(said: str, content: Content) -> str:
    """`said`, a line, without its runs of `RUN` characters or more that stand in a text that was sent; only a note where
    such a run stands there in another form.
    """
    if not content.texts or len(" ".join(said.split())) < RUN:
        return said
    told = content.lines.masked_in(said)
    for form in forms(told, told[::-1]) if _ENCODED.search(told) else forms(told):
        line, core = _WHITE.sub(" ", form), _core(form)
        if line != told and content.lines.masked_in(line) != line:
            return CONTENT_DROPPED
        if any(content.cores.masked_in(way) != way for way in (core, core[::-1], codecs.encode(core, "rot13"))):
            return CONTENT_DROPPED
    return told


def beside(address: str, names: Iterable[str]) -> str:
    """What an address holds besides one of these names at its end, and what all addresses of objects have."""
    for name in names:
        if name and address.endswith(name):
            rest = address.removesuffix(name)
            return "" if all(_core(piece) in ADDRESS for piece in _PIECE.findall(rest)) else address
    return address


@dataclass(frozen=True)
class Sent:
    """What was sent and is told to nobody. `names` are: what the object is called, and what was known of it before."""

    credential: Credential = Credential()
    content: Content = Content()
    names: tuple[str, ...] = field(default=(), repr=False)

    def and_by(self, credential: Credential) -> Sent:
        """The same with one more credential."""
        secrets = {*self.credential.secrets, *credential.secrets}
        pairs = {*self.credential.pairs, *credential.pairs}
        for known in (self.credential, credential):  # what was worked out of either is kept
            if len(secrets) == len(known.secrets) and len(pairs) == len(known.pairs):
                return self if known is self.credential else replace(self, credential=known)
        return replace(self, credential=Credential(tuple(sorted(secrets)), tuple(sorted(pairs))))

    def tell(self, said: str) -> str:
        """`said`, words of ours that may hold some of an answer's, such as a name: without the words that repeat what was
        sent, or a note in place of all of it.
        """
        if not self.is_repeated(said):
            return said
        told = " ".join(LEFT_OUT if self.is_repeated(word) else word for word in said.split(" "))
        return LEFT_OUT if self.is_repeated(told) else told

    def is_clean(self, said: Sequence[str]) -> bool:
        """Whether none of these repeats any of it, looked at together; where it isn't True, `is_repeated` says which one does."""
        said = [text for text in said if text]
        if self.credential.words and any(map(self.credential.words.search, said)):
            return False
        hidden = self.credential.hidden_in_ours
        if any(secret in text for secret in hidden.whole for text in said):
            return False
        for number, form in enumerate(forms(*said, most=MOST_TOGETHER) if hidden.whole else (), 1):
            if number == MOST_TOGETHER or hidden.gives_away(form):
                return False
        return not any(map(self._repeats_content, said))

    def is_repeated(self, said: str) -> bool:
        """Whether `said` repeats any of it, in whatever form; a secret that is so short that words and ids hold it by chance,
        as a word.
        """
        if self.credential.words and self.credential.words.search(said):
            return True
        return without_credential(said, self.credential, ours=True) != said or self._repeats_content(said)

    def _repeats_content(self, said: str) -> bool:
        if len(said) < RUN:
            return False
        rest = self._beside_names(said)
        return without_echoes(rest, self.content) != rest

    def _beside_names(self, said: str) -> str:
        """What is left of `said` without the names, which stand in addresses in many ways; without what all addresses of
        objects have, and one id such as records have: 36 digits can't hold a text that is looked for.
        """
        long = [name for name in self.names if len(name) >= RUN]  # no shorter one can be taken for content
        for name in long:
            said = said.replace(name, " ")
        cores = {*map(_core, long), *ADDRESS} - {""}
        rest = _PIECE.sub(lambda piece: " " if _core(unquote_plus(piece[0])) in cores else piece[0], said)
        return _RECORD.sub(" ", rest, count=1)
