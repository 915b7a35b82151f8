"""An issue's status: moved by a transition of its project's workflow, because its issue's stage has changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.destinations.contract import identifier, rows_of
from tasks.destinations.jira.answers import FieldShape, field_shape
from tasks.destinations.jira.fields import shaped
from tasks.destinations.tickets.status import Stage
from tasks.model import Frozen

RESOLUTION = "resolution"
# Categories of statuses, and what they mean for the stage.
STAGES: Mapping[str, Stage] = {"new": "open", "indeterminate": "working", "done": "resolved"}
CATEGORIES: Mapping[Stage, tuple[str, ...]] = {
    "open": ("new",),
    "working": ("indeterminate", "new"),
    "resolved": ("done",),
    "closed": ("done",),
}
# Where several transitions lead to a category: the statuses that are taken, the better one first. Others, such as Won't do,
# are an operator's to choose.
USUAL: Mapping[Stage, tuple[str, ...]] = {
    "open": ("to do", "open", "reopened"),
    "working": ("in progress", "work in progress", "reopened", "to do", "open"),
    "resolved": ("resolved", "done", "fixed", "completed", "closed"),
    "closed": ("closed", "done", "completed", "resolved"),
}
RESOLUTIONS = ("done", "fixed", "resolved")


class ScreenField(Frozen):
    """A field of a transition's screen."""

    shape: FieldShape
    required: bool
    values: tuple[str, ...] = ()

    def named_in(self, given: Mapping[str, str]) -> str:
        """What is given for it, by its id or by its name in any case; empty without."""
        names = (self.shape.id, self.shape.name.casefold())
        return next((text for name, text in given.items() if name.strip().casefold() in names), "")


class Transition(Frozen):
    """A way out of the issue's present status: where it leads, and what its screen asks for."""

    id: str
    name: str
    to: str
    category: str
    fields: tuple[ScreenField, ...] = ()

    @property
    def shown(self) -> str:
        """For a person."""
        return self.name if self.name.casefold() == self.to.casefold() else f"{self.name} (to {self.to})"


@dataclass(frozen=True)
class Wish:
    """What is wished of a move: the status or transition `by` the operator's name, the `resolution`, the operator's `fields` for
    its screen, and the issue's own fields as they are `known`, of which the screen gets what it asks for.
    """

    by: str = ""
    resolution: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    known: Mapping[str, Any] = field(default_factory=dict)
    cloud: bool = True


@dataclass(frozen=True)
class Move:
    """The transition to take with the fields of its screen, or in words why there is none."""

    transition: Transition | None = None
    fields: Mapping[str, Any] | None = None
    why: str = ""


def transitions(answer: dict[str, Any]) -> list[Transition]:
    """The transitions that an issue has now; raises `LookupError`, `TypeError` or `ValueError` for another form."""
    found = []
    for row in rows_of(answer, "transitions"):
        to = row["to"]
        category = str((to.get("statusCategory") or {}).get("key") or "")
        fields = tuple(_field(name, field) for name, field in (row.get("fields") or {}).items())
        found.append(
            Transition(
                id=identifier(row["id"]), name=str(row["name"]), to=str(to["name"]), category=category, fields=fields
            )
        )
    return found


def _field(name: str, row: dict[str, Any]) -> ScreenField:
    values = tuple(str(value["name"]) for value in row.get("allowedValues") or () if value.get("name"))
    needed = row.get("required") is True and row.get("hasDefaultValue") is not True
    return ScreenField(
        shape=field_shape({"schema": {}, **row, "fieldId": name, "name": row.get("name") or name}),
        required=needed,
        values=values,
    )


def stage_now(fields: Mapping[str, Any]) -> Stage | None:
    """The stage that an issue's status means; None for a category that nobody knows."""
    status = fields.get("status") or {}
    found = STAGES.get(str((status.get("statusCategory") or {}).get("key")))
    closed = found == "resolved" and str(status.get("name", "")).casefold() == "closed"
    return "closed" if closed else found


def chosen(ways: list[Transition], stage: Stage, wish: Wish) -> Move:
    """The move to that stage: by the operator's name for a status or transition, else by the status' category."""
    named = wish.by
    names = ", ".join(way.shown for way in ways) or "none"
    if named:
        wanted = named.strip().casefold()
        fitting = [way for way in ways if wanted in (way.name.casefold(), way.to.casefold())]
        if not fitting:
            return Move(why=f"its status has no transition {named!r:.80}; it has: {names}")
    else:
        fitting = _fitting(ways, stage)
        if not fitting:
            return Move(
                why=f"no transition leads there that is certain to be meant; there are: {names}. Name one by `status` of the mapping"
            )
    return _with_fields(fitting[0], wish)


def _fitting(ways: list[Transition], stage: Stage) -> list[Transition]:
    for category in CATEGORIES[stage]:
        there = [way for way in ways if way.category == category]
        usual = [way for name in USUAL[stage] for way in there if way.to.casefold() == name]
        if usual or len({way.to for way in there}) == 1:
            return usual or there
    return []


def _with_fields(way: Transition, wish: Wish) -> Move:
    fields: dict[str, Any] = {}
    lacking, resolution = [], wish.resolution
    for asked in way.fields:
        number = asked.shape.id
        if number == RESOLUTION:
            value = _resolution(asked, resolution)
            if value is None and resolution:
                return Move(why=f"there is no resolution {resolution!r:.80}; there are: {', '.join(asked.values)}")
            if value is not None:
                fields[number] = {"name": value}
        elif text := asked.named_in(wish.fields):
            fields[number] = shaped(asked.shape, text, cloud=wish.cloud)
        elif number in wish.known and asked.required:
            fields[number] = wish.known[number]
        if asked.required and number not in fields:
            lacking.append(asked.shape.name)
    if lacking:
        words = f"the transition {way.shown!r} needs {', '.join(lacking)}"
        return Move(why=f"{words}: set them by `[transition]` of the mapping, or as fields of the issue")
    return Move(way, fields)


def _resolution(field: ScreenField, wanted: str) -> str | None:
    """The one that is wanted, or the usual one, as the project writes it."""
    there = {value.casefold(): value for value in field.values}
    if wanted:
        return there.get(wanted.strip().casefold())
    return next((there[name] for name in RESOLUTIONS if name in there), None)
