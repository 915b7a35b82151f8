"""An attempt's requests to its destination: each audited, all of them within the time that its lease allows for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tasks.audited import AuditedRequests, Trail, overdue
from tasks.destinations import Destination
from tasks.http.authorization import Authorization
from tasks.http.exchange import Http
from tasks.model import Job
from tasks.progress import about
from tasks.services import Services
from tasks.state.directory import DestinationRecord
from tasks.tracing import TracedRequests

# How many requests may use up their time-outs: to look whether anything changed, and to bring it up to date.
LOOKS, WRITES = 2, 6


@asynccontextmanager
async def exchanging(
    services: Services,
    job: Job,
    trail: Trail,
    record: DestinationRecord,
    destination: Destination[Any],
    authorization: Authorization,
    most: float | None = None,
) -> AsyncIterator[Http]:
    """The client for `most` requests, by default for those of a delivery; raises `Transient` where they take longer than their time-outs together."""
    budget_s = record.settings.total_timeout_s
    doubt_s = budget_s + destination.write_lag_s
    try:
        async with asyncio.timeout(budget_s * (WRITES if most is None else most)) as limit:
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
                yield http
    except TimeoutError:
        raise overdue() from None
