"""Checkouts whose code runs in a chaos run: this one, and with `--beside` one of another version."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from worker.machine.embedded import free_port
from worker.machine.orphans import dies_with_parent

ROOT = Path(__file__).resolve().parent.parent.parent
READY_S = 60.0


@dataclass(frozen=True)
class Version:
    """The checkout in `root`: its code comes first on the path, and its virtual environment runs it where it has one.

    Logs go to `folder`.
    """

    root: Path
    folder: Path
    environment: Mapping[str, str]

    @property
    def python(self) -> str:
        """The interpreter that runs it."""
        own = self.root / ".venv" / "bin" / "python"
        return str(own) if self.root != ROOT and own.exists() else sys.executable

    @contextlib.contextmanager
    def child(self, name: str, *arguments: str, answers: bool = False) -> Iterator[subprocess.Popen[str]]:
        """A Python process of this version, in its checkout; with `answers` its output is ours to read."""
        with (self.folder / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(
                [self.python, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if answers else log,
                stderr=log,
                env=os.environ | self.environment | {"PYTHONPATH": str(self.root)},
                cwd=self.root,
                text=True,
                start_new_session=True,
                preexec_fn=dies_with_parent(signal.SIGTERM),  # noqa: PLW1509 - see there
            )
        try:
            yield child
        finally:
            _end(child)


def _end(child: subprocess.Popen[str]) -> None:
    """Close its input, then SIGTERM; the nursery ends its workers by itself."""
    assert child.stdin
    with contextlib.suppress(BrokenPipeError):
        child.stdin.close()
    try:
        child.wait(1)
    except subprocess.TimeoutExpired:
        child.terminate()
        child.wait(20)


@contextlib.contextmanager
def nursery(version: Version, name: str, kind: str) -> Iterator[subprocess.Popen[str]]:
    """Our nursery with that version's code, ready to start workers."""
    program = str(Path(__file__).with_name("nursery.py"))
    with version.child(name, "-P", program, kind, str(version.folder), str(version.root), answers=True) as child:
        if not child.stdout or child.stdout.readline().strip() != "ready":
            raise RuntimeError(f"The workers' code can't be loaded; see {version.folder}/{name}.log.")
        yield child


@dataclass(frozen=True)
class Beside:
    """Another version at work: the nursery of its workers and the address of its API."""

    version: Version
    nursery: subprocess.Popen[str]
    api_url: str

    def verified(self) -> str:
        """What its own `audit verify` says where it isn't content; nothing where it is."""
        done = subprocess.run(
            [self.version.python, "-m", "worker", "audit", "verify"],
            env=os.environ | self.version.environment | {"PYTHONPATH": str(self.version.root)},
            cwd=self.version.root,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return "" if done.returncode == 0 else f"{done.stdout[-1000:]}{done.stderr[-1000:]}"


@contextlib.contextmanager
def standing_beside(version: Version) -> Iterator[Beside]:
    """That version's API, and a nursery for its workers."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (
        version.child("beside-api", "-m", "worker", "api", "--port", str(port)),
        nursery(version, "beside-nursery", "afterword") as workers,
    ):
        deadline = time.monotonic() + READY_S
        while not _healthy(url):
            if time.monotonic() > deadline:
                raise RuntimeError(f"The other version's API doesn't answer; see {version.folder}/beside-api.log.")
            time.sleep(0.1)
        yield Beside(version, workers, url)


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
