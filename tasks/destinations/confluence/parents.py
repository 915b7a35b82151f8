"""The page that a path of titles leads to, from the top of a space; what is missing is created, each page once.

Confluence keeps titles unique in a space, so that a create that was sent twice is refused the second time, and the page that
has the title by then is the one that was wanted: after a lost answer, and where several jobs create the same path at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from tasks.destinations.confluence.api import Dialect, Draft, Page, TitleTaken
from tasks.errors import Permanent, Transient

# What a page that was made for others shows: the list of the pages below it.
BODY = '<p><ac:structured-macro ac:name="children"></ac:structured-macro></p>'
MESSAGE = "Afterword: parent page"


async def parent_at(api: Dialect, space: str, titles: Sequence[str], *, create: bool) -> str | None:
    """The id of the page at the end of the path; None where a page is missing and none is to be created.

    The first title is looked for anywhere in the space, each further one below the page before it. Raises `Permanent` for a
    title that a page elsewhere has, and for a page that may not be created.
    """
    above: str | None = None
    for number, title in enumerate(titles):
        path = "/".join(titles[: number + 1])
        found = await _standing(api, space, title, above, path)
        if found is None and not create:
            return None
        above = found or await _made(api, space, title, above, path)
    return above


async def _standing(api: Dialect, space: str, title: str, above: str | None, path: str) -> str | None:
    """The page of that title at that place; raises where the space's only page of that title is elsewhere."""
    rows = await api.titled(space, title)
    for row in rows:
        if row.status == "current" and (above is None or row.parent_id == above):
            return row.id
    if rows:
        raise _elsewhere(rows[0], path)
    return None


def _elsewhere(page: Page, path: str) -> Permanent:
    where = "under another parent" if page.status == "current" else page.status
    return Permanent(
        f"The parent page {path!r} can't be created: the space already has a page {page.title!r}, which is {where} ({page.url}).",
        code="parent_elsewhere",
        advice="Confluence permits a title once in a space. Move or restore that page, name it by its number, or use a path "
        "whose titles are its own, such as Post-mortems/2026/2026-11; then `afterword job retry`.",
    )


async def _made(api: Dialect, space: str, title: str, above: str | None, path: str) -> str:
    """The new page, or the one that somebody else created in the meantime."""
    try:
        return (await api.create(Draft(title=title, body=BODY, space=space, parent_id=above, message=MESSAGE))).id
    except TitleTaken:
        found = await _standing(api, space, title, above, path)
    except Transient as failure:  # Data Center may say with a bare 500 that a title is taken
        found = await _standing(api, space, title, above, path) if failure.status == 500 else None
        if found is None:
            raise
    except Permanent as refused:
        raise Permanent(
            f"The parent page {path!r} can't be created. {refused.message}",
            code="parent_refused",
            advice=refused.advice,
            status=refused.status,
            excerpt=refused.excerpt,
        ) from None
    if found is None:
        raise Transient(
            f"The title of the parent page {path!r} is taken by a page that can't be seen yet, or not by this account.",
            code="parent_hidden",
            advice="Let the account see that page, or name a path of other titles.",
            answered=True,
        )
    return found
