"""Jira: an issue as an issue of a project, found again by a label of its own and known by a property.

JQL lags behind writes by seconds and shows an account only what it may browse, so hits are read and compared exactly, and
the right to browse is looked at before an empty answer counts. A copy that a person made has the label, not the property.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal

from tasks.destinations.contract import (
    Destination,
    Needs,
    Prepared,
    Work,
    basic,
    stored,
)
from tasks.destinations.jira.answers import PROPERTY, IssueType, StoredIssue, refused_fields, stored_issue
from tasks.destinations.jira.api import JiraApi, no_project
from tasks.destinations.jira.fields import FORMS, OURS, Value, not_settable, shaped
from tasks.destinations.jira.settings import JiraSettings, label_of
from tasks.destinations.jira.verdict import verdict
from tasks.destinations.tickets.drift import Marks, OnDrift, remembered, standing, tries
from tasks.errors import AttemptFailed, DestinationTrouble, Permanent
from tasks.http.exchange import Http, Response
from tasks.http.refusals import error_of
from tasks.http.verdict import Answer
from tasks.markup import clean, jira, servicenow
from tasks.markup.jira import adf
from tasks.markup.parser.parse import Parsed, parse_document
from tasks.markup.told import first, warnings_of
from tasks.model import Command, ConnectionStep, CreateJiraIssue, Frozen, Link, Receipt

TITLE_LENGTH = 255
DESCRIPTION_LENGTH = 32_767
PRIORITIES: Mapping[int, str] = {1: "Highest", 2: "High", 3: "Medium", 4: "Low", 5: "Lowest"}
DEFAULT_TYPES = ("bug", "task")
NO_PRIORITY = "priority was not set: it is not on the screen, or the project has no such priority"
NO_WARNINGS: tuple[str, ...] = ()
Change = Literal["created", "updated", "unchanged", "found", "skipped"]


class IssuePlan(Frozen):
    """An issue's fields as Jira takes them, and those that the job sets by itself, whose form the project tells."""

    fields: dict[str, Any]
    labels: tuple[str, ...]
    extra: dict[str, Value]
    item_type: str | None
    links: tuple[Link, ...] = ()
    warnings: tuple[str, ...] = ()


class Jira(Destination[JiraSettings]):
    """One Jira site."""

    judge = staticmethod(verdict)

    @property
    def vendor(self) -> str:
        """Cloud or Data Center."""
        return "Jira Cloud, API v3" if self.settings.cloud else "Jira Data Center, REST API v2"

    def authorization(self, secret: str | None) -> Mapping[str, str]:
        """Basic with an account, as for the Cloud's API tokens; bearer with a token alone."""
        secret, account = stored(secret), self.settings.account_name
        return self.bearer(secret) if account is None else basic(account, secret)

    def prepare(self, work: Work) -> Prepared[IssuePlan]:
        """The issue's fields, with the job's overrides."""
        command, issue = work.command, work.issue
        if issue is None or not isinstance(command, CreateJiraIssue):
            raise Permanent("Jira takes issues only.", code="wrong_kind")
        config = command.config
        for name in config.fields:
            if name.strip().lower() in OURS:
                raise not_settable(name)
        summary = clean.plain_title(issue.title, TITLE_LENGTH)
        fields: dict[str, Any] = {"summary": summary}
        document = parse_document(issue.description)
        texts = {name: str(value) for name, value in config.fields.items()} | {"summary": summary}
        if self.settings.cloud:
            fields["description"] = fitting(jira.render(document, link_base=self.settings.link_base))
            texts["description"] = jira.words(fields["description"])
        else:
            fields["description"] = plain_text(document, link_base=self.settings.link_base)
            texts["description"] = servicenow.render(document, link_base=self.settings.link_base)
        severity = config.severity or issue.severity
        if severity:
            fields["priority"] = {"name": PRIORITIES[severity]}
        labels = tuple(dict.fromkeys([*self.settings.labels, *filter(None, map(label_of, issue.tags))]))
        texts["labels"] = " ".join(labels)
        plan = IssuePlan(
            fields=fields,
            labels=(*labels, f"aw-{work.subject}"),
            extra=config.fields,
            item_type=config.work_item_type or self.settings.issue_type,
            links=work.links,
            warnings=first(warnings_of(document, self.settings.link_base), "jira"),
        )
        return Prepared(texts, plan)

    async def deliver(
        self, work: Work, prepared: Prepared[IssuePlan], http: Http, now_ms: Callable[[], int]
    ) -> Receipt:
        """Update the subject's issue, or create it; then its links."""
        command, api, plan = _command(work), self._api(http), prepared.plan
        project = command.project or self.settings.project or ""
        known = await api.issue(work.previous.id) if work.previous else None
        found = False
        # "Not found" for an issue that was delivered may mean that it is out of sight: look by its label as well.
        if known is None and (work.previous is not None or work.doubt_until_ms is not None):
            known = await _look_up(api, work.subject)
            found = known is not None
            if known is None and work.previous is not None:
                raise _hidden(f"Issue {work.previous.ticket_number} was deleted, or the account may not see it.")
            if known is None:
                work.settle_doubt(now_ms())
                if not await api.may(project, "BROWSE_PROJECTS"):
                    raise _hidden("The issue may exist, but the account can't browse the project.")
        if known is None:
            receipt = await self._create(api, project, plan, work.subject)
        elif command.config.if_exists == "skip":
            return self._receipt(known, "skipped")
        else:
            receipt = await self._update(api, work, plan, known, "found" if found else "unchanged")
        receipt = receipt.model_copy(update={"warnings": (*plan.warnings, *receipt.warnings)})
        changed = receipt.change in ("created", "updated")
        return await self._linked(api, receipt, plan.links) if changed and plan.links else receipt

    async def _create(self, api: JiraApi, project: str, plan: IssuePlan, subject: str) -> Receipt:
        kind = await self._type(api, project, plan.item_type)
        content = plan.fields | await self._extra(api, project, kind.id, plan)
        place = {"project": {"key": project}, "issuetype": {"id": kind.id}, "labels": list(plan.labels)}
        fields = content | place
        body = {"fields": fields, "properties": [{"key": PROPERTY, "value": {"subject": subject}}]}
        marks = tries(content, FORMS, "")
        response, warnings = await api.create(body, marks), NO_WARNINGS
        if _only_priority(response, plan):
            del fields["priority"]
            response, warnings = await api.create(body, marks), (NO_PRIORITY,)
        if response.status >= 400:
            raise _refused(response, project)
        made = self._receipt(response.parsed(stored_issue), "created", warnings)
        return await _remembering(api, made, content, {}, ())

    async def _update(
        self, api: JiraApi, work: Work, plan: IssuePlan, known: StoredIssue, otherwise: Change
    ) -> Receipt:
        kind = str((known.fields.get("issuetype") or {}).get("id", ""))
        place = known.key.rpartition("-")[0]
        wanted = plan.fields | await self._extra(api, place, kind, plan)
        stand = standing(wanted, known.fields, FORMS, work.wrote, work.tried, self._policy(work), what=known.key)
        fields, warnings = dict(stand.write), stand.warnings
        lacking = [label for label in plan.labels if label not in (known.fields.get("labels") or ())]
        marks, change = tries(wanted, FORMS, work.tried), otherwise
        if fields or lacking:
            body: dict[str, Any] = {"fields": fields, "update": {"labels": [{"add": label} for label in lacking]}}
            response: Response | None = await api.change(known.id, body, marks)
            if response is not None and _only_priority(response, plan):
                del fields["priority"]
                warnings = (*warnings, NO_PRIORITY)
                response = await api.change(known.id, body, marks) if fields or lacking else None
            if response is not None and response.status >= 400:
                raise _refused(response, place)
            change = "updated" if response is not None else otherwise
        receipt = self._receipt(known, change, warnings)
        if change != "updated":
            wrote = remembered(wanted, known.fields, FORMS, work.wrote, list(stand.kept))
            return receipt.model_copy(update={"wrote": wrote})
        return await _remembering(api, receipt, wanted, work.wrote, list(stand.kept))

    def _policy(self, work: Work) -> OnDrift:
        """What becomes of a field that somebody else changed. A comment is what Jira gets none of: the field is kept."""
        return "overwrite" if work.released else _command(work).config.on_drift or self.settings.on_drift

    async def _extra(self, api: JiraApi, project: str, issue_type: str, plan: IssuePlan) -> dict[str, Any]:
        if not plan.extra:
            return {}
        return shaped(plan.extra, await api.fields(project, issue_type), cloud=api.cloud)

    async def _type(self, api: JiraApi, project: str, wanted: str | None) -> IssueType:
        types = await api.types(project)
        if types is None:
            raise no_project(project, 404)
        found = chosen_type(types, wanted)
        if found is None:
            names = ", ".join(kind.name for kind in types) or "none to be seen"
            raise Permanent(
                f"Project {project!r} has no issue type {wanted or 'to create'!r}; it has: {names}.",
                code="unknown_type",
                advice="Name one of these (`--type`, `work_item_type`).",
            )
        return found

    async def _linked(self, api: JiraApi, receipt: Receipt, links: tuple[Link, ...]) -> Receipt:
        """The receipt once the links stand; an account that may not link gets a warning, because the issue is there."""
        try:
            await api.relink(receipt.id, links)
        except (Permanent, DestinationTrouble) as refused:
            if isinstance(refused, DestinationTrouble) and refused.passing != "job":
                refused.receipt = receipt
                raise
            return receipt.model_copy(update={"warnings": (*receipt.warnings, f"the links were not set: {refused}")})
        except AttemptFailed as failure:
            failure.receipt = receipt  # the issue stands
            raise
        return receipt

    async def link(self, work: Work, http: Http) -> Receipt:
        """Bring the issue's links to the pages of the same issue up to date."""
        previous = work.previous
        if previous is None:
            raise Permanent("The job has no issue to link from.", code="unknown_item")
        changed = await self._api(http).relink(previous.id, work.links)
        if changed is None:
            gone = ("The issue is not there any more.",)
            return previous.model_copy(update={"change": "skipped", "warnings": gone})
        return previous.model_copy(update={"change": "updated" if changed else "unchanged", "warnings": ()})

    def _api(self, http: Http) -> JiraApi:
        return JiraApi(http, cloud=self.settings.cloud)

    def _receipt(self, issue: StoredIssue, change: Change, warnings: tuple[str, ...] = ()) -> Receipt:
        url = f"{self.settings.site_url or self.settings.base_url}/browse/{issue.key}"
        return Receipt(id=issue.id, url=url, ticket_number=issue.key, change=change, warnings=warnings)

    def needs(self, command: Command | None, plan: object = None) -> Needs:
        """The project and the type."""
        project = command.project if isinstance(command, CreateJiraIssue) else self.settings.project
        return Needs(
            target=project, item_type=plan.item_type if isinstance(plan, IssuePlan) else self.settings.issue_type
        )

    async def reach(self, http: Http) -> list[ConnectionStep]:
        """Who is signed in; Jira answers many questions of anybody, this one not."""
        name = await self._api(http).myself()
        return [ConnectionStep(name="credential", ok=True, detail=f"accepted as {name}")]

    async def rights(self, http: Http, needs: Needs) -> list[ConnectionStep]:
        """The project, the rights to see and to create issues, and the type."""
        project, api = needs.target, self._api(http)
        if project is None:
            return [ConnectionStep(name="project", ok=None, detail="none is configured to look at")]
        if not await api.has_project(project):
            missing = f"there is no project {project!r}, or the account can't see it"
            return [ConnectionStep(name="project", ok=False, detail=missing)]
        steps = [ConnectionStep(name="project", ok=True, detail=project)]
        for name, words in (("BROWSE_PROJECTS", "see"), ("CREATE_ISSUES", "create")):
            may = await api.may(project, name)
            detail = "granted" if may else f"the account lacks {name} in project {project!r}"
            steps.append(ConnectionStep(name=f"right to {words} issues", ok=may, detail=detail))
        types = await api.types(project) or []
        kind = chosen_type(types, needs.item_type)
        names = ", ".join(each.name for each in types)
        detail = kind.name if kind else f"project {project!r} has no type {needs.item_type!r}; it has: {names}"
        return [*steps, ConnectionStep(name="issue type", ok=kind is not None, detail=detail)]


def chosen_type(types: list[IssueType], wanted: str | None) -> IssueType | None:
    """The type of that name, in whatever case; where none is named a bug, else a task, else the first one."""
    named = {kind.name.lower(): kind for kind in reversed(types) if wanted or not kind.subtask}
    if wanted is not None:
        return named.get(wanted.strip().lower())
    plain = [kind for kind in types if not kind.subtask]
    return next((named[name] for name in DEFAULT_TYPES if name in named), plain[0] if plain else None)


def plain_text(markdown: str | Parsed, *, link_base: str | None = None) -> str:
    """The description for a Data Center: plain text in which nothing is markup, within the length of a field."""
    limit = DESCRIPTION_LENGTH
    while len(text := jira.escaped(servicenow.render(markdown, limit=limit, link_base=link_base))) > DESCRIPTION_LENGTH:
        limit -= max(len(text) - DESCRIPTION_LENGTH, 1)
    return text


def fitting(document: adf.Node) -> adf.Node:
    """The document, or its first blocks with a word that there is more, within the length of a field."""
    if len(jira.words(document)) <= DESCRIPTION_LENGTH:
        return document
    kept, room = [], DESCRIPTION_LENGTH - 100
    for block in document["content"]:
        room -= len(jira.words({"content": [block]})) + 1
        if room < 0:
            break
        kept.append(block)
    if not kept:
        return adf.plain(clean.cut(jira.words(document), DESCRIPTION_LENGTH - 100))
    return document | {"content": [*kept, *adf.plain("… (the rest didn't fit)")["content"]]}


def _command(work: Work) -> CreateJiraIssue:
    if not isinstance(work.command, CreateJiraIssue):
        raise Permanent("Jira takes issues only.", code="wrong_kind")
    return work.command


async def _remembering(
    api: JiraApi, receipt: Receipt, wanted: Mapping[str, Any], wrote: Marks, kept: Collection[str]
) -> Receipt:
    """The receipt with the marks of the fields as Jira has them now. The issue stands, so a read that fails costs only
    these: what isn't remembered counts as ours.
    """
    try:
        issue = await api.issue(receipt.id)
    except AttemptFailed:
        return receipt
    if issue is None:
        return receipt
    return receipt.model_copy(update={"wrote": remembered(wanted, issue.fields, FORMS, wrote, kept)})


async def _look_up(api: JiraApi, subject: str) -> StoredIssue | None:
    """The issue with our label: the one whose property names the subject, else the oldest one that has none."""
    label = f"aw-{subject}"
    unmarked = None
    for number in await api.labelled(label):
        issue = await api.issue(number)
        if issue is None or label not in (issue.fields.get("labels") or ()):
            continue
        if issue.subject == subject:
            return issue
        unmarked = unmarked or (issue if issue.subject is None else None)
    return unmarked


def _hidden(words: str) -> Permanent:
    return Permanent(
        words,
        code="hidden",
        advice="Give the account the right to see it, then `afterword job retry`; for a new issue, submit with "
        "`if_exists: new`.",
        status=404,
    )


def _only_priority(response: Response, plan: IssuePlan) -> bool:
    """Whether a write was refused for a priority that the severity made; the rest can stand without it."""
    if response.status != 400 or "priority" not in plan.fields:
        return False
    named = {name.strip().lower() for name in plan.extra}
    return "priority" not in named and "priority" in response.parsed(refused_fields)


def _refused(response: Response, project: str) -> AttemptFailed:
    """What was refused: the right to, the project, the type, or a field."""
    found = verdict(Answer(response.status, response.headers, response.body))
    words = response.words()
    if found.whose == "destination":
        return error_of(found, response.status, words, None, wrote=True)
    fields = response.parsed(refused_fields)
    if "project" in fields:
        return no_project(project, response.status)
    unknown = any("cannot be set" in text or "does not exist" in text for text in fields.values())
    code = "unknown_type" if "issuetype" in fields else "unknown_field" if unknown else "refused"
    return Permanent(
        f"Jira refused the issue ({response.status}). It said: {words!r}",
        code=code,
        advice="Correct what it names (`config.fields`), then `afterword job retry`.",
        status=response.status,
        excerpt=words,
    )
