"""What belongs to a page beside its text: files, labels, its width, its status, and last our content property."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tasks.destinations.confluence.api import Dialect, Draft, Page
from tasks.destinations.confluence.mark import Mark
from tasks.destinations.confluence.plan import Found, PagePlan
from tasks.destinations.contract import Work
from tasks.markup.confluence.stored import fingerprint
from tasks.model import PublishToConfluence


@dataclass(frozen=True)
class Finish:
    """Finishes one subject's page. The property says that all of it is done."""

    api: Dialect
    work: Work
    plan: PagePlan
    parent_id: str
    adopted: bool

    async def page(self, found: Found, draft: Draft, *, fresh: bool) -> Page:
        """The page with all of it. `fresh` says that it was created just now."""
        page, mark = found.page, found.mark or Mark()
        await self._upload(page, mark, fresh=fresh)
        labels = await self._label(page, mark, fresh=fresh)
        for key, wanted in self.plan.appearance.items():
            if mark.appearance.get(key) != wanted:
                there = None if fresh else await self.api.property(page.id, key)
                await self.api.set_property(page.id, key, wanted, there[1] if there else None)
        written = page.body or draft.body
        parent = self.work.command.parent_page_id if isinstance(self.work.command, PublishToConfluence) else None
        before = mark.access
        access = self.plan.access.over(before)
        value = Mark(
            subject=self.work.subject,
            job=self.work.job_id,
            body_sha=self.plan.digest,
            version=page.version,
            print=await asyncio.to_thread(fingerprint, written),
            title=self.plan.title,
            shown=page.title or draft.title,
            asked=self.plan.labels,
            labels=labels,
            files=mark.files | {file.name: file.sha for file in self.plan.files},
            links=tuple(link.key for link in self.work.links) or mark.links,
            appearance=dict(self.plan.appearance),
            under=(parent or "") if self.plan.parent_titles else "",
            parent=self.parent_id if self.plan.parent_titles else "",
            access=access.model_copy(update={"page_status": before.page_status}),
            source=self.work.source,
        )
        await self.api.set_mark(page.id, value.model_dump(mode="json"), found.mark_version)
        if access.page_status != before.page_status:
            page = await self._set_status(page, value.model_copy(update={"access": access}))
        return page

    async def _set_status(self, page: Page, value: Mark) -> Page:
        """The page with its new status. That is a version of its own with the same text, so our property comes first, for
        the version before, and once more after it. Other text is somebody's edit, and stays one.
        """
        await self.api.set_status(page.id, value.access.page_status)
        after, held = await self.api.page(page.id), await self.api.mark(page.id)
        if after is not None and after.title == value.shown:
            page = after if await asyncio.to_thread(fingerprint, after.body) == value.print else page
        value = value.model_copy(update={"version": page.version})
        await self.api.set_mark(page.id, value.model_dump(mode="json"), held[1] if held else None)
        return page

    async def _upload(self, page: Page, mark: Mark, *, fresh: bool) -> None:
        wanted = [file for file in self.plan.files if mark.files.get(file.name) != file.sha]
        there = {file.name: file.comment for file in await self.api.files(page.id)} if wanted and not fresh else {}
        for file in wanted:
            if there.get(file.name) != file.comment:
                await self.api.upload(page.id, file.name, file.media_type, file.content, file.comment)

    async def _label(self, page: Page, mark: Mark, *, fresh: bool) -> tuple[str, ...]:
        """Add what is missing, take away what only we had added; returns the labels that are ours."""
        wanted, ours = set(self.plan.labels), set(mark.labels)
        for name in sorted(ours - wanted):
            await self.api.drop_label(page.id, name)
        new = wanted - ours
        there = set(await self.api.labels(page.id)) if new and not fresh else set()
        if new - there:
            await self.api.add_labels(page.id, sorted(new - there))
        theirs = new & there if mark.subject or self.adopted else set()
        return tuple(sorted(wanted - theirs))
