"""Signing in at a provider: the way there and back, the session that it opens, and its end."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.integration.sign_in_support import (
    audited,
    browser,
    configured,
    must_be_refused,
    opened,
    provider,
    sign_in,
)
from tests.oidc_provider import CALLBACK, CLIENT_ID, SECRET
from worker.cli.checks import _sign_in

__all__ = ["browser", "configured", "provider"]  # fixtures


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
    await must_be_refused(services, await sign_in(browser), "userinfo_other")


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
