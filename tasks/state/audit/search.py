"""Finds entries by what people look for: event, job, destination, actor, document or issue, time.

Entries say these themselves. Those of older versions name only their job; what that job was about is asked of the ledger.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from tasks.model import Frozen
from tasks.state.audit.entries import AuditEntry, entry_of
from tasks.state.audit.heads import order
from tasks.state.audit.trail import Audit

GROUP = 1000
NEWEST = 2**64 - 1  # the last number that a Redis stream gives within one millisecond

About = Callable[[Sequence[str]], Awaitable[Mapping[str, Mapping[str, str]]]]


class Search(Frozen):
    """What to look for; empty means anything. `about` is the id of a document or an issue, `since_ms` and `until_ms` are
    epoch milliseconds.
    """

    event: str = ""
    job: str = ""
    destination: str = ""
    actor: str = ""
    about: str = ""
    since_ms: int | None = None
    until_ms: int | None = None

    def fits(self, entry: AuditEntry, of_job: Mapping[str, str] | None = None) -> bool:
        """Whether the entry is looked for, but for its time; `of_job` is what its job adds to what it says itself."""
        data: Mapping[str, Any] = {**(of_job or {}), **entry.data}
        return (
            self._fits_itself(entry)
            and (not self.destination or data.get("destination") == self.destination)
            and (not self.about or self.about in (data.get("document"), data.get("issue")))
        )

    def asks_job(self, entry: AuditEntry) -> bool:
        """Whether it takes the entry's job to tell."""
        data = entry.data
        unsaid = (self.destination and not data.get("destination")) or (
            self.about and not (data.get("document") or data.get("issue"))
        )
        return bool(unsaid and data.get("job")) and self._fits_itself(entry)

    def _fits_itself(self, entry: AuditEntry) -> bool:
        return (not self.event or entry.event == self.event or entry.event.startswith(f"{self.event}.")) and all(
            not wanted or wanted.lower() in str(entry.data.get(name) or "").lower()
            for name, wanted in (("job", self.job), ("actor", self.actor))
        )


async def fitting(search: Search, entries: Sequence[AuditEntry], about: About) -> list[AuditEntry]:
    """Those of the entries that fit, but for their time; `about` tells of jobs what they are about."""
    asked = {str(entry.data["job"]) for entry in entries if search.asks_job(entry)}
    known = await about(sorted(asked)) if asked else {}
    return [entry for entry in entries if search.fits(entry, known.get(str(entry.data.get("job"))))]


async def newest(
    audit: Audit, search: Search, about: About, *, before: str | None, count: int, most: int | None = None
) -> tuple[list[AuditEntry], str | None]:
    """Up to `count` entries that fit, newest first, before the entry of id `before`; and where to look on.

    It looks at `most` entries at most. There is nothing to look on from where it has seen all.
    """
    start = f"{search.until_ms + 1}-0" if before is None and search.until_ms is not None else before
    found: list[AuditEntry] = []
    looked = 0
    while most is None or looked < most:
        entries = await audit.before(start, GROUP)
        early = search.since_ms is not None and any(_at_ms(entry) < search.since_ms for entry in entries)
        within = [entry for entry in entries if search.since_ms is None or _at_ms(entry) >= search.since_ms]
        for entry in await fitting(search, within, about):
            found.append(entry)
            if len(found) == count:
                return found, entry.id
        if early or len(entries) < GROUP:
            return found, None
        start = entries[-1].id
        looked += len(entries)
    return found, start


async def following(
    audit: Audit, search: Search, about: About, *, after: str, count: int, most: int
) -> tuple[list[AuditEntry], str]:
    """Up to `count` entries that fit, oldest first, after the entry of id `after` (`-` for the first), and where to look on."""
    found: list[AuditEntry] = []
    looked = 0
    while looked < most and (entries := await audit.after(after, count if search == Search() else GROUP)):
        for entry in await fitting(search, entries, about):
            found.append(entry)
            if len(found) == count:
                return found, entry.id
        after = entries[-1].id
        looked += len(entries)
    return found, after


async def oldest(
    audit: Audit, search: Search, about: About, *, after: str = "-"
) -> AsyncIterator[tuple[str, Mapping[str, str]]]:
    """Every entry that fits, as stored, oldest first, after the entry of id `after`."""
    if search.since_ms is not None:
        since = f"{max(search.since_ms, 1) - 1}-{NEWEST}"
        after = since if after == "-" else max(after, since, key=order)
    before_ms = None if search.until_ms is None else search.until_ms + 1
    group: list[tuple[str, dict[str, str]]] = []
    async for row in audit.rows(after, before_ms):
        group.append(row)
        if len(group) == GROUP:
            for each in await _fitting_rows(search, group, about):
                yield each
            group = []
    for each in await _fitting_rows(search, group, about):
        yield each


async def _fitting_rows(
    search: Search, rows: Sequence[tuple[str, dict[str, str]]], about: About
) -> list[tuple[str, dict[str, str]]]:
    entries = [entry_of(identifier, fields) for identifier, fields in rows]
    kept = {entry.id for entry in await fitting(search, entries, about)}
    return [row for row in rows if row[0] in kept]


def _at_ms(entry: AuditEntry) -> int:
    return order(entry.id)[0]
