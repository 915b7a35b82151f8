"""Two texts compared by lines, and within a changed line by words, for people to read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Literal

from tasks.model import Frozen

MOST_LINES = 20_000
MOST_WORDS = 400
CONTEXT = 2
REACH = 8
ALIKE = 0.4
_WORD = re.compile(r"\s+|\w+|[^\w\s]")


class Change(Frozen):
    """One line: `same` near a change, `gap` where lines are left out, `added`, `removed`, or `changed` with its parts.

    `parts` are (kind, words) of a changed line, kind being same, removed or added.
    """

    kind: Literal["same", "gap", "added", "removed", "changed"]
    text: str = ""
    parts: tuple[tuple[Literal["same", "removed", "added"], str], ...] = ()


def compare(old: Sequence[str], new: Sequence[str]) -> tuple[Change, ...]:
    """The lines that differ, with `CONTEXT` lines around them; empty where none does."""
    if list(old) == list(new):
        return ()
    if max(len(old), len(new)) > MOST_LINES:
        return (Change(kind="gap", text=f"{len(old)} lines become {len(new)}: too many to compare"),)
    found: list[Change] = []
    at = 0
    matcher = SequenceMatcher(None, list(old), list(new), autojunk=len(old) > 2000)
    for group in matcher.get_grouped_opcodes(CONTEXT):
        if group[0][1] > at:
            found.append(Change(kind="gap", text=f"{group[0][1] - at} lines are the same"))
        for tag, i, j, k, m in group:
            if tag == "equal":
                found += [Change(kind="same", text=line) for line in old[i:j]]
            else:
                found += _replaced(old[i:j], new[k:m])
        at = group[-1][2]
    if at < len(old):
        found.append(Change(kind="gap", text=f"{len(old) - at} lines are the same"))
    return tuple(found)


def _replaced(old: Sequence[str], new: Sequence[str]) -> list[Change]:
    """Each old line beside the first new one, in order, that resembles it; the rest as removed or added."""
    found: list[Change] = []
    at = 0
    for before in old:
        reach = range(at, min(len(new), at + REACH))
        changed, place = next(((one, k) for k in reach if (one := _within(before, new[k]))), (None, at))
        if changed is None:
            found.append(Change(kind="removed", text=before))
            continue
        found += [Change(kind="added", text=line) for line in new[at:place]]
        found.append(changed)
        at = place + 1
    return found + [Change(kind="added", text=line) for line in new[at:]]


def _within(old: str, new: str) -> Change | None:
    """The words that differ; None where two lines have too little in common."""
    before, after = _WORD.findall(old), _WORD.findall(new)
    if max(len(before), len(after)) > MOST_WORDS:
        return None
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    shared = sum(1 for i, _, size in matcher.get_matching_blocks() for word in before[i : i + size] if word.strip())
    if 2 * shared < ALIKE * sum(1 for word in (*before, *after) if word.strip()):
        return None
    parts: list[tuple[Literal["same", "removed", "added"], str]] = []
    for tag, i, j, k, m in matcher.get_opcodes():
        if tag == "equal":
            parts.append(("same", "".join(before[i:j])))
            continue
        if j > i:
            parts.append(("removed", "".join(before[i:j])))
        if m > k:
            parts.append(("added", "".join(after[k:m])))
    return Change(kind="changed", text=new, parts=tuple(parts))
