"""Real parts for every test: an embedded Valkey, the sandbox over HTTP, worker processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import aiohttp
import pytest
import redis

from config.keys import create_key_file
from config.settings import Settings
from tasks.destinations import parse_settings
from tests.conformance import pytest_collection_modifyitems, pytest_terminal_summary
from worker.broker.settings import QUEUES
from worker.machine.embedded import EmbeddedValkey
from worker.machine.stack import FAKE_SECRET, sandbox_destinations
from worker.runtime import open_services
from worker.sandbox.serve import serve

__all__ = ["pytest_collection_modifyitems", "pytest_terminal_summary"]  # the table at a run's end
ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("AFTERWORD_SHARED", ROOT.parent / "shared"))
# Whatever a shell runs in the background has Ctrl-C ignored, and so would all that the tests start and stop by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
READY_S = 120  # seconds; generous, for machines that do other work


@pytest.fixture(scope="session")
def shared() -> Path:
    """Vendors' contracts and real post-mortems, where they lie beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("no shared folder beside the checkout")
    return SHARED


@pytest.fixture(scope="session")
def valkey(tmp_path_factory):
    """One real server for the session."""
    with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture
def settings(valkey, tmp_path, request) -> Settings:
    """Settings of a fresh instance: its own key file and its own prefix, so that tests don't meet."""
    create_key_file(tmp_path / "keys")
    database = f"t{abs(hash(request.node.nodeid)) % 10**9}"
    return Settings(
        data=tmp_path, redis_url=valkey.url, prefix=database, heartbeat_ttl_s=3, sweep_interval_s=0.2, resend_after_s=2
    )


@pytest.fixture
async def services(settings):
    """Open services."""
    async with open_services(settings) as opened:
        yield opened


class Sandbox:
    """The sandbox over HTTP, with its control interface."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.session = session

    async def fault(self, **spec) -> None:
        async with self.session.post(f"{self.url}/_sandbox/faults", json=spec) as answer:
            assert answer.status == 201, await answer.text()

    async def state(self) -> dict:
        async with self.session.get(f"{self.url}/_sandbox/state") as answer:
            return await answer.json()

    async def objects(self, vendor: str) -> list[dict]:
        return [item for item in (await self.state())["objects"] if item["vendor"] == vendor]


@pytest.fixture
async def sandbox():
    """A fresh sandbox on a free port, on a loop of its own: a test that blocks doesn't stop it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    runner, port = asyncio.run_coroutine_threadsafe(serve("127.0.0.1", 0), loop).result()
    async with aiohttp.ClientSession() as session:
        yield Sandbox(f"http://127.0.0.1:{port}", session)
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


@pytest.fixture
async def destinations(services, sandbox):
    """The sandbox's destinations, with a short lag so that doubt is settled quickly."""
    for name, given in sandbox_destinations(sandbox.url).items():
        quick = {**given, "write_lag_s": 0.2, "total_timeout_s": 3}
        await services.destinations.set(name, parse_settings(quick), FAKE_SECRET, "test")
    return services.destinations


def environment(settings: Settings) -> dict[str, str]:
    """The environment in which a child process is the same instance."""
    return os.environ | {
        "AFTERWORD_DATA": str(settings.data),
        "AFTERWORD_REDIS_URL": str(settings.redis_url),
        "AFTERWORD_PREFIX": settings.prefix,
        "AFTERWORD_HEARTBEAT_TTL_S": str(settings.heartbeat_ttl_s),
        "AFTERWORD_SWEEP_INTERVAL_S": str(settings.sweep_interval_s),
        "AFTERWORD_RESEND_AFTER_S": str(settings.resend_after_s),
        # Tests stop, kill and count workers by their process; test_worker_processes.py has those of several.
        "AFTERWORD_WORKER_PROCESSES": "1",
    }


@pytest.fixture
def start_worker(settings):
    """Starts real worker processes; those still alive at the end are killed, by id."""
    started: list[subprocess.Popen] = []

    def start(*command: str) -> subprocess.Popen:
        log = (settings.data / f"worker-{len(started)}.log").open("wb")
        process = subprocess.Popen(
            command or (sys.executable, "-m", "worker", "worker"),
            cwd=ROOT,
            env=environment(settings),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.fixture(autouse=True)
def _keys_are_followed_at_once(monkeypatch):
    """No test waits for the next look at a key file."""
    monkeypatch.setattr("config.keys.LOOK_EVERY_S", 0.0)


@pytest.fixture(autouse=True)
def _empty_queues(valkey):
    """No test finds another one's messages."""
    client = redis.Redis.from_url(valkey.url)
    for queue in (*QUEUES, "unacked", "unacked_index"):
        client.delete(queue)
    client.close()


async def until(condition, limit_s: float = READY_S, what: str = "the condition"):
    """The first true value of an async condition."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        with contextlib.suppress(aiohttp.ClientError):
            if found := await condition():
                return found
        await asyncio.sleep(0.05)
    pytest.fail(f"{what} did not come true within {limit_s} s")


def stop(process: subprocess.Popen, number: int = signal.SIGTERM) -> None:
    """Signal one process and wait for its end."""
    process.send_signal(number)
    process.wait(READY_S)
