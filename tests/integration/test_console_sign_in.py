"""Signing in at a provider: the way there and back, the session that it opens, and everything that can go wrong."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import jwt
import pytest
from aiohttp import CookieJar
from aiohttp.test_utils import TestClient, TestServer

from config.settings import Settings
from tests.integration.conftest import HTML
from tests.oidc_provider import CALLBACK, CLIENT_ID, SECRET, new_key, running_provider
from worker.api.app import build
from worker.cli.doctor import _sign_in
from worker.console.sessions import FAILURES, Sessions
from worker.signin.policy import Person, sign_in_policy

LOCAL = "afterword-signin-local"


@pytest.fixture
async def provider():
    async with running_provider() as running:
        yield running


@pytest.fixture
def configured(services, provider):
    """Services whose console signs people in at the provider; `changes` are further settings."""

    def make(**changes):
        given = {
            "oidc_issuer": provider.url,
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret": SECRET,
            "oidc_roles": "viewer=staff; operator=sre; admin=leads",
            "oidc_private": "127.0.0.0/8",
            **changes,
        }
        return replace(services, settings=Settings(**services.settings.model_dump() | given))

    return make


@pytest.fixture
async def browser(configured, provider):
    """A browser at a console that signs people in."""
    async with opened(configured(), provider) as client:
        yield client


def opened(services, provider) -> TestClient:
    """A client of the console, whose address the provider knows once it is there."""

    class Browser(TestClient):
        async def __aenter__(self) -> TestClient:
            await super().__aenter__()
            provider.redirects = {str(self.make_url(CALLBACK))}
            return self

    return Browser(TestServer(build(services)), cookie_jar=CookieJar(unsafe=True), headers=HTML)


async def leave(client, path: str = "/jobs?state=dead") -> str:
    """Press the button; returns the provider's address."""
    answer = await client.get("/login/oidc", params={"next": path}, allow_redirects=False)
    assert answer.status == 303, await answer.text()
    return answer.headers["Location"]


async def consent(address: str) -> str:
    """Visit the provider; returns the path that it leads back to."""
    async with aiohttp.ClientSession() as outside, outside.get(address, allow_redirects=False) as answer:
        assert answer.status == 302, await answer.text()
        back = urlsplit(answer.headers["Location"])
        return f"{back.path}?{back.query}"


async def sign_in(client, path: str = "/jobs?state=dead"):
    """The whole way in a browser that nobody is signed in with; returns the page at its end."""
    client.session.cookie_jar.clear()
    return await client.get(await consent(await leave(client, path)), allow_redirects=False)


async def audited(services, event: str) -> list[dict]:
    return [entry.data for entry in await services.audit.tail(500) if entry.event == event]


# -- the whole way -----------------------------------------------------------------------------------------------------


async def test_a_person_signs_in_by_the_button_and_gets_the_role_of_the_group(services, browser):
    """From the login page to the page that was wanted, as an operator by the group `sre`."""
    login = await (await browser.get("/login?next=%2Fjobs")).text()
    assert 'href="/login/oidc?next=%2Fjobs"' in login
    assert "Sign in with single sign-on" in login
    answer = await sign_in(browser)
    page = await answer.text()
    assert (answer.status, "Ada Lovelace" in page) == (200, True)
    assert 'content="0; url=/jobs?state=dead"' in page
    cookie = answer.headers.getall("Set-Cookie")
    assert any("afterword-local=" in each and "SameSite=Strict" in each and "HttpOnly" in each for each in cookie)
    home = await (await browser.get("/workers")).text()
    assert "Ada Lovelace" in home
    assert "<span>operator</span>" in home
    assert (await browser.get("/settings/keys")).status == 403
    assert [
        {name: entry[name] for name in ("actor", "way", "role", "group")}
        for entry in await audited(services, "session.opened")
    ] == [{"actor": "oidc:248289761001 Ada Lovelace", "way": "oidc", "role": "operator", "group": "sre"}]


async def test_what_a_person_does_is_audited_under_their_id_and_name(services, browser, destinations):
    """The form's token belongs to the session, as with a key."""
    await sign_in(browser)
    page = await (await browser.get("/settings/destinations")).text()
    token = re.search(r'name="csrf" value="([0-9a-f]{64})"', page)[1]
    assert (await browser.post("/settings/destinations/servicenow/pause", data={"csrf": "0" * 64})).status == 403
    assert (await browser.post("/settings/destinations/servicenow/pause", data={"csrf": token})).status == 200
    (entry,) = await audited(services, "destination.paused")
    assert entry["actor"] == "oidc:248289761001 Ada Lovelace"


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "none"])
async def test_every_kind_of_key_and_client_works(configured, provider, algorithm, method):
    """Also a public client, which has no secret and proves itself by PKCE alone."""
    provider.method = method
    provider.rotate("another", algorithm=algorithm)
    secret = {} if method != "none" else {"oidc_client_secret": None}
    async with opened(configured(**secret), provider) as client:
        assert (await sign_in(client)).status == 200


async def test_groups_and_name_may_come_from_userinfo(provider, browser):
    """Many providers keep the ID token short."""
    provider.claims = {}
    provider.userinfo = {"groups": ["leads"], "name": "Grace"}
    await sign_in(browser)
    assert "<span>admin</span>" in await (await browser.get("/workers")).text()


async def test_userinfo_of_somebody_else_gives_no_role(services, provider, browser):
    """An access token may be another person's (OpenID Connect Core, 5.3.2)."""
    provider.claims = {}
    provider.userinfo = {"sub": "somebody else", "groups": ["leads"], "name": "Grace"}
    await refused(services, await sign_in(browser), "userinfo_other")


async def test_every_request_to_the_provider_is_audited_and_holds_no_secret(services, browser):
    """As those to any authorization server: an intent before, an outcome after."""
    await sign_in(browser)
    intents, ends = await audited(services, "login.intent"), await audited(services, "login.ok")
    assert [entry["operation"] for entry in intents] == ["GET discovery", "POST token", "GET keys"]
    assert len(ends) == 3
    assert await services.redis.zcard(f"{services.settings.prefix}:intents") == 0
    assert SECRET not in json.dumps([entry.data for entry in await services.audit.tail(500)])


async def test_the_providers_keys_are_fetched_again_for_a_new_one_but_not_at_every_token(
    provider, browser, monkeypatch
):
    """A key that nobody publishes must not make us ask for each token that names it."""
    await sign_in(browser)
    assert provider.asked.count("/jwks") == 1
    provider.rotate("second")
    for _ in range(3):
        await sign_in(browser)
    assert provider.asked.count("/jwks") == 1, "within the first seconds it isn't asked again"
    monkeypatch.setattr("worker.signin.signing_in.AGAIN_S", 0)
    assert (await sign_in(browser)).status == 200
    assert (await sign_in(browser)).status == 200
    assert provider.asked.count("/jwks") == 2


async def test_behind_a_proxy_the_redirect_leads_to_the_public_address(configured, provider):
    """Whoever comes by another name is led to it first, since the cookies belong to it."""
    async with opened(configured(public_url="https://afterword.example.com"), provider) as client:
        there = await client.get("/login/oidc?next=/jobs", allow_redirects=False)
        assert there.headers["Location"] == "https://afterword.example.com/login/oidc?next=/jobs&led=1"
        assert "keep the <code>Host</code> header" in await (await client.get("/login/oidc?next=/jobs&led=1")).text()
        proxied = {"Host": "afterword.example.com", "X-Forwarded-Proto": "https"}
        answer = await client.get("/login/oidc", headers=proxied, allow_redirects=False)
        asked = parse_qs(urlsplit(answer.headers["Location"]).query)
        assert asked["redirect_uri"] == [f"https://afterword.example.com{CALLBACK}"]
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith("__Host-afterword-signin=")
        assert {"HttpOnly", "SameSite=Lax", "Path=/", "Secure"} <= {part.strip() for part in cookie.split(";")}


async def test_over_plain_http_from_afar_nobody_signs_in(provider, browser):
    """The session would cross the network unencrypted."""
    answer = await browser.get("/login/oidc", headers={"Host": "console.example.com"}, allow_redirects=False)
    assert answer.status == 403
    assert "Use https" in await answer.text()
    assert provider.asked == []


async def test_without_a_provider_nothing_changes(client):
    """No button, no address."""
    assert "Sign in with" not in await (await client.get("/login")).text()
    assert (await client.get("/login/oidc")).status == 404
    assert (await client.get(CALLBACK)).status == 404


async def test_api_keys_go_on_working_beside_it(services, browser):
    """Also where the provider is away."""
    _, text = await services.access.create("Omar", ["read"], None, "test")
    answer = await browser.post("/login", data={"key": text, "next": "/workers"})
    assert "Omar" in await answer.text()


# -- attacks -----------------------------------------------------------------------------------------------------------


async def refused(services, answer, code: str) -> str:
    """The page of a sign-in that was refused with that code, without a session."""
    page = await answer.text()
    assert f"<code>{code}</code>" in page, page
    assert not any("afterword-local=" in each for each in answer.headers.getall("Set-Cookie", []))
    assert (await audited(services, "session.refused"))[-1]["reason"] == code
    assert not await audited(services, "session.opened")
    return page


async def test_an_answer_counts_once(services, browser):
    """The same address again, with the same cookie, opens nothing."""
    back = await consent(await leave(browser))
    cookie = browser.session.cookie_jar.filter_cookies(browser.make_url("/"))[LOCAL].value
    assert (await browser.get(back)).status == 200
    browser.session.cookie_jar.clear()
    again = await browser.get(back, headers={"Cookie": f"{LOCAL}={cookie}"})
    assert (again.status, "used already" in await again.text()) == (400, True)
    assert len(await audited(services, "session.opened")) == 1


async def test_an_answer_in_another_browser_opens_nothing(services, browser, configured, provider):
    """Somebody's own code, slipped to another person, would sign that person in as somebody else."""
    back = await consent(await leave(browser))
    browser.session.cookie_jar.clear()
    await refused(services, await browser.get(back), "state_wrong")
    await leave(browser)
    await refused(services, await browser.get(back), "state_wrong")
    assert "/token" not in provider.asked


@pytest.mark.parametrize("cookie", ["", "x", "aw1.k.t", "ü", "a" * 7000])
async def test_a_cookie_that_is_not_ours_opens_nothing(services, browser, cookie):
    """Whoever has no key can't make one."""
    answer = await browser.get(f"{CALLBACK}?state=s&code=c", headers={"Cookie": f"{LOCAL}={cookie}"})
    await refused(services, answer, "state_wrong")


async def test_a_sign_in_that_takes_too_long_is_begun_again(services, browser, monkeypatch):
    """By the ledger's clock."""
    back = await consent(await leave(browser))
    monkeypatch.setattr("worker.signin.signing_in.PATIENCE_MS", -1)
    await refused(services, await browser.get(back), "too_late")


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example/", "/\\evil.example", "/login", "/" + "x" * 2000]
)
async def test_a_sign_in_never_leads_to_another_site(browser, wanted):
    """Whatever the address of the button said."""
    page = await (await sign_in(browser, wanted)).text()
    assert 'content="0; url=/"' in page


async def test_a_session_that_somebody_planted_before_is_not_the_one_after(services, browser):
    """The id is made at the sign-in."""
    browser.session.cookie_jar.update_cookies({"afterword-local": "planted"}, browser.make_url("/"))
    answer = await browser.get(await consent(await leave(browser)))
    assert answer.cookies["afterword-local"].value not in ("planted", "")
    keys = [key async for key in services.redis.scan_iter(f"{services.settings.prefix}:session:*")]
    assert len(keys) == 1


async def test_the_words_of_the_provider_stay_words(services, provider, browser):
    """A refusal's description is text of whoever made the address."""
    provider.answer = {"error": "access_denied", "error_description": "<script>alert(1)</script> no\u202e"}
    answer = await sign_in(browser)
    page = await refused(services, answer, "access_denied")
    assert answer.status == 403
    assert "&lt;script&gt;alert(1)&lt;/script&gt; no" in page
    assert "<script>alert" not in page


async def test_an_answer_of_another_provider_is_refused(services, browser, provider):
    """RFC 9207: it names the issuer, and this one says that it does."""
    back = await consent(await leave(browser))
    path, _, query = back.partition("?")
    given = {name: values[0] for name, values in parse_qs(query).items()} | {"iss": "https://evil.example.com"}
    await refused(services, await browser.get(f"{path}?{urlencode(given)}"), "issuer_wrong")
    assert "/token" not in provider.asked


async def test_guesses_are_counted_and_no_longer_audited_at_some_point(services, browser, monkeypatch):
    """As with keys: strangers fill no audit."""
    monkeypatch.setattr("worker.console.login.PENALTY_S", 0)
    for _ in range(FAILURES + 3):
        assert (await browser.get(f"{CALLBACK}?state=s&code=c")).status == 400
    assert len(await audited(services, "session.refused")) == FAILURES


@pytest.mark.parametrize("change", ["role", "settings", "created_ms", "subject", "key instead"])
async def test_a_session_that_was_changed_in_redis_is_none(services, configured, change):
    """Nobody without a key makes an admin of himself, or a session longer."""
    policy = sign_in_policy(configured().settings)
    sessions = Sessions(services.redis, services.vault, services.access, services.settings.prefix, policy)
    now_ms = services.core.clock_ms()
    person = Person(subject="u1", name="Ada", role="viewer", group="staff")
    identifier = await sessions.open_for(person, policy, now_ms)
    assert (await sessions.find(identifier, now_ms)).role == "viewer"
    (name,) = [found async for found in services.redis.scan_iter(f"{services.settings.prefix}:session:*")]
    record = json.loads(await services.redis.get(name))
    admin, _ = await services.access.create("boss", ["admin"], None, "test")
    changed = {
        "role": record | {"person": record["person"] | {"role": "admin"}},
        "subject": record | {"person": record["person"] | {"subject": "u2"}},
        "settings": record | {"settings": "0" * 32},
        "created_ms": record | {"created_ms": now_ms + 1},
        "key instead": {"key": admin.id, "created_ms": now_ms, "proof": record["proof"]},
    }[change]
    await services.redis.set(name, json.dumps(changed))
    assert await sessions.find(identifier, now_ms) is None


async def test_a_session_ends_with_its_time_and_with_the_settings_that_gave_it(services, configured):
    """A role that the operator takes away, or a provider that he leaves, counts from the next request on."""
    policy = sign_in_policy(configured(oidc_session_hours=1).settings)
    now_ms = services.core.clock_ms()
    person = Person(subject="u1", name="Ada", role="viewer", group="staff")

    def sessions(given):
        return Sessions(services.redis, services.vault, services.access, services.settings.prefix, given)

    for later, seen_ms in (
        (policy, now_ms + 3_600_001),
        (sign_in_policy(configured(oidc_roles="viewer=others").settings), now_ms),
        (None, now_ms),
    ):
        identifier = await sessions(policy).open_for(person, policy, now_ms)
        assert (await sessions(policy).find(identifier, now_ms)).name == "Ada"
        assert await sessions(later).find(identifier, seen_ms) is None


# -- trouble -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claims", "code", "words"),
    [
        ({"groups": ["sales"]}, "no_role", "staff (viewer), sre (operator), leads (admin)"),
        ({"groups": "sre staff"}, "no_role", "sre staff"),
        ({"groups": None}, "no_groups", "AFTERWORD_OIDC_GROUPS_CLAIM"),
        ({"groups": None, "_claim_names": {"groups": "src1"}}, "groups_overage", "Groups assigned to the application"),
        ({"exp": 1}, "token_expired", "clock"),
        ({"iat": 4_000_000_000, "exp": 4_000_000_300}, "clock_off", "ahead of the Redis server"),
        ({"nonce": "another"}, "nonce_wrong", "another sign-in"),
        ({"iss": "https://evil.example.com"}, "issuer_wrong", "evil.example.com"),
        ({"aud": "another"}, "audience_wrong", "another client"),
        ({"at_hash": "another"}, "token_bad", "at_hash"),
    ],
)
async def test_what_is_wrong_with_a_token_is_a_page(services, provider, browser, claims, code, words):
    """Each says what to do, or whom to ask."""
    provider.claims |= claims
    answer = await sign_in(browser)
    assert answer.status == 403
    assert words in (await refused(services, answer, code)).replace("&#39;", "'")


async def test_a_token_that_somebody_else_signed_is_refused(services, provider, browser):
    """Under the provider's own key id."""
    other, _ = new_key("RS256", "first")
    provider.forge = lambda claims, kid: jwt.encode(claims, other, algorithm="RS256", headers={"kid": kid})
    await refused(services, await sign_in(browser), "token_bad")
    provider.forge = lambda claims, _: jwt.encode(claims, None, algorithm="none")
    await refused(services, await sign_in(browser), "token_bad")
    provider.forge = None
    provider.rotate("unpublished", publish=False)
    await refused(services, await sign_in(browser), "key_unknown")


async def test_a_wrong_client_secret_is_the_operators_to_correct(services, configured, provider, caplog):
    """And is shown nowhere."""
    async with opened(configured(oidc_client_secret="planted-wrong-secret"), provider) as client:
        answer = await sign_in(client)
        page = await refused(services, answer, "client_refused")
    assert answer.status == 502
    assert "AFTERWORD_OIDC_CLIENT_ID" in page
    assert "planted-wrong-secret" not in page + caplog.text
    assert "Traceback" not in caplog.text


async def test_a_secret_file_is_read_at_each_sign_in(services, configured, provider, tmp_path):
    """So a renewed secret needs no restart, and a file that is gone is told."""
    file = tmp_path / "client-secret"
    file.write_text(f"{SECRET}\n")
    async with opened(configured(oidc_client_secret=None, oidc_client_secret_file=file), provider) as client:
        assert (await sign_in(client)).status == 200
        file.unlink()
        answer = await sign_in(client)
        assert "AFTERWORD_OIDC_CLIENT_SECRET_FILE" in await answer.text()


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/jwks"])
async def test_a_provider_that_is_away_is_a_page_and_an_api_key_still_works(services, provider, browser, path, caplog):
    """Wherever on the way it went."""
    provider.away.add(path)
    answer = await browser.get("/login/oidc", allow_redirects=False)
    if answer.status == 303:
        answer = await browser.get(await consent(answer.headers["Location"]))
    assert answer.status == 502
    page = await refused(services, answer, "provider_away")
    assert "Log in with an API key" in page
    assert "Traceback" not in caplog.text


async def test_the_document_of_another_issuer_is_not_used(services, provider, browser):
    """Whoever answers at that address is somebody else."""
    provider.discovery = {"issuer": "https://evil.example.com"}
    await refused(services, await browser.get("/login/oidc", allow_redirects=False), "issuer_other")


async def test_a_provider_in_a_private_network_is_the_operators_to_allow(services, configured, provider):
    """As with callbacks: an address that leads inside is refused unless its network is named."""
    async with opened(configured(oidc_private=""), provider) as client:
        await refused(services, await client.get("/login/oidc", allow_redirects=False), "provider_away")
    assert provider.asked == []


# -- the end -----------------------------------------------------------------------------------------------------------


async def test_signing_out_ends_the_session_here_and_offers_the_providers(services, provider, browser):
    """At the provider a person stays signed in, and is told so."""
    await sign_in(browser)
    page = await (await browser.get("/workers")).text()
    token = re.search(r'name="csrf" value="([0-9a-f]{64})"', page)[1]
    left = await (await browser.post("/logout", data={"csrf": token})).text()
    assert f'href="{provider.url}/end?client_id={CLIENT_ID}"' in left
    assert (await browser.get("/workers", allow_redirects=False)).status == 303
    assert await audited(services, "session.closed") == [{"actor": "oidc:248289761001 Ada Lovelace"}]


async def test_doctor_says_whether_people_can_sign_in(configured, provider):
    """By asking the provider."""
    found = []

    def note(*finding):
        found.append(finding)

    await _sign_in(note, configured())
    provider.discovery = {"issuer": "https://evil.example.com"}
    await _sign_in(note, configured())
    provider.away.add("/.well-known/openid-configuration")
    await _sign_in(note, configured())
    assert [ok for _, ok, _ in found] == [True, False, False]
    assert CALLBACK in found[0][2]
    assert "evil.example.com" in found[1][2]
    await _sign_in(note, replace(configured(), settings=configured().settings.model_copy(update={"oidc_issuer": None})))
    assert len(found) == 3
