"""An attempt's requests to its destination: each audited, all of them within the time that its lease allows for; and what of
their answers is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from tasks.audited import AuditedRequests, Trail, overdue
from tasks.destinations.contract import Destination, Work
from tasks.errors import AttemptFailed, Transient
from tasks.http.authorization import Authorization
from tasks.http.echoes import beside
from tasks.http.exchange import Http
from tasks.model import Job, PublishToConfluence, Receipt
from tasks.progress import about
from tasks.services import Services
from tasks.state.directory import DestinationRecord
from tasks.tracing import TracedRequests

# How many requests may use up their time-outs: to look whether anything changed, and to bring it up to date.
LOOKS, WRITES = 2, 6
MOST_OF_AN_ID, MOST_OF_AN_ADDRESS = 255, 2000  # characters


@asynccontextmanager
async def exchanging(
    services: Services,
    job: Job,
    trail: Trail,
    record: DestinationRecord,
    destination: Destination[Any],
    authorization: Authorization,
    most: int = WRITES,
) -> AsyncIterator[Http]:
    """The client for `most` requests, by default for those of a delivery; raises `Transient` where they take longer than their time-outs together."""
    budget_s = record.settings.total_timeout_s
    doubt_s = budget_s + destination.write_lag_s
    try:
        async with asyncio.timeout(budget_s * most) as limit:
            audited = AuditedRequests(
                services.ledger,
                services.vault,
                services.clock_ms,
                services.alive,
                job,
                record,
                doubt_s,
                trail,
                limit,
            )
            recorder = TracedRequests(audited, services.tracing, about(job))
            async with services.open_http(destination, authorization, recorder) as http:
                try:
                    yield http
                except AttemptFailed as failure:
                    with suppress(Transient):  # the doubt that this leaves has the object looked up
                        made, failure.receipt = failure.receipt, None
                        failure.receipt = made and told(made, http)
                    raise
    except TimeoutError:
        raise overdue() from None


def names_of(work: Work) -> Iterator[str]:
    """What may be told of the work: its title, what a job's own mapping sets, and what an earlier receipt said."""
    content = work.document or work.issue
    yield content.title if content else ""
    if work.issue:
        yield work.issue.assigned_to
    if work.previous:
        yield from (work.previous.id, work.previous.url, work.previous.ticket_number or "")
    if not isinstance(work.command, PublishToConfluence):
        yield from (str(value) for value in work.command.config.fields.values())


def told(receipt: Receipt, http: Http) -> Receipt:
    """The receipt as it may be kept and shown. One by which the object can't be found, because the answer repeats credential or
    content in the place of its id, is the error of an answer that isn't the vendor's: the next attempt looks first. An
    object's address that repeats any becomes the destination's own.
    """
    known = (receipt.id, receipt.ticket_number or "", str(receipt.version or ""))
    below = receipt.url.removeprefix(http.base_url)
    is_short = max(map(len, known)) <= MOST_OF_AN_ID and len(below) <= MOST_OF_AN_ADDRESS
    if is_short and http.sent.is_clean((*known, beside(below, known), *receipt.warnings)):
        return receipt
    if any(len(name) > MOST_OF_AN_ID or http.sent.is_repeated(name) for name in known):
        raise Transient(
            "The answer has something else in the place of the object's id.",
            code="odd_answer",
            advice="If it stays like this, check the address, and whether something between here and there answers instead.",
            answered=True,
            certain=False,
        )
    if len(below) > MOST_OF_AN_ADDRESS or http.sent.is_repeated(below):
        receipt = receipt.model_copy(update={"url": http.base_url})
    return receipt.model_copy(update={"warnings": tuple(map(http.sent.tell, receipt.warnings))})
