"""One work item's delivery: found where it may exist, then created or changed, with what other people did left alone."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tasks.destinations.azure_devops.items import FieldsRefused, Items, tags_of
from tasks.destinations.azure_devops.patches import Operations, field_operations, file_names, relinked, under, with_file
from tasks.destinations.azure_devops.plan import Value, WorkItemPlan
from tasks.destinations.azure_devops.settings import ASSIGNED, DESCRIPTION, HISTORY, REPRO, STATE, AzureDevOpsSettings
from tasks.destinations.azure_devops.trees import TREES, is_whole, path_of
from tasks.destinations.azure_devops.values import FORMS, form, same
from tasks.destinations.contract import Work
from tasks.destinations.tickets.drift import Standing, mark, note_of, remembered, standing, tries
from tasks.destinations.tickets.files import DOCUMENT
from tasks.destinations.tickets.status import STATUS, Stage, move
from tasks.errors import AttemptFailed, Permanent
from tasks.markup.options import Attachment
from tasks.model import CreateAzureDevOpsWorkItem, Receipt

Change = Literal["created", "updated", "unchanged", "found", "skipped"]
TAGS = "System.Tags"
BY_NAME = frozenset({ASSIGNED, "System.AreaPath", "System.IterationPath"})
STAGES: Mapping[str, Stage] = {
    "Proposed": "open",
    "InProgress": "working",
    "Resolved": "resolved",
    "Completed": "closed",
    "Removed": "closed",
}
# The categories of states that bring an item to a stage, the better one first.
CATEGORIES: Mapping[Stage, tuple[str, ...]] = {
    "open": ("Proposed",),
    "working": ("InProgress",),
    "resolved": ("Resolved", "Completed"),
    "closed": ("Completed",),
}


@dataclass
class Keeper:
    """Brings one subject's work item up to date."""

    settings: AzureDevOpsSettings
    work: Work
    plan: WorkItemPlan
    items: Items
    now_ms: Callable[[], int]
    warnings: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        config = self.work.command.config if isinstance(self.work.command, CreateAzureDevOpsWorkItem) else None
        self.if_exists = config.if_exists if config else "update"
        self.policy = (config.on_drift if config else None) or self.settings.on_drift
        if self.work.released:
            self.policy = "overwrite"
        self.fields: dict[str, Value] = dict(self.plan.fields)

    async def deliver(self) -> Receipt:
        """Update the subject's work item, or create it; then its file."""
        receipt, file = await self._deliver(), self.plan.attachment
        if file is None or receipt.change == "skipped":
            return receipt
        try:
            return await self._filed(receipt, file)
        except AttemptFailed as failure:
            failure.receipt = receipt  # the work item stands
            raise

    async def _filed(self, receipt: Receipt, file: Attachment) -> Receipt:
        """The receipt of an item with the file, once for each content; what people take off stays off."""
        filed = receipt.model_copy(update={"wrote": {**(receipt.wrote or {}), DOCUMENT: (file.name, "")}})
        if self.work.wrote.get(DOCUMENT, ("", ""))[0] == file.name:
            return filed
        item = await self.items.item(receipt.id)
        if item is None:  # gone meanwhile: the next delivery sees to that, and to its file
            return receipt
        if file.name in file_names(item):
            return filed
        operations = with_file(await self.items.upload(file))
        after = await self.items.patch(item, operations, kind=self.plan.type)
        change = "created" if receipt.change == "created" else "updated"
        return filed.model_copy(update={"change": change, "version": after["rev"]})

    async def _deliver(self) -> Receipt:
        work, found = self.work, False
        item = await self.items.known(work.previous.id) if work.previous else None
        # "Not found" for an item that was delivered may mean that it was moved or misread: look by its tag as well.
        if item is None and (work.previous is not None or work.doubt_until_ms is not None):
            item = await self.items.look_up(self.plan.tag)
            found = item is not None
            if item is None:
                work.settle_doubt(self.now_ms())
        if item is None:
            return await self._create()
        if self.if_exists == "skip":
            return self._receipt(item, "skipped")
        return await self._update(item, found=found)

    async def _places(self) -> None:
        """Whole paths in place of the names of areas and iterations."""
        for name in TREES.keys() & self.fields.keys():
            value = str(self.fields[name])
            if is_whole(self.items.project, value) or not (known := await self.items.tree(name)):
                continue
            try:
                self.fields[name] = path_of(self.items.project, name, value, known)
            except Permanent as unknown:
                if self.settings.unknown_reference == "refuse":
                    raise
                del self.fields[name]
                self.warnings.append(f"{unknown.message.rstrip('.')}; it was left as it is")

    async def _create(self) -> Receipt:
        await self._places()
        plan = self.plan
        tags: dict[str, Value] = {TAGS: "; ".join([*plan.tags, plan.tag])}
        history: dict[str, Value] = {HISTORY: plan.history} if plan.history else {}

        def operations() -> Operations:
            links = relinked({}, plan.links) + under(self.settings.org_url, plan.parent)
            first = {name: value for name, value in self.fields.items() if name != STATE}
            return field_operations(plan, first | tags | history) + links

        marks = tries(self.fields | history, FORMS, "")
        item = await self._leniently(lambda: self.items.create(plan.type, operations(), tries=marks))
        self.said += [FORMS.mark(HISTORY, plan.history)] if plan.history else []
        receipt = self._receipt(item, "created", wrote=self._remembered(item, ()))
        asked = str(self.fields.get(STATE, ""))
        if plan.stage in (None, "open") and asked in ("", item.get("fields", {}).get(STATE)):
            return receipt
        try:  # a new item begins in its first state, and is refused in any other
            state = asked or await self._moved(item, "open")
            moved = await self._move(item, state) if state else item
        except AttemptFailed as failure:
            failure.receipt = receipt  # the work item stands
            raise
        return self._receipt(moved, "created", wrote=self._remembered(moved, ()))

    async def _move(self, item: dict[str, Any], state: str) -> dict[str, Any]:
        """The item in that state; as it was where a rule of the process is against it."""
        try:
            return await self.items.patch(item, field_operations(self.plan, {STATE: state}), kind=self.plan.type)
        except FieldsRefused as refused:
            self.warnings.append(f"{STATE} was left as it is: {refused.excerpt}")
            return item

    async def _update(self, item: dict[str, Any], *, found: bool) -> Receipt:
        await self._places()
        work, plan, present = self.work, self.plan, item.get("fields", {})
        stand = standing(
            self.fields, present, FORMS, work.wrote, work.tried, self.policy, what=f"work item {item['id']}"
        )
        self.warnings += stand.warnings
        change: dict[str, Value] = dict(stand.write)
        change |= self._tags(item)
        comments = await self._comments(item, stand)
        change |= {HISTORY: comments[0]} if comments else {}
        state = await self._moved(item, work.wrote.get(STATUS, ("open", ""))[0])
        if not change and not state:
            return self._receipt(item, "found" if found else "unchanged", wrote=self._remembered(item, stand.kept))
        after = item
        if change:
            marks = tries(self.fields | ({HISTORY: plan.history} if plan.history else {}), FORMS, work.tried)

            def operations() -> Operations:
                kept = {name: value for name, value in change.items() if name in self.fields or name in (TAGS, HISTORY)}
                return field_operations(plan, kept) + (relinked(item, plan.links) if plan.links else [])

            async def write() -> dict[str, Any]:
                left = operations()
                return await self.items.patch(item, left, kind=plan.type, tries=marks) if left else item

            after = await self._leniently(write)
        for text in comments[1:]:
            after = await self.items.patch(after, field_operations(plan, {HISTORY: text}), kind=plan.type, tries=marks)
        if state:
            after = await self._move(after, state)
        done: Change = "updated" if after is not item else "found" if found else "unchanged"
        return self._receipt(after, done, wrote=self._remembered(after, stand.kept))

    async def _leniently(self, write: Callable[[], Any]) -> dict[str, Any]:
        """The result of a write; again without the fields that the server refused, where these may be left out.

        A refusal has written nothing.
        """
        may = self.plan.soft | (BY_NAME if self.settings.unknown_reference == "warn" else frozenset())
        try:
            result: dict[str, Any] = await write()
        except FieldsRefused as refused:
            dropped = refused.fields & may & self.fields.keys()
            if not dropped or refused.fields - dropped:
                raise
            for name in sorted(dropped):
                self.warnings.append(f"{name} was left out: the server doesn't take {str(self.fields.pop(name))!r:.80}")
            result = await write()
        return result

    def _tags(self, item: Mapping[str, Any]) -> dict[str, Value]:
        """The tags that the item lacks, beside those it has; one of ours that somebody took off stays off."""
        present = tags_of(item)
        there = {tag.casefold() for tag in present}
        sent = self.work.wrote.get(TAGS, ("", ""))[0].split(",") if self.policy != "overwrite" else []
        lacking = [t for t in self.plan.tags if t.casefold() not in there and mark(t.casefold()) not in sent]
        if self.plan.tag not in present:
            lacking.append(self.plan.tag)
        return {TAGS: "; ".join([*present, *lacking])} if lacking else {}

    async def _comments(self, item: Mapping[str, Any], stand: Standing) -> list[str]:
        """The comments that are not there yet: each content is written once."""
        texts = [self.plan.history] if self.plan.history else []
        if stand.note and stand.kept:
            texts.append("".join(f"<div>{line}</div>" for line in note_of(stand.kept, _shown)))
        known = self.work.wrote.get(HISTORY, ("", ""))[0].split(",")
        new = [text for text in texts if FORMS.mark(HISTORY, text) not in known]
        self.said += [FORMS.mark(HISTORY, text) for text in texts]
        said = {form(HISTORY, entry) for entry in await self.items.comments(str(item["id"]))} if new else set()
        return [text for text in new if form(HISTORY, text) not in said]

    async def _moved(self, item: Mapping[str, Any], before: str) -> str | None:
        """The state that the item has to come to because its issue's has changed."""
        wanted = self.plan.stage
        if wanted is None or wanted == before:
            return None
        fields = item.get("fields", {})
        states = await self.items.states(str(fields.get("System.WorkItemType") or self.plan.type))
        stage = move(before, wanted, STAGES.get(states.get(str(fields.get(STATE)), "")))
        if stage is None:
            return None
        fitting = (name for category in CATEGORIES[stage] for name, held in states.items() if held == category)
        return next(fitting, None)

    def _remembered(self, item: Mapping[str, Any], kept: Iterable[str]) -> dict[str, tuple[str, str]]:
        found = remembered(self.fields, item.get("fields", {}), FORMS, self.work.wrote, list(kept))
        found[TAGS] = (",".join(mark(tag.casefold()) for tag in self.plan.tags), "")
        if self.said:
            found[HISTORY] = (",".join(self.said), "")
        if self.plan.stage:
            found[STATUS] = (self.plan.stage, "")
        return found

    def _receipt(
        self, item: Mapping[str, Any], change: Change, wrote: Mapping[str, tuple[str, str]] | None = None
    ) -> Receipt:
        number, warnings = str(item["id"]), [*self.plan.warnings, *self.warnings]
        if change in ("created", "updated"):
            stored, told = item.get("fields", {}), {warning.partition(" ")[0] for warning in warnings}
            other = [n for n, v in self.fields.items() if n not in told and not same(n, stored.get(n), v)]
            warnings += [f"{name} was not stored as sent" for name in other]
        return Receipt(
            id=number,
            url=item["url"],
            ticket_number=number,
            change=change,
            version=item["rev"],
            warnings=tuple(warnings),
            wrote=wrote,
        )


def _shown(name: str, value: Value) -> str:
    """A field's value in a comment: a body is HTML already."""
    return str(value) if name in (REPRO, DESCRIPTION) else html.escape(str(value), quote=False)
