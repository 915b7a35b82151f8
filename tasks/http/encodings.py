"""What a text says once its escapes and encodings are undone. Pure.

Undone are: escapes of HTML, URLs, JSON and programs, percent signs once or twice, quoted-printable, base64 and base85 at any
offset, base32, hexadecimal, decimal and binary numbers, what is packed in them, tags, and UTF-8 that was read as a charset of one byte.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
import string
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from urllib.parse import unquote, unquote_plus

DEPTH = 4
MOST_FORMS, MOST_TOGETHER = 200, 600  # of one text, and of several that are looked at together
_ESCAPE = re.compile(r"\\+(?:u(?:\{([0-9a-fA-F]{1,6})\}|([0-9a-fA-F]{4}))|x([0-9a-fA-F]{2})|([0-7]{3})|(.))", re.DOTALL)
_OCTAL = re.compile(r"\\([0-7]{1,3})")
_SPACED_HEX = re.compile(r"(?:(?:0x|\\x|%|=)?[0-9a-fA-F]{2}[\s:,;-]{0,2}){4,}")
_NUMBERS = re.compile(r"(?:\d{2,3}\D{1,10}){3,}\d{2,3}")  # also as arguments of `chr` and its like
_NOT_OCTAL = re.compile(r"[89]")
_BITS = re.compile(r"(?:(?:0b)?[01]{6,8}[\s,:;_'\"-]{1,5}){5,}(?:0b)?[01]{6,8}|[01]{48,}")
_COLOUR = re.compile(r"\x1b?\[[0-9;]{0,8}m")  # of a terminal
_BASE32 = re.compile(r"[A-Z2-7]{8,}")
_BASE32_HEX = re.compile(r"[0-9A-V]{8,}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}")
_IN_BASE64 = re.compile(r"[\s\"',\\|>-]+")
_NOT_HEX = re.compile(r"0x|\\x|[^0-9a-fA-F]")
_QUOTED = re.compile(r"=([0-9A-Fa-f]{2})")
_TAG = re.compile(r"<[^<>]*>")
# Base85: signs as words and addresses don't have them, in one piece.
_SOLID = re.compile(r"[!-~]{15,600}")
_RARE = frozenset("!$()*<>@^`{|}~\\")
_OF_JSON = re.compile(r"\\*+[\"'][:,}\]]+|[{\[,:]++\\*+[\"']")
_WORD = re.compile(r"[a-z]{4,}")
_STRING = re.compile(r"\"((?:[^\"\\\s]|\\[\"\\/]){10,600}+)\"")
_OF_A_STRING = re.compile(r"\\([\"\\/])")
_ALNUM = string.digits + string.ascii_uppercase + string.ascii_lowercase
_EIGHTY_FIVE = (
    {sign: place for place, sign in enumerate(_ALNUM + "!#$%&()*+-;<=>?@^_`{|}~")},  # of Git and RFC 1924
    {chr(33 + place): place for place in range(85)},  # of Adobe
    {
        sign: place
        for place, sign in enumerate(
            string.digits + string.ascii_lowercase + string.ascii_uppercase + ".-:+=^!/*?&<>()[]{}@%$#"
        )
    },  # of ZeroMQ
)
_PACKED = (b"\x1f\x8b", b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_MOST_UNPACKED = 10_000  # bytes of each: a text of a few lines may hold dozens, and every form of them is looked at
# What has none of these is no encoding of anything: most of what a wrong guess decodes to.
_WORTH_UNDOING = re.compile(
    r"&[#A-Za-z]|<[^<>]*>|%(?:[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4})|\+|=[0-9A-Fa-f]{2}|=\r?\n|\\|[\s\x00]"
    r"|[!-~]{15}|(?:[0-9A-Fa-f]{2}[:,;-]{0,2}){4}|[A-Za-z0-9+/_-](?:[\"',:;\\|>-]*[A-Za-z0-9+/_-]){7}"
)
_SIGNS = frozenset("&%=\\+")
_BETWEEN = re.compile(r"[\s\x00]+")
_PLAIN = re.compile(r"[ -~]")
_BETWEEN_BITS = re.compile(r"[^01]")
_SHORTEST_85 = 10
_HIGH = re.compile(r"[\x80-\xff\u0152-\u2122]")  # what UTF-8 is where it is read as a charset of one byte


def forms(*said: str, most: int = MOST_FORMS) -> Iterator[str]:
    """The texts, and what they are when escapes and encodings are undone, one after the other; each form once."""
    seen, decoded, layer = set[str](), set[tuple[object, str]](), list(said)
    for _ in range(DEPTH):
        deeper: list[str] = []
        for form in layer:
            if form not in seen and len(seen) < most:
                seen.add(form)
                yield form
                deeper += [undone for undone in _undone(form, decoded) if undone not in seen]
        layer = deeper


def _undone(form: str, decoded: set[tuple[object, str]]) -> Iterator[str]:
    """What the form is when one thing in it is undone; a run that was `decoded` for another form isn't again."""
    if _HIGH.search(form):
        try:  # what both charsets have, both read alike
            read = form.encode("cp1252" if max(form) > "\xff" else "latin-1").decode("utf-8")
        except UnicodeError:
            pass
        else:
            yield read
    if not _WORTH_UNDOING.search(form):
        return
    if not _SIGNS.isdisjoint(form) and (together := _BETWEEN.sub("", form)) != form:
        yield together
    if "&" in form:
        yield html.unescape(form)
    if "<" in form:
        yield _TAG.sub("", form)
    if "%u" in form:
        yield form.replace("%u", "\\u")
    if _COLOUR.search(form):
        yield _COLOUR.sub("", form)
    if "%" in form or "+" in form:
        yield unquote(form)
        yield unquote_plus(form)
    if "=" in form:
        yield _QUOTED.sub(lambda m: chr(int(m[1], 16)), form.replace("=\r\n", "").replace("=\n", ""))
    if "\\" in form:
        yield _ESCAPE.sub(_unescaped, form)
        yield _OCTAL.sub(lambda m: chr(int(m[1], 8)), form)
    together = _IN_BASE64.sub("", form)
    runs: tuple[tuple[Callable[[str], Iterator[str]], Iterable[str]], ...] = (
        (_hex, _SPACED_HEX.findall(form)),
        (_numbers, _NUMBERS.findall(form)),
        (_bits, _BITS.findall(form)),
        (_base32, _BASE32.findall(form)),
        (_base32_hex, _BASE32_HEX.findall(form)),
        (_base85, _base85_runs(form)),
        (_base64, {*_BASE64.findall(form), *(_BASE64.findall(together) if together != form else ())}),
    )
    for decode, found in runs:
        for run in found:
            if (decode, run) not in decoded:
                decoded.add((decode, run))
                yield from decode(run)


def _hex(run: str) -> Iterator[str]:
    digits = _NOT_HEX.sub("", run)
    for start in (0, 1):
        yield _said(bytes.fromhex(digits[start:][: (len(digits) - start) // 2 * 2]))


def _numbers(run: str) -> Iterator[str]:
    numbers = re.findall(r"\d+", run)
    yield "".join(chr(number) for number in map(int, numbers) if 0 < number < 256)
    if not any(_NOT_OCTAL.search(number) for number in numbers):
        yield "".join(chr(number) for number in (int(octal, 8) for octal in numbers) if 0 < number < 256)


def _bits(run: str) -> Iterator[str]:
    apart = (
        re.findall(r"[01]{6,8}", run)
        if _BETWEEN_BITS.search(run)
        else [run[at : at + 8] for at in range(0, len(run), 8)]
    )
    yield _said(bytes(int(bits, 2) for bits in apart))


def _base32(run: str) -> Iterator[str]:
    yield _decoded(base64.b32decode, run, 8)


def _base32_hex(run: str) -> Iterator[str]:
    said = _decoded(base64.b32hexdecode, run, 8)
    if _is_likely(said):
        yield said


def _base85_runs(form: str) -> list[str]:
    """What has signs as few texts have them, and isn't mostly words, as an address with a query is; of JSON without blanks, its
    parts, and its strings as they are without their escapes: base85 has quotes and backslashes of its own.
    """
    parts = [part for run in _SOLID.findall(form) for part in _OF_JSON.split(run) if len(part) >= _SHORTEST_85]
    parts += [_OF_A_STRING.sub(r"\1", string) for string in _STRING.findall(form) if "'" in string or "\\" in string]
    return [part for part in parts if not _RARE.isdisjoint(part) and 3 * sum(map(len, _WORD.findall(part))) < len(part)]


def _base85(run: str) -> Iterator[str]:
    for places in _EIGHTY_FIVE:
        for part in "".join(sign if sign in places else " " for sign in run).split():
            if len(part) >= _SHORTEST_85:
                digits = [places[sign] for sign in part]
                yield from filter(_is_likely, (_said(_of_85(digits[start:])) for start in range(5)))


def _is_likely(said: str) -> bool:
    """Whether it is a text, and not what a wrong guess decodes to: mostly plain signs, or UTF-8."""
    if len(said) * 3 <= 4 * len(_PLAIN.findall(said)):
        return True
    try:
        return bool(said.encode("latin-1").decode())
    except UnicodeError:
        return False


def _of_85(digits: list[int]) -> bytes:
    """Four bytes of five digits each, and one fewer than the digits that are left."""
    left = len(digits) % 5
    padded, found = digits + [84] * (-len(digits) % 5), bytearray()
    for at in range(0, len(padded), 5):
        number = 0
        for digit in padded[at : at + 5]:
            number = 85 * number + digit
        found += (number & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(found[: len(found) - (5 - left) if left else None])


def _base64(run: str) -> Iterator[str]:
    run = run.replace("-", "+").replace("_", "/")
    for start in range(4):
        yield _decoded(binascii.a2b_base64, run[start:], 4)


def _decoded(decode: Callable[[str], bytes], run: str, group: int) -> str:
    """What the run says, without a rest that says nothing by itself; "" where it says nothing."""
    whole = len(run) // group * group
    for rest in (run[whole:].ljust(group, "=") if len(run) > whole + 1 else "", ""):  # one sign is no byte
        try:
            return _said(decode(run[:whole] + rest))
        except (binascii.Error, ValueError):
            continue
    return ""


def _said(raw: bytes) -> str:
    """Bytes as text, and what they are where they are packed."""
    if raw.startswith(_PACKED):
        with suppress(zlib.error):
            raw = zlib.decompressobj(wbits=47).decompress(raw, _MOST_UNPACKED)
    return raw.decode("latin-1").replace("\x00", "")


def _unescaped(found: re.Match[str]) -> str:
    code = found[1] or found[2] or found[3]
    if code or found[4]:
        number = int(code, 16) if code else int(found[4], 8)
        return chr(number) if number < 0x110000 else ""
    return {"n": "\n", "r": "\r", "t": "\t"}.get(found[5], found[5])
