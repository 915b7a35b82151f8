"""Readers' inline comments, carried over to a new body: each marker is put round the same text where it still stands.

A comment hangs on `ac:inline-comment-marker` elements with its reference. What a marker held is looked for in the new
text; of several places the one with the most alike surroundings is taken, then the one of the same rank. Markers go
round runs of text only, never across a tag, so the body stays well-formed whatever is in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import islice, pairwise

from tasks.markup.confluence.stored import BLOCKS, HIDDEN, MARKER, Piece, joined, pieces, without_markers

CONTEXT = 64
TELLING_LENGTH = 12
TELLING_CONTEXT = 6
MOST_PLACES = 2000
LONGEST_FOLDED = 4000  # characters of a marker that are looked for with other spaces between them


@dataclass(frozen=True)
class Carried:
    """The new body with the markers in it, and how many comments no longer have their text."""

    body: str
    kept: int
    lost: int


@dataclass(frozen=True)
class Marker:
    """One marker of the old body: its reference, and where its text began and ended in the old text."""

    ref: str
    start: int
    end: int


@dataclass(frozen=True)
class Readable:
    """A body's text as a reader sees it, blocks divided by line feeds, and where each run of it came from.

    `runs` are (place of the piece, start in the text); only runs that may hold a marker are in it. `without_words` are
    the references of comments on a picture, which no text tells where to put again.
    """

    parts: Sequence[Piece]
    text: str
    runs: Sequence[tuple[int, int]]
    markers: Sequence[Marker]
    without_words: frozenset[str] = frozenset()


def carry_over(old: str, new: str) -> Carried:
    """The new body with the old one's inline comments."""
    if MARKER not in old:
        return Carried(new, 0, 0)
    before, after = _readable(pieces(old)), _readable(pieces(without_markers(new)))
    found: list[Marker] = []
    for marker in before.markers:
        place = _place(before.text, marker, after.text)
        if place is not None:
            found.append(Marker(marker.ref, *place))
    refs = {marker.ref for marker in before.markers} | before.without_words
    kept = {marker.ref for marker in found}
    return Carried(_marked(after, found), len(kept), len(refs - kept))


def _readable(parts: Sequence[Piece]) -> Readable:
    text: list[str] = []
    runs: list[tuple[int, int]] = []
    markers: list[Marker] = []
    opened: list[tuple[str, int]] = []
    hidden = length = 0
    for place, part in enumerate(parts):
        if part.kind == "text" and not hidden:
            runs.append((place, length))
            text.append(part.text)
            length += len(part.text)
        elif part.name == MARKER:
            if part.kind == "open":
                opened.append((part.attributes.get("ac:ref", ""), length))
            elif part.kind == "close" and opened:
                ref, start = opened.pop()
                markers.append(Marker(ref, start, length))
        elif part.name in HIDDEN:
            hidden = max(hidden + {"open": 1, "close": -1}.get(part.kind, 0), 0)
        elif part.name in BLOCKS and text and not text[-1].endswith("\n"):
            text.append("\n")
            length += 1
    without_words = frozenset(m.ref for m in markers if m.ref and m.end == m.start)
    return Readable(parts, "".join(text), runs, [m for m in markers if m.ref and m.end > m.start], without_words)


def _place(old: str, marker: Marker, new: str) -> tuple[int, int] | None:
    """Where in the new text the marker's text begins and ends; None where it stands nowhere, or only by chance."""
    wanted = old[marker.start : marker.end]
    if not wanted.strip():
        return None
    places = _places(new, wanted)
    if not places:
        return None
    scores = [_alike(old, marker, new, *place) for place in places]
    best = max(scores)
    surroundings = _room(old, marker)
    by_chance = len(wanted.strip()) < TELLING_LENGTH and best < min(TELLING_CONTEXT, surroundings)
    if by_chance:
        return None
    equal = [place for place, score in zip(places, scores, strict=True) if score == best]
    if len(equal) == 1:
        return equal[0]
    rivals = [place for place in _places(old, wanted) if _alike(old, marker, old, *place) >= best]
    own = marker.start, marker.end
    rank = rivals.index(own) if own in rivals else 0
    if len(rivals) == len(equal):
        return equal[rank]
    share = marker.start / max(len(old), 1)
    return min(equal, key=lambda place: abs(place[0] / max(len(new), 1) - share))


def _places(text: str, wanted: str) -> list[tuple[int, int]]:
    """Where the words stand; with other spaces between them, where they stand nowhere as they are."""
    found: list[tuple[int, int]] = []
    place = text.find(wanted)
    while place >= 0 and len(found) < MOST_PLACES:
        found.append((place, place + len(wanted)))
        place = text.find(wanted, place + 1)
    if not found and len(wanted) <= LONGEST_FOLDED:
        spaced = re.finditer(r"[ \t\u00a0\n]+".join(map(re.escape, wanted.split())), text)
        found = [match.span() for match in islice(spaced, MOST_PLACES)]
    return found


def _alike(old: str, marker: Marker, new: str, place: int, end: int) -> int:
    """How many characters before and behind are the same, up to `CONTEXT` on each side."""
    left = 0
    while (
        left < CONTEXT
        and marker.start - left > 0
        and place - left > 0
        and old[marker.start - left - 1] == new[place - left - 1]
    ):
        left += 1
    right = 0
    while (
        right < CONTEXT
        and marker.end + right < len(old)
        and end + right < len(new)
        and old[marker.end + right] == new[end + right]
    ):
        right += 1
    return left + right


def _room(old: str, marker: Marker) -> int:
    return min(marker.start, CONTEXT) + min(len(old) - marker.end, CONTEXT)


def _marked(body: Readable, markers: Sequence[Marker]) -> str:
    """The body with each marker's text wrapped, run by run."""
    parts = list(body.parts)
    for place, start in body.runs:
        text = parts[place].text
        over = [m for m in markers if m.start < start + len(text) and m.end > start]
        if over:
            parts[place] = Piece("text", _wrapped(text, start, over), text=text)
    return joined(parts)


def _wrapped(text: str, start: int, markers: Sequence[Marker]) -> str:
    """A run of text with markers in it; where several overlap, one stands in the other."""
    cuts = {0, len(text)}
    for marker in markers:
        cuts |= {min(max(marker.start - start, 0), len(text)), min(max(marker.end - start, 0), len(text))}
    edges = sorted(cuts)
    done: list[str] = []
    for left, right in pairwise(edges):
        said = escape(text[left:right], quote=False)
        if said.strip():
            refs = {m.ref: None for m in markers if m.start < start + right and m.end > start + left}
            for ref in refs:
                said = f'<{MARKER} ac:ref="{escape(ref)}">{said}</{MARKER}>'
        done.append(said)
    return "".join(done)
