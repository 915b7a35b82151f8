"""The program of one such process: it does what comes through its input, one call after another, until that ends.

    python -m worker.processes.child PID-OF-THE-WORKER MEGABYTES

It holds no key and no connection. It ends with its worker, whatever becomes of that, and by itself when it was idle for
long, has taken much memory, or can't have what a text needs: no more than so many megabytes.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from tasks.errors import AfterwordError, place_of
from worker.processes.frames import Answer, framed, read
from worker.processes.warm import warm_up

IDLE_S = 300.0
MEMORY_KB = 400_000  # a process that once took more than this goes, so that the memory is given back
LOOK_S = 1.0
_PR_SET_PDEATHSIG = 1
_READY = b"ready"


def serve(calls: BinaryIO, answers: BinaryIO) -> None:
    """Answer each call until the input ends, the process was idle for long, or it has taken much memory."""
    warm_up()
    answers.write(framed(_READY))
    answers.flush()
    with contextlib.suppress(EOFError, BrokenPipeError):
        while _taken_kb() < MEMORY_KB and select.select([calls], [], [], IDLE_S)[0]:
            answers.write(framed(_answer(*read(calls))))
            answers.flush()


def _answer(step: Callable[..., Any], given: tuple[Any, ...], named: dict[str, Any]) -> Answer:
    try:
        return Answer(value=step(*given, **named))
    except AfterwordError as error:
        return Answer(error=error)
    except MemoryError:
        os._exit(1)  # as where a library has no memory left
    except Exception as fault:  # its words may hold content
        return Answer(fault=place_of(fault))


def _taken_kb() -> int:
    """The most that this process took so far. What Linux tells as its `ru_maxrss` includes what the worker had taken when it
    started this process; the peak in its status doesn't.
    """
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text("ascii")
        return int(status.partition("VmHWM:")[2].split(None, 1)[0])
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most // 1024 if sys.platform == "darwin" else most


def _end_with(worker: int) -> None:
    """Have this process end when its worker does, also in the middle of a call."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def watch() -> None:
        while os.getppid() == worker:
            time.sleep(LOOK_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _take_at_most(megabytes: int) -> None:
    """Have this process end rather than take more memory, where the system knows that limit."""
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (megabytes << 20, megabytes << 20))


def _yield_to_the_worker() -> None:
    """Let the worker's own loop go first; and where memory runs out, this process rather than the worker. A unit of systemd may
    refuse either, and the process does its work all the same.
    """
    with contextlib.suppress(OSError):
        os.nice(5)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", "ascii")


def main() -> None:
    """Serve the process that started this one."""
    # Whoever stops a whole group of processes means the worker, which lets what runs finish.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # no text is left on a disk
    worker, megabytes = map(int, sys.argv[1:])
    _end_with(worker)
    _take_at_most(megabytes)
    _yield_to_the_worker()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the answers
    serve(os.fdopen(0, "rb"), answers)


if __name__ == "__main__":
    main()
