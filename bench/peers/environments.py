"""Each peer's own virtual environment, made from its pinned requirements at first use and kept in `bench/out/`."""

from __future__ import annotations

from pathlib import Path

from bench.results import OUT
from tests.environments import environment_from

HERE = Path(__file__).resolve().parent
PEERS = ("celery", "arq", "dramatiq", "taskiq")


def environment_of(peer: str) -> Path:
    """The folder of the peer's programs; raises `CalledProcessError` where pip can't install it."""
    return environment_from(HERE / "requirements" / f"{peer}.txt", OUT / "environments" / peer)


def versions() -> dict[str, str]:
    """The pinned version of each peer, by its name."""
    found = {}
    for peer in PEERS:
        for line in (HERE / "requirements" / f"{peer}.txt").read_text("utf-8").splitlines():
            if line.startswith(f"{peer}=="):
                found[peer] = line.split("==")[1].split()[0]
    return found
