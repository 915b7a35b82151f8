"""The simulated authorization servers: strict where the vendors are, in their own words.

Sources: RFC 6749, 7523 and 7636, Atlassian's, Microsoft's and ServiceNow's pages on OAuth.
"""

from __future__ import annotations

import base64
import hashlib
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from tests.contract.sandbox_support import Live, running

RESOURCE = "499b84ac-1321-427f-aa17-267ca6975798/.default"
ENDPOINTS = {
    "atlassian": "/oauth/token",
    "data center": "/rest/oauth2/latest/token",
    "servicenow": "/oauth_token.do",
    "entra": "/contoso/oauth2/v2.0/token",
}
PAGES = {
    "atlassian": "/authorize",
    "data center": "/rest/oauth2/latest/authorize",
    "servicenow": "/oauth_auth.do",
    "entra": "/contoso/oauth2/v2.0/authorize",
}
CLIENT = {"client_id": "afterword", "client_secret": "sandbox-secret"}
BACK = "http://127.0.0.1:8976/callback"
VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
EVERY = pytest.mark.parametrize("server", list(ENDPOINTS))


@pytest.fixture
async def live():
    """A fresh sandbox."""
    async with running() as sandbox:
        yield sandbox


async def ask(live: Live, server: str, grant: str = "client_credentials", **form: str):
    """One token request."""
    scope = {"scope": RESOURCE} if server == "entra" and grant == "client_credentials" else {}
    return await live.ask("POST", ENDPOINTS[server], data={"grant_type": grant} | CLIENT | scope | form, secret=None)


async def consent(live: Live, server: str, **change: str) -> dict[str, str]:
    """What comes back from the page of consent."""
    scopes = {"entra": f"{RESOURCE} offline_access", "atlassian": "read:page:confluence offline_access"}
    asked = {
        "response_type": "code",
        "client_id": "afterword",
        "redirect_uri": BACK,
        "state": "some-state",
        "scope": scopes.get(server, ""),
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "audience": "api.atlassian.com",
    }
    answer = await live.ask("GET", f"{PAGES[server]}?{urlencode(asked | change)}", secret=None)
    assert answer.status == 302, answer.text
    return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))


@EVERY
async def test_only_a_form_with_each_parameter_once_is_read(live, server):
    """JSON, as some clients send it, is refused by most servers; so it is here by all."""
    as_json = await live.ask("POST", ENDPOINTS[server], json={"grant_type": "client_credentials"} | CLIENT, secret=None)
    assert as_json.status == 400
    twice = [("grant_type", "client_credentials"), ("grant_type", "client_credentials"), *CLIENT.items()]
    scope = [("scope", RESOURCE)] if server == "entra" else []
    assert (await live.ask("POST", ENDPOINTS[server], data=twice + scope, secret=None)).status == 400


@EVERY
async def test_a_client_gets_a_token_that_lives_for_as_long_as_it_says(live, server):
    """An access token ends; what it was given for doesn't matter then."""
    given = (await ask(live, server)).json
    assert given["token_type"] == "Bearer"
    assert given["expires_in"] >= 1799
    assert "refresh_token" not in given


@EVERY
@pytest.mark.parametrize("wrong", [{"client_id": "wrong"}, {"client_secret": "expired"}, {"client_secret": ""}])
async def test_a_wrong_client_is_refused(live, server, wrong):
    """401 `invalid_client` (RFC 6749, 5.2); Entra adds its code."""
    answer = await ask(live, server, **wrong)
    assert (answer.status, answer.json["error"]) == (401, "invalid_client")
    if server == "entra":
        assert answer.json["error_description"].startswith("AADSTS7000215")


@EVERY
async def test_a_scope_or_a_grant_that_isnt_known_is_refused(live, server):
    """400, each by its own word."""
    scope = await ask(live, server, scope="write:everything")
    assert (scope.status, scope.json["error"]) == (400, "invalid_scope")
    grant = await ask(live, server, "magic")
    assert (grant.status, grant.json["error"]) == (400, "unsupported_grant_type")


@EVERY
async def test_a_code_is_good_once_for_its_client_its_address_and_its_verifier(live, server):
    """RFC 6749, 4.1.3 and RFC 7636, 4.6."""
    for bad in ({"code_verifier": "x" * 64}, {"redirect_uri": BACK + "x"}, {"client_id": "another"}):
        code = (await consent(live, server))["code"]
        form = {"code": code, "redirect_uri": BACK, "code_verifier": VERIFIER} | bad
        assert (await ask(live, server, "authorization_code", **form)).json["error"] == "invalid_grant"
    code = (await consent(live, server))["code"]
    form = {"code": code, "redirect_uri": BACK, "code_verifier": VERIFIER}
    assert (await ask(live, server, "authorization_code", **form)).json["access_token"]
    assert (await ask(live, server, "authorization_code", **form)).json["error"] == "invalid_grant"


@EVERY
async def test_consent_brings_the_state_back_and_needs_pkce(live, server):
    """Without a challenge, or with a plain one, there is no code."""
    assert (await consent(live, server))["state"] == "some-state"
    for bad in ({"code_challenge": ""}, {"code_challenge_method": "plain"}, {"state": ""}):
        back = await consent(live, server, **bad)
        assert back["error"] == "invalid_request"
        assert "code" not in back
    elsewhere = urlencode({"redirect_uri": "http://evil.example/", "client_id": "c", "audience": "api.atlassian.com"})
    assert (await live.ask("GET", f"{PAGES[server]}?{elsewhere}", secret=None)).status == 400


async def logged_in(live: Live, server: str) -> dict:
    """The tokens of a login."""
    code = (await consent(live, server))["code"]
    return (await ask(live, server, "authorization_code", code=code, redirect_uri=BACK, code_verifier=VERIFIER)).json


async def test_atlassians_refresh_token_rotates_and_its_reuse_ends_the_login(live):
    """Within ten minutes the one before still works, while nobody used its successor: an answer may have been lost."""
    first = (await logged_in(live, "atlassian"))["refresh_token"]
    lost = (await ask(live, "atlassian", "refresh_token", refresh_token=first)).json["refresh_token"]
    second = (await ask(live, "atlassian", "refresh_token", refresh_token=first)).json["refresh_token"]
    assert len({first, lost, second}) == 3
    third = (await ask(live, "atlassian", "refresh_token", refresh_token=second)).json["refresh_token"]
    reused = await ask(live, "atlassian", "refresh_token", refresh_token=first)
    assert (reused.status, reused.json["error"]) == (403, "invalid_grant")
    assert (await ask(live, "atlassian", "refresh_token", refresh_token=third)).status == 403, "the whole login ended"


async def test_a_rotated_refresh_token_ends_after_ten_minutes(live):
    """Whoever comes back later is somebody else."""
    first = (await logged_in(live, "atlassian"))["refresh_token"]
    await ask(live, "atlassian", "refresh_token", refresh_token=first)
    live.clock.now += 601
    assert (await ask(live, "atlassian", "refresh_token", refresh_token=first)).status == 403


async def test_servicenows_refresh_token_stays_and_a_wrong_account_is_told_vaguely(live):
    """`server_error` with `access_denied`, as the product says it."""
    given = (await ask(live, "servicenow", "password", username="bot", password="good")).json
    again = (await ask(live, "servicenow", "refresh_token", refresh_token=given["refresh_token"])).json
    assert again["refresh_token"] == given["refresh_token"]
    wrong = await ask(live, "servicenow", "password", username="bot", password="wrong")
    assert (wrong.status, wrong.json) == (401, {"error_description": "access_denied", "error": "server_error"})


CALLS = {
    "atlassian": "/ex/confluence/00000000-0000-4000-8000-000000000000/wiki/api/v2/spaces",
    "data center": "/rest/api/space",
    "servicenow": "/api/now/table/incident",
    "entra": "/contoso/_apis/projects",
}


@EVERY
async def test_a_token_works_at_its_own_vendor_until_it_ends(live, server):
    """Another vendor's token, and one that has ended, are refused in the shape that the vendor gives its own refusals."""
    token = (await ask(live, server)).json["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert (await live.ask("GET", CALLS[server], headers=bearer, secret=None)).status == 200
    for other in set(CALLS) - {server}:
        assert (await live.ask("GET", CALLS[other], headers=bearer, secret=None)).status in (401, 403)
    live.clock.now += 3601
    ended = await live.ask("GET", CALLS[server], headers=bearer, secret=None)
    assert ended.status == 401
    if server == "servicenow":
        assert ended.json["error"]["message"] == "User Not Authenticated"
    if server == "atlassian":
        assert ended.json == {"code": 401, "message": "Unauthorized"}


async def test_the_site_refuses_what_works_at_the_gateway_and_the_gateway_the_rest(live):
    """A scoped token, and OAuth, go through the gateway only; a classic token works at the site only."""
    gateway, site = CALLS["atlassian"], "/wiki/api/v2/spaces"
    refusal = {"code": 401, "message": "Unauthorized; scope does not match"}
    assert (await live.ask("GET", site, secret="a-scoped-token")).json == refusal
    assert (await live.ask("GET", gateway, secret="a-scoped-token")).status == 200
    assert (await live.ask("GET", gateway)).json == refusal
    assert (await live.ask("GET", site)).status == 200
    assert (await live.ask("GET", gateway.replace("0000-4000", "0000-4001"), secret="a-scoped-token")).status == 404


async def test_the_gateway_wants_a_scope_for_each_call(live):
    """Reading spaces is permitted, writing pages is not."""
    token = (await ask(live, "atlassian", scope="read:space:confluence")).json["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    base = CALLS["atlassian"].removesuffix("/spaces")
    assert (await live.ask("GET", f"{base}/spaces", headers=bearer, secret=None)).status == 200
    refused = await live.ask("POST", f"{base}/pages", headers=bearer, secret=None, json={})
    assert (refused.status, refused.json["message"]) == (401, "Unauthorized; scope does not match")
