"""What an operator decides: a dead job again, all jobs of a kind, whether a destination answers."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

from tasks.audited import AuditedTest
from tasks.authorization.authorize import authorize
from tasks.connection import Look, not_opened, reach, rights, without_credential
from tasks.destinations.contract import Destination
from tasks.errors import AttemptFailed
from tasks.http.authorization import Fixed
from tasks.model import ConnectionReport, ConnectionStep, Job, PublishToConfluence
from tasks.operator.bulk import Progress, Verb, act_on_each, act_on_these
from tasks.operator.filters import check_filter
from tasks.services import Services
from tasks.state.directory import DestinationRecord
from tasks.state.jobs.overview import JobFilter
from tasks.subjects import own_subject, subject_of

log = logging.getLogger(__name__)


async def retry(services: Services, job_id: str, actor: str, reason: str = "") -> Job:
    """Queue a dead job again. Content that was put since then counts for what its subject is."""
    job = await services.ledger.require(job_id)
    page = isinstance(job.command, PublishToConfluence)
    family = subject_of(job.command, job.destination, await services.contents.about(job.command) if page else None)
    subject = own_subject(job.command, family, job_id)
    return await services.ledger.retry(job_id, actor, reason, subject=subject)


async def act_on_all(
    services: Services, verb: Verb, chosen: JobFilter, *, actor: str, reason: str = ""
) -> AsyncIterator[Progress]:
    """Retry, cancel or release every job that fits the filter. See `tasks.operator.bulk.act_on_each`; raises as `check_filter`."""
    await check_filter(services, chosen)
    act = partial(_decide, services, verb, actor=actor, reason=reason)
    steps = act_on_each(services.ledger, verb, chosen, act, actor=actor, reason=reason)
    async with contextlib.aclosing(steps):
        async for progress in steps:
            yield progress


def act_on_chosen(
    services: Services, verb: Verb, ids: Sequence[str], *, actor: str, reason: str = ""
) -> AsyncIterator[Progress]:
    """Retry, cancel or release these jobs. See `tasks.operator.bulk.act_on_these`."""
    return act_on_these(ids, partial(_decide, services, verb, actor=actor, reason=reason))


async def _decide(services: Services, verb: Verb, job_id: str, *, actor: str, reason: str) -> Job:
    if verb == "retry":
        return await retry(services, job_id, actor, reason)
    decide = services.ledger.cancel if verb == "cancel" else services.ledger.release
    return await decide(job_id, actor, reason)


async def test_connection(
    services: Services, destination: Destination[Any], secret: str | None, record: DestinationRecord | None, actor: str
) -> ConnectionReport:
    """Test a destination step by step, a stored one by its record and any other with the secret.

    What the test of a stored one found is kept; where it answers as itself and takes the credential, a suspended one goes on.
    Raises `StateUnavailable` and `KeyTrouble`, which say nothing about the destination.
    """
    look, more = await _tested(services, destination, secret, record)
    report = ConnectionReport(steps=(*look.steps, *more))
    if record is not None:
        await services.directory.report(record, report, actor)
        # A right that is missing in the configured space or project stops the jobs for that alone: they end with those words.
        if look.passed and await services.directory.recover(record, actor):
            log.warning("destination %s passed its test: its jobs go on", record.name)
    return report


async def _tested(
    services: Services, destination: Destination[Any], secret: str | None, record: DestinationRecord | None
) -> tuple[Look, tuple[ConnectionStep, ...]]:
    """How far the vendor was reached, and what the account may do there."""
    try:
        authorization = await authorize(services, record) if record else Fixed(destination.authorization(secret))
    except AttemptFailed as failure:
        return without_credential(failure), ()
    recorder = AuditedTest(services.ledger, services.vault, record)
    try:
        async with services.open_http(destination, authorization, recorder) as http:
            look = await reach(destination, http)
            return look, await rights(destination, http, destination.needs(None)) if look.passed else ()
    except AttemptFailed as failure:
        return not_opened(destination, failure), ()
