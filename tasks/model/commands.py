"""What a job is to do: one command for each of upstream's tasks, told apart by its name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    field_validator,
)

from tasks.errors import Refused
from tasks.model.content import AnySeverity, DestinationName, Frozen, Identifier, Level

WITHHELD = "[withheld]"  # what is shown in place of a field's value


class TicketConfig(Frozen):
    """What a producer may override for one ticket. `work_item_type` is an issue's type in Jira."""

    work_item_type: str | None = Field(default=None, min_length=1, max_length=128)
    severity: AnySeverity = None
    impact: Level | None = None
    urgency: Level | None = None
    assignment_group: str | None = None
    if_exists: Literal["update", "skip", "new"] = "update"
    on_drift: Literal["keep", "overwrite", "hold", "comment"] | None = None
    fields: dict[str, str | int | float | bool] = Field(default_factory=dict)

    @field_validator("fields")
    @classmethod
    def _not_withheld(cls, value: dict[str, str | int | float | bool]) -> dict[str, str | int | float | bool]:
        for name, given in value.items():
            if given == WITHHELD:
                raise ValueError(f"{name} is {WITHHELD}, as jobs are shown; give the value itself")
        return value


MOST_TITLES, TITLE_LENGTH = 10, 255  # of a path of pages, and of one title


def titles_of(parent: str) -> tuple[str, ...] | None:
    """The titles of a path of pages (`Post-mortems/2026`, `/Post-mortems`) from the top; None where it is a page's number."""
    if "/" not in parent:
        return None
    return tuple(title.strip() for title in parent.removeprefix("/").split("/"))


def _readable(parent: str) -> str:
    titles = titles_of(parent) or ()
    if not all(titles if "/" in parent else (parent,)):
        raise ValueError("has an empty title; a path is written as Post-mortems/2026")
    if len(titles) > MOST_TITLES or any(len(title) > TITLE_LENGTH for title in titles):
        raise ValueError(f"must have at most {MOST_TITLES} titles of at most {TITLE_LENGTH} characters")
    return parent


# A page's number, or the titles of pages from the top; a single title has a slash before it. An operator's has placeholders.
ParentTemplate = Annotated[
    str,
    StringConstraints(max_length=3000, pattern=r"^(?:[0-9]{1,20}|[^\x00-\x1f\x7f]*/[^\x00-\x1f\x7f]*)$"),
    AfterValidator(_readable),
]
_TITLE = rf" *[^/{{}}\s\x00-\x1f\x7f][^/{{}}\x00-\x1f\x7f]{{0,{TITLE_LENGTH - 1}}}"
_PATH = rf"^(?:[0-9]{{1,20}}|/{_TITLE}|/?{_TITLE}(?:/{_TITLE}){{1,{MOST_TITLES - 1}}})$"
# The schema says in one pattern what is refused in words of its own.
ParentPage = Annotated[ParentTemplate, WithJsonSchema({"type": "string", "maxLength": 3000, "pattern": _PATH})]


class CommandName(StrEnum):
    """The commands by the names of their Celery tasks, upstream's where it has one."""

    PUBLISH = "publish_to_confluence"
    INCIDENT = "create_servicenow_incident"
    WORK_ITEM = "create_azuredevops_workitem"
    JIRA_ISSUE = "create_jira_issue"


class PublishToConfluence(Frozen):
    """Put a document on a page of a Confluence space; the destination's own where none is named.

    `parent_page_id` is a page's number or a path of titles, whose missing pages are created.
    """

    command: Literal[CommandName.PUBLISH] = CommandName.PUBLISH
    doc_id: Identifier
    space_key: Annotated[str, StringConstraints(pattern=r"^[~A-Za-z0-9._-]{1,255}$")] | None = None
    parent_page_id: ParentPage | None = None
    destination: DestinationName | None = None


TableName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,79}$")]
INCIDENTS = "incident"  # the table of a job that an earlier version stored without one


class CreateServiceNowIncident(Frozen):
    """File an issue as an incident, or as a record of another table that extends `task`; the destination's own where none is
    named.
    """

    command: Literal[CommandName.INCIDENT] = CommandName.INCIDENT
    issue_id: Identifier
    table: TableName | None = None
    config: TicketConfig = TicketConfig()
    destination: DestinationName | None = None


class CreateAzureDevOpsWorkItem(Frozen):
    """File an issue as a work item of a project; the destination's own where none is named."""

    command: Literal[CommandName.WORK_ITEM] = CommandName.WORK_ITEM
    issue_id: Identifier
    project: (
        Annotated[
            str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^\\/:*?\"<>|;#$%{},+=\[\]\x00-\x1f]+$")
        ]
        | None
    ) = None
    config: TicketConfig = TicketConfig()
    destination: DestinationName | None = None


ProjectKey = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,254}$"), AfterValidator(str.upper)
]  # Jira takes a key in any case, and all of them mean the same project


class CreateJiraIssue(Frozen):
    """File an issue as an issue of a Jira project; the destination's own where none is named."""

    command: Literal[CommandName.JIRA_ISSUE] = CommandName.JIRA_ISSUE
    issue_id: Identifier
    project: ProjectKey | None = None
    config: TicketConfig = TicketConfig()
    destination: DestinationName | None = None


Command = Annotated[
    PublishToConfluence | CreateServiceNowIncident | CreateAzureDevOpsWorkItem | CreateJiraIssue,
    Field(discriminator="command"),
]
COMMAND: TypeAdapter[PublishToConfluence | CreateServiceNowIncident | CreateAzureDevOpsWorkItem | CreateJiraIssue] = (
    TypeAdapter(Command, config=ConfigDict(defer_build=True))
)

KIND_OF_COMMAND: Mapping[CommandName, str] = {
    CommandName.PUBLISH: "confluence",
    CommandName.INCIDENT: "servicenow",
    CommandName.WORK_ITEM: "azure_devops",
    CommandName.JIRA_ISSUE: "jira",
}


def parse_command(data: Mapping[str, Any], *, stored: bool = False) -> Command:
    """The command in `data`; raises `Refused` naming each bad argument, without echoing its value.

    A stored one may be of a newer version: what it has besides is ignored.
    """
    present = {key: value for key, value in data.items() if value is not None}
    if isinstance(present.get("parent_page_id"), int):
        present["parent_page_id"] = str(present["parent_page_id"])
    try:
        return COMMAND.validate_python(present, extra="ignore" if stored else None)
    except ValidationError as error:
        raise Refused(
            f"The arguments of {present.get('command', 'the job')!s:.60} are not valid: {explain(error)}.",
            code="bad_arguments",
            advice="Correct them and submit again.",
        ) from None


def content_id(command: Command) -> str:
    """The id of the document or issue that a command is about."""
    return command.doc_id if isinstance(command, PublishToConfluence) else command.issue_id


def field_names(command: Command) -> tuple[str, ...]:
    """The names of the fields that a command sets by itself."""
    return () if isinstance(command, PublishToConfluence) else tuple(command.config.fields)


def with_fields(command: Command, fields: Mapping[str, str | int | float | bool]) -> Command:
    """The command with these fields and no others; one for a page stays as it is."""
    if isinstance(command, PublishToConfluence):
        return command
    config = command.config.model_copy(update={"fields": dict(fields)})
    return command.model_copy(update={"config": config})


def explain(error: ValidationError, forms: Mapping[str, str] | None = None) -> str:
    """What pydantic refused, one clause a field, without the refused values (they may be secret). `forms` says by name what
    a field has to be that has another form.
    """
    clauses: list[str] = []
    for problem in error.errors(include_url=False, include_input=False):
        place = ".".join(str(part) for part in problem["loc"] if part not in _TAGS)
        if problem["type"].startswith("union_tag"):
            name, known = ".".join(filter(None, (place, tag_name(problem)))), ", ".join(known_tags(problem))
            clauses.append(f"{name}: {f'must be one of {known}' if known else 'is missing'}")
            continue
        if problem["loc"][-1:] and problem["loc"][-1] in SIMPLE:
            clauses.append(f"{place.rpartition('.')[0]}: {ANY_SIMPLE}")
            continue
        named = "jira_project" if place == "project" and {"jira", "create_jira_issue"} & {*problem["loc"]} else place
        clauses.append(f"{place or 'value'}: {in_words(problem['type'], named, problem['msg'], forms or FORMS)}")
    return "; ".join(dict.fromkeys(clauses))


def tag_name(problem: Mapping[str, Any]) -> str:
    """The field that tells kinds apart, of a refusal because of that field."""
    return str(problem["ctx"]["discriminator"]).strip("'")


def known_tags(problem: Mapping[str, Any]) -> list[str]:
    """What it may be; nothing where it is missing."""
    return re.findall(r"'([^']+)'", problem["ctx"].get("expected_tags", ""))


SIMPLE = ("str", "int", "float", "bool")  # the values that a field may have, as pydantic names them
ANY_SIMPLE = "must be text, a number, true or false"
_TAGS = {*KIND_OF_COMMAND, *KIND_OF_COMMAND.values()}
_PARENT = "must be a page's number, such as 123456, or a path of titles, such as Post-mortems/2026"
FORMS: Mapping[str, str] = {
    "parent_page_id": _PARENT,
    "parent": _PARENT,
    "space_key": "must be a space's key, such as OPS, as in the space's address",
    "project": "must be a project's name, without / \\ : * ? \" < > | ; # $ % { } , + = [ ]",
    "jira_project": "must be a project's key, such as OPS, as in the numbers of its issues",
    "destination": "must be a destination's name: small letters, digits, - and _, with a letter first",
    "table": "must be a table's name, such as problem: small letters, digits and _, with a letter first",
    "api_version": "must be a version such as 7.1",
}
_TYPES: Mapping[str, str] = {
    "extra_forbidden": "is not known here",
    "missing": "is missing",
    "too_short": "must not be empty",
    **dict.fromkeys(("tuple_type", "list_type", "set_type", "frozen_set_type"), "must be a list"),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "model_attributes_type"), "must be an object"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), "must be a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    "int_parsing_size": "is too large",
    "string_type": "must be text",
    "string_unicode": "must be text without half a character",
}


def in_words(kind: str, place: str, message: str, forms: Mapping[str, str]) -> str:
    """One refusal of pydantic's for a person: its type, the field, its own message. `forms` say what fields of that name must be."""
    if kind in _TYPES:
        return _TYPES[kind]
    if kind == "string_pattern_mismatch":
        return forms.get(
            re.sub(r"\.[0-9]+$", "", place).rpartition(".")[2],
            "holds a character that can't stand there, or has another form",
        )
    words = message.removeprefix("Value error, ")
    for theirs, ours in (("Input should be", "must be"), ("String should", "must"), ("Input should", "must")):
        words = words.replace(theirs, ours)
    return words
