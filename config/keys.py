"""The key ring: where it comes from, and what is refused as a key.

Sources, in order: the file `afterword-keys` in `$CREDENTIALS_DIRECTORY` (systemd), `AFTERWORD_KEYS_FILE`,
`AFTERWORD_KEYS`, and for `afterword up` the file `keys` in the data folder. One key a line, the newest first: 32 bytes in
urlsafe base64 (Fernet's form), or wrapped by a provider (`config/key_lines.py`). Lines that start with `#` are comments.
There is no mode without encryption.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr

from config.guessable import KEY_BYTES, is_guessable, is_weak
from config.key_lines import KeyLines, key_lines
from config.pkcs11 import ProviderAway
from config.private_file import read_private
from config.settings import ConfigError, Settings

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0

AGAIN_EVERY_S = 30.0
PATIENCE_S = 2.0  # shorter than the life of a heartbeat: whoever asks for a key may be an event loop
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
    source = key_file(settings, environ)
    form = key_lines(settings)
    if source is not None:
        return _read(source, form)
    log.warning("AFTERWORD_KEYS puts keys into the environment; a file (AFTERWORD_KEYS_FILE) is safer.")
    given = settings.keys.get_secret_value() if settings.keys else ""
    return parse_keys(given.replace(",", "\n").split("\n"), "AFTERWORD_KEYS", form)


class FollowedKeys:
    """The key ring of a process that outlives a rotation: a changed key file counts within `LOOK_EVERY_S`, and at once
    where a record names a key that isn't on the ring.

    A file that is gone or unusable at that moment changes nothing; what is wrong with it is logged once. Where a key's
    provider is away, it is asked again every `AGAIN_EVERY_S`. A provider that takes longer than `patience_s` goes on in the
    background: its keys count when it has opened them.
    """

    def __init__(
        self,
        path: Path,
        monotonic_s: Callable[[], float] = time.monotonic,
        form: KeyLines | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._path = path
        self._monotonic_s = monotonic_s
        self._form = form or KeyLines()
        self._looked_s = monotonic_s()
        self._again_s: float | None = None
        self._seen = _signature(path)
        self._ring = _read(path, self._form)
        self._patience_s = patience_s
        self._reading = threading.Thread()

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
        changed = signature != self._seen
        again = self._again_s is not None and self._looked_s >= self._again_s
        if self._reading.is_alive() or not (changed or again):
            return
        self._seen, self._again_s = signature, None
        self._reading = threading.Thread(target=self._read, args=(changed, self._looked_s), daemon=True)
        self._reading.start()
        self._reading.join(self._patience_s)

    def _read(self, changed: bool, now_s: float) -> None:
        try:
            self._ring = _read(self._path, self._form)
        except ConfigError as trouble:
            if isinstance(trouble, ProviderAway):
                self._again_s = now_s + AGAIN_EVERY_S
            if changed:
                log.error("%s The keys read before stay in use.", trouble)


def follow_key_ring(settings: Settings, environ: Mapping[str, str] | None = None) -> KeyRing | FollowedKeys:
    """The key ring of a long-running process; follows its file where it has one. Raises `ConfigError`."""
    source = key_file(settings, environ)
    return load_key_ring(settings, environ) if source is None else FollowedKeys(source, form=key_lines(settings))


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


def _read(path: Path, form: KeyLines) -> KeyRing:
    try:
        text = read_private(path, "The key file")
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
    return parse_keys(text.splitlines(), f"The key file {path}", form)


def parse_keys(lines: list[str], source: str, form: KeyLines | None = None) -> KeyRing:
    """The ring of those keys; raises `ConfigError` for one that is malformed or weak, or can't be opened."""
    form = form or KeyLines()
    keys: dict[str, bytes] = {}
    for number, line in enumerate((line.strip() for line in lines), 1):
        if not line or line.startswith("#"):
            continue
        try:
            key = form.read(line)
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


def refuse_guessable(settings: Settings) -> None:
    """Raise `ConfigError` for a key that is made of words, or the digest of a common password.

    Takes a quarter of a second, so it is for processes that start to stay.
    """
    ring = load_key_ring(settings)
    why = is_guessable([key for key_id in ring.order if (key := ring.get(key_id))])
    if why:
        raise ConfigError(
            f"A key {why}. Make another with `afterword key new`; for what is stored "
            "already, add it to the key file and run `afterword key rotate`."
        )


def new_key() -> str:
    """A fresh key in the file's form, plain."""
    return base64.urlsafe_b64encode(os.urandom(KEY_BYTES)).decode()


def create_key_file(path: Path, form: KeyLines | None = None) -> None:
    """Make a key file (0600) with one new key; raises `ConfigError` where a file exists already."""
    line = (form or KeyLines()).again(new_key())
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError(f"{path} exists already; it is kept as it is.") from None
    except OSError as error:
        raise ConfigError(f"{path} can't be written: {error.strerror}.") from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"# Afterword keys: the newest first. Keep a copy; without it nothing stored can be read.\n{line}\n")


def add_key(path: Path, form: KeyLines | None = None) -> str:
    """Put a new key before the others of a key file, in one step; returns its id. Raises `ConfigError`."""
    form = form or KeyLines()
    _read(path, form)
    fresh = form.again(new_key())
    lines = path.read_text("utf-8").splitlines()
    first = next(number for number, line in enumerate(lines) if _holds_key(line))
    _replace(path, [*lines[:first], fresh, *lines[first:]])
    return key_id_of(form.read(fresh))


def drop_keys(path: Path, key_ids: frozenset[str], form: KeyLines | None = None) -> None:
    """Take keys out of a key file, in one step. The current key stays whatever is asked."""
    form = form or KeyLines()
    ring = _read(path, form)
    gone = key_ids - {ring.order[0]}
    lines = path.read_text("utf-8").splitlines()
    _replace(path, [line for line in lines if not _holds_key(line) or key_id_of(form.read(line.strip())) not in gone])


def wrap_keys(path: Path, form: KeyLines) -> int:
    """Wrap each line of a key file anew that the current wrapping key didn't wrap, in one step; returns how many.

    The keys stay what they are. Raises `ConfigError`, and then the file is as it was.
    """
    _read(path, form)
    before = path.read_text("utf-8").splitlines()
    after = [form.again(line.strip()) if _holds_key(line) else line for line in before]
    changed = sum(_holds_key(old) and old.strip() != new for old, new in zip(before, after, strict=True))
    if changed:
        _replace(path, after)
    return changed


def _holds_key(line: str) -> bool:
    return bool(line.strip()) and not line.strip().startswith("#")


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
