"""Credentials that renew themselves, from the sandbox's strict authorization servers to delivered jobs."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import re
import signal
import sys
from urllib.parse import parse_qsl, urlsplit

import pytest

from config.keys import add_key
from tasks import lifecycle
from tasks.authorization.authorize import accept_code, authorize
from tasks.authorization.status import look_at
from tasks.credentials.grants import visit
from tasks.destinations import parse_settings
from tasks.errors import DestinationTrouble
from tasks.model import JobState
from tasks.state.audit.entries import Event
from tasks.state.grants.grants import Held, bound_to
from tests.integration.test_blame import jobs_for, rounds, states, told
from tests.integration.test_limits import health
from worker.machine.stack import sandbox_destinations
from worker.metrics import render
from worker.rounds.endings import DAY_MS, stage_of, tell_once
from worker.runtime import open_services

SECRET = "sandbox-client-secret"
GRANTS = {
    "confluence": {"type": "client-credentials", "client_id": "afterword"},
    "servicenow": {"type": "client-credentials", "client_id": "afterword"},
    "azure_devops": {"type": "client-credentials", "client_id": "afterword", "tenant": "contoso"},
    "jira": {"type": "client-credentials", "client_id": "afterword"},
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


async def test_the_claim_brings_the_token_that_is_held(services, sandbox, monkeypatch):
    """No attempt asks Redis for it by itself."""
    asked, query = [], services.journal.query

    async def noted(script, args):
        asked.append(script)
        return await query(script, args)

    await configure(services, sandbox, VENDORS[0])
    await jobs_for(services, VENDORS[0], 1)
    await rounds(services, VENDORS[0])
    monkeypatch.setattr(services.journal, "query", noted)
    jobs = await jobs_for(services, VENDORS[0], 3)
    await rounds(services, VENDORS[0])
    assert set(await states(services, jobs)) == {JobState.DELIVERED}
    assert "jobs/dispatch" in asked
    assert "grants/look" not in asked


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


async def heal(sandbox):
    async with sandbox.session.delete(f"{sandbox.url}/_sandbox/faults") as answer:
        assert answer.status == 204


async def log_in(services, sandbox, vendor):
    """A login in a browser: the sandbox consents at once and sends back where it is told to."""
    auth = {**GRANTS[vendor], "type": "login"}
    record = await configure(services, sandbox, vendor, None, auth=auth)
    visited = visit(record.settings.auth, record.settings.endpoints, "http://127.0.0.1:8976/callback", "some-state")
    async with sandbox.session.get(visited.address, allow_redirects=False) as answer:
        assert answer.status == 302, await answer.text()
        back = dict(parse_qsl(urlsplit(answer.headers["Location"]).query))
    assert back["state"] == "some-state"
    await accept_code(services.core, record, visited, back["code"], "test")
    return record


async def held(services, record) -> Held:
    return (await look_at(services.core, record)).held


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_login_that_is_revoked_suspends_once_with_the_vendors_words_and_another_login_goes_on(
    services, sandbox, vendor, caplog
):
    """Nothing is lost: the jobs wait, the operator is told what to do, and a new login lets them go on."""
    await log_in(services, sandbox, vendor)
    jobs = await jobs_for(services, vendor, 4)
    await tokens(sandbox, expire=True, revoke=True)
    await rounds(services, vendor, 2)
    assert set(await states(services, jobs)) == {JobState.QUEUED}
    found = await health(services, vendor)
    assert (found.state, len(told(caplog))) == ("suspended", 1)
    assert "access_denied" in found.reason or "Unknown or invalid refresh token" in found.reason
    assert "destination login" in found.reason
    await log_in(services, sandbox, vendor)
    assert (await services.test_destination(vendor, "test")).success
    await rounds(services, vendor, 2)
    assert set(await states(services, jobs)) == {JobState.DELIVERED}


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_client_whose_secret_has_ended_suspends_with_what_to_check(services, sandbox, vendor, caplog):
    """The server refuses the client, not the jobs."""
    await configure(services, sandbox, vendor, "expired-" + SECRET)
    jobs = await jobs_for(services, vendor, 3)
    await rounds(services, vendor, 2)
    assert set(await states(services, jobs)) == {JobState.QUEUED}
    found = await health(services, vendor)
    assert (found.state, len(told(caplog))) == ("suspended", 1)
    assert "client secret" in found.reason


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "status", "status": 503},
        {"fault": "drop"},
        {"fault": "rate_limit", "retry_after": "1"},
        {"fault": "status", "status": 502, "body": "<h1>Bad gateway</h1>", "content_type": "text/html"},
    ],
    ids=["503", "drop", "429", "page"],
)
async def test_an_authorization_server_that_is_away_lets_jobs_wait_and_suspends_nothing(services, sandbox, fault):
    """It may be back in a moment: that is nobody's fault."""
    await configure(services, sandbox, "servicenow")
    jobs = await jobs_for(services, "servicenow", 3)
    await sandbox.fault(vendor="servicenow", path="oauth_token", times=100, **fault)
    await rounds(services, "servicenow", 2)
    assert set(await states(services, jobs)) <= {JobState.QUEUED, JobState.RETRYING}
    assert (await health(services, "servicenow")).state == "ready"
    await heal(sandbox)
    await rounds(services, "servicenow", 4)
    assert set(await states(services, jobs)) == {JobState.DELIVERED}


async def test_a_token_near_its_end_goes_on_while_its_renewal_fails_for_the_moment(services, sandbox):
    """Renewed ahead of its end means that there is time to try again."""
    await tokens(sandbox, life_s=60)
    record = await configure(services, sandbox, "servicenow")
    first = (await authorize(services.core, record)).headers
    async with expiring_in(services, record, 6):
        await sandbox.fault(vendor="servicenow", path="oauth_token", fault="status", status=503, times=100)
        assert (await authorize(services.core, record)).headers == first
        await heal(sandbox)
        assert (await authorize(services.core, record)).headers != first


@contextlib.asynccontextmanager
async def expiring_in(services, record, seconds):
    """What is held ends so soon, by the ledger's clock."""
    look = await look_at(services.core, record)
    bound = bound_to(record.settings, services.destinations.secret(record))
    lease = await services.core.grants.lease(record.name, bound, 1000)
    sooner = look.held.model_copy(
        update={"obtained_ms": look.now_ms - 54_000, "expires_ms": look.now_ms + 1000 * seconds}
    )
    assert await services.core.grants.keep(record.name, bound, lease, sooner, Event.CREDENTIAL_RENEWED, "test")
    yield


async def test_two_workers_that_meet_an_ended_token_renew_it_once(services, settings, sandbox):
    """One asks the server; the other takes what it was given."""
    record = await configure(services, sandbox, "confluence")
    async with open_services(settings) as another:
        both = [services.core, another.core] * 6
        found = await asyncio.gather(*(authorize(core, record) for core in both))
        assert len({one.headers["Authorization"] for one in found}) == 1
        assert len(await token_requests(sandbox)) == 1
        await tokens(sandbox, expire=True)
        refused = DestinationTrouble("no", code="credential_refused", status=401)
        assert all(await asyncio.gather(*(one.renew(refused) for one in found)))
        assert len({one.headers["Authorization"] for one in found}) == 1
    assert len(await token_requests(sandbox)) == 2


@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_rotated_refresh_token_is_kept_before_the_access_token_is_used(services, sandbox, vendor):
    """Each renewal uses the newest refresh token; one that was rotated away is never shown again."""
    record = await log_in(services, sandbox, vendor)
    before = await held(services, record)
    for _ in range(3):
        await tokens(sandbox, expire=True)
        assert (await services.test_destination(vendor, "test")).success
        after = await held(services, record)
        assert after.access_token != before.access_token
        assert (after.refresh_token != before.refresh_token) == (vendor in ("confluence", "jira"))
        before = after


async def test_a_slow_process_that_was_given_tokens_loses_none_and_overwrites_none(services, sandbox):
    """The version, and not the lease, says what takes whose place."""
    record = await log_in(services, sandbox, "confluence")
    grants, bound = services.core.grants, bound_to(record.settings, services.destinations.secret(record))
    slow = await grants.lease("confluence", bound, 1)
    await asyncio.sleep(0.01)
    fast = await grants.lease("confluence", bound, 5000)
    mine, its = Held(access_token="a", refresh_token="ra"), Held(access_token="b", refresh_token="rb")
    assert await grants.keep("confluence", bound, slow, mine, Event.CREDENTIAL_RENEWED, "test")
    assert not await grants.keep("confluence", bound, fast, its, Event.CREDENTIAL_RENEWED, "test")
    assert (await held(services, record)).refresh_token == "ra"


async def test_an_older_grant_put_back_in_redis_opens_for_no_other_credential(services, sandbox):
    """What is held is bound to the settings and the secret that it was given for."""
    record = await log_in(services, sandbox, "servicenow")
    raw = await services.redis.hgetall(f"{services.settings.prefix}:grant:servicenow")
    other = await configure(services, sandbox, "azure_devops")
    await services.redis.hset(f"{services.settings.prefix}:grant:azure_devops", mapping=raw)
    assert await held(services, other) == Held()
    assert (await held(services, record)).refresh_token


POINTS = ["before", "asked", "answered", "kept"]


@pytest.mark.parametrize("point", POINTS)
async def test_a_process_killed_at_any_point_of_a_renewal_loses_no_grant(
    services, settings, sandbox, start_worker, point
):
    """Five times at each of four points, with kill -9: the next process goes on with the login."""
    record = await log_in(services, sandbox, "confluence")
    record = await configure(services, sandbox, "confluence", None, auth=record.settings.auth, total_timeout_s=1)
    for turn in range(5):
        await tokens(sandbox, expire=True)
        process = start_worker(sys.executable, "-m", "tests.integration.renewing_until", point)
        assert await asyncio.to_thread(process.wait, 60) == -signal.SIGKILL
        await services.redis.hdel(f"{services.settings.prefix}:grant:confluence", "until_ms")  # its lease has ended
        report = await services.test_destination("confluence", "test")
        assert report.success, (point, turn, report.message)
    assert (await held(services, record)).refresh_token


async def test_no_answer_that_repeats_a_secret_is_told(services, sandbox, caplog):
    """An authorization server, too, may echo what it was sent."""
    caplog.set_level(logging.DEBUG)
    await configure(services, sandbox, "servicenow", "planted-echo-secret")
    (job,) = await jobs_for(services, "servicenow", 1)
    body = '{"error": "invalid_client", "error_description": "planted-echo-secret is wrong"}'
    await sandbox.fault(
        vendor="servicenow",
        path="oauth_token",
        fault="status",
        status=401,
        body=body,
        times=100,
        content_type="application/json",
    )
    await rounds(services, "servicenow", 2)
    shown = [str(await services.ledger.require(job.id)), (await health(services, "servicenow")).reason, caplog.text]
    shown += [str(entry) for entry in await services.audit.tail(500)]
    assert "[credential] is wrong" in shown[1]
    assert all("planted-echo" not in text for text in shown)


async def test_a_token_without_a_scope_is_told_with_the_scopes_name(services, sandbox):
    """The page is written, its label isn't permitted: the job says which scope is missing."""
    auth = {
        **GRANTS["confluence"],
        "scopes": ["read:space:confluence", "read:page:confluence", "write:page:confluence"],
    }
    await configure(services, sandbox, "confluence", auth=auth, labels=("rca",))
    (job,) = await jobs_for(services, "confluence", 1)
    await rounds(services, "confluence", 3)
    ended = await services.ledger.require(job.id)
    assert ended.state is JobState.DEAD
    assert re.search(r"scope `\S*label\S*`|scope `write:confluence-content`", ended.last_error.message)
    assert (await health(services)).state == "ready"
    assert ended.receipt is not None


async def test_scopes_that_the_client_doesnt_have_suspend_with_the_scope_named(services, sandbox):
    """The authorization server says it before any job is sent."""
    await configure(services, sandbox, "confluence", auth={**GRANTS["confluence"], "scopes": ["write:everything"]})
    jobs = await jobs_for(services, "confluence", 2)
    await rounds(services, "confluence", 2)
    assert set(await states(services, jobs)) == {JobState.QUEUED}
    reason = (await health(services)).reason
    assert "write:everything" in reason
    assert "--scope" in reason


@pytest.mark.parametrize("vendor", ["confluence", "jira"])
async def test_a_scoped_token_finds_its_way_through_the_gateway_once(services, sandbox, vendor):
    """The site refuses it, the gateway takes it: that is found out once, for all processes."""
    given = {**sandbox_destinations(sandbox.url)[vendor], "write_lag_s": 0.2}
    await services.destinations.set(vendor, parse_settings(given), "a-scoped-token", "test")
    jobs = await jobs_for(services, vendor, 3)
    await rounds(services, vendor)
    assert set(await states(services, jobs)) == {JobState.DELIVERED}
    await rounds(services, vendor)
    asked = [row["path"] for row in (await sandbox.state())["requests"]]
    assert asked.count("/_edge/tenant_info") == 1
    url = (await services.ledger.require(jobs[0].id)).receipt.url
    assert "/ex/" not in url, "people read it at the site"


@pytest.mark.parametrize("vendor", ["confluence", "jira"])
async def test_a_scope_is_what_is_told_where_the_way_through_the_gateway_cant_be_found(services, sandbox, vendor):
    """A proxy that lets no question without a credential to the site is not the trouble that the token has there."""
    given = {**sandbox_destinations(sandbox.url)[vendor], "write_lag_s": 0.2}
    await services.destinations.set(vendor, parse_settings(given), "a-scoped-token", "test")
    page = {"status": 403, "body": "<h1>No</h1>", "content_type": "text/html"}
    await sandbox.fault(path="/_edge/tenant_info", fault="status", times=1000, **page)
    (job,) = await jobs_for(services, vendor, 1)
    await rounds(services, vendor)
    assert (await services.ledger.require(job.id)).last_error.code == "scope_missing"
    assert "scope" in (await health(services, vendor)).reason


@pytest.mark.parametrize("vendor", ["confluence", "jira"])
async def test_a_wrong_cloud_id_suspends_and_costs_no_job(services, sandbox, vendor):
    """What the gateway says of another site is the destination's trouble."""
    await configure(services, sandbox, vendor, cloud_id="11111111-1111-4111-8111-111111111111")
    jobs = await jobs_for(services, vendor, 2)
    await rounds(services, vendor, 2)
    assert set(await states(services, jobs)) == {JobState.QUEUED}
    assert (await health(services, vendor)).state == "suspended"


async def test_a_scope_that_jiras_token_lacks_is_named_and_the_job_says_so(services, sandbox):
    """The grant is good and the test passes what it needs: the missing scope is told with the call's own words."""
    auth = {**GRANTS["jira"], "scopes": ["read:jira-work", "read:jira-user"]}
    await configure(services, sandbox, "jira", auth=auth)
    (job,) = await jobs_for(services, "jira", 1)
    await rounds(services, "jira", 2)
    stored = await services.ledger.require(job.id)
    assert stored.last_error.code == "scope_missing"
    assert "write:jira-work" in f"{stored.last_error.message} {stored.last_error.advice}"


async def test_a_data_center_of_jira_logs_in_with_its_own_oauth(services, sandbox):
    """An incoming link of the Data Center gives tokens of its own, and there is no gateway."""
    await configure(services, sandbox, "jira", flavor="datacenter", email=None)
    jobs = await jobs_for(services, "jira", 2)
    await rounds(services, "jira")
    assert set(await states(services, jobs)) == {JobState.DELIVERED}
    assert [row["path"] for row in await token_requests(sandbox)] == ["/rest/oauth2/latest/token"]


async def test_a_password_goes_on_where_its_refresh_token_has_ended(services, sandbox):
    """ServiceNow's refresh token lives for a hundred days; the account's password is still there."""
    auth = {**GRANTS["servicenow"], "type": "password"}
    await configure(services, sandbox, "servicenow", f"{SECRET}\nthe-password", auth=auth)
    assert (await services.test_destination("servicenow", "test")).success
    await tokens(sandbox, expire=True, revoke=True)
    assert (await services.test_destination("servicenow", "test")).success


async def test_sealed_tokens_move_to_a_new_key(services, settings, sandbox):
    """A rotation leaves no login behind under the old key."""
    record = await log_in(services, sandbox, "confluence")
    before = await held(services, record)
    add_key(settings.data / "keys")
    async for _ in services.rotation.reseal("test"):
        pass
    raw = await services.redis.hget(f"{settings.prefix}:grant:confluence", "held")
    assert raw.decode().split(".")[1] == services.vault.key_id
    assert await held(services, record) == before


# -- ends that are known ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("days", "stage"), [(31, None), (30, 30), (8, 30), (7, 7), (2, 7), (1, 1), (0, 0), (-3, 0)])
def test_a_credentials_end_has_a_stage(days, stage):
    """Thirty, seven and one days before, and once it has ended."""
    assert stage_of(days * DAY_MS) == stage


async def test_a_credentials_end_is_told_once_by_all_workers_together(services, settings, sandbox, caplog):
    """One line and one entry for a stage, whoever looks how often; another one when the next stage is reached."""
    now = dt.datetime.fromtimestamp(await services.journal.server_ms() / 1000, dt.UTC).date()
    static = {"auth": None, "email": "bot@example.com"}
    await configure(services, sandbox, "confluence", **static, credential_expires=now + dt.timedelta(20))
    async with open_services(settings) as another:
        for _ in range(3):
            await asyncio.gather(tell_once(services), tell_once(another))
    await configure(services, sandbox, "confluence", **static, credential_expires=now + dt.timedelta(1))
    await tell_once(services)
    lines = [row.message for row in caplog.records if "credential ends" in row.message]
    assert [re.search(r"within (\d+) days", line)[1] for line in lines] == ["30", "1"]
    entries = [entry.data for entry in await services.audit.tail(100) if entry.event == "credential.expiring"]
    assert sorted(entry["days"] for entry in entries) == [1, 30]
    text = (await render(services)).decode()
    (left,) = re.findall(r'^afterword_credential_expires_seconds\{destination="confluence"\} (\S+)', text, re.MULTILINE)
    assert 0 < float(left) <= 86400


async def test_a_login_that_nobody_uses_is_used_once_a_week(services, sandbox):
    """Vendors end a refresh token that is not used for months."""
    record = await log_in(services, sandbox, "confluence")
    await tell_once(services)
    assert len(await token_requests(sandbox)) == 1
    look = await look_at(services.core, record)
    bound = bound_to(record.settings, None)
    lease = await services.core.grants.lease("confluence", bound, 1000)
    long_ago = look.held.model_copy(
        update={"obtained_ms": look.now_ms - 8 * DAY_MS, "expires_ms": look.now_ms - DAY_MS}
    )
    await services.core.grants.keep("confluence", bound, lease, long_ago, Event.CREDENTIAL_RENEWED, "test")
    await tell_once(services)
    assert len(await token_requests(sandbox)) == 2
    assert (await held(services, record)).refresh_token != look.held.refresh_token
