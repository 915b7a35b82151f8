"""Secrets and bodies at rest: Fernet tokens bound to the place they were written for.

Fernet authenticates a token but not where it is stored, so a token copied to another record would open there.
Each plaintext therefore carries its context (purpose, owner, field, revision), compared before anything is returned.
Keys are derived for each purpose (HKDF-SHA-256, RFC 5869) from the key ring and chosen by the id in the record.
"""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping
from typing import Protocol

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tasks.errors import KeyTrouble

PREFIX = "aw1"
DIGEST_PREFIX = "awd1"
NO_MOMENT = 0  # a Fernet token shows when it was made, by whose clock nobody knows: nothing asks for it


class Keys(Protocol):
    """A key ring: the current key, and older ones by id. Each key is 32 bytes."""

    @property
    def current(self) -> tuple[str, bytes]:
        """Id and bytes of the key that new records are sealed with."""
        ...

    def get(self, key_id: str) -> bytes | None:
        """The key of that id, or None when it isn't on the ring."""
        ...


class Vault:
    """Seals and opens short records. Holds no plaintext."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._purposes: dict[tuple[str, str], tuple[bytes, bytes, Fernet]] = {}

    @property
    def key_id(self) -> str:
        """The id of the key in use."""
        return self._keys.current[0]

    def seal(self, secret: str, *, purpose: str, owner: str, field: str = "", revision: int = 0) -> str:
        """A record that opens only with the same purpose, owner, field and revision."""
        key_id, key = self._keys.current
        plain = json.dumps(
            {"ctx": [purpose, owner, field, revision], "secret": secret}, separators=(",", ":"), ensure_ascii=True
        )
        token = self._fernet(key_id, key, purpose).encrypt_at_time(plain.encode(), NO_MOMENT)
        return f"{PREFIX}.{key_id}.{token.decode()}"

    def open(self, record: str | bytes, *, purpose: str, owner: str, field: str = "", revision: int = 0) -> str:
        """The secret of `record`; raises `KeyTrouble` naming the record, never showing it."""
        where = f"The {purpose} record of {owner!r}"
        try:
            text = record if isinstance(record, str) else record.decode("utf-8", "replace")
            prefix, key_id, token = text.split(".", 2)
        except ValueError:
            raise KeyTrouble(f"{where} is not a sealed record.", code="not_sealed", advice="Store it again.") from None
        key = self._keys.get(key_id)
        if prefix != PREFIX or key is None:
            raise KeyTrouble(
                f"{where} needs key {key_id[:8]!r}, which is not on the key ring.",
                code="key_unavailable",
                advice="Put that key back into the key file, or store the secret again.",
            )
        try:
            plain = json.loads(self._fernet(key_id, key, purpose).decrypt(token.encode()))
            context, secret = plain["ctx"], str(plain["secret"])
        except (InvalidToken, TypeError, ValueError, KeyError):
            raise KeyTrouble(f"{where} is damaged.", code="damaged", advice="Store it again.") from None
        if context != [purpose, owner, field, revision]:
            raise KeyTrouble(
                f"{where} was written for another place or an older revision.",
                code="context_mismatch",
                advice="Somebody moved it in Redis: check the audit, then store it again.",
            )
        return secret

    def reseal(self, record: str, purpose: str) -> str:
        """The record under the current key, with the context it was sealed with; raises `KeyTrouble`."""
        prefix, key_id, token = record.split(".", 2)
        key = self._keys.get(key_id)
        if prefix != PREFIX or key is None:
            raise KeyTrouble(
                f"Key {key_id[:8]!r} is not on the key ring.", code="key_unavailable", advice="Put it back."
            )
        try:
            plain = self._fernet(key_id, key, purpose).decrypt(token.encode())
        except (InvalidToken, TypeError, ValueError):
            raise KeyTrouble(f"A {purpose} record is damaged.", code="damaged", advice="Store it again.") from None
        new_id, new = self._keys.current
        return f"{PREFIX}.{new_id}.{self._fernet(new_id, new, purpose).encrypt_at_time(plain, NO_MOMENT).decode()}"

    def digest(self, purpose: str, message: bytes, key_id: str | None = None) -> str:
        """A keyed digest to store and compare later by `matches`, also after the current key has changed."""
        named = key_id or self.key_id
        return f"{DIGEST_PREFIX}.{named}.{self.mac(purpose, message, named).hex()}"

    def matches(self, digest: str, purpose: str, message: bytes) -> bool:
        """Whether `digest` was made of this message, in constant time; False where its key is gone."""
        key_id = key_id_of(digest)
        if key_id is None or self._keys.get(key_id) is None:
            return False
        return hmac.compare_digest(digest, self.digest(purpose, message, key_id))

    def mac(self, purpose: str, message: bytes, key_id: str | None = None) -> bytes:
        """HMAC-SHA-256 of `message` under the purpose's own key; raises `KeyTrouble` when the key is gone."""
        return hmac.digest(self.mac_key(purpose, key_id or self.key_id), message, "sha256")

    def mac_key(self, purpose: str, key_id: str) -> bytes:
        """The purpose's own key, for many MACs in a row; raises `KeyTrouble` when the key is gone."""
        key = self._keys.get(key_id)
        if key is None:
            raise KeyTrouble(f"Key {key_id!r} is not on the key ring.", code="key_unavailable", advice="Put it back.")
        return self._derived(key_id, key, purpose)

    def _derived(self, key_id: str, key: bytes, purpose: str) -> bytes:
        """A purpose's own key, derived once for each key of the ring."""
        known = self._purposes.get((key_id, purpose))
        if known is None or known[0] != key:
            derived = _derive(key, purpose)
            known = self._purposes[key_id, purpose] = key, derived, Fernet(derived)
        return known[1]

    def _fernet(self, key_id: str, key: bytes, purpose: str) -> Fernet:
        self._derived(key_id, key, purpose)
        return self._purposes[key_id, purpose][2]


def key_id_of(stored: str) -> str | None:
    """The id of the key that a sealed record or a digest names, by its first 24 characters; None for anything else."""
    parts = stored[:24].split(".", 2)
    return parts[1] if len(parts) == 3 and parts[0] in (PREFIX, DIGEST_PREFIX) else None


def _derive(key: bytes, purpose: str) -> bytes:
    info = f"afterword/{purpose}/v1".encode()
    return base64.urlsafe_b64encode(HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(key))


def seal(secret: str | Mapping[str, str], keys: Keys | None = None) -> str:
    """A sealed token for the `credentials` argument of a connection test sent as a Celery message.

    `secret` is the token, password or PAT alone, `user:secret`, or a mapping such as `{"email": …, "token": …}`.
    Without `keys` the key ring is the one that AFTERWORD_KEYS_FILE, AFTERWORD_KEYS or AFTERWORD_DATA name.
    """
    if keys is None:
        from config.keys import load_key_ring
        from config.settings import Settings

        keys = load_key_ring(Settings())
    text = secret if isinstance(secret, str) else json.dumps(dict(secret))
    return Vault(keys).seal(text, purpose="message", owner="connection test")


def unseal(token: str, vault: Vault) -> str | dict[str, str]:
    """What `seal` was given; raises `KeyTrouble`."""
    text = vault.open(token, purpose="message", owner="connection test")
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else text
