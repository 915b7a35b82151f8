"""What the Lua scripts keep to: the first line of each is its signature, which names every argument that it takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tasks.state
from tasks.state.scripts import FREQUENT, load_transitions

SCRIPTS = sorted(Path(tasks.state.__path__[0]).rglob("*.lua"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_the_signature_names_every_argument_that_the_script_takes(script):
    text = script.read_text("utf-8")
    signature = text.partition("\n")[0]
    taken = set(re.findall(r"\bargs\.(\w+)", text)) if script.stem != "prelude" else {"prefix", "entry", "args"}
    assert signature.startswith(f"-- {script.stem}")
    assert taken <= set(re.findall(r"\w+", signature.partition(":")[2]) or taken)
    assert not taken or "(" in signature


def test_what_frequent_transitions_ask_redis_for_makes_no_other_one_write_first():
    """Before a command that `merged.lua` doesn't know it writes all that was kept back, and forgets all that was read."""
    text = load_transitions(FREQUENT)
    tables = re.findall(r"local (?:READS|REMEMBERED|ONE_KEY) = {(.*?)}", text)
    known = {*re.findall(r"function calls\.(\w+)", text), *re.findall(r"(\w+) = 1", " ".join(tables))}
    asked = set(re.findall(r"redis\.call(?:\(|, )'(\w+)'", text))
    rare = {"ZPOPMIN"}  # a destination has room again
    assert len(tables) == 3
    assert asked - known - rare == {"DEL", "TIME", "ZUNIONSTORE"}, "which it knows by name"
