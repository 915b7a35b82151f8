"""The projects of the simulated Jira: their types, the fields of their screens, and the rules that a write meets.

Source: Atlassian's descriptions of v2 and v3, and what a fresh site answers.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from worker.sandbox.jira.document import fault_of_document
from worker.sandbox.jira.people import Users, account_of

PRIORITIES = ("Highest", "High", "Medium", "Low", "Lowest")
SUMMARY_LENGTH = 255
TEXT_LENGTH = 32_767
LABEL_LENGTH = 255
NOT_ON_SCREEN = "Field '{}' cannot be set. It is not on the appropriate screen, or unknown."
TOO_LONG = "The entered text is too long. It exceeds the allowed limit of 32,767 characters."
CUSTOM = "com.atlassian.jira.plugin.system.customfieldtypes:"
BASE_TYPES = ("Epic", "Story", "Task", "Bug", "Subtask")


@dataclass(frozen=True)
class FieldRule:
    """A field of a screen. `kind` is its schema's type."""

    id: str
    name: str
    kind: str
    items: str = ""
    custom: str = ""
    required: bool = False
    values: tuple[str, ...] = ()


SUMMARY = FieldRule("summary", "Summary", "string", required=True)
DESCRIPTION = FieldRule("description", "Description", "string")
LABELS = FieldRule("labels", "Labels", "array", items="string")
PRIORITY = FieldRule("priority", "Priority", "priority", values=PRIORITIES)
COMPONENTS = FieldRule("components", "Components", "array", items="component", values=("api", "web"))
SERVICE = FieldRule("customfield_10050", "Impacted service", "string", custom=f"{CUSTOM}textfield")
CAUSE = FieldRule("customfield_10051", "Cause", "string", custom=f"{CUSTOM}textarea")
REGION = FieldRule("customfield_10052", "Region", "option", custom=f"{CUSTOM}select", values=("eu", "us"))
MINUTES = FieldRule("customfield_10053", "Minutes down", "number", custom=f"{CUSTOM}float")
ASSIGNEE = FieldRule("assignee", "Assignee", "user")
REPORTER = FieldRule("reporter", "Reporter", "user")
PARENT = FieldRule("parent", "Parent", "issuelink")
ENVIRONMENT = FieldRule("environment", "Environment", "string")
NAMED = (PRIORITY, COMPONENTS, ASSIGNEE, REPORTER, PARENT)
USUAL = (SUMMARY, DESCRIPTION, LABELS, *NAMED, ENVIRONMENT, SERVICE, CAUSE, REGION, MINUTES)


@dataclass(frozen=True)
class Way:
    """A transition of a workflow: from these statuses (none: from each), with the fields of its screen."""

    id: str
    name: str
    to: str
    begins: tuple[str, ...] = ()
    fields: tuple[FieldRule, ...] = ()

    def leads_from(self, status: str) -> bool:
        """Whether an issue in that status has it."""
        return status in self.begins if self.begins else True


RESOLUTION = FieldRule(
    "resolution", "Resolution", "resolution", required=True, values=("Fixed", "Won't Fix", "Duplicate")
)
SIMPLE = (Way("11", "To Do", "To Do"), Way("21", "In Progress", "In Progress"), Way("31", "Done", "Done"))
ACTIVE, ENDED = ("Open", "In Progress", "Reopened"), ("Resolved", "Closed")
CLASSIC = (
    Way("4", "Start Progress", "In Progress", ("Open", "Reopened")),
    Way("5", "Resolve Issue", "Resolved", ACTIVE, (RESOLUTION,)),
    Way("2", "Close Issue", "Closed", (*ACTIVE, "Resolved"), (RESOLUTION,)),
    Way("3", "Reopen Issue", "Reopened", ENDED),
)


@dataclass(frozen=True)
class Project:
    """A project: its types, by the ids that `type_id` gives them, the fields of its one screen, and its workflow with the categories
    of statuses that a fresh site hasn't.
    """

    id: str
    key: str
    name: str
    types: tuple[str, ...] = BASE_TYPES
    fields: tuple[FieldRule, ...] = USUAL
    ways: tuple[Way, ...] = SIMPLE
    first: str = "To Do"
    categories: Mapping[str, str] = field(default_factory=dict)


_REQUIRED = FieldRule(SERVICE.id, SERVICE.name, SERVICE.kind, custom=SERVICE.custom, required=True)
_DEMANDING = (*[f for f in USUAL if f is not SERVICE], _REQUIRED)
_ROOT = FieldRule(CAUSE.id, CAUSE.name, CAUSE.kind, custom=CAUSE.custom, required=True)
_DONE = Way("31", "Done", "Done", fields=(_ROOT,))
# Fields of a transition's screen alone: no issue is created with them.
LESSON = FieldRule("customfield_10054", "Lesson", "string", custom=f"{CUSTOM}textarea", required=True)
KIND = FieldRule("customfield_10055", "Kind", "option", custom=f"{CUSTOM}select", values=("code", "config"))
_SIGNED_OFF = Way("31", "Done", "Done", fields=(LESSON, KIND))
PROJECTS = {
    project.key: project
    for project in (
        Project("10000", "OPS", "Operations"),
        Project("10001", "PAY", "Payments", types=("Incident", "Task", "Bug"), ways=CLASSIC, first="Open"),
        Project("10002", "MIN", "Minimal", types=("Task",), fields=(SUMMARY, DESCRIPTION, LABELS), ways=SIMPLE[:2]),
        Project("10004", "SCR", "Screens", ways=(*SIMPLE[:2], _SIGNED_OFF)),
        Project("10003", "REQ", "Required fields", fields=_DEMANDING, ways=(*SIMPLE[:2], _DONE)),
    )
}
TYPE_NAMES = tuple(dict.fromkeys(name for project in PROJECTS.values() for name in project.types))


def project_of(projects: Mapping[str, Project], given: object) -> Project | None:
    """The project that `{"key"}` or `{"id"}` names, in any case."""
    named = given if isinstance(given, dict) else {}
    number, key = str(named.get("id", "")), str(named.get("key", ""))
    return next((p for p in projects.values() if p.id == number or p.key == key.upper()), None)


def type_id(name: str) -> str:
    """A type's id: the same in every project."""
    return str(10100 + TYPE_NAMES.index(name) if name in TYPE_NAMES else 20000 + zlib.crc32(name.encode()) % 10000)


def type_of(project: Project, given: object) -> str | None:
    """The name of the type that `{"id"}` or `{"name"}` means in the project; names are as they are written."""
    named = given if isinstance(given, dict) else {}
    return next((name for name in project.types if named.get("id") == type_id(name) or named.get("name") == name), None)


def faults_of(project: Project, fields: dict[str, Any], users: Users, *, adf: bool, whole: bool) -> dict[str, str]:
    """What a write is refused for, by field; `users` can be named, `whole` says that it creates, so that required fields have to be there."""
    rules = {rule.id: rule for rule in project.fields}
    found = {name: NOT_ON_SCREEN.format(name) for name in fields if name not in rules}
    for name, rule in rules.items():
        value = fields.get(name)
        if value in (None, "", []):
            if rule.required and (whole or name in fields):
                found[name] = (
                    "You must specify a summary of the issue." if rule is SUMMARY else f"{rule.name} is required."
                )
        elif fault := fault_of(rule, value, users, adf=adf):
            found[name] = fault
    return found


def fault_of(rule: FieldRule, value: Any, users: Users, *, adf: bool) -> str | None:
    """What a field's value is refused for."""
    if rule.kind == "user":
        return None if account_of(value, users, cloud=adf) else f"User for field '{rule.id}' does not exist."
    if rule.kind == "issuelink":
        return None if isinstance(value, dict) and value.get("key") else f"Could not find issue for '{rule.id}'."
    if rule.id in ("description", "environment") or rule.custom.endswith("textarea"):
        return fault_of_document(value, TEXT_LENGTH) if adf else _long_text(value)
    match rule.kind:
        case "string":
            return _line(rule, value)
        case "number":
            return None if isinstance(value, int | float) and not isinstance(value, bool) else "Specify a valid number."
        case "array":
            return _rows(rule, value)
        case "option":
            ok = isinstance(value, dict) and value.get("value") in rule.values
            return None if ok else f"Specify a valid value for {rule.id}."
    ok = isinstance(value, dict) and value.get("name") in rule.values
    return None if ok else f"Specify a valid 'id' or 'name' for {rule.name}."


def _long_text(value: object) -> str | None:
    if not isinstance(value, str):
        return "Operation value must be a string"
    return TOO_LONG if len(value) > TEXT_LENGTH else None


def _line(rule: FieldRule, value: object) -> str | None:
    if not isinstance(value, str):
        return "Operation value must be a string"
    if rule is SUMMARY and ("\n" in value or "\r" in value):
        return "The summary is invalid because it contains newline characters."
    return f"{rule.name} can't exceed 255 characters." if len(value) > SUMMARY_LENGTH else None


def _rows(rule: FieldRule, value: object) -> str | None:
    if not isinstance(value, list):
        return "data was not an array"
    if rule.items == "component":
        ok = all(isinstance(row, dict) and row.get("name") in rule.values for row in value)
        return None if ok else f"Specify a valid 'id' or 'name' for {rule.name}."
    return next(filter(None, (_label(row) for row in value)), None)


def _label(value: object) -> str | None:
    if not isinstance(value, str):
        return "string expected at index 0"
    if any(character.isspace() for character in value):
        return f"The label '{value}' contains spaces which is invalid."
    return f"The label '{value[:20]}…' exceeds the maximum length." if len(value) > LABEL_LENGTH else None
