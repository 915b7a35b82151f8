"""The way to a destination: a proxy, private certificate authorities, a client certificate, another host to connect to."""

from __future__ import annotations

import asyncio
import re
import ssl
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import unused_port

from config.keys import add_key
from tasks.destinations import parse_settings
from tasks.errors import Refused
from tests.certificates import DAY, Authority
from tests.integration.test_credential_commands import cli
from worker.machine.stack import FAKE_SECRET

__all__ = ["cli"]  # the fixture


@pytest.fixture
def authority(tmp_path):
    """A fresh authority."""
    return Authority(tmp_path)


@asynccontextmanager
async def instance(cert, key, client_ca=None, seen=None):
    """A ServiceNow of a few lines, over TLS; returns its port."""

    async def rows(request):
        if seen is not None:
            seen.append(dict(request.headers))
        return web.json_response({"result": []})

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    app = web.Application()
    app.router.add_get("/api/now/table/{table}", rows)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port := unused_port(), ssl_context=context)
    await site.start()
    try:
        yield port
    finally:
        await runner.cleanup()


@asynccontextmanager
async def proxy(status=200, to=None, login=None):
    """A proxy that answers CONNECT with that status and connects to `to` (a port of this machine); yields port and what it was
    asked. With `login` (user, password) it asks everybody else for one.
    """
    wanted = login and aiohttp.encode_basic_auth(*login)
    asked = []

    async def carry(reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.split(b"\r\n")[0].decode())
        refused = wanted and f"Proxy-Authorization: {wanted}" not in head.decode().split("\r\n")
        if status != 200 or refused:
            writer.write(f"HTTP/1.1 {407 if refused else status} No\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
            writer.close()
            return
        there, back = await asyncio.open_connection("127.0.0.1", to)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(carry(reader, back), carry(there, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], asked


async def everything(services):
    """All that Redis holds of these services, as one text of bytes."""
    redis = services.redis
    await redis.config_set("rdbcompression", "no")
    names = await redis.keys(f"{services.settings.prefix}*")
    found = [await redis.dump(name) or b"" for name in names]
    return b"".join(found)


async def answer_of(services, password=None, **given):
    """The report of a test of a ServiceNow with these settings."""
    settings = {"kind": "servicenow", "username": "afterword", "allow_private": ["127.0.0.0/8", "::1/128"], **given}
    await services.destinations.set("snow", parse_settings(settings), FAKE_SECRET, "test", proxy_password=password)
    return await services.test_destination("snow", "test")


async def test_a_private_authority_is_trusted_where_the_operator_names_it(services, authority):
    """Without its file the certificate's fault is named, and TLS is the step that fails; with it the test passes."""
    async with instance(*authority.issue("localhost")) as port:
        address = f"https://localhost:{port}"
        report = await answer_of(services, instance_url=address)
        assert [(step.name, step.ok) for step in report.steps] == [("reached", True), ("TLS", False)]
        assert "authority" in report.message
        report = await answer_of(services, instance_url=address, ca_file=authority.file)
        assert report.success, report.message
        assert "TLSv1.3" in next(step.detail for step in report.steps if step.name == "TLS")


@pytest.mark.parametrize(
    ("host", "given", "says"),
    [
        ("localhost", {"until": -DAY}, "has expired"),
        ("other.example", {}, "another host name"),
        ("localhost", {"alone": True}, "self-signed"),
    ],
)
async def test_the_fault_of_a_certificate_is_named(services, authority, host, given, says):
    """Nobody has to guess what `can't be reached` means."""
    async with instance(*authority.issue(host, **given)) as port:
        report = await answer_of(services, instance_url=f"https://localhost:{port}", ca_file=authority.file)
    assert report.failure.name == "TLS"
    assert says in report.failure.detail
    assert (await services.destinations.health("snow")).standing.step == "TLS"


async def test_a_port_without_tls_is_told_from_one_that_is_closed(services, sandbox):
    """The sandbox speaks plain http."""
    report = await answer_of(
        services, instance_url=sandbox.url.replace("http:", "https:").replace("127.0.0.1", "localhost")
    )
    assert report.failure.name == "TLS"
    assert "doesn't speak TLS" in report.failure.detail


async def test_a_client_certificate_is_shown_to_a_server_that_asks(services, authority):
    """Without one, the advice names the setting. TLS 1.3 tells it after the handshake, as a connection that breaks."""
    client_cert, client_key = authority.issue("client")
    async with instance(*authority.issue("localhost"), client_ca=authority.file) as port:
        given = {"instance_url": f"https://localhost:{port}", "ca_file": authority.file}
        report = await answer_of(services, **given)
        assert not report.success
        assert "client_cert_file" in report.failure.detail
        report = await answer_of(services, **given, client_cert_file=client_cert, client_key_file=client_key)
        assert report.success, report.message


async def test_a_file_that_cant_be_used_is_named_and_not_shown(services, authority, tmp_path):
    """What is in a file that is no certificate stays there."""
    (tmp_path / "secret.txt").write_text("plain words")
    for name, says in (("missing.pem", "isn't there"), ("secret.txt", "can't be used")):
        given = {"instance_url": "https://localhost:1", "ca_file": str(tmp_path / name)}
        report = await answer_of(services, **given)
        assert report.failure.name == "TLS"
        assert says in report.failure.detail
        assert "plain words" not in report.message


async def test_another_host_is_connected_to_under_the_old_name(services, authority):
    """TLS verifies the name in the address, whatever is connected to."""
    async with instance(*authority.issue("snow.example")) as port:
        given = {"instance_url": f"https://snow.example:{port}", "ca_file": authority.file}
        report = await answer_of(services, **given, connect_to="127.0.0.1")
        assert report.success, report.message
        report = await answer_of(services, **given, connect_to="127.0.0.1", allow_private=[])
        assert (report.failure.name, report.success) == ("reached", False)
        assert "not permitted" in report.failure.detail


async def test_all_requests_go_through_the_proxy(services, authority):
    """The proxy is asked for the destination's host and port, and TLS reaches from end to end."""
    async with instance(*authority.issue("snow.example")) as port, proxy(to=port) as (at, asked):
        report = await answer_of(
            services,
            instance_url="https://snow.example",
            ca_file=authority.file,
            proxy_url=f"http://127.0.0.1:{at}",
        )
    assert report.success, report.message
    assert [step.name for step in report.steps][:3] == ["proxy", "reached", "TLS"]
    assert set(asked) == {"CONNECT snow.example:443 HTTP/1.1"}


@pytest.mark.parametrize(
    ("status", "step", "says"),
    [(407, "proxy", "asks for a login"), (403, "proxy", "doesn't let us"), (502, "reached", "can't reach")],
)
async def test_what_a_proxy_refuses_is_told_as_its_own(services, status, step, says):
    """A 407 isn't the vendor's 401."""
    async with proxy(status) as (at, _):
        report = await answer_of(services, instance_url="https://snow.example", proxy_url=f"http://127.0.0.1:{at}")
    assert report.failure.name == step
    assert says in report.failure.detail


async def test_a_proxy_gets_the_name_and_password_that_were_sealed_for_it(services, authority, settings):
    """Nobody but the proxy sees them: not the vendor, no record, no audit entry; a new key opens them, too."""
    login = ("worker", "pröxy:pass-word-1")
    seen = []
    async with instance(*authority.issue("snow.example"), seen=seen) as port, proxy(to=port, login=login) as (at, _):
        given = {"instance_url": f"https://snow.example:{port}", "ca_file": authority.file}
        given |= {"proxy_url": f"http://127.0.0.1:{at}", "proxy_username": login[0]}
        report = await answer_of(services, password=login[1], **given)
        assert [step.name for step in report.steps][:3] == ["proxy", "reached", "TLS"], report.steps
        assert report.steps[2].ok
        add_key(settings.data / "keys")
        async for _ in services.rotation.reseal("test"):
            pass
        record = await services.destinations.require("snow")
        await services.destinations.set("snow", record.settings, None, "test")
        assert (await services.test_destination("snow", "test")).steps[2].ok, "both secrets stay with the same way"
    assert seen
    assert all("Proxy-Authorization" not in headers for headers in seen)
    stored = await everything(services)
    encoded = aiohttp.encode_basic_auth(*login).partition(" ")[2]
    assert all(secret.encode() not in stored for secret in (login[1], encoded))


async def test_a_proxy_that_refuses_the_login_suspends_with_what_to_check(services):
    """The password is wrong, not the job: it waits, and the words name the user and never the password."""
    async with proxy(login=("worker", "right")) as (at, _):
        there = {
            "proxy_url": f"http://127.0.0.1:{at}",
            "proxy_username": "worker",
            "instance_url": "https://snow.example",
        }
        report = await answer_of(services, password="some-wrong-password", **there)
    assert report.failure.name == "proxy"
    assert "refuses the login of worker (407)" in report.failure.detail
    assert "some-wrong" not in str(report)


async def test_a_password_for_a_proxy_stays_with_the_proxy_it_was_given_for(services):
    """A name without a password is refused, and so is a stored one that would go to another proxy."""
    base = {"instance_url": "https://snow.example", "proxy_username": "worker", "proxy_url": "http://127.0.0.1:9"}
    with pytest.raises(Refused, match="password of worker"):
        await answer_of(services, **base)
    await answer_of(services, password="word", **base)
    with pytest.raises(Refused, match="password of worker"):
        await answer_of(services, **base | {"proxy_url": "http://127.0.0.1:10"})
    with pytest.raises(Refused, match="no user name"):
        await answer_of(services, password="word", instance_url="https://snow.example")


async def test_a_proxy_is_permitted_by_the_operator_and_opens_no_private_network(services, authority):
    """Its own address has to be permitted, and an address inside stays refused behind it, too."""
    async with proxy(403) as (at, asked):
        inside = {"proxy_url": f"http://127.0.0.1:{at}"}
        report = await answer_of(services, instance_url="https://snow.example", allow_private=[], **inside)
        assert report.failure.name == "proxy"
        report = await answer_of(services, instance_url="https://10.1.2.3", **inside)
        assert report.failure.name == "reached"
        assert "not permitted" in report.failure.detail
        assert asked == []


async def test_nobody_listens_where_the_proxy_should_be(services):
    """The proxy is the step that fails, and nothing else is told as passed."""
    report = await answer_of(services, instance_url="https://snow.example", proxy_url="http://127.0.0.1:9")
    assert [(step.name, step.ok) for step in report.steps] == [("proxy", False)]


@pytest.mark.parametrize(
    "given",
    [
        {"proxy_url": "http://user:word@proxy.example:3128"},
        {"proxy_url": "socks5://proxy.example"},
        {"proxy_url": "https://proxy.example:99999"},
        {"proxy_url": "https://[proxy.example"},
        {"allow_private": ["10.0.0.0/99"]},
        {"proxy_url": "http://proxy.example", "connect_to": "10.0.0.1"},
        {"client_key_file": "/k.pem"},
        {"ca_file": "relative.pem"},
    ],
)
def test_settings_that_cant_work_or_show_a_password_are_refused(given):
    """No password stands in an address, and no half of a certificate is taken. They are refused in our words."""
    with pytest.raises(Refused) as refused:
        parse_settings({"kind": "servicenow", "instance_url": "https://x.example", **given})
    assert "word@" not in str(refused.value)
    assert not re.search("out of range|appear to be|Invalid IPv6", str(refused.value))


@pytest.mark.parametrize("surface", ["console", "api", "command"])
async def test_every_surface_takes_a_proxys_password_and_shows_it_nowhere(
    services, client, log_in, cli, tmp_path, surface
):
    """The user name comes back, the password never does; without it again, the stored one stays."""
    word = "planted-proxy-word"
    given = {"kind": "servicenow", "instance_url": "https://snow.example", "username": "u"}
    given |= {"proxy_url": "http://proxy.example:3128", "proxy_username": "worker"}
    token = await log_in("admin")
    _, key = await services.access.create("admin", ["admin"], None, "test")
    headers = {"Authorization": f"Bearer {key}", "Accept": "application/json"}
    (tmp_path / "word").write_text(word)
    (tmp_path / "word").chmod(0o600)

    async def store(**secrets):
        if surface == "console":
            path = "/settings/destinations/d" if await services.destinations.get("d") else "/settings/destinations"
            form = given | {"csrf": token, "name": "d"} | secrets
            answer = await client.post(path, data=form)
            return await answer.text()
        if surface == "api":
            async with client.put("/v1/destinations/d", json=given | secrets, headers=headers) as answer:
                assert answer.status == 200, await answer.text()
                return await answer.text()
        options = ["--kind", "servicenow", "--instance-url", given["instance_url"], "--username", "u"]
        options += ["--proxy-url", given["proxy_url"], "--proxy-username", "worker"]
        options += ["--proxy-secret-file", tmp_path / "word"] if secrets else []
        words = (secrets or {"secret": ""})["secret"]
        return (await asyncio.to_thread(cli, "destination", "set", "d", *options, stdin=words)).output

    shown = await store(secret="some-secret", proxy_password=word)
    shown += await store()
    async with client.get("/v1/destinations/d", headers=headers) as answer:
        shown += await answer.text()
    shown += await (await client.get("/settings/destinations/d")).text()
    record = await services.destinations.require("d")
    assert (record.settings.proxy_username, services.core.directory.proxy_password(record)) == ("worker", word)
    assert 'value="worker"' in shown
    assert word not in shown
