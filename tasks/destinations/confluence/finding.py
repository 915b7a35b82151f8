"""Finding a page that was delivered before, and whether anything about it may be new. Reads only."""

from __future__ import annotations

from tasks.destinations.confluence.api import Dialect, Page
from tasks.destinations.confluence.mark import parse_mark
from tasks.destinations.confluence.plan import Found
from tasks.destinations.contract import Work
from tasks.model import PublishToConfluence, Receipt, titles_of


async def untouched(api: Dialect, work: Work) -> Receipt | None:
    """The receipt of a page whose last delivery had this very source, and that has the same version and place since."""
    found = await known_page(api, work)
    if found is None or found.mark is None or names_other_parent(work, found):
        return None
    page, mark = found.page, found.mark
    if not work.source or (mark.subject, mark.source, mark.version) != (work.subject, work.source, page.version):
        return None
    return Receipt(id=page.id, url=page.url, change="unchanged", version=page.version)


async def known_page(api: Dialect, work: Work) -> Found | None:
    """The page of the last receipt, unless it is gone, archived or in the trash."""
    page = await api.page(work.previous.id) if work.previous else None
    return await with_mark(api, page) if page is not None and page.status == "current" else None


async def with_mark(api: Dialect, page: Page) -> Found:
    """The page with our property."""
    held = await api.mark(page.id)
    return Found(page, parse_mark(held[0]), held[1]) if held else Found(page, None, None)


def names_other_parent(work: Work, found: Found) -> bool:
    """Whether the job may name another parent than the page has. A path is known by where it led the last time."""
    parent = work.command.parent_page_id if isinstance(work.command, PublishToConfluence) else None
    if parent is None:
        return False
    if titles_of(parent) is None:
        return found.page.parent_id != parent
    mark = found.mark
    return mark is None or not mark.parent or (mark.under, mark.parent) != (parent, found.page.parent_id)
