"""The page or folder that a path of titles leads to, from the top of a space; what is missing is created, each once.

Confluence keeps titles unique in a space, so that a create that was sent twice is refused the second time, and the page that
has the title by then is the one that was wanted: after a lost answer, and where several jobs create the same path at once.
Folders, which only the Cloud has, have unique titles of their own beside those of pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.destinations.confluence.api import MAY_BE_TAKEN, Dialect, Draft, Page, TitleTaken
from tasks.errors import AttemptFailed, DestinationTrouble, Permanent, Transient

# What a page that was made for others shows: the list of the pages below it.
BODY = '<p><ac:structured-macro ac:name="children"></ac:structured-macro></p>'
MESSAGE = "Afterword: parent page"


@dataclass(frozen=True)
class Path:
    """A way down a space. `space` is what the API calls the space of that `key`; what is missing is a page or a folder."""

    api: Dialect
    space: str
    key: str
    titles: Sequence[str]
    folders: bool = False

    async def end(self, *, create: bool) -> str | None:
        """The id of the page or folder at the end; None where one is missing and none is to be created.

        The first title is looked for anywhere in the space, each further one below the one before it. Raises `Permanent` for
        a title that a page elsewhere has, and for a page that may not be created.
        """
        above: str | None = None
        for number, title in enumerate(self.titles):
            path = "/".join(self.titles[: number + 1])
            found = await self._standing(title, above, path)
            if found is None and not create:
                return None
            above = found or await self._made(title, above, path)
        return above

    async def _standing(self, title: str, above: str | None, path: str) -> str | None:
        """The page of that title at that place, else the folder; raises where a page is to be created and the space's only
        page of that title is elsewhere.
        """
        rows = await self.api.titled(self.space, title)
        for row in rows:
            if row.status == "current" and (above is None or row.parent_id == above):
                return row.id
        folder = await self.api.folder(self.space, self.key, title, above)
        if folder is not None:
            return folder.id
        if rows and not self.folders:
            raise _elsewhere(rows[0], path)
        return None

    async def _made(self, title: str, above: str | None, path: str) -> str:
        """The new page or folder, or the one that somebody else created in the meantime."""
        try:
            if self.folders:
                return (await self.api.create_folder(self.space, title, above)).id
            draft = Draft(title=title, body=BODY, space=self.space, parent_id=above, message=MESSAGE)
            return (await self.api.create(draft)).id
        except TitleTaken:
            found = await self._standing(title, above, path)
        except (Permanent, Transient) as refused:
            taken = refused.status in MAY_BE_TAKEN
            found = await self._standing(title, above, path) if taken else None
            if found is None and isinstance(refused, Transient):
                raise
            if found is None:
                raise Permanent(
                    self._words(path, refused),
                    code="parent_refused",
                    advice=refused.advice,
                    status=refused.status,
                    excerpt=refused.excerpt,
                ) from None
        except DestinationTrouble as refused:  # such as a right that is missing: whose trouble it is gets examined
            if refused.passing == "job":
                refused.message = self._words(path, refused)
                refused.args = (refused.message,)
            raise
        if found is None:
            what = "folder" if self.folders else "page"
            raise Transient(
                f"The title of the parent {what} {path!r} is taken by a {what} elsewhere, or by one that can't be seen yet.",
                code="parent_hidden",
                advice=f"Let the account see that {what}, or name a path of other titles.",
                answered=True,
            )
        return found

    def _words(self, path: str, refused: AttemptFailed) -> str:
        return f"The parent {'folder' if self.folders else 'page'} {path!r} can't be created. {refused.message}"


def _elsewhere(page: Page, path: str) -> Permanent:
    where = "under another parent" if page.status == "current" else page.status
    return Permanent(
        f"The parent page {path!r} can't be created: the space already has a page {page.title!r}, which is {where} ({page.url}).",
        code="parent_elsewhere",
        advice="Confluence permits a title once in a space. Move or restore that page, name it by its number, or use a path "
        "whose titles are its own, such as Post-mortems/2026/2026-11; then `afterword job retry`.",
    )
