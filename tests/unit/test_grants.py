"""What is sent for each grant, and what an authorization server's answers mean."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tasks.credentials.answers import tokens_of, verdict
from tasks.credentials.grants import Moment, asked
from tasks.credentials.kinds import Certificate, Endpoints, JwtBearer
from tasks.credentials.secret import as_stored, opened
from tasks.destinations import destination_for, parse_settings
from tasks.destinations.confluence.verdict import verdict as confluences
from tasks.http.verdict import Answer
from tests.integration.test_credential_commands import pem

MOMENT = Moment(1_800_000_000, "never-used", lambda path: "token of " + path)
ENDPOINTS = Endpoints(token_url="https://login.example/t/oauth2/v2.0/token", scopes=("s/.default",))


def form(auth, parts) -> dict[str, str]:
    """The form of a request."""
    return dict(parse_qsl(asked(auth, ENDPOINTS, parts, account="bot", refresh_token=None, moment=MOMENT).form))


def test_entras_assertion_is_bound_to_the_endpoint_the_certificate_and_five_minutes():
    """Microsoft's page on certificate credentials: PS256, the thumbprint, audience, issuer and subject, a short life."""
    key, _ = pem()
    auth = Certificate(type="certificate", client_id="c", tenant="t")
    sent = form(auth, opened(auth, as_stored(auth, key)))
    assert sent["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert (sent["grant_type"], sent["scope"], sent["client_id"]) == ("client_credentials", "s/.default", "c")
    header = jwt.get_unverified_header(sent["client_assertion"])
    assert (header["alg"], len(header["x5t#S256"])) == ("PS256", 43)
    public = load_pem_private_key(key.encode(), None).public_key()
    claims = jwt.decode(
        sent["client_assertion"],
        public,
        algorithms=["PS256"],
        audience=ENDPOINTS.token_url,
        options={"verify_nbf": False, "verify_iat": False},
    )
    assert (claims["iss"], claims["sub"], claims["jti"]) == ("c", "c", "never-used")
    assert (claims["nbf"], claims["exp"]) == (1_800_000_000, 1_800_000_300)
    assert "client_secret" not in sent


def test_servicenows_assertion_speaks_for_the_account():
    """The client issues it, for itself as the audience, with the key's id."""
    key, _ = pem()
    auth = JwtBearer(type="jwt", client_id="c", subject="bot", key_id="k1")
    sent = form(auth, opened(auth, as_stored(auth, "the-client-secret\n" + key)))
    assert sent["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assert sent["client_secret"] == "the-client-secret"
    claims = jwt.decode(sent["assertion"], options={"verify_signature": False})
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("c", "bot", "c")
    assert jwt.get_unverified_header(sent["assertion"])["kid"] == "k1"


@pytest.mark.parametrize(
    ("status", "body", "whose", "code"),
    [
        (
            403,
            {"error": "invalid_grant", "error_description": "Unknown or invalid refresh token."},
            "destination",
            "grant_refused",
        ),
        (400, {"error": "invalid_grant"}, "destination", "grant_refused"),
        (401, {"error": "server_error", "error_description": "access_denied"}, "destination", "grant_refused"),
        (
            401,
            {"error": "invalid_client", "error_description": "AADSTS7000222: expired"},
            "destination",
            "client_refused",
        ),
        (
            401,
            {
                "error": "invalid_client",
                "error_description": "AADSTS700024: Client assertion is not within its valid time range.",
            },
            "destination",
            "clock_off",
        ),
        (
            400,
            {
                "error": "invalid_grant",
                "error_description": "Invalid JWT: check your iat and exp values in the JWT claim.",
            },
            "destination",
            "clock_off",
        ),
        (400, {"error": "unauthorized_client"}, "destination", "client_refused"),
        (400, {"error": "invalid_scope"}, "destination", "scope_refused"),
        (400, {"error": "unsupported_grant_type"}, "destination", "grant_unsupported"),
        (503, {"error": "server_error"}, "transient", "remote_failure"),
        (400, {"error": "temporarily_unavailable"}, "transient", "remote_failure"),
        (429, {"error": "slow_down"}, "throttled", "throttled"),
        (404, "default backend - 404", "destination", "not_the_vendor"),
        (400, {"message": "no Route matched"}, "destination", "not_the_vendor"),
    ],
)
def test_a_refusal_of_an_authorization_server_is_the_destinations_or_passes(status, body, whose, code):
    """Never the job's: whatever it says, the job itself is not at fault."""
    text = body if isinstance(body, str) else json.dumps(body)
    found = verdict(Answer(status, {}, text.encode()))
    assert (found.whose, found.code) == (whose, code)


@pytest.mark.parametrize(
    ("answer", "lives_s"),
    [
        ({"access_token": "a", "expires_in": 1799, "token_type": "Bearer"}, 1799),
        ({"access_token": "a", "expires_in": "3599", "token_type": "bearer"}, 3599),
        ({"access_token": "a"}, 3600),
        ({"access_token": "a", "expires_in": -5}, 3600),
        ({"access_token": "a", "expires_in": 1e300}, 10 * 365 * 86400),
    ],
)
def test_a_tokens_life_is_read_as_servers_write_it(answer, lives_s):
    """A number, a number as text, or nothing at all."""
    assert tokens_of(answer).lives_s == lives_s


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"access_token": ""},
        {"access_token": 7},
        {"access_token": "a\nX-Evil: 1"},
        {"access_token": "a", "token_type": "mac"},
        {"access_token": "a", "expires_in": "soon"},
        {"access_token": "a", "refresh_token": "r\x00"},
    ],
)
def test_an_answer_that_holds_no_token_raises(answer):
    """What doesn't fit is told as an odd answer, and reaches no header."""
    with pytest.raises((LookupError, TypeError, ValueError)):
        tokens_of(answer)


@pytest.mark.parametrize(
    ("kind", "auth", "token_url"),
    [
        ({"kind": "confluence", "base_url": "https://x.atlassian.net"}, {}, "https://auth.atlassian.com/oauth/token"),
        (
            {"kind": "confluence", "base_url": "https://wiki.example", "flavor": "datacenter"},
            {},
            "https://wiki.example/rest/oauth2/latest/token",
        ),
        (
            {"kind": "servicenow", "instance_url": "https://x.service-now.com"},
            {},
            "https://x.service-now.com/oauth_token.do",
        ),
        (
            {"kind": "azure_devops", "org_url": "https://dev.azure.com/x"},
            {"tenant": "contoso.com"},
            "https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token",
        ),
    ],
    ids=["cloud", "data center", "servicenow", "entra"],
)
def test_each_vendor_is_asked_at_its_own_token_endpoint(kind, auth, token_url):
    """And at another one where the operator says so."""
    given = {"type": "client-credentials", "client_id": "c", **auth}
    assert parse_settings(kind | {"auth": given}).endpoints.token_url == token_url
    other = given | {"token_url": "https://idp.example/token"}
    assert parse_settings(kind | {"auth": other}).endpoints.token_url == "https://idp.example/token"


def test_entra_is_asked_for_azure_devops_whatever_was_granted_there():
    """The resource's id is the same in every tenant."""
    auth = {"type": "client-credentials", "client_id": "c", "tenant": "t"}
    settings = parse_settings({"kind": "azure_devops", "org_url": "https://dev.azure.com/x", "auth": auth})
    assert settings.endpoints.scopes == ("499b84ac-1321-427f-aa17-267ca6975798/.default",)
    headers = destination_for(settings).bearer("token")
    assert headers == {"Authorization": "Bearer token", "X-TFS-FedAuthRedirect": "Suppress"}


def test_an_api_key_of_servicenow_has_a_header_of_its_own():
    """Also beside a user name, which stands for whom it was made."""
    auth = {"type": "api-key"}
    settings = {"kind": "servicenow", "instance_url": "https://x.service-now.com", "username": "u", "auth": auth}
    assert destination_for(parse_settings(settings)).authorization("key") == {"x-sn-apikey": "key"}


def test_http_is_permitted_at_the_destinations_own_host_only():
    """A permission for one host is none for its authorization server's."""
    auth = {"type": "client-credentials", "client_id": "c"}
    settings = parse_settings(
        {"kind": "servicenow", "instance_url": "http://snow.test:8080", "allow_http": True, "auth": auth}
    )
    assert settings.beside("http://snow.test:9090").allow_http
    assert not settings.beside("http://other.test").allow_http


@pytest.mark.parametrize(
    ("operation", "scope"),
    [
        ("POST /content/{id}/label", "write:confluence-content"),
        ("PUT /content/{id}/child/attachment", "write:confluence-file"),
        ("POST /pages", "write:page:confluence"),
        ("GET /spaces/{id}/operations", "read:space:confluence"),
    ],
)
def test_a_missing_scope_is_named(operation, scope):
    """By what was asked: the gateway only says that some scope is missing."""
    body = json.dumps({"code": 401, "message": "Unauthorized; scope does not match"}).encode()
    assert f"`{scope}`" in confluences(Answer(401, {}, body, operation)).message
