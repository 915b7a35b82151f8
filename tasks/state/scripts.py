"""The texts of the Lua scripts, put together from their files.

A transition's text runs several of them, each with its own audit entry. The frequent ones share one text, so that what
happens at once in a worker costs few commands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib import resources

FREQUENT = ("jobs/claim", "jobs/settle", "jobs/submit", "lua/intent", "lua/outcome")


@cache
def load(name: str) -> str:
    """The text of a script that makes no transition, named by its room and file, as in `traffic/health`: after the prelude
    that every script shares and the parts that it asks for (`-- with ROOM/PART`).
    """
    return "\n".join([*_shared([name]), "args = cjson.decode(ARGV[2])", _text_of(name)])


@cache
def load_transitions(names: tuple[str, ...]) -> str:
    """The text that runs any of these transitions, as `lua/transitions.lua` says: the frequent ones share reads and writes."""
    merged = _text_of("lua/merged") if names == FREQUENT else "local function write_all() end"
    bodies = [f"scripts['{name}'] = function()\n{_text_of(name)}\nend" for name in names]
    return "\n".join([merged, *_shared(names), "local scripts = {}", *bodies, _text_of("lua/transitions")])


def _shared(names: Iterable[str]) -> list[str]:
    """The prelude and the parts that these scripts ask for, each once."""
    wanted = [part for name in names for part in re.findall(r"^-- with ([\w/]+)$", _text_of(name), re.MULTILINE)]
    return [_text_of(part) for part in dict.fromkeys(["lua/prelude", *wanted])]


def _text_of(name: str) -> str:
    return (resources.files("tasks.state") / f"{name}.lua").read_text("utf-8")
