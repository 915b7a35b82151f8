"""Which project a ticket goes to. Pure."""

from __future__ import annotations

from tasks.errors import Refused
from tasks.model import Command, CreateAzureDevOpsWorkItem, CreateJiraIssue


def in_project(command: CreateAzureDevOpsWorkItem | CreateJiraIssue, project: str | None) -> Command:
    """The command with the project that it names, else with this one; raises `Refused` where there is neither."""
    if command.project is not None:
        return command
    if project is None:
        raise Refused(
            "The job names no project, and neither does its destination.",
            code="no_project",
            advice="Name one (`--project`, `project`), or set `project` of the destination.",
        )
    return command.model_copy(update={"project": project})
