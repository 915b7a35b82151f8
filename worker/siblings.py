"""The further processes of a worker. A Python process uses one core at a time, so a busy worker has one for each that it is given.

Each is an ordinary worker with a node name of its own and its share of the attempts. The worker's first process starts them
once it can use them, passes stop signals on, starts one again that ends, and ends last. They are programs of their own, never
forked: a process that screens has threads that no fork survives.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from config.settings import Settings

log = logging.getLogger(__name__)

PROGRAM = "worker.cli.sibling"
MOST = 4  # by default: what Redis does for each job keeps up with about as many
BUSY, BUSY_FOR_S = 0.8, 2.0  # so much of a core for so long: one process isn't enough, and there are cores to be had
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0  # before one that ended is started again
_ROOT = Path(__file__).resolve().parents[1]


class Siblings:
    """The processes beside this one of a worker that runs `capacity` attempts at once, and gets `options` of `celery worker`.

    `name` is the node name that somebody chose for it; each process has its own by that.
    """

    def __init__(self, settings: Settings, capacity: int, options: Sequence[str], name: str | None = None) -> None:
        processes = min(settings.worker_processes or min(cores(), MOST), capacity)
        self._at_once = settings.worker_processes is not None
        self._each = capacity // processes
        self._own = capacity - self._each * (processes - 1)
        self._options = {number: [*options, *_named(name, number)] for number in range(2, 1 + processes)}
        self._variables = {
            "AFTERWORD_WORKER_PROCESSES": "1",
            "AFTERWORD_CONCURRENCY": str(self._each),
            "AFTERWORD_DOCUMENT_PROCESSES": str(max(settings.document_processes // processes, 1)),
            "PYTHONPATH": os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH")))),
        }
        self._running: dict[int, subprocess.Popen[bytes]] = {}
        self._stopped_at: float | None = None  # of the monotonic clock

    async def run(self, share: Callable[[int], None], used_s: Callable[[], float] = time.process_time) -> None:
        """Start them: at once where somebody said how many, else when this process has used up a core for a while.

        `share` is told how many attempts this process keeps; `used_s` gives the seconds of the processor that it took so far.
        """
        if not self._options:
            return
        busy = self._at_once
        while not busy:
            since, before_s = time.monotonic(), used_s()
            await asyncio.sleep(BUSY_FOR_S)
            busy = used_s() - before_s > BUSY * (time.monotonic() - since)
        if self.stopping:
            return
        share(self._own)
        log.info("this worker has %d processes now", 1 + len(self._options))
        for number in self._options:
            threading.Thread(target=self._keep, args=(number,), name=f"process-{number}", daemon=True).start()

    @property
    def stopping(self) -> bool:
        """Whether they were told to stop."""
        return self._stopped_at is not None

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Pass a stop signal on. May be called by the handler of a signal."""
        self._stopped_at = self._stopped_at or time.monotonic()
        for process in list(self._running.values()):
            process.send_signal(number)

    def end(self, limit_s: float) -> None:
        """Return when all have ended; those that haven't within `limit_s` seconds after the first stop signal are killed."""
        if not self.stopping:
            self.stop()
        deadline = (self._stopped_at or time.monotonic()) + limit_s
        for number, process in list(self._running.items()):
            try:
                process.wait(max(deadline - time.monotonic(), 0))
            except subprocess.TimeoutExpired:
                log.warning("process %d of this worker did not end in time", number)
                process.kill()
                process.wait()

    def _keep(self, number: int) -> None:
        """Start that one, again whenever it ends, after a pause that grows while it lives for short only."""
        pause_s = FIRST_PAUSE_S
        while not self.stopping:
            began, words = time.monotonic(), "can't be started"
            with contextlib.suppress(OSError):
                words = f"ended ({_words(self._start(number).wait())})"
            if self.stopping:
                return
            if time.monotonic() - began > LONGEST_PAUSE_S:
                pause_s = FIRST_PAUSE_S
            log.warning("process %d of this worker %s; it starts again in %g s", number, words, pause_s)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-P", "-m", PROGRAM, str(os.getpid()), *self._options[number]],
            stdin=subprocess.DEVNULL,
            env=os.environ | self._variables,
            process_group=0,  # a Ctrl-C reaches the first one, which passes it on
        )
        self._running[number] = process
        if self.stopping:
            process.terminate()
        return process


def _named(name: str | None, number: int) -> list[str]:
    if not name:
        return []
    node, at, host = name.partition("@")
    return ["--hostname", f"{node}-{number}{at}{host}"]


def _words(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"status {status}"


def cores(groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """The processor cores that this process may use: by its affinity, and by the quota of its control group (version 2)."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    group = groups
    with contextlib.suppress(OSError):
        for line in own.read_text("utf-8").splitlines():
            if line.startswith("0::"):
                group = groups / line[3:].strip("/")
    for level in (group, *group.parents):
        with contextlib.suppress(OSError, ValueError):  # `max` is no number: no quota
            quota, period = (level / "cpu.max").read_text("ascii").split()
            allowed = min(allowed, max(int(quota) // int(period), 1))
    return allowed
