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

from tests.conftest import ROOT
from worker.machine.embedded import free_port

READY_S = 120.0


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
    command: list[str]
    log: Path
    child: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def client(self, **options: object) -> redis.Redis:
        return redis.Redis(port=self.port, password=self.password, **options)

    def start(self) -> None:
        """Start it, also again after a kill, with the data that it has; returns when it answers."""
        with self.log.open("ab") as output:
            self.child = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        wait_until(lambda: answers(self), "the Redis server")

    def kill(self) -> None:
        """SIGKILL, as a machine that is gone."""
        if self.child is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()

    def replication(self) -> dict[str, object]:
        """What it says of its part in replication; empty while it doesn't answer."""
        try:
            with self.client(socket_timeout=2) as client:
                return client.info("replication")
        except redis.RedisError:
            return {}


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
    own = ["appendonly yes", "appendfsync always", 'save ""', f"requirepass {password}", f"masterauth {password}"]
    place = [f"port {port}", "bind 127.0.0.1", f'dir "{folder}"']
    configuration.write_text("\n".join([*own, *lines, *place]) + "\n")
    server = RedisServer(port, password, [binary(program), str(configuration)], folder / "redis.log")
    try:
        server.start()
        yield server
    finally:
        server.kill()


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

    def fail_over(self, away_s: float = 0.0) -> None:
        """Kill the primary; when the sentinels have chosen another, start the old one, which comes back as a replica.

        `away_s` seconds lie between the two. Returns when all replicas are in step.
        """
        old = self.primary
        old.kill()
        wait_until(lambda: self.primary_port() not in (0, old.port), "another primary")
        time.sleep(away_s)
        old.start()
        wait_until(self.in_step, "the old primary's return as a replica")

    def in_step(self) -> bool:
        """Whether one server is the primary, as the sentinels say, and all others follow it."""
        said = [(server.port, server.replication()) for server in self.servers]
        return sum(
            (facts.get("role") == "master" and port == self.primary_port())
            or (facts.get("master_link_status") == "up" and facts.get("master_port") == self.primary_port())
            for port, facts in said
        ) == len(said)


def deployed(name: str, **words: str) -> list[str]:
    """The lines of an example in deploy/sentinel, with its words in capitals replaced."""
    text = (ROOT / "deploy" / "sentinel" / name).read_text("utf-8")
    for word, by in words.items():
        text = text.replace(word, by)
    return text.splitlines()


@contextmanager
def sentinels(folder: Path, replicas: int = 2, watchers: int = 3) -> Iterator[Sentinels]:
    """A primary with replicas under Debian's Sentinel, configured by the examples in deploy/sentinel."""
    program = binary("redis-sentinel")
    password = secrets.token_urlsafe(12)
    lines = deployed("redis.conf", PASSWORD=password)
    with ExitStack() as stack:
        primary = stack.enter_context(redis_server(folder / "primary", *lines, password=password))
        servers = [primary]
        for number in range(replicas):
            follows = f"replicaof 127.0.0.1 {primary.port}"
            home = folder / f"replica-{number}"
            servers.append(stack.enter_context(redis_server(home, *lines, follows, password=password)))
        ports = [free_port() for _ in range(watchers)]
        watch = deployed("sentinel.conf", PASSWORD=password, **{"PRIMARY 6379": f"127.0.0.1 {primary.port}"})
        sooner = [
            "sentinel down-after-milliseconds afterword 1000",
            "sentinel failover-timeout afterword 5000",
        ]
        for number, port in enumerate(ports):
            home = folder / f"sentinel-{number}"
            home.mkdir()
            own = [*watch, *sooner, f"port {port}", "bind 127.0.0.1", f'dir "{home}"']
            (home / "sentinel.conf").write_text("\n".join(own) + "\n")
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
        wait_until(lambda: child.poll() is not None or _speaks_amqp(port), "RabbitMQ", 120)
        if child.poll() is not None:
            pytest.skip(f"RabbitMQ does not start here: {(folder / 'rabbitmq.out').read_text()[-300:]}")
        yield f"amqp://guest:guest@127.0.0.1:{port}//"


def _speaks_amqp(port: int) -> bool:
    """Whether a broker answers AMQP's greeting there with its first frame (a method)."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as probe:
            probe.sendall(b"AMQP\x00\x00\x09\x01")
            return probe.recv(1) == b"\x01"
    except OSError:
        return False
