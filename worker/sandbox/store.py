"""What the simulated vendors hold. Pure memory; time comes in as a function."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

SPACES = ("OPS", "ENG", "SRE", "DOCS", "KB")
AGILE = ("Bug", "Epic", "Feature", "Issue", "Task", "User Story")
PROJECTS = {
    "Operations": AGILE,
    "Payments": AGILE,
    "Platform": ("Bug", "Epic", "Feature", "Impediment", "Product Backlog Item", "Task"),
    "Starter": ("Epic", "Issue", "Task"),
}


@dataclass
class Page:
    """One Confluence page with its properties and labels."""

    id: str
    space: str
    title: str
    body: str
    version: int = 1
    parent: str | None = None
    status: str = "current"
    created: float = 0.0
    properties: dict[str, dict[str, Any]] = field(default_factory=dict)
    labels: list[str] = field(default_factory=list)


@dataclass
class Store:
    """Everything delivered so far, and every request seen."""

    clock: Callable[[], float] = time.time
    spaces: dict[str, str] = field(default_factory=lambda: {key: str(98300 + i) for i, key in enumerate(SPACES)})
    projects: dict[str, tuple[str, ...]] = field(default_factory=lambda: dict(PROJECTS))
    pages: dict[str, Page] = field(default_factory=dict)
    incidents: dict[str, dict[str, str]] = field(default_factory=dict)
    items: dict[int, dict[str, Any]] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)
    blind_until: float = 0.0
    unseen_until: float = 0.0
    ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1001))

    def reset(self) -> None:
        """Forget all that was delivered."""
        for held in (self.pages, self.incidents, self.items, self.requests):
            held.clear()  # type: ignore[attr-defined]

    def summary(self) -> dict[str, Any]:
        """Counts and objects, for tests and for the pages."""
        objects = [
            {
                "vendor": "confluence",
                "kind": "page",
                "id": p.id,
                "title": p.title,
                "version": p.version,
                "key": (p.properties.get("afterword", {}).get("value") or {}).get("subject"),
                "space": p.space,
                "status": p.status,
                "body": p.body,
            }
            for p in self.pages.values()
        ]
        objects += [
            {
                "vendor": "servicenow",
                "kind": "incident",
                "id": r["sys_id"],
                "title": r["short_description"],
                "version": int(r["sys_mod_count"]),
                "key": r["correlation_id"],
                "number": r["number"],
                "body": r["description"],
            }
            for r in self.incidents.values()
        ]
        objects += [
            {
                "vendor": "azure_devops",
                "kind": i["fields"]["System.WorkItemType"],
                "id": str(i["id"]),
                "title": i["fields"].get("System.Title", ""),
                "version": i["rev"],
                "key": next((t for t in tags_of(i) if t.startswith("aw-")), None),
                "body": str(
                    i["fields"].get("Microsoft.VSTS.TCM.ReproSteps") or i["fields"].get("System.Description") or ""
                ),
            }
            for i in self.items.values()
        ]
        counts = {"pages": len(self.pages), "incidents": len(self.incidents), "work_items": len(self.items)}
        return {"counts": counts, "objects": objects, "requests": self.requests[-1000:]}


def tags_of(item: dict[str, Any]) -> list[str]:
    """A work item's tags."""
    return [tag.strip() for tag in str(item["fields"].get("System.Tags", "")).split(";") if tag.strip()]
