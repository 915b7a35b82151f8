"""The accounts of the embedded Valkey: those that compose and Kubernetes have, with passwords that this start makes.

`users.acl` beside this file is `deploy/redis/users.acl`, so that there is one text of what each may do.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from importlib import resources

OURS, API, FLOWER, PRODUCER = "afterword", "api", "flower", "producer"
_OWN = re.compile(r"(\S+)afterword:\*")
_USER = re.compile(r"^user (\S+) on #(\w+_HASH) ", re.MULTILINE)


class Accounts:
    """Each account's password, and the users' file with their hashes; `prefix` is that of our keys."""

    def __init__(self, prefix: str) -> None:
        text = resources.files(__package__).joinpath("users.acl").read_text("utf-8")
        hashes = dict(_USER.findall(text))
        self.passwords = {name: secrets.token_urlsafe(24) for name in hashes}
        for name, password in self.passwords.items():
            text = text.replace(f"#{hashes[name]} ", f"#{hashlib.sha256(password.encode()).hexdigest()} ")
        # Under another prefix, too, what version 0.1 set aside stands under ours.
        self.file = text if prefix == "afterword" else _OWN.sub(rf"\g<0> \1{prefix}:*", text)

    def urls(self, port: int) -> dict[str, str]:
        """How each of them logs in to a server on this port."""
        return {name: f"redis://{name}:{word}@127.0.0.1:{port}/0" for name, word in self.passwords.items()}
