"""Tells, once each, that a credential ends within 30, 7 and 1 days, and that it has ended: whichever worker comes first.

A login that nobody uses for months ends unseen at most vendors: it is used once a week.
"""

from __future__ import annotations

import logging

from tasks.authorization.authorize import authorize
from tasks.authorization.status import CredentialStatus, status_of
from tasks.credentials.kinds import Login
from tasks.errors import AttemptFailed, DestinationTrouble
from tasks.state.directory import DestinationRecord
from worker.rounds.again import again_and_again
from worker.runtime import Services

log = logging.getLogger(__name__)

STAGES = (30, 7, 1)  # days
DAY_MS = 24 * 3600 * 1000
UNUSED_MS = 7 * DAY_MS
LOOK_EVERY_S = 600.0


async def tell_of_ends(services: Services) -> None:
    """Look every ten minutes, until cancelled."""

    async def credentials() -> float:
        await tell_once(services)
        return LOOK_EVERY_S

    await again_and_again(credentials)


async def tell_once(services: Services) -> None:
    """One look at every destination: a log line and an audit entry for each stage that was reached since."""
    now_ms = services.core.clock_ms()
    for record in await services.destinations.list():
        status = await status_of(services.core, record)
        if status.ends_ms is not None:
            await _tell(services, record.name, status.ends_ms, now_ms)
        if isinstance(record.settings.auth, Login) and record.state == "ready":
            await _keep_alive(services, record, status, now_ms)


async def _tell(services: Services, name: str, ends_ms: int, now_ms: int) -> None:
    days = stage_of(ends_ms - now_ms)
    if days is None or not await services.core.grants.warn(name, f"{ends_ms}:{days}", days):
        return
    if days:
        todo = "renew it and store it with `afterword destination set`"
        log.warning("destination %s: its credential ends within %d days: %s", name, days, todo)
    else:
        log.error("destination %s: its credential has ended: store a new one with `afterword destination set`", name)


async def _keep_alive(services: Services, record: DestinationRecord, status: CredentialStatus, now_ms: int) -> None:
    """Use a login that was not used for a week; one that is refused suspends its destination before a job meets it."""
    if not status.logged_in or now_ms - (status.token_obtained_ms or now_ms) < UNUSED_MS:
        return
    try:
        await authorize(services.core, record)
    except DestinationTrouble as trouble:
        if await services.destinations.suspend(record, str(trouble)):
            log.error("destination %s is suspended, its jobs wait: %s", record.name, trouble)
    except AttemptFailed as trouble:
        log.info("destination %s: its login can't be used now: %s", record.name, trouble)


def stage_of(left_ms: int) -> int | None:
    """The stage that the time left is in: 0 where none is left, None where there is more than a month."""
    if left_ms <= 0:
        return 0
    return next((days for days in reversed(STAGES) if left_ms <= days * DAY_MS), None)
