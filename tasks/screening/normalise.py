"""Other readings of a text: what a secret looks like when it was escaped, encoded or broken up by markup.

Each reading knows for every character of it which characters of the source it stands for. Readings are read again,
up to `DEPTH` deep: what was encoded twice, or encoded and then escaped, is found as well.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
import unicodedata
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

DEPTH = 3
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_INLINE_TAG = r"</?(?:a|abbr|b|bdi|code|em|font|i|kbd|mark|s|small|span|strong|sub|sup|tt|u|wbr)(?:\s[^<>]{0,300})?/?>"
_PIECE = re.compile(
    r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,31});"
    r"|\\\r?\n|<br\s?/?>\r?\n?|<!--[^>]{0,300}-->|" + _INLINE_TAG + r"|\\[!-/:-@\[-`{-~]"
    r"|(?:%[0-9A-Fa-f]{2})+|\*{1,3}|__|`{1,2}|~~"
    r"|\[(?=[^\[\]\n]{0,200}\]\([^()\s]{0,300}\))|\]\([^()\s]{0,300}\)"
    r"|[^\x00-\x7f]+",
    re.IGNORECASE,
)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_WRAPPED_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{60,76}\r?\n[ \t]*)+[A-Za-z0-9+/]{1,76}={0,2}")
_HEX = re.compile(r"\b(?:[0-9A-Fa-f]{2}){12,}\b")


@dataclass
class Reading:
    """A text, and for each character of it the span in the source that it stands for."""

    text: str = ""
    starts: array[int] = field(default_factory=lambda: array("L"))
    ends: array[int] = field(default_factory=lambda: array("L"))

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The place in the source of the characters from `start` to `end` of this reading."""
        return self.starts[start], self.ends[end - 1]


@dataclass
class _Writer:
    """Puts a reading of `before` together, piece by piece."""

    before: Reading
    parts: list[str] = field(default_factory=list)
    starts: array[int] = field(default_factory=lambda: array("L"))
    ends: array[int] = field(default_factory=lambda: array("L"))

    def keep(self, start: int, end: int) -> None:
        """The characters of `before` as they are."""
        self.parts.append(self.before.text[start:end])
        self.starts.extend(self.before.starts[start:end])
        self.ends.extend(self.before.ends[start:end])

    def put(self, plain: str, start: int, end: int) -> None:
        """`plain` in the place of the characters from `start` to `end`: any part of it stands for all of them."""
        first, last = self.before.span(start, end)
        self.parts.append(plain)
        self.starts.extend([first] * len(plain))
        self.ends.extend([last] * len(plain))

    def done(self) -> Reading:
        return Reading("".join(self.parts), self.starts, self.ends)


def as_written(text: str) -> Reading:
    """The text itself."""
    return Reading(text, array("L", range(len(text))), array("L", range(1, len(text) + 1)))


def readings(text: str) -> Iterator[Reading]:
    """The normalised copy where it differs, and what stands encoded in the text or in the copy."""
    layer, known = [as_written(text)], {text}
    for _ in range(DEPTH):
        deeper: list[Reading] = []
        for reading in layer:
            folded = _folded(reading)
            for found in (folded, _decoded_runs(reading), _decoded_runs(folded)):
                if found.text and found.text not in known:
                    known.add(found.text)
                    deeper.append(found)
        yield from deeper
        layer = deeper


def _folded(reading: Reading) -> Reading:
    """NFKC, entities, escapes, percent-encoding undone; emphasis marks, inline tags, links and invisible characters gone."""
    writer, position = _Writer(reading), 0
    for found in _PIECE.finditer(reading.text):
        writer.keep(position, found.start())
        position = found.end()
        if found.group()[0] > "\x7f":
            _compose(writer, found.group(), found.start())
        else:
            writer.put(_plain(found.group()), found.start(), found.end())
    writer.keep(position, len(reading.text))
    return writer.done()


def _compose(writer: _Writer, run: str, start: int) -> None:
    """A run of characters beyond ASCII, in NFKC and without invisible ones."""
    if unicodedata.is_normalized("NFKC", run) and not _INVISIBLE.search(run):
        writer.keep(start, start + len(run))
        return
    for offset, char in enumerate(run, start):
        plain = "" if _INVISIBLE.fullmatch(char) else unicodedata.normalize("NFKC", char)
        writer.put(plain, offset, offset + 1)


def _plain(piece: str) -> str:
    if piece[0] in "*`~_<[]" or piece[-1] == "\n":
        return ""
    if piece[0] == "&":
        plain = html.unescape(piece)
        return "" if _INVISIBLE.fullmatch(plain) else plain
    if piece[0] == "\\":
        return piece[1:]
    return unquote(piece, errors="replace")


def _decoded_runs(reading: Reading) -> Reading:
    """The readable text inside base64 and hexadecimal runs, one below the other.

    Part of an encoded secret gives it away as well, so each run stands as a whole for its text.
    """
    writer = _Writer(reading)
    for pattern, decode in ((_BASE64, _base64), (_WRAPPED_BASE64, _base64), (_HEX, _hex)):
        for found in pattern.finditer(reading.text):
            if plain := _readable(decode(found.group())):
                writer.put(plain + "\n", found.start(), found.end())
    return writer.done()


def _base64(run: str) -> bytes:
    packed = "".join(run.split()).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _hex(run: str) -> bytes:
    return bytes.fromhex(run)


def _readable(raw: bytes) -> str:
    """The bytes as text, if they are some: UTF-8, or UTF-16 as Windows writes it."""
    for encoding in ("utf-8", "utf-16-le"):
        try:
            text = raw.decode(encoding)
        except ValueError:
            continue
        if text and all(char.isprintable() or char in "\r\n\t" for char in text):
            return text
        if encoding == "utf-8" and b"\x00" not in raw:
            return ""
    return ""
