"""A remote side that repeats what it was sent: its words are kept, and our content in them is not. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

RUN = 20  # characters in a row that no answer has in common with a document by chance
_BLOCK = RUN // 2  # every run of RUN characters holds a whole block of this length
MARK = "[content]"


def without_echoes(said: str, sent: Iterable[str]) -> str:
    """`said`, a line, without its runs of `RUN` characters or more that stand in a text that was sent."""
    texts = [re.sub(r"\s+", " ", text) for text in sent if len(text) >= RUN]
    blocks = {text[place : place + _BLOCK] for text in texts for place in range(0, len(text), _BLOCK)}
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
