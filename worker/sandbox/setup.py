"""What a sandbox begins with, from one TOML file: places, groups and items, rights that are missing, faults.

spaces = ["OPS", "SRE"]
groups = ["Payments on call"]

[projects]
Checkout = "Scrum"

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
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from tasks.model import explain
from worker.sandbox.faults.spec import FaultSpec, fault_named
from worker.sandbox.people import NAMESPACE
from worker.sandbox.permissions import Denial
from worker.sandbox.store import PROJECTS, SPACES, Store

Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class Setup(BaseModel):
    """The places of Confluence and Azure DevOps replace the usual ones where they are given; what ServiceNow knows by name is
    added. `deny` and `fault` are as the control interface takes them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    spaces: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9~._-]{1,255}$")], ...] = SPACES
    projects: dict[Name, Literal["Agile", "Scrum", "Basic", "CMMI"]] | None = None
    groups: tuple[Name, ...] = ()
    configuration_items: tuple[Name, ...] = ()
    services: tuple[Name, ...] = ()
    deny: tuple[Denial, ...] = ()
    fault: tuple[FaultSpec, ...] = ()

    def store(self) -> Store:
        """A store that begins so."""
        store = Store(space_keys=self.spaces, projects=dict(self.projects or PROJECTS))
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
