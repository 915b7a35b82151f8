"""How a destination stands is kept in the ledger: by each test, whoever asks for it, and by deliveries; all say the same."""

from __future__ import annotations

import json

import pytest

from tasks import lifecycle
from tasks.destinations import parse_settings
from tasks.destinations.contract import basic
from tasks.model import JobState
from tests.integration.test_limits import DOWN, configure, fail, health, pages
from worker.cli.health import lines
from worker.connection_tests import test_by_message as by_message
from worker.machine.stack import FAKE_SECRET, sandbox_destinations
from worker.metrics import render
from worker.sandbox.faults.spec import NAMES

pytestmark = pytest.mark.usefixtures("destinations")

REFUSED = {"fault": "status", "status": 401, "message": "User Not Authenticated", "times": 1000}
# What goes wrong, and the first step that fails, for each simulated vendor.
FAULTS = [
    ({"fault": "drop"}, "vendor", "broke"),
    ({"fault": "status", "status": 401, "message": "Unauthorized"}, "credential", "refused"),
    ({"fault": "status", "status": 403, "message": "ACL: not authorized"}, "permissions", "right"),
    ({"fault": "status", "status": 400, "message": "Bad query"}, "permissions", "settings of the destination"),
    ({"fault": "status", "status": 503}, "vendor", "503"),
    ({"fault": "status", "status": 404, "body": "default backend - 404"}, "vendor", "address"),
    ({"fault": "status", "status": 200, "body": "{}", "content_type": "application/json"}, "vendor", "address"),
    ({"fault": "status", "status": 200, "body": "pong", "content_type": "text/plain"}, "vendor", "not JSON"),
    ({"fault": "status", "status": 511}, "vendor", "Something else"),
    ({"fault": "rate_limit"}, "vendor", "Too many requests (429)"),
    ({"fault": "commit_then_429"}, "vendor", "Test again in a while"),
    ({"fault": "redirect_302"}, {"azure_devops": "credential", None: "vendor"}, "302"),
    ({"fault": "sign_in_203"}, {"azure_devops": "credential", None: "vendor"}, "203"),
    ({"fault": "hibernating"}, "vendor", "hibernating"),
    ({"fault": "malformed_json"}, "vendor", "not JSON"),
    ({"fault": "bom", "status": 503}, "vendor", "503"),
    ({"fault": "slow_headers", "seconds": 5}, "vendor", "in time"),
    ({"fault": "gzip_bomb"}, "vendor", "address"),
]
EVERY_ANSWER = ("slow_body", "endless_body", "latency", "commit_then_drop", "commit_then_500", "gone_410")
# Faults of one kind of request that no test of a connection makes, or that spoil nothing of one.
ELSEWHERE = (
    "wiql_blind",
    "wiql_lag",
    "jql_blind",
    "jql_lag",
    "page_404",
    "no_version_message",
    "conflict_409",
    "property_409",
    "read_acl",
    "query_ignored",
    "delayed",
)
VENDORS = ("confluence", "servicenow", "azure_devops", "jira")


def test_every_fault_of_the_sandbox_is_tried_on_a_connection_test_or_said_to_concern_none():
    assert {fault["fault"] for fault, _, _ in FAULTS} | {*EVERY_ANSWER, *ELSEWHERE} == set(NAMES)


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("fault", ELSEWHERE)
async def test_a_fault_that_concerns_no_connection_test_fails_none(services, sandbox, vendor, fault):
    await sandbox.fault(vendor=vendor, fault=fault, times=1000, seconds=1)
    assert (await services.test_destination(vendor, "ada")).success


async def standing(services, name="confluence"):
    return (await health(services, name)).standing


async def set_anew(services, sandbox, vendor, secret=None, **more):
    given = {**sandbox_destinations(sandbox.url)[vendor], "write_lag_s": 0.2, "total_timeout_s": 3, **more}
    return await services.destinations.set(vendor, parse_settings(given), secret, "test")


async def heal(sandbox):
    async with sandbox.session.delete(f"{sandbox.url}/_sandbox/faults") as answer:
        assert answer.status == 204


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_destination_is_untested_until_something_is_known_of_it(services, sandbox, vendor):
    """No test and no delivery means no green; a test makes it healthy or failing, new settings untested again."""
    assert (await standing(services, vendor)).words == "untested"
    assert (await services.test_destination(vendor, "ada")).success
    found = await health(services, vendor)
    assert found.standing.name == "healthy"
    assert (found.last_test.actor, found.last_test.passed) == ("ada", True)
    assert found.last_test.at_ms >= found.standing.at_ms
    await set_anew(services, sandbox, vendor, concurrency=3)
    assert (await standing(services, vendor)).name == "untested"
    assert (await health(services, vendor)).last_test is None
    assert (await services.test_destination(vendor, "ada")).success
    await set_anew(services, sandbox, vendor, "another-" + FAKE_SECRET)
    assert (await standing(services, vendor)).name == "untested"


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_refused_credential_is_the_credential_step_of_a_vendor_that_was_reached(services, sandbox, vendor):
    """The 401 came over a connection: what lies below the credential passed."""
    await sandbox.fault(vendor=vendor, **REFUSED)
    report = await services.test_destination(vendor, "ada")
    assert {step.name: step.ok for step in report.steps} == {
        "reached": True,
        "TLS": None,
        "vendor": None,
        "credential": False,
    }
    assert (await standing(services, vendor)).step == "credential"
    assert "at step credential" in (await standing(services, vendor)).words


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(("fault", "step", "says"), FAULTS, ids=[json.dumps(fault[0])[:60] for fault in FAULTS])
async def test_each_fault_fails_the_step_that_it_concerns(services, sandbox, vendor, fault, step, says):
    """The first failing step is the one to mend, and it says what happened; nothing is green after it."""
    if vendor == "azure_devops" and fault.get("status") == 403:
        fault = fault | {"path": "connectionData"}
    await set_anew(services, sandbox, vendor, total_timeout_s=0.8)
    await sandbox.fault(vendor=vendor, **{"times": 1000, **fault})
    report = await services.test_destination(vendor, "ada")
    due = step if isinstance(step, str) else step.get(vendor, step[None])
    assert not report.success
    assert report.failure.name == due, report.message
    assert "job retry" not in report.message, "a test has no job"
    assert report.failure == report.steps[-1]
    assert (await standing(services, vendor)).step == due
    if says != "address":
        assert says in report.message
    assert await sandbox.objects(vendor) == []


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("fault", EVERY_ANSWER)
async def test_what_goes_wrong_with_every_answer_fails_the_test(services, sandbox, vendor, fault):
    await set_anew(services, sandbox, vendor, total_timeout_s=0.8)
    await sandbox.fault(vendor=vendor, fault=fault, times=1000, seconds=5)
    report = await services.test_destination(vendor, "ada")
    assert (report.success, report.failure.name) == (False, "vendor"), report.message


async def test_incidents_that_are_counted_and_not_shown_fail_the_step_of_reading(services, sandbox):
    """A read ACL answers with an empty list; an empty table is no reason to fail."""
    assert (await services.test_destination("servicenow", "ada")).success
    headers = {"Accept": "application/json"} | basic("admin", "fake")
    url = f"{sandbox.url}/api/now/table/incident"
    async with sandbox.session.post(url, json={"short_description": "x"}, headers=headers) as answer:
        assert answer.status == 201
    assert (await services.test_destination("servicenow", "ada")).success
    await sandbox.fault(vendor="servicenow", fault="read_acl", times=1000)
    report = await services.test_destination("servicenow", "ada")
    assert (report.success, report.failure.name) == (False, "read access to incident")
    assert "counted and not shown" in report.message


async def test_an_address_that_nothing_listens_at_is_not_reached(services, sandbox):
    """The first step is the one that fails, and no other is told as passed."""
    await set_anew(services, sandbox, "servicenow", FAKE_SECRET, instance_url="http://127.0.0.1:9")
    report = await services.test_destination("servicenow", "ada")
    assert [(step.name, step.ok) for step in report.steps] == [("reached", False)]


async def test_a_delivery_is_evidence_and_a_later_one_ends_a_failure(services, sandbox):
    """What was delivered worked, whatever an earlier test said."""
    await sandbox.fault(vendor="confluence", **REFUSED)
    await services.test_destination("confluence", "ada")
    assert (await standing(services)).name == "failing"
    await heal(sandbox)
    (job,) = await pages(services, 1)
    await lifecycle.attempt(services.core, job.id)
    assert (await services.ledger.require(job.id)).state is JobState.DELIVERED
    assert (await standing(services)).name == "healthy"


async def test_since_is_the_moment_of_the_change(services):
    """A second passing test says nothing new about since when."""
    await services.test_destination("confluence", "ada")
    first = (await standing(services)).at_ms
    await services.redis.hset(f"{services.settings.prefix}:traffic:confluence", "proved_ms", first - 60_000)
    await services.test_destination("confluence", "ada")
    assert (await standing(services)).at_ms == first - 60_000


async def test_deliveries_that_fail_in_a_row_make_it_failing_until_one_passes(services, sandbox):
    """The breaker is evidence, too: the step is the delivery."""
    await configure(services, sandbox, breaker_failures=3, breaker_cooldown_s=1)
    await services.test_destination("confluence", "ada")
    jobs = await pages(services, 4)
    await fail(services, jobs[:3], DOWN)
    found = await standing(services)
    assert (found.name, found.step) == ("failing", "delivery")
    await services.redis.hset(f"{services.settings.prefix}:traffic:confluence", "until_ms", 1)
    await services.redis.hset(f"{services.settings.prefix}:destination:confluence", "not_before_ms", 0)
    await lifecycle.attempt(services.core, jobs[3].id)
    assert (await standing(services)).name == "healthy"


async def test_the_test_that_suspects_a_destination_is_kept_with_who_made_it(services, sandbox):
    """A job that is refused has its destination tested: the result is known like that of any other test."""
    (job,) = await pages(services, 1)
    await sandbox.fault(vendor="confluence", **REFUSED)
    await lifecycle.attempt(services.core, job.id)
    found = await health(services)
    assert found.standing.name == "suspended"
    assert "refused" in found.standing.words
    assert (found.last_test.actor, found.last_test.failure.name) == ("worker", "credential")


async def test_a_test_by_message_counts_where_it_names_the_destination(services, sandbox):
    """One with a sealed credential of its own says nothing about the stored one."""
    await by_message(services, "servicenow", sandbox.url, "servicenow", None)
    assert (await health(services, "servicenow")).last_test.actor == "celery"


async def test_a_result_that_came_too_late_says_nothing_about_new_settings(services, sandbox):
    """The test of what was configured before is not kept."""
    before = await services.destinations.require("confluence")
    report = await services.test_destination("confluence", "ada")
    await set_anew(services, sandbox, "confluence", concurrency=2)
    await services.destinations.report(before, report, "ada")
    assert (await standing(services)).name == "untested"


async def test_each_test_has_an_audit_entry_with_its_failing_step(services, sandbox):
    """Who asked, and what came of it."""
    await sandbox.fault(vendor="confluence", **REFUSED)
    await services.test_destination("confluence", "ada")
    entry = next(found for found in await services.audit.tail(20) if found.event == "destination.tested")
    assert entry.data["actor"] == "ada"
    assert (entry.data["outcome"], entry.data["step"]) == ("failed", "credential")


async def test_all_surfaces_say_the_same(services, sandbox, client, log_in):
    """Console, API, command line and metrics tell of one standing."""
    await sandbox.fault(vendor="servicenow", **REFUSED)
    await services.test_destination("servicenow", "ada")
    await services.test_destination("confluence", "ada")
    await services.destinations.pause("azure_devops", "ada")
    await log_in("admin")
    page = await (await client.get("/settings/destinations")).text()
    _, key = await services.access.create("reader", ["read"], None, "test")
    headers = {"Authorization": f"Bearer {key}", "Accept": "application/json"}
    answer = await (await client.get("/v1/destinations", headers=headers)).json()
    told = {found["name"]: found["standing"] for found in answer["destinations"]}
    measured = (await render(services)).decode()
    expected = {"servicenow": "failing", "confluence": "healthy", "azure_devops": "paused"}
    for name, word in expected.items():
        now = await health(services, name)
        assert now.standing.name == told[name]["name"] == word
        assert told[name]["words"] in "\n".join(lines(now, 0))
        assert f'afterword_destination_standing{{destination="{name}",standing="{word}"}} 1.0' in measured
        assert f"pill-{word}" in page
    assert "Paused by ada" in page
    assert "at step credential" in page
