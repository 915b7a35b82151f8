"""Which command files an issue with a destination, whatever kind of ticket that takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.destinations.settings import DestinationSettings
from tasks.errors import Refused
from tasks.model import Command, CommandName, parse_command

TICKETS: Mapping[str, CommandName] = {
    "servicenow": CommandName.INCIDENT,
    "azure_devops": CommandName.WORK_ITEM,
    "jira": CommandName.JIRA_ISSUE,
}
WITH_PROJECT = frozenset(("azure_devops", "jira"))


def ticket_command(
    name: str,
    settings: DestinationSettings,
    issue_id: str,
    *,
    project: str | None = None,
    config: Mapping[str, Any] | None = None,
) -> Command:
    """The command for the destination of that name; `project` is the settings' own by default.

    Raises `Refused` where the destination takes no tickets, where there is no project, or where an argument doesn't fit.
    """
    kind = str(getattr(settings, "kind", ""))
    if kind not in TICKETS:
        raise Refused(
            f"{name} takes pages and no tickets.",
            code="wrong_kind",
            advice="Name a destination of another kind.",
        )
    given: dict[str, Any] = {"command": TICKETS[kind], "issue_id": issue_id, "destination": name, "config": config}
    if kind in WITH_PROJECT:
        given["project"] = project
    elif project or (config or {}).get("work_item_type"):
        raise Refused(
            f"{name} takes incidents, which have neither project nor type.",
            code="bad_arguments",
            advice="Leave out `--project` and `--type`.",
        )
    return settings.placed(parse_command(given))
