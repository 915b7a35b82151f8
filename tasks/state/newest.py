"""Which version of a signed record is the newest that was seen: kept outside Redis, so that an older one put back is noticed.

A signed record holds the moment it was signed at (Redis' TIME, always later than the one before it). Whoever can write to Redis
can put back a whole older record, which is signed as well; a process refuses one that is older than the newest it has seen,
and with a file every process of the machine does, also after a restart.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path

log = logging.getLogger(__name__)


class Newest:
    """The newest moment seen for each record, for the life of this process. Moments in milliseconds.

    With `keeps_ms`, records are forgotten that are older than the newest of all by more than that.
    """

    def __init__(self, keeps_ms: int | None = None) -> None:
        self._seen: dict[str, int] = {}
        self._keeps_ms = keeps_ms

    def of(self, record: str) -> int:
        """The newest moment seen, 0 where the record was never seen."""
        return self._seen.get(record, 0)

    def learn(self, record: str, signed_ms: int) -> None:
        """Remember a moment, where it is later than what was seen."""
        self._seen[record] = max(signed_ms, self._seen.get(record, 0))
        self._forget()

    def restart(self, record: str, signed_ms: int) -> None:
        """Remember a moment even where it is earlier: what was later is gone, and that was told."""
        self._seen[record] = signed_ms

    def _forget(self) -> None:
        if self._keeps_ms is not None:
            oldest_ms = max(self._seen.values()) - self._keeps_ms
            self._seen = {record: seen_ms for record, seen_ms in self._seen.items() if seen_ms >= oldest_ms}


class NewestOnDisk(Newest):
    """The same in a file that the processes of one machine share; `instance` tells apart what different Redis hold.

    Where the file can't be written, this process remembers by itself and says so once.
    """

    def __init__(self, path: Path, instance: str, keeps_ms: int | None = None) -> None:
        super().__init__(keeps_ms)
        self._path = path
        self._instance = instance
        self._read: tuple[int, int] | None = None
        self._told = False

    def of(self, record: str) -> int:
        """The newest moment that any process of this machine has seen."""
        self._follow()
        return super().of(record)

    def learn(self, record: str, signed_ms: int) -> None:
        """Remember a moment, also for the other processes."""
        if signed_ms <= self.of(record):
            return
        super().learn(record, signed_ms)
        self._keep()

    def restart(self, record: str, signed_ms: int) -> None:
        """Remember a moment even where it is earlier, also for the other processes."""
        self._keep({record: signed_ms})

    def _keep(self, anew: Mapping[str, int] | None = None) -> None:
        try:
            self._write(anew or {})
        except OSError as trouble:
            self._seen |= anew or {}
            if not self._told:
                log.warning(
                    "%s can't be written: %s. What was seen is forgotten at the end of this process.",
                    self._path,
                    trouble.strerror or trouble,
                )
                self._told = True

    def _follow(self) -> None:
        """Read the file where it changed since."""
        try:
            found = self._path.stat()
            if self._read == (found.st_mtime_ns, found.st_size):
                return
            self._take(self._path.read_text("utf-8"))
        except (OSError, ValueError, TypeError):
            return
        self._read = found.st_mtime_ns, found.st_size

    def _take(self, text: str) -> dict[str, dict[str, int]]:
        stored = json.loads(text) if text else {}
        instances = stored if isinstance(stored, dict) else {}
        for record, signed_ms in dict(instances.get(self._instance, {})).items():
            super().learn(str(record), int(signed_ms))
        return instances

    def _write(self, anew: Mapping[str, int]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                instances = self._take(self._path.read_text("utf-8"))
            except (FileNotFoundError, ValueError, TypeError):
                instances = {}
            self._seen |= anew
            fresh = self._path.with_suffix(".new")
            fresh.unlink(missing_ok=True)
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(instances | {self._instance: self._seen}, file)
            fresh.replace(self._path)
