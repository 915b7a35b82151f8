"""Errors name commands; the console names its buttons instead."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import tasks
from worker.console.wording import worded

ROOT = Path(tasks.__file__).parent
# What there is no page for: it is done on a server.
ON_A_SERVER = re.compile(
    r"`afterword (key|apikey|message|up|doctor|lookfirst|audit (export|checkpoint)|destination login|NAME NAME)\b"
)


def advice() -> list[str]:
    """Every text of the package that names a command."""
    found = []
    for path in ROOT.rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "NAME" for part in node.values)
                found.append("".join(str(part) for part in parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
                found.append(node.value)
    # A part of a formatted text ends inside the command's name; the whole text is there, too.
    return [text for text in found if re.search(r"`afterword [^`]*`", text)]


def test_the_console_names_no_command_that_it_has_a_button_for():
    """Whatever the code advises, the console says what to press, or that it is done on a server."""
    texts = advice()
    assert len(texts) > 20
    left = [text for text in map(worded, texts) if "`afterword" in text and not ON_A_SERVER.search(text)]
    assert left == []


@pytest.mark.parametrize(
    ("said", "here"),
    [
        (
            "Give the account the right, then run `afterword destination test`.",
            "Give the account the right, then press Test connection, under Destinations.",
        ),
        ("Correct what it names, then `afterword job retry`.", "Correct what it names, then press Retry."),
        ("It ended. Then `afterword job retry`.", "It ended. Then press Retry."),
        (
            "Check it. `afterword destination test` says when it answers as itself.",
            "Check it. A connection test (Test connection, under Destinations) says when it answers as itself.",
        ),
        (
            "Add it with `afterword destination set wiki --kind …`.",
            "Add it under Destinations.",
        ),
        ("Nothing to press.", "Nothing to press."),
        ("Screening stopped this job (content_md: Password).", "Screening stopped this job (document: Password)."),
        ("", ""),
    ],
)
def test_a_command_becomes_what_a_person_presses(said, here):
    """The sentence around it stays a sentence."""
    assert worded(said) == here
