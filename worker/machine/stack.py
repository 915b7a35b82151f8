"""Everything on one machine: embedded Valkey, keys, sandbox and worker as child processes, stopped in order."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from config.instance import INSTANCE_FILE, write_instance
from config.key_lines import key_lines
from config.keys import create_key_file, explicit_sources
from config.settings import ConfigError, Settings
from tasks.destinations import parse_settings
from tasks.errors import Refused
from worker.api.serve import first_key
from worker.machine.accounts import API, FLOWER, OURS, PRODUCER, Accounts
from worker.machine.embedded import EmbeddedValkey, free_port
from worker.machine.orphans import dies_with_parent
from worker.runtime import check_services, open_services

READY_LIMIT_S = 60.0
STOP_MARGIN_S = 15.0
ORPHAN_LIMIT_S = 10.0
LOOK_EVERY_S = 0.3
RESTARTS = 5
RESTARTS_WITHIN_S = 120.0
FAKE_SECRET = "sandbox-not-a-secret"
ACCOUNTS = {"worker": OURS, "api": API}  # of each part that uses Redis
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """SIGTERM, Ctrl-C or a closed terminal: unwind, and stop every child on the way."""


@dataclass
class Stack:
    """What runs: addresses for people, and the child processes."""

    settings: Settings
    redis_url: str
    new_keys: bool = False
    valkey: EmbeddedValkey | None = None
    sandbox_url: str | None = None
    api_url: str | None = None
    api_port: int = 0
    first_key: str | None = None
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def own_settings(self) -> Settings:
        """The settings of this instance, with its Redis."""
        return self.settings.model_copy(update={"redis_url": self.redis_url})

    @property
    def accounts(self) -> dict[str, str]:
        """How each account logs in to the embedded server; none for a Redis that the operator named."""
        return self.valkey.urls if self.valkey else {}

    @property
    def producers_url(self) -> str:
        """The broker's address for plain Celery clients: they send messages and read results, and do nothing else."""
        return self.settings.broker_url or self.accounts.get(PRODUCER) or self.own_settings.broker_address()

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start one of our own commands with this stack's environment; its output goes to DATA/NAME.log.

        Should this process be killed, they are killed as well: what they leave is settled at the next start.
        """
        path = self.settings.data / f"{name}.log"
        with open(path, "ab", opener=_for_us_alone) as log:
            path.chmod(0o600)  # one of an earlier version was readable by others
            child = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "worker", *arguments],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=self.environment(name),
                cwd=Path(__file__).resolve().parents[2],
                start_new_session=True,
                preexec_fn=dies_with_parent(signal.SIGKILL),  # noqa: PLW1509 - see there
            )
        self.children[name] = child
        return child

    def environment(self, name: str) -> dict[str, str]:
        """The environment of a child: ours, with exactly this stack's broker and keys, and its Redis by the child's own account."""
        given = self.settings
        redis_url = self.accounts.get(ACCOUNTS.get(name, "")) if self.accounts else self.redis_url
        keys = given.keys.get_secret_value() if given.keys else None
        own = {
            "AFTERWORD_DATA": str(given.data),
            "AFTERWORD_REDIS_URL": redis_url,
            "AFTERWORD_BROKER_URL": given.broker_url,
            "AFTERWORD_KEYS_FILE": str(given.keys_file) if given.keys_file else None,
            "AFTERWORD_KEYS": keys,
            "AFTERWORD_WORKER_PROCESSES": str(given.worker_processes) if given.worker_processes else None,
            "PYTHONUNBUFFERED": "1",
        }
        inherited = {name: value for name, value in os.environ.items() if name not in own}
        return inherited | {name: value for name, value in own.items() if value is not None}

    def stop(self) -> None:
        """Stop every child, the worker first, by SIGTERM and then by SIGKILL."""
        for child in reversed(list(self.children.values())):
            if child.poll() is not None:
                continue
            child.terminate()
            try:
                child.wait(self.settings.drain_s + STOP_MARGIN_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@contextlib.contextmanager
def running_stack(
    settings: Settings, *, api_port: int | None = None, sandbox_port: int | None = None
) -> Iterator[Stack]:
    """Valkey (unless AFTERWORD_REDIS_URL names another), keys, sandbox, API and a worker, until the block ends.

    A port of 0 takes a free one; without a port that part isn't started.

    A stop signal inside the block raises `Stopped`; whatever ends it, nothing is left running.
    """
    for option, port in (("--port", api_port), ("--sandbox-port", sandbox_port)):
        _must_be_free(option, port)
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.ExitStack() as closing:
        lock = closing.enter_context(_only_one(settings))
        closing.enter_context(stop_signals_raise())
        with stop_signals_deferred():
            new_keys = _ensure_keys(settings)
            valkey = None
            if not settings.redis_url:
                accounts = Accounts(settings.prefix)
                valkey = closing.enter_context(EmbeddedValkey(settings.data / "valkey", (lock,), accounts))
            stack = Stack(settings, settings.redis_url or (valkey.url if valkey else ""), new_keys, valkey)
            check_services(stack.own_settings)
            closing.callback(stack.stop)
            if sandbox_port is not None:
                _start_sandbox(stack, sandbox_port or free_port())
            if api_port is not None:
                stack.first_key = asyncio.run(_first_key(stack.own_settings))
                stack.api_port = api_port or free_port()
                _start_api(stack)
            write_instance(settings.data, _facts(stack))
            closing.callback((settings.data / INSTANCE_FILE).unlink, missing_ok=True)
            stack.start("worker", "worker")
        yield stack
        closing.enter_context(stop_signals_wait())


def _for_us_alone(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _must_be_free(option: str, port: int | None) -> None:
    """Raise `ConfigError` where somebody listens there: it would answer in our place."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port or 0))
        except OSError as error:
            raise ConfigError(
                f"Port {port} can't be used ({error.strerror}). Choose another with {option}; 0 takes a free one."
            ) from None


def _ensure_keys(settings: Settings) -> bool:
    """Make the data folder's key file at first use, unless the operator named keys."""
    file = settings.data / "keys"
    if explicit_sources(settings, os.environ) or file.exists() or file.is_symlink():
        return False
    create_key_file(file, key_lines(settings))
    return True


def _facts(stack: Stack) -> dict[str, str | int | None]:
    """What other commands need to connect."""
    named = explicit_sources(stack.settings, os.environ)
    file = next(iter(named.values())) if named else stack.settings.data / "keys"
    return {
        "redis_url": stack.redis_url,
        "broker_url": stack.settings.broker_url or stack.redis_url,
        "flower_url": stack.accounts.get(FLOWER),
        "keys_file": str(file) if isinstance(file, Path) else None,
        "pid": os.getpid(),
        "sandbox_url": stack.sandbox_url,
        "api_url": stack.api_url,
    }


def _start_sandbox(stack: Stack, port: int) -> None:
    child = stack.start("sandbox", "sandbox", "--port", str(port))
    stack.sandbox_url = f"http://127.0.0.1:{port}"
    if not _answers(child, f"{stack.sandbox_url}/_sandbox/state"):
        raise ConfigError(f"The sandbox did not start; port {port} may be taken (choose another with --sandbox-port).")
    asyncio.run(add_sandbox_destinations(stack.own_settings, stack.sandbox_url))


def _start_api(stack: Stack) -> None:
    child = stack.start("api", "api", "--port", str(stack.api_port))
    stack.api_url = f"http://127.0.0.1:{stack.api_port}"
    if not _answers(child, f"{stack.api_url}/healthz"):
        raise ConfigError(
            f"The API did not start; port {stack.api_port} may be taken (choose another with --port, 0 takes a free one)."
        )


def _answers(child: subprocess.Popen[bytes], url: str) -> bool:
    """Whether the child answers there before it ends or the time is up."""
    deadline = time.monotonic() + READY_LIMIT_S
    while time.monotonic() < deadline and child.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - loopback
                return child.poll() is None
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    return False


async def _first_key(settings: Settings) -> str | None:
    async with open_services(settings) as services:
        return await first_key(services, "up")


@contextlib.contextmanager
def _only_one(settings: Settings) -> Iterator[int]:
    """Hold the data folder's lock; yields its file descriptor.

    The Valkey of an `up` that was killed holds it until its own end: that is waited for.
    """
    with open(settings.data / "lock", "w", opener=_for_us_alone) as lock:
        deadline = time.monotonic() + (0 if _runs(settings.instance().get("pid")) else ORPHAN_LIMIT_S)
        while not _locked(lock.fileno()):
            if time.monotonic() >= deadline:
                raise ConfigError(
                    f"Another `afterword up` runs with {settings.data}; stop it, or use --data for another folder."
                )
            time.sleep(0.05)
        yield lock.fileno()


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _runs(pid: object) -> bool:
    if not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


@contextlib.contextmanager
def _handling(handler: signal.Handlers | object) -> Iterator[None]:
    previous = {number: signal.signal(number, handler) for number in STOP_SIGNALS}  # type: ignore[arg-type]
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)


def stop_signals_raise() -> contextlib.AbstractContextManager[None]:
    """Turn the first stop signal into `Stopped`; further ones don't interrupt the stopping."""
    return _handling(_stop_now)


def _stop_now(*_: object) -> NoReturn:
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise Stopped


@contextlib.contextmanager
def stop_signals_deferred() -> Iterator[None]:
    """Let the block finish, whose libraries may swallow an exception; a stop signal raises `Stopped` at its end."""
    came: list[object] = []
    with _handling(lambda *_: came.append(True)):
        yield
    if came:
        _stop_now()


def stop_signals_wait() -> contextlib.AbstractContextManager[None]:
    """Let nothing interrupt the stopping of children."""
    return _handling(signal.SIG_IGN)


def sandbox_destinations(sandbox_url: str) -> dict[str, dict[str, object]]:
    """The destinations of the sandbox, by name. It shows a write at once, so doubt is short."""
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
        "jira": {
            "kind": "jira",
            "base_url": sandbox_url,
            "email": "sandbox@example.com",
            "project": "OPS",
            "write_lag_s": 5,
            **local,
        },
    }


async def add_sandbox_destinations(settings: Settings, sandbox_url: str) -> None:
    """Configure the sandbox's destinations with a credential that is no secret."""
    async with open_services(settings) as services:
        for name, given in sandbox_destinations(sandbox_url).items():
            before = await services.destinations.get(name)
            if before and not before.settings.address.startswith("http://127.0.0.1:"):
                raise Refused(
                    f"Destination {name} leads to {before.settings.address}; the sandbox would take its place.",
                    code="destination_taken",
                    advice="Use another folder for the sandbox: --data DIR.",
                )
            await services.destinations.set(name, parse_settings(given), FAKE_SECRET, "up")


def keep_alive(stack: Stack) -> str:
    """Start worker and Valkey again when they end. Returns only with what could not be kept alive, in words."""
    restarts: list[float] = []
    while True:
        time.sleep(LOOK_EVERY_S)
        ended = _ended(stack)
        if ended is None:
            continue
        name, status = ended
        now = time.monotonic()
        restarts = [*(at for at in restarts if now - at < RESTARTS_WITHIN_S), now]
        if name == "sandbox" or len(restarts) > RESTARTS:
            again = "" if name == "sandbox" else " again and again"
            return f"The {name} ended{again} (status {status}); see {stack.settings.data} for its log."
        if name == "Valkey" and stack.valkey:
            stack.valkey.start()
        elif name == "api":
            stack.start("api", "api", "--port", str(stack.api_port))
        else:
            stack.start("worker", "worker")


def _ended(stack: Stack) -> tuple[str, int | None] | None:
    """A part that no longer runs, and its exit status."""
    if stack.valkey and not stack.valkey.alive:
        return "Valkey", None
    for name, child in stack.children.items():
        if (status := child.poll()) is not None:
            return name, status
    return None
