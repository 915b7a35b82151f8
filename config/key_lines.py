"""The lines of a key file: a key as it is, or one that a key provider wrapped.

A provider keeps a *wrapping key* where nobody can copy it, such as a hardware security module, and wraps and opens our keys with it.
So the key file alone opens nothing. A process asks its provider once for each line, and works on when the provider is away.
"""

from __future__ import annotations

import base64
from typing import Protocol

from config.pkcs11 import Pkcs11
from config.settings import ConfigError, Settings


class KeyProvider(Protocol):
    """What a provider promises. Its lines begin with its scheme and a colon; a plain key has no colon in it."""

    scheme: str

    def wrap(self, key: bytes) -> str:
        """That key as a line of a key file; raises `ConfigError` that says what is wrong and what to do."""
        ...

    def unwrap(self, line: str) -> bytes:
        """The key in a line. Raises `ConfigError`; `ProviderAway` where trying again later can help."""
        ...

    def is_current(self, line: str) -> bool:
        """Whether the wrapping key of that line is the one that `wrap` takes."""
        ...


class KeyLines:
    """Reads and writes the lines of a key file; keeps what its provider has opened."""

    def __init__(self, provider: KeyProvider | None = None) -> None:
        self._provider = provider
        self._opened: dict[str, bytes] = {}

    @property
    def wraps(self) -> bool:
        """Whether keys are written wrapped."""
        return self._provider is not None

    def write(self, key: bytes) -> str:
        """The line for a key: wrapped where there is a provider. Raises `ConfigError`."""
        if self._provider is None:
            return base64.urlsafe_b64encode(key).decode()
        line = self._provider.wrap(key)
        self._opened[line] = key
        return line

    def read(self, line: str) -> bytes:
        """The bytes of the key in a line. Raises `ValueError` for one that is no base64, `ConfigError` from the provider."""
        scheme, colon, _ = line.partition(":")
        if not colon:
            return base64.b64decode(line.encode("ascii"), altchars=b"-_", validate=True)
        if self._provider is None:
            raise ConfigError(f"A key is wrapped by {scheme[:20]!r}: set AFTERWORD_KEYS_PROVIDER to what opens it.")
        if scheme != self._provider.scheme:
            raise ConfigError(
                f"A key is wrapped by {scheme[:20]!r}, and AFTERWORD_KEYS_PROVIDER names another provider."
            )
        if line not in self._opened:
            self._opened[line] = self._provider.unwrap(line)
        return self._opened[line]

    def again(self, line: str) -> str:
        """That line as it would be written now: the same where its wrapping key is the current one."""
        if self._provider is None or (":" in line and self._provider.is_current(line)):
            return line
        return self.write(self.read(line))


def key_lines(settings: Settings) -> KeyLines:
    """The lines as AFTERWORD_KEYS_PROVIDER says; raises `ConfigError` where it can't be used."""
    address = settings.keys_provider
    if address is None:
        return KeyLines()
    if address.startswith("pkcs11:"):
        return KeyLines(Pkcs11(address))
    raise ConfigError("AFTERWORD_KEYS_PROVIDER starts with no provider that is known; use pkcs11:, see docs/keys.md.")
