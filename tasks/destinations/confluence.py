"""Confluence: a document on a page, found again by our content property and never by its title alone.

The body ends with an invisible anchor named after the subject, so that a page whose creation we never heard the end of is
known for ours even before its property was written. Titles are unique in a space, so a second create is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import field_validator

from tasks.destinations.confluence_api import CloudV2, DataCenterV1, Dialect, Draft, Page
from tasks.destinations.contract import Account, Destination, DestinationSettings, Prepared, Work, basic
from tasks.errors import DestinationTrouble, Held, Permanent
from tasks.markup import clean
from tasks.markup.confluence import PageOptions, render_page
from tasks.model import ConnectionReport, ConnectionStep, Frozen, PublishToConfluence, Receipt
from tasks.outbound import Http, checked_url

TITLE_LENGTH = 255


class ConfluenceSettings(DestinationSettings):
    """A Confluence site. `space` is the one that the connection test looks at."""

    kind: Literal["confluence"] = "confluence"
    base_url: str
    email: Account | None = None
    space: str | None = None
    flavor: Literal["cloud", "datacenter"] = "cloud"
    on_drift: Literal["keep", "overwrite", "hold"] = "hold"
    on_title_conflict: Literal["refuse", "adopt", "number"] = "refuse"
    bmp_only: bool = False

    @field_validator("base_url")
    @classmethod
    def _site(cls, value: str) -> str:
        return checked_url(value)

    @property
    def address(self) -> str:
        """The site; a trailing `/wiki` of Cloud is part of the API's path."""
        return self.base_url.removesuffix("/wiki") if self.flavor == "cloud" else self.base_url


class PagePlan(Frozen):
    """A page ready to be sent. `digest` leaves out upstream's footer, which changes with every generation."""

    title: str
    body: str
    digest: str
    warnings: tuple[str, ...]


class Confluence(Destination[ConfluenceSettings]):
    """One Confluence site, Cloud (v2) or Data Center (v1)."""

    def authorization(self, secret: str | None) -> Mapping[str, str]:
        """Basic with an e-mail address and API token, bearer with a token alone."""
        if not secret:
            raise _no_secret()
        return basic(self.settings.email, secret) if self.settings.email else {"Authorization": f"Bearer {secret}"}

    def prepare(self, work: Work) -> Prepared[PagePlan]:
        """Render the document."""
        if work.document is None:
            raise Permanent("The job has no document.", code="unknown_document")
        title = clean.plain_title(work.document.title, TITLE_LENGTH) or work.document.id
        options = PageOptions(drop_title_heading=work.document.title, bmp_only=self.settings.bmp_only)
        page = render_page(work.document.content_md, options)
        stable = render_page(clean.without_footer(work.document.content_md), options).body
        digest = hashlib.sha256(f"{title}\x00{stable}".encode()).hexdigest()
        plan = PagePlan(title=title, body=page.body + anchor(work.subject), digest=digest, warnings=page.warnings)
        return Prepared({"title": title, "body": page.body}, plan)

    def dialect(self, http: Http) -> Dialect:
        """The API this site speaks."""
        return CloudV2(http, "/wiki") if self.settings.flavor == "cloud" else DataCenterV1(http, "")

    async def deliver(self, work: Work, prepared: Prepared[PagePlan], http: Http, now_ms: Callable[[], int]) -> Receipt:
        """Update the subject's page, or create it."""
        command = work.command
        if not isinstance(command, PublishToConfluence):
            raise Permanent("Confluence takes documents only.", code="wrong_kind")
        api = self.dialect(http)
        space = await api.space(command.space_key)
        if space is None:
            raise Permanent(
                f"There is no space {command.space_key!r}, or the account can't see it.",
                code="unknown_space",
                advice="Check the key and the account's rights, then submit again.",
            )
        plan = prepared.plan
        draft = Draft(title=plan.title, body=plan.body, space=space, parent_id=command.parent_page_id)
        page = await self._known(api, work)
        if page is None and work.doubt_until_ms is not None:
            page = await self._ours(api, work, draft)
            if page is None:
                work.settle_doubt(now_ms())
        if page is None:
            page = await api.create(draft)
            if page is not None:
                return await self._sign(api, work, plan, page, "created", None)
            page = await self._conflict(api, work, draft)
        if page is None:
            draft = draft.model_copy(update={"title": await self._free_title(api, draft)})
            page = await api.create(draft)
            if page is None:
                raise Permanent(
                    "Every numbered title is taken too.", code="title_taken", advice="Give it another title."
                )
            return await self._sign(api, work, plan, page, "created", None)
        return await self._update(api, work, plan, page, draft)

    async def _known(self, api: Dialect, work: Work) -> Page | None:
        """The page of the last receipt, unless it is gone."""
        page = await api.page(work.previous.id) if work.previous else None
        return page if page is not None and page.status == "current" else None

    async def _ours(self, api: Dialect, work: Work, draft: Draft) -> Page | None:
        """The current page of that title, if it carries our property or our anchor."""
        for found in await api.titled(draft.space, draft.title):
            if found.status != "current":
                continue
            mark = await api.mark(found.id)
            page = await api.page(found.id)
            if page is None:
                continue
            if mark[0].get("subject") == work.subject if mark else f"afterword-{work.subject}" in page.body:
                return page
        return None

    async def _conflict(self, api: Dialect, work: Work, draft: Draft) -> Page | None:
        """The page to write to although the title was taken; None to take a numbered title."""
        page = await self._ours(api, work, draft)
        if page is not None:
            return page
        holders = await api.titled(draft.space, draft.title)
        status = holders[0].status if holders else "hidden from this account"
        if self.settings.on_title_conflict == "number":
            return None
        if self.settings.on_title_conflict == "adopt" and holders and status == "current":
            return await api.page(holders[0].id)
        where = f" ({holders[0].url})" if holders else ""
        raise Permanent(
            f"The space already has a page titled {draft.title!r} that is not ours; it is {status}{where}.",
            code="title_taken",
            advice="Rename or remove it, give the document another title, "
            "or set `on_title_conflict` to adopt or number; then `afterword job retry`.",
        )

    async def _free_title(self, api: Dialect, draft: Draft) -> str:
        for number in range(2, 100):
            suffix = f" ({number})"
            title = draft.title[: TITLE_LENGTH - len(suffix)] + suffix
            if not await api.titled(draft.space, title):
                return title
        raise Permanent(
            "Ninety-nine pages have this title already.", code="title_taken", advice="Give it another title."
        )

    async def _update(self, api: Dialect, work: Work, plan: PagePlan, page: Page, draft: Draft) -> Receipt:
        mark = await api.mark(page.id)
        value, mark_version = mark or ({}, None)
        moved = draft.parent_id is not None and page.parent_id != draft.parent_id
        ours_as_sent = mark is None and (page.title, page.body) == (draft.title, draft.body)
        if value.get("version") == page.version and value.get("body_sha") == plan.digest and not moved:
            return self._receipt(page, "unchanged", plan)
        edited = mark is not None and value.get("version") != page.version and value.get("next") != page.version
        if edited and not work.released:
            if self.settings.on_drift == "keep":
                return self._receipt(page, "skipped", plan, "The page was edited by hand and was kept as it is.")
            if self.settings.on_drift == "hold":
                raise Held(
                    f"Somebody edited the page after version {value.get('version')}; it is at version {page.version} now.",
                    code="drift",
                    advice="Release the job to overwrite it, or cancel the job to keep it.",
                )
        if ours_as_sent and page.version == 1:
            return await self._sign(api, work, plan, page, "found", None)
        announced = value | {"next": page.version + 1, "subject": work.subject}
        await api.set_mark(page.id, announced, mark_version)
        written = await api.update(page, draft)
        after = await api.mark(page.id)
        return await self._sign(api, work, plan, written, "updated", after[1] if after else None)

    async def _sign(
        self,
        api: Dialect,
        work: Work,
        plan: PagePlan,
        page: Page,
        change: Literal["created", "updated", "found"],
        mark_version: int | None,
    ) -> Receipt:
        """Write our property: the page is ours from now on, wherever it moves."""
        value: dict[str, Any] = {
            "subject": work.subject,
            "job": work.job_id,
            "body_sha": plan.digest,
            "version": page.version,
        }
        await api.set_mark(page.id, value, mark_version)
        return self._receipt(page, change, plan)

    def _receipt(
        self,
        page: Page,
        change: Literal["created", "updated", "unchanged", "found", "skipped"],
        plan: PagePlan,
        *warnings: str,
    ) -> Receipt:
        return Receipt(
            id=page.id, url=page.url, change=change, version=page.version, warnings=(*plan.warnings, *warnings)
        )

    async def test(self, http: Http) -> ConnectionReport:
        """Credential and space, then the right to create pages."""
        api = self.dialect(http)
        if self.settings.space is None:
            found = await api.space("AFTERWORD-CONNECTION-TEST")
            steps = [ConnectionStep(name="credential", ok=True, detail="the space list can be read")]
            if found is None:
                steps.append(ConnectionStep(name="space", ok=None, detail="no space is configured to look at"))
            return ConnectionReport(steps=tuple(steps))
        space = await api.space(self.settings.space)
        credential = ConnectionStep(name="credential", ok=True, detail="accepted")
        if space is None:
            missing = f"there is no space {self.settings.space!r}, or the account can't see it"
            return ConnectionReport(steps=(credential, ConnectionStep(name="space", ok=False, detail=missing)))
        may = await api.may_create(space)
        detail = {True: "granted", False: "the account may not create pages there", None: "this API doesn't tell"}[may]
        return ConnectionReport(
            steps=(
                credential,
                ConnectionStep(name="space", ok=True, detail=self.settings.space),
                ConnectionStep(name="right to create pages", ok=may, detail=detail),
            )
        )


def anchor(subject: str) -> str:
    """An invisible anchor macro that names the subject."""
    return (
        '<ac:structured-macro ac:name="anchor"><ac:parameter ac:name="">'
        f"afterword-{subject}</ac:parameter></ac:structured-macro>"
    )


def _no_secret() -> DestinationTrouble:
    return DestinationTrouble(
        "No credential is stored.", code="no_credential", advice="Store one with `afterword destination set`."
    )
