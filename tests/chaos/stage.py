"""The processes of a run: Valkey, the sandbox, and workers that are there to be killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from config.keys import create_key_file
from config.settings import Settings
from tests.chaos import clocks
from tests.chaos.versions import ROOT, Beside, Version, nursery, standing_beside
from tests.chaos.wire import Wire, wired
from worker.machine.embedded import EmbeddedValkey, free_port

READY_S = 60.0
KINDS = ("confluence", "servicenow", "azure_devops")
REDIS = "redis"


@dataclass
class Stage:
    """What stands on the stage, and the means to hurt it. `valkey` is None where the Redis is somebody else's.

    Workers whose names begin with `beside` are of another version: the one in `beside`, with a nursery and an API of its
    own. `wires` lead from the workers to Redis, where it has one address, and to each kind of destination; with `has_clocks`
    the workers' clocks can be set. `fail_over` kills a primary and brings it back as a replica; its argument is for how many seconds it stays away.
    """

    settings: Settings
    broker_url: str
    valkey: EmbeddedValkey | None
    sandbox_url: str
    nursery: subprocess.Popen[str]
    fail_over: Callable[[float], None] | None = None
    beside: Beside | None = None
    wires: Mapping[str, Wire] = field(default_factory=dict)
    has_clocks: bool = False
    workers: dict[str, int] = field(default_factory=dict)
    pids: dict[str, int] = field(default_factory=dict)
    started: dict[str, float] = field(default_factory=dict)
    since: dict[str, float] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)
    ever: dict[int, str] = field(default_factory=dict)

    def address_of(self, kind: str) -> str:
        """Where workers reach the sandbox's vendor of that kind."""
        wire = self.wires.get(kind)
        return f"http://127.0.0.1:{wire.near_port}" if wire else self.sandbox_url

    @property
    def names(self) -> list[str]:
        """All workers of this version that were started, whatever became of them."""
        return [name for name in self.workers if not name.startswith("beside")]

    @property
    def broker_is_redis(self) -> bool:
        """Whether messages lie in lists that can be spoiled."""
        return self.broker_url.startswith(("redis://", "sentinel://"))

    def start(self, name: str) -> None:
        """Start a worker; what its log holds so far is an earlier one's."""
        log = self._log(name)
        self.workers[name] = log.stat().st_size if log.exists() else 0
        self.since.pop(name, None)
        self.started[name] = time.monotonic()
        self.pids[name] = int(self._tell(name, "start", name))
        self.ever[self.pids[name]] = name

    def at_work(self, starts: float = 0.0) -> list[str]:
        """Workers, but for stopped ones, that have been at work for so many times as long as they needed to start.

        This is how a run on a busy machine gets something under way between two kills.
        """
        now = time.monotonic()
        for name in self.workers:
            if name not in self.since and self._announced(name):
                self.since[name] = now
        return [
            name
            for name, since in self.since.items()
            if name not in self.stopped and now - since >= starts * (since - self.started[name])
        ]

    async def all_at_work(self, count: int) -> None:
        """Wait until so many workers are."""
        deadline = time.monotonic() + READY_S
        while len(self.at_work()) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"Not all workers came to work; see their logs in {self.settings.data}.")
            await asyncio.sleep(0.05)

    def _announced(self, name: str) -> bool:
        with contextlib.suppress(FileNotFoundError), self._log(name).open("rb") as log:
            log.seek(self.workers[name])
            return b" ready." in log.read(100_000)
        return False

    def last_words(self, name: str) -> str:
        """The last line that the worker wrote."""
        return (self._log(name).read_text("utf-8", errors="replace").splitlines() or [""])[-1]

    def _log(self, name: str) -> Path:
        return self.settings.data / f"{name}.log"

    def kill(self, name: str) -> None:
        """SIGKILL a worker."""
        self._tell(name, "signal", name, signal.SIGKILL)
        self.stopped.discard(name)

    def kill_further(self, name: str) -> int:
        """SIGKILL the processes beside a worker's first; how many there were."""
        return int(self._tell(name, "further", name))

    def stop(self, name: str) -> None:
        """SIGSTOP a worker: it is there, and does nothing."""
        self._tell(name, "signal", name, signal.SIGSTOP)
        self.stopped.add(name)

    def resume(self, name: str) -> None:
        """SIGCONT a worker: it goes on where it stood, whatever happened to its jobs meanwhile."""
        self._tell(name, "signal", name, signal.SIGCONT)
        self.stopped.discard(name)

    def ended(self) -> list[str]:
        """Workers that ended although nobody killed them."""
        return [
            name
            for kind in ("worker", *(["beside"] if self.beside else []))
            for name in self._tell(kind, "ended").split()
        ]

    def _tell(self, whom: str, *words: object) -> str:
        nursery = self.beside.nursery if self.beside and whom.startswith("beside") else self.nursery
        assert nursery.stdin and nursery.stdout
        nursery.stdin.write(" ".join(str(int(w) if isinstance(w, signal.Signals) else w) for w in words) + "\n")
        nursery.stdin.flush()
        return nursery.stdout.readline().strip()

    async def ask_sandbox(self, method: str, path: str, body: object = None, *, limit_s: float = READY_S) -> Any:
        """An answer of the sandbox's control interface, tried again while its listener is away."""
        deadline = time.monotonic() + limit_s
        while True:
            try:
                return await asyncio.to_thread(_ask, method, f"{self.sandbox_url}/_sandbox/{path}", body)
            except (urllib.error.URLError, OSError):
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)


def _ask(method: str, url: str, body: object) -> Any:
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def _through(url: str, wire: Wire) -> str:
    """The address by way of a wire."""
    parts = urlsplit(url)
    account, mark, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{account}{mark}127.0.0.1:{wire.near_port}"))


def _servers(redis: str, sandbox_port: int) -> dict[str, tuple[str, int]]:
    """What wires lead to: each kind of destination, and Redis where it has one address."""
    servers = dict.fromkeys(KINDS, ("127.0.0.1", sandbox_port))
    if redis.startswith("redis://"):
        parts = urlsplit(redis)
        servers[REDIS] = (str(parts.hostname), parts.port or 6379)
    return servers


def _names(workers: int, *, prefork: bool, several: bool, beside: bool) -> Iterator[str]:
    """What the workers are called: by what runs them, and a number."""
    for number in range(workers):
        last = prefork and number == workers - 1
        first = several and number == 0 < workers - 1
        yield f"{'prefork' if last else 'several' if first else 'worker'}-{number}"
        if beside:
            yield f"beside-{number}"


@contextlib.contextmanager
def staged(
    folder: Path,
    kind: str,
    workers: int,
    quick: Mapping[str, str],
    redis_url: str | None,
    broker_url: str | None,
    *,
    fail_over: Callable[[float], None] | None = None,
    beside: Path | None = None,
    wrong_clocks: bool = False,
    prefork: bool = False,
    several: bool = False,
) -> Iterator[Stage]:
    """Put everything up in `folder`; at the end nothing that was started is left.

    `kind` is `afterword` or `stock`; `quick` are settings of ours (AFTERWORD_*) that the workers run with. With
    `redis_url` no Valkey is started, and the run can't restart it. `beside` is a checkout of another version, of which as
    many workers run, and its API. With `prefork` the last worker is Celery's own command with its pool of processes, and with
    `several` the first of more than one has a further process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    create_key_file(folder / "keys")
    with contextlib.ExitStack() as closing:
        valkey = None if redis_url else closing.enter_context(EmbeddedValkey(folder / "valkey"))
        address = redis_url or (valkey.url if valkey else "")
        port = free_port()
        wires = closing.enter_context(wired(_servers(address, port) if kind == "afterword" else {}))
        near = _through(address, wires[REDIS]) if REDIS in wires else address
        variables = {
            "AFTERWORD_DATA": str(folder),
            "AFTERWORD_REDIS_URL": near,
            "AFTERWORD_WORKER_PROCESSES": "1",
            **quick,
        }
        variables |= {"AFTERWORD_BROKER_URL": broker_url} if broker_url else {}
        settings = Settings(data=folder, redis_url=address, broker_url=broker_url, keys_file=None, keys=None)
        environment = os.environ | variables | {"STOCK_SANDBOX_URL": f"http://127.0.0.1:{port}"}
        ours = Version(ROOT, folder, environment)
        closing.enter_context(ours.child("sandbox", "-m", "worker", "sandbox", "--port", str(port)))
        faked = clocks.environment() if wrong_clocks else {}
        stage = Stage(
            settings,
            broker_url or address,
            valkey,
            f"http://127.0.0.1:{port}",
            closing.enter_context(nursery(Version(ROOT, folder, environment | faked), "nursery", kind)),
            fail_over,
            closing.enter_context(standing_beside(Version(beside, folder, environment))) if beside else None,
            wires,
            bool(faked),
        )
        asyncio.run(stage.ask_sandbox("GET", "state"))
        for name in _names(workers, prefork=prefork, several=several, beside=beside is not None):
            stage.start(name)
        yield stage
