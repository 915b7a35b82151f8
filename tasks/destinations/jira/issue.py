"""One issue's delivery: found where it may exist, then created or changed, with what other people did left alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tasks.destinations.contract import Work
from tasks.destinations.jira.answers import PROPERTY, FieldShape, IssueType, StoredIssue, refused_fields, stored_issue
from tasks.destinations.jira.api import JiraApi, no_project
from tasks.destinations.jira.fields import FORMS, Value, named, said, shaped, shown
from tasks.destinations.jira.people import Unknown, person_of
from tasks.destinations.jira.plan import DESCRIPTION_LENGTH, IssuePlan
from tasks.destinations.jira.settings import JiraSettings
from tasks.destinations.jira.verdict import verdict
from tasks.destinations.jira.workflow import Wish, chosen, stage_now
from tasks.destinations.tickets.drift import OnDrift, Standing, mark, note_of, remembered, standing, tries
from tasks.destinations.tickets.files import DOCUMENT
from tasks.destinations.tickets.status import STATUS, Stage, move
from tasks.errors import AttemptFailed, DestinationTrouble, Permanent
from tasks.http.message import Response
from tasks.http.refusals import error_of
from tasks.http.verdict import Answer
from tasks.markup import clean, jira
from tasks.markup.jira import adf
from tasks.model import CreateJiraIssue, Receipt

DEFAULT_TYPES = ("bug", "task")
NO_PRIORITY = "priority was not set: it is not on the screen, or the project has no such priority"
SAID = "@comment"  # by which the newest comments are remembered among an issue's fields
ASSIGNEE = "assignee"
BY_NAME = frozenset({"priority", ASSIGNEE, "reporter", "components", "parent"})
Change = Literal["created", "updated", "unchanged", "found", "skipped"]


@dataclass
class Keeper:
    """Brings one subject's issue up to date."""

    settings: JiraSettings
    work: Work
    plan: IssuePlan
    api: JiraApi
    now_ms: Callable[[], int]
    warnings: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    filed: dict[str, tuple[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        command = self.work.command
        if not isinstance(command, CreateJiraIssue):
            raise Permanent("Jira takes issues only.", code="wrong_kind")
        self.if_exists = command.config.if_exists
        self.project = command.project or self.settings.project or ""
        self.policy: OnDrift = command.config.on_drift or self.settings.on_drift
        if self.work.released:
            self.policy = "overwrite"
        asked = {name.strip().lower() for name in self.plan.extra}
        self.may_drop = frozenset({"priority"} - asked)
        if self.settings.unknown_reference == "warn":
            self.may_drop |= BY_NAME

    async def deliver(self) -> Receipt:
        """Update the subject's issue, or create it; then its comments and links."""
        work, api = self.work, self.api
        known = await api.issue(work.previous.id) if work.previous else None
        found = False
        # "Not found" for an issue that was delivered may mean that it is out of sight: look by its label as well.
        if known is None and (work.previous is not None or work.doubt_until_ms is not None):
            known = await _look_up(api, work.subject)
            found = known is not None
            if known is None and work.previous is not None:
                raise _hidden(f"Issue {work.previous.ticket_number} was deleted, or the account may not see it.")
            if known is None:
                work.settle_doubt(self.now_ms())
                if not await api.may(self.project, "BROWSE_PROJECTS"):
                    raise _hidden("The issue may exist, but the account can't browse the project.")
        if known is None:
            return await self._create()
        if self.if_exists == "skip":
            return self._receipt(known, "skipped")
        return await self._update(known, found=found)

    async def _create(self) -> Receipt:
        plan, api, project = self.plan, self.api, self.project
        kind = await self._type(project)
        content = plan.fields | await self._extra(project, kind.id, suggested=plan.suggested)
        place = {"project": {"key": project}, "issuetype": {"id": kind.id}, "labels": list(plan.labels)}
        properties = [{"key": PROPERTY, "value": {"subject": self.work.subject}}]
        marks = tries(content, FORMS, "")
        may = self.may_drop | ({ASSIGNEE} if plan.suggested else frozenset())

        async def write(fields: Mapping[str, Any]) -> Response:
            return await api.create({"fields": {**fields, **place}, "properties": properties}, marks)

        response = await self._leniently(write, content, may, project)
        made = self._receipt(response.parsed(stored_issue), "created")
        stage = move("open", plan.stage, "open")
        return await self._finished(made, content, Standing(), marks, stage=stage)

    async def _update(self, known: StoredIssue, *, found: bool) -> Receipt:
        work, plan, api = self.work, self.plan, self.api
        kind = str((known.fields.get("issuetype") or {}).get("id", ""))
        project = known.key.rpartition("-")[0]
        wanted = plan.fields | await self._extra(project, kind)
        stand = standing(wanted, known.fields, FORMS, work.wrote, work.tried, self.policy, what=known.key)
        self.warnings += stand.warnings
        lacking = [label for label in plan.labels if label not in (known.fields.get("labels") or ())]
        added = {"labels": [{"add": label} for label in lacking]} if lacking else {}
        marks = tries(wanted, FORMS, work.tried)
        written = False

        async def write(fields: Mapping[str, Any]) -> Response | None:
            nonlocal written
            written = bool(fields or added)
            return await api.change(known.id, {"fields": fields, "update": added}, marks) if written else None

        await self._leniently(write, stand.write, self.may_drop, project)
        receipt = self._receipt(known, "updated" if written else "found" if found else "unchanged")
        stage = move(work.wrote.get(STATUS, ("open", ""))[0], plan.stage, stage_now(known.fields))
        return await self._finished(receipt, wanted, stand, marks, None if written else known, stage=stage)

    async def _leniently(
        self,
        write: Callable[[Mapping[str, Any]], Awaitable[Any]],
        fields: Mapping[str, Any],
        may: frozenset[str],
        at: str,
    ) -> Any:
        """The answer to a write; again without the fields that Jira refused, where these may be left out.

        A refusal has written nothing.
        """
        response = await write(fields)
        dropped = set() if response is None or response.status != 400 else may & fields.keys()
        dropped = dropped & response.parsed(refused_fields).keys() if dropped else dropped
        for name in sorted(dropped):
            left_out = f"{name} was left out: Jira doesn't take {shown(fields[name])!r:.80}"
            self.warnings.append(NO_PRIORITY if name == "priority" else left_out)
        if dropped:
            response = await write({name: value for name, value in fields.items() if name not in dropped})
        if response is not None and response.status >= 400:
            raise _refused(response, at)
        return response

    async def _extra(self, project: str, issue_type: str, suggested: str = "") -> dict[str, Any]:
        """The fields of the mapping and the job as Jira takes them; people by their accounts."""
        if not self.plan.extra and not suggested:
            return {}
        shapes = await self.api.fields(project, issue_type)
        found: dict[str, Any] = {}
        for shape, value in named(self.plan.extra, shapes):
            try:
                known = await self._account(project, shape, value)
            except Unknown as unknown:
                if self.settings.unknown_reference == "refuse":
                    raise
                self.warnings.append(f"{unknown.message.rstrip('.')}; {shape.id} was left as it is")
                continue
            found[shape.id] = shaped(shape, known, cloud=self.api.cloud)
        assignee = next((shape for shape in shapes if shape.id == ASSIGNEE), None)
        if not suggested or assignee is None:
            return found
        try:
            account = await person_of(self.api, project, ASSIGNEE, suggested)
        except Unknown as unknown:
            self.warnings.append(f"{unknown.message.rstrip('.')}; nobody was assigned")
            return found
        return {ASSIGNEE: shaped(assignee, account, cloud=self.api.cloud)} | found

    async def _account(self, project: str, shape: FieldShape, value: Value) -> Value:
        if "user" not in (shape.type, shape.items):
            return value
        names = [part.strip() for part in str(value).split(",")] if shape.type == "array" else [str(value).strip()]
        return ",".join([await person_of(self.api, project, shape.id, name) for name in names if name])

    async def _type(self, project: str) -> IssueType:
        types, wanted = await self.api.types(project), self.plan.item_type
        if types is None:
            raise no_project(project, 404)
        found = chosen_type(types, wanted)
        if found is None:
            names = ", ".join(kind.name for kind in types) or "none to be seen"
            raise Permanent(
                f"Project {project!r} has no issue type {wanted or 'to create'!r}; it has: {names}.",
                code="unknown_type",
                advice="Name one of these (`--type`, `work_item_type`, or `type` of the mapping).",
            )
        return found

    async def _finished(
        self,
        receipt: Receipt,
        wanted: Mapping[str, Any],
        stand: Standing,
        marks: str,
        known: StoredIssue | None = None,
        *,
        stage: Stage | None,
    ) -> Receipt:
        """The receipt with its marks, once comments, links and status stand. `known` is the issue where nothing was written,
        `stage` the one to move it to.
        """
        commented = moved = attached = False

        async def comment() -> None:
            nonlocal commented
            commented = await self._comment(receipt.id, stand, marks)

        async def go() -> None:
            nonlocal moved
            moved = stage is None or await self._moved(receipt.id, stage, wanted, marks)

        async def attach() -> None:
            nonlocal attached
            attached = await self._attach(receipt.id)

        async def link() -> None:
            await self.api.relink(receipt.id, self.plan.links)

        # Marks first: what fails below is tried again, and must then know the fields that were written already.
        receipt = await self._remembering(receipt, wanted, stand.kept, known)
        await self._beside(receipt, comment, "the comment was not added")
        await self._beside(receipt, go, "the status was left as it is")
        await self._beside(receipt, attach, "the document was not attached")
        anew = commented or attached or (moved and stage is not None)
        change = "updated" if anew and receipt.change in ("unchanged", "found") else receipt.change
        if change in ("created", "updated") and self.plan.links:
            await self._beside(receipt, link, "the links were not set")
        stood = {STATUS: (self.plan.stage, "")} if self.plan.stage and moved else {}
        wrote = None if receipt.wrote is None else {**receipt.wrote, **self._spoken(), **self.filed, **stood}
        return receipt.model_copy(
            update={"change": change, "warnings": (*self.plan.warnings, *self.warnings), "wrote": wrote}
        )

    async def _moved(self, number: str, stage: Stage, wanted: Mapping[str, Any], marks: str) -> bool:
        """Move the issue to that stage; False with a warning where its workflow is against it."""
        plan = self.plan
        wish = Wish(plan.move_by, plan.resolution, plan.on_move, wanted, cloud=self.api.cloud)
        way = chosen(await self.api.transitions(number), stage, wish)
        why = way.why
        if way.transition is not None:
            response = await self.api.transit(number, way.transition.id, way.fields or {}, marks)
            if response.status != 400:
                return True
            why = f"Jira refused the transition {way.transition.shown!r}. It said: {response.words()!r}"
        self.warnings.append(f"the issue was not moved to {stage}: {why}")
        return False

    async def _beside(self, receipt: Receipt, step: Callable[[], Awaitable[None]], words: str) -> None:
        """A step after the issue stands; an account that may not take it gets a warning."""
        try:
            await step()
        except (Permanent, DestinationTrouble) as refused:
            if isinstance(refused, DestinationTrouble) and refused.passing != "job":
                refused.receipt = receipt
                raise
            self.warnings.append(f"{words}: {refused}")
        except AttemptFailed as failure:
            failure.receipt = receipt
            raise

    async def _comment(self, number: str, stand: Standing, marks: str) -> bool:
        """Add the comments that are not there yet: each content is written once. True where one was added."""
        texts = [self.plan.comment] if self.plan.comment else []
        if stand.note and stand.kept:
            note = "\n".join(note_of(stand.kept, lambda _, value: shown(value)))
            texts.append(clean.cut(note, DESCRIPTION_LENGTH))
        known = self.work.wrote.get(SAID, ("", ""))[0].split(",")
        bodies = [adf.plain(text) if self.api.cloud else jira.escaped(text) for text in texts]
        new = [body for body in bodies if mark(said(body)) not in known]
        there = {said(body) for body in await self.api.comments(number)} if new else set()
        missing = [body for body in new if said(body) not in there]
        for body in missing:
            await self.api.comment(number, body, marks)
        self.said = [mark(said(body)) for body in bodies]
        return bool(missing)

    async def _attach(self, number: str) -> bool:
        """Attach the document, once for each content. True where it was not there yet; what people delete stays deleted."""
        file = self.plan.attachment
        if file is None:
            return False
        known = self.work.wrote.get(DOCUMENT, ("", ""))[0] == file.name
        missing = not known and file.name not in await self.api.file_names(number)
        if missing:
            await self.api.attach(number, file)
        self.filed = {DOCUMENT: (file.name, "")}
        return missing

    def _spoken(self) -> dict[str, tuple[str, str]]:
        return {SAID: (",".join(self.said), "")} if self.said else {}

    async def _remembering(
        self, receipt: Receipt, wanted: Mapping[str, Any], kept: Iterable[str], known: StoredIssue | None
    ) -> Receipt:
        """The receipt with the marks of the fields as Jira has them now. The issue stands, so a read that fails costs only
        these: what isn't remembered counts as ours.
        """
        try:
            after = known or await self.api.issue(receipt.id)
        except AttemptFailed:
            return receipt
        if after is None:
            return receipt
        return receipt.model_copy(
            update={"wrote": remembered(wanted, after.fields, FORMS, self.work.wrote, list(kept))}
        )

    def _receipt(self, issue: StoredIssue, change: Change) -> Receipt:
        url = f"{self.settings.site_url or self.settings.base_url}/browse/{issue.key}"
        return Receipt(
            id=issue.id, url=url, ticket_number=issue.key, change=change, warnings=(*self.plan.warnings, *self.warnings)
        )


def chosen_type(types: list[IssueType], wanted: str | None) -> IssueType | None:
    """The type of that name, in whatever case; where none is named a bug, else a task, else the first one."""
    named = {kind.name.lower(): kind for kind in reversed(types) if wanted or not kind.subtask}
    if wanted is not None:
        return named.get(wanted.strip().lower())
    plain = [kind for kind in types if not kind.subtask]
    return next((named[name] for name in DEFAULT_TYPES if name in named), plain[0] if plain else None)


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


def _refused(response: Response, project: str) -> AttemptFailed:
    """What was refused: the right to, the project, the type, or a field."""
    found = verdict(Answer(response.status, response.headers, response.body))
    words = response.words()
    if found.whose == "destination":
        return error_of(found, response.status, words, None, wrote=True)
    fields = response.parsed(refused_fields)
    if "project" in fields:
        return no_project(project, response.status, words)
    unknown = any("cannot be set" in text or "does not exist" in text for text in fields.values())
    code = "unknown_type" if "issuetype" in fields else "unknown_field" if unknown else "refused"
    return Permanent(
        f"Jira refused the issue ({response.status}). It said: {words!r}",
        code=code,
        advice="Correct what it names (`config.fields`), then `afterword job retry`.",
        status=response.status,
        excerpt=words,
    )
