"""Celery's own commands, as people type them: each does what it says, or says in a line what to use."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from tests.conftest import ROOT, environment
from tests.integration.celery_support import result_of
from tests.integration.test_processes import alive
from worker.broker.options import for_each_process

pytestmark = pytest.mark.usefixtures("destinations", "content")


@pytest.fixture
def celery(settings):
    """Runs `celery -A worker …` in the environment of the instance."""

    async def run(*words: str) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "celery", "-A", "worker", *words],
            cwd=ROOT,
            env=environment(settings),
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    return run


async def test_purge_is_refused_and_what_waits_is_delivered(services, start_worker, somebody, celery):
    """A message that waits is a submission that nobody else knows of."""
    waits = somebody.incident().apply_async()
    refused = await celery("purge", "--force")
    assert refused.returncode == 1
    assert "afterword job cancel" in refused.stderr
    assert "Traceback" not in refused.stderr
    start_worker()
    assert (await result_of(waits))["ticket_number"]


async def test_workers_that_celery_starts_together_log_to_their_file_at_the_level_that_was_asked_for(
    services, settings, somebody, celery, monkeypatch
):
    """They are detached: what they wrote to standard error nobody would ever see."""
    log, pid = settings.data / "%n.log", settings.data / "%n.pid"
    name, options = "celery-one", (f"--logfile={log}", f"--pidfile={pid}", "--loglevel=INFO")
    monkeypatch.setenv("AFTERWORD_LOG_LEVEL", "CRITICAL")
    started = await celery("multi", "start", name, *options)
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        await alive(services)
        result = somebody.incident().apply_async()
        assert (await result_of(result))["ticket_number"]
        assert f"job {result.id}: delivered" in (settings.data / f"{name}.log").read_text()
    finally:
        stopped = await celery("multi", "stopwait", name, *options)
    assert stopped.returncode == 0
    assert not (settings.data / f"{name}.pid").exists()


async def test_a_log_file_that_cant_be_written_is_a_line(services, settings, celery):
    done = await celery("worker", "--logfile", str(settings.data / "missing" / "worker.log"))
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("afterword: ")
    assert "Traceback" not in done.stderr


def test_further_processes_get_the_options_that_are_about_each():
    given = {
        "without_heartbeat": True,
        "prefetch_multiplier": 2,
        "logfile": "%n.log",
        "autoscale": (4, 1),
        "beat": False,
    }
    assert for_each_process(given) == ["--without-heartbeat", "--prefetch-multiplier=2", "--logfile=%n.log"]
