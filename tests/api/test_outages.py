"""Redis is stopped, full, read-only, silent, or may delete records: every request has its answer, soon, and with the reason."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager

import aiohttp
import pytest
from redis.asyncio import Redis

from tasks.state.jobs.asked import Asked
from tasks.state.views.registry import Person
from tests.api.conftest import PUBLISH, Api
from tests.api.test_receivers import OPS
from tests.integration.redis_doors import SilentDoor
from tests.integration.test_outages import full, named, read_only, stopped, without_replicas
from worker.api.app import ANSWER_S
from worker.api.serve import serve
from worker.machine.embedded import EmbeddedValkey
from worker.machine.stack import FAKE_SECRET
from worker.metrics import render
from worker.runtime import open_services

REQUESTS = [
    ("POST", "/v1/jobs", PUBLISH),
    ("GET", "/v1/jobs", None),
    ("PUT", "/v1/documents/doc-1", PUBLISH["document"]),
    ("GET", "/v1/destinations", None),
    ("POST", "/v1/jobs/x/cancel", {}),
    ("GET", "/v1/audit", None),
]
MARGIN_S = 10  # for machines that do other work; the limits themselves are counted in seconds of silence


@asynccontextmanager
async def silent(server):
    """What lies between lets nothing through."""
    server.door.shut()
    yield
    server.door.open()


@asynccontextmanager
async def evicting(server):
    """Its policy was changed to one that deletes records."""
    async with Redis.from_url(server.url) as client:
        await client.config_set("maxmemory-policy", "allkeys-lru")
        yield
        await client.config_set("maxmemory-policy", "noeviction")


@asynccontextmanager
async def without_scripts(server):
    """Its administrator took a right away."""
    async with Redis.from_url(server.url) as client:
        await client.execute_command("ACL", "SETUSER", "default", "-evalsha")
        yield
        await client.execute_command("ACL", "SETUSER", "default", "+@all")


OUTAGES = {
    without_scripts: "redis_refused",
    full: "redis_full",
    read_only: "redis_read_only",
    without_replicas: "redis_not_replicated",
    stopped: "redis_absent",
    silent: "redis_absent",
}


@pytest.fixture
async def behind(tmp_path, settings, monkeypatch):
    """The API over a Valkey of its own, behind a door; the policy is looked at each time."""
    monkeypatch.setattr("worker.eviction.LOOK_EVERY_S", 0.0)
    with EmbeddedValkey(tmp_path / "own") as server, SilentDoor(int(server.url.rpartition(":")[2][:-2])) as door:
        server.door = door
        through = f"{server.url.rpartition(':')[0]}:{door.port}/0"
        async with open_services(settings.model_copy(update={"redis_url": through}), ANSWER_S) as services:
            _, text = await services.access.create("test", ["submit", "read", "operate", "admin"], None, "test")
            runner, port = await serve(services, "127.0.0.1", 0)
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S + MARGIN_S)) as session:
                yield server, Api(f"http://127.0.0.1:{port}", session, text, services)
            await runner.cleanup()


@pytest.mark.parametrize("outage", OUTAGES, ids=named)
async def test_every_request_is_answered_with_the_reason(behind, outage):
    """Also while many wait; `/healthz` doesn't ask Redis, and `/readyz` says what is wrong."""
    server, api = behind
    async with outage(server):
        answers = await asyncio.gather(*(api.call(*request) for request in REQUESTS * 12))
        assert {(answer.status, answer.problem) for answer in answers} == {(503, OUTAGES[outage])}
        assert (await api.with_key(None).get("/healthz")).status == 200
        ready = await api.with_key(None).get("/readyz")
        assert ready.status == 503
        (wrong,) = [check for check in ready.json["checks"] if not check["ok"]]
        assert wrong["name"] == "redis"
        assert wrong["detail"].startswith("Redis ")


async def test_no_command_waits_for_longer_than_it_was_told(behind):
    """The limit holds for all that a silent server is asked, connecting and trying again included."""
    server, api = behind
    async with stopped(server):
        began = time.monotonic()
        with pytest.raises(Exception, match="in time"):
            await api.services.redis.ping()
        assert time.monotonic() - began < ANSWER_S + MARGIN_S


async def test_it_serves_again_as_soon_as_redis_does(behind):
    """Connections that died in silence are not used again for long."""
    server, api = behind
    async with silent(server):
        assert (await api.get("/v1/jobs")).status == 503
    assert (await api.get("/v1/jobs")).status == 200


async def test_readiness_looks_at_the_policy_each_time(behind, monkeypatch):
    server, api = behind
    monkeypatch.setattr("worker.eviction.LOOK_EVERY_S", 1000.0)
    assert (await api.get("/v1/jobs")).status == 200
    await api.services.eviction.refuse()
    async with evicting(server):
        checks = {check["name"]: check for check in (await api.with_key(None).get("/readyz")).json["checks"]}
        assert checks["memory"]["ok"] is False
        assert (await api.call(*REQUESTS[0])).problem == "redis_evicts"


async def test_nothing_is_accepted_while_redis_may_delete_records(behind, caplog):
    """A policy that was changed under a running API is noticed, told once, and named."""
    server, api = behind
    await api.services.eviction.refuse()
    async with evicting(server):
        for request in (REQUESTS[0], REQUESTS[0], REQUESTS[2]):
            answer = await api.call(*request)
            assert (answer.status, answer.problem) == (503, "redis_evicts")
            assert "allkeys-lru" in answer.text
        checks = {check["name"]: check for check in (await api.with_key(None).get("/readyz")).json["checks"]}
        assert "noeviction" in checks["memory"]["detail"]
        assert checks["memory"]["ok"] is False
        assert (await api.get("/v1/jobs")).status == 200
    assert (await api.with_key(None).get("/readyz")).json["checks"][1]["ok"] is True
    assert sum("may delete records" in line.getMessage() for line in caplog.records if line.levelname == "ERROR") <= 3


@pytest.mark.parametrize(
    ("key", "method", "path"),
    [
        ("destination:confluence", "GET", "/v1/destinations/confluence"),
        ("destinations", "GET", "/v1/destinations"),
        ("jobs", "GET", "/v1/jobs"),
        ("audit", "GET", "/v1/audit"),
        ("ids", "POST", "/v1/jobs"),
    ],
)
@pytest.mark.usefixtures("destinations")
async def test_a_record_of_another_type_is_told_as_such(api, services, key, method, path):
    await api.call("PUT", "/v1/documents/doc-1", PUBLISH["document"])
    record = f"{services.settings.prefix}:{key}"
    await services.redis.delete(record)
    await services.redis.set(record, "somebody's")
    answer = await api.call(method, path, PUBLISH if method == "POST" else None)
    assert (answer.status, answer.json["code"]) == (503, "redis_wrong_type")
    assert "doctor" in answer.json["detail"] + answer.json["advice"]


async def spoilt(services, key: str) -> None:
    """Somebody wrote something else in the place of a record."""
    record = f"{services.settings.prefix}:{key}"
    await services.redis.delete(record)
    await services.redis.rpush(record, "somebody's")


@pytest.mark.usefixtures("destinations")
async def test_a_destinations_record_of_another_type_hides_no_other_and_can_be_stored_anew_or_removed(api, services):
    settings = (await services.destinations.require("confluence")).settings
    others = {record.name for record in await services.destinations.list()} - {"confluence"}
    await spoilt(services, "destination:confluence")
    for _ in range(2):  # by names that are known, and by what was known before
        listed = (await api.get("/v1/destinations")).json["destinations"]
        assert {one["name"] for one in listed} == others
    doubt = (await services.destinations.doubts())["confluence"]
    assert (doubt.code, "isn't of the type" in doubt.message) == ("record_changed", True)
    assert b"afterword_destination" in await render(services)
    await services.destinations.set("confluence", settings, FAKE_SECRET, "test")
    assert services.destinations.secret(await services.destinations.require("confluence")) == FAKE_SECRET
    await spoilt(services, "destination:confluence")
    assert (await api.call("DELETE", "/v1/destinations/confluence")).status == 204
    assert await services.destinations.names() == sorted(others)


@pytest.mark.parametrize("kept", ["traffic", "grant"])
@pytest.mark.usefixtures("destinations")
async def test_what_is_kept_of_one_destination_and_is_of_another_type_hides_no_other(api, services, kept):
    await spoilt(services, f"{kept}:confluence")
    listed = (await api.get("/v1/destinations")).json["destinations"]
    assert len(listed) == len(await services.destinations.names())
    standing = {one["name"]: one["health"]["state"] for one in listed}
    assert standing.pop("confluence") == ("suspended" if kept == "traffic" else "ready")
    assert set(standing.values()) == {"ready"}
    assert b"afterword_destination" in await render(services)


async def test_a_receivers_record_of_another_type_hides_no_other(api, services):
    for name in ("ops", "team"):
        await api.put(f"/v1/receivers/{name}", OPS)
    await spoilt(services, "receiver:team")
    await spoilt(services, "receiver:progress:ops")
    listed = (await api.get("/v1/receivers")).json["receivers"]
    assert {one["name"]: one["standing"] for one in listed} == {"ops": "untested", "team": "unusable"}
    await api.put("/v1/receivers/team", OPS)
    assert (await api.get("/v1/receivers/team")).json["standing"] == "untested"


@pytest.mark.usefixtures("destinations")
async def test_a_jobs_record_of_another_type_hides_no_other(api, services):
    spaces = ("OPS", "DEV")
    first, second = [(await api.post("/v1/jobs", PUBLISH | {"space_key": space})).json["job_id"] for space in spaces]
    await spoilt(services, f"job:{first}")
    assert [one["job_id"] for one in (await api.get("/v1/jobs")).json["jobs"]] == [second]


async def test_an_api_key_whose_record_is_of_another_type_is_no_key_and_hides_no_other(api, services):
    reader = await api.with_scopes("read")
    name = reader.key.partition(".")[0]
    assert (await reader.get("/v1/jobs")).status == 200, "it is remembered"
    await spoilt(services, f"apikey:{name}")
    assert (await reader.get("/v1/jobs")).status == 401
    assert (await reader.get("/v1/jobs")).status == 401
    assert {key.name: key.changed for key in await services.access.list()} == {"admin": False, name: True}
    assert (await services.access.doubts())[name].code == "record_changed"
    assert (await services.access.revoke(name, "test")).revoked


async def test_a_views_record_of_another_type_hides_no_other(services):
    made, _ = await services.access.create("somebody", ["read"], None, "test")
    somebody = Person.of(made, "test")
    kept = [await services.views.save(somebody, name, Asked(state="dead")) for name in ("one", "two")]
    await spoilt(services, f"view:{kept[0].id}")
    assert [view.name for view in await services.views.list(somebody)] == ["two"]
