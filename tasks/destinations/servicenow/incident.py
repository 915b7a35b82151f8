"""The delivery of one incident, or of another table's record: found where it may exist, then created or changed, with what other people did left alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tasks.destinations.contract import Work
from tasks.destinations.servicenow.plan import RecordPlan, links_block, table_of, without_links
from tasks.destinations.servicenow.references import TABLES, resolved
from tasks.destinations.servicenow.settings import DESCRIPTION_LENGTH, JOURNAL_LENGTH, ServiceNowSettings
from tasks.destinations.servicenow.table import Records
from tasks.destinations.servicenow.values import FORMS, SYS_ID, form, same
from tasks.destinations.tickets.drift import Standing, note_of, remembered, standing, tries
from tasks.destinations.tickets.status import STATUS, Stage, move
from tasks.errors import AttemptFailed, Permanent
from tasks.http.exchange import Http
from tasks.markup import clean, servicenow
from tasks.model import INCIDENTS, CreateServiceNowIncident, Receipt

Change = Literal["created", "updated", "unchanged", "found", "skipped"]
ENDED = ("7", "8")  # of an incident; other tables have states of their own
NO_FIELD = "{} is not a field of this instance, or the account may not write it"
STAGES: Mapping[str, Stage] = {
    "1": "open",
    "2": "working",
    "3": "working",
    "6": "resolved",
    "7": "closed",
    "8": "closed",
}


def address_of(instance: str, table: str, sys_id: str) -> str:
    """Where people look at a record."""
    return f"{instance}/nav_to.do?uri={table}.do?sys_id={sys_id}"


def table_at(url: str) -> str:
    """The table of the record that people look at there."""
    found = re.search(r"[?&]uri=([a-z][a-z0-9_]*)\.do", url)
    return found[1] if found else INCIDENTS


def is_ended(table: str, record: Mapping[str, str]) -> bool:
    """Whether the record is known to take no changes any more."""
    return table == INCIDENTS and record.get("state") in ENDED


@dataclass
class Keeper:
    """Brings one subject's record up to date."""

    settings: ServiceNowSettings
    work: Work
    plan: RecordPlan
    http: Http
    now_ms: Callable[[], int]
    warnings: list[str] = field(default_factory=list)
    said: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        moved = ("state", "close_code", "close_notes")
        self.table = Records(self.http, self.plan.table, tuple(dict.fromkeys((*self.plan.fields, *moved))))
        config = self.work.command.config if isinstance(self.work.command, CreateServiceNowIncident) else None
        self.if_exists = config.if_exists if config else "update"
        self.policy = (config.on_drift if config else None) or self.settings.on_drift
        if self.work.released:
            self.policy = "overwrite"

    async def deliver(self) -> Receipt:
        """Update the subject's record, or create it; then its attachment."""
        receipt = await self._deliver()
        if self.plan.attachment is not None and receipt.change != "skipped":
            try:
                missing = await self.table.attach(receipt.id, self.plan.attachment)
            except AttemptFailed as failure:
                failure.receipt = receipt  # the record stands
                raise
            if missing and receipt.change != "created":
                return receipt.model_copy(update={"change": "updated"})
        return receipt

    async def _deliver(self) -> Receipt:
        work = self.work
        known = await self.table.record(work.previous.id) if work.previous else None
        found = False
        # "Not found" for a record that was delivered may mean that it is out of sight: look by its key as well.
        if known is None and (work.previous is not None or work.doubt_until_ms is not None):
            known = await self.table.look_up(work.subject)
            found = known is not None
            if known is None:
                work.settle_doubt(self.now_ms())
        if known is None:
            return await self._create()
        if self.if_exists == "skip":
            return self._receipt(known, "skipped")
        return await self._update(known, found=found)

    async def _names(self) -> dict[str, str]:
        """The plan's fields with ids in place of names."""
        got = await resolved(self.http, self.plan.fields, self.settings.unknown_reference, self.plan.soft)
        self.warnings += got.warnings
        return got.fields

    async def _create(self) -> Receipt:
        plan, fields = self.plan, await self._names()
        stage = move("open", plan.stage, "open")
        sent = fields | plan.once | plan.journals | (plan.states.get(stage, {}) if stage else {})
        marks = tries(self._content(fields) | plan.journals, FORMS, "")
        self.said = {name: [FORMS.mark(name, text)] for name, text in plan.journals.items()}
        stored = await self.table.create(sent, marks)
        if stage and STAGES.get(stored.get("state", "")) != stage:
            self.warnings.append(f"the incident was not moved to {stage}: the instance left its state as it is")
        return self._receipt(stored, "created", fields, wrote=self._remembered(fields, stored, ()))

    async def _update(self, known: dict[str, str], *, found: bool) -> Receipt:
        work, plan, fields = self.work, self.plan, await self._names()
        what = f"{plan.table} {known.get('number') or known['sys_id']}"
        present = {name: known[name] for name in fields if name in known}
        content = {name: value for name, value in self._content(fields).items() if name in present}
        if same("description", plan.fields["description"], present.get("description")):
            content.pop("description", None)  # with links it may have been cut shorter
        stand = standing(content, present, FORMS, work.wrote, work.tried, self.policy, what=what)
        change = {name: fields[name] for name in stand.write}
        change |= self._moved(known)
        entries = await self._entries(known["sys_id"], stand)
        change |= entries[0] if entries else {}
        self.warnings += stand.warnings
        if not change:
            wrote = self._remembered(fields, known, stand.kept)
            return self._receipt(known, "found" if found else "unchanged", fields, wrote=wrote)
        if is_ended(plan.table, known) and "state" not in change:
            return self._ended(known, change, what)
        marks = tries(self._content(fields) | plan.journals, FORMS, work.tried)
        stored = await self.table.change(known["sys_id"], change, marks)
        for entry in entries[1:]:
            stored = await self.table.change(known["sys_id"], entry, marks)
        wrote = self._remembered(fields, known | stored, stand.kept)
        return self._receipt(stored, "updated", fields, wrote=wrote)

    def _content(self, fields: Mapping[str, str]) -> dict[str, str]:
        """The fields as they are compared: the description without its links."""
        return {**fields, "description": self.plan.unlinked} if "description" in fields else dict(fields)

    def _ended(self, known: Mapping[str, str], change: Mapping[str, str], what: str) -> Receipt:
        """An incident that was closed refuses every change."""
        if self.policy == "overwrite":
            raise Permanent(
                f"The {what} is closed, and ServiceNow takes no changes of a closed incident.",
                code="closed",
                advice="Submit with `if_exists: new` for a new incident, or open it again there and retry the job.",
            )
        self.warnings.append(f"{what} is closed and was left as it is; newer are: {', '.join(change)}")
        return self._receipt(known, "skipped")

    def _moved(self, known: Mapping[str, str]) -> dict[str, str]:
        """What the incident's state has to become because its issue's has changed."""
        before = self.work.wrote.get(STATUS, ("open", ""))[0]
        stage = move(before, self.plan.stage, STAGES.get(known.get("state", "")))
        if stage is None:
            return {}
        if known.get("state") in ENDED:
            self.warnings.append("the issue was opened again, and its closed incident can't be")
            return {}
        return self.plan.states[stage]

    async def _entries(self, sys_id: str, stand: Standing) -> list[dict[str, str]]:
        """The journals' entries that are not there yet, in as many changes as they need: each content is written once."""
        wanted = list(self.plan.journals.items())
        if stand.note and stand.kept:
            note = servicenow.without_code_tags("\n".join(note_of(stand.kept, lambda _, value: str(value))))
            wanted.append(("work_notes", clean.cut(note, JOURNAL_LENGTH)))
        for name, text in wanted:
            self.said.setdefault(name, []).append(FORMS.mark(name, text))
        known = {name: self.work.wrote.get(name, ("", ""))[0].split(",") for name, _ in wanted}
        new = [(name, text) for name, text in wanted if FORMS.mark(name, text) not in known[name]]
        there = await self.table.journal(sys_id, {name for name, _ in new}) if new else []
        if there is None and self.work.doubt_until_ms is not None:
            self.warnings.append("the journal can't be read: entries that may have been written were not repeated")
            return []
        said = {(name, form(name, text)) for name, text in there or ()}
        new = [(name, text) for name, text in new if (name, form(name, text)) not in said]
        first = dict(reversed(new))
        later = [{name: text} for name, text in new if first[name] != text]
        return [first, *later] if first else []

    def _remembered(
        self, fields: Mapping[str, str], after: Mapping[str, str], kept: Mapping[str, object] | tuple[()]
    ) -> dict[str, tuple[str, str]]:
        found = remembered(self._content(fields), after, FORMS, self.work.wrote, list(kept))
        found |= {name: (",".join(marks), "") for name, marks in self.said.items()}
        if self.plan.stage:
            found[STATUS] = (self.plan.stage, "")
        return found

    def _receipt(
        self,
        row: Mapping[str, str],
        change: Change,
        fields: Mapping[str, str] | None = None,
        wrote: Mapping[str, tuple[str, str]] | None = None,
    ) -> Receipt:
        warnings = [*self.plan.warnings, *self.warnings]
        if change in ("created", "updated"):
            warnings += self._not_taken(row, fields or {})
        elif change in ("unchanged", "found"):
            warnings += [NO_FIELD.format(name) for name in fields or () if name not in row]
        sys_id = row["sys_id"]
        url = address_of(self.settings.instance_url, self.plan.table, sys_id)
        return Receipt(
            id=sys_id, url=url, ticket_number=row.get("number"), change=change, warnings=tuple(warnings), wrote=wrote
        )

    def _not_taken(self, row: Mapping[str, str], fields: Mapping[str, str]) -> list[str]:
        """What the instance made of the fields, where that is something else than was sent."""
        expected, kept = self.plan.expected_priority, {w.partition(" ")[0] for w in self.warnings}
        found = []
        if expected and row.get("priority") not in (None, "", expected):
            found.append(f"priority is {row['priority']:.20}, expected {expected}: the instance has rules of its own")
        for name, value in fields.items():
            if name in kept or ((named := name in TABLES and not SYS_ID.match(value)) and row.get(name)):
                continue  # a name that could not be looked up is stored as its record's id
            if name not in row:
                found.append(NO_FIELD.format(name))
            elif not same(name, row[name], value):
                said = "is not known to the instance" if named else "was not stored as sent"
                found.append(f"{name} {said}")
        return found


async def link_incident(work: Work, http: Http) -> Receipt:
    """Bring the lines of links at the description's end up to date."""
    previous = work.previous
    if previous is None:
        raise Permanent("The job has no incident to link from.", code="unknown_incident")
    name = table_of(work.command)
    table = Records(http, name, ("description",))
    record = await table.record(previous.id)
    if record is None:
        gone = (f"The {name} is not there any more.",)
        return previous.model_copy(update={"change": "skipped", "warnings": gone})
    present, block = record.get("description", ""), links_block(work.links)
    wanted = clean.cut(without_links(present), DESCRIPTION_LENGTH - len(block)) + block
    if wanted == present:
        return previous.model_copy(update={"change": "unchanged", "warnings": ()})
    if is_ended(name, record):
        ended = ("The incident is closed; its links were left as they are.",)
        return previous.model_copy(update={"change": "skipped", "warnings": ended})
    http.keep_inside((wanted,))
    stored = await table.change(previous.id, {"description": wanted})
    dropped = () if stored.get("description", "") == wanted else ("description was not stored as sent",)
    known = work.wrote.get("description")
    wrote = None
    if known and known[1] == FORMS.mark("description", present):  # still ours, maybe cut shorter for the links
        wrote = {**work.wrote, "description": (known[0], FORMS.mark("description", stored.get("description", "")))}
    return previous.model_copy(update={"change": "updated", "warnings": dropped, "wrote": wrote})
