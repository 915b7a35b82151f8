"""Everything on one machine: embedded Valkey, keys, sandbox and worker as child processes, stopped in order."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from config.keys import create_key_file
from config.settings import ConfigError, Settings, write_instance
from tasks.destinations import parse_settings
from worker.embedded import EmbeddedValkey, free_port
from worker.runtime import open_services

READY_LIMIT_S = 60.0
STOP_LIMIT_S = 25.0
FAKE_SECRET = "sandbox-not-a-secret"


@dataclass
class Stack:
    """What runs: addresses for people, and the child processes."""

    settings: Settings
    redis_url: str
    sandbox_url: str | None = None
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start one of our own commands with this stack's environment; its output goes to DATA/NAME.log."""
        with (self.settings.data / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "worker", *arguments],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=self.environment(),
                cwd=Path(__file__).resolve().parent.parent,
                start_new_session=True,
            )
        self.children[name] = child
        return child

    def environment(self) -> dict[str, str]:
        """The environment of a child."""
        own = {
            "AFTERWORD_DATA": str(self.settings.data),
            "AFTERWORD_REDIS_URL": self.redis_url,
            "PYTHONUNBUFFERED": "1",
        }
        return os.environ | own

    def stop(self) -> None:
        """Stop every child, the worker first, by SIGTERM and then by SIGKILL."""
        for child in reversed(list(self.children.values())):
            if child.poll() is not None:
                continue
            child.terminate()
            try:
                child.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@contextlib.contextmanager
def running_stack(settings: Settings, *, sandbox_port: int | None) -> Iterator[Stack]:
    """Valkey (unless AFTERWORD_REDIS_URL names another), keys, sandbox and a worker, until the block ends."""
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.ExitStack() as closing:
        closing.enter_context(_only_one(settings.data))
        if not settings.keys_file and not settings.keys and not (settings.data / "keys").exists():
            create_key_file(settings.data / "keys")
        url = settings.redis_url or closing.enter_context(EmbeddedValkey(settings.data / "valkey")).url
        stack = Stack(settings, url)
        closing.callback(stack.stop)
        if sandbox_port is not None:
            port = sandbox_port or free_port()
            stack.start("sandbox", "sandbox", "--port", str(port))
            stack.sandbox_url = f"http://127.0.0.1:{port}"
            _await_http(stack.sandbox_url + "/_sandbox/state", stack.children["sandbox"])
        facts = {
            "redis_url": url,
            "broker_url": settings.broker_url or url,
            "pid": os.getpid(),
            "sandbox_url": stack.sandbox_url,
        }
        write_instance(settings, facts)
        closing.callback((settings.data / "instance.json").unlink, missing_ok=True)
        stack.start("worker", "worker")
        yield stack


@contextlib.contextmanager
def _only_one(data: Path) -> Iterator[None]:
    with (data / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(
                f"Another `afterword up` runs with {data}; stop it, or use --data for another folder."
            ) from None
        yield


def _await_http(url: str, child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_LIMIT_S
    while time.monotonic() < deadline and child.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own loopback address
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise ConfigError("The sandbox did not start; its port may be taken (choose another with --port).")


def sandbox_destinations(sandbox_url: str) -> dict[str, dict[str, object]]:
    """The three destinations of the sandbox, by name."""
    local: dict[str, object] = {"allow_http": True, "allow_private": ("127.0.0.0/8",)}
    return {
        "confluence": {
            "kind": "confluence",
            "base_url": sandbox_url,
            "email": "sandbox@example.com",
            "space": "OPS",
            **local,
        },
        "servicenow": {
            "kind": "servicenow",
            "instance_url": sandbox_url,
            "username": "sandbox",
            "write_lag_s": 2,
            **local,
        },
        "azure_devops": {
            "kind": "azure_devops",
            "org_url": f"{sandbox_url}/contoso",
            "project": "Operations",
            "write_lag_s": 5,
            **local,
        },
    }


async def add_sandbox_destinations(settings: Settings, sandbox_url: str) -> None:
    """Configure the sandbox's three destinations with a credential that is no secret."""
    async with open_services(settings) as services:
        for name, given in sandbox_destinations(sandbox_url).items():
            await services.destinations.set(name, parse_settings(given), FAKE_SECRET, "up")


def wait_for_signal(stack: Stack) -> str | None:
    """Sleep until SIGTERM or Ctrl-C; restarts a worker that ended. Returns what could not be kept alive, or None."""
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    restarts = 0
    while not stopping:
        time.sleep(0.3)
        if (worker := stack.children["worker"]).poll() is not None and not stopping:
            restarts += 1
            if restarts > 5:
                return f"The worker ended with {worker.returncode} again and again; see {stack.settings.data / 'worker.log'}."
            stack.start("worker", "worker")
    for number, handler in previous.items():
        signal.signal(number, handler)
    return None
