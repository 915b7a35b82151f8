"""What a running `afterword up` leaves in its data folder, so that other commands find it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

INSTANCE_FILE = "instance.json"


def read_instance(data: Path) -> dict[str, Any]:
    """The connection details in the data folder, or nothing."""
    try:
        found = json.loads((data / INSTANCE_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_instance(data: Path, facts: dict[str, Any]) -> None:
    """Leave connection details for other commands, readable by the owner only."""
    path = data / INSTANCE_FILE
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(facts, file)
    fresh.replace(path)
