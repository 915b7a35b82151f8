"""Confluence: a document on a page, found again by our content property and never by its title alone.

Titles are unique in a space, so a second create is refused. A page's life is in `page`, what tells ours from
others' in `mark`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping

from tasks.credentials.kinds import Basic, Token
from tasks.destinations.confluence.api import Dialect
from tasks.destinations.confluence.cloud import CloudV2
from tasks.destinations.confluence.datacenter import DataCenterV1
from tasks.destinations.confluence.finding import untouched
from tasks.destinations.confluence.links import link_page
from tasks.destinations.confluence.page import Keeper
from tasks.destinations.confluence.plan import FileToUpload, PagePlan, Policy
from tasks.destinations.confluence.preview import preview_page
from tasks.destinations.confluence.settings import ConfluenceSettings
from tasks.destinations.confluence.template import (
    Frame,
    Template,
    facts_of,
    frame_of,
    parent_of,
    title_of,
)
from tasks.destinations.confluence.tested import parent_step, people_step
from tasks.destinations.confluence.verdict import verdict
from tasks.destinations.contract import (
    PARENT,
    Destination,
    Needs,
    Prepared,
    Preview,
    Work,
    basic,
    stored,
)
from tasks.errors import DestinationTrouble, Permanent
from tasks.http.exchange import Http
from tasks.http.message import Request
from tasks.markup import clean
from tasks.markup.confluence import Attachment, PageOptions, RenderedPage, render_page
from tasks.markup.options import Look
from tasks.markup.told import first
from tasks.model import Command, ConnectionStep, PublishToConfluence, Receipt

BODY_BYTES = 4_900_000  # the vendor refuses requests above 5 MB
LEAST_ROOM = 100_000  # bytes for the document; with less, a page would be its template and nothing else
WHOLE = "whole-document.md"
# Settings that say how a page looks; each is an option of the renderer by the same name.


class Confluence(Destination[ConfluenceSettings]):
    """One Confluence site, Cloud (v2) or Data Center (v1)."""

    judge = staticmethod(verdict)

    @property
    def probe(self) -> Request:
        """One space."""
        return Request("GET", "/wiki/api/v2/spaces", "GET /spaces", params={"limit": "1"})

    @property
    def vendor(self) -> str:
        """Cloud or Data Center."""
        cloud = self.settings.flavor == "cloud"
        return "Confluence Cloud, API v2" if cloud else "Confluence Data Center, REST API v1"

    def authorization(self, secret: str | None) -> Mapping[str, str]:
        """Basic with an account and its secret, bearer with a token alone.

        Data Center takes its personal access tokens as bearer only, whatever e-mail address stands beside them; there,
        a user name asks for Basic with a password.
        """
        settings, secret = self.settings, stored(secret)
        account = settings.account
        if isinstance(settings.auth, Basic):
            account = settings.email
        elif isinstance(settings.auth, Token) and settings.flavor == "datacenter":
            account = None
        return self.bearer(secret) if account is None else basic(account, secret)

    def prepare(self, work: Work) -> Prepared[PagePlan]:
        """Render the document."""
        if work.document is None:
            raise Permanent("The job has no document.", code="unknown_document")
        document, settings = work.document, self.settings
        facts = facts_of(document, work.issue)
        title = title_of(settings.title_pattern, document, facts)
        command = work.command
        parent = command.parent_page_id if isinstance(command, PublishToConfluence) else None
        titles = parent_of(parent, facts, title)
        options = PageOptions(
            drop_title_heading=document.title,
            files={file.name: file.content for file in document.attachments},
            **settings.model_dump(include=set(Look.model_fields)),
        )
        template = Template(**settings.model_dump(include=set(Template.model_fields)))
        frame = frame_of(template, facts, PageOptions(link_base=settings.link_base))
        room = BODY_BYTES - _sent_bytes(frame.before + frame.after)
        if room < LEAST_ROOM:
            raise Permanent(
                "The header, the properties and the footer are so long that the page has no room for the document.",
                code="template_too_long",
                advice="Shorten `header`, `properties` or `footer` of the destination, or the values that they name; "
                "then `afterword job retry`.",
            )
        stable = clean.without_footer(document.content_md)
        page = render_page(document.content_md, options)
        if page.blank:
            raise Permanent(
                f"Document {document.id} says nothing; the page would be replaced by nothing.",
                code="empty_document",
                advice="Give the document a text, then submit it again.",
            )
        if _sent_bytes(page.body) <= room:
            has_footer = stable != document.content_md
            stable = render_page(stable, options).body if has_footer else page.body
        else:
            page = _shortened(document.content_md, page, options, room)
        stable, page = frame.before + stable + frame.after, _framed(page, frame)
        files = tuple(
            FileToUpload(**file.model_dump(), sha=hashlib.sha256(file.content).hexdigest()) for file in page.attachments
        )
        warnings = first(page.warnings, "confluence")
        if settings.minor_edit and settings.flavor == "cloud":
            warnings += ("Cloud's API has no minor edit: watchers hear of this version.",)
        plan = PagePlan(
            title=title,
            body=page.body,
            digest=hashlib.sha256(f"{title}\x00{stable}".encode()).hexdigest(),
            parent_id=None if titles else parent,
            parent_titles=titles,
            labels=tuple(sorted(set(page.labels))),
            files=files,
            appearance=page.appearance,
            access=settings.access,
            warnings=warnings,
        )
        texts = {"title": title, "body": page.body, "labels": " ".join(plan.labels), PARENT: "/".join(titles)}
        return Prepared(texts, plan, warnings)

    def dialect(self, http: Http) -> Dialect:
        """The API this site speaks."""
        return CloudV2(http, "/wiki") if self.settings.flavor == "cloud" else DataCenterV1(http, "")

    def _keeper(self, work: Work, plan: PagePlan, http: Http, now_ms: Callable[[], int]) -> Keeper:
        policy = Policy(**self.settings.model_dump(include=set(Policy.model_fields)))
        return Keeper(self.dialect(http), work, plan, policy, now_ms)

    async def unchanged(self, work: Work, http: Http) -> Receipt | None:
        """The page's receipt, if its property names this source and the version that the page still has."""
        return await untouched(self.dialect(http), work)

    async def deliver(self, work: Work, prepared: Prepared[PagePlan], http: Http, now_ms: Callable[[], int]) -> Receipt:
        """Update the subject's page, or create it."""
        return await self._keeper(work, prepared.plan, http, now_ms).deliver()

    async def link(self, work: Work, http: Http) -> Receipt:
        """Bring the page's panel of links up to date."""
        return await link_page(self.dialect(http), work)

    async def preview(self, work: Work, prepared: Prepared[PagePlan], http: Http) -> Preview:
        """What a delivery would change on the page."""
        return await preview_page(self._keeper(work, prepared.plan, http, lambda: 0))

    def needs(self, command: Command | None, plan: object = None) -> Needs:
        """The space, and the scopes for labels and files where the page has any."""
        if not isinstance(command, PublishToConfluence):
            return Needs(target=self.settings.space, settings=True)
        if not isinstance(plan, PagePlan):
            return Needs(target=command.space_key)
        return Needs(target=command.space_key, labels=bool(plan.labels), files=bool(plan.files))

    async def reach(self, http: Http) -> list[ConnectionStep]:
        """The list of spaces, which is Confluence's own, then the name of the account."""
        api = self.dialect(http)
        await api.any_space()
        try:
            name = await api.account()
        except (Permanent, DestinationTrouble):  # a scope of its own that the token may lack
            return [ConnectionStep(name="credential", ok=True, detail="accepted; it may not ask whose it is")]
        anonymous = "the server takes it for nobody's: it answers as it answers anonymous visitors"
        detail = f"accepted as {name}" if name else anonymous
        return [ConnectionStep(name="credential", ok=bool(name), detail=detail)]

    async def rights(self, http: Http, needs: Needs) -> list[ConnectionStep]:
        """The space, the right to create pages and files in it, the v1 calls that labels and files need, and what the settings name."""
        if needs.target is None:
            return [ConnectionStep(name="space", ok=None, detail="no space is configured to look at")]
        api = self.dialect(http)
        space = await api.space(needs.target)
        if space is None:
            missing = f"there is no space {needs.target!r}, or the account can't see it"
            return [ConnectionStep(name="space", ok=False, detail=missing)]
        steps = [ConnectionStep(name="space", ok=True, detail=needs.target)]
        for what, wanted in (("page", True), ("attachment", needs.files)):
            if wanted:
                may = await api.may_create(space, what)
                refused = f"the account may not create {what}s there"
                detail = {True: "granted", False: refused, None: "this API doesn't tell"}[may]
                steps.append(ConnectionStep(name=f"right to create {what}s", ok=may, detail=detail))
        if needs.labels:
            untold = "reading doesn't tell whether the token has the scope to write them"
            steps.append(ConnectionStep(name="right to add labels", ok=None, detail=untold))
        return [*steps, *(await self._settings_steps(api, space, needs.target) if needs.settings else ())]

    async def _settings_steps(self, api: Dialect, space: str, key: str) -> list[ConnectionStep]:
        """The parent and the people that the settings name."""
        parent, access = self.settings.parent, self.settings.access
        steps = [await parent_step(api, space, key, parent)] if parent else []
        named = access.readers or access.editors or access.owner
        return [*steps, await people_step(api, access)] if named else steps


def _sent_bytes(body: str) -> int:
    """A body's length in a request, where JSON escapes it."""
    return len(json.dumps(body))


def _framed(page: RenderedPage, frame: Frame) -> RenderedPage:
    """The page with what the operator puts round each document."""
    return page.model_copy(
        update={
            "body": frame.before + page.body + frame.after,
            "attachments": tuple({file.name: file for file in (*page.attachments, *frame.attachments)}.values()),
            "warnings": (*page.warnings, *frame.warnings),
        }
    )


def _shortened(markdown: str, page: RenderedPage, options: PageOptions, room: int) -> RenderedPage:
    """As much of a document as a page can hold, cut between paragraphs, and the whole of it as a file."""
    whole = Attachment(name=WHOLE, media_type="text/markdown", content=markdown.encode("utf-8", "replace"))
    end = (
        "<hr/><p><em>The document goes on: it is longer than a page can be. The whole of it is attached as</em> "
        f'<ac:link><ri:attachment ri:filename="{WHOLE}"/></ac:link>.</p>'
    )
    text = markdown
    while (size := _sent_bytes(page.body)) > room:
        start = text[: int(len(text) * min(0.95 * room / size, 0.95))]
        text = start[: start.rfind("\n\n")] if start.rfind("\n\n") > len(start) // 2 else start
        page = render_page(text, options)
    return page.model_copy(
        update={
            "body": page.body + end,
            "attachments": (*page.attachments, whole),
            "warnings": (
                f"The document is too long for a page: it was cut, and attached whole as {WHOLE}.",
                *page.warnings,
            ),
        }
    )
