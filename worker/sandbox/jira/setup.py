"""Projects of Jira as a set-up file gives them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationInfo, field_validator

from worker.sandbox.jira.project import BASE_TYPES, CLASSIC, CUSTOM, RESOLUTION, SIMPLE, USUAL, FieldRule, Project, Way

KINDS = {
    "text": ("string", "textfield"),
    "long text": ("string", "textarea"),
    "number": ("number", "float"),
    "option": ("option", "select"),
}
WORKFLOWS = {"simple": (SIMPLE, "To Do"), "classic": (CLASSIC, "Open")}
Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class JiraField(BaseModel):
    """A field of a project's own, of a type and with the values that it takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, StringConstraints(pattern=r"^customfield_[1-9][0-9]{4}$")]
    name: Name
    type: Literal["text", "long text", "number", "option"] = "text"
    values: tuple[Name, ...] = ()
    required: bool = False

    @property
    def rule(self) -> FieldRule:
        """The field as the project holds it."""
        kind, custom = KINDS[self.type]
        return FieldRule(self.id, self.name, kind, custom=CUSTOM + custom, required=self.required, values=self.values)


class JiraTransition(BaseModel):
    """A way from these statuses (none: from each) to another, and the fields of its screen, of which `required` ones must be given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    begins: tuple[Name, ...] = Field(default=(), alias="from")
    to: Name
    fields: tuple[Name, ...] = ()
    required: tuple[Name, ...] = ()

    def way(self, number: int, known: Mapping[str, FieldRule]) -> Way:
        """The transition as its project holds it."""
        names = dict.fromkeys((*self.fields, *self.required))
        screen = tuple(replace(known[name], required=name in self.required) for name in names)
        return Way(str(101 + number), self.name, self.to, self.begins, screen)


class JiraProject(BaseModel):
    """A project of Jira: its types, its workflow, and the fields of its screen: the usual ones without those that are `hidden`,
    which no write may set, and with `field`. `required` ones have to be there when an issue is created.

    With `statuses`, each with its category, the workflow is the project's own: a new issue is in the first of them, and the transitions
    are those given, or one from each to each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{1,9}$")]
    name: Name | None = None
    types: Annotated[tuple[Name, ...], Field(min_length=1)] = BASE_TYPES
    workflow: Literal["simple", "classic"] = "simple"
    field: tuple[JiraField, ...] = ()
    required: tuple[Name, ...] = ()
    hidden: tuple[Name, ...] = ()
    statuses: Annotated[dict[Name, Literal["new", "indeterminate", "done"]], Field(min_length=1)] | None = None
    transition: tuple[JiraTransition, ...] = ()

    @field_validator("required", "hidden")
    @classmethod
    def _fields_exist(cls, names: tuple[Name, ...], info: ValidationInfo) -> tuple[Name, ...]:
        known = {rule.id for rule in USUAL} | {field.id for field in info.data.get("field", ())}
        if unknown := [name for name in names if name not in known]:
            raise ValueError(f"there is no field {unknown[0]}")
        return names

    @field_validator("transition")
    @classmethod
    def _steps_exist(cls, ways: tuple[JiraTransition, ...], info: ValidationInfo) -> tuple[JiraTransition, ...]:
        statuses, known = info.data.get("statuses") or {}, _known(info.data.get("field", ()))
        for way in ways:
            if unknown := [name for name in (*way.begins, way.to) if name not in statuses]:
                raise ValueError(f"{way.name}: there is no status {unknown[0]} in `statuses`")
            if unknown := [name for name in (*way.fields, *way.required) if name not in known]:
                raise ValueError(f"{way.name}: there is no field {unknown[0]}")
        return ways

    def project(self, number: int) -> Project:
        """The project, the so-and-so-many-th of the set-up."""
        own = {rule.id: rule for rule in USUAL if rule.id not in self.hidden} | {f.id: f.rule for f in self.field}
        fields = tuple(replace(rule, required=rule.required or rule.id in self.required) for rule in own.values())
        ways, first = self._workflow()
        categories = self.statuses or {}
        name = self.name or self.key
        return Project(str(10000 + number), self.key, name, self.types, fields, ways, first, categories)

    def _workflow(self) -> tuple[tuple[Way, ...], str]:
        if not self.statuses:
            return WORKFLOWS[self.workflow]
        given = self.transition or tuple(JiraTransition.model_validate({"name": s, "to": s}) for s in self.statuses)
        known = _known(self.field)
        return tuple(way.way(number, known) for number, way in enumerate(given)), next(iter(self.statuses))


def _known(own: Iterable[JiraField]) -> dict[str, FieldRule]:
    """The fields that a transition's screen can have."""
    return {rule.id: rule for rule in (*USUAL, RESOLUTION)} | {field.id: field.rule for field in own}
