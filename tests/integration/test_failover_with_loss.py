"""A replica that is promoted without the last writes of its primary, under running workers."""

from __future__ import annotations

import contextlib
import socket
import threading
from urllib.parse import urlsplit

import pytest
import redis

from tests.conftest import until
from tests.integration.test_going_back import count_by_vendor, delivered, loud_lines, noticed, submit_many
from tests.integration.test_processes import alive
from worker.machine.embedded import EmbeddedValkey

pytestmark = pytest.mark.usefixtures("destinations")
HOST = "127.0.0.1"


class Pair:
    """A primary, its replica, and one address that leads to either, as a service's address does."""

    def __init__(self, primary: EmbeddedValkey, replica: EmbeddedValkey) -> None:
        self._ports = [urlsplit(server.url).port for server in (primary, replica)]
        self._to = self._ports[0]
        self._listener = socket.create_server((HOST, 0))
        self._guests: list[socket.socket] = []
        password = urlsplit(primary.url).password
        self.url = f"redis://:{password}@{HOST}:{self._listener.getsockname()[1]}/0"
        self._replica = redis.Redis.from_url(replica.url)
        self._replica.config_set("masterauth", password)
        self._replica.replicaof(HOST, self._ports[0])
        self._replica.config_set("requirepass", password)
        threading.Thread(target=self._let_in, daemon=True).start()

    def holds(self, name: str) -> bool:
        """Whether the replica has that record."""
        return bool(self._replica.exists(name))

    def promote(self) -> None:
        """From now on the replica follows nobody, and hears of no write."""
        self._replica.replicaof("NO", "ONE")

    def fail_over(self) -> None:
        """The address leads to the replica from now on."""
        self._to = self._ports[1]
        for guest in self._guests:
            with contextlib.suppress(OSError):
                guest.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _let_in(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                guest, _ = self._listener.accept()
                server = socket.create_connection((HOST, self._to))
                self._guests += [guest, server]
                for one, other in ((guest, server), (server, guest)):
                    threading.Thread(target=_pump, args=(one, other), daemon=True).start()


def _pump(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
    with contextlib.suppress(OSError):
        other.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def valkey(tmp_path):
    """Two servers behind one address."""
    with EmbeddedValkey(tmp_path / "primary") as primary, EmbeddedValkey(tmp_path / "replica") as replica:
        pair = Pair(primary, replica)
        yield pair
        pair.close()


async def test_jobs_that_were_delivered_to_the_lost_primary_alone_make_no_second_object(
    services, sandbox, start_worker, valkey
):
    start_worker()
    start_worker()
    await alive(services, 2)
    await services.destinations.pause("azure_devops", "test")
    ids = await submit_many(services, 3)

    async def replicated():
        return all(valkey.holds(f"{services.settings.prefix}:job:{job}") for job in ids)

    await until(replicated, what="replication")
    valkey.promote()
    await services.destinations.resume("azure_devops", "test")
    await delivered(services, ids)
    valkey.fail_over()
    await noticed(services)
    await services.destinations.resume("azure_devops", "test")
    await delivered(services, ids)
    assert await count_by_vendor(sandbox) == {"servicenow": 3, "azure_devops": 3, "confluence": 3}
    assert loud_lines(services.settings) == 1
