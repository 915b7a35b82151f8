"""Where checkpoints are kept outside Redis: a folder, a bucket of an object store, or the system's log.

Each checkpoint is a file of its own that is never changed, named by its moment: nothing is half written, several processes
need no lock, and a store that forbids changes will do. Old ones are thinned, never all of a day. A time stamp lies beside its
checkpoint under the same name, as the authority sent it.
"""

from __future__ import annotations

import contextlib
import logging.handlers
import os
import re
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from tasks.errors import Refused
from tasks.state.audit.checkpoint import Checkpoint, read_checkpoints

NAME = re.compile(r"(\d{13})-[0-9a-f]{8}\.json")
STAMP_NAME = re.compile(r"\d{13}-[0-9a-f]{8}\.tsr")
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
STEPS = ((10 * MINUTE_MS, 1), (DAY_MS, 5 * MINUTE_MS), (30 * DAY_MS, HOUR_MS))
SYSLOG, SYSLOG_PORT = "/dev/log", 514


class Place(Protocol):
    """Somewhere that keeps small files by name. Every method raises `OSError` where it can't be reached."""

    def put(self, name: str, content: bytes) -> None:
        """Keep a new file, whole or not at all."""
        ...

    def names(self) -> list[str]:
        """What is kept."""
        ...

    def get(self, name: str) -> bytes:
        """What a file holds."""
        ...

    def remove(self, name: str) -> None:
        """Keep it no longer."""
        ...


class Folder:
    """Files of mode 0600 in a folder."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def put(self, name: str, content: bytes) -> None:
        """Written beside, made durable, then named."""
        for folder in (self._path.parent, self._path):  # whatever the umask, and whoever makes a parent first
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self._path / f".{name}"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path / name)

    def names(self) -> list[str]:
        """Empty where there is no folder yet."""
        try:
            return os.listdir(self._path)  # noqa: PTH208 - names are all that is needed
        except FileNotFoundError:
            return []

    def get(self, name: str) -> bytes:
        """What a file holds."""
        return (self._path / name).read_bytes()

    def remove(self, name: str) -> None:
        """Another process may have been first."""
        (self._path / name).unlink(missing_ok=True)


class Bucket:
    """Objects under an address of any store that fsspec knows, such as `s3://bucket/audit`."""

    def __init__(self, address: str) -> None:
        try:
            from fsspec.core import url_to_fs

            self._store, self._path = url_to_fs(address)
        except (ImportError, ValueError) as trouble:
            raise Refused(
                f"Checkpoints can't be kept at {urlsplit(address).scheme}: {trouble}.",
                code="no_such_store",
                advice="Install fsspec and the package of that store beside Afterword (pip install 'afterword[stores]').",
            ) from None

    def put(self, name: str, content: bytes) -> None:
        """One request."""
        with _as_os_error():
            self._store.makedirs(self._path, exist_ok=True)
            self._store.pipe_file(f"{self._path}/{name}", content)

    def names(self) -> list[str]:
        """Asked for anew each time: others write there as well."""
        with _as_os_error():
            self._store.invalidate_cache()
            try:
                return [str(path).rsplit("/", 1)[-1] for path in self._store.ls(self._path, detail=False)]
            except FileNotFoundError:
                return []

    def get(self, name: str) -> bytes:
        """What an object holds."""
        with _as_os_error():
            content: Any = self._store.cat_file(f"{self._path}/{name}")
            return bytes(content)

    def remove(self, name: str) -> None:
        """Another process may have been first."""
        with _as_os_error(), contextlib.suppress(FileNotFoundError):
            self._store.rm_file(f"{self._path}/{name}")


class _Loud(logging.handlers.SysLogHandler):
    """Raises what goes wrong, where the library's own handler prints it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """Called while the error is handled."""
        raise OSError(f"The system's log takes no {record.msg[11:27]}.") from None


class SystemLog:
    """Lines in the system's log, which can't be read back from here: `audit verify --checkpoint FILE` takes them."""

    def __init__(self, address: str | tuple[str, int]) -> None:
        self._address = address

    def put(self, name: str, content: bytes) -> None:
        """One line, without the names of chains: lines of a log are short."""
        facility = logging.handlers.SysLogHandler.LOG_AUTHPRIV
        handler = _Loud(self._address, facility)
        try:
            line = f"afterword: audit checkpoint {content.decode()}"
            handler.emit(logging.LogRecord("afterword", logging.INFO, name, 0, line, None, None))
        finally:
            handler.close()

    def names(self) -> list[str]:
        """None that can be read here."""
        return []

    def get(self, name: str) -> bytes:
        """Nothing is read here."""
        raise FileNotFoundError(name)

    def remove(self, name: str) -> None:
        """The system's log has its own rules."""


class Outside:
    """The checkpoints of one instance, in the place that keeps them."""

    def __init__(self, place: Place, *, names_heads: bool = True) -> None:
        self._place = place
        self.names_heads = names_heads

    def write(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint, and thin older ones; raises `OSError`."""
        self._place.put(f"{checkpoint.at_ms:013d}-{secrets.token_hex(4)}.json", f"{checkpoint.line()}\n".encode())
        everything = set(self._place.names())
        points = [name for name in everything if NAME.fullmatch(name)]
        stamped = [name for name in points if _stamp_of(name) in everything]
        needed = set(stamped) - set(spare(stamped, checkpoint.at_ms))
        for name in spare(points, checkpoint.at_ms):
            if name not in needed:
                for gone in (name, _stamp_of(name)):
                    if gone in everything:
                        self._place.remove(gone)

    def newest_ms(self) -> int:
        """When the newest one was made (by Redis' clock), 0 where there is none; raises `OSError`."""
        return max((int(name[:13]) for name in self._names()), default=0)

    def read(self) -> list[Checkpoint]:
        """All that are kept; raises `Refused` where they can't be read."""
        return self.evidence()[0]

    def evidence(self) -> tuple[list[Checkpoint], list[tuple[Checkpoint, bytes, bytes]]]:
        """All that are kept, and for each that has a time stamp what its file holds and the stamp; raises `Refused` where
        they can't be read.
        """
        held: dict[str, bytes] = {}
        try:
            for name in sorted(
                name for name in self._place.names() if NAME.fullmatch(name) or STAMP_NAME.fullmatch(name)
            ):
                with contextlib.suppress(FileNotFoundError):  # thinned meanwhile
                    held[name] = self._place.get(name)
        except OSError as trouble:
            raise _unreadable(trouble) from None
        found = [(name, point) for name in held if NAME.fullmatch(name) for point in _points(name, held[name])]
        stamps = [(point, held[name], held[_stamp_of(name)]) for name, point in found if _stamp_of(name) in held]
        return [point for _, point in found], stamps

    def unstamped(self) -> tuple[str, bytes] | None:
        """The newest checkpoint with its name, where it has no time stamp: it speaks for all older ones. Raises `OSError`."""
        everything = self._place.names()
        newest = max((name for name in everything if NAME.fullmatch(name)), default=None)
        if newest is None or _stamp_of(newest) in everything:
            return None
        return newest, self._place.get(newest)

    def keep_stamp(self, name: str, stamp: bytes) -> None:
        """Put a time stamp beside the checkpoint of that name; raises `OSError`."""
        self._place.put(_stamp_of(name), stamp)

    def _names(self) -> list[str]:
        return [name for name in self._place.names() if NAME.fullmatch(name)]


def _stamp_of(name: str) -> str:
    return f"{name.removesuffix('.json')}.tsr"


def _points(name: str, content: bytes) -> list[Checkpoint]:
    try:
        return read_checkpoints(content.decode("utf-8", "replace").splitlines())
    except Refused as trouble:
        advice = "It isn't as it was written: remove it where a disk has failed; otherwise somebody changed it."
        raise Refused(f"The kept checkpoint {name}: {trouble.message}", code=trouble.code, advice=advice) from None


def _unreadable(trouble: OSError) -> Refused:
    return Refused(
        f"The kept checkpoints can't be read: {trouble.strerror or trouble}.",
        code="checkpoints_unreadable",
        advice="Give this account the right to read AFTERWORD_CHECKPOINTS, or correct it.",
    )


def spare(names: Iterable[str], now_ms: int) -> list[str]:
    """Those that aren't needed any more: of a day all stay that are five minutes apart, of a month one an hour, then one a day."""
    kept: dict[tuple[int, int], str] = {}
    gone = []
    for name in sorted(names):
        at_ms = int(name[:13])
        step = next((step for age_ms, step in STEPS if now_ms - at_ms < age_ms), DAY_MS)
        if before := kept.get((step, at_ms // step)):
            gone.append(before)
        kept[step, at_ms // step] = name
    return gone


def outside(place: str | None, folder: Path, instance: str) -> Outside | None:
    """The place that the setting names: None is the folder, `none` nowhere. Raises `Refused` where it can't be used."""
    apart = re.sub(r"[^\w.-]+", "_", instance)
    if place == "none":
        return None
    if place is None:
        return Outside(Folder(folder / apart))
    if place == "syslog" or place.startswith("syslog:"):
        parts = urlsplit(place)
        named = place.partition(":")[2] or SYSLOG
        address = (parts.hostname, parts.port or SYSLOG_PORT) if parts.hostname else named
        return Outside(SystemLog(address), names_heads=False)
    if "://" in place:
        return Outside(Bucket(f"{place.rstrip('/')}/{apart}"))
    return Outside(Folder(Path(place).expanduser().absolute() / apart))


@contextlib.contextmanager
def _as_os_error() -> Any:
    """Each store raises errors of its own."""
    try:
        yield
    except OSError:
        raise
    except Exception as trouble:
        raise OSError(f"{type(trouble).__name__}: {str(trouble)[:200]}") from trouble
