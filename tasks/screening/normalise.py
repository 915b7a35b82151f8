"""Other readings of a text: what a secret looks like when it was escaped, encoded or broken up by markup.

Only the places are read again where something was undone, with what stands around them. A reading knows for every
character which characters of the source it stands for. Readings are read again, up to `DEPTH` deep: what was encoded
twice, or encoded and then escaped, is found as well.
"""

from __future__ import annotations

import binascii
import html
import re
import unicodedata
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

from tasks.screening.finding import ScreeningFailed
from tasks.screening.view import INVISIBLE, MANY, compiled, view

DEPTH = 3
AROUND = 200  # characters on each side of an undone place that are read again, and on to the next blank
_PLAIN_TEXT = bytes([9, 10, 13, *range(32, 127)])
_TEXT = _PLAIN_TEXT + bytes(range(0xA0, 0x100))
UNPACKED = 20  # times its size is read of what gzip packed, and times a text's size of all in it, however often packed
MOST_UNPACKED = 3_000_000  # bytes in one text; one that holds more is held, or it would take too long
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BREAKS = str.maketrans("", "", "\r\n\t")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_GZIP = b"\x1f\x8b"
_TAG = r"</?(?:abbr|a|bdi|bdo|big|b|cite|code|del|dfn|em|font|ins|i|kbd|mark|q|samp|small|span|strike|strong|sub|sup|s|tt|u|var|wbr)(?:\s[^<>]{0,300})?/?>"
_TAG_IN_VIEW = _TAG.replace("{0,300}", "*")
_BREAK = r"[\\=]\r?\n|<br\s?/?>\r?\n?"
_ENTITY = r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,31});"
_ESCAPE = r"\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}"
_MARK = r"\*{1,3}|__|`{1,2}|~~|==|\^|\+\+"
_PIECE = re.compile(
    rf"{_ENTITY}|{_BREAK}|<!--[^>]{{0,300}}-->|{_TAG}|{_ESCAPE}|\\[!-/:-@\[-`{{-~]|(?:%[0-9A-Fa-f]{{2}})+|{_MARK}"
    r"|\[(?=[^\[\]\n]{0,200}\]\([^()\s]{0,300}\))|\]\([^()\s]{0,300}\)"
    # What NFKC changes of Latin-1, and what is behind it without the large blocks of which it changes nothing.
    r"|[\xa0\xa8\xaa\xad\xaf\xb2-\xb5\xb8-\xba\xbc-\xbe\u0100-\u33ff\ua000-\uabff\ud7a4-\udfff\uf900-\U0001ffff\U0002f800-\U0002ffff\U000e0000-\U000e0fff]+",
    re.IGNORECASE,
)
# Where, in a view, something stands inside a word and not just around it.
_INSIDE = (
    rf"(?i)[\w/+-](?:{_MARK}|<!--[^>]*-->|{_TAG_IN_VIEW}|\\?\r?\n?\\\r?\n|<br ?/?>\r?\n?)+[\w/+-]|{_ENTITY}|%[0-9A-F][0-9A-F]|{_ESCAPE}"
    r"|\w\\[!-/:-@\[-`{-~]\w|\w\[[^\[\]\n]+\]\([^()\s]*\)|\]\([^()\s]*\)\w|[!-~]\x01+[!-~]|\x02"
    r"|(?m:^[^\n]{60,74}[\w/+-]=\r?\n[\w/+-])"  # a line that a mail program broke
)
_BLANK = re.compile(r"\s")
_BASE64 = r"[A-Za-z0-9+/_-]{16,}={0,2}"
_WRAPPED_BASE64 = r"(?:[A-Za-z0-9+/]{60,76}\r?\n[ \t]*)+[A-Za-z0-9+/]{1,76}={0,2}"
_HEX = r"\b(?:[0-9A-Fa-f]{2}){12,}\b"


@dataclass(slots=True)
class Reading:
    """A text, and where its pieces stand in the text that it was read from, and so on to the source."""

    text: str
    before: Reading | None = None
    _raw: bytes | None = None
    # Of each piece: its start here; start and end of what it stands for; whether character stands for character.
    starts: list[int] = field(default_factory=list)
    spans: list[tuple[int, int, bool]] = field(default_factory=list)

    @property
    def raw(self) -> bytes:
        """Its view, made once."""
        if self._raw is None:
            self._raw = view(self.text)
        return self._raw

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The place in the source of the characters from `start` to `end` of this reading."""
        if self.before is None:
            return start, end
        first, last = self._piece(start), self._piece(end - 1)
        begin, stop, plain = self.spans[first]
        a = begin + start - self.starts[first] if plain else begin
        begin, stop, plain = self.spans[last]
        b = begin + end - self.starts[last] if plain else stop
        return self.before.span(a, max(b, a + 1))

    def _piece(self, place: int) -> int:
        return max(bisect_right(self.starts, place) - 1, 0)


class _Writer:
    """Puts a reading of `before` together, piece by piece."""

    def __init__(self, before: Reading) -> None:
        self._reading, self._text, self._parts, self._length = Reading("", before), before.text, list[str](), 0

    def keep(self, start: int, end: int) -> None:
        """The characters of `before` as they are."""
        if end > start:
            self._add(self._text[start:end], (start, end, True))

    def replace(self, plain: str, start: int) -> None:
        """`plain` in the place of as many characters from `start` on, each for its own."""
        self._add(plain, (start, start + len(plain), True))

    def put(self, plain: str, start: int, end: int) -> None:
        """`plain` in the place of the characters from `start` to `end`: any part of it stands for all of them."""
        if plain:
            self._add(plain, (start, end, False))

    def _add(self, part: str, span: tuple[int, int, bool]) -> None:
        self._reading.starts.append(self._length)
        self._reading.spans.append(span)
        self._parts.append(part)
        self._length += len(part)

    def done(self) -> Reading:
        self._reading.text = "".join(self._parts)
        return self._reading


def readings(source: Reading) -> Iterator[Reading]:
    """What was broken up or escaped, put right, and what stands encoded in the text or in that. Raises `ScreeningFailed` where
    more is packed than is unpacked.
    """
    layer, known, left = [source], {source.text}, UNPACKED * len(source.text)
    for _ in range(DEPTH):
        deeper: list[Reading] = []
        for reading in layer:
            decoded, left = _decoded_runs(reading, left)
            if UNPACKED * len(source.text) - left > MOST_UNPACKED:
                raise ScreeningFailed(f"What the text holds packed is more than {MOST_UNPACKED // 1_000_000} MB.")
            for found in (_folded(reading), decoded):
                if found.text and found.text not in known:
                    known.add(found.text)
                    deeper.append(found)
        yield from deeper
        layer = deeper


def _folded(reading: Reading) -> Reading:
    """The places where something stands inside a word, with their surroundings: NFKC, entities, escapes and
    percent-encoding undone; emphasis marks, inline tags, links and invisible characters gone.
    """
    writer = _Writer(reading)
    text = reading.text
    for start, stop in _surroundings(text, reading.raw):
        position = start
        for found in _PIECE.finditer(text, start, stop):
            writer.keep(position, found.start())
            position = found.end()
            if found.group()[0] > "\x7f":
                _compose(writer, found.group(), found.start())
            else:
                writer.put(_plain(found.group()), found.start(), found.end())
        writer.keep(position, stop)
        writer.put("\n", max(stop - 1, start), stop)
    return writer.done()


def _surroundings(text: str, raw: bytes) -> Iterator[tuple[int, int]]:
    """The stretches of the text that are read again: each within lines, as far as a word goes."""
    begin = end = -1
    for found in compiled(_INSIDE).finditer(raw):
        if found.end() <= end - AROUND // 2:
            continue
        left = max(found.start() - AROUND, 0)
        left = max(text.rfind("\n", left, found.start()) + 1, left)
        while left > 0 and not text[left - 1].isspace():
            blank_at = text.rfind(" ", max(end, 0), left)
            left = max(text.rfind("\n", max(blank_at, end, 0), left), blank_at) + 1
            if left == 0 and end > 0:
                left = end  # one stretch with the last one
                break
        right = min(found.end() + AROUND, len(text))
        line = text.find("\n", found.end(), right)
        right = line if line >= 0 else right
        if right < len(text) and not text[right].isspace():
            blank = _BLANK.search(text, right)
            right = blank.start() if blank else len(text)
        if left <= end:
            end = max(end, right)
            continue
        if begin >= 0:
            yield begin, end
        begin, end = left, right
    if begin >= 0:
        yield begin, end


def _compose(writer: _Writer, run: str, start: int) -> None:
    """A run of characters beyond ASCII, in NFKC and without invisible ones."""
    if len(run) == 1:
        writer.put(_composed(run), start, start + 1)
        return
    plain = run.translate(_COMPOSED)
    if len(plain) == len(run) and not INVISIBLE.search(run):
        writer.replace(plain, start)
        return
    position = start
    for offset, char in enumerate(run, start):
        if (one := _composed(char)) != char:
            writer.keep(position, offset)
            writer.put(one, offset, offset + 1)
            position = offset + 1
    writer.keep(position, start + len(run))


class _Composed(dict[int, str]):
    """Every character in NFKC, and none for an invisible one; worked out when it is first met."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        same = "" if INVISIBLE.fullmatch(char) else unicodedata.normalize("NFKC", char)
        if len(self) < MANY:
            self[code] = same
        return same


_COMPOSED = _Composed()


def _composed(char: str) -> str:
    return _COMPOSED[ord(char)]


def _plain(piece: str) -> str:
    if piece[0] in "*`~_<[]=^+" or piece[-1] == "\n":
        return ""
    if piece[0] == "&":
        plain = html.unescape(piece)
        return "" if INVISIBLE.fullmatch(plain) else plain
    if piece[0] == "\\":
        plain = html.unescape(f"&#x{piece[2:]};") if len(piece) > 2 else piece[1:]
        return "" if INVISIBLE.fullmatch(plain) else plain
    return unquote(piece, errors="replace")


def _decoded_runs(reading: Reading, left: int) -> tuple[Reading, int]:
    """The readable text inside base64 and hexadecimal runs, one below the other; and how many bytes may still be unpacked, of
    the `left` ones.

    Part of an encoded secret gives it away as well, so each run stands as a whole for its text.
    """
    writer, raw, longest = _Writer(reading), reading.raw, 0
    for pattern, least, decode in (
        (_BASE64, 0, _base64),
        (_WRAPPED_BASE64, 60, _base64),
        (_HEX, 24, binascii.unhexlify),
    ):
        if longest < least:  # what these find is of the first one's characters
            continue
        for found in compiled(pattern).finditer(raw):
            start, end = found.span()
            longest = max(longest, end - start)
            said = decode(raw[start:end])
            if said.startswith(_GZIP) and left > 0:
                said = _unpacked(said, min(left, UNPACKED * len(said)))
                left -= len(said)
            if plain := _readable(said):
                writer.put(plain + "\n", start, end)
    return writer.done(), left


def _base64(run: bytes) -> bytes:
    packed = run.translate(_URL_SAFE, b"= \t\r\n")
    over = len(packed) % 4
    return b"" if over == 1 else binascii.a2b_base64(packed + b"=" * (-over % 4))


def _unpacked(raw: bytes, most: int) -> bytes:
    """What gzip packed, up to that many bytes; none where it can't be told."""
    try:
        return zlib.decompressobj(wbits=31).decompress(raw, most)
    except zlib.error:
        return b""


def _readable(raw: bytes) -> str:
    """The bytes as text, if they are some: UTF-8, or UTF-16 as Windows writes it."""
    wide = b"\x00" in raw
    if not wide and _CONTROL.search(raw):
        return ""
    try:
        text = raw.decode("utf-16-le" if wide else "utf-8")
    except ValueError:
        return raw.decode("latin-1") if not wide and _is_nearly_ascii(raw) else ""
    return text if text.translate(_BREAKS).isprintable() else ""


def _is_nearly_ascii(raw: bytes) -> bool:
    """Whether it is text in a charset of one byte: nine of ten letters are plain ones, and none is a control character."""
    return len(raw) >= 24 and not raw.translate(None, _TEXT) and len(raw.translate(None, _PLAIN_TEXT)) * 10 < len(raw)
