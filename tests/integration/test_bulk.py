"""Many jobs at once: counts and pages that stay cheap, and one decision about all jobs that match a filter."""

from __future__ import annotations

import asyncio

import pytest

from tasks.errors import Refused
from tasks.model import Issue, JobState, parse_command
from tasks.state.audit.entries import Event
from tasks.state.jobs.overview import JobFilter
from tasks.state.jobs.transitions import Lease, Settlement

pytestmark = pytest.mark.usefixtures("destinations")


async def submit_many(services, count, destination="servicenow"):
    command = "create_servicenow_incident" if destination == "servicenow" else "create_azuredevops_workitem"
    project = {} if destination == "servicenow" else {"project": "Operations"}

    async def one(number):
        issue = Issue(id=f"i-{number}", title="x")
        arguments = {"command": command, "issue_id": issue.id, **project}
        return await services.submit(parse_command(arguments), actor="test", issue=issue)

    return [job.id for job in await asyncio.gather(*(one(number) for number in range(count)))]


async def kill(services, job_ids):
    for job_id in job_ids:
        job = (await services.ledger.claim(job_id, "w", Lease(0, 60_000))).job
        await services.ledger.settle(job, Settlement(JobState.DEAD, Event.DEAD))


async def act(services, verb, **chosen):
    return [
        progress
        async for progress in services.act_on_all(verb, JobFilter(**chosen), actor="olga", reason="after the storm")
    ]


async def counts(services):
    return {(c.destination, c.state.value): c.count for c in await services.ledger.statistics()}


async def test_statistics_count_each_destination_and_state(services):
    ids = await submit_many(services, 5)
    await submit_many(services, 2, "azure_devops")
    await kill(services, ids[:2])
    assert await counts(services) == {
        ("servicenow", "queued"): 3,
        ("servicenow", "dead"): 2,
        ("azure_devops", "queued"): 2,
    }
    oldest = min([(await services.ledger.require(i)).created_ms for i in ids[:2]])
    (dead,) = [c for c in await services.ledger.statistics() if c.state is JobState.DEAD]
    assert dead.oldest_ms == oldest


async def test_pages_hold_every_job_once_even_while_jobs_leave_the_state(services):
    ids = await submit_many(services, 25)
    seen: list[str] = []
    cursor = None
    while True:
        page, cursor = await services.ledger.list(JobFilter(state=JobState.QUEUED, destination="servicenow"), cursor, 4)
        seen += [job.id for job in page]
        for job in page:
            await services.ledger.cancel(job.id, "test")
        if cursor is None:
            break
    assert sorted(seen) == sorted(ids)


async def test_a_cursor_that_no_list_gave_is_refused(services):
    with pytest.raises(Refused, match="cursor"):
        await services.ledger.list(cursor="nonsense")


async def test_all_dead_jobs_of_a_destination_are_retried_with_progress(services):
    ids = await submit_many(services, 205)
    await kill(services, ids[:203])
    others = await submit_many(services, 2, "azure_devops")
    await kill(services, others)
    told = await act(services, "retry", destination="servicenow")
    assert [p.done for p in told] == [0, 100, 200, 203, 203]
    assert {p.total for p in told} == {203}
    assert [p.finished for p in told] == [False, False, False, False, True]
    assert await counts(services) == {("servicenow", "queued"): 205, ("azure_devops", "dead"): 2}


async def test_an_action_on_many_is_audited_as_a_whole_and_job_by_job(services):
    ids = await submit_many(services, 3)
    await act(services, "cancel", state=JobState.QUEUED)
    entries = [e for e in await services.audit.tail(20) if e.event in ("jobs.cancelled", "job.cancelled")]
    assert [e.event for e in entries] == ["jobs.cancelled"] + ["job.cancelled"] * 3
    assert entries[0].data == {"state": "queued", "total": 3, "actor": "olga", "reason": "after the storm"}
    assert {e.data["job"] for e in entries[1:]} == set(ids)
    assert {e.data["reason"] for e in entries[1:]} == {"after the storm"}


async def test_a_filter_that_fits_nothing_it_can_do_is_refused(services):
    for verb, chosen in [("retry", {}), ("retry", {"state": "held"}), ("release", {"state": "dead"})]:
        with pytest.raises(Refused):
            await act(services, verb, **chosen)


async def test_cancelling_for_a_destination_leaves_its_dead_jobs_for_the_record(services):
    ids = await submit_many(services, 3)
    await kill(services, ids[:1])
    told = await act(services, "cancel", destination="servicenow")
    assert told[-1].done == 2
    assert (await services.ledger.require(ids[0])).state is JobState.DEAD


async def test_a_job_that_moves_on_before_its_turn_is_counted_as_failed(services):
    ids = await submit_many(services, 2)
    progress = services.act_on_all("cancel", JobFilter(state=JobState.QUEUED), actor="olga")
    assert (await anext(progress)).total == 2
    await kill(services, ids[:1])
    told = [p async for p in progress]
    assert (told[-1].done, told[-1].failed) in ((1, 0), (1, 1))
    assert (await services.ledger.require(ids[0])).state is JobState.DEAD
