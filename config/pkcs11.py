"""Keys that are wrapped by a PKCS#11 token: a hardware security module, a cloud's, or SoftHSM.

AFTERWORD_KEYS_PROVIDER is a URI of RFC 7512: `pkcs11:token=afterword;object=wrap-1?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/afterword/pin`.
A line is `pkcs11:v1:OBJECT:BASE64`: the label of the wrapping key, and nonce and ciphertext of AES-GCM (12 bytes, 32 and 16).
"""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from config.guessable import KEY_BYTES
from config.private_file import read_private
from config.settings import ConfigError

NONCE_BYTES = 12
TAG_BITS = 128
PURPOSE = b"afterword key v1"
PATH_NAMES = frozenset({"token", "serial", "object", "type"})
QUERY_NAMES = frozenset({"module-path", "pin-source"})
EXAMPLE = "pkcs11:token=TOKEN;object=KEY?module-path=/PATH/TO/MODULE.so&pin-source=file:/PATH/TO/PIN"


class ProviderAway(ConfigError):
    """A key provider that doesn't answer now, and may later."""


class Pkcs11:
    """One token and the AES key in it that wraps ours. Each call opens a session of its own, and logs in."""

    scheme = "pkcs11"

    def __init__(self, address: str) -> None:
        """Takes the URI apart; raises `ConfigError` that names what is wrong with it, and never quotes a PIN."""
        path, _, query = address.removeprefix("pkcs11:").partition("?")
        self._where = _attributes(path, ";", PATH_NAMES)
        how = _attributes(query, "&", QUERY_NAMES)
        missing = {"object", "module-path"} - self._where.keys() - how.keys()
        if missing or not {"token", "serial"} & self._where.keys():
            wanted = ", ".join(sorted(missing)) or "token"
            raise ConfigError(f"AFTERWORD_KEYS_PROVIDER lacks {wanted}; write it as {EXAMPLE}")
        self._module = how["module-path"]
        self._object = self._where["object"]
        self._pin_source = how.get("pin-source")
        self._token = f"token {self._where.get('token') or self._where['serial']!r}"
        self._one_login = threading.Lock()  # a login counts for all sessions of a process

    def wrap(self, key: bytes) -> str:
        """That key under the wrapping key that the setting names."""
        nonce = os.urandom(NONCE_BYTES)
        with self._wrapping_key(self._object) as wrapping:
            sealed = wrapping.encrypt(key, **_gcm(nonce))
        return f"pkcs11:v1:{quote(self._object, safe='')}:{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def unwrap(self, line: str) -> bytes:
        """The key in a line, opened by the wrapping key that the line names."""
        from pkcs11 import exceptions as of

        label, sealed = _taken_apart(line)
        with self._wrapping_key(label) as wrapping:
            try:
                return bytes(wrapping.decrypt(sealed[NONCE_BYTES:], **_gcm(sealed[:NONCE_BYTES])))
            except (of.EncryptedDataInvalid, of.EncryptedDataLenRange, of.GeneralError, of.FunctionFailed):
                raise ConfigError(
                    f"Key {label!r} of PKCS#11 {self._token} doesn't open a line that names it: the line was changed, or the key is "
                    "another one. Take the line from a copy of the key file."
                ) from None

    def is_current(self, line: str) -> bool:
        """Whether the setting's object wrapped that line."""
        return _taken_apart(line)[0] == self._object

    @contextmanager
    def _wrapping_key(self, label: str) -> Iterator[Any]:
        """The wrapping key of that label, for as long as its session is open; every trouble becomes one sentence."""
        pin = self._pin()
        try:
            import pkcs11
        except ImportError:
            raise ConfigError(
                "AFTERWORD_KEYS_PROVIDER needs a package that is not installed: `pip install 'afterword[pkcs11]'`."
            ) from None
        serial = self._where.get("serial")
        with self._one_login, ExitStack() as undone:
            try:
                library = pkcs11.lib(self._module)
                undone.callback(_begin_anew, library)  # a module doesn't find again by itself what was away
                token = library.get_token(
                    token_label=self._where.get("token"), token_serial=serial.encode() if serial else None
                )
                with token.open(user_pin=pin) as session:
                    yield _only_key(session, label)
                undone.pop_all()
            except pkcs11.PKCS11Error as error:
                raise self._told(error, label) from None

    def _told(self, error: Exception, label: str) -> ConfigError:
        """What an error of the module means, and what to do."""
        name = type(error).__name__
        match name:
            case "PinIncorrect" | "PinInvalid" | "PinLenRange":
                said = f"{self._token} refuses the PIN in {self._pin_source}. Correct it first: a token locks after a few tries."
            case "PinLocked":
                said = f"{self._token} has locked its PIN after too many tries; set a new one as its security officer."
            case "UserNotLoggedIn":
                said = f"{self._token} wants a PIN: add `pin-source=file:/PATH` to AFTERWORD_KEYS_PROVIDER."
            case "NoSuchKey" if self._pin_source is None:
                said = f"{self._token} shows no AES key {label!r} without a PIN: add `pin-source=file:/PATH` to AFTERWORD_KEYS_PROVIDER."
            case "NoSuchKey":
                said = f"{self._token} has no AES key {label!r}. Restore it from the token's backup: what it wrapped can't be opened without it."
            case "MultipleObjectsReturned":
                said = f"{self._token} has several AES keys {label!r}; give each its own label."
            case "MultipleTokensReturned":
                said = f"{self._token} is there more than once; name one by `serial=`."
            case "MechanismInvalid" | "MechanismParamInvalid" | "FunctionNotSupported" | "KeyTypeInconsistent":
                said = f"{self._token} can't do AES-GCM with key {label!r}: AES of 256 bits, for encryption and decryption."
            case "PKCS11Error":  # that the module can't be loaded is told by the base class
                said = f"module {self._module} can't be loaded; correct `module-path` in AFTERWORD_KEYS_PROVIDER."
            case "NoSuchToken" | "TokenNotPresent" | "DeviceRemoved" | "SlotIDInvalid":
                return ProviderAway(
                    f"PKCS#11 {self._token} is not there. See that its device or service runs; `pkcs11-tool --module {self._module} -L` lists tokens."
                )
            case _:
                return ProviderAway(
                    f"PKCS#11 {self._token} doesn't answer ({name}). See that its device or service runs, and that this user may use it."
                )
        return ConfigError(f"PKCS#11 {said}")

    def _pin(self) -> str | None:
        if self._pin_source is None:
            return None
        path = Path(self._pin_source.removeprefix("file:"))
        if not path.is_absolute():
            raise ConfigError("AFTERWORD_KEYS_PROVIDER: write `pin-source` as file: and the whole path of a file.")
        try:
            return read_private(path, "The PIN file").strip()
        except FileNotFoundError:
            raise ConfigError(
                f"There is no PIN file {path}; correct `pin-source` in AFTERWORD_KEYS_PROVIDER."
            ) from None


def _only_key(session: Any, label: str) -> Any:
    """The secret key of that label. The search is read to its end: one that is left open complains when it is cleared away."""
    import pkcs11

    wanted = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY, pkcs11.Attribute.LABEL: label}
    found = list(session.get_objects(wanted))
    if len(found) == 1:
        return found[0]
    raise pkcs11.MultipleObjectsReturned if found else pkcs11.NoSuchKey


def _begin_anew(library: Any) -> None:
    import pkcs11

    with suppress(pkcs11.PKCS11Error):
        library.reinitialize()


def _gcm(nonce: bytes) -> dict[str, Any]:
    import pkcs11

    parameters = pkcs11.GCMParams(nonce=nonce, aad=PURPOSE, tag_bits=TAG_BITS)
    return {"mechanism": pkcs11.Mechanism.AES_GCM, "mechanism_param": parameters}


def _taken_apart(line: str) -> tuple[str, bytes]:
    """The label of the wrapping key, and nonce with ciphertext; raises `ConfigError`."""
    match line.split(":"):
        case ["pkcs11", "v1", label, text]:
            try:
                sealed = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
            except ValueError:
                sealed = b""
            if len(sealed) == NONCE_BYTES + KEY_BYTES + TAG_BITS // 8:
                return unquote(label), sealed
    raise ConfigError(
        "A wrapped key is cut off or changed; it is written `pkcs11:v1:KEY:BASE64`. Take the line from a copy of the key file."
    )


def _attributes(text: str, between: str, known: frozenset[str]) -> dict[str, str]:
    """The attributes of a part of the URI; raises `ConfigError` for one that is unknown."""
    found = {}
    for name, _, value in (part.partition("=") for part in text.split(between) if part):
        if name == "pin-value":
            raise ConfigError(
                "AFTERWORD_KEYS_PROVIDER holds the PIN itself; write it into a file (mode 0600) and name that: pin-source=file:/PATH."
            )
        if name not in known or not value:
            raise ConfigError(f"AFTERWORD_KEYS_PROVIDER: {name[:30]!r} is unknown or empty; write it as {EXAMPLE}")
        found[name] = unquote(value)
    return found
