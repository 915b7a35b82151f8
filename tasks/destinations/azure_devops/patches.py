"""JSON Patch documents (RFC 6902) for work items. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tasks.destinations.azure_devops.plan import Value, WorkItemPlan
from tasks.model import Link

LINK_COMMENT = "Afterword:"
Operations = list[dict[str, object]]


def operation(op: str, path: str, value: object) -> dict[str, object]:
    """One operation."""
    return {"op": op, "path": path, "value": value}


def field_operations(plan: WorkItemPlan, fields: Mapping[str, Value]) -> Operations:
    """Operations that write `fields`, and say which of them are Markdown."""
    written = [operation("add", f"/fields/{_pointer(name)}", value) for name, value in fields.items()]
    formats = {name: form for name, form in plan.formats.items() if name in fields}
    return written + [
        operation("add", f"/multilineFieldsFormat/{_pointer(name)}", form) for name, form in formats.items()
    ]


def relinked(item: Mapping[str, Any], links: tuple[Link, ...]) -> Operations:
    """The operations that make the item's hyperlinks of ours lead to these pages; a person's link is left alone."""
    present = [
        (place, str(row.get("url")), str((row.get("attributes") or {}).get("comment") or ""))
        for place, row in enumerate(item.get("relations") or [])
        if row.get("rel") == "Hyperlink"
    ]
    wanted = {link.url: f"{LINK_COMMENT} {link.title}" for link in links}
    stale = [place for place, url, comment in present if comment.startswith(LINK_COMMENT) and url not in wanted]
    there = {url for _, url, _ in present}
    removals: Operations = [{"op": "remove", "path": f"/relations/{place}"} for place in reversed(stale)]
    return removals + [
        operation("add", "/relations/-", {"rel": "Hyperlink", "url": url, "attributes": {"comment": comment}})
        for url, comment in wanted.items()
        if url not in there
    ]


def under(organisation: str, parent: str) -> Operations:
    """The operation that puts a new item below another; none without one."""
    url = f"{organisation}/_apis/wit/workItems/{parent}"
    link = {"rel": "System.LinkTypes.Hierarchy-Reverse", "url": url}
    return [operation("add", "/relations/-", link)] if parent else []


def file_names(item: Mapping[str, Any]) -> list[str]:
    """The names of the item's files."""
    files = [row for row in item.get("relations") or [] if row.get("rel") == "AttachedFile"]
    return [str((row.get("attributes") or {}).get("name")) for row in files]


def with_file(url: str) -> Operations:
    """The operation that attaches an uploaded file."""
    value = {"rel": "AttachedFile", "url": url, "attributes": {"comment": f"{LINK_COMMENT} the document"}}
    return [operation("add", "/relations/-", value)]


def dump(operations: Operations) -> bytes:
    """The document as it is sent."""
    return json.dumps(operations, ensure_ascii=False).encode("utf-8", "replace")


def _pointer(name: str) -> str:
    """A JSON Pointer segment (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")
