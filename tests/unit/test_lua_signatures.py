"""Each script's first line is its signature: it names every argument that the script takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tasks.state

SCRIPTS = sorted(Path(tasks.state.__path__[0]).rglob("*.lua"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_the_signature_names_every_argument_that_the_script_takes(script):
    text = script.read_text("utf-8")
    signature = text.partition("\n")[0]
    taken = set(re.findall(r"\bargs\.(\w+)", text)) if script.stem != "prelude" else {"prefix", "entry", "args"}
    assert signature.startswith(f"-- {script.stem}")
    assert taken <= set(re.findall(r"\w+", signature.partition(":")[2]) or taken)
    assert not taken or "(" in signature
