"""Other people's clients, each in an environment of its own below `build/clients`, and their programs against the sandbox.

What a registry doesn't have, or doesn't give now, is skipped with what it said.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.contract.sandbox_support import SECRET, Live
from tests.environments import LIMIT_S, environment_from, made_once

HERE = Path(__file__).resolve().parent
PINS = HERE / "requirements"
OUT = HERE.parents[1] / "build" / "clients"


def python_with(clients: str) -> Path:
    """The interpreter of the environment that holds what `requirements/CLIENTS.txt` pins."""
    return (
        _or_skip(clients, lambda: environment_from(PINS / f"{clients}.txt", OUT / clients, "--no-compile")) / "python"
    )


def node_modules() -> Path:
    """The packages for Node that `requirements/node` pins."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("there is no Node.js here")
    folder = OUT / "node"

    def make() -> None:
        shutil.copytree(PINS / "node", folder)
        install = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries", "1"]
        subprocess.run(install, cwd=folder, check=True, capture_output=True, text=True, timeout=LIMIT_S)

    _or_skip("node", lambda: made_once(folder, (PINS / "node" / "npm-shrinkwrap.json").read_text("utf-8"), make))
    return folder / "node_modules"


def _or_skip(name: str, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except subprocess.TimeoutExpired:
        pytest.skip(f"the clients of {name} could not be installed in time")
    except subprocess.CalledProcessError as failed:
        said = (failed.stderr or failed.stdout).strip().splitlines()
        reason = next((line for line in said if "error" in line.lower()), failed)
        pytest.skip(f"the clients of {name} can't be installed: {reason}")


async def printed(*program: Path | str, live: Live, home: Path, **environment: str) -> Any:
    """What a program of a client's user prints as JSON, in a process of its own with a fresh home.

    It finds the sandbox in `URL`, `HOST` and `SECRET`.
    """
    known = {"HOME": str(home), "PATH": os.defpath, "URL": live.url, "HOST": live.host, "SECRET": SECRET}
    done = await asyncio.to_thread(
        subprocess.run,
        [str(part) for part in program],
        env=known | environment,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])
