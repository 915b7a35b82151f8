"""An instance whose keys a PKCS#11 token wraps: workers, commands and a rotation, with the token there and away."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest

from config.key_lines import key_lines
from config.keys import load_key_ring, wrap_keys
from tasks.model import parse_command
from tests.conftest import ROOT, environment, until
from tests.integration.test_lifecycle import DOCUMENT, PUBLISH
from tests.softhsm import PIN, make_token
from worker.runtime import open_services


@pytest.fixture
def token(tmp_path, monkeypatch):
    """A token with one wrapping key."""
    return make_token(tmp_path / "hsm", monkeypatch)


@pytest.fixture
def wrapped(settings, token, monkeypatch):
    """The settings of an instance whose plain key has just been wrapped; processes that start have them."""
    monkeypatch.setenv("AFTERWORD_KEYS_PROVIDER", token.address())
    found = settings.model_copy(update={"keys_provider": token.address()})
    assert wrap_keys(settings.data / "keys", key_lines(found)) == 1
    return found


def afterword(settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "worker", *arguments),
        cwd=ROOT,
        env=environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )


async def test_keys_are_rotated_through_the_token(destinations, wrapped):
    """By the same commands as plain ones."""
    async with open_services(wrapped) as services:
        await services.contents.put_document(DOCUMENT, "test")
        old = services.vault.key_id
        done = await asyncio.to_thread(afterword, wrapped, "key", "rotate")
        assert done.returncode == 0, done.stderr
        assert services.vault.key_id != old, "a running process has the new key opened"
        record = await services.destinations.require("confluence")
        assert services.destinations.secret(record)
    held = (wrapped.data / "keys").read_text()
    assert [line.partition(":")[0] for line in held.splitlines() if not line.startswith("#")] == ["pkcs11", "pkcs11"]
    shown = await asyncio.to_thread(afterword, wrapped, "key", "status", "--json")
    assert json.loads(shown.stdout)["keys"] == list(load_key_ring(wrapped, {}).order)
    assert PIN not in done.stdout + done.stderr + shown.stdout + held


async def test_a_worker_that_started_delivers_while_the_token_is_away_and_none_starts(
    destinations, services, wrapped, token, start_worker
):
    """What runs has its keys; what starts says in one line what is missing."""
    start_worker()

    async def alive() -> bool:
        return bool(await services.redis.zcard(f"{wrapped.prefix}:workers"))

    await until(alive, what="a worker")
    token.unplug()
    job = await services.submit(parse_command(PUBLISH), actor="test", document=DOCUMENT)

    async def delivered() -> bool:
        return (await services.ledger.require(job.id)).state == "delivered"

    await until(delivered, what="the job delivered")
    for command in (("worker",), ("job", "list")):
        refused = await asyncio.to_thread(afterword, wrapped, *command)
        assert refused.returncode != 0
        assert "See that its device or service runs" in refused.stderr
        assert "Traceback" not in refused.stderr
        assert len(refused.stderr.strip().splitlines()) == 1
    examined = await asyncio.to_thread(afterword, wrapped, "doctor", "--json")
    (keys,) = [row for row in json.loads(examined.stdout)["checks"] if row["check"] == "keys"]
    assert not keys["ok"]
    assert "See that its device or service runs" in keys["detail"]
    probe = await asyncio.to_thread(afterword, wrapped, "doctor", "--worker")
    assert probe.returncode == 0, "a probe doesn't end a worker that works"
