"""Which credentials the simulated vendors take: any that is well formed and doesn't call itself wrong."""

from __future__ import annotations

import base64
import binascii

from aiohttp import web

from worker.sandbox.request_marks import REFUSED, TOKEN_ENDED

BAD = ("wrong", "invalid", "expired", "revoked")


def login_of(request: web.Request) -> tuple[str, str]:
    """The name and the secret in the request's credential; empty where there are none. For comparing only: never logged or stored."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            name, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return "", ""
        return name, secret
    return "", value.strip() if scheme.lower() == "bearer" else request.headers.get("x-sn-apikey", "")


def secret_of(request: web.Request) -> str:
    """The secret alone."""
    return login_of(request)[1]


def fault_of(request: web.Request) -> str | None:
    """Why a vendor would refuse the credential: `missing`, or the word of `BAD` in it. None where it would not."""
    if request.get(TOKEN_ENDED):
        return "expired"
    if request.get(REFUSED):
        return "wrong"
    secret = secret_of(request).lower()
    return next((word for word in BAD if word in secret), None) if secret else "missing"


def by_nobody(request: web.Request) -> bool:
    """True where the credential says that the server should take its bearer for an anonymous visitor."""
    return "anonymous" in secret_of(request).lower()


def by_oauth(request: web.Request) -> bool:
    """True where the request carries a bearer token."""
    return request.headers.get("Authorization", "").lower().startswith("bearer ")
