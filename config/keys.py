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
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from pydantic import SecretStr

from config.settings import ConfigError, Settings

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0

KEY_BYTES = 32
FEWEST_DISTINCT_BYTES = 16
SYSTEMD_NAME = "afterword-keys"
# Ids of keys that stand in public documents: the test vectors of the Fernet specification.
OUR_WORDS = ("", "afterword", "changeme", "change-me", "fernet", "incident", "postmortem", "rootcause", "Password")
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
    source = key_file(settings, environ)
    if source is not None:
        return _read(source)
    log.warning("AFTERWORD_KEYS puts keys into the environment; a file (AFTERWORD_KEYS_FILE) is safer.")
    given = settings.keys.get_secret_value() if settings.keys else ""
    return parse_keys(given.replace(",", "\n").split("\n"), "AFTERWORD_KEYS")


class FollowedKeys:
    """The key ring of a process that outlives a rotation: a changed key file counts within `LOOK_EVERY_S`, and at once
    where a record names a key that isn't on the ring.

    A file that is gone or unusable at that moment changes nothing; what is wrong with it is logged once.
    """

    def __init__(self, path: Path, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._monotonic_s = monotonic_s
        self._looked_s = monotonic_s()
        self._seen = _signature(path)
        self._ring = _read(path)

    @property
    def current(self) -> tuple[str, bytes]:
        """The key that new records are sealed with."""
        self._look_again()
        return self._ring.current

    def get(self, key_id: str) -> bytes | None:
        """The key of that id, or None."""
        self._look_again()
        if self._ring.get(key_id) is None:
            self._look()
        return self._ring.get(key_id)

    def _look_again(self) -> None:
        if self._monotonic_s() - self._looked_s >= LOOK_EVERY_S:
            self._look()

    def _look(self) -> None:
        self._looked_s = self._monotonic_s()
        signature = _signature(self._path)
        if signature != self._seen:
            self._seen = signature
            try:
                self._ring = _read(self._path)
            except ConfigError as trouble:
                log.error("%s The keys read before stay in use.", trouble)


def follow_key_ring(settings: Settings, environ: Mapping[str, str] | None = None) -> KeyRing | FollowedKeys:
    """The key ring of a long-running process; follows its file where it has one. Raises `ConfigError`."""
    source = key_file(settings, environ)
    return load_key_ring(settings, environ) if source is None else FollowedKeys(source)


def key_file(settings: Settings, environ: Mapping[str, str] | None = None) -> Path | None:
    """The file that the keys come from, None where they come from the environment; raises `ConfigError`."""
    sources = explicit_sources(settings, os.environ if environ is None else environ)
    if len(sources) > 1:
        raise ConfigError(f"Keys come from {' and '.join(sources)} at once; keep one of them.")
    for source in sources.values():
        return source if isinstance(source, Path) else None
    return Path(settings.instance().get("keys_file") or settings.data / "keys")


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _read(path: Path) -> KeyRing:
    if path.is_symlink():
        raise ConfigError(f"The key file {path} is a symbolic link; name the file itself.")
    try:
        mode = path.stat().st_mode
        text = path.read_text("utf-8")
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise ConfigError(
                f"There is no folder {path.parent}. If Afterword runs elsewhere, say where (--data, AFTERWORD_DATA, "
                "AFTERWORD_KEYS_FILE); if it never ran here, start it: `afterword up`."
            ) from None
        raise ConfigError(
            f"There is no key file {path}. Make one with `afterword key new --out {path}`, "
            "or set AFTERWORD_KEYS_FILE to the one this Redis was set up with."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The key file {path} can't be read ({type(error).__name__}).") from None
    # systemd lets a service's user read a credential by an ACL, which shows as the group's right to read.
    by_acl = stat.S_IRGRP if str(path.parent) == os.environ.get("CREDENTIALS_DIRECTORY") else 0
    if mode & (stat.S_IRWXG | stat.S_IRWXO) & ~by_acl:
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


def refuse_guessable(settings: Settings) -> None:
    """Raise `ConfigError` for a key that is the digest of a common password: whoever tries 30,000 of them has it.

    Takes a tenth of a second, so it is for processes that start to stay.
    """
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    ring = load_key_ring(settings)
    keys = {ring.get(key_id) for key_id in ring.order}
    for word in (*OUR_WORDS, *FREQUENCY_LISTS["passwords"]):
        if not keys.isdisjoint(_digests(word.encode())):
            raise ConfigError(
                "A key is the digest of a common password. Make another with `afterword key new`; for what is stored "
                "already, add it to the key file and run `afterword key rotate`."
            )


def _digests(word: bytes) -> tuple[bytes, ...]:
    """The usual digests of a word, made 32 bytes long as people do it: cut, or repeated."""
    return (
        hashlib.sha256(word).digest(),
        hashlib.sha512(word).digest()[:KEY_BYTES],
        hashlib.blake2b(word, digest_size=KEY_BYTES).digest(),
        hashlib.sha3_256(word).digest(),
        hashlib.md5(word).digest() * 2,  # noqa: S324 - what others did with it
    )


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


def add_key(path: Path) -> str:
    """Put a new key before the others of a key file, in one step; returns its id. Raises `ConfigError`."""
    _read(path)
    fresh = new_key()
    lines = path.read_text("utf-8").splitlines()
    first = next(number for number, line in enumerate(lines) if line.strip() and not line.strip().startswith("#"))
    _replace(path, [*lines[:first], fresh, *lines[first:]])
    return parse_keys([fresh], "the new key").order[0]


def drop_keys(path: Path, key_ids: frozenset[str]) -> None:
    """Take keys out of a key file, in one step. The current key stays whatever is asked."""
    ring = _read(path)
    gone = key_ids - {ring.order[0]}
    _replace(path, [line for line in path.read_text("utf-8").splitlines() if _id_of_line(line) not in gone])


def _id_of_line(line: str) -> str | None:
    text = line.strip()
    return None if not text or text.startswith("#") else key_id_of(base64.urlsafe_b64decode(text))


def _replace(path: Path, lines: list[str]) -> None:
    """Write the file anew beside itself and move it there, so that a reader sees the old one or the new one."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} can't be written: {error.strerror}.") from None
