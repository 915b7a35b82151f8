"""Who gets into the console, and what they may do there: sessions, rights, forged forms."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from aiohttp.test_utils import TestClient, TestServer

from tests.integration.conftest import SCOPES
from worker.api.app import build
from worker.console.addresses import bucket, client_address
from worker.console.login import PENALTY_S, own_path
from worker.console.sessions import ABSOLUTE_MS, FAILURES, IDLE_MS, Sessions


async def audited(services, event: str) -> list[dict]:
    return [entry.data for entry in await services.audit.tail(500) if entry.event == event]


# -- sessions --------------------------------------------------------------------------------------------------------


async def test_without_a_login_every_page_leads_to_the_login_and_back(client):
    for path in ("/jobs?state=dead", "/audit", "/settings/destinations", "/settings/keys", "/publish", "/jobs/x"):
        answer = await client.get(path, allow_redirects=False)
        assert answer.status == 303
        assert answer.headers["Location"].startswith("/login?next=%2F")
    assert (await client.get("/live", allow_redirects=False)).status == 401


async def test_the_cookie_is_strict_and_out_of_reach_of_scripts(services, client):
    _, text = await services.access.create("Ada", ["admin"], None, "test")
    answer = await client.post("/login", data={"key": text}, allow_redirects=False)
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("afterword-local=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}

    behind_https = await client.post(
        "/login", data={"key": text}, headers={"X-Forwarded-Proto": "https"}, allow_redirects=False
    )
    cookie = behind_https.headers["Set-Cookie"]
    assert cookie.startswith("__Host-afterword=")
    assert "Secure" in {part.strip() for part in cookie.split(";")}
    assert "Domain" not in cookie


async def test_redis_holds_neither_the_session_id_nor_the_key(services, client, log_in):
    await log_in("viewer")
    identifier = client.session.cookie_jar.filter_cookies(client.make_url("/"))["afterword-local"].value
    keys = [key async for key in services.redis.scan_iter(f"{services.settings.prefix}:session:*")]
    assert len(keys) == 1
    assert identifier.encode() not in keys[0] + await services.redis.get(keys[0])


async def test_a_session_ends_when_idle_when_old_and_when_its_key_is_revoked(services):
    sessions = Sessions(services.redis, services.vault, services.access, services.settings.prefix, services.ended)
    key, _ = await services.access.create("Ada", ["admin"], None, "test")
    now_ms = services.core.clock_ms()
    identifier = await sessions.open(key, now_ms)
    assert (await sessions.find(identifier, now_ms)).name == "Ada"
    stored = [name async for name in services.redis.scan_iter(f"{services.settings.prefix}:session:*")]
    assert 0 < await services.redis.pttl(stored[0]) <= IDLE_MS
    assert await sessions.find(identifier, now_ms + ABSOLUTE_MS + 1) is None
    assert await sessions.find(identifier, now_ms) is None

    second = await sessions.open(key, now_ms)
    await services.access.revoke(key.id, "test")
    assert await sessions.find(second, now_ms) is None


async def test_logging_out_ends_the_session_on_the_server(services, client, log_in):
    token = await log_in("viewer")
    jar = client.session.cookie_jar.filter_cookies(client.make_url("/"))
    before = {"Cookie": f"afterword-local={jar['afterword-local'].value}"}
    await client.post("/logout", data={"csrf": token})
    client.session.cookie_jar.clear()
    answer = await client.get("/jobs", headers=before, allow_redirects=False)
    assert answer.status == 303
    assert [entry["actor"] for entry in await audited(services, "session.closed")] == ["viewer"]


async def test_logins_are_audited_as_facts_and_leave_no_open_intent(services, client, log_in):
    await log_in("viewer")
    assert await audited(services, "session.opened")
    assert await services.redis.zcard(f"{services.settings.prefix}:intents") == 0


async def test_refused_keys_are_counted_and_audited_and_never_repeated(services, client, monkeypatch):
    monkeypatch.setattr("worker.console.login.PENALTY_S", 0)
    for _ in range(FAILURES):
        answer = await client.post("/login", data={"key": "ak_0123456789abcdef.planted-word"})
        assert answer.status == 401
        assert "planted-word" not in await answer.text()
    answer = await client.post("/login", data={"key": "ak_0123456789abcdef.planted-word"})
    assert answer.status == 429
    assert int(answer.headers["Retry-After"]) > 0
    refused = await audited(services, "session.refused")
    assert len(refused) == FAILURES
    assert "planted-word" not in str(refused)


async def test_a_good_key_is_taken_whatever_others_tried_from_the_same_address(client, log_in, monkeypatch):
    monkeypatch.setattr("worker.console.login.PENALTY_S", 0)
    for _ in range(FAILURES + 1):
        answer = await client.post("/login", data={"key": "ak_0123456789abcdef.guess"})
    assert answer.status == 429
    await log_in("viewer")


async def test_a_guess_too_many_waits_for_its_answer(client, monkeypatch):
    waited = []

    async def sleep(seconds):
        waited.append(seconds)

    for _ in range(FAILURES):
        await client.post("/login", data={"key": "ak_0123456789abcdef.guess"})
    monkeypatch.setattr("worker.console.login.asyncio", SimpleNamespace(sleep=sleep))
    assert (await client.post("/login", data={"key": "ak_0123456789abcdef.guess"})).status == 429
    assert waited == [PENALTY_S]


async def test_behind_a_trusted_proxy_each_client_is_counted_by_itself(services, client, monkeypatch):
    monkeypatch.setattr("worker.console.login.PENALTY_S", 0)

    async def refused(by: TestClient, address: str) -> int:
        guess = {"key": "ak_0123456789abcdef.guess"}
        return (await by.post("/login", data=guess, headers={"X-Forwarded-For": address})).status

    trusting = services.settings.model_copy(update={"trusted_proxies": "127.0.0.0/8"})
    async with TestClient(TestServer(build(replace(services, settings=trusting)))) as behind:
        assert [await refused(behind, "203.0.113.7") for _ in range(FAILURES + 1)][-1] == 429
        assert await refused(behind, "203.0.113.8") == 401
    assert (await audited(services, "session.refused"))[-1]["address"] == "203.0.113.8"
    assert await refused(client, "203.0.113.9") == 401
    assert (await audited(services, "session.refused"))[-1]["address"] == "127.0.0.1", "nobody is believed by default"


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "address"),
    [
        ("198.51.100.1", ["203.0.113.7"], "", "198.51.100.1"),
        ("10.0.0.1", ["203.0.113.7"], "10.0.0.0/8", "203.0.113.7"),
        ("10.0.0.1", ["1.2.3.4, 203.0.113.7"], "10.0.0.0/8", "203.0.113.7"),
        ("10.0.0.1", ["1.2.3.4, 203.0.113.7", "10.0.0.2"], "10.0.0.0/8", "203.0.113.7"),
        ("10.0.0.1", ["203.0.113.7:4711"], "10.0.0.0/8, fd00::/8", "203.0.113.7"),
        ("fd00::1", ["[2001:db8::7]:443"], "10.0.0.0/8,fd00::/8", "2001:db8::7"),
        ("::ffff:10.0.0.1", ["203.0.113.7"], "10.0.0.0/8", "203.0.113.7"),
        ("10.0.0.1", ["nonsense"], "10.0.0.0/8", "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.0/8", "10.0.0.1"),
        (None, ["203.0.113.7"], "10.0.0.0/8", "unknown"),
    ],
)
def test_only_a_trusted_proxys_word_counts_for_who_the_client_is(peer, forwarded, trusted, address):
    assert client_address(peer, forwarded, trusted) == address


def test_one_customers_ipv6_network_counts_as_one():
    assert bucket("2001:db8::1") == bucket("2001:db8::ffff") != bucket("2001:db8:0:1::1")
    assert bucket("203.0.113.7") == "203.0.113.7"


async def test_over_plain_http_nobody_logs_in_from_afar(services, client):
    _, text = await services.access.create("Ada", ["admin"], None, "test")
    answer = await client.post("/login", data={"key": text}, headers={"Host": "console.example.com"})
    assert answer.status == 403
    assert "Use https" in await answer.text()


async def test_a_key_that_may_only_submit_opens_no_session(services, client):
    _, text = await services.access.create("producer", ["submit"], None, "test")
    answer = await client.post("/login", data={"key": text})
    assert answer.status == 403
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    "wanted",
    ["//evil.example", "//[", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "/login", "/a\nb", ""],
)
def test_a_login_never_leads_to_another_site(wanted):
    assert own_path(wanted) == "/"


# -- forged forms ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_a_form_of_another_site_is_refused_even_with_the_token(services, client, log_in, headers):
    token = await log_in("admin")
    answer = await client.post("/settings/keys", data={"csrf": token, "name": "x"}, headers=headers)
    assert answer.status == 403
    assert len(await services.access.list()) == 1


@pytest.mark.parametrize("token", [None, "", "0" * 64, "ü"])
async def test_a_form_without_the_sessions_token_is_refused(services, client, log_in, token):
    await log_in("admin")
    fields = {"name": "x", "purpose": "admin", "days": "30"} | ({} if token is None else {"csrf": token})
    answer = await client.post("/settings/keys", data=fields)
    assert answer.status == 403
    assert len(await services.access.list()) == 1


async def test_the_token_of_another_session_is_refused(services, client, log_in):
    first = await log_in("admin")
    second = await log_in("viewer")
    assert first != second
    assert (await client.post("/logout", data={"csrf": first})).status == 403


# -- rights ----------------------------------------------------------------------------------------------------------

ACTIONS = {
    "/jobs/x/edit": "operate",
    "/lookfirst/clear": "operate",
    "/jobs/x/retry": "operate",
    "/jobs/x/cancel": "operate",
    "/jobs/x/release": "operate",
    "/bulk": "operate",
    "/bulk/ask": "operate",
    "/bulk/x/stop": "operate",
    "/publish": "submit",
    "/publish/issue": "submit",
    "/settings/destinations": "admin",
    "/settings/destinations/x": "admin",
    "/settings/destinations/x/remove": "admin",
    "/settings/destinations/x/test": "operate",
    "/settings/destinations/x/pause": "operate",
    "/settings/destinations/x/resume": "operate",
    "/settings/destinations/x/login": "admin",
    "/settings/keys": "admin",
    "/settings/keys/x/revoke": "admin",
    "/settings/notifications": "admin",
    "/settings/notifications/x/test": "admin",
    "/settings/notifications/x/remove": "admin",
    "/views": "read",
    "/views/x": "read",
    "/views/x/delete": "read",
}


@pytest.mark.parametrize("role", ["viewer", "operator"])
async def test_every_action_takes_its_right(client, log_in, role):
    token = await log_in(role)
    for path, scope in ACTIONS.items():
        answer = await client.post(path, data={"csrf": token})
        refused = answer.status == 403
        assert refused is (scope not in SCOPES[role]), (path, answer.status)


def test_no_action_is_missing_from_the_list_of_rights(services):
    app = build(services)
    console = {
        route.resource.canonical
        for route in app.router.routes()
        if route.method == "POST" and route.resource and not route.resource.canonical.startswith("/v1")
    }
    known = {re.sub(r"\bx\b", "{}", path) for path in ACTIONS} | {"/login", "/logout", "/audit/verify"}
    shapes = {re.sub(r"\{[^}]*\}", "{}", path) for path in console}
    assert {path.replace("/jobs/{}/{}", "/jobs/{}/retry") for path in shapes} <= known
