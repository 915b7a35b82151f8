"""A port for a server that is to be started: free, and still free when it starts."""

from __future__ import annotations

import socket
import sys
from contextlib import closing

import pytest

from config.settings import ConfigError
from worker.machine import embedded
from worker.machine.embedded import free_port


def test_a_free_port_is_none_that_an_outgoing_connection_gets():
    """Linux gives those from 32768 on."""
    assert 1024 < free_port() < 32_768


def test_a_port_that_somebody_listens_on_is_not_free(monkeypatch):
    """Another one is tried, and at the end it is said."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setattr(embedded, "PORTS", range(port, port + 1))
        with pytest.raises(ConfigError, match=f"No free port was found from {port} to {port}"):
            free_port()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a server listen where a socket is merely bound")
def test_a_port_given_out_is_given_to_nobody_else_and_a_server_can_listen_there(monkeypatch):
    port = free_port()
    monkeypatch.setattr(embedded, "PORTS", range(port, port + 1))
    with pytest.raises(ConfigError, match="No free port"):
        free_port()
    for _ in "started", "started again":
        with closing(socket.create_server(("127.0.0.1", port))), pytest.raises(ConfigError, match="No free port"):
            free_port()
