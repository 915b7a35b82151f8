"""What a sandbox begins with, from one TOML file: places, accounts, groups and items, rights that are missing, faults.

spaces = ["OPS", "SRE"]
groups = ["Payments on call"]
areas = ["Web"]
iterations = ["Release 7"]

[projects]
Checkout = "Scrum"

[[jira_project]]
key = "CHK"
types = ["Incident", "Task"]
workflow = "classic"
required = ["customfield_10050"]

[[account]]
user_name = "ruth.li"
secret = "not-a-secret"
roles = ["snc_basic_auth_api_access"]
deny = [{ vendor = "jira", target = "CHK", deny = ["create"] }]

[[deny]]
vendor = "azure_devops"
target = "Checkout"
deny = ["create"]

[[fault]]
fault = "rate_limit"
times = 3
"""

from __future__ import annotations

import tomllib
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from tasks.model import explain
from worker.sandbox.accounts import Account, Denial
from worker.sandbox.faults.spec import FaultSpec, fault_named
from worker.sandbox.jira.project import BASE_TYPES, CLASSIC, CUSTOM, SIMPLE, USUAL, FieldRule, Project
from worker.sandbox.people import NAMESPACE, user
from worker.sandbox.store import NODES, PROJECTS, SPACES, Store

KINDS = {
    "text": ("string", "textfield"),
    "long text": ("string", "textarea"),
    "number": ("number", "float"),
    "option": ("option", "select"),
}
WORKFLOWS = {"simple": (SIMPLE, "To Do"), "classic": (CLASSIC, "Open")}
Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
# A path below the project's name; each node above it is given as well.
Node = Annotated[str, StringConstraints(pattern=r"^[^\\/]+(\\[^\\/]+)*$", max_length=255)]


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


class JiraProject(BaseModel):
    """A project of Jira: its types, its workflow, and the fields of its screen: the usual ones without those that are `hidden`,
    which no write may set, and with `field`. `required` ones have to be there when an issue is created.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{1,9}$")]
    name: Name | None = None
    types: Annotated[tuple[Name, ...], Field(min_length=1)] = BASE_TYPES
    workflow: Literal["simple", "classic"] = "simple"
    required: tuple[Name, ...] = ()
    hidden: tuple[Name, ...] = ()
    field: tuple[JiraField, ...] = ()

    @model_validator(mode="after")
    def _known(self) -> Self:
        known = {rule.id for rule in USUAL} | {field.id for field in self.field}
        if unknown := [name for name in (*self.required, *self.hidden) if name not in known]:
            raise ValueError(f"project {self.key} has no field {unknown[0]}")
        return self

    def project(self, number: int) -> Project:
        """The project, the so-and-so-many-th of the set-up."""
        own = {rule.id: rule for rule in USUAL if rule.id not in self.hidden} | {f.id: f.rule for f in self.field}
        fields = tuple(replace(rule, required=rule.required or rule.id in self.required) for rule in own.values())
        ways, first = WORKFLOWS[self.workflow]
        return Project(str(10000 + number), self.key, self.name or self.key, self.types, fields, ways, first)


class Setup(BaseModel):
    """The places of Confluence, Azure DevOps and Jira replace the usual ones where they are given; areas and iterations are those below
    each project of Azure DevOps. Accounts, and what ServiceNow knows by name, are added. `deny` and `fault` are as the control
    interface takes them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    spaces: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9~._-]{1,255}$")], ...] = SPACES
    projects: dict[Name, Literal["Agile", "Scrum", "Basic", "CMMI"]] | None = None
    areas: tuple[Node, ...] = NODES["System.AreaPath"]
    iterations: tuple[Node, ...] = NODES["System.IterationPath"]
    jira_project: tuple[JiraProject, ...] = ()
    account: tuple[Account, ...] = ()
    groups: tuple[Name, ...] = ()
    configuration_items: tuple[Name, ...] = ()
    services: tuple[Name, ...] = ()
    deny: tuple[Denial, ...] = ()
    fault: tuple[FaultSpec, ...] = ()

    @model_validator(mode="after")
    def _rooted(self) -> Self:
        for paths in (self.areas, self.iterations):
            if lost := [path for path in paths if "\\" in path and path.rpartition("\\")[0] not in paths]:
                raise ValueError(f"{lost[0]} is below nothing: give the node above it as well")
        return self

    def store(self) -> Store:
        """A store that begins so."""
        store = Store(space_keys=self.spaces, projects=dict(self.projects or PROJECTS), accounts=self.account)
        store.nodes = {"System.AreaPath": self.areas, "System.IterationPath": self.iterations}
        if self.jira_project:
            store.jira_projects = {row.key: row.project(number) for number, row in enumerate(self.jira_project)}
        known = {row["user_name"] for row in store.users}
        store.users.extend(user(*row.shown) for row in self.account if row.user_name not in known)
        tables = {
            "sys_user_group": self.groups,
            "cmdb_ci": self.configuration_items,
            "cmdb_ci_service": self.services,
        }
        for table, names in tables.items():
            store.people[table] += [
                {"name": name, "sys_id": uuid.uuid5(NAMESPACE, f"{table}/{name}").hex} for name in names
            ]
        for denial in self.deny:
            store.denied[denial.vendor, denial.target] = frozenset(denial.deny)
        return store


def read(text: str, faults: Sequence[str] = ()) -> Setup:
    """The set-up in a TOML text, with more faults by name or as JSON; raises `ValueError` saying what is wrong."""
    try:
        setup = Setup.model_validate(tomllib.loads(text))
        return setup.model_copy(update={"fault": (*setup.fault, *map(fault_named, faults))})
    except ValidationError as error:
        raise ValueError(explain(error)) from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"it is not TOML: {error}") from None
