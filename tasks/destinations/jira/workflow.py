"""An issue's status: moved by a transition of its project's workflow, because its issue's stage has changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.destinations.contract import identifier, rows_of
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

    id: str
    name: str
    required: bool
    values: tuple[str, ...] = ()


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
    return ScreenField(id=name, name=str(row.get("name") or name), required=needed, values=values)


def stage_now(fields: Mapping[str, Any]) -> Stage | None:
    """The stage that an issue's status means; None for a category that nobody knows."""
    status = fields.get("status") or {}
    found = STAGES.get(str((status.get("statusCategory") or {}).get("key")))
    closed = found == "resolved" and str(status.get("name", "")).casefold() == "closed"
    return "closed" if closed else found


def chosen(ways: list[Transition], stage: Stage, named: str, resolution: str, known: Mapping[str, Any]) -> Move:
    """The move to that stage: by the operator's name for a status or transition, else by the status' category.

    `known` are the issue's own fields, of which the transition's screen gets what it asks for.
    """
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
    return _with_fields(fitting[0], resolution, known)


def _fitting(ways: list[Transition], stage: Stage) -> list[Transition]:
    for category in CATEGORIES[stage]:
        there = [way for way in ways if way.category == category]
        usual = [way for name in USUAL[stage] for way in there if way.to.casefold() == name]
        if usual or len({way.to for way in there}) == 1:
            return usual or there
    return []


def _with_fields(way: Transition, resolution: str, known: Mapping[str, Any]) -> Move:
    fields: dict[str, Any] = {}
    lacking = []
    for field in way.fields:
        if field.id == RESOLUTION:
            value = _resolution(field, resolution)
            if value is None and resolution:
                return Move(why=f"there is no resolution {resolution!r:.80}; there are: {', '.join(field.values)}")
            if value is not None:
                fields[field.id] = {"name": value}
        elif field.id in known and field.required:
            fields[field.id] = known[field.id]
        if field.required and field.id not in fields:
            lacking.append(field.name)
    if lacking:
        return Move(why=f"the transition {way.shown!r} needs {', '.join(lacking)}: set them by the mapping or the job")
    return Move(way, fields)


def _resolution(field: ScreenField, wanted: str) -> str | None:
    """The one that is wanted, or the usual one, as the project writes it."""
    there = {value.casefold(): value for value in field.values}
    if wanted:
        return there.get(wanted.strip().casefold())
    return next((there[name] for name in RESOLUTIONS if name in there), None)
