"""A remote side that repeats what it was sent: its words are kept, and our credential and content in them are not. Pure.

A credential is looked for in whatever a text can carry it in: as it is, escaped for HTML, URLs, JSON or programs,
percent-encoded once or twice, in base64 at any offset, in base32, in hexadecimal or decimal numbers, in capitals, reversed, with line breaks, blanks or signs put in between.
Where only a part of it is seen, all that was said is dropped. `Sent` says the same of what we make of an answer: a sentence, an id.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from urllib.parse import unquote, unquote_plus

RUN = 20  # characters in a row that no answer has in common with a document by chance
_BLOCK = RUN // 2  # every run of RUN characters holds a whole block of this length
MARK = "[content]"
DROPPED = "[left out: it repeats the credential]"
CONTENT_DROPPED = "[left out: it repeats the content]"
LEFT_OUT = "[left out: it repeats what was sent]"
PART = 8  # characters in a row of a credential that a text has in common with it only by repeating it
LONG_PART = 13  # the same where our own words stand as well, which a password may hold
SHORTEST = 4
MIXED = 6  # letters and digits in a row that no word and no number of ours has
DEPTH = 4
MOST_FORMS = 200
_ESCAPE = re.compile(r"\\+(?:u(?:\{([0-9a-fA-F]{1,6})\}|([0-9a-fA-F]{4}))|x([0-9a-fA-F]{2})|([0-7]{3})|(.))", re.DOTALL)
_SPACED_HEX = re.compile(r"(?:(?:0x|\\x|%|=)?[0-9a-fA-F]{2}[\s:,;-]{0,2}){4,}")
_DECIMAL = re.compile(r"(?:\d{2,3}[\s,;]{1,3}){3,}\d{2,3}")
_BASE32 = re.compile(r"[A-Z2-7]{8,}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}")
_BETWEEN = re.compile(r"[\s\x00]+")
_WHITE = re.compile(r"\s+")
_PIECE = re.compile(r"[^\s/?&=()]+")  # of an address
_RECORD = re.compile(r"\b[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}\b")
# Letters of what the vendors' addresses have between names and ids.
ADDRESS = frozenset({
    "navtodo", "uri", "incidentdo", "sysid", "browse", "spaces", "display", "pages", "viewpageaction", "pageid", "workitems",
    "edit", "wiki",
})  # fmt: skip
_BARE = re.compile(r"[\W_]+")
_HIGH = re.compile(r"[\x80-\xff\u0152-\u2122]")  # what UTF-8 is where it is read as a charset of one byte


class _Needles:
    """The letters and digits by which a text gives secrets away: of their parts, forwards and backwards, and of their codes."""

    def __init__(self, secrets: Iterable[str], part: int) -> None:
        found = {needle for secret in secrets if len(secret) >= SHORTEST for needle in _needles(secret, part)}
        self._part = part
        self._parts = {needle for needle in found if len(needle) == part}
        self._others = found - self._parts

    def stand_in(self, bare: str) -> bool:
        """Whether letters and digits hold any of them."""
        parts = (bare[at : at + self._part] for at in range(len(bare) - self._part + 1))
        return not self._parts.isdisjoint(parts) or any(needle in bare for needle in self._others)


@dataclass(frozen=True)
class Credential:
    """What an answer could show of a credential: `secrets` none of which may be seen, not even in part, and `pairs` such as
    `account:password`, of which the account may.
    """

    secrets: tuple[str, ...] = field(default=(), repr=False)
    pairs: tuple[str, ...] = field(default=(), repr=False)

    @cached_property
    def parts(self) -> _Needles:
        """What gives it away in words that aren't ours."""
        return _Needles(self.secrets, PART)

    @cached_property
    def words(self) -> re.Pattern[str] | None:
        """Any of the secrets as a word by itself, which a part of an address or of an id is not; None where there is none."""
        each = "|".join(re.escape(secret) for secret in self.secrets if secret)
        return re.compile(rf"(?<![\w/.-])(?:{each})(?![\w/-]|\.\w)") if each else None

    @cached_property
    def long_parts(self) -> _Needles:
        """What gives it away in a sentence of ours."""
        return _Needles((secret for secret in self.secrets if _is_telling(secret)), LONG_PART)


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
    held = {s for s in (*credential.secrets, *credential.pairs) if (_is_telling(s) if ours else len(s) >= SHORTEST)}
    hidden = sorted(held, key=len, reverse=True)
    for secret in hidden:
        said = said.replace(secret, "[credential]")
    needles = credential.long_parts if ours else credential.parts
    whole = [_WHITE.sub("", way).casefold() for secret in hidden for way in (secret, secret[::-1])]
    for form in _forms(said) if hidden else ():
        packed = _WHITE.sub("", form).casefold()
        if needles.stand_in(_core(form)) or any(secret in packed for secret in whole):
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
    codes = [raw.hex(), base64.b32encode(raw).decode().rstrip("="), base64.b64encode(raw).decode().rstrip("=")]
    for shift in range(3):
        code = base64.b64encode(b"\x00" * shift + raw).decode()
        codes.append(code[(0, 2, 3)[shift] : (len(raw) + shift) // 3 * 4])
    yield from (_core(code) for code in codes if len(_core(code)) >= PART - 2)


def _core(text: str) -> str:
    """The letters and digits of a text, small: what is left of it however it was broken up."""
    return _BARE.sub("", unicodedata.normalize("NFKC", text).casefold())


def _forms(said: str) -> Iterator[str]:
    """The text, and what it is when escapes and encodings are undone, one after the other."""
    seen, layer = set[str](), [said]
    for _ in range(DEPTH):
        deeper: list[str] = []
        for form in layer:
            if form not in seen and len(seen) < MOST_FORMS:
                seen.add(form)
                yield form
                deeper += [undone for undone in _undone(form) if undone not in seen]
        layer = deeper


def _undone(form: str) -> Iterator[str]:
    if any(sign in form for sign in "&%=\\+") and (together := _BETWEEN.sub("", form)) != form:
        yield together
    if "&" in form:
        yield html.unescape(form)
    if _HIGH.search(form):
        for charset in ("latin-1", "cp1252"):
            with suppress(UnicodeError):
                yield form.encode(charset).decode("utf-8")
    if "<" in form:
        yield re.sub(r"<[^<>]*>", "", form)
    if "%" in form or "+" in form:
        yield unquote(form)
        yield unquote_plus(form)
    if "=" in form:
        yield re.sub(r"=([0-9A-Fa-f]{2})", lambda m: chr(int(m[1], 16)), form.replace("=\r\n", "").replace("=\n", ""))
    if "\\" in form:
        yield _ESCAPE.sub(_unescaped, form)
    for run in _SPACED_HEX.findall(form):
        digits = re.sub(r"0x|\\x|[^0-9a-fA-F]", "", run)
        for start in (0, 1):
            yield bytes.fromhex(digits[start:][: (len(digits) - start) // 2 * 2]).decode("latin-1").replace("\x00", "")
    for run in _DECIMAL.findall(form):
        yield "".join(chr(number) for number in map(int, re.findall(r"\d+", run)) if 0 < number < 256)
    for run in _BASE32.findall(form):
        yield _decoded(base64.b32decode, run, 8)
    for run in {*_BASE64.findall(form), *_BASE64.findall(re.sub(r"[\s\"',\\|>-]+", "", form))}:
        for start in range(4):
            yield _decoded(base64.b64decode, run.replace("-", "+").replace("_", "/")[start:], 4)


def _decoded(decode: Callable[[str], bytes], run: str, group: int) -> str:
    """What the run says, without a rest that says nothing by itself; "" where it says nothing."""
    whole = len(run) // group * group
    for rest in (run[whole:].ljust(group, "=") if len(run) > whole else "", ""):
        try:
            return decode(run[:whole] + rest).decode("latin-1").replace("\x00", "")
        except (binascii.Error, ValueError):
            continue
    return ""


def _unescaped(found: re.Match[str]) -> str:
    code = found[1] or found[2] or found[3]
    if code or found[4]:
        number = int(code, 16) if code else int(found[4], 8)
        return chr(number) if number < 0x110000 else ""
    return {"n": "\n", "r": "\r", "t": "\t"}.get(found[5], found[5])


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
    for form in _forms(told):
        line, core = _WHITE.sub(" ", form), _core(form)
        if line != told and content.lines.masked_in(line) != line:
            return CONTENT_DROPPED
        if any(content.cores.masked_in(way) != way for way in (core, core[::-1], codecs.encode(core, "rot13"))):
            return CONTENT_DROPPED
    return told


@dataclass(frozen=True)
class Sent:
    """What was sent and is told to nobody. `names` are: what the object is called, and what was known of it before."""

    credential: Credential = Credential()
    content: Content = Content()
    names: tuple[str, ...] = field(default=(), repr=False)

    def and_by(self, credential: Credential) -> Sent:
        """The same with one more credential."""
        if {*credential.secrets} <= {*self.credential.secrets} and {*credential.pairs} <= {*self.credential.pairs}:
            return self
        secrets = {*self.credential.secrets, *credential.secrets}
        pairs = {*self.credential.pairs, *credential.pairs}
        return replace(self, credential=Credential(tuple(sorted(secrets)), tuple(sorted(pairs))))

    def tell(self, said: str) -> str:
        """`said`, words of ours that may hold some of an answer's, such as a name: without the words that repeat what was
        sent, or a note in place of all of it.
        """
        if not self.is_repeated(said):
            return said
        told = " ".join(LEFT_OUT if self.is_repeated(word) else word for word in said.split(" "))
        return LEFT_OUT if self.is_repeated(told) else told

    def is_repeated(self, said: str) -> bool:
        """Whether `said` repeats any of it, in whatever form; a secret that is so short that words and ids hold it by chance,
        as a word.
        """
        if self.credential.words and self.credential.words.search(said):
            return True
        if without_credential(said, self.credential, ours=True) != said:
            return True
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
