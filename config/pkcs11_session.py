"""One session with a PKCS#11 token, as a process of its own: a module that hangs or crashes takes nobody along.

Started by `config/pkcs11.py` as a file, without the rest of ours. One JSON object comes on stdin, PIN and key included, and one
goes to stdout; neither is ever an argument.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import sys
from contextlib import suppress
from typing import Any


def main() -> None:
    """Answers `{"done": BASE64}`, or `{"error": NAME, "by": "session" or "key"}` with the name of the module's error."""
    asked = json.load(sys.stdin)
    try:
        answer = {"done": base64.b64encode(_done(asked)).decode()}
    except _AtKey as trouble:
        answer = {"error": trouble.name, "by": "key"}
    except Exception as error:  # the one who started this knows what to say
        answer = {"error": type(error).__name__, "by": "session"}
    json.dump(answer, sys.stdout)


class _AtKey(Exception):
    """The session was opened and the key found; encrypting or decrypting failed."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def _done(asked: dict[str, Any]) -> bytes:
    import pkcs11

    _wait_until_alone(asked["module"])
    serial = asked["serial"]
    token = pkcs11.lib(asked["module"]).get_token(
        token_label=asked["token"], token_serial=serial.encode() if serial else None
    )
    with token.open(user_pin=asked["pin"]) as session:
        key = _only_key(session, asked["label"])
        nonce, aad = base64.b64decode(asked["nonce"]), asked["purpose"].encode()
        parameters = pkcs11.GCMParams(nonce=nonce, aad=aad, tag_bits=asked["tag_bits"])
        data = base64.b64decode(asked["data"])
        try:
            if asked["act"] == "encrypt":
                return bytes(key.encrypt(data, mechanism=pkcs11.Mechanism.AES_GCM, mechanism_param=parameters))
            return bytes(key.decrypt(data, mechanism=pkcs11.Mechanism.AES_GCM, mechanism_param=parameters))
        except pkcs11.PKCS11Error as error:
            raise _AtKey(type(error).__name__) from None


def _wait_until_alone(module: str) -> None:
    """Lock that module's file until this process ends: a token of files is damaged where several processes log in at once."""
    with suppress(OSError):  # the module itself says what is wrong with its file
        fcntl.flock(os.open(module, os.O_RDONLY), fcntl.LOCK_EX)


def _only_key(session: Any, label: str) -> Any:
    """The secret key of that label. The search is read to its end: one that is left open complains when it is cleared away."""
    import pkcs11

    wanted = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY, pkcs11.Attribute.LABEL: label}
    found = list(session.get_objects(wanted))
    if len(found) == 1:
        return found[0]
    raise pkcs11.MultipleObjectsReturned if found else pkcs11.NoSuchKey


if __name__ == "__main__":
    main()
