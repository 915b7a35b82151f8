"""What Azure DevOps's processes define: work item types, their first states, fields and allowed values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.sandbox.store import NODES

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
FIELD_NAMES = frozenset(
    {*CUSTOM} | {f"System.{n}" for n in SYSTEM} | {f"Microsoft.VSTS.{n}" for n in MICROSOFT} | READ_ONLY
)
DATED = (".ActivatedDate", ".ClosedDate", ".ResolvedDate", ".CreatedDate", ".ChangedDate")
LONG = ("System.Description", "System.History", "Microsoft.VSTS.TCM.ReproSteps", "Microsoft.VSTS.TCM.SystemInfo")


@dataclass(frozen=True)
class Process:
    """One project's process, and the areas and iterations below the project's name."""

    name: str
    nodes: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: NODES)

    @property
    def types(self) -> tuple[str, ...]:
        """Names of the work item types."""
        return PROCESSES[self.name]

    def type(self, name: str) -> str | None:
        """The type of that name, in any case."""
        return next((known for known in self.types if known.lower() == name.lower()), None)

    def states(self, kind: str) -> tuple[tuple[str, str], ...]:
        """States and their categories; a Task of Scrum has Basic's states with `In Progress` for `Doing`."""
        if self.name == "Scrum" and kind == "Task":
            return (("To Do", "Proposed"), ("In Progress", "InProgress"), ("Done", "Completed"))
        return STATES[self.name]

    def defaults(self, kind: str) -> dict[str, object]:
        """Fields that a new work item has without being told."""
        fields: dict[str, object] = {
            "System.State": self.states(kind)[0][0],
            "System.Reason": REASONS[self.name],
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


def known(field: str) -> str | None:
    """The field's own spelling; None for one that doesn't exist."""
    return next((name for name in FIELD_NAMES if name.lower() == field.lower()), None)


def field_type(field: str) -> str:
    """The field's type as the vendor names it."""
    if field in LONG or field.endswith("AcceptanceCriteria"):
        return "html"
    if field in TREES:
        return "treePath"
    if field.endswith(DATED):
        return "dateTime"
    return "integer" if field.endswith((".Id", ".Rev", ".Priority")) else "string"
