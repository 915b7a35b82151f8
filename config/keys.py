"""The key ring: where it comes from, and what is refused as a key.

Sources, in order: the file `afterword-keys` in `$CREDENTIALS_DIRECTORY` (systemd), `AFTERWORD_KEYS_FILE`,
`AFTERWORD_KEYS`, and for `afterword up` the file `keys` in the data folder. One key a line (Fernet's form: 32 bytes in
urlsafe base64), the newest first; lines that start with `#` are comments. There is no mode without encryption.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from pydantic import SecretStr

from config.settings import ConfigError, Settings

log = logging.getLogger(__name__)

KEY_BYTES = 32
FEWEST_DISTINCT_BYTES = 16
SYSTEMD_NAME = "afterword-keys"
# Ids of keys that stand in public documents: the test vectors of the Fernet specification.
PUBLISHED = frozenset({"001d9086"})


@dataclass(frozen=True)
class KeyRing:
    """Keys by id; the first is current. Its `repr` shows ids only."""

    order: tuple[str, ...]
    _keys: Mapping[str, bytes] = field(repr=False)

    @property
    def current(self) -> tuple[str, bytes]:
        """The key that new records are sealed with."""
        return self.order[0], self._keys[self.order[0]]

    def get(self, key_id: str) -> bytes | None:
        """The key of that id, or None."""
        return self._keys.get(key_id)


def key_id_of(key: bytes) -> str:
    """A key's id: eight hex digits that tell nothing of the key."""
    return hashlib.sha256(b"afterword key id" + key).hexdigest()[:8]


def explicit_sources(settings: Settings, environ: Mapping[str, str]) -> dict[str, Path | SecretStr]:
    """The places that an operator named for keys, by what names them."""
    found: dict[str, Path | SecretStr] = {}
    directory = environ.get("CREDENTIALS_DIRECTORY")
    if directory and (Path(directory) / SYSTEMD_NAME).exists():
        found["$CREDENTIALS_DIRECTORY"] = Path(directory) / SYSTEMD_NAME
    if settings.keys_file:
        found["AFTERWORD_KEYS_FILE"] = settings.keys_file
    if settings.keys:
        found["AFTERWORD_KEYS"] = settings.keys
    return found


def load_key_ring(settings: Settings, environ: Mapping[str, str] | None = None) -> KeyRing:
    """The key ring of this process; raises `ConfigError` naming the source, never showing a key.

    Without a named source it is the file that the running `afterword up` uses, or `keys` in the data folder.
    """
    sources = explicit_sources(settings, os.environ if environ is None else environ)
    if len(sources) > 1:
        raise ConfigError(f"Keys come from {' and '.join(sources)} at once; keep one of them.")
    for name, source in sources.items():
        if isinstance(source, Path):
            return _read(source)
        log.warning("AFTERWORD_KEYS puts keys into the environment; a file (AFTERWORD_KEYS_FILE) is safer.")
        return parse_keys(source.get_secret_value().replace(",", "\n").split("\n"), name)
    return _read(Path(settings.instance().get("keys_file") or settings.data / "keys"))


def _read(path: Path) -> KeyRing:
    if path.is_symlink():
        raise ConfigError(f"The key file {path} is a symbolic link; name the file itself.")
    try:
        mode = path.stat().st_mode
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"There is no key file {path}. Make one with `afterword key new --out {path}`, "
            "or set AFTERWORD_KEYS_FILE to the one this Redis was set up with."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The key file {path} can't be read ({type(error).__name__}).") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"The key file {path} is open to others (mode {mode & 0o777:04o}); run `chmod 600 {path}`.")
    return parse_keys(text.splitlines(), f"The key file {path}")


def parse_keys(lines: list[str], source: str) -> KeyRing:
    """The ring of those keys; raises `ConfigError` for one that is malformed or weak."""
    keys: dict[str, bytes] = {}
    for number, line in enumerate((line.strip() for line in lines), 1):
        if not line or line.startswith("#"):
            continue
        try:
            key = base64.b64decode(line.encode("ascii"), altchars=b"-_", validate=True)
        except (ValueError, UnicodeEncodeError):
            raise ConfigError(
                f"{source}: the key in line {number} is not urlsafe base64; make one with `afterword key new`."
            ) from None
        if len(key) != KEY_BYTES:
            raise ConfigError(
                f"{source}: the key in line {number} has {len(key)} bytes, not 32; make one with `afterword key new`."
            )
        if is_weak(key) or key_id_of(key) in PUBLISHED:
            raise ConfigError(
                f"{source}: the key in line {number} is a constant, patterned or published key, as samples are; make one with `afterword key new`."
            )
        keys[key_id_of(key)] = key
    if not keys:
        raise ConfigError(f"{source} holds no key; make one with `afterword key new`.")
    return KeyRing(tuple(keys), keys)


def is_weak(key: bytes) -> bool:
    """True for keys that nobody drew at random: few distinct bytes, an even step from byte to byte, readable text."""
    steps = {(after - before) % 256 for before, after in pairwise(key)}
    readable = all(0x20 <= byte < 0x7F for byte in key)
    return len(set(key)) < FEWEST_DISTINCT_BYTES or len(steps) == 1 or readable


def new_key() -> str:
    """A fresh key in the file's form."""
    return base64.urlsafe_b64encode(os.urandom(KEY_BYTES)).decode()


def create_key_file(path: Path) -> None:
    """Make a key file (0600) with one new key; raises `ConfigError` where a file exists already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError(f"{path} exists already; it is kept as it is.") from None
    except OSError as error:
        raise ConfigError(f"{path} can't be written: {error.strerror}.") from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(
            f"# Afterword keys: the newest first. Keep a copy; without it nothing stored can be read.\n{new_key()}\n"
        )
