"""Takes over what became of delivered tickets: their state, number, assignee and links, as people changed them there.

What is taken over stands beside the issue and is never written back. A value that reads as the delivery since the last look
left it is our own change, and no news.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Literal

from tasks.audited import AuditedTest
from tasks.authorization.authorize import authorize
from tasks.destinations import destination_for
from tasks.destinations.tickets.settings import TicketSettings
from tasks.destinations.tickets.status import STATUS, stage_of
from tasks.errors import AttemptFailed, KeyTrouble
from tasks.http.exchange import Http
from tasks.model.remote import WATCHED, Observed
from tasks.services import Services
from tasks.state.directory import DestinationRecord
from tasks.state.jobs.followed import Due, Seen

log = logging.getLogger(__name__)

BATCH = 50  # tickets in one request
ENDED = ("resolved", "closed")


async def follow(services: Services, record: DestinationRecord) -> int:
    """Look at one batch of a destination's tickets; returns how many were changed by somebody else. What fails is looked at
    again when its next turn comes: nothing waits for it, and jobs are what says that a destination is in trouble.
    """
    settings = record.settings
    if not isinstance(settings, TicketSettings) or not settings.follow_state or record.state != "ready":
        return 0
    if record.not_before_ms > services.clock_ms():
        return 0
    due = await services.followed.due(record.name, BATCH, int(1000 * settings.follow_state_every_s))
    standings = {each.subject: await _standing(services, each) for each in due}
    await services.followed.drop(
        record.name, [subject for subject, standing in standings.items() if standing == "ended"]
    )
    wanted = {each.subject: each for each in due if standings[each.subject] == "open"}
    if not wanted:
        return 0
    try:
        found = await _looked(services, record, wanted)
    except (AttemptFailed, KeyTrouble) as trouble:
        log.info("destination %s: its tickets can't be looked at now: %s", record.name, trouble)
        return 0
    changed = 0
    for subject, now in found.items():
        changed += await _kept(services, record.name, wanted[subject], now)
    return changed


async def _standing(services: Services, due: Due) -> Literal["open", "ended", "unreadable"]:
    """Whether its issue is still worked on. One that can't be read now, for want of a key, is left for its next turn."""
    try:
        issue = await services.contents.issue(due.issue_id)
    except KeyTrouble:
        return "unreadable"
    return "open" if issue is not None and stage_of(issue.status, "close") not in ENDED else "ended"


async def _looked(services: Services, record: DestinationRecord, wanted: Mapping[str, Due]) -> Mapping[str, Observed]:
    destination = destination_for(record.settings)
    authorization = await authorize(services, record)
    recorder = AuditedTest(services.ledger, services.vault, record, "lookup", in_turn=True)
    async with services.open_http(destination, authorization, recorder) as http:
        found = await destination.observe({subject: due.receipt for subject, due in wanted.items()}, http)
        return {subject: _told(now, http) for subject, now in found.items()}


def _told(now: Observed, http: Http) -> Observed:
    """What was read, without the credential."""
    tell, ticket = http.sent.tell, now.ticket
    words = {name: tell(getattr(ticket, name)) for name in ("number", "url", "state", "assignee")}
    return now.model_copy(
        update={"ticket": ticket.model_copy(update={**words, "links": tuple(map(tell, ticket.links))})}
    )


async def _kept(services: Services, destination: str, due: Due, now: Observed) -> bool:
    """Whether somebody else changed the ticket since the last look; what it looks like now is kept."""
    before = due.seen
    if before is not None and before.ticket == now.ticket and before.delivered_ms == due.delivered_ms:
        return False
    changed = theirs(due, now)
    moment = services.clock_ms()
    earlier = before.changed_ms if before else None
    seen = Seen(
        ticket=now.ticket,
        delivered_ms=due.delivered_ms,
        seen_ms=moment,
        changed_ms=moment if changed else earlier,
    )
    kept = await services.followed.keep(destination, due, seen, changed)
    if kept and changed:
        log.info("destination %s: %s was changed there: %s", destination, now.ticket.number, ", ".join(changed))
    return kept and bool(changed)


def theirs(due: Due, now: Observed) -> tuple[str, ...]:
    """What somebody else changed of a ticket since the last look. Pure. The first look changes nothing: it is what later ones
    are compared with, but for a number that isn't the one of the delivery.
    """
    if due.seen is None:
        number = due.receipt.ticket_number
        return ("number", "url") if number and number != now.ticket.number else ()
    before = due.seen.ticket
    differing = [name for name in WATCHED if getattr(before, name) != getattr(now.ticket, name)]
    delivered = due.delivered_ms != due.seen.delivered_ms
    return tuple(name for name in differing if not (delivered and _is_ours(name, due, now)))


def _is_ours(name: str, due: Due, now: Observed) -> bool:
    """Whether a value reads as our own delivery left it."""
    field, reads = now.reads.get(name, ("", ""))
    if field and due.wrote.get(field, ("", ""))[1] == reads:
        return True
    return name == "state" and now.ticket.stage is not None and due.wrote.get(STATUS, ("", ""))[0] == now.ticket.stage
