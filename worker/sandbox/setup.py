"""What a sandbox begins with, from one TOML file: places, fields and rules, accounts, groups and items, rights that are missing, faults.

spaces = ["OPS", "SRE"]
groups = ["Payments on call"]
areas = ["Web"]
iterations = ["Release 7"]

[projects]
Checkout = "Incident handling"

[[process]]
name = "Incident handling"
based_on = "Agile"
type = [{ name = "Incident", states = { New = "Proposed", Done = "Completed" }, required = ["Custom.CauseCode"] }]

[[work_item_field]]
name = "Custom.CauseCode"
values = ["code", "config"]

[[table]]
name = "incident"
mandatory = ["u_cause"]
column = [{ name = "u_cause", type = "choice", values = ["code", "config"] }]

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
from collections.abc import Iterator, Sequence
from typing import Annotated

from annotated_types import Len
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

from tasks.model import explain
from worker.sandbox.accounts import Account, Denial
from worker.sandbox.azure_devops.process import FIELDS, PROCESSES, Field, OwnProcess
from worker.sandbox.faults.spec import FaultSpec, fault_named
from worker.sandbox.jira.setup import JiraProject
from worker.sandbox.people import NAMESPACE, user
from worker.sandbox.servicenow.setup import OwnTable
from worker.sandbox.servicenow.tables import TABLES
from worker.sandbox.store import NODES, PROJECTS, SPACES, Store

Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
# A path below the project's name; each node above it is given as well.
Node = Annotated[str, StringConstraints(pattern=r"^[^\\/]+(\\[^\\/]+)*$", max_length=255)]

TableName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,79}$")]


def _rooted(paths: tuple[str, ...]) -> tuple[str, ...]:
    if lost := [path for path in paths if "\\" in path and path.rpartition("\\")[0] not in paths]:
        raise ValueError(f"{lost[0]} is below nothing: give the node above it as well")
    return paths


Tree = Annotated[tuple[Node, ...], AfterValidator(_rooted)]


class Setup(BaseModel):
    """The places of Confluence, Azure DevOps and Jira replace the usual ones where they are given; areas and iterations are those below
    each project of Azure DevOps. Processes, fields, tables and columns, accounts, and what ServiceNow knows by name are added,
    `records` to any of its tables. `deny` and `fault` are as the control interface takes them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    spaces: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9~._-]{1,255}$")], ...] = SPACES
    work_item_field: tuple[Field, ...] = ()
    process: tuple[OwnProcess, ...] = ()
    projects: dict[Name, Name] | None = None
    areas: Tree = NODES["System.AreaPath"]
    iterations: Tree = NODES["System.IterationPath"]
    jira_project: tuple[JiraProject, ...] = ()
    table: tuple[OwnTable, ...] = ()
    account: tuple[Account, ...] = ()
    groups: tuple[Name, ...] = ()
    configuration_items: tuple[Name, ...] = ()
    services: tuple[Name, ...] = ()
    records: dict[TableName, Annotated[tuple[Name, ...], Len(1)]] = {}
    deny: tuple[Denial, ...] = ()
    fault: tuple[FaultSpec, ...] = ()

    def store(self) -> Store:
        """A store that begins so."""
        store = Store(space_keys=self.spaces, projects=dict(self.projects or PROJECTS), accounts=self.account)
        store.nodes = {"System.AreaPath": self.areas, "System.IterationPath": self.iterations}
        store.item_fields = {field.name: field for field in self.work_item_field}
        store.processes = {process.name: process for process in self.process}
        store.tables = dict(TABLES)
        for own in self.table:
            store.tables[own.name] = own.added_to(store.tables.get(own.name))
        if self.jira_project:
            store.jira_projects = {row.key: row.project(number) for number, row in enumerate(self.jira_project)}
        known = {row["user_name"] for row in store.users}
        store.users.extend(user(*row.shown) for row in self.account if row.user_name not in known)
        tables = {
            "sys_user_group": self.groups,
            "cmdb_ci": self.configuration_items,
            "cmdb_ci_service": self.services,
        }
        for table, names in (*tables.items(), *self.records.items()):
            store.people.setdefault(table, []).extend(
                {"name": name, "sys_id": uuid.uuid5(NAMESPACE, f"{table}/{name}").hex} for name in names
            )
        for denial in self.deny:
            store.denied[denial.vendor, denial.target] = frozenset(denial.deny)
        return store

    def unknown(self) -> Iterator[str]:
        """What one section names that no other one gives, and the vendor doesn't have, and what two sections give, each with its place."""
        given = {
            "process": [each.name for each in self.process],
            "work_item_field": [each.name for each in self.work_item_field],
            "table": [each.name for each in self.table],
            "jira_project": [each.key for each in self.jira_project],
        }
        for key, names in given.items():
            yield from (f"{key}.{n}: {name} is given twice" for n, name in enumerate(names) if name in names[:n])
        processes = {*PROCESSES, *(process.name for process in self.process)}
        for project, name in (self.projects or {}).items():
            if name not in processes:
                yield f"projects.{project}: there is no process {name}; there are {', '.join(sorted(processes))}"
        fields = {*FIELDS, *(field.name for field in self.work_item_field)}
        for number, process in enumerate(self.process):
            yield from (f"process.{number}.{words}" for words in process.unknown(fields))
        for number, table in enumerate(self.table):
            yield from (f"table.{number}.{words}" for words in table.unknown())
        if "sys_user" in self.records:
            yield "records.sys_user: a person is an [[account]]"
        if taken := next((name for name in self.records if name in (*TABLES, *(own.name for own in self.table))), None):
            yield f"records.{taken}: this is a table of tickets"


def read(text: str, faults: Sequence[str] = ()) -> Setup:
    """The set-up in a TOML text, with more faults by name or as JSON; raises `ValueError` saying what is wrong."""
    try:
        setup = Setup.model_validate(tomllib.loads(text))
        if wrong := next(setup.unknown(), None):
            raise ValueError(wrong)
        return setup.model_copy(update={"fault": (*setup.fault, *map(fault_named, faults))})
    except ValidationError as error:
        raise ValueError(explain(error)) from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"it is not TOML: {error}") from None
