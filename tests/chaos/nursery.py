"""Forks workers from a process that has imported their code already, and sends them signals.

A worker is killed about once a second; were each started afresh, two cores would do little but import Python modules
and read the rules of screening.
Every worker is a real process with a process group of its own: a signal goes to all that it started.

Reads commands from standard input, one a line, and answers each with a line:

    start NAME            the process id
    signal NAME NUMBER    `sent`; a worker that is killed is gone by then
    further NAME          SIGKILL for the worker's further processes only: how many got it
    ended                 the names of workers that ended by themselves, which are forgotten

When its input ends, so do all workers.

A worker whose name begins with `prefork` is Celery's own command with its pool of processes; any other is `afterword worker`, with a
further process beside its first where its name begins with `several`. Such a process has a group of its own: what kills or stops its
worker doesn't reach it.
Under libfaketime each worker's clock is that of the file LOGS/NAME.clock; further processes have the right time.

It runs as a script, so that the code that it imports may be another checkout's (its third argument): a version beside which
ours has to work. It therefore asks little of that code: `worker.celery`, `worker.cli.main`, `worker.machine.orphans`.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

PREFORK = ("celery", "-A", "worker", "worker", "-P", "prefork", "-c", "3", "--loglevel", "INFO")
SIBLING = b"worker.cli.sibling"  # what the command of a further process names


def entry(kind: str) -> Callable[[str], object]:
    """What a worker of that kind runs, by its name, imported now."""
    if kind == "stock":
        stock = importlib.import_module("bench.stock.app").app
        return lambda _: stock.worker_main(["worker", "--without-gossip", "--without-mingle", "--loglevel", "INFO"])
    importlib.import_module("worker.celery")
    importlib.import_module("tasks.screening")  # without a scan: the engine doesn't outlive a fork
    afterword = importlib.import_module("worker.cli").main
    celery = importlib.import_module("celery.__main__").main

    def run(name: str) -> object:
        if name.startswith("several"):
            os.environ["AFTERWORD_WORKER_PROCESSES"] = "2"
            os.environ.pop("LD_PRELOAD", None)  # Python's `time.sleep` fails there, and only here it is replaced
        prefork = name.startswith("prefork")
        sys.argv = list(PREFORK) if prefork else ["afterword", "worker"]
        return celery() if prefork else afterword()

    return run


def start(run: Callable[[str], object], name: str, logs: Path) -> int:
    """Fork one worker; its output goes to a file. Returns its process id."""
    sys.stdout.flush()
    die = importlib.import_module("worker.machine.orphans").dies_with_parent(signal.SIGKILL)
    if (pid := os.fork()) != 0:
        return pid
    status = 1
    try:
        os.setpgid(0, 0)
        if die:
            die()
        os.environ["FAKETIME_TIMESTAMP_FILE"] = str(logs / f"{name}.clock")
        output = os.open(logs / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        run(name)
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


class Nursery:
    """The workers by name."""

    def __init__(self, run: Callable[[str], object], logs: Path) -> None:
        self.run = run
        self.logs = logs
        self.workers: dict[str, int] = {}
        self.orphans: set[int] = set()

    def obey(self, verb: str, name: str = "", number: str = "") -> str:
        """Carry out one command; returns the answer."""
        if verb == "start":
            pid = start(self.run, name, self.logs)
            with_group(pid)
            self.workers[name] = pid
            return str(pid)
        if verb == "signal":
            self.signal(name, int(number))
            return "sent"
        if verb == "further":
            return str(_kill(further(self.workers[name])))
        gone = [each for each, pid in self.workers.items() if os.waitpid(pid, os.WNOHANG) != (0, 0)]
        self.workers = {each: pid for each, pid in self.workers.items() if each not in gone}
        return " ".join(gone)

    def signal(self, name: str, number: int) -> None:
        """Signal a worker and all that it started in its group."""
        pid = self.workers[name]
        self.orphans |= further(pid)
        os.killpg(pid, number)
        if number == signal.SIGKILL:
            del self.workers[name]
            os.waitpid(pid, 0)

    def end(self) -> None:
        """Kill all that is left."""
        for name in list(self.workers):
            self.signal(name, signal.SIGKILL)
        _kill(pid for pid in self.orphans if _is_sibling(pid))


def further(pid: int) -> set[int]:
    """The further processes of a worker, as Linux lists the children of each of its threads."""
    children: set[int] = set()
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # a thread that ended meanwhile
            children |= set(map(int, listed.read_text("ascii").split()))
    return set(filter(_is_sibling, children))


def _is_sibling(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return SIBLING in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def _kill(pids: Iterable[int]) -> int:
    """SIGKILL each; how many there were to get it."""
    count = 0
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            count += 1
    return count


def with_group(pid: int) -> None:
    """Give a child its own group here too: whichever of the two comes first, a signal finds it."""
    try:
        os.setpgid(pid, pid)
    except (PermissionError, ProcessLookupError):
        return


def _sleep(seconds: float) -> None:
    """`time.sleep`, which fails under libfaketime 0.9.10: it takes Python's absolute monotonic moments for something else."""
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        select.select([], [], [], left)


def main(kind: str, logs: Path, root: Path) -> None:
    """Serve until the input ends; raises `RuntimeError` where the code that was found isn't that of `root`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if "faketime" in os.environ.get("LD_PRELOAD", ""):
        time.sleep = _sleep
    found = Path(str(importlib.import_module("worker").__file__)).resolve().parent.parent
    if found != root.resolve():
        raise RuntimeError(f"The workers' code comes from {found}, not from {root}.")
    nursery = Nursery(entry(kind), logs)
    print("ready", flush=True)
    for line in sys.stdin:
        print(nursery.obey(*line.split()), flush=True)
    nursery.end()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
