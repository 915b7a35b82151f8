"""One page's life: create it once, bring it up to date, leave it alone where nothing changed.

1. find    the page of the last receipt; after a write of unknown end, the page of that title that is ours
2. create  one POST with the whole body; a title that is taken has three settable answers
3. judge   did somebody edit it; does it show this content already
4. limit   readers and editors, before any text of ours can be read by others
5. write   the next version, with readers' inline comments put back; 409s are told apart by reading again
6. finish  files, labels, the page's status, and last our content property: until it is there, the next attempt finishes what is missing

Every step looks at what is there, so an attempt that died after any request is continued and never repeated. Whole bodies
are read in a thread: one of a megabyte takes seconds, and the loop has to say meanwhile that this worker lives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from tasks.destinations.confluence.access import Access, People, limit, people_of
from tasks.destinations.confluence.api import (
    MAY_BE_TAKEN,
    Dialect,
    Draft,
    NotVisible,
    Page,
    TitleTaken,
    VersionConflict,
)
from tasks.destinations.confluence.finding import known_page, names_other_parent, with_mark
from tasks.destinations.confluence.finish import Finish
from tasks.destinations.confluence.links import links_panel, with_links
from tasks.destinations.confluence.mark import (
    Mark,
    Standing,
    anchor,
    anchor_digest,
    judge,
    message_of,
)
from tasks.destinations.confluence.parents import Path
from tasks.destinations.confluence.plan import TITLE_LENGTH, Found, PagePlan, Policy
from tasks.destinations.contract import Work
from tasks.errors import AttemptFailed, Held, Permanent, Transient
from tasks.markup.confluence.inline_comments import carry_over
from tasks.markup.confluence.stored import split_links
from tasks.model import PublishToConfluence, Receipt

WRITES = 4
Change = Literal["created", "updated", "unchanged", "found", "skipped"]


class Keeper:
    """Keeps one subject's page, for one attempt."""

    def __init__(self, api: Dialect, work: Work, plan: PagePlan, policy: Policy, now_ms: Callable[[], int]) -> None:
        if not isinstance(work.command, PublishToConfluence):
            raise Permanent("Confluence takes documents only.", code="wrong_kind")
        self.api, self.work, self.plan, self.policy, self.now_ms = api, work, plan, policy, now_ms
        self.command = work.command
        self._space: str | None = None
        self.parent_id = plan.parent_id
        self.notes: list[str] = []
        self.told: tuple[str, ...] = ()
        self.people = People()
        self.adopted = False

    async def deliver(self) -> Receipt:
        """The whole life of the page, up to this content."""
        found = await self.known()
        if found is not None:
            return await self._bring_up_to_date(found, found_again=False)
        if self.work.doubt_until_ms is not None:
            for title in dict.fromkeys((self.work.tried or self.plan.title, self.plan.title)):
                found = await self.ours(title)
                if found is not None:
                    return await self._bring_up_to_date(found, found_again=True)
            self.work.settle_doubt(self.now_ms())
        return await self._create()

    # -- find ----------------------------------------------------------------------------------------------------

    async def space(self) -> str:
        """What the API calls the job's space; raises `Permanent` where there is none."""
        if self._space is None:
            self._space = await self.api.space(self.command.space_key or "")
        if self._space is None:
            raise Permanent(
                f"There is no space {self.command.space_key!r}, or the account can't see it.",
                code="unknown_space",
                advice="Check the key and the account's rights, then submit again.",
            )
        return self._space

    async def known(self) -> Found | None:
        """The page of the last receipt, unless it is gone, archived or in the trash."""
        return await known_page(self.api, self.work)

    async def ours(self, title: str) -> Found | None:
        """The current page of that title, if it carries our property or our anchor."""
        return await self._ours_of(await self.api.titled(await self.space(), title))

    async def _ours_of(self, rows: Sequence[Page]) -> Found | None:
        for row in rows:
            page = await self.api.page(row.id) if row.status == "current" else None
            if page is None:
                continue
            found = await with_mark(self.api, page)
            by_anchor = anchor_digest(page.body, self.work.subject) is not None
            if found.mark.subject == self.work.subject if found.mark else by_anchor:
                return found
        return None

    async def place(self, found: Found | None = None, *, create: bool = True) -> None:
        """Find the parent page that the job names by a path, unless the page is where that path led the last time."""
        if not self.plan.parent_titles:
            return
        if found is not None and not names_other_parent(self.work, found):
            self.parent_id = found.page.parent_id
            return
        key, folders = self.command.space_key or "", self.policy.missing_parents == "folders"
        self.parent_id = await Path(self.api, await self.space(), key, self.plan.parent_titles, folders).end(
            create=create
        )

    # -- create --------------------------------------------------------------------------------------------------

    def draft(self, title: str, space: str = "") -> Draft:
        """The page to be written under that title."""
        body = self.plan.body + links_panel(self.work.links) + anchor(self.work.subject, self.plan.digest)
        return Draft(
            title=title,
            body=body,
            space=space,
            parent_id=self.parent_id,
            message=message_of(self.plan.digest),
            minor=self.policy.minor_edit,
            private=bool(self.plan.access.readers),
            owner=self.people.owner,
        )

    def _cover(self, draft: Draft) -> Draft:
        """A page that says nothing, to be limited before it gets its title and text, where none can be created private."""
        subject = self.work.subject
        return draft.model_copy(update={"title": f"Afterword {subject}", "body": anchor(subject, ""), "message": ""})

    async def _create(self) -> Receipt:
        await self.look_up(None)
        await self.place()
        draft = self.draft(self.plan.title, await self.space())
        covered = draft.private and not self.api.creates_private
        for _ in range(WRITES):
            first = self._cover(draft) if covered and not await self.api.titled(draft.space, draft.title) else draft
            page = await self._post(first) if first is not draft or not covered else None
            if page is not None:
                return await self._open(Found(page, None, None), draft, complete=first is draft)
            answer = await self.answer_to_conflict(first.title)
            if isinstance(answer, Found):
                return await self._bring_up_to_date(answer, found_again=not self.adopted)
            draft = draft.model_copy(update={"title": answer})
        raise Permanent("Every numbered title is taken too.", code="title_taken", advice="Give it another title.")

    async def _open(self, found: Found, draft: Draft, *, complete: bool) -> Receipt:
        """Finish a new page: limited first, then with its title and text where it lacks them, or with its owner."""
        try:
            await self._limit(found)
            if not complete or (draft.owner and draft.owner != found.page.owner):
                page, draft = await self._write(found, draft)
                found = Found(page, None, None)
        except AttemptFailed as failure:
            failure.receipt = self._receipt(found.page, "created", "The page is not complete yet.")
            raise
        return await self._finish(found, draft, "created", fresh=True)

    async def _post(self, draft: Draft) -> Page | None:
        """The new page; None where its title is taken."""
        try:
            return await self.api.create(draft)
        except TitleTaken:
            return None
        except (Permanent, Transient) as failure:
            if failure.status not in MAY_BE_TAKEN or not await self.api.titled(draft.space, draft.title):
                raise
            return None

    async def answer_to_conflict(self, title: str) -> Found | str:
        """Our page that has the title after all, or the one to adopt, or a numbered title to take; raises by policy."""
        holders = await self.api.titled(await self.space(), title)
        ours = await self._ours_of(holders)
        if ours is not None:
            return ours
        if not holders and self.work.doubt_until_ms is not None:
            raise Transient(
                "The title is taken by a page that can't be seen; it may be ours, created a moment ago.",
                code="title_hidden",
                answered=True,
            )
        if self.policy.on_title_conflict == "number":
            return await self._numbered()
        if self.policy.on_title_conflict == "adopt" and holders and holders[0].status == "current":
            page = await self.api.page(holders[0].id)
            if page is not None:
                self.notes.append("A page of this title that was not ours was adopted.")
                self.adopted = True
                return await with_mark(self.api, page)
        status = holders[0].status if holders else "hidden from this account"
        where = f" ({holders[0].url})" if holders else ""
        whose = " that is not ours" if status == "current" else ""
        raise Permanent(
            f"The space already has a page of this document's title{whose}; it is {status}{where}.",
            code="title_taken",
            advice="Rename, restore or remove it, give the document another title, "
            "or set `on_title_conflict` to adopt or number; then `afterword job retry`.",
        )

    async def _numbered(self) -> Found | str:
        for number in range(2, 100):
            suffix = f" ({number})"
            title = self.plan.title[: TITLE_LENGTH - len(suffix)] + suffix
            if not await self.api.titled(await self.space(), title):
                return title
            ours = await self.ours(title)
            if ours is not None:
                return ours
        raise Permanent(
            "Ninety-nine pages have this title already.", code="title_taken", advice="Give it another title."
        )

    # -- limit ---------------------------------------------------------------------------------------------------

    async def look_up(self, mark: Mark | None) -> None:
        """Find the people whom the settings name anew; raises `Permanent` for one that nobody or several may be."""
        known, wanted = mark.access if mark else Access(), self.plan.access
        self.told = wanted.said(known)
        operations = wanted.limits(known)
        if operations or (wanted.owner and wanted.owner != known.owner):
            self.people = await people_of(self.api, wanted, operations)
            if wanted.owner == known.owner:
                self.people = replace(self.people, owner="")

    async def _limit(self, found: Found) -> None:
        known = found.mark.access if found.mark else Access()
        if self.plan.access.limits(known):
            unfinished = found.mark is None and not self.adopted
            await limit(self.api, found.page.id, self.people, unfinished=unfinished)

    async def _limit_edited(self, found: Found) -> None:
        """Set readers and editors of a page whose text stays somebody else's, and remember that they are set."""
        if found.mark is None or not self.plan.access.limits(found.mark.access):
            return
        await self.look_up(found.mark)
        await self._limit(found)
        known, limits = found.mark.access, Access(readers=self.plan.access.readers, editors=self.plan.access.editors)
        self.told = limits.said(known)
        if (access := limits.over(known)) != known:
            value = found.mark.model_copy(update={"access": access})
            await self.api.set_mark(found.page.id, value.model_dump(mode="json"), found.mark_version)

    # -- judge and write -----------------------------------------------------------------------------------------

    def title_for(self, found: Found) -> str:
        """The page's title: a numbered one stays as long as the document's is the same."""
        mark = found.mark
        return mark.shown if mark and mark.shown and mark.title == self.plan.title else self.plan.title

    async def standing(self, found: Found) -> Standing:
        """How the page stands now."""
        known, wanted = (found.page, found.mark), (self.plan.body, self.title_for(found))
        return await asyncio.to_thread(judge, *known, self.work.subject, *wanted)

    def moves(self, page: Page) -> bool:
        """Whether the job names another parent than the page has, or one that is missing yet."""
        named = bool(self.plan.parent_id or self.plan.parent_titles)
        return named and (self.parent_id is None or page.parent_id != self.parent_id)

    def shows_all(self, found: Found) -> bool:
        """Whether an earlier delivery of this content came to its end."""
        mark, plan = found.mark, self.plan
        return (
            mark is not None
            and mark.access == plan.access.over(mark.access)
            and mark.body_sha == plan.digest
            and mark.asked == plan.labels
            and mark.appearance == plan.appearance
            and {file.name: file.sha for file in plan.files}.items() <= mark.files.items()
        )

    async def _bring_up_to_date(self, found: Found, *, found_again: bool) -> Receipt:
        standing = await self.standing(found)
        if standing.edited and not self.work.released and self.policy.on_drift != "overwrite":
            await self._limit_edited(found)
            if self.policy.on_drift == "hold":
                raise self.edited(found)
            return self._receipt(found.page, "skipped", "The page was edited by hand and was kept as it is.")
        await self.place(found)
        shown = standing.shows == self.plan.digest[:12] and not standing.edited
        current = shown and not self.moves(found.page)
        if current and self.shows_all(found):
            return self._receipt(found.page, "found" if found_again else "unchanged")
        await self.look_up(found.mark)
        await self._limit(found)
        draft = self.draft(self.title_for(found))
        if current and draft.owner in ("", found.page.owner):
            return await self._finish(found, draft, "found" if found_again else "updated")
        page, draft = await self._write(found, draft)
        return await self._finish(Found(page, found.mark, found.mark_version), draft, "updated")

    def edited(self, found: Found) -> Held:
        """What a job that meets an edited page is held with."""
        last = found.mark.version if found.mark else 1
        return Held(
            f"Somebody edited the page after version {last}; it is at version {found.page.version} now.",
            code="drift",
            advice="See it with `afterword publish … --dry-run`; release the job to overwrite it, or cancel it to keep it.",
        )

    async def _write(self, found: Found, draft: Draft) -> tuple[Page, Draft]:
        """The page's next version. After a 409 the page is read again: ours, somebody else's, or unchanged."""
        conflict: VersionConflict | None = None
        for _ in range(WRITES):
            whole = await asyncio.to_thread(self._with_what_stays, found.page, draft)
            try:
                return await self.api.update(found.page, whole), whole
            except TitleTaken:
                draft = await self._other_title(draft)
            except Permanent as refused:
                if refused.status not in MAY_BE_TAKEN or not await self._has_another(draft.title, found.page.id):
                    raise
                draft = await self._other_title(draft)
            except VersionConflict as refused:
                conflict = refused
                page = await self.api.page(found.page.id)
                if page is None:
                    raise NotVisible("The page is gone.", code="page_not_visible", answered=True) from None
                moved_on = page.version != found.page.version
                found = Found(page, found.mark, found.mark_version)
                standing = await self.standing(found)
                if moved_on and standing.shows == self.plan.digest[:12] and not standing.edited:
                    return page, draft
                if moved_on and standing.edited and self.policy.on_drift != "overwrite" and not self.work.released:
                    raise self.edited(found) from None
        raise conflict or Permanent("Every numbered title is taken too.", code="title_taken", advice="Rename it.")

    async def _has_another(self, title: str, page_id: str) -> bool:
        """Whether another page than that one has the title."""
        return any(page.id != page_id for page in await self.api.titled(await self.space(), title))

    def _with_what_stays(self, page: Page, draft: Draft) -> Draft:
        """The draft with readers' comments put back, and with the links that the page already shows."""
        body = draft.body
        if not self.work.links and self.policy.cross_links:
            body = with_links(body, split_links(page.body)[1], self.work.subject)
        carried = carry_over(page.body, body)
        self.notes = [note for note in self.notes if "inline comment" not in note]
        if carried.lost:
            noun = "inline comment stands" if carried.lost == 1 else "inline comments stand"
            self.notes.append(
                f"{carried.lost} {noun} on text that the new version no longer has ({carried.kept} kept)."
            )
        return draft.model_copy(update={"body": carried.body})

    async def _other_title(self, draft: Draft) -> Draft:
        """The draft under a numbered title where policy allows that."""
        if self.policy.on_title_conflict != "number":
            holders = await self.api.titled(await self.space(), draft.title)
            status = holders[0].status if holders else "hidden from this account"
            where = f" ({holders[0].url})" if holders else ""
            raise Permanent(
                f"The page can't be renamed to the document's new title: another page has it; it is {status}{where}.",
                code="title_taken",
                advice="Give the document another title, or set `on_title_conflict` to number.",
            )
        answer = await self._numbered()
        return draft.model_copy(update={"title": answer if isinstance(answer, str) else answer.page.title})

    # -- finish --------------------------------------------------------------------------------------------------

    async def _finish(self, found: Found, draft: Draft, change: Change, *, fresh: bool = False) -> Receipt:
        """What belongs to the page beside its text. Where that is refused, the page that stands is named with the refusal."""
        try:
            finish = Finish(self.api, self.work, self.plan, self.parent_id or "", adopted=self.adopted)
            return self._receipt(await finish.page(found, draft, fresh=fresh), change)
        except AttemptFailed as failure:
            failure.receipt = self._receipt(found.page, change, "Files, labels or our mark are still missing.")
            raise

    def _receipt(self, page: Page, change: Change, *warnings: str) -> Receipt:
        said = (*self.plan.warnings, *self.notes, *warnings)
        return Receipt(id=page.id, url=page.url, change=change, version=page.version, warnings=said, notes=self.told)
