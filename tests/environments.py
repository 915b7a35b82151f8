"""Virtual environments of their own for other people's programs: made from pinned requirements at first use, and kept."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

LIMIT_S = 200  # seconds for all packages of one environment


def environment_from(requirements: Path, folder: Path, *more: str) -> Path:
    """The folder of the programs of the environment in `folder`, which holds what `requirements` pins; `more` are pip's options.

    Raises `CalledProcessError`, with what pip said in `stderr`, where that can't be installed.
    """

    def make() -> None:
        venv.create(folder, with_pip=False)
        python = str(folder / "bin" / "python")
        calmly = ["--quiet", "--disable-pip-version-check", "--retries", "1", "--timeout", "20"]
        pip = [sys.executable, "-m", "pip", "--python", python, *calmly]
        install = [*pip, "install", "--no-deps", "--require-hashes", "--requirement", str(requirements), *more]
        print(f"installing {folder.name} (once) …", flush=True)
        subprocess.run(install, check=True, capture_output=True, text=True, timeout=LIMIT_S)

    made_once(folder, f"{_digest(requirements)} {sys.version}", make)
    return folder / "bin"


def made_once(folder: Path, made_from: str, make: Callable[[], None]) -> None:
    """Call `make` to fill the folder, unless it was filled from the same; one process does, others wait for it.

    A mark says that it is whole: where `make` was cut, or something else is asked for, it is made anew.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        mark = folder / "made-from"
        if mark.exists() and mark.read_text("utf-8") == made_from:
            return
        shutil.rmtree(folder, ignore_errors=True)
        make()
        mark.write_text(made_from, "utf-8")


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
