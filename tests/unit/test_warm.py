"""What a server has in memory before it says that it is ready."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import sys
from worker.processes.warm import load
load()
from tasks.destinations import SETTINGS
from tasks.model import Document, Job
from tasks.model.commands import COMMAND
print("tasks.lifecycle" in sys.modules)
print(all(each.__pydantic_complete__ for each in (Document, Job)), COMMAND.pydantic_complete, SETTINGS.pydantic_complete)
"""


def test_the_first_submission_builds_no_model_and_imports_nothing() -> None:
    told = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.split() == ["True", "True", "True", "True"]
