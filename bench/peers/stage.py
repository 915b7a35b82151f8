"""The processes of a round: an own Valkey, the vendor's stand-in, and a worker whose processor time is looked at."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import redis

from worker.machine.embedded import free_port
from worker.machine.orphans import dies_with_parent

ROOT = Path(__file__).resolve().parents[2]
READY_S = 60.0
STOP_S = 5.0


@contextlib.contextmanager
def child(
    command: list[str], folder: Path, log: Path, variables: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own; at the end all of that session is gone."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            env=os.environ | {"PYTHONUNBUFFERED": "1"} | variables,
            start_new_session=True,
            preexec_fn=dies_with_parent(signal.SIGKILL),  # noqa: PLW1509 - see there
        )
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def processor_ms(sessions: Collection[int]) -> float:
    """Milliseconds of the processor that the sessions' processes took so far, user and system (proc_pid_stat(5))."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text("utf-8").rpartition(")")[2].split()
            if int(fields[3]) in sessions:
                ticks += int(fields[11]) + int(fields[12])
    return 1000 * ticks / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Spent:
    """What the workers' sessions and their Valkey spent so far: milliseconds of the processor, and commands."""

    processor_ms: float
    valkey_ms: float
    commands: int


def spent(sessions: Collection[int], client: redis.Redis) -> Spent:
    """Now. Commands within scripts count."""
    commands, used = client.info("commandstats"), client.info("cpu")
    return Spent(
        processor_ms(sessions),
        1000 * (used["used_cpu_user"] + used["used_cpu_sys"]),
        sum(each["calls"] for each in commands.values()),
    )


@dataclass(frozen=True)
class Counts:
    """What the vendor's stand-in was asked to create: objects, and how many different ones."""

    objects: int
    distinct: int


@dataclass(frozen=True)
class Vendor:
    """The stand-in, by its address."""

    url: str

    def reset(self, delay_ms: int) -> None:
        """Forget what was created; answer after so long."""
        self._ask("PUT", f"?delay_ms={delay_ms}")

    def counts(self) -> Counts:
        """What was created since."""
        return Counts(**json.loads(self._ask("GET")))

    def began(self) -> dict[str, float]:
        """When the request for each title began, in seconds of the monotonic clock."""
        found: dict[str, float] = json.loads(self._ask("GET", "/began"))
        return found

    def _ask(self, method: str, rest: str = "") -> bytes:
        request = urllib.request.Request(f"{self.url}/_bench{rest}", method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            text: bytes = answer.read()
        return text


@contextlib.contextmanager
def vendor_at_work(folder: Path) -> Iterator[Vendor]:
    """The vendor's stand-in in a process of its own, once it answers."""
    port = free_port()
    vendor = Vendor(f"http://127.0.0.1:{port}")
    command = [sys.executable, "-m", "bench.peers.vendor", str(port)]
    with child(command, ROOT, folder / "vendor.log", {}):
        until(lambda: _answers(vendor), f"the stand-in for the vendor; see {folder}")
        yield vendor


def _answers(vendor: Vendor) -> bool:
    try:
        vendor.reset(0)
    except OSError:
        return False
    return True


def until(condition: Callable[[], bool], what: str, limit_s: float = READY_S) -> None:
    """Wait until the condition holds; raises `TimeoutError` that names what was waited for."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {limit_s:g} s for {what}")
        time.sleep(0.05)
