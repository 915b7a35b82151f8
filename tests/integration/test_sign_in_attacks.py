"""Signing in where somebody interferes, or something is wrong at the provider or in the settings: a page for each, and no session."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest

from tasks.state.newest import NewestOnDisk
from tests.conftest import ROOT, environment
from tests.integration.sign_in_support import (
    LOCAL,
    audited,
    browser,
    configured,
    consent,
    leave,
    must_be_refused,
    opened,
    provider,
    sign_in,
)
from tests.oidc_provider import CALLBACK, SECRET, new_key
from worker.console.sessions import FAILURES, Sessions
from worker.runtime import open_services
from worker.signin.policy import Person, sign_in_policy

__all__ = ["browser", "configured", "provider"]  # fixtures


# -- attacks -----------------------------------------------------------------------------------------------------------


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
    await must_be_refused(services, await browser.get(back), "state_wrong")
    await leave(browser)
    await must_be_refused(services, await browser.get(back), "state_wrong")
    assert "/token" not in provider.asked


@pytest.mark.parametrize("cookie", ["", "x", "aw1.k.t", "ü", "a" * 7000])
async def test_a_cookie_that_is_not_ours_opens_nothing(services, browser, cookie):
    """Whoever has no key can't make one."""
    answer = await browser.get(f"{CALLBACK}?state=s&code=c", headers={"Cookie": f"{LOCAL}={cookie}"})
    await must_be_refused(services, answer, "state_wrong")


async def test_a_sign_in_that_takes_too_long_is_begun_again(services, browser, monkeypatch):
    """By the ledger's clock."""
    back = await consent(await leave(browser))
    monkeypatch.setattr("worker.signin.signing_in.PATIENCE_MS", -1)
    await must_be_refused(services, await browser.get(back), "too_late")


@pytest.mark.parametrize(
    "wanted",
    ["//evil.example", "https://evil.example/", "/\\evil.example", "/login", "/" + "x" * 2000, "/" + "漢" * 900],
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
    page = await must_be_refused(services, answer, "access_denied")
    assert answer.status == 403
    assert "&lt;script&gt;alert(1)&lt;/script&gt; no" in page
    assert "<script>alert" not in page


async def test_an_answer_of_another_provider_is_refused(services, browser, provider):
    """RFC 9207: it names the issuer, and this one says that it does."""
    back = await consent(await leave(browser))
    path, _, query = back.partition("?")
    given = {name: values[0] for name, values in parse_qs(query).items()} | {"iss": "https://evil.example.com"}
    await must_be_refused(services, await browser.get(f"{path}?{urlencode(given)}"), "issuer_wrong")
    assert "/token" not in provider.asked


async def test_guesses_are_counted_and_no_longer_audited_at_some_point(services, browser, monkeypatch):
    """As with keys: strangers fill no audit."""
    monkeypatch.setattr("worker.console.login.PENALTY_S", 0)
    for _ in range(FAILURES + 3):
        assert (await browser.get(f"{CALLBACK}?state=s&code=c")).status == 400
    assert len(await audited(services, "session.refused")) == FAILURES


async def test_made_up_answers_have_the_provider_asked_only_so_often(services, configured, provider, monkeypatch):
    """Each would cost a request and audit entries; people at other addresses go on signing in, and in their turn at this one."""
    monkeypatch.setattr("worker.console.login.PENALTY_S", 0)
    monkeypatch.setattr("worker.console.sessions.TURN_MS", 600_000)
    async with opened(configured(trusted_proxies="127.0.0.0/8"), provider) as browser:
        stranger = {"X-Forwarded-For": "203.0.113.7"}
        for _ in range(FAILURES + 3):
            state = parse_qs(urlsplit(await leave(browser)).query)["state"][0]
            made_up = {"state": state, "code": "made up", "iss": provider.url}
            answer = await browser.get(CALLBACK, params=made_up, headers=stranger)
        assert (answer.status, provider.asked.count("/token")) == (429, FAILURES + 1)
        assert "Sign in again in a moment" in await answer.text()
        back = await consent(await leave(browser))
        assert (await browser.get(back, headers={"X-Forwarded-For": "203.0.113.8"})).status == 200
        async for turn in services.redis.scan_iter(f"{services.settings.prefix}:signins:*:turn"):
            await services.redis.delete(turn)
        browser.session.cookie_jar.clear()
        back = await consent(await leave(browser))
        assert (await browser.get(back, headers=stranger)).status == 200


@pytest.mark.parametrize("change", ["role", "settings", "created_ms", "subject", "key instead"])
async def test_a_session_that_was_changed_in_redis_is_none(services, configured, change):
    """Nobody without a key makes an admin of himself, or a session longer."""
    policy = sign_in_policy(configured().settings)
    sessions = Sessions(
        services.redis, services.vault, services.access, services.settings.prefix, services.ended, policy
    )
    now_ms = services.core.clock_ms()
    person = Person(issuer="https://id.example.com", subject="u1", name="Ada", role="viewer", group="staff")
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


@pytest.mark.parametrize("way", ["logout", "signing in again", "command"])
async def test_a_session_that_was_ended_is_not_put_back(configured, provider, way):
    """Whoever has the cookie, and puts its record back in Redis, has no session: not there, nor after the console's restart."""
    services = configured()
    async with opened(services, provider) as browser:
        await sign_in(browser)
        cookie = browser.session.cookie_jar.filter_cookies(browser.make_url("/"))["afterword-local"].value
        (name,) = [found async for found in services.redis.scan_iter(f"{services.settings.prefix}:session:*")]
        record = await services.redis.get(name)
        if way == "logout":
            page = await (await browser.get("/jobs")).text()
            form = {"csrf": re.search(r'name="csrf" value="([0-9a-f]{64})"', page)[1]}
            assert (await browser.post("/logout", data=form, allow_redirects=False)).status == 303
        elif way == "signing in again":
            _, key = await services.access.create("Ada", ["admin"], None, "test")
            assert (await browser.post("/login", data={"key": key}, allow_redirects=False)).status == 303
        else:
            command = [sys.executable, "-m", "worker", "session", "end", "--all"]
            ended = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, env=environment(services.settings))
            assert ended.returncode == 0
        assert await services.redis.get(name) is None
        await services.redis.set(name, record)
        assert await standing(browser, cookie) == 303
        assert await services.redis.get(name) is None, "the record stays for the next try"
        (told,) = await audited(services, "record.refused")
        assert told["reason"] == "record_older"
    await services.redis.set(name, record)
    async with open_services(services.settings) as again, opened(again, provider) as browser:
        assert await standing(browser, cookie) == 303


async def standing(browser, cookie: str) -> int:
    """What a page answers to that cookie alone: 200 to somebody, 303 to nobody."""
    browser.session.cookie_jar.clear()
    browser.session.cookie_jar.update_cookies({"afterword-local": cookie}, browser.make_url("/"))
    return (await browser.get("/jobs", allow_redirects=False)).status


async def test_sessions_that_were_ended_are_remembered_for_as_long_as_they_could_last(tmp_path):
    """One that is older needs no memory: its own time is over."""
    ended = NewestOnDisk(tmp_path / "ended-sessions.json", "here", keeps_ms=100)
    for digest, moment_ms in (("a", 1000), ("b", 1050), ("c", 1101)):
        ended.learn(digest, moment_ms)
    assert [ended.of(digest) for digest in "abc"] == [0, 1050, 1101]
    assert "1000" not in (tmp_path / "ended-sessions.json").read_text()


async def test_a_session_ends_with_its_time_and_with_the_settings_that_gave_it(services, configured):
    """A role that the operator takes away, or a provider that he leaves, counts from the next request on."""
    policy = sign_in_policy(configured(oidc_session_hours=1).settings)
    now_ms = services.core.clock_ms()
    person = Person(issuer="https://id.example.com", subject="u1", name="Ada", role="viewer", group="staff")

    def sessions(given):
        return Sessions(
            services.redis, services.vault, services.access, services.settings.prefix, services.ended, given
        )

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
    assert words in (await must_be_refused(services, answer, code)).replace("&#39;", "'")


async def test_a_token_that_somebody_else_signed_is_refused(services, provider, browser):
    """Under the provider's own key id."""
    other, _ = new_key("RS256", "first")
    provider.forge = lambda claims, kid: jwt.encode(claims, other, algorithm="RS256", headers={"kid": kid})
    await must_be_refused(services, await sign_in(browser), "token_bad")
    provider.forge = lambda claims, _: jwt.encode(claims, None, algorithm="none")
    await must_be_refused(services, await sign_in(browser), "token_bad")
    provider.forge = None
    provider.rotate("unpublished", publish=False)
    await must_be_refused(services, await sign_in(browser), "key_unknown")


async def test_a_wrong_client_secret_is_the_operators_to_correct(services, configured, provider, caplog):
    """And is shown nowhere."""
    async with opened(configured(oidc_client_secret="planted-wrong-secret"), provider) as client:
        answer = await sign_in(client)
        page = await must_be_refused(services, answer, "client_refused")
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
    page = await must_be_refused(services, answer, "provider_away")
    assert "Log in with an API key" in page
    assert "Traceback" not in caplog.text


async def test_the_document_of_another_issuer_is_not_used(services, provider, browser):
    """Whoever answers at that address is somebody else."""
    provider.discovery = {"issuer": "https://evil.example.com"}
    await must_be_refused(services, await browser.get("/login/oidc", allow_redirects=False), "issuer_other")


async def test_a_provider_in_a_private_network_is_the_operators_to_allow(services, configured, provider):
    """As with callbacks: an address that leads inside is refused unless its network is named."""
    async with opened(configured(oidc_private=""), provider) as client:
        await must_be_refused(services, await client.get("/login/oidc", allow_redirects=False), "provider_away")
    assert provider.asked == []
