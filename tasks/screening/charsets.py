"""Bytes as text, in whatever charset, and never as more than they are: what no charset makes sense of is none.

Bytes can be read in several ways, and whoever opens a file chooses his own. Where a second one makes sense as well, it is
told beside the first, so that nothing is hidden from screening by a mark at the beginning.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

from charset_normalizer import from_bytes

_SAMPLE = 64_000  # bytes that a charset is told from
_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_WIDE = ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
_MAINFRAME = "cp037"
_CONTROLS = bytes(byte for byte in (*range(32), 127) if byte not in b"\x07\x08\t\n\x0b\x0c\r\x1b")
_ASCII_RUNS = re.compile(rb"[\x20-\x7e]{10,}")
_WIDE_RUNS = re.compile(rb"(?:[\x20-\x7e]\x00){6,}")
_UTF_7 = re.compile(rb"\+[A-Za-z0-9/]{2,}-")
_RTF = re.compile(r"\\'([0-9a-f]{2})|\\(?:[a-z]+(?:-?\d+)? ?|[*~_-])|[{}\r\n]")


@dataclass(frozen=True)
class Decoded:
    """A text, its charset, and what other readings of the same bytes say."""

    text: str
    charset: str
    beside: tuple[str, ...] = ()


def decoded(content: bytes) -> Decoded | None:
    """The content as text; None for what is no text."""
    found = _marked(content) or _unmarked(content)
    if found is None:
        return None
    text, charset = found
    beside = [*_hidden(content, charset), *_other_readings(content, charset)]
    if text.startswith("{\\rtf"):
        beside.append(
            _RTF.sub(lambda part: bytes.fromhex(part[1]).decode("cp1252", "replace") if part[1] else "", text)
        )
    return Decoded(text, charset, tuple(filter(None, beside)))


def runs_in(content: bytes) -> str:
    """The words in something that is no text: rows of letters, in one byte each or in two."""
    wide = (run.decode("utf-16-le") for run in _WIDE_RUNS.findall(content))
    return "\n".join([*(run.decode("ascii") for run in _ASCII_RUNS.findall(content)), *wide])


def _marked(content: bytes) -> tuple[str, str] | None:
    """The text behind a byte order mark."""
    for mark, charset in _MARKS:
        if content.startswith(mark) and _is_text(text := content.decode(charset, "replace"), charset):
            return text, charset
    return None


def _unmarked(content: bytes) -> tuple[str, str] | None:
    if content.startswith(tuple(mark for mark, _ in _MARKS)):
        return None
    try:
        if _is_text(text := content.decode("utf-8"), "utf-8"):
            return text, "utf-8"
    except UnicodeDecodeError as error:
        text = content.decode("utf-8", "replace")
        cut_short = len(content) - error.start < 4
        if (cut_short or any(c > "\x7f" and c != "\ufffd" for c in text[:_SAMPLE])) and _is_text(text, "utf-8"):
            return text, "utf-8"
    if b"\x00" in content:
        return next(((text, wide) for wide in _WIDE if _is_text(text := content.decode(wide, "replace"), wide)), None)
    return _in_one_byte(content)


def _in_one_byte(content: bytes) -> tuple[str, str] | None:
    if _is_mainframes(text := content.decode(_MAINFRAME)):
        return text, _MAINFRAME
    if content.isascii() or _controls_in(content) * 100 > len(content):
        return None
    best = from_bytes(content[:_SAMPLE]).best()
    charset = best.encoding if best else "latin-1"
    text = content.decode(charset, "replace")
    return (text, charset) if _is_text(text, charset) else None


def _hidden(content: bytes, charset: str) -> list[str]:
    """Letters of one byte in a text of two, and of two bytes in a text of one."""
    if charset.startswith(("utf-16", "utf-32")):
        return ["\n".join(run.decode("ascii") for run in _ASCII_RUNS.findall(content))]
    return ["\n".join(run.decode("utf-16-le") for run in _WIDE_RUNS.findall(content))] if b"\x00" in content else []


def _other_readings(content: bytes, charset: str) -> list[str]:
    """What a program says that takes the file for UTF-7; plain letters where the charset reads them as others."""
    if content.isascii() and any(_says_letters(run[0]) for run in _UTF_7.finditer(content)):
        return [content.decode("utf-7", "replace")]
    if charset.startswith("utf") or b"password=1".decode(charset, "replace") == "password=1":
        return []
    return [content.decode("latin-1")]


def _says_letters(run: bytes) -> bool:
    """Whether a run of UTF-7 says letters or signs of ASCII; a word between a plus and a minus, as in a diff, says none."""
    try:
        return any("!" <= char <= "~" for char in run.decode("utf-7"))
    except UnicodeDecodeError:
        return False


def _is_text(text: str, charset: str) -> bool:
    """False where more than a few characters are none: controls, halves of pairs, code points that nobody has assigned.

    In a charset of two bytes also where most characters are two letters of ASCII each: that is what they were.
    """
    if charset == "utf-8" and text.isascii():
        return _controls_in(text.encode()) * 50 <= len(text)
    counts = Counter(text)
    if sum(count for char, count in counts.items() if _is_none(char)) * 50 > len(text):
        return False
    if not charset.startswith("utf-16"):
        return True
    return sum(count for char, count in counts.items() if _is_two_letters(char)) * 10 < len(text) * 6


def _controls_in(content: bytes) -> int:
    return len(content) - len(content.translate(None, _CONTROLS))


@lru_cache(maxsize=65_536)
def _is_none(char: str) -> bool:
    if char == "\ufffd":
        return True
    if ord(char) < 128:
        return ord(char) in _CONTROLS
    return unicodedata.category(char) in ("Cc", "Cs", "Co", "Cn")


def _is_two_letters(char: str) -> bool:
    first, last = divmod(ord(char), 256)
    return 0 < first < 127 and all(byte == 0 or 32 <= byte < 127 for byte in (first, last))


def _is_mainframes(text: str) -> bool:
    """Whether the text, read as EBCDIC, is nothing but plain letters and marks."""
    plain = sum(count for char, count in Counter(text).items() if char in "\t\n\r\x85" or " " <= char <= "~")
    return bool(text) and plain * 20 >= len(text) * 19
