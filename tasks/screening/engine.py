"""Secrets of known providers, by the rules of betterleaks: in this process and offline.

The library can only scan: what its rules know of trying a secret at its provider is behind a command line that is
never run. Its Go runtime doesn't outlive a fork, so it is loaded at the first scan, by the process that scans.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from importlib import resources
from itertools import accumulate
from typing import Any

import betterleaks

from tasks.screening.finding import Finding
from tasks.screening.values import is_placeholder
from tasks.screening.view import ascii_only, compiled

PIECE, OVERLAP = 32_768, 2_048  # characters
# Of so many the engine takes a tenth of a second; a text that holds them is one long list.
MOST_OF_A_RULE = 1_000
SHORTEST_HEAD = 2  # characters that tokens of a kind have in common
MOST_REPEATED = 1_000  # of RE2
# These name an account or an address, not what opens it.
_NOT_SECRET = (
    "-id",
    "-id.1",
    "-url",
    "-url.1",
    "-host",
    "-host.1",
    "-name",
    "-name.1",
    "-domain.1",
    "-username.1",
    "-pub-key",
    "-address",
)
# But these do: addresses that are secrets, and the first halves of pairs, as with the keys of AWS.
_SECRET = frozenset({"slack-webhook-url", "sidekiq-sensitive-url", "alibaba-access-key-id", "sumologic-access-id"})
# A token in brackets or emphasis, or at the end of a sentence. The rules expect blanks or quotes around it.
_WORD = r"[A-Za-z0-9][A-Za-z0-9_+/=~.-]{18,}[A-Za-z0-9=]"
_MIXED = re.compile(rb"\d|[a-z][A-Z]")
_BETWEEN_MARKS = rf"[(\[{{<>|*_,]({_WORD})|({_WORD})(?:[)\]}}<>|*_,!?:;]|\.(?:\s|$))"


class Forked(Exception):
    """This process was forked from one that had scanned already: the engine would hang in it."""


@lru_cache(maxsize=1)
def _settings() -> str:
    return str(resources.files(__package__) / "secrets.toml")


@lru_cache(maxsize=1)
def _loaded_by() -> int:
    return os.getpid()


def by_providers(raw: bytes) -> Iterator[Finding]:
    """Findings of betterleaks in a view of a text; raises `Forked` in a process in which it can't work."""
    if _loaded_by() != os.getpid():
        raise Forked
    plain = ascii_only(raw)
    found = list(_in_pieces(plain))
    yield from found
    yield from _between_marks(without(plain, found))


def without(raw: bytes, found: Iterable[Finding]) -> bytes:
    """The same with stars in the place of what was found: the engine would only find it once more."""
    masked = bytearray(raw)
    for finding in found:
        masked[finding.start : finding.end] = b"*" * (finding.end - finding.start)
    return bytes(masked)


def _in_pieces(plain: bytes) -> Iterator[Finding]:
    """What each piece holds. Once a rule found `MOST_OF_A_RULE`, what begins like all of those and is as long is one more."""
    values: dict[str, list[str]] = {}
    likes: dict[str, str] = {}
    for start, end in _pieces(plain):
        piece = plain[start:end]
        for like in likes.values():
            alike = [Finding("ApiKey", *match.span(1)) for match in compiled(like).finditer(piece)]
            piece = without(piece, alike)
            yield from (replace(one, start=start + one.start, end=start + one.end) for one in alike)
        for rule, finding in _in_piece(piece, start):
            yield finding
            values.setdefault(rule, []).append(plain[finding.start : finding.end].decode("ascii"))
        for rule, seen in values.items():
            if rule not in likes and len(seen) >= MOST_OF_A_RULE and len(head := _beginning(seen)) >= SHORTEST_HEAD:
                rest = min(min(map(len, seen)) - len(head), MOST_REPEATED)
                likes[rule] = rf"(?:^|[^A-Za-z0-9])({re.escape(head)}[A-Za-z0-9_+/=.-]{{{rest},}})"


def _beginning(values: list[str]) -> str:
    """What all of them begin with."""
    first, last = min(values), max(values)
    return first[
        : next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))
    ]


def _between_marks(plain: bytes) -> Iterator[Finding]:
    """The same for words with marks around them, each on a line of its own."""
    words = [
        found.span(1) if found.start(1) >= 0 else found.span(2)
        for found in compiled(_BETWEEN_MARKS).finditer(plain)
        if _MIXED.search(found.group())
    ]
    if not words:
        return
    lines = [plain[start:end] for start, end in words]
    begins = list(accumulate((len(line) + 1 for line in lines), initial=0))
    for finding in _in_pieces(b"\n".join(lines)):
        line = bisect_right(begins, finding.start) - 1
        first = words[line][0] + finding.start - begins[line]
        yield replace(finding, start=first, end=first + finding.end - finding.start)


def _pieces(plain: bytes) -> Iterator[tuple[int, int]]:
    """The text in one piece; a long one in several that overlap: rules that look for pairs cost more than linearly."""
    start = 0
    while len(plain) - start > PIECE:
        line = plain.rfind(b"\n", start + PIECE // 2, start + PIECE)
        end = line if line >= 0 else start + PIECE
        yield start, end
        start = end - OVERLAP
    yield start, len(plain)


def _in_piece(plain: bytes, offset: int) -> Iterator[tuple[str, Finding]]:
    """What it holds, each with the rule that found it."""
    found = betterleaks.scan_string(plain.decode("ascii"), _settings())
    if not found:
        return
    lines = _line_starts(plain)
    for one in found:
        if one.confidence == "low" or (one.rule_id.endswith(_NOT_SECRET) and one.rule_id not in _SECRET):
            continue
        value = one.match.value or one.match.full
        if is_placeholder(value):
            continue
        start = _place(plain, lines, one, value.encode())
        if start >= 0:
            kind = (
                "PrivateKey" if "private-key" in one.rule_id else "JWT" if one.rule_id.startswith("jwt") else "ApiKey"
            )
            yield one.rule_id, Finding(kind, offset + start, offset + start + len(value))


def _line_starts(plain: bytes) -> list[int]:
    starts, at = [0], plain.find(b"\n")
    while at >= 0:
        starts.append(at + 1)
        at = plain.find(b"\n", at + 1)
    return starts


def _place(plain: bytes, lines: list[int], found: Any, value: bytes) -> int:
    """Where the value stands, by the line and column that the engine tells of the match around it."""
    line = lines[min(max(found.location.start_line - 1, 0), len(lines) - 1)]
    match = plain.find(found.match.full.encode(), max(line + found.location.start_column - 2, 0))
    if match < 0:
        match = line
    return plain.find(value, match)
