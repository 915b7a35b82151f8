"""Each peer's own virtual environment, made from its pinned requirements at first use and kept in `bench/out/`."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from bench.results import OUT

HERE = Path(__file__).resolve().parent
PEERS = ("celery", "arq", "dramatiq", "taskiq")


def environment_of(peer: str) -> Path:
    """The folder of the peer's programs; raises `CalledProcessError` where pip can't install it.

    A mark with the digest of the requirements says that it is whole: a cut installation or other pins make it anew.
    """
    requirements = HERE / "requirements" / f"{peer}.txt"
    wanted = f"{hashlib.sha256(requirements.read_bytes()).hexdigest()} {sys.version}"
    folder = OUT / "environments" / peer
    mark = folder / "made-from"
    if not mark.exists() or mark.read_text("utf-8") != wanted:
        print(f"installing {peer} (once) …", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        python = str(folder / "bin" / "python")
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--require-hashes", "-r", str(requirements)], check=True)
        mark.write_text(wanted, "utf-8")
    return folder / "bin"


def versions() -> dict[str, str]:
    """The pinned version of each peer, by its name."""
    found = {}
    for peer in PEERS:
        for line in (HERE / "requirements" / f"{peer}.txt").read_text("utf-8").splitlines():
            if line.startswith(f"{peer}=="):
                found[peer] = line.split("==")[1].split()[0]
    return found
