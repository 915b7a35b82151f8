"""What a command loads before it answers, and how Ctrl-C ends it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from functools import partial

import pytest

from worker.cli import root
from worker.terminal.base import stoppable


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("nonsense",)])
def test_what_needs_no_instance_imports_no_library_of_one(arguments):
    """A shell's completion and a look at the help must answer at once."""
    code = "import sys; from worker.cli import root\ntry: root.main(sys.argv[1:])\nfinally: print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    loaded = set(ran.stdout.split("\n")[-2].split())
    assert "click" in loaded
    assert not loaded & {"pydantic", "redis", "aiohttp", "celery", "rich", "cryptography"}


def test_the_help_of_no_command_imports_a_library_of_an_instance():
    """What a command is and takes is said before what it works with is loaded."""
    code = "import sys; from worker.cli import root; print(len([*root.commands.values()])); print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, modules = ran.stdout.splitlines()
    loaded = set(modules.split())
    assert int(count) == len(root.commands)
    assert not loaded & {"redis", "aiohttp", "celery", "kombu", "rich", "cryptography", "pydantic_settings", "comrak"}
    assert not loaded & {"worker.runtime", "tasks.lifecycle", "tasks.screening", "tasks.markup", "tasks.state.vault"}


def test_what_a_listing_works_with_imports_no_parser_no_scanner_and_no_client():
    """`job list` and its like only read the ledger: what renders, screens, sends and logs in is loaded by who does that."""
    code = "import sys; import worker.runtime, worker.titles, tasks.operator.filters; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.split())
    assert {"redis", "tasks.state.jobs.ledger", "tasks.screening.policy"} <= loaded
    assert not loaded & {"aiohttp", "yarl", "comrak", "betterleaks", "phonenumbers", "stdnum", "charset_normalizer"}
    assert not loaded & {"pypdf", "oauthlib", "celery", "kombu", "cryptography.x509"}
    assert not loaded & {"tasks.lifecycle", "tasks.redaction", "tasks.authorization", "tasks.screening.scanner"}
    assert not loaded & {"tasks.destinations", "tasks.http.exchange", "tasks.state.receivers.settings"}
    assert not [name for name in loaded if name.startswith("tasks.markup.parser")]


def test_what_lists_destinations_imports_their_settings_and_nothing_that_sends():
    code = "import sys; import worker.cli.destinations, worker.runtime, tasks.state.directory; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.split())
    assert "tasks.destinations.confluence.settings" in loaded
    assert not loaded & {"aiohttp", "tasks.http.exchange", "tasks.destinations.contract", "tasks.markup.clean"}


def test_what_tells_of_credentials_imports_nothing_that_renews_them():
    code = "import sys; import tasks.authorization.status; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(ran.stdout.split()) & {"oauthlib", "jwt", "tasks.authorization.authorize", "tasks.http.exchange"}


def test_ctrl_c_ends_a_wait_that_loses_a_cancellation():
    """As `asyncio.wait_for` of Python 3.11 does, and so Redis' client: the command went on until the next Ctrl-C."""

    async def deaf():
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGINT)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    async def whole():
        with stoppable():
            await deaf()

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(whole())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_is_heard_also_where_the_work_ends_before_it_notices():
    async def whole():
        with stoppable():
            loop, done = asyncio.get_running_loop(), asyncio.Event()
            loop.call_soon(os.kill, os.getpid(), signal.SIGINT)
            with contextlib.suppress(asyncio.CancelledError):
                await done.wait()

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(whole())


def test_ctrl_c_while_the_command_line_is_loaded_prints_nothing(tmp_path):
    """No traceback; and a job in the background, for which a shell has the signal ignored, keeps that."""
    (tmp_path / "click.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGINT); raise SystemExit(7)")
    command = [sys.executable, "-m", "worker", "--version"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    for ignored, status in ((signal.SIG_DFL, -signal.SIGINT), (signal.SIG_IGN, 7)):
        before = partial(signal.signal, signal.SIGINT, ignored)
        ran = subprocess.run(command, env=environment, capture_output=True, preexec_fn=before, check=False)
        assert (ran.returncode, ran.stdout, ran.stderr) == (status, b"", b"")


def test_a_command_collects_garbage_seldom_and_not_at_its_end():
    """More than a quarter of a listing's time was spent on looking for garbage in what its imports had made."""
    code = (
        "import atexit, gc, sys; atexit.register(lambda: print(gc.get_freeze_count())); from worker.cli import main; "
        "sys.argv = ['afterword', '--version']\n"
        "try: main()\nfinally: print(gc.get_threshold()[0])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    _, between, kept_out = ran.stdout.splitlines()
    assert int(between) > 10_000
    assert int(kept_out) > 10_000


def test_a_command_loads_the_client_of_redis_without_metrics_and_has_its_traces():
    code = (
        "import sys; from worker.cli import skip_what_nobody_uses as skip; skip(); import worker.runtime; "
        "import opentelemetry.sdk.trace.export, opentelemetry.exporter.otlp.proto.http.trace_exporter; "
        "print(*(name for name, module in sys.modules.items() if module))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.split())
    assert {"redis.asyncio.client", "opentelemetry.sdk.trace"} <= loaded
    assert not [name for name in loaded if name.startswith("opentelemetry.sdk.metrics")]


def test_a_probe_imports_no_broker_and_no_lifecycle():
    """`doctor --worker` runs every few seconds beside each worker."""
    code = "import sys; import worker.cli.checks; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert "redis" in loaded
    assert not loaded & {"kombu", "celery", "aiohttp", "tasks.lifecycle", "tasks.screening"}
