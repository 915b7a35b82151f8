"""Keys that are wrapped by a PKCS#11 token: a hardware security module, a cloud's, or SoftHSM.

AFTERWORD_KEYS_PROVIDER is a URI of RFC 7512: `pkcs11:token=afterword;object=wrap-1?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/afterword/pin`.
A line is `pkcs11:v1:OBJECT:BASE64`: the label of the wrapping key, and nonce and ciphertext of AES-GCM (12 bytes, 32 and 16).
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, unquote

from config.guessable import KEY_BYTES
from config.private_file import read_private
from config.settings import ConfigError

NONCE_BYTES = 12
TAG_BITS = 128
PURPOSE = "afterword key v1"
LIMIT_S = 20.0  # a module over a network logs in within seconds
SESSION = str(Path(__file__).with_name("pkcs11_session.py"))
CHANGED = frozenset({"EncryptedDataInvalid", "EncryptedDataLenRange", "GeneralError", "FunctionFailed"})
PATH_NAMES = frozenset({"token", "serial", "object", "type"})
QUERY_NAMES = frozenset({"module-path", "pin-source"})
EXAMPLE = "pkcs11:token=TOKEN;object=KEY?module-path=/PATH/TO/MODULE.so&pin-source=file:/PATH/TO/PIN"


class ProviderAway(ConfigError):
    """A key provider that doesn't answer now, and may later."""


class Pkcs11:
    """One token and the AES key in it that wraps ours. Each call opens a session in a process of its own, and logs in there."""

    scheme = "pkcs11"

    def __init__(self, address: str, limit_s: float = LIMIT_S) -> None:
        """Takes the URI apart; raises `ConfigError` that names what is wrong with it, and never quotes a PIN. A token has
        `limit_s` seconds for each answer.
        """
        self._limit_s = limit_s
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

    def wrap(self, key: bytes) -> str:
        """That key under the wrapping key that the setting names."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._asked("encrypt", self._object, nonce, key)
        return f"pkcs11:v1:{quote(self._object, safe='')}:{base64.urlsafe_b64encode(nonce + sealed).decode()}"

    def unwrap(self, line: str) -> bytes:
        """The key in a line, opened by the wrapping key that the line names."""
        label, sealed = _taken_apart(line)
        return self._asked("decrypt", label, sealed[:NONCE_BYTES], sealed[NONCE_BYTES:])

    def is_current(self, line: str) -> bool:
        """Whether the setting's object wrapped that line."""
        return _taken_apart(line)[0] == self._object

    def _asked(self, act: str, label: str, nonce: bytes, data: bytes) -> bytes:
        """What the token makes of the data; every trouble becomes one sentence."""
        asked = {
            "act": act,
            "module": self._module,
            "token": self._where.get("token"),
            "serial": self._where.get("serial"),
            "pin": self._pin(),
            "label": label,
            "purpose": PURPOSE,
            "tag_bits": TAG_BITS,
            "nonce": base64.b64encode(nonce).decode(),
            "data": base64.b64encode(data).decode(),
        }
        try:
            session = subprocess.run(  # noqa: S603 - our own file, by our own interpreter
                (sys.executable, "-P", SESSION),
                input=json.dumps(asked).encode(),
                capture_output=True,
                timeout=self._limit_s,
                check=False,
            )
            answer = json.loads(session.stdout)
        except subprocess.TimeoutExpired:
            raise ProviderAway(
                f"PKCS#11 {self._token} gave no answer in {self._limit_s:g} s. See that its device or service runs and isn't busy."
            ) from None
        except ValueError:
            raise ProviderAway(
                f"Module {self._module} of PKCS#11 {self._token} ended its process ({session.returncode}). Ask its maker, or correct "
                "`module-path` in AFTERWORD_KEYS_PROVIDER."
            ) from None
        if "done" in answer:
            return base64.b64decode(answer["done"])
        if answer["by"] == "key" and answer["error"] in CHANGED and act == "decrypt":
            raise ConfigError(
                f"Key {label!r} of PKCS#11 {self._token} doesn't open a line that names it: the line was changed, or the key is "
                "another one. Take the line from a copy of the key file."
            )
        raise self._told(answer["error"], label)

    def _told(self, name: str, label: str) -> ConfigError:
        """What an error of the module means, and what to do."""
        match name:
            case "ImportError" | "ModuleNotFoundError":
                return ConfigError(
                    "AFTERWORD_KEYS_PROVIDER needs a package that is not installed: `pip install 'afterword[pkcs11]'`."
                )
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
