"""What people are told while Redis is in trouble: one line that names it, and what to do."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys

import pytest
from redis.asyncio import Redis

from tasks.model import JobState
from tests.api.test_outages import evicting
from tests.conftest import READY_S, ROOT, environment, until
from tests.integration.test_outages import full, named, read_only, stopped, without_replicas
from tests.integration.test_processes import alive, settled
from tests.integration.test_recovery import own, own_worker, submit_many

__all__ = ["own", "own_worker"]
TOLD = {
    full: ("Redis is full", "maxmemory", "noeviction"),
    read_only: ("Redis is read-only", "primary"),
    without_replicas: ("too few replicas", "min-replicas-to-write"),
    stopped: ("Redis doesn't answer",),
}


async def command(services, server, *arguments, **changes) -> subprocess.CompletedProcess:
    """One of our commands as a process of this instance, until it ends."""
    given = environment(services.settings) | {"AFTERWORD_REDIS_URL": server.url, "AFTERWORD_REDIS_PATIENCE_S": "0.1"}
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "worker", *arguments],
        cwd=ROOT,
        env=given | changes,
        capture_output=True,
        text=True,
        timeout=READY_S,
        check=False,
    )


@pytest.mark.parametrize("outage", TOLD, ids=named)
async def test_a_command_says_in_one_line_what_is_wrong_with_redis(own, tmp_path, outage):
    """The trouble, not the library's error; and what to do about it."""
    server, services = own
    file = tmp_path / "issue.json"
    file.write_text(json.dumps({"id": "i", "title": "Incident"}))
    async with outage(server):
        done = await command(services, server, "issue", "put", str(file))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("afterword: Redis ")
    assert all(word in line for word in TOLD[outage]), line


@pytest.mark.parametrize("outage", TOLD, ids=named)
async def test_doctor_names_redis_trouble_and_advises_no_worker(own, outage):
    """A worker that can't be heard isn't missing."""
    server, services = own
    async with outage(server):
        done = await command(services, server, "--json", "doctor")
    wrong = " ".join(row["detail"] for row in json.loads(done.stdout)["checks"] if not row["ok"])
    assert all(word in wrong for word in TOLD[outage]), wrong
    assert "afterword worker" not in wrong


async def test_doctor_says_how_full_redis_is_and_that_nothing_is_kept_on_disk(own):
    """Figures for memory, the setting for the disk."""
    server, services = own
    async with full(server), Redis.from_url(server.url) as client:
        await client.config_set("appendonly", "no")
        checks = json.loads((await command(services, server, "--json", "doctor")).stdout)["checks"]
    said = {row["check"]: row["detail"] for row in checks if not row["ok"]}
    assert "maxmemory 0.0 MB used, maxmemory-policy noeviction. It is full" in said["memory"]
    assert "appendonly no" in said["durability"]


@pytest.mark.parametrize("part", ["worker", "api", "up"])
async def test_nothing_starts_on_a_redis_that_may_delete_records(own, tmp_path, part):
    """One line says which policy it has and which is needed; whether a maxmemory is set makes no difference."""
    server, services = own
    changes = {"AFTERWORD_KEYS_FILE": str(tmp_path / "keys")}
    if part == "up":
        changes["AFTERWORD_DATA"] = str(tmp_path / "elsewhere")
    async with evicting(server):
        done = await command(services, server, part, *(["--port", "0"] if part != "worker" else []), **changes)
        reads = await command(services, server, "job", "list")
        doctor = await command(services, server, "doctor")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("afterword: Redis may delete records")
    assert "allkeys-lru" in done.stderr
    assert "noeviction" in done.stderr
    assert reads.returncode == 0
    assert re.search(r"^WRONG +memory", doctor.stdout, re.MULTILINE)


@pytest.mark.parametrize(("kind", "text"), [("document", "content_md"), ("issue", "description")])
async def test_a_command_stores_nothing_where_redis_may_delete_it(own, tmp_path, kind, text):
    """What is stored for a later job is as much to be kept as the job."""
    server, services = own
    file = tmp_path / "content.json"
    file.write_text(json.dumps({"id": "one", "title": "Incident", text: "words"}))
    async with evicting(server):
        done = await command(services, server, kind, "put", str(file))
    assert done.returncode == 1
    assert "may delete records" in done.stderr
    found = await services.contents.document("one") or await services.contents.issue("one")
    assert found is None


async def test_a_worker_begins_nothing_once_redis_may_delete_records_and_says_so_once(own, own_worker, monkeypatch):
    """The policy was changed under it; when it is right again, the jobs go on."""
    server, services = own
    await services.eviction.refuse()
    monkeypatch.setattr("worker.eviction.LOOK_EVERY_S", 3600)  # this process doesn't look again
    own_worker()
    await alive(services)
    log = services.settings.data / "worker-0.log"

    async def told(words):
        async def found():
            return words in log.read_text()

        await until(found, what=words)

    async with evicting(server):
        await told("may delete records")
        (job_id,) = await submit_many(services, 1)
        for _ in range(3):
            await asyncio.sleep(1)
            assert (await services.ledger.require(job_id)).state is JobState.QUEUED
    assert (await settled(services, job_id)).state is JobState.DELIVERED
    assert log.read_text().count("may delete records") == 1
    await told("keeps its records again")
