"""A PKCS#11 token in software (SoftHSM), in a folder of its own, with a wrapping key in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm.so",
)
PIN = "9876-not-a-real-pin"


def module() -> str:
    """The token's library; skips the test where this machine has none."""
    pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed")
    found = next((path for path in MODULES if Path(path).exists()), None)
    if found is None or shutil.which("softhsm2-util") is None:
        pytest.skip("SoftHSM is not installed (Debian: softhsm2)")
    return found


@dataclass(frozen=True)
class Token:
    """A token's places. Whoever opens it needs `SOFTHSM2_CONF` in its environment."""

    folder: Path
    module: str

    @property
    def config(self) -> str:
        return str(self.folder / "softhsm2.conf")

    @property
    def pin_file(self) -> Path:
        return self.folder / "pin"

    def address(self, wrapping_key: str = "wrap 1") -> str:
        name = wrapping_key.replace(" ", "%20")
        return f"pkcs11:token=afterword;object={name}?module-path={self.module}&pin-source=file:{self.pin_file}"

    def make_key(self, label: str, **template: object) -> None:
        """An AES key that never leaves the token."""
        import pkcs11

        with self.session() as session:
            session.generate_key(pkcs11.KeyType.AES, 256, label=label, store=True, template=template)

    def remove_key(self, label: str) -> None:
        import pkcs11

        with self.session() as session:
            session.get_key(object_class=pkcs11.ObjectClass.SECRET_KEY, label=label).destroy()

    def session(self):
        import pkcs11

        return pkcs11.lib(self.module).get_token(token_label="afterword").open(user_pin=PIN, rw=True)

    def unplug(self) -> None:
        (self.folder / "tokens").rename(self.folder / "away")

    def plug_in(self) -> None:
        (self.folder / "away").rename(self.folder / "tokens")


def make_token(folder: Path, monkeypatch) -> Token:
    """A fresh token with the key `wrap 1`; this process and its children see no other one until the test ends."""
    token = Token(folder, module())
    (folder / "tokens").mkdir(parents=True)
    Path(token.config).write_text(f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\n")
    token.pin_file.write_text(PIN + "\n")
    token.pin_file.chmod(0o600)
    monkeypatch.setenv("SOFTHSM2_CONF", token.config)
    subprocess.run(
        ("softhsm2-util", "--init-token", "--free", "--label", "afterword", "--so-pin", "12345678", "--pin", PIN),
        check=True,
        capture_output=True,
        env=os.environ,
    )
    import pkcs11

    pkcs11.lib(token.module).reinitialize()  # the test before had another folder
    token.make_key("wrap 1")
    return token
