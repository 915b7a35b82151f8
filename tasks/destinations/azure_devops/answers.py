"""How Azure DevOps answers. What doesn't fit raises, for `Response.parsed` to tell."""

from __future__ import annotations

from typing import Any

from tasks.destinations.contract import identifier


def work_item(answer: dict[str, Any]) -> dict[str, Any]:
    """A work item, its `url` the one where people look at it; raises `LookupError`, `ValueError` or `TypeError` where a part
    that is looked at has another form.
    """
    relations = answer.get("relations") or []
    if not isinstance(answer.get("fields", {}), dict) or not isinstance(answer.get("rev"), int):
        raise TypeError("fields")
    if not all(isinstance(row, dict) and isinstance(row.get("attributes") or {}, dict) for row in relations):
        raise TypeError("relations")
    return answer | {"id": identifier(answer["id"]), "url": _address(answer)}


def dry_run(answer: object) -> dict[str, Any]:
    """What a write that is only validated answers; raises `TypeError` where that is no object."""
    if not isinstance(answer, dict):
        raise TypeError("no object")
    return answer


def _address(answer: dict[str, Any]) -> str:
    links = answer.get("_links") or {}
    page = links.get("html") if isinstance(links, dict) else links
    if page is not None and not isinstance(page, dict):
        raise TypeError("_links")
    return str((page or {}).get("href") or answer.get("url") or "")
