"""What the sign-in decides by itself: whether a token is good, what groups mean, what a provider may say of itself."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from config.settings import ROLES as NAMES
from config.settings import ConfigError, Settings, settings_for
from tasks.state.access.rights import ROLES, Scope
from tests.oidc_provider import new_key
from worker.signin.discovery import provider_of
from worker.signin.identity import LEEWAY_S, Expected, UnknownKey, claims_of, joined, lacks, person_of
from worker.signin.policy import Policy, sign_in_policy
from worker.signin.trouble import SignInRefused

NOW_S = 1_800_000_000
ISSUER, CLIENT = "https://id.example.com", "console"
EXPECTED = Expected(ISSUER, CLIENT, "the nonce", ("RS256", "ES256"))
GOOD = {"iss": ISSUER, "aud": CLIENT, "sub": "u1", "iat": NOW_S, "exp": NOW_S + 300, "nonce": "the nonce"}


@pytest.fixture(scope="module")
def rsa_key():
    return new_key("RS256", "rsa")


@pytest.fixture(scope="module")
def ec_key():
    return new_key("ES256", "ec")


def signed(key, algorithm: str, claims: dict, **header) -> str:
    return jwt.encode(claims, key, algorithm=algorithm, headers=header)


def policy(**changes) -> Policy:
    given = {"oidc_issuer": ISSUER, "oidc_client_id": CLIENT, "oidc_roles": "viewer=staff; operator=sre; admin=leads"}
    made = sign_in_policy(Settings(**given | changes))
    assert made is not None
    return made


# -- tokens ------------------------------------------------------------------------------------------------------------


def test_a_good_token_is_taken_under_each_kind_of_key(rsa_key, ec_key):
    """The key is found by its id among several, RSA and elliptic curves."""
    keys = [rsa_key[1], ec_key[1]]
    for (key, _), algorithm, kid in ((rsa_key, "RS256", "rsa"), (ec_key, "ES256", "ec")):
        assert claims_of(signed(key, algorithm, GOOD, kid=kid), keys, EXPECTED, NOW_S)["sub"] == "u1"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"iss": "https://evil.example.com"}, "issuer_wrong"),
        ({"iss": ISSUER + "/"}, "issuer_wrong"),
        ({"aud": "another"}, "audience_wrong"),
        ({"aud": [CLIENT, "another"]}, "audience_wrong"),
        ({"aud": None}, "audience_wrong"),
        ({"azp": "another"}, "audience_wrong"),
        ({"nonce": "another"}, "nonce_wrong"),
        ({"nonce": None}, "nonce_wrong"),
        ({"exp": NOW_S - LEEWAY_S}, "token_expired"),
        ({"exp": None}, "token_bad"),
        ({"exp": "soon"}, "token_bad"),
        ({"exp": float("nan")}, "token_expired"),
        ({"iat": NOW_S + LEEWAY_S + 1}, "clock_off"),
        ({"iat": float("nan")}, "clock_off"),
        ({"iat": None}, "token_bad"),
        ({"nbf": NOW_S + LEEWAY_S + 1}, "clock_off"),
        ({"sub": ""}, "token_bad"),
        ({"sub": 7}, "token_bad"),
        ({"sub": "a\nb"}, "token_bad"),
        ({"at_hash": "of another token"}, "token_bad"),
    ],
)
def test_a_token_that_is_wrong_in_one_point_is_refused(rsa_key, change, code):
    """Each point by itself, in a token that is signed as it should be."""
    claims = {name: value for name, value in (GOOD | change).items() if value is not None}
    expected = Expected(ISSUER, CLIENT, "the nonce", ("RS256",), access_token="access")
    with pytest.raises(SignInRefused) as refused:
        claims_of(signed(rsa_key[0], "RS256", claims, kid="rsa"), [rsa_key[1]], expected, NOW_S)
    assert refused.value.code == code


@pytest.mark.parametrize("change", [{"exp": NOW_S - LEEWAY_S + 1}, {"iat": NOW_S + LEEWAY_S}, {"azp": CLIENT}])
def test_a_little_skew_and_the_clients_own_name_are_fine(rsa_key, change):
    """The clocks of two organisations differ by seconds."""
    token = signed(rsa_key[0], "RS256", GOOD | change, kid="rsa")
    assert claims_of(token, [rsa_key[1]], EXPECTED, NOW_S)["sub"] == "u1"


def test_no_signature_and_one_made_with_a_public_key_are_none(rsa_key):
    """`none`, and HS256 with the provider's public key as its secret (RFC 8725, 2.1)."""
    public = rsa_key[0].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    parts = [urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({"alg": "HS256"}, GOOD)]
    mac = urlsafe_b64encode(hmac.digest(public, ".".join(parts).encode(), "sha256")).decode().rstrip("=")
    unsigned = jwt.encode(GOOD, None, algorithm="none")
    for token in (unsigned, ".".join([*parts, mac]), "", "a.b.c", "ü", "." * 5):
        for algorithms in (EXPECTED.algorithms, ("none", "HS256")):
            with pytest.raises(SignInRefused, match="ID token"):
                claims_of(token, [rsa_key[1]], Expected(ISSUER, CLIENT, "the nonce", algorithms), NOW_S)


def test_another_signature_is_refused_and_an_unknown_key_told_apart(rsa_key, ec_key):
    """An unknown key may be a new one; a wrong signature stays wrong."""
    other, _ = new_key("RS256", "rsa")
    with pytest.raises(SignInRefused):
        claims_of(signed(other, "RS256", GOOD, kid="rsa"), [rsa_key[1]], EXPECTED, NOW_S)
    for token, keys in (
        (signed(rsa_key[0], "RS256", GOOD, kid="new"), [rsa_key[1]]),
        (signed(rsa_key[0], "RS256", GOOD, kid="rsa"), [rsa_key[1] | {"use": "enc"}]),
        (signed(rsa_key[0], "RS256", GOOD, kid="ec"), [ec_key[1]]),
        (signed(rsa_key[0], "RS256", GOOD), [rsa_key[1], rsa_key[1] | {"kid": "second"}]),
    ):
        with pytest.raises(UnknownKey):
            claims_of(token, keys, EXPECTED, NOW_S)


# -- people ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claims", "changes", "role"),
    [
        ({"groups": ["staff", "leads", "sre"]}, {}, "admin"),
        ({"groups": ["staff"]}, {}, "viewer"),
        ({"groups": "sre"}, {}, "operator"),
        ({"groups": [7, None, "sre"]}, {}, "operator"),
        ({"realm_access": {"roles": ["sre"]}}, {"oidc_groups_claim": "realm_access.roles"}, "operator"),
        ({"https://a.example/groups": ["sre"]}, {"oidc_groups_claim": "https://a.example/groups"}, "operator"),
        ({"groups": ["cn=a, b,dc=x"]}, {"oidc_roles": "producer=cn=a, b,dc=x"}, "producer"),
        (
            {"email": "ada@example.com", "email_verified": True},
            {"oidc_groups_claim": "email", "oidc_roles": "admin=ada@example.com"},
            "admin",
        ),
    ],
)
def test_the_highest_role_that_a_group_gives_wins(claims, changes, role):
    """Lists, one name instead of a list, nested claims, names with blanks, commas and equals signs."""
    assert person_of({"sub": "u1", **claims}, policy(**changes)).role == role


@pytest.mark.parametrize(
    ("claims", "changes", "code", "words"),
    [
        ({}, {}, "no_groups", "'groups'"),
        ({"groups": ["sales"]}, {}, "no_role", "leads (admin)"),
        ({"groups": ["sales"]}, {}, "no_role", "in: sales"),
        ({"groups": "sre staff"}, {}, "no_role", "sre (operator)"),
        ({"groups": []}, {}, "no_role", "in: none"),
        ({"groups": {"sre": True}}, {}, "groups_odd", "list"),
        ({"_claim_names": {"groups": "src1"}}, {}, "groups_overage", "200"),
        ({"hasgroups": True}, {}, "groups_overage", "Groups assigned to the application"),
        ({"groups": ["sre"]}, {"oidc_email_domains": "example.com"}, "email_unverified", "verified"),
        (
            {"groups": ["sre"], "email": "a@example.com"},
            {"oidc_email_domains": "example.com"},
            "email_unverified",
            "verified",
        ),
        (
            {"groups": ["sre"], "email": "a@example.com.evil.example", "email_verified": True},
            {"oidc_email_domains": "example.com"},
            "email_domain",
            "example.com",
        ),
        (
            {"email": "ada@example.com"},
            {"oidc_groups_claim": "email", "oidc_roles": "admin=ada@example.com"},
            "email_unverified",
            "verified",
        ),
    ],
)
def test_whom_no_group_lets_in_is_told_what_to_ask_for(claims, changes, code, words):
    """A string is one name, never several; an address counts only where the provider has verified it."""
    with pytest.raises(SignInRefused) as refused:
        person_of({"sub": "u1", **claims}, policy(**changes))
    assert refused.value.code == code
    assert words in str(refused.value)


VERIFIED = {"email": "me@evil.example", "email_verified": True}


@pytest.mark.parametrize(
    ("token", "userinfo"),
    [
        ({"email": "ada@example.com"}, VERIFIED),
        ({"email_verified": True}, {"email": "ada@example.com"}),
        ({"email": "ada@example.com", "email_verified": False}, VERIFIED),
    ],
)
def test_what_verifies_one_address_verifies_no_other(token, userinfo):
    """Token and userinfo are of two moments: between them a person can change the address."""
    claims = joined({"sub": "u1", "groups": ["sre"], **token}, {"sub": "u1", **userinfo})
    with pytest.raises(SignInRefused) as refused:
        person_of(claims, policy(oidc_email_domains="example.com"))
    assert refused.value.code == "email_unverified"


@pytest.mark.parametrize(
    ("token", "userinfo"),
    [
        ({}, {"email": "ada@example.com", "email_verified": True}),
        ({"email": "ada@example.com"}, {"email": "ada@example.com", "email_verified": True}),
        ({"email": "ada@example.com", "email_verified": True}, VERIFIED),
    ],
)
def test_an_address_that_one_of_both_verifies_counts(token, userinfo):
    """Some providers name the address in the token, and that it is verified only at userinfo."""
    claims = {"sub": "u1", "name": "Ada", "groups": ["sre"], **token}
    mine = policy(oidc_email_domains="example.com")
    assert lacks(claims, mine) == ("email_verified" not in token)
    assert person_of(joined(claims, {"sub": "u1", **userinfo}), mine).role == "operator"


def test_a_name_is_shown_on_one_line_and_nothing_odd_is_in_it():
    """It comes from a profile that people may write themselves."""
    person = person_of({"sub": "u1", "groups": ["sre"], "name": "Ada\u202e\n Love\x00lace" + "x" * 500}, policy())
    assert person.name.startswith("Ada Love lacexx")
    assert len(person.name) == 100
    assert person.actor.startswith("oidc:u1 Ada")


def test_a_role_has_the_scopes_that_its_name_says():
    """The names in the settings are those of the scopes, in the same order."""
    assert tuple(ROLES) == NAMES
    person = person_of({"sub": "u1", "groups": ["sre"]}, policy())
    assert [scope for scope in Scope if person.may(scope)] == [Scope.SUBMIT, Scope.READ, Scope.OPERATE]


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("https://Afterword.Example.com/", "https://afterword.example.com"),
        ("https://afterword.example.com:443", "https://afterword.example.com"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ],
)
def test_the_public_address_is_written_as_browsers_write_it(monkeypatch, given, taken):
    """It is compared with the name that a browser asks for."""
    monkeypatch.setenv("AFTERWORD_PUBLIC_URL", given)
    assert settings_for().public_url == taken


@pytest.mark.parametrize(
    "given", ["afterword.example.com", "https://x/console", "https://a@x", "https://x?y", "ftp://x"]
)
def test_a_public_address_that_is_more_or_less_than_an_origin_is_refused(monkeypatch, given):
    """Nothing works under a path."""
    monkeypatch.setenv("AFTERWORD_PUBLIC_URL", given)
    with pytest.raises(ConfigError, match="AFTERWORD_PUBLIC_URL"):
        settings_for()


# -- settings and discovery --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"ISSUER": ISSUER, "ROLES": "admin=a"}, "AFTERWORD_OIDC_CLIENT_ID"),
        ({"ISSUER": ISSUER, "CLIENT_ID": "c"}, "AFTERWORD_OIDC_ROLES"),
        ({"ROLES": "boss=a"}, "'boss=a'"),
        ({"ROLES": "admin="}, "admin="),
        ({"CLIENT_SECRET": "a", "CLIENT_SECRET_FILE": "b"}, "unset one of them"),
        ({"PRIVATE": "nonsense"}, "AFTERWORD_OIDC_PRIVATE"),
        ({"CLIENT_ID": "a b"}, "AFTERWORD_OIDC_CLIENT_ID"),
        ({"SESSION_HOURS": "25"}, "AFTERWORD_OIDC_SESSION_HOURS"),
    ],
)
def test_a_setting_that_can_not_work_is_named(monkeypatch, variables, words):
    """At the start, not at the first sign-in."""
    for name, value in variables.items():
        monkeypatch.setenv(f"AFTERWORD_OIDC_{name}", value)
    with pytest.raises(ConfigError, match=words):
        settings_for()


@pytest.mark.parametrize(
    "issuer", ["http://id.example.com", "ftp://x", "nonsense", "https://a@b.example", "https://id.example.com/?x=1"]
)
def test_an_issuer_that_is_no_guarded_address_is_refused(issuer):
    """Plain http shows codes and tokens to the network; only this machine's own is fine."""
    with pytest.raises(ConfigError, match="AFTERWORD_OIDC_ISSUER"):
        policy(oidc_issuer=issuer)


def test_without_an_issuer_nobody_signs_in_that_way():
    """API keys alone, as before."""
    assert sign_in_policy(Settings()) is None


DISCOVERY = {
    "issuer": ISSUER,
    **dict.fromkeys(("authorization_endpoint", "token_endpoint", "jwks_uri"), f"{ISSUER}/x"),
}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"issuer": "https://evil.example.com"}, "issuer_other"),
        ({"issuer": "https://login.microsoftonline.com/{tenantid}/v2.0"}, "issuer_other"),
        ({"issuer": None}, "issuer_other"),
        ({"token_endpoint": "http://id.example.com/token"}, "provider_unusable"),
        ({"jwks_uri": None}, "provider_unusable"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "provider_unusable"),
        ({"id_token_signing_alg_values_supported": ["HS256", "none"]}, "provider_unusable"),
        ({"token_endpoint_auth_methods_supported": ["private_key_jwt"]}, "provider_unusable"),
    ],
)
def test_a_provider_that_is_another_one_or_unsafe_is_not_used(change, code):
    """What it says of itself decides where people and secrets go."""
    with pytest.raises(SignInRefused) as refused:
        provider_of(DISCOVERY | change, policy(), has_secret=True)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("methods", "has_secret", "login"),
    [
        (None, True, "basic"),
        (["client_secret_post", "client_secret_basic"], True, "basic"),
        (["client_secret_post"], True, "post"),
        (["client_secret_basic"], False, "none"),
    ],
)
def test_the_client_proves_itself_as_the_provider_wants(methods, has_secret, login):
    """Basic where nothing is said; a public client sends no secret."""
    said = DISCOVERY | ({"token_endpoint_auth_methods_supported": methods} if methods else {})
    assert provider_of(said, policy(), has_secret=has_secret).client_login == login


def test_other_settings_end_the_sessions_of_those_before():
    """A role taken away in the settings is taken away at once; the name on the button decides nothing."""
    before = policy().fingerprint
    assert policy(oidc_name="Keycloak").fingerprint == before
    assert policy(oidc_roles="viewer=staff").fingerprint != before
    assert policy(oidc_issuer="https://other.example.com").fingerprint != before
