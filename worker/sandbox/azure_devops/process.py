"""What Azure DevOps's processes define: work item types, their states, fields and rules; those of the service, and of a set-up."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Len
from pydantic import BaseModel, ConfigDict, StringConstraints

from worker.sandbox.store import NODES, Store

Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Category = Literal["Proposed", "InProgress", "Resolved", "Completed", "Removed"]
AGILE = ("Bug", "Epic", "Feature", "Issue", "Task", "Test Case", "User Story")
PROCESSES: dict[str, tuple[str, ...]] = {
    "Agile": AGILE,
    "Scrum": ("Bug", "Epic", "Feature", "Impediment", "Product Backlog Item", "Task", "Test Case"),
    "Basic": ("Epic", "Issue", "Task"),
    "CMMI": ("Bug", "Change Request", "Epic", "Feature", "Issue", "Requirement", "Review", "Risk", "Task", "Test Case"),
}
STATES: dict[str, tuple[tuple[str, str], ...]] = {
    "Agile": (("New", "Proposed"), ("Active", "InProgress"), ("Resolved", "Resolved"), ("Closed", "Completed")),
    "Scrum": (("New", "Proposed"), ("Approved", "Proposed"), ("Committed", "InProgress"), ("Done", "Completed")),
    "Basic": (("To Do", "Proposed"), ("Doing", "InProgress"), ("Done", "Completed")),
    "CMMI": (("Proposed", "Proposed"), ("Active", "InProgress"), ("Resolved", "Resolved"), ("Closed", "Completed")),
}
REASONS = {"Agile": "New", "Scrum": "New backlog item", "Basic": "Added to backlog", "CMMI": "New"}
SEVERITIES = ("1 - Critical", "2 - High", "3 - Medium", "4 - Low")
PRIORITIES = (1, 2, 3, 4)
TREES = ("System.AreaPath", "System.IterationPath")
READ_ONLY = frozenset(
    "System.Id System.Rev System.TeamProject System.WorkItemType System.CreatedBy System.CreatedDate System.ChangedBy "  # noqa: SIM905
    "System.ChangedDate System.CommentCount System.NodeName System.AreaId System.AuthorizedDate System.Watermark".split()
)
SYSTEM = frozenset(
    "Title Description Tags State Reason AreaPath IterationPath AssignedTo History AttachedFileCount "  # noqa: SIM905
    "HyperLinkCount ExternalLinkCount RelatedLinkCount BoardColumn BoardLane".split()
)
MICROSOFT = frozenset(
    "Common.Priority Common.Severity Common.ValueArea Common.Activity Common.StackRank Common.BacklogPriority "  # noqa: SIM905
    "Common.AcceptanceCriteria Common.BusinessValue Common.Risk Common.TimeCriticality Common.Resolution "
    "Common.ResolvedReason Common.ResolvedBy Common.ResolvedDate Common.ActivatedBy Common.ActivatedDate "
    "Common.ClosedBy Common.ClosedDate Common.StateChangeDate Common.Discipline Common.Triage Common.Issue "
    "Common.RootCause CMMI.RootCause CMMI.FoundInEnvironment CMMI.HowFound CMMI.ProposedFix CMMI.Symptom CMMI.Blocked "
    "TCM.ReproSteps TCM.SystemInfo TCM.Steps Build.FoundIn Build.IntegrationBuild Scheduling.Effort "
    "Scheduling.StoryPoints Scheduling.OriginalEstimate Scheduling.RemainingWork Scheduling.CompletedWork "
    "Scheduling.StartDate Scheduling.FinishDate Scheduling.DueDate Scheduling.TargetDate".split()
)
CUSTOM = ("Custom.Team", "Custom.Impact", "Custom.Source", "Custom.Notes", "Custom.Count")
LONG = ("System.Description", "System.History", "Microsoft.VSTS.TCM.ReproSteps", "Microsoft.VSTS.TCM.SystemInfo")
IDENTITIES = ("System.AssignedTo", "System.CreatedBy", "System.ChangedBy")


class Field(BaseModel):
    """A field of the organisation, by its reference name: its type, as the vendor names it, and the values that it is limited to;
    any where there are none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9]*(\.[A-Za-z][A-Za-z0-9]*)+$", max_length=70)]
    type: Literal["string", "plainText", "html", "integer", "double", "boolean", "dateTime", "identity", "treePath"] = (
        "string"
    )
    values: tuple[Name, ...] = ()

    @property
    def shown_type(self) -> str:
        """The type that the REST API tells: an identity is a string there, and marked as one beside."""
        return "string" if self.type == "identity" else self.type


class WorkItemType(BaseModel):
    """A type of a process of somebody's own: states with their categories (the first is a new item's), the states that each leads to
    (any, where it isn't named), and the fields that must have a value or that nobody may set.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    states: Annotated[dict[Name, Category], Len(1)] | None = None
    moves: dict[Name, tuple[Name, ...]] = {}
    required: tuple[str, ...] = ()
    read_only: tuple[str, ...] = ()


class OwnProcess(BaseModel):
    """A process that inherits from one of the service's, with types added or changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    based_on: Literal["Agile", "Scrum", "Basic", "CMMI"]
    type: tuple[WorkItemType, ...] = ()

    def unknown(self, fields: Collection[str]) -> Iterator[str]:
        """The fields and states that its rules name and that aren't there, each with the key that names it."""
        process = Process(self.name, self.based_on, self.type)
        for number, kind in enumerate(self.type):
            states = [name for name, _ in process.states(kind.name)]
            moves = {name: None for old, news in kind.moves.items() for name in (old, *news)}
            yield from (f"type.{number}.moves: there is no state {name}" for name in moves if name not in states)
            for key, names in (("required", kind.required), ("read_only", kind.read_only)):
                yield from (f"type.{number}.{key}: there is no field {name}" for name in names if name not in fields)


def _type_of(name: str) -> str:
    if name in LONG or name.endswith("AcceptanceCriteria"):
        return "html"
    if name in TREES:
        return "treePath"
    if name in IDENTITIES:
        return "identity"
    if name.endswith("Date"):
        return "dateTime"
    return "integer" if name.endswith((".Id", ".Rev", ".Priority")) else "string"


FIELDS: Mapping[str, Field] = {
    name: Field.model_validate({"name": name, "type": _type_of(name)})
    for name in sorted(
        {*CUSTOM, *READ_ONLY, *(f"System.{n}" for n in SYSTEM), *(f"Microsoft.VSTS.{n}" for n in MICROSOFT)}
    )
}


@dataclass(frozen=True)
class Process:
    """One project's process, the fields of its organisation, and the areas and iterations below the project's name."""

    name: str
    based_on: str
    own: tuple[WorkItemType, ...] = ()
    fields: Mapping[str, Field] = field(default_factory=lambda: FIELDS)
    nodes: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: NODES)

    @property
    def types(self) -> tuple[str, ...]:
        """Names of the work item types."""
        return tuple(dict.fromkeys((*PROCESSES[self.based_on], *(own.name for own in self.own))))

    def type(self, name: str) -> str | None:
        """The type of that name, in any case."""
        return next((known for known in self.types if known.lower() == name.lower()), None)

    def rules(self, kind: str) -> WorkItemType:
        """The type's own rules; none where the process is the service's."""
        return next((own for own in self.own if own.name == kind), WorkItemType(name=kind))

    def states(self, kind: str) -> tuple[tuple[str, str], ...]:
        """States and their categories; a Task of Scrum has Basic's states with `In Progress` for `Doing`."""
        if own := self.rules(kind).states:
            return tuple(own.items())
        if self.based_on == "Scrum" and kind == "Task":
            return (("To Do", "Proposed"), ("In Progress", "InProgress"), ("Done", "Completed"))
        return STATES[self.based_on]

    def moves(self, kind: str) -> dict[str, tuple[str, ...]]:
        """The states that each state leads to; a new item, which has none yet, only to the first."""
        names, own = tuple(name for name, _ in self.states(kind)), self.rules(kind).moves
        return {"": names[:1]} | {name: own.get(name, tuple(n for n in names if n != name)) for name in names}

    def defaults(self, kind: str) -> dict[str, object]:
        """Fields that a new work item has without being told."""
        fields: dict[str, object] = {
            "System.State": self.states(kind)[0][0],
            "System.Reason": REASONS[self.based_on],
            "Microsoft.VSTS.Common.Priority": 2,
        }
        if kind == "Bug":
            fields |= {"Microsoft.VSTS.Common.Severity": "3 - Medium", "Microsoft.VSTS.Common.ValueArea": "Business"}
        return fields

    def paths(self, project: str, tree: str) -> list[str]:
        """The paths of a project's areas or iterations."""
        return [project, *(f"{project}\\{path}" for path in self.nodes[tree])]

    def node(self, project: str, tree: str, path: str = "") -> dict[str, object]:
        """A node of the tree with all below it, as the vendor describes it."""
        nodes, depth = self.nodes[tree], len(path.split("\\")) if path else 0
        below = [one for one in nodes if one.count("\\") == depth and one.startswith(f"{path}\\" if path else "")]
        kind = "area" if tree == "System.AreaPath" else "iteration"
        place = f"\\{project}\\{kind.title()}" + (f"\\{path}" if path else "")
        shown: dict[str, object] = {"name": path.rpartition("\\")[2] or project, "structureType": kind, "path": place}
        number = 1 + (nodes.index(path) + 1 if path else 0)
        shown |= {"id": number, "hasChildren": bool(below)}
        return shown | ({"children": [self.node(project, tree, one) for one in below]} if below else {})


def process_of(store: Store, project: str) -> Process:
    """The process of a project."""
    name = store.projects[project]
    own: OwnProcess | None = store.processes.get(name)
    return Process(name, own.based_on if own else name, own.type if own else (), fields_of(store), store.nodes)


def fields_of(store: Store) -> Mapping[str, Field]:
    """All fields of the organisation."""
    return {**FIELDS, **store.item_fields}


def known(fields: Mapping[str, Field], name: str) -> Field | None:
    """The field of that name, in any case."""
    return next((found for own, found in fields.items() if own.lower() == name.lower()), None)
