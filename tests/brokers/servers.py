"""Servers of the operating system as child processes: on free ports, with data of their own, ended by their ids."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from worker.embedded import free_port

READY_S = 60.0


def binary(name: str) -> str:
    """The path of a server; skips the test, with the reason, where it isn't installed."""
    found = shutil.which(name, path=f"/usr/lib/rabbitmq/bin:{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def wait_until(condition: Callable[[], object], what: str, limit_s: float = READY_S) -> None:
    """Wait for a condition; fails the test when it doesn't come true."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.05)
    pytest.fail(f"{what} did not come true within {limit_s} s")


@contextmanager
def process(command: list[str], log: Path, **options: object) -> Iterator[subprocess.Popen]:
    """A child process in a session of its own, killed with its group at the end."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, **options
        )
    try:
        yield child
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


@dataclass
class RedisServer:
    """One Redis with append-only file, synced at each write."""

    port: int
    password: str
    child: subprocess.Popen

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def client(self, **options: object) -> redis.Redis:
        return redis.Redis(port=self.port, password=self.password, **options)

    def kill(self) -> None:
        """SIGKILL, as a machine that is gone."""
        self.child.kill()
        self.child.wait()


def answers(server: RedisServer, **options: object) -> bool:
    """Whether the server takes commands."""
    client = server.client(**options)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()


@contextmanager
def redis_server(
    folder: Path, *lines: str, password: str | None = None, program: str = "redis-server"
) -> Iterator[RedisServer]:
    """A Redis with more lines of configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    port, password = free_port(), password or secrets.token_urlsafe(12)
    configuration = folder / "redis.conf"
    own = [f"port {port}", "bind 127.0.0.1", f'dir "{folder}"', "appendonly yes", "appendfsync always", 'save ""']
    own += [f"requirepass {password}", f"masterauth {password}"]
    configuration.write_text("\n".join([*own, *lines]) + "\n")
    with process([binary(program), str(configuration)], folder / "redis.log") as child:
        server = RedisServer(port, password, child)
        wait_until(lambda: answers(server), "the Redis server")
        yield server


@dataclass
class Sentinels:
    """A primary, its replicas and the sentinels that watch them."""

    servers: list[RedisServer]
    ports: list[int]
    password: str

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        return f"sentinel://:{self.password}@{hosts}/afterword"

    def primary_port(self) -> int:
        """Where the sentinels say that the primary is."""
        for port in self.ports:
            try:
                with redis.Redis(port=port, decode_responses=True) as client:
                    return int(client.sentinel_get_master_addr_by_name("afterword")[1])
            except redis.RedisError:
                continue
        return 0

    @property
    def primary(self) -> RedisServer:
        port = self.primary_port()
        return next(server for server in self.servers if server.port == port)


@contextmanager
def sentinels(folder: Path, replicas: int = 2, watchers: int = 3) -> Iterator[Sentinels]:
    """A primary with replicas under Debian's Sentinel."""
    program = binary("redis-sentinel")
    password = secrets.token_urlsafe(12)
    with ExitStack() as stack:
        primary = stack.enter_context(redis_server(folder / "primary", password=password))
        servers = [primary]
        for number in range(replicas):
            line = f"replicaof 127.0.0.1 {primary.port}"
            servers.append(stack.enter_context(redis_server(folder / f"replica-{number}", line, password=password)))
        ports = [free_port() for _ in range(watchers)]
        for number, port in enumerate(ports):
            home = folder / f"sentinel-{number}"
            home.mkdir()
            (home / "sentinel.conf").write_text(
                f'port {port}\nbind 127.0.0.1\ndir "{home}"\n'
                f"sentinel monitor afterword 127.0.0.1 {primary.port} {watchers // 2 + 1}\n"
                f"sentinel auth-pass afterword {password}\n"
                "sentinel down-after-milliseconds afterword 1000\nsentinel failover-timeout afterword 5000\n"
            )
            stack.enter_context(process([program, str(home / "sentinel.conf")], home / "sentinel.log"))
        found = Sentinels(servers, ports, password)
        wait_until(lambda: _complete(found, replicas, watchers), "the sentinels' view")
        yield found


def _complete(found: Sentinels, replicas: int, watchers: int) -> bool:
    for port in found.ports:
        try:
            with redis.Redis(port=port, decode_responses=True) as client:
                facts = client.sentinel_master("afterword")
        except redis.RedisError:
            return False
        if int(facts["num-slaves"]) < replicas or int(facts["num-other-sentinels"]) < watchers - 1:
            return False
    with found.servers[0].client() as client:
        return int(client.info("replication")["connected_slaves"]) == replicas


@contextmanager
def rabbitmq(folder: Path) -> Iterator[str]:
    """RabbitMQ on a free port with a node, cookie and data of its own; yields its URL."""
    program = binary("rabbitmq-server")
    folder.mkdir(parents=True, exist_ok=True)
    port, distribution, names = free_port(), free_port(), free_port()
    name = f"afterword{port}"
    environment = os.environ | {
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"{name}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
        "ERL_EPMD_PORT": str(names),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
    }
    (folder / "plugins").write_text("[].\n")
    (folder / "rabbitmq.conf").write_text("log.console = false\n")
    with (
        # Started here, Erlang's name server is a child like the others; otherwise it would stay behind as a daemon.
        process([binary("epmd"), "-port", str(names), "-address", "127.0.0.1"], folder / "epmd.out"),
        process([program], folder / "rabbitmq.out", env=environment, cwd=folder) as child,
    ):
        wait_until(lambda: child.poll() is not None or _listens(port), "RabbitMQ", 120)
        if child.poll() is not None:
            pytest.skip(f"RabbitMQ does not start here: {(folder / 'rabbitmq.out').read_text()[-300:]}")
        yield f"amqp://guest:guest@127.0.0.1:{port}//"


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
