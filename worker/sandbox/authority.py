"""Simulated authorization servers: what they have in common, strict about all of it.

Source: RFC 6749, 7523 (assertions), 7636 (PKCE). Any client is known whose id and secret don't call themselves wrong. Each
vendor's own module says where it is asked, in which words it refuses, which scopes it knows and whether it rotates.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import load_pem_x509_certificate

from worker.sandbox.credentials import BAD
from worker.sandbox.store import Code, Issued, Refresh, Store

PREFIX = "sbxat-"
FORM = "application/x-www-form-urlencoded"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CLIENT_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST_ASSERTION_S = 3600
SKEW_S = 60
CODE_LIFE_S = 600
CHALLENGE_LENGTH = 43  # of SHA-256 in base64url


class No(Exception):
    """The server refuses, in the words of RFC 6749, 5.2."""

    def __init__(self, error: str, words: str, status: int = 400) -> None:
        super().__init__(words)
        self.error, self.words, self.status = error, words, status


@dataclass(frozen=True)
class Server:
    """One vendor's authorization server. `reuse_s` is how long a rotated refresh token still works where nobody has used
    its successor: an answer may have been lost.
    """

    vendor: str
    store: Store
    grants: frozenset[str]
    scopes: frozenset[str]
    default_scopes: tuple[str, ...]
    life_s: int = 3600
    rotates: bool = False
    reuse_s: float = 600
    algorithms: tuple[str, ...] = ("RS256",)
    always_refresh: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    async def answer(self, request: web.Request, audience: str) -> dict[str, Any]:
        """The token response; raises `No`."""
        if request.content_type != FORM:
            raise No("invalid_request", f"The request must be {FORM}.")
        pairs = list((await request.post()).items())
        form = {name: str(value) for name, value in pairs}
        if len(form) != len(pairs):
            raise No("invalid_request", "A parameter is there twice.")
        grant = form.get("grant_type", "")
        if not grant:
            raise No("invalid_request", "grant_type is missing.")
        if grant not in self.grants:
            raise No("unsupported_grant_type", f"The grant {grant:.80} is not supported.")
        client = self._client(form, audience)
        scopes = self._scopes(form.get("scope", ""))
        match grant:
            case "authorization_code":
                return self._by_code(form, client)
            case "refresh_token":
                return self._by_refresh(form, client)
            case "password":
                if not form.get("username") or not _good(form.get("password", "")):
                    raise No("invalid_grant", "The account or its password is wrong.", 401)
                return self._give(client, scopes, refresh=True)
            case _ if grant == JWT_BEARER:
                self._assertion(form.get("assertion", ""), client, client)
        return self._give(client, scopes, refresh=self.always_refresh)

    def authorize(self, request: web.Request) -> web.Response:
        """The page on which a person consents: here everybody does, at once."""
        asked = request.query
        back = urlsplit(asked.get("redirect_uri", ""))
        loopback = back.scheme == "http" and back.hostname in ("127.0.0.1", "localhost", "::1")
        client = asked.get("client_id", "")
        if not _good(client) or not (loopback or back.scheme == "https"):
            return web.Response(status=400, text="The client or its redirect_uri is not known.")
        answer = {"state": asked.get("state", "")}
        try:
            answer["code"] = self._code(asked, client)
        except No as no:
            answer |= {"error": no.error, "error_description": no.words}
        separator = "&" if back.query else "?"
        return web.Response(status=302, headers={"Location": asked["redirect_uri"] + separator + urlencode(answer)})

    def _code(self, asked: Mapping[str, str], client: str) -> str:
        """A code for what was asked, bound to its challenge."""
        if asked.get("response_type") != "code" or not asked.get("state"):
            raise No("invalid_request", "response_type=code and state are needed.")
        if asked.get("code_challenge_method") != "S256" or len(asked.get("code_challenge", "")) != CHALLENGE_LENGTH:
            raise No("invalid_request", "PKCE with S256 is needed.")
        scopes, code = self._scopes(asked.get("scope", "")), uuid.uuid4().hex
        now = self.store.clock()
        self.store.codes[code] = Code(self.vendor, client, asked["redirect_uri"], asked["code_challenge"], scopes, now)
        return code

    def _client(self, form: Mapping[str, str], audience: str) -> str:
        """Who asks, by secret or by assertion; a public client needs PKCE or a refresh token instead."""
        client = form.get("client_id", "")
        if not _good(client):
            raise No("invalid_client", "The client is not known.", 401)
        if form.get("client_assertion_type") == CLIENT_ASSERTION:
            self._assertion(form.get("client_assertion", ""), client, audience)
            return client
        public = form["grant_type"] in ("authorization_code", "refresh_token", JWT_BEARER)
        if not _good(form.get("client_secret", "public" if public else "")):
            raise No("invalid_client", "The client secret is wrong.", 401)
        return client

    def _assertion(self, text: str, client: str, audience: str) -> None:
        """An assertion of the client's, for us, in time, used once; its signature where the key was registered."""
        try:
            key = _public_key(self.store.certificates.get(client))
            algorithm = jwt.get_unverified_header(text)["alg"]
            claims = jwt.decode(
                text,
                key or "",
                algorithms=self.algorithms,
                options={
                    "verify_signature": key is not None,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_aud": False,
                },
            )
        except (jwt.PyJWTError, KeyError, ValueError, TypeError) as error:
            raise No("invalid_client", f"The assertion can't be verified: {error}", 401) from None
        if not _is_platforms(claims) and algorithm not in self.algorithms:
            raise No("invalid_client", f"The assertion is signed by {algorithm}.", 401)
        now = self.store.clock()
        if (
            not now - SKEW_S < claims.get("exp", 0) <= now + LONGEST_ASSERTION_S + SKEW_S
            or claims.get("iat", now) > now + SKEW_S
        ):
            raise No("invalid_client", "The assertion is expired, or lives too long.", 401)
        if _is_platforms(claims):
            return
        if claims.get("iss") != client or claims.get("aud") != audience:
            raise No("invalid_client", "The assertion's issuer or audience is wrong.", 401)
        if not claims.get("jti") or claims["jti"] in self.store.assertions:
            raise No("invalid_client", "The assertion was used already.", 401)
        self.store.assertions.add(claims["jti"])

    def _scopes(self, asked: str) -> tuple[str, ...]:
        wanted = tuple(asked.split()) or self.default_scopes
        if unknown := [scope for scope in wanted if scope not in self.scopes]:
            raise No("invalid_scope", f"The scope {unknown[0]:.100} is not known.")
        return wanted

    def _by_code(self, form: Mapping[str, str], client: str) -> dict[str, Any]:
        code = self.store.codes.pop(form.get("code", ""), None)
        if (
            code is None
            or code.vendor != self.vendor
            or code.client != client
            or code.at + CODE_LIFE_S < self.store.clock()
        ):
            raise No("invalid_grant", "The code is unknown, used or expired.")
        if code.redirect_uri != form.get("redirect_uri"):
            raise No("invalid_grant", "The redirect_uri is not that of the code.")
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        shown = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if not hmac.compare_digest(shown, code.challenge):
            raise No("invalid_grant", "The code_verifier is not that of the code.")
        # Where going on without the person is no scope, each login may.
        return self._give(
            client, code.scopes, refresh="offline_access" in code.scopes or "offline_access" not in self.scopes
        )

    def _by_refresh(self, form: Mapping[str, str], client: str) -> dict[str, Any]:
        token = form.get("refresh_token", "")
        held = self.store.refreshes.get(token)
        if held is None or held.vendor != self.vendor or held.client != client or held.revoked:
            raise No("invalid_grant", "Unknown or invalid refresh token.", 403 if self.rotates else 401)
        if not self.rotates:
            return self._give(client, held.scopes, refresh=False) | {"refresh_token": token}
        late = held.rotated_at is not None and self.store.clock() > held.rotated_at + self.reuse_s
        if late or any(self.store.refreshes[next_].rotated_at is not None for next_ in held.successors):
            for each in self.store.refreshes.values():  # a token that two hold: nobody goes on with it
                each.revoked = each.revoked or each.family == held.family
            raise No("invalid_grant", "Unknown or invalid refresh token.", 403)
        held.rotated_at = held.rotated_at if held.rotated_at is not None else self.store.clock()
        given = self._give(client, held.scopes, refresh=True, family=held.family)
        held.successors.append(given["refresh_token"])
        return given

    def _give(self, client: str, scopes: tuple[str, ...], *, refresh: bool, family: str = "") -> dict[str, Any]:
        store, access = self.store, PREFIX + uuid.uuid4().hex
        life = self.life_s if store.token_life_s is None else store.token_life_s
        store.issued[access] = Issued(self.vendor, client, scopes, store.clock() + life)
        answer = {"access_token": access, "token_type": "Bearer", "expires_in": life, "scope": " ".join(scopes)}
        if refresh:
            token = "sbxrt-" + uuid.uuid4().hex
            store.refreshes[token] = Refresh(self.vendor, client, scopes, family or uuid.uuid4().hex)
            answer["refresh_token"] = token
        return answer | dict(self.extra)


def _is_platforms(claims: Mapping[str, Any]) -> bool:
    """A token of a platform (Kubernetes, a pipeline), which Entra trusts by an agreement of its own."""
    return claims.get("aud") == "api://AzureADTokenExchange"


def _public_key(pem: str | None) -> RSAPublicKey | None:
    """The key of a certificate; raises `ValueError` or `TypeError` for another."""
    if pem is None:
        return None
    key = load_pem_x509_certificate(pem.encode()).public_key()
    if not isinstance(key, RSAPublicKey):
        raise TypeError("no RSA key")
    return key


def _good(text: str) -> bool:
    return bool(text) and not any(word in text.lower() for word in BAD)


def issued_to(store: Store, token: str) -> Issued | None:
    """What an access token of one of these servers is good for; None once it has ended."""
    found = store.issued.get(token)
    return found if found is not None and store.clock() < found.expires else None
