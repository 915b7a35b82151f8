"""Credentials that renew themselves, from the sandbox's strict authorization servers to delivered jobs."""

from __future__ import annotations

import pytest

from tasks import lifecycle
from tasks.destinations import parse_settings
from tasks.model import JobState
from tests.integration.test_blame import jobs_for, rounds, states
from tests.integration.test_limits import health
from worker.machine.stack import sandbox_destinations

SECRET = "sandbox-client-secret"
GRANTS = {
    "confluence": {"type": "client-credentials", "client_id": "afterword"},
    "servicenow": {"type": "client-credentials", "client_id": "afterword"},
    "azure_devops": {"type": "client-credentials", "client_id": "afterword", "tenant": "contoso"},
}
VENDORS = list(GRANTS)


async def configure(services, sandbox, vendor, secret=SECRET, **more):
    given = {**sandbox_destinations(sandbox.url)[vendor], "write_lag_s": 0.2, "total_timeout_s": 3}
    given |= {"auth": GRANTS[vendor]} | more
    return await services.destinations.set(vendor, parse_settings(given), secret, "test")


async def tokens(sandbox, **rules) -> dict:
    async with sandbox.session.post(f"{sandbox.url}/_sandbox/tokens", json=rules) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def token_requests(sandbox) -> list[dict]:
    return [row for row in (await sandbox.state())["requests"] if row["path"].endswith(("/token", "/oauth_token.do"))]


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_client_with_its_own_secret_delivers_with_one_token_for_all_jobs(services, sandbox, vendor):
    """Eight jobs of one destination share the token that the first of them asked for."""
    await configure(services, sandbox, vendor)
    jobs = await jobs_for(services, vendor, 8)
    await rounds(services, vendor)
    assert set(await states(services, jobs)) == {JobState.DELIVERED}
    assert len(await token_requests(sandbox)) == 1


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_token_that_is_refused_in_mid_run_is_renewed_once_and_the_job_goes_on(services, sandbox, vendor):
    """A 401 isn't the job's fault nor the destination's: nothing is dead, nothing suspended, nothing counted."""
    await configure(services, sandbox, vendor)
    first, second = await jobs_for(services, vendor, 2)
    await lifecycle.attempt(services.core, first.id)
    await tokens(sandbox, expire=True)
    ended = await lifecycle.attempt(services.core, second.id)
    assert ended.state is JobState.DELIVERED, ended.error
    assert (await health(services, vendor)).state == "ready"
    assert len(await token_requests(sandbox)) == 2
    assert len(await sandbox.objects(vendor)) == 2
