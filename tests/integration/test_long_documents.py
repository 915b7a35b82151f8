"""Long documents, in processes that can be ended: no document blocks or ends a worker, and nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time

import pytest

from tasks.errors import Held, Throttled, Transient
from tasks.markup import confluence
from tasks.model import Document, JobState, parse_command
from tests.conftest import ROOT, until
from tests.integration.test_lifecycle import INCIDENT, ISSUE, PUBLISH
from tests.integration.test_processes import settled
from worker.processes import Processes, pool

LONG = pool.LONG + 1
# Nothing but list items is among the slowest texts to render: seconds of a processor, where prose takes a tenth.
SLOW = Document(id="doc-1", title="RCA: slow", content_md="- a *b* and more\n" * 110_000)
PROSE = Document(id="doc-1", title="RCA: long", content_md="The pool was **exhausted** at noon.\n\n" * 4_000)
CELERY = (sys.executable, "-m", "celery", "-A", "worker", "worker", "--pool")


def children(worker: int, *, busy: bool = False) -> list[int]:
    """The processes for texts that this worker started, as the system's list of processes has them. A `busy` one has used
    more of a processor than it needs to start.
    """
    listed = subprocess.run(["ps", "-wwAo", "pid,cputimes,args"], capture_output=True, text=True, check=True).stdout
    rows = [row.split(None, 2) for row in listed.splitlines() if f"worker.processes.child {worker} " in row]
    return [int(pid) for pid, used_s, _ in rows if not busy or int(used_s) >= 2]


async def child_of(worker: int, *, busy: bool = False, but: int = 0) -> int:
    """The process for texts that this worker has, once there is one."""

    async def there():
        return next((pid for pid in children(worker, busy=busy) if pid != but), 0)

    return await until(there, what="a process for the document")


async def submitted(services, document):
    await services.contents.put_document(document, "test")
    return await services.submit(parse_command(PUBLISH), actor="test")


@pytest.fixture
async def processes():
    """One process, with time enough for everything here."""
    one = Processes(1, 60.0, 1_000, lambda: 1_000)
    yield one
    await one.close()


@pytest.mark.usefixtures("destinations")
async def test_a_document_that_takes_too_long_is_held_with_the_reason(services, sandbox, start_worker, monkeypatch):
    """The deadline holds the job, and the worker goes on."""
    monkeypatch.setenv("AFTERWORD_DOCUMENT_LIMIT_S", "0.5")
    start_worker()
    job = await settled(services, (await submitted(services, SLOW)).id)
    assert (job.state, job.last_error.code) == (JobState.HELD, "content_overran")
    assert "0.5 s" in job.last_error.message
    assert "AFTERWORD_DOCUMENT_LIMIT_S" in job.last_error.advice
    assert (await sandbox.state())["counts"]["pages"] == 0
    await services.contents.put_issue(ISSUE, "test")
    small = await services.submit(parse_command(INCIDENT), actor="test")
    assert (await settled(services, small.id)).state is JobState.DELIVERED


@pytest.mark.usefixtures("destinations")
async def test_small_jobs_are_delivered_while_a_long_document_is_rendered(services, start_worker):
    """A worker has one loop: what takes seconds of a processor must not be done on it."""
    worker = start_worker()
    await services.contents.put_issue(ISSUE, "test")
    long = await submitted(services, SLOW)
    await child_of(worker.pid)
    small = await services.submit(parse_command(INCIDENT), actor="test")
    first, second = await settled(services, small.id), await settled(services, long.id)
    assert (first.state, second.state) == (JobState.DELIVERED, JobState.DELIVERED)
    assert first.updated_ms < second.updated_ms


@pytest.mark.usefixtures("destinations")
async def test_a_process_that_is_killed_once_is_replaced_and_its_document_delivered(services, start_worker):
    """What the system kills for want of memory need not be the document's fault."""
    worker = start_worker()
    job = await submitted(services, SLOW)
    os.kill(await child_of(worker.pid, busy=True), signal.SIGKILL)
    delivered = await settled(services, job.id)
    assert (delivered.state, delivered.attempts) == (JobState.DELIVERED, 1)


@pytest.mark.usefixtures("destinations")
async def test_a_document_whose_process_ends_twice_is_held_and_the_worker_lives(services, start_worker):
    """A document that ends whatever reads it, such as one that needs more memory than there is, must not go round and round."""
    worker = start_worker()
    job = await submitted(services, SLOW)
    first = await child_of(worker.pid, busy=True)
    os.kill(first, signal.SIGKILL)
    os.kill(await child_of(worker.pid, busy=True, but=first), signal.SIGKILL)
    held = await settled(services, job.id)
    assert (held.state, held.last_error.code, held.attempts) == (JobState.HELD, "content_crashed", 1)
    assert worker.poll() is None


@pytest.mark.usefixtures("destinations")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_worker_that_ends_leaves_no_process_behind(services, start_worker, monkeypatch, number):
    """However a worker ends: also in the middle of a document, also without a chance to say anything."""
    monkeypatch.setenv("AFTERWORD_DRAIN_S", "0.1")
    worker = start_worker()
    await submitted(services, SLOW)
    child = await child_of(worker.pid)
    worker.send_signal(number)
    worker.wait(60)

    async def ended():
        return child not in children(worker.pid)

    await until(ended, what="the end of the process")
    assert children(worker.pid) == []


@pytest.mark.usefixtures("destinations")
@pytest.mark.parametrize("kind", ["prefork", "solo", "threads"])
async def test_long_documents_are_delivered_under_every_pool_of_celery(services, start_worker, kind):
    """Children of a prefork pool may have no children by `multiprocessing`: ours are plain programs."""
    start_worker(*CELERY, kind)
    assert (await settled(services, (await submitted(services, PROSE)).id)).state is JobState.DELIVERED


async def test_the_result_is_the_step_s_own_and_so_is_its_error(processes):
    """Neither is another one because it came through a pipe."""
    assert await processes.run(LONG, sorted, [3, 1, 2], reverse=True) == [3, 2, 1]
    with pytest.raises(Held, match="by hand"):
        await processes.run(LONG, raises, Held("It was edited by hand.", code="drift"))


async def test_what_the_worker_itself_took_counts_for_no_process(processes):
    """Linux hands the worker's peak down to the programs that it starts: a worker that once took much could read no long text."""
    taken = bytearray(450_000_000)
    taken[::4096] = b"x" * len(taken[::4096])
    assert await processes.run(LONG, abs, -1) == 1
    del taken


async def test_a_fault_is_told_without_its_words(processes, caplog):
    """What an error of Python's says may be the document's own words."""
    with pytest.raises(Transient) as fault:
        await processes.run(LONG, int, "the secret words")
    assert fault.value.code == "internal"
    assert "ValueError" in str(fault.value)
    assert "secret" not in str(fault.value) + caplog.text


async def test_a_process_that_crashes_is_tried_twice_and_replaced(processes):
    """Also by a signal from within, as from a recursion without end in a library."""
    with pytest.raises(Held) as held:
        await processes.run(LONG, os.abort)
    assert held.value.code == "content_crashed"
    assert await processes.run(LONG, abs, -1) == 1


async def test_a_content_that_needs_more_memory_than_it_may_take_is_held_and_told_what_to_do():
    """Wherever the memory ends: in the parser, in the binding or in Python. None of its words are shown instead."""
    one = Processes(1, 60.0, 250, lambda: 1_000)
    for step, given in ((confluence.render, "[a] " * 400_000), (bytearray, 300_000_000)):
        with pytest.raises(Held) as held:
            await one.run(LONG, step, given)
        assert held.value.code == "content_crashed"
        assert "250 MB" in held.value.advice
        assert "AFTERWORD_DOCUMENT_MEMORY_MB" in held.value.advice
    assert "exhausted" in await one.run(LONG, confluence.render, PROSE.content_md)
    await one.close()


async def test_what_is_cancelled_is_ended(processes):
    """A job that is revoked, or given back because its worker stops, holds no processor any longer."""
    work = asyncio.ensure_future(processes.run(LONG, time.sleep, 3600))
    child = await child_of(os.getpid())
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work

    async def gone():
        return child not in children(os.getpid())

    await until(gone, what="the end of the process")
    assert await processes.run(LONG, abs, -1) == 1


async def test_a_process_that_is_ended_amid_its_answer_holds_up_nothing():
    """What is left of the answer in its pipe is read by nobody any more."""
    one = Processes(1, 60.0, 1_000, lambda: 1_000)
    work = asyncio.ensure_future(one.run(LONG, bytes, 100_000_000))
    while not (started := list(one._started)) or len(started[0].stdout._buffer) < 300_000:
        await asyncio.sleep(0)
    work.cancel()
    async with asyncio.timeout(60):
        await one.close()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert started[0]._transport.is_closing()


async def test_a_job_waits_in_the_ledger_where_all_processes_are_busy_for_long(processes, monkeypatch):
    """Its place is for others meanwhile, its lease doesn't run out, and no attempt is counted."""
    monkeypatch.setattr(pool, "TURN_S", 0.05)
    work = asyncio.ensure_future(processes.run(LONG, time.sleep, 3600))
    await asyncio.sleep(0)
    with pytest.raises(Throttled) as busy:
        await processes.run(LONG, abs, -1)
    assert busy.value.until_ms == 1_000 + int(1000 * pool.AGAIN_S)
    work.cancel()


async def test_a_process_gets_no_setting_of_ours(processes, monkeypatch):
    """Keys and addresses with passwords stay with the worker."""
    monkeypatch.setenv("AFTERWORD_KEYS", "not-a-key")
    names = await processes.run(LONG, environment_names)
    assert [name for name in names if name.startswith("AFTERWORD")] == []


def raises(error: Exception) -> None:
    raise error


def environment_names() -> list[str]:
    return sorted(os.environ)


def test_a_unit_that_refuses_a_priority_keeps_no_process_from_its_work():
    """As `SystemCallFilter=~@resources` does."""
    refusing = (
        "import os, sys\ndef refuse(_): raise PermissionError(1, 'refused')\nos.nice = refuse\n"
        "sys.argv[1:] = [str(os.getppid()), '2000']\nfrom worker.processes.child import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", refusing], cwd=ROOT, input=b"", capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"ready" in done.stdout
