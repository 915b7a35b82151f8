"""Every form of Redis' address, as the docs show it: a worker starts with it, takes a message and stores its result."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
from celery import Celery

from config.keys import create_key_file
from config.settings import ConfigError, Settings
from tasks.errors import StateUnavailable
from tests.conftest import ROOT
from tests.integration.redis_doors import Authority, door, self_signed
from worker.broker.queues import queue_lengths
from worker.broker.settings import celery_settings
from worker.machine.embedded import free_port, server_binary
from worker.runtime import open_services

PASSWORD = "not/a#real:pass?@[word]"
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text("utf-8")
FORMS = re.search(r"^## Addresses of Redis\n.*?```\n(.*?)```", CONFIGURATION, re.DOTALL | re.MULTILINE)[1].splitlines()


@dataclass
class Place:
    """Servers behind doors, and where each stands."""

    folder: Path
    open: int
    guarded: int
    open_tls: int
    guarded_tls: int
    clients_tls: int
    sentinel: int
    sentinel_tls: int

    def address(self, form: str) -> str:
        """The form that the docs show with real places in it."""
        secure = form.startswith("rediss")
        if "ssl_certfile" in form:
            port = self.clients_tls
        elif "PASSWORD" in form:
            port = self.guarded_tls if secure else self.guarded
        else:
            port = self.open_tls if secure else self.open
        watcher = self.sentinel_tls if secure else self.sentinel
        found = re.sub(r"(ONE|TWO|THREE):26379", f"127.0.0.1:{watcher}", form)
        found = re.sub(r"HOST(:\d+)?", f"127.0.0.1:{port}", found)
        found = found.replace("PASSWORD", quote(PASSWORD, safe="")).replace("USER", "bot")
        found = found.replace("SERVICE", "tls" if secure else "plain")
        return found.replace("/run/redis/redis.sock", str(self.folder / "redis.sock"))


def started(stack, folder: Path, name: str, port: int, *lines: str, sentinel: bool = False) -> int:
    """A Valkey with that configuration until the stack ends; returns its port when it answers."""
    file = folder / f"{name}.conf"
    file.write_text("\n".join([f"port {port}", "bind 127.0.0.1", f'dir "{folder}"', *lines]) + "\n")
    command = [str(server_binary()), str(file), *(["--sentinel"] if sentinel else [])]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    stack.callback(child.wait)
    stack.callback(child.kill)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            with redis.Redis(port=port) as client:
                client.ping()
            return port
        except redis.AuthenticationError:
            return port
        except redis.RedisError:
            time.sleep(0.02)
    pytest.fail(f"{name} did not start")


@pytest.fixture(scope="module")
def place():
    folder = Path(tempfile.mkdtemp(prefix="aw"))  # a short path: that of a socket has 107 characters at most
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        authority = Authority.new("Test Authority")
        ca = authority.write(folder / "ca.pem")
        certificate, key = authority.issue(folder, "server", "127.0.0.1")
        authority.issue(folder, "client")
        account = [f"requirepass {PASSWORD}", f"user bot on >{PASSWORD} ~* &* +@all", f"unixsocket {folder}/redis.sock"]
        plain = started(stack, folder, "open", free_port())
        guarded = started(stack, folder, "guarded", free_port(), *account)

        def behind(port: int, **options: Path) -> int:
            return stack.enter_context(door(port, certificate, key, **options))

        guarded_tls = behind(guarded)
        watched = [
            line
            for name, port in (("plain", guarded), ("tls", guarded_tls))
            for line in (f"sentinel monitor {name} 127.0.0.1 {port} 1", f"sentinel auth-pass {name} {PASSWORD}")
        ]
        sentinel = started(stack, folder, "sentinel", free_port(), *watched, sentinel=True)
        yield Place(
            folder=folder,
            open=plain,
            guarded=guarded,
            open_tls=behind(plain),
            guarded_tls=guarded_tls,
            clients_tls=behind(plain, clients=ca),
            sentinel=sentinel,
            sentinel_tls=behind(sentinel),
        )


@pytest.fixture
def here(place, tmp_path, monkeypatch):
    """The folder of the certificates, a key file, and a system that trusts the test's authority."""
    create_key_file(tmp_path / "keys")
    for port, password in ((place.open, None), (place.guarded, PASSWORD)):
        with redis.Redis(port=port, password=password) as client:
            client.flushall()  # each test has keys of its own, which another one's records don't fit
    monkeypatch.chdir(place.folder)
    monkeypatch.setenv("AFTERWORD_DATA", str(tmp_path))
    monkeypatch.setenv("AFTERWORD_REPLICAS", "0")
    return place


def system_trusts(authority: Path | None, monkeypatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority) if authority else os.devnull)


@pytest.mark.parametrize("form", FORMS)
def test_a_worker_starts_with_each_address_that_the_docs_show(here, form, tmp_path, monkeypatch):
    system_trusts(None if "ssl_ca_certs" in form else here.folder / "ca.pem", monkeypatch)
    url = here.address(form)
    settings = Settings(redis_url=url)
    log = tmp_path / "worker.log"
    with log.open("wb") as output:
        worker = subprocess.Popen(
            [sys.executable, "-m", "worker", "worker"],
            env=os.environ | {"AFTERWORD_REDIS_URL": url},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        app = Celery("client", set_as_current=False)
        app.conf.update(celery_settings(settings))
        sent = app.send_task("test_confluence_connection", args=["http://127.0.0.1:9", "nobody"])
        assert sent.get(timeout=90)["success"] is False, log.read_text("utf-8")
        assert worker.poll() is None, log.read_text("utf-8")
        assert queue_lengths(settings).reachable
    finally:
        worker.terminate()
        worker.wait(40)
    assert quote(PASSWORD, safe="") not in log.read_text("utf-8")
    assert PASSWORD not in log.read_text("utf-8")


async def refused(url: str) -> str:
    """Why the address is refused. A server may cut the connection before its reason was read: then it is asked again."""
    for _ in range(5):
        with pytest.raises(StateUnavailable) as trouble:
            async with open_services(Settings(redis_url=url)):
                pass
        if trouble.value.code != "redis_absent":
            break
    assert trouble.value.code == "redis_certificate"
    return str(trouble.value)


async def test_an_authority_that_nobody_trusts_is_named_with_the_option_that_helps(here, monkeypatch):
    system_trusts(None, monkeypatch)
    words = await refused(f"rediss://127.0.0.1:{here.open_tls}/0")
    assert "unable to get local issuer certificate" in words
    assert "ssl_ca_certs" in words
    other = Authority.new("Somebody Else").write(here.folder / "other.pem")
    words = await refused(f"rediss://127.0.0.1:{here.open_tls}/0?ssl_ca_certs={other}")
    assert "unable to get local issuer certificate" in words


async def test_a_certificate_of_another_name_is_refused(here):
    words = await refused(f"rediss://localhost:{here.open_tls}/0?ssl_ca_certs=ca.pem")
    assert "localhost" in words
    assert "a name that the certificate holds" in words


async def test_a_self_signed_certificate_is_refused_until_it_is_named_itself(here):
    certificate, key = self_signed(here.folder, "alone", "127.0.0.1")
    with door(here.open, certificate, key) as port:
        words = await refused(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs=ca.pem")
        assert "self-signed certificate" in words
        assert "Name that certificate itself" in words
        for way in (f"ssl_ca_certs={certificate}", "ssl_cert_reqs=none"):
            async with open_services(Settings(redis_url=f"rediss://127.0.0.1:{port}/0?{way}")) as services:
                assert await services.redis.ping()


async def test_a_missing_clients_certificate_and_a_port_without_tls_are_told_apart(here):
    assert "client's certificate" in await refused(f"rediss://127.0.0.1:{here.clients_tls}/0?ssl_ca_certs=ca.pem")
    plain = await asyncio.start_server(lambda _, writer: writer.write(b"-ERR what is that\r\n"), "127.0.0.1", 0)
    async with plain:
        port = plain.sockets[0].getsockname()[1]
        assert "doesn't speak TLS" in await refused(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs=ca.pem")


def test_a_worker_ends_at_once_with_one_line_where_the_certificate_is_wrong(here, monkeypatch):
    system_trusts(None, monkeypatch)
    done = subprocess.run(
        [sys.executable, "-m", "worker", "worker"],
        env=os.environ | {"AFTERWORD_REDIS_URL": f"rediss://127.0.0.1:{here.open_tls}/0"},
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert done.returncode == 1
    assert "Redis' certificate is not accepted" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://host/0?ssl_ca_certs=ca.pem", "begin it with rediss://"),
        ("rediss://host/0?ssl_ca_certs=/nowhere/ca.pem", "no such file"),
        ("rediss://host/0?ssl_ca_cert=ca.pem", "an option 'ssl_ca_cert' that there isn't"),
        ("rediss://host/0?ssl_cert_reqs=maybe", "a value that it can't have"),
        ("redis://host/zero", "no database number"),
        ("redis://host:70000/0", "%2F"),
        ("unix://redis.sock", "whole path"),
    ],
)
def test_an_address_that_can_not_work_is_refused_before_anything_starts(url, words):
    with pytest.raises(ConfigError, match=re.escape(words)):
        Settings(redis_url=url).redis_address()
