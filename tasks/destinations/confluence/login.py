"""Which scope each call of Confluence Cloud needs.

Source: Atlassian's descriptions of v1 and v2. v1's calls are under classic scopes, v2's under granular ones.
"""

from __future__ import annotations

# Each operation as the audit names it, by its beginning, and the scope that Cloud wants for it.
SCOPE_OF: tuple[tuple[str, str], ...] = (
    ("GET /user/current", "read:confluence-user"),
    ("POST /content/{id}/label", "write:confluence-content"),
    ("DELETE /content/{id}/label", "write:confluence-content"),
    ("PUT /content/{id}/child/attachment", "write:confluence-file"),
    ("GET /spaces", "read:space:confluence"),
    ("GET /pages/{id}/labels", "read:label:confluence"),
    ("GET /pages/{id}/attachments", "read:attachment:confluence"),
    ("GET /pages", "read:page:confluence"),
    ("POST /pages", "write:page:confluence"),
    ("PUT /pages", "write:page:confluence"),
)
# What only some settings need: asked for where they are set.
PEOPLE = (("GET /search/user", "read:confluence-user"),)
LIMITS = (
    ("GET /content/{id}/restriction", "read:confluence-content.permission"),
    ("PUT /content/{id}/restriction", "write:confluence-content"),
)
STATUS = (
    ("GET /content/{id}/state", "read:confluence-content.summary"),
    ("PUT /content/{id}/state", "write:confluence-content"),
)
FOLDERS = (
    ("GET /search", "search:confluence"),
    ("GET /pages/{id}/direct-children", "read:hierarchical-content:confluence"),
    ("GET /folders/{id}/direct-children", "read:hierarchical-content:confluence"),
    ("GET /folders", "read:folder:confluence"),
    ("POST /folders", "write:folder:confluence"),
)
SCOPES = tuple(dict.fromkeys(scope for _, scope in SCOPE_OF))


def scopes_for(*, limits: bool, people: bool, status: bool, folders: bool) -> tuple[str, ...]:
    """The scopes that a login is asked for, with those of the settings that need more."""
    more = [*(LIMITS if limits else ()), *(PEOPLE if people else ()), *(STATUS if status else ())]
    return tuple(dict.fromkeys((*SCOPES, *(scope for _, scope in (*more, *(FOLDERS if folders else ()))))))


def scope_of(operation: str) -> str:
    """The scope that Cloud wants for an operation; empty where none is known."""
    return next(
        (scope for start, scope in (*PEOPLE, *LIMITS, *STATUS, *FOLDERS, *SCOPE_OF) if operation.startswith(start)), ""
    )
