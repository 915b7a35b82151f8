"""A local OpenID Connect provider that is strict about its clients, and can be told to be wrong itself.

Source: OpenID Connect Core 1.0 and Discovery 1.0, RFC 6749, 7636. Everybody consents at once; who comes is set by `claims`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlencode

import jwt
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec, rsa

CLIENT, SECRET = "console at work", "a fake secret: with % and ü"
CLIENT_ID = CLIENT.replace(" ", "-")
CALLBACK = "/login/oidc/callback"


def new_key(algorithm: str, kid: str) -> tuple[Any, dict[str, Any]]:
    """A private key and its public half as a JWK."""
    made = (
        rsa.generate_private_key(65537, 2048) if algorithm.startswith("RS") else ec.generate_private_key(ec.SECP256R1())
    )
    public = jwt.get_algorithm_by_name(algorithm).to_jwk(made.public_key(), as_dict=True)
    return made, {**public, "kid": kid, "use": "sig", "alg": algorithm}


@dataclass
class Provider:
    """What the provider is, and what it does wrong."""

    url: str = ""
    redirects: set[str] = field(default_factory=set)
    claims: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    algorithm: str = "RS256"
    method: str = "client_secret_basic"
    discovery: dict[str, Any] = field(default_factory=dict)
    answer: dict[str, str] | None = None  # instead of a code
    forge: Callable[[dict[str, Any], str], str] | None = None  # makes the ID token of its claims
    away: set[str] = field(default_factory=set)  # paths that answer with 503
    asked: list[str] = field(default_factory=list)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    kid: str = "first"
    key: Any = None
    jwks: list[dict[str, Any]] = field(default_factory=list)

    def rotate(self, kid: str, *, algorithm: str = "", publish: bool = True) -> None:
        """Sign with another key from now on."""
        self.kid, self.algorithm = kid, algorithm or self.algorithm
        self.key, public = new_key(self.algorithm, kid)
        self.jwks = [public] if publish else self.jwks

    def app(self) -> web.Application:
        """The provider over HTTP."""
        app = web.Application(middlewares=[self._before])
        app.router.add_get("/.well-known/openid-configuration", self._discovery)
        app.router.add_get("/authorize", self._authorize)
        app.router.add_post("/token", self._token)
        app.router.add_get("/jwks", self._jwks)
        app.router.add_get("/userinfo", self._userinfo)
        app.router.add_get("/end", self._end)
        return app

    @web.middleware
    async def _before(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked.append(request.path)
        if request.path in self.away:
            return web.Response(status=503, text="away")
        return await handler(request)

    async def _discovery(self, _: web.Request) -> web.Response:
        said = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/jwks",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "end_session_endpoint": f"{self.url}/end",
            "response_types_supported": ["code"],
            "token_endpoint_auth_methods_supported": [self.method],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "authorization_response_iss_parameter_supported": True,
        }
        return web.json_response(said | self.discovery)

    async def _authorize(self, request: web.Request) -> web.Response:
        asked = dict(request.query)
        if len(asked) != len(request.query) or asked.get("client_id") != CLIENT_ID:
            return web.Response(status=400, text="unknown client")
        if asked.get("redirect_uri") not in self.redirects:
            return web.Response(status=400, text="unknown redirect_uri")
        strict = (
            asked.get("response_type") == "code"
            and "openid" in asked.get("scope", "").split()
            and asked.get("code_challenge_method") == "S256"
            and len(asked.get("code_challenge", "")) == 43
            and len(asked.get("state", "")) >= 22
            and len(asked.get("nonce", "")) >= 22
        )
        if not strict:
            return web.Response(status=400, text="invalid request")
        if self.answer is None:
            code = secrets.token_urlsafe(24)
            self.codes[code] = asked
            given = {"code": code}
        else:
            given = dict(self.answer)
        given |= {"state": asked["state"], "iss": self.url}
        return web.Response(status=302, headers={"Location": f"{asked['redirect_uri']}?{urlencode(given)}"})

    async def _token(self, request: web.Request) -> web.Response:
        pairs = list((await request.post()).items())
        form = dict(pairs)
        if len(form) != len(pairs) or form.get("grant_type") != "authorization_code":
            return _no("invalid_request")
        if not self._knows(request, form):
            return _no("invalid_client", 401)
        asked = self.codes.pop(str(form.get("code")), None)
        verifier = str(form.get("code_verifier", ""))
        challenge = _b64(hashlib.sha256(verifier.encode()).digest())
        if not asked or asked["redirect_uri"] != form.get("redirect_uri") or asked["code_challenge"] != challenge:
            return _no("invalid_grant")
        access = secrets.token_urlsafe(24)
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": CLIENT_ID,
            "sub": "248289761001",
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            "at_hash": _b64(hashlib.sha256(access.encode()).digest()[:16]),
            **self.claims,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        token = self.forge(claims, self.kid) if self.forge else self.sign(claims)
        return web.json_response({"access_token": access, "token_type": "Bearer", "expires_in": 300, "id_token": token})

    def sign(self, claims: dict[str, Any]) -> str:
        """An ID token of these claims."""
        return jwt.encode(claims, self.key, algorithm=self.algorithm, headers={"kid": self.kid})

    def _knows(self, request: web.Request, form: dict[str, Any]) -> bool:
        """Whether the client proves itself in the one way that is its own."""
        header, in_form = request.headers.get("Authorization", ""), form.get("client_secret")
        if self.method == "client_secret_basic":
            scheme, _, sent = header.partition(" ")
            name, _, secret = base64.b64decode(sent or "").decode().partition(":")
            return scheme == "Basic" and in_form is None and (unquote(name), unquote(secret)) == (CLIENT_ID, SECRET)
        if self.method == "client_secret_post":
            return not header and form.get("client_id") == CLIENT_ID and in_form == SECRET
        return not header and in_form is None and form.get("client_id") == CLIENT_ID

    async def _jwks(self, _: web.Request) -> web.Response:
        return web.json_response({"keys": self.jwks})

    async def _userinfo(self, request: web.Request) -> web.Response:
        if not request.headers.get("Authorization", "").startswith("Bearer "):
            return _no("invalid_token", 401)
        return web.json_response({"sub": "248289761001", **self.userinfo})

    async def _end(self, request: web.Request) -> web.Response:
        return web.Response(text=f"signed out of {request.query.get('client_id')}")


def _no(error: str, status: int = 400) -> web.Response:
    return web.Response(status=status, text=json.dumps({"error": error}), content_type="application/json")


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@asynccontextmanager
async def running_provider() -> AsyncIterator[Provider]:
    """A provider on a free port of loopback, with one key and one person."""
    provider = Provider(claims={"name": "Ada Lovelace", "groups": ["staff", "sre"]})
    provider.rotate("first")
    async with TestServer(provider.app()) as server:
        provider.url = f"http://127.0.0.1:{server.port}"
        yield provider
