"""Workers, commands and the API on machines whose clocks are wrong: as if they were right, and people are told."""

from __future__ import annotations

import json
import subprocess

import pytest
from celery import Celery

from tasks.destinations import parse_settings
from tasks.model import TERMINAL, Issue, JobState, parse_command
from tasks.state.access.rights import Scope
from tests.conftest import ROOT, environment, until
from tests.integration.test_lifecycle import INCIDENT, ISSUE, WORK_ITEM
from tests.integration.test_metrics import samples, value
from tests.integration.test_processes import alive
from tests.integration.test_recovery import all_delivered, every_intent_has_one_outcome
from tests.wrong_clocks import LIBRARY, afterword
from worker.machine.stack import FAKE_SECRET, sandbox_destinations

pytestmark = [
    pytest.mark.skipif(LIBRARY is None, reason="libfaketime isn't installed"),
    pytest.mark.usefixtures("destinations"),
]
MINUTE, HOUR = 60, 3600


async def submit(services, arguments, count):
    made = []
    for number in range(count):
        issue = Issue(id=f"inc-{number}", title=f"Incident {number}")
        command = parse_command(arguments | {"issue_id": issue.id})
        made.append((await services.submit(command, actor="test", issue=issue)).id)
    return made


def run(settings, off_s, *arguments):
    """A command on a machine with that clock: its exit status and JSON document."""
    done = subprocess.run(
        afterword(off_s, *arguments, "--json"),
        cwd=ROOT,
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("off_s", [-MINUTE, -HOUR, HOUR])
async def test_writes_in_doubt_end_in_one_object_whatever_the_clocks_of_the_workers_say(
    services, sandbox, start_worker, off_s
):
    """Half of the answers are lost, and the vendor's index shows an item only after seconds: whoever looks next, a worker
    whose clock is right or one whose clock is wrong, waits for as long as the doubt lasts."""
    given = sandbox_destinations(sandbox.url)["azure_devops"] | {"write_lag_s": 3.5, "total_timeout_s": 1.5}
    await services.destinations.set("azure_devops", parse_settings(given), FAKE_SECRET, "test")
    await sandbox.fault(vendor="azure_devops", fault="wiql_lag", seconds=3)
    await sandbox.fault(vendor="azure_devops", operation="create", fault="commit_then_drop", share=0.5, seed=3)
    for clock in (0, off_s):
        start_worker(*afterword(clock, "worker", "--concurrency", "3"))
    await alive(services, 2)
    jobs = await submit(services, WORK_ITEM, 10)
    await all_delivered(services, jobs)
    items = await sandbox.objects("azure_devops")
    assert len(items) == len({item["key"] for item in items}) == len(jobs)
    entries = await services.audit.after(count=10_000)
    assert len({entry.data["worker"] for entry in entries if entry.event == "job.claimed"}) == 2
    assert any(entry.event == "delivery.unknown" for entry in entries)
    await every_intent_has_one_outcome(services)


@pytest.mark.parametrize("off_s", [-HOUR, HOUR])
async def test_no_job_waits_for_the_hour_that_a_clock_is_wrong(services, sandbox, start_worker, off_s):
    """A vendor that is away for a moment and names a date to come back: the jobs go on when it is back."""
    await sandbox.fault(vendor="servicenow", operation="create", fault="status", status=503, times=2)
    await sandbox.fault(
        vendor="servicenow", operation="create", fault="rate_limit", retry_after="date", seconds=1, after=2
    )
    start_worker(*afterword(off_s, "worker"))
    jobs = await submit(services, INCIDENT, 3)

    async def planned():
        found = await services.ledger.overview.jobs(jobs)
        late = [job for job in found if job.due_ms and job.due_ms > services.core.clock_ms() + 1000 * HOUR / 2]
        assert not late, late
        return all(job.state is JobState.DELIVERED for job in found)

    await until(planned, what="the delivery of every job")
    entries = await services.audit.after(count=10_000)
    newest_ms = services.core.clock_ms()
    assert all(abs(entry.at_ms - newest_ms) < 1000 * HOUR / 2 for entry in entries)
    await every_intent_has_one_outcome(services)


@pytest.mark.parametrize(("off_s", "when"), [(HOUR, {"expires": MINUTE}), (-HOUR, {"countdown": 1})])
async def test_a_producers_eta_and_expiry_mean_what_its_own_clock_said(
    services, settings, sandbox, start_worker, off_s, when
):
    """A worker that is fast throws no message away as expired; one that is slow keeps none waiting."""
    await services.contents.put_issue(ISSUE, "test")
    start_worker(*afterword(off_s, "worker"))
    await alive(services)
    with Celery("somebody", broker=str(settings.redis_url), set_as_current=False) as client:
        sent = client.send_task("create_servicenow_incident", ["inc-1"], **when)

    async def ended():
        job = await services.ledger.get(sent.id)
        return job.state if job is not None and job.state in TERMINAL else None

    assert await until(ended, what="the job's end") is JobState.DELIVERED


async def test_a_key_of_the_api_lives_as_long_as_it_was_told(services, settings):
    """Whatever the clock of the machine says on which it was made."""
    for off_s in (-HOUR, HOUR):
        status, made = run(settings, off_s, "apikey", "new", "tool", "--scopes", "read", "--expires", "30m")
        assert status == 0, made
        left_ms = made["expires_ms"] - await services.journal.server_ms()
        assert 25 * 60_000 < left_ms <= 30 * 60_000
        key = await services.access.authenticate(made["api_key"])
        assert key is not None
        assert list(key.scopes) == [Scope.READ]


async def test_a_wrong_clock_is_told_in_the_log_by_doctor_in_the_metrics_and_on_the_console(
    services, settings, start_worker, client, log_in
):
    """Once in the log; everywhere else for as long as it is wrong, with the worker whose clock it is."""
    start_worker(*afterword(0, "worker"))
    await alive(services, 1)
    (right,) = await services.redis.zrange(f"{settings.prefix}:workers", 0, -1)
    start_worker(*afterword(-MINUTE, "worker"))
    await alive(services, 2)
    (wrong,) = set(await services.redis.zrange(f"{settings.prefix}:workers", 0, -1)) - {right}
    beats = await services.redis.zscore(f"{settings.prefix}:workers", wrong)

    async def beats_again():
        return await services.redis.zscore(f"{settings.prefix}:workers", wrong) > beats

    await until(beats_again, what="another heartbeat")
    logs = [(settings.data / f"worker-{number}.log").read_text() for number in (0, 1)]
    assert [log.count("this machine's clock") for log in logs] == [0, 1]
    assert "this machine's clock is 60.0 s behind the Redis server's" in logs[1]

    status, told = run(settings, 0, "doctor")
    found = {check["check"]: check["ok"] for check in told["checks"] if "clock" in check["check"]}
    assert status == 1
    assert found == {"clock": True, f"clock of worker {wrong.decode()}": False}
    status, told = run(settings, HOUR, "doctor")
    assert not next(check["ok"] for check in told["checks"] if check["check"] == "clock")

    skew = "afterword_worker_clock_skew_seconds"
    figures = await samples(services)
    assert abs(value(figures, skew, worker=wrong.decode()) + MINUTE) < 1
    assert abs(value(figures, skew, worker=right.decode())) < 1

    await log_in("viewer")
    page = await (await client.get("/workers")).text()
    assert page.count("Clock wrong") == 1
    assert "60.0 s behind" in page
