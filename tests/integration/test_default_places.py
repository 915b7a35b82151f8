"""A job that names no space or project goes to that of its destination."""

from __future__ import annotations

import pytest

from tasks.errors import Refused
from tasks.model import JobState, parse_command
from tests.integration.page_support import ISSUE, PUBLISH, WORK_ITEM, Bench

pytestmark = pytest.mark.usefixtures("destinations")
BARE = {
    "confluence": {name: value for name, value in PUBLISH.items() if name != "space_key"},
    "azure_devops": {name: value for name, value in WORK_ITEM.items() if name != "project"},
}
PLACES = {"confluence": {"space": "OPS"}, "azure_devops": {"project": "Operations"}}


@pytest.fixture
async def bench(services, sandbox):
    await services.contents.put_issue(ISSUE, "test")
    bench = Bench(services, sandbox)
    await bench.put()
    return bench


@pytest.mark.parametrize("vendor", BARE)
async def test_the_destinations_own_place_is_taken(bench, vendor):
    """Row 13: and the same job with the place named is about the same object."""
    await bench.set(vendor, **PLACES[vendor])
    assert (await bench.run(await bench.submit(BARE[vendor]))).state is JobState.DELIVERED
    named = PUBLISH if vendor == "confluence" else WORK_ITEM
    assert (await bench.run(await bench.submit(named))).state is JobState.DELIVERED
    assert len(await bench.sandbox.objects(vendor)) == 1


@pytest.mark.parametrize("vendor", BARE)
async def test_without_any_place_a_job_is_refused_and_a_message_ends_with_the_reason(bench, vendor):
    await bench.set(vendor, **dict.fromkeys(PLACES[vendor]))
    with pytest.raises(Refused, match="names no"):
        await bench.submit(BARE[vendor])
    job = await bench.services.submit(parse_command(BARE[vendor]), actor="celery", adopt=True)
    ended = await bench.attempt(job)
    assert (ended.state, "names no" in str(ended.error)) == (JobState.DEAD, True)
