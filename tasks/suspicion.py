"""Suspect, test, decide: whose trouble is a refusal that may mean all jobs of a destination, or the one that met it.

One attempt tests the destination at once, the others that were refused meanwhile wait for its answer. A test that fails
suspends the destination, and the operator is told once, with the step that failed. One that passes leaves the trouble with
the job. Only a test that began after the refusal counts: an older one knows nothing of it.
"""

from __future__ import annotations

import asyncio
import logging

from tasks.audited import AuditedTest
from tasks.authorization.authorize import authorize
from tasks.connection import Look, not_opened, reach, told, without_credential
from tasks.destinations import destination_for
from tasks.destinations.contract import Needs
from tasks.errors import (
    AfterwordError,
    AttemptFailed,
    DestinationTrouble,
    KeyTrouble,
    Permanent,
    StateUnavailable,
    Transient,
)
from tasks.model import Finding
from tasks.services import Services
from tasks.state.directory import DestinationRecord

log = logging.getLogger(__name__)

TEST_S = 10.0
TURN_S = 25.0  # for a test of one's own, or for another's
LOOK_S = 0.1
ACTOR = "worker"
CORRECTED = "Correct that, then run `afterword destination test`."
# What a destination's own words or a stranger's answer say of the moment: it may be over in seconds.
PASSING_TROUBLE = frozenset(
    {
        "not_the_vendor",
        "odd_answer",
        "not_json",
        "sign_in_page",  # a captive portal's as well
        "hibernating",
        "read_only",
        "deactivated",
        "no_such_api",
        "no_such_table",
        "wrong_api_version",
        "too_large",
    }
)


async def examine(services: Services, record: DestinationRecord, needs: Needs, trouble: AttemptFailed) -> Finding:
    """Test the destination that gave a job this trouble, or share the test of another attempt; suspend it where that fails.

    Raises `StateUnavailable`. Takes no longer than `TURN_S` and `TEST_S` together.
    """
    try:
        async with asyncio.timeout(TURN_S):
            found = await _turn(services, record, trouble)
    except TimeoutError:
        return Finding("unclear")
    asks = found.result == "passed" and not isinstance(trouble, Permanent)  # which says by itself what is missing
    return await _allowed(services, record, needs) if asks else found


async def _turn(services: Services, record: DestinationRecord, trouble: AttemptFailed) -> Finding:
    since_ms = None
    while True:
        role, since_ms = await services.directory.suspect(record, since_ms, int(1000 * (TEST_S + 2)))
        match role:
            case "passed":
                return Finding("passed")
            case "moved":
                return Finding("moved")
            case "wait":
                await asyncio.sleep(LOOK_S)
            case "test":
                passed = False
                try:
                    found = await _reached(services, record, trouble)
                    passed = found.result == "passed"
                finally:
                    await asyncio.shield(services.directory.tested(record, passed=passed))
                return found


async def _reached(services: Services, record: DestinationRecord, trouble: AttemptFailed) -> Finding:
    """Whether the destination answers as itself and takes the credential; what was found is kept."""
    try:
        async with asyncio.timeout(TEST_S):
            look = await _look(services, record)
    except TimeoutError:
        return Finding("unclear")
    await services.directory.report(record, look.report, ACTOR)
    failed, failure = look.report.failure, look.failure
    if failed is None:
        return Finding("passed")
    if isinstance(failure, Transient) and failure.code not in PASSING_TROUBLE:
        return Finding("unclear", str(failure))
    if failure is not None:
        return await _suspend(services, record, str(failure), soon=failure.code in PASSING_TROUBLE)
    advice = trouble.advice if isinstance(trouble, DestinationTrouble) else CORRECTED
    return await _suspend(services, record, f"{failed.name}: {failed.detail}. {advice}".strip())


async def _look(services: Services, record: DestinationRecord) -> Look:
    destination = destination_for(record.settings)
    try:
        authorization = await authorize(services, record)
    except (AttemptFailed, KeyTrouble) as trouble:
        return without_credential(trouble)
    try:
        async with services.open_http(destination, authorization, _recorder(services, record)) as http:
            return await reach(destination, http)
    except AttemptFailed as failure:
        return not_opened(destination, failure)


async def _allowed(services: Services, record: DestinationRecord, needs: Needs) -> Finding:
    """What reading tells of the rights that the job needs: words for people, because the trouble is the job's either way."""
    destination = destination_for(record.settings)
    try:
        async with asyncio.timeout(TEST_S):
            authorization = await authorize(services, record)
            async with services.open_http(destination, authorization, _recorder(services, record)) as http:
                steps = told(await destination.rights(http, needs), http)
    except StateUnavailable:
        raise
    except (AfterwordError, TimeoutError):
        return Finding("passed")
    failed = next((step for step in steps if step.ok is False), None)
    return Finding("passed", f"{failed.name}: {failed.detail}" if failed else "")


def _recorder(services: Services, record: DestinationRecord) -> AuditedTest:
    return AuditedTest(services.ledger, services.vault, record)


async def _suspend(services: Services, record: DestinationRecord, reason: str, *, soon: bool = False) -> Finding:
    if await services.directory.suspend(record, reason, soon=soon):
        log.error("destination %s is suspended, its jobs wait: %s", record.name, reason)
    return Finding("failed", reason)
