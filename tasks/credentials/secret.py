"""What is secret about each kind of credential: which parts, how an operator gives them, how they are kept together."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC
from typing import TYPE_CHECKING, NamedTuple

from tasks.credentials.kinds import AnyAuth
from tasks.errors import Refused

if TYPE_CHECKING:
    from cryptography import x509

_PEM = re.compile(r"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----", re.DOTALL)


class Part(NamedTuple):
    """One secret: its name, what people call it, whether it must be there, and whether it is a PEM file."""

    name: str
    words: str
    required: bool = True
    pem: bool = False


SECRET = Part("secret", "secret (token, password or PAT)")
_CLIENT = Part("client_secret", "client secret")
PARTS: Mapping[str, tuple[Part, ...]] = {
    "client-credentials": (_CLIENT,),
    "password": (_CLIENT, Part("password", "password of the account")),
    "jwt": (_CLIENT._replace(required=False), Part("private_key", "private key (PEM)", pem=True)),
    "certificate": (Part("private_key", "private key and certificate (PEM)", pem=True),),
    "workload-identity": (),
    "login": (_CLIENT._replace(required=False), Part("refresh_token", "refresh token", required=False)),
}


def parts_for(auth: AnyAuth | None) -> tuple[Part, ...]:
    """The secret parts of a kind of credential."""
    return (SECRET,) if auth is None else PARTS.get(auth.type, (SECRET,))


def needs_secret(auth: AnyAuth | None) -> bool:
    """Whether there is nothing to log in with before an operator has given a secret."""
    return any(part.required for part in parts_for(auth))


def as_stored(auth: AnyAuth | None, given: str) -> str:
    """What is sealed, from what an operator gave: one line, a PEM file, several lines in the order of the parts, or a JSON
    object of the parts by name. Raises `Refused`, never showing what was given.
    """
    parts = parts_for(auth)
    if parts == (SECRET,):
        return given
    found = _by_name(given, parts) if given.lstrip().startswith("{") else _in_order(given, parts)
    for part in parts:
        if part.required and not found.get(part.name):
            raise _bad(f"The {part.words} is missing.", parts)
        if part.pem and part.name in found:
            _check_pem(found[part.name], certificate=auth is not None and auth.type == "certificate")
        elif any(not character.isprintable() for character in found.get(part.name, "")):
            raise _bad(f"The {part.words} holds control characters.", parts)
    return json.dumps(found, sort_keys=True)


def opened(auth: AnyAuth | None, stored: str | None) -> dict[str, str]:
    """The parts by name; none where nothing is stored."""
    if stored is None:
        return {}
    if parts_for(auth) == (SECRET,):
        return {SECRET.name: stored}
    try:
        found = json.loads(stored)
    except ValueError:
        found = None
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def certificate_of(pem: str) -> x509.Certificate:
    """The first certificate of a PEM file; raises `ValueError` where there is none."""
    from cryptography import x509  # on use, as below: most credentials are a token, and most commands open none

    return x509.load_pem_x509_certificate(pem.encode())


def end_of_certificate_ms(parts: Mapping[str, str]) -> int | None:
    """When the certificate among the parts ends (epoch milliseconds); None where there is none."""
    pem = parts.get("private_key", "")
    if "BEGIN CERTIFICATE" not in pem:
        return None
    return int(certificate_of(pem).not_valid_after_utc.astimezone(UTC).timestamp() * 1000)


def _by_name(given: str, parts: tuple[Part, ...]) -> dict[str, str]:
    try:
        found = json.loads(given)
    except (ValueError, RecursionError):
        raise _bad("The secret begins like JSON and is none.", parts) from None
    known = {part.name for part in parts}
    if not isinstance(found, dict) or not all(k in known and isinstance(v, str) for k, v in found.items()):
        raise _bad("The secret's parts are not those of this kind of credential.", parts)
    return {name: value.strip() for name, value in found.items() if value.strip()}


def _in_order(given: str, parts: tuple[Part, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    pem = next((part for part in parts if part.pem), None)
    if pem is not None:
        blocks = [match[0] for match in _PEM.finditer(given)]
        if blocks:
            found[pem.name] = "\n".join(blocks) + "\n"
        given = _PEM.sub("\n", given)
    lines = [line.strip() for line in given.splitlines() if line.strip()]
    plain = [part for part in parts if not part.pem]
    if len(lines) > len(plain):
        raise _bad("The secret has more lines than this kind of credential has parts.", parts)
    wanted = plain if len(lines) == len(plain) else [*filter(lambda part: part.required, plain), *plain]
    return found | {part.name: line for part, line in zip(wanted, lines, strict=False)}


def _check_pem(pem: str, *, certificate: bool) -> None:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise Refused(
            "The private key can't be read.",
            code="bad_secret",
            advice="Give an RSA key in PEM form, without a passphrase.",
        )
    if not certificate:
        return
    try:
        ours = certificate_of(pem).public_key() == key.public_key()
    except ValueError:
        ours = False
    if not ours:
        raise Refused(
            "The certificate of this key is missing.",
            code="bad_secret",
            advice="Give one PEM file that holds the private key and its certificate.",
        )


def _bad(message: str, parts: tuple[Part, ...]) -> Refused:
    names = ", ".join(f"`{part.name}`" + ("" if part.required else " (optional)") for part in parts) or "none"
    return Refused(
        message,
        code="bad_secret",
        advice=f"Its parts are: {names}. Give them at the prompts, one a line in this order, or as a JSON object.",
    )
