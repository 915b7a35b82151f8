"""What a connection test looks at beside the space: the parent page that the settings name, and the people. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from tasks.destinations.confluence.access import Access, people_of
from tasks.destinations.confluence.api import Dialect
from tasks.destinations.confluence.parents import Path
from tasks.destinations.placeholders import filled, is_plain
from tasks.errors import Permanent
from tasks.model import ConnectionStep, titles_of

PARENT, PEOPLE = "parent page", "readers, editors and owner"


async def parent_step(api: Dialect, space: str, key: str, parent: str) -> ConnectionStep:
    """Whether the parent is there. Of a path, what holds for each document is looked at; what is missing will be created."""
    titles = titles_of(parent)
    if titles is None:
        held = await api.place(space, parent)
        missing = (
            f"there is no page {parent} in this space, it is archived or in the trash, or the account can't see it"
        )
        return ConnectionStep(name=PARENT, ok=held is not None, detail=held or missing)
    fixed = [filled(title, {}) for title in takewhile(is_plain, titles)]
    rest = "" if len(fixed) == len(titles) else "; what comes below depends on the document"
    if not fixed:
        return ConnectionStep(name=PARENT, ok=None, detail="where it is depends on the document")
    return await _path_step(api, space, key, fixed, rest)


async def _path_step(api: Dialect, space: str, key: str, titles: Sequence[str], rest: str) -> ConnectionStep:
    path = "/".join(titles)
    try:
        found = await Path(api, space, key, titles).end(create=False)
    except Permanent as elsewhere:
        return ConnectionStep(name=PARENT, ok=False, detail=str(elsewhere))
    detail = f"{path} is there" if found else f"{path} is missing or in part; the first job creates it"
    return ConnectionStep(name=PARENT, ok=True if found else None, detail=detail + rest)


async def people_step(api: Dialect, access: Access) -> ConnectionStep:
    """Whether everybody is found whom the settings name; whether groups exist is not told by reading."""
    try:
        await people_of(api, access, access.limits(Access()))
    except Permanent as unknown:
        return ConnectionStep(name=PEOPLE, ok=False, detail=str(unknown))
    return ConnectionStep(name=PEOPLE, ok=True, detail="found; groups are not looked at")
