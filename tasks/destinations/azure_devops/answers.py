"""How Azure DevOps answers. What doesn't fit raises, for `Response.parsed` to tell."""

from __future__ import annotations

from typing import Any

from tasks.destinations.contract import identifier

ANONYMOUS = "aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa"


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


def signed_in(answer: dict[str, Any]) -> str:
    """Who is signed in; empty for an anonymous visitor. Raises `LookupError`, `TypeError` or `AttributeError` where the
    answer has another form.
    """
    user = answer["authenticatedUser"]
    descriptors = f"{user.get('descriptor')} {user.get('subjectDescriptor')}"
    if "System:PublicAccess" in descriptors or user.get("id") == ANONYMOUS:
        return ""
    account = (user.get("properties") or {}).get("Account") or {}
    names = (user.get("customDisplayName"), user.get("providerDisplayName"), account.get("$value"), user["id"])
    return str(next(filter(None, names)))


def _address(answer: dict[str, Any]) -> str:
    links = answer.get("_links") or {}
    page = links.get("html") if isinstance(links, dict) else links
    if page is not None and not isinstance(page, dict):
        raise TypeError("_links")
    return str((page or {}).get("href") or answer.get("url") or "")
