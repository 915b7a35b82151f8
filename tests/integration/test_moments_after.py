"""What the moments after a write hold: objects that aren't shown yet, and pages whose creation nobody heard the end of."""

from __future__ import annotations

import pytest

from tasks import lifecycle
from tasks.destinations import parse_settings
from tasks.model import JobState
from tests.conftest import until
from tests.integration.test_lifecycle import DOCUMENT, PUBLISH, submit
from worker.machine.stack import FAKE_SECRET, sandbox_destinations

NEWER = DOCUMENT.model_copy(update={"content_md": "Newer words."})


@pytest.fixture(autouse=True)
async def patient(services, destinations, sandbox):
    """A destination whose lag is longer than a test needs to go on."""
    given = sandbox_destinations(sandbox.url)["confluence"] | {"write_lag_s": 1.0}
    await destinations.set("confluence", parse_settings(given), FAKE_SECRET, "test")


async def delivered(services, job):
    """Attempts in real time, whenever one is due, until the job rests."""

    async def ended():
        stored = await services.ledger.require(job.id)
        if stored.state in (JobState.QUEUED, JobState.RETRYING):
            await lifecycle.attempt(services.core, job.id)
        return stored if stored.state not in (JobState.QUEUED, JobState.RETRYING, JobState.RUNNING) else None

    ended = await until(ended, what=f"the end of job {job.id}")
    assert ended.state is JobState.DELIVERED, ended.last_error
    return ended


async def test_a_page_that_is_too_new_to_be_signed_is_signed_later(services, sandbox):
    await sandbox.fault(fault="page_404", seconds=0.6)
    job = await delivered(services, await submit(services, PUBLISH, document=DOCUMENT))
    (page,) = await sandbox.objects("confluence")
    assert page["key"] == job.subject


async def test_a_second_version_that_comes_before_the_first_is_shown_updates_it(services, sandbox):
    await delivered(services, await submit(services, PUBLISH, document=DOCUMENT))
    await sandbox.fault(fault="page_404", seconds=0.6)
    renamed = NEWER.model_copy(update={"title": "RCA: the pool, and why"})
    await delivered(services, await submit(services, PUBLISH, document=renamed))
    (page,) = await sandbox.objects("confluence")
    assert page["title"] == renamed.title
    assert "Newer words." in page["body"]


async def test_a_page_found_after_a_lost_answer_holds_the_newer_content_in_the_end(services, sandbox):
    await sandbox.fault(vendor="confluence", operation="create", fault="commit_then_drop")
    first = await submit(services, PUBLISH, document=DOCUMENT)
    assert (await lifecycle.attempt(services.core, first.id)).state is JobState.RETRYING
    await delivered(services, await submit(services, PUBLISH, document=NEWER))
    assert (await services.ledger.require(first.id)).state is JobState.SUPERSEDED
    (page,) = await sandbox.objects("confluence")
    assert "Newer words." in page["body"]
