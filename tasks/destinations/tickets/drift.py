"""Whose a ticket's fields are: what we wrote last, and what somebody else changed since. Pure.

Of every field that we write two marks are remembered: of what was sent, and of what the remote side made of it, in the form
that says what the value means. A field that reads as it was left is still ours; one that reads otherwise is somebody else's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tasks.errors import Held

Value = str | int | float | bool
Marks = Mapping[str, tuple[str, str]]
OnDrift = Literal["keep", "overwrite", "hold", "comment"]
DIGITS = 20
MOST_TRIED = 8


@dataclass(frozen=True)
class Forms:
    """What the values of one vendor's fields mean. `form` gives a value in a form of its own that is the same for all ways of
    writing it; `same` says whether a stored value is what a sent one means.
    """

    form: Callable[[str, object], str]
    same: Callable[[str, object, object], bool]

    def mark(self, name: str, value: object) -> str:
        """Stands for the value, without telling it."""
        return mark(self.form(name, value))


@dataclass(frozen=True)
class Standing:
    """What is to be done with a ticket: fields to write, those that somebody else changed (with what we would write), and
    those that are left to them. `note` says that a comment is to tell of these.
    """

    write: Mapping[str, Value] = field(default_factory=dict)
    kept: Mapping[str, Value] = field(default_factory=dict)
    note: bool = False

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the receipt says of it."""
        return tuple(f"{name} was changed by somebody else and kept" for name in self.kept)


def mark(text: str) -> str:
    """A short digest; it is stored sealed only."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:DIGITS]


def standing(
    plan: Mapping[str, Value],
    present: Mapping[str, object],
    forms: Forms,
    wrote: Marks,
    tried: str,
    policy: OnDrift,
    *,
    what: str,
) -> Standing:
    """What is to be written over `present`, by the operator's policy; raises `Held` where that asks for a person.

    `tried` (of `tries`) are writes whose answers were lost. A field of which nothing is remembered counts as ours.
    """
    write: dict[str, Value] = {}
    edited: dict[str, Value] = {}
    lost = _tried(tried)
    for name, value in plan.items():
        now = present.get(name)
        if forms.same(name, now, value):
            continue
        known, reads = wrote.get(name), forms.mark(name, now)
        if known is None or reads in lost.get(name, ()):
            write[name] = value
        elif known[1] != reads:
            edited[name] = value
        elif known[0] != forms.mark(name, value):
            write[name] = value
    if not edited or policy == "overwrite":
        return Standing(write | edited)
    if policy == "hold":
        raise Held(
            f"Somebody changed {', '.join(edited)} of {what} since it was written.",
            code="drift",
            advice="Release the job to overwrite that, or cancel it. `on_drift` of the destination decides this for all jobs.",
        )
    return Standing(write, edited, note=policy == "comment")


def tries(plan: Mapping[str, Value], forms: Forms, earlier: str) -> str:
    """What a look at the ticket needs to know after a write whose answer is lost: marks of what it would set."""
    found = _tried(earlier)
    for name, value in plan.items():
        found[name] = [*found.get(name, ()), forms.mark(name, value)][-MOST_TRIED:]
    return json.dumps(found)


def _tried(text: str) -> dict[str, list[str]]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return {str(name): list(map(str, marks)) for name, marks in found.items()} if isinstance(found, dict) else {}


def remembered(
    plan: Mapping[str, Value], after: Mapping[str, object], forms: Forms, wrote: Marks, kept: Collection[str]
) -> dict[str, tuple[str, str]]:
    """The marks of a ticket as it stands after a delivery; of a field that was left to somebody else, those from before."""
    found = dict(wrote)
    for name, value in plan.items():
        if name in after and name not in kept:
            sent, made = forms.mark(name, value), after[name]
            found[name] = (sent, sent if isinstance(value, str) and made == value else forms.mark(name, made))
    return found


def note_of(kept: Mapping[str, Value], shown: Callable[[str, Value], str]) -> Iterable[str]:
    """The lines of a comment that tells what would have been written."""
    yield "Afterword has other values for fields that were changed here, and left them as they are:"
    for name, value in kept.items():
        yield f"{name}: {shown(name, value)}"
