"""Which credentials the simulated vendors take: any that is well formed and doesn't call itself wrong."""

from __future__ import annotations

import base64
import binascii

from aiohttp import web

BAD = ("wrong", "invalid", "expired", "revoked")


def secret_of(request: web.Request) -> str:
    """The secret in the request's credential; empty where there is none."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value).decode().partition(":")[2]
        except (binascii.Error, ValueError):
            return ""
    return value if scheme.lower() == "bearer" else request.headers.get("x-sn-apikey", "")


def refused(request: web.Request) -> bool:
    """True where a vendor would refuse the credential."""
    secret = secret_of(request).lower()
    return not secret or any(word in secret for word in BAD)
