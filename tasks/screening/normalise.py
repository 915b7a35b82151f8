"""Other readings of a text: what a secret looks like when it was escaped, encoded or broken up by markup.

Each reading comes with a map back: the offset in the source of every character in it.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote

_DROPPED = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_PIECE = re.compile(
    r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,31});|\\[!-/:-@\[-`{-~]|(?:%[0-9A-Fa-f]{2})+|\*\*|__|``?|~~|[^\x00-\x7f]"
)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,4096}={0,2}")

Reading = tuple[str, list[int]]


def readings(text: str) -> Iterator[Reading]:
    """The normalised copy, where it differs, and the text inside base64 runs."""
    folded = _folded(text)
    if folded[0] != text:
        yield folded
    for found in _BASE64.finditer(text):
        decoded = _decoded(found.group())
        if decoded:
            # A finding inside is the whole run: part of an encoded secret gives it away as well.
            yield decoded, [found.start()] * len(decoded) + [found.end()]


def _folded(text: str) -> Reading:
    """NFKC, entities, escapes, percent-encoding undone; emphasis marks and invisible characters gone."""
    parts: list[str] = []
    places: list[int] = []
    position = 0
    for found in _PIECE.finditer(text):
        parts.append(text[position : found.start()])
        places.extend(range(position, found.start()))
        piece = _plain(found.group())
        parts.append(piece)
        places.extend([found.start()] * len(piece))
        position = found.end()
    parts.append(text[position:])
    places.extend(range(position, len(text) + 1))
    return "".join(parts), places


def _plain(piece: str) -> str:
    if piece in ("**", "__", "`", "``", "~~") or _DROPPED.fullmatch(piece):
        return ""
    if piece[0] == "&":
        plain = html.unescape(piece)
        return "" if _DROPPED.fullmatch(plain) else plain
    if piece[0] == "\\":
        return piece[1:]
    if piece[0] == "%":
        return unquote(piece, errors="replace")
    return unicodedata.normalize("NFKC", piece)


def _decoded(run: str) -> str:
    padded = run.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        raw = base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True)
        text = raw.decode("utf-8")
    except (binascii.Error, ValueError):
        return ""
    return text if text.isprintable() or "\n" in text else ""
