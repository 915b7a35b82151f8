"""The overview, the first page: what needs a person, what was delivered and how fast, and each destination's line."""

from __future__ import annotations

from aiohttp import web

from tasks.authorization.status import status_of
from tasks.model import Frozen, JobState
from tasks.state.clock import in_words
from tasks.state.directory import DestinationRecord
from tasks.state.traffic.limiter import Health
from tasks.state.workers import workers as all_workers
from worker.console.history import STEPS_MS, Figures, points, polyline
from worker.console.rendering import ago, count, query
from worker.console.visit import Route, Visit
from worker.rounds.endings import stage_of

WIDTH, HEIGHT = 120, 28  # of a destination's line, in pixels
WAITING = (JobState.QUEUED, JobState.RETRYING)
MOST_ALIKE = 5  # needs of one sort
SOON_DAYS = 7  # until a credential ends


class Need(Frozen):
    """Something that waits for a person: what, in a few words, and the page where it can be done."""

    kind: str
    words: str
    address: str
    more: str = ""


class Row(Frozen):
    """One destination: its record and health, what happened to its jobs, and the line of its deliveries."""

    record: DestinationRecord
    health: Health
    figures: Figures
    line: str


async def overview(visit: Visit) -> web.StreamResponse:
    """The page. Before anything is connected it leads to the destinations."""
    records = await visit.services.destinations.list()
    if not records:
        return await visit.go("/settings/destinations")
    span = visit.asked("span") if visit.asked("span") in STEPS_MS else "24h"
    length_ms, step_ms = STEPS_MS[span]
    now_ms = visit.now_ms
    slots = await visit.services.ledger.overview.history(now_ms - length_ms, now_ms)
    rows = [
        Row(
            record=record,
            health=await visit.services.destinations.shown_health(record.name),
            figures=Figures.of(slot.counts.get(record.name, {}) for slot in slots),
            line=polyline(
                [point.delivered for point in points(slots, record.name, now_ms - length_ms, now_ms, step_ms)],
                WIDTH,
                HEIGHT,
            ),
        )
        for record in records
    ]
    statistics = await visit.services.ledger.statistics()
    waiting = [count for count in statistics if count.state in WAITING and count.count]
    line = points(slots, None, now_ms - length_ms, now_ms, step_ms)
    return await visit.page(
        "overview.html",
        span=span,
        spans=list(STEPS_MS),
        step_ms=step_ms,
        figures=Figures.of(counts for slot in slots for counts in slot.counts.values()),
        points=line,
        highest=max([*(point.ended for point in line), 1]),
        waiting=sum(count.count for count in waiting),
        oldest_ms=min((count.oldest_ms for count in waiting), default=None),
        rows=rows,
        needs=await _needs(visit, rows),
        width=WIDTH,
        height=HEIGHT,
    )


async def _needs(visit: Visit, rows: list[Row]) -> list[Need]:
    """What waits for a person, the most urgent first."""
    services = visit.services
    needs = [
        Need(kind="bad", words=record.why, address="/settings/destinations")
        for record in (await services.signing.doubts())[:MOST_ALIKE]
    ]
    known = await all_workers(services.redis, services.settings.prefix)
    alive = [worker for worker in known if worker.until_ms > visit.now_ms]
    if not alive:
        needs.append(Need(kind="bad", words="No worker is running: nothing is delivered.", address="/workers"))
    clocks = [(each.about.host or each.name, s) for each in alive if (s := each.about.wrong_s) is not None]
    needs += [
        Need(kind="warn", words=f"The clock of {host} is {in_words(wrong_s)}.", address="/workers")
        for host, wrong_s in clocks[:MOST_ALIKE]
    ]
    for row in rows:
        place, standing = f"/settings/destinations#{row.record.name}", row.health.standing
        waiting = "1 job waits" if row.health.waiting == 1 else f"{count(row.health.waiting)} jobs wait"
        if row.health.state == "suspended":
            words = f"{row.record.name} is suspended; {waiting}."
            needs.append(Need(kind="bad", words=words, address=place, more=row.health.reason or ""))
        elif standing.name == "failing":
            at = f" at step {standing.step}" if standing.step else ""
            words = f"{row.record.name} is failing{at}; {waiting}."
            needs.append(Need(kind="bad", words=words, address=place, more=standing.reason))
        elif not row.record.has_credential:
            needs.append(Need(kind="warn", words=f"{row.record.name} has no credential.", address=place))
        elif row.health.state == "paused":
            words = f"{row.record.name} is paused; {waiting}."
            needs.append(Need(kind="warn", words=words, address=place, more=row.health.reason or ""))
        ends_ms = (await status_of(services.core, row.record)).ends_ms
        if ends_ms is not None and (days := stage_of(ends_ms - visit.now_ms)) is not None:
            words = f"The credential of {row.record.name} {'ends' if days else 'ended'} {ago(ends_ms, visit.now_ms)}."
            needs.append(Need(kind="bad" if days < SOON_DAYS else "warn", words=words, address=place))
    for state, said in ((JobState.HELD, "held for a decision"), (JobState.DEAD, "dead")):
        for cause in (await services.ledger.overview.causes(state))[:MOST_ALIKE]:
            words = f"{cause.count} job{'' if cause.count == 1 else 's'} {said}: {cause.name.replace('_', ' ')}."
            address = query("/jobs", state=state.value, cause=cause.name)
            needs.append(Need(kind="held" if state is JobState.HELD else "bad", words=words, address=address))
    if aside := await services.dead_list.held():
        words = f"{aside} message{'' if aside == 1 else 's'} could not be read and were set aside."
        more = "`afterword message list` on the server shows them."
        needs.append(Need(kind="warn", words=words, address="/workers", more=more))
    return needs


ROUTES = (Route("GET", "/", overview),)
