"""A remote side that repeats what it was sent: its words are kept, and our credential and content in them are not. Pure.

A credential is looked for in whatever a text can carry it in: as it is, escaped for HTML, URLs, JSON or programs,
percent-encoded once or twice, in base64 at any offset, in base32, in hexadecimal or decimal numbers, in capitals, reversed, with line breaks, blanks or signs put in between.
Where only a part of it is seen, all that was said is dropped.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote, unquote_plus

RUN = 20  # characters in a row that no answer has in common with a document by chance
_BLOCK = RUN // 2  # every run of RUN characters holds a whole block of this length
MARK = "[content]"
DROPPED = "[left out: it repeats the credential]"
CONTENT_DROPPED = "[left out: it repeats the content]"
PART = 8  # characters in a row of a credential that a text has in common with it only by repeating it
SHORTEST = 4
DEPTH = 4
MOST_FORMS = 200
_ESCAPE = re.compile(r"\\+(?:u(?:\{([0-9a-fA-F]{1,6})\}|([0-9a-fA-F]{4}))|x([0-9a-fA-F]{2})|([0-7]{3})|(.))", re.DOTALL)
_SPACED_HEX = re.compile(r"(?:(?:0x|\\x|%|=)?[0-9a-fA-F]{2}[\s:,;-]{0,2}){4,}")
_DECIMAL = re.compile(r"(?:\d{2,3}[\s,;]{1,3}){3,}\d{2,3}")
_BASE32 = re.compile(r"[A-Z2-7]{8,}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}")
_BETWEEN = re.compile(r"[\s\x00]+")
_WHITE = re.compile(r"\s+")
_PLAIN_ONLY = re.compile(r"[^0-9a-z]+")


@dataclass(frozen=True)
class Credential:
    """What an answer could show of a credential: `secrets` none of which may be seen, not even in part, and `pairs` such as
    `account:password`, of which the account may.
    """

    secrets: tuple[str, ...] = field(default=(), repr=False)
    pairs: tuple[str, ...] = field(default=(), repr=False)


def without_credential(said: str, credential: Credential) -> str:
    """`said` with the credential masked where it stands as it is; only a note where it stands there in any other form."""
    hidden = sorted({s for s in (*credential.secrets, *credential.pairs) if len(s) >= SHORTEST}, key=len, reverse=True)
    for secret in hidden:
        said = said.replace(secret, "[credential]")
    needles = {needle for secret in credential.secrets if len(secret) >= SHORTEST for needle in _needles(secret)}
    whole = [_WHITE.sub("", secret).casefold() for secret in hidden]
    for form in _forms(said):
        bare, packed = _core(form), _WHITE.sub("", form).casefold()
        if any(needle in bare for needle in needles) or any(secret in packed for secret in whole):
            return DROPPED
    return said


def _needles(secret: str) -> Iterator[str]:
    """The letters and digits by which a text gives the secret away: of its parts, forwards and backwards, and of its codes."""
    core, raw = _core(secret), secret.encode("utf-8", "replace")
    if len(core) >= SHORTEST:
        for at in range(max(len(core) - PART + 1, 1)):
            yield core[at : at + PART]
            yield core[at : at + PART][::-1]
        yield codecs.encode(core, "rot13")
    codes = [raw.hex(), base64.b32encode(raw).decode().rstrip("=")]
    for shift in range(3):
        code = base64.b64encode(b"\x00" * shift + raw).decode()
        codes.append(code[(0, 2, 3)[shift] : (len(raw) + shift) // 3 * 4])
    yield from (_core(code) for code in codes if len(_core(code)) >= PART - 2)


def _core(text: str) -> str:
    """The letters and digits of a text, small: what is left of it however it was broken up."""
    return _PLAIN_ONLY.sub("", unicodedata.normalize("NFKC", text).casefold())


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


def without_echoes(said: str, sent: Iterable[str]) -> str:
    """`said`, a line, without its runs of `RUN` characters or more that stand in a text that was sent; only a note where
    such a run stands there in another form.
    """
    texts = [re.sub(r"\s+", " ", text) for text in sent if len(text) >= RUN]
    blocks = {text[place : place + _BLOCK] for text in texts for place in range(0, len(text), _BLOCK)}
    told = _masked(said, texts, blocks)
    bare = [core for text in texts if len(core := _core(text)) >= RUN]
    parts = {core[place : place + _BLOCK] for core in bare for place in range(0, len(core), _BLOCK)}
    for form in _forms(told) if texts else ():
        line, core = re.sub(r"\s+", " ", form), _core(form)
        if line != told and _masked(line, texts, blocks) != line:
            return CONTENT_DROPPED
        if any(_masked(way, bare, parts) != way for way in (core, core[::-1])):
            return CONTENT_DROPPED
    return told


def _masked(said: str, texts: list[str], blocks: set[str]) -> str:
    near = {
        start
        for place in range(len(said) - _BLOCK + 1)
        if said[place : place + _BLOCK] in blocks
        for start in range(max(place - _BLOCK, 0), place + 1)
    }
    ours = bytearray(len(said))
    for start in near:
        run = said[start : start + RUN]
        if len(run) == RUN and any(run in text for text in texts):
            ours[start : start + RUN] = b"\x01" * RUN
    return "".join(
        MARK if repeated and (place == 0 or not ours[place - 1]) else "" if repeated else said[place]
        for place, repeated in enumerate(ours)
    )
