"""What people read is plain technical English: the words that were given up (docs/glossary.md) don't come back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from config.settings import Settings
from worker.cli import root

ROOT = Path(__file__).resolve().parents[2]
GLOSSARY = ROOT / "docs" / "glossary.md"
GIVEN_UP = {
    "integration, for a destination": r"(?<!settings/)\bintegrations\b",
    "stands in": r"\b(?:stands?|stood) (?:here|in (?:the |our |its )?(?:job.s )?(?:audit|log|ledger|trail|timeline|recovery|page|address))\b",
    "put, for storing content": r"\b(?:never|was|were|content) put\b(?! in )|\bput (?:it|them) (?:first|again)\b",
    "bring, for submitting": r"\bbring(?:ing)? (?:a finished |finished )?(?:documents?|issues?|incidents?)\b",
    "file, for creating": r"\bfile (?:it|an? (?:issue|incident|ticket|work item))\b|\bfiles? (?:its )?issues\b|\bissues? can be filed\b",
    "the trail holds": r"\btrail (?:holds|does not hold|doesn.t hold)\b|DOES NOT HOLD",
    "fits, for valid": r"\b(?:doesn.t|don.t) fit(?::|\.$)",
    "gives up": r"\bgives up\b",
    "lasts, no end": r">lasts<|\bno end\b",
    "good for": r"\bgood for (?:\d|\{|such)",
    "begun by": r"\bbegun by\b",
    "shown this once": r"\b(?:shown|said) this once\b",
    "had moved on": r"\bhad moved on\b",
    "headroom, pace": r"\bheadroom\b|>pace<",
    "taken for dead": r"\btaken for dead\b",
    "Redis is away": r"\b(?:redis|storage|key) is away\b",
    "upstream's shape": r"\bupstream.s shape\b",
    "mischief, mend": r"\bmischief\b|\bmend(?:ed|ing)?\b",
    "a riddle": r"\bwaits for a stranger\b|\bby halves\b|\bwhoever\b|\bvouch",
    "an object of another system": (
        r"\b(?:servicenow|azure devops|confluence) (?:issues?|tickets?)\b|\bincidents? (?:in|of) (?:azure devops|confluence)\b"
        r"|\bwork items? (?:in|of) servicenow\b|\bincident tickets?\b"
    ),
}


def pages() -> Iterator[tuple[str, str]]:
    """Documentation, by line. The glossary's last table names the words on purpose."""
    decisions = (ROOT / "docs" / "decisions").glob("*.md")
    for file in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md"), *decisions):
        text = file.read_text()
        if file == GLOSSARY:
            text = text.partition("## Words that were given up")[0]
        for number, line in enumerate(text.splitlines(), 1):
            yield f"{file.relative_to(ROOT)}:{number}", line


def templates() -> Iterator[tuple[str, str]]:
    for file in (ROOT / "worker" / "console").rglob("*"):
        if file.suffix in {".html", ".js"}:
            for number, line in enumerate(file.read_text().splitlines(), 1):
                yield f"{file.relative_to(ROOT)}:{number}", line


def messages() -> Iterator[tuple[str, str]]:
    """Every text in the code that isn't a docstring: errors, advice, labels, log lines."""
    for file in (f for top in ("tasks", "worker", "config") for f in (ROOT / top).rglob("*.py")):
        tree = ast.parse(file.read_text())
        own = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in own:
                yield f"{file.relative_to(ROOT)}:{node.lineno}", node.value


def helps(command: click.Command = root, path: str = "afterword") -> Iterator[tuple[str, str]]:
    yield path, command.help or ""
    for parameter in command.params:
        yield f"{path} {parameter.name}", getattr(parameter, "help", "") or ""
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from helps(inner, f"{path} {name}")


def settings() -> Iterator[tuple[str, str]]:
    for name, field in Settings.model_fields.items():
        yield name, field.description or ""


@pytest.mark.parametrize("texts", [pages, templates, messages, helps, settings], ids=lambda texts: texts.__name__)
@pytest.mark.parametrize("word", GIVEN_UP)
def test_no_word_that_was_given_up_is_used(word, texts):
    pattern = re.compile(GIVEN_UP[word], re.IGNORECASE)
    assert [(place, text[:120]) for place, text in texts() if pattern.search(text)] == []


def test_the_search_finds_what_it_is_for():
    for sentence in (
        "Document 'x' was never put.",
        "Nobody waits for a stranger.",
        "That you looked stands in the audit.",
        "Bring documents.",
        "good for 5 s",
        "Settings → Integrations",
        "The audit trail does not hold.",
        "Create a ServiceNow ticket.",
    ):
        assert any(re.search(pattern, sentence, re.IGNORECASE) for pattern in GIVEN_UP.values()), sentence


def test_every_state_of_a_job_is_in_the_glossary():
    from tasks.model import JobState

    text = GLOSSARY.read_text()
    assert [state for state in JobState if f"| {state.value} |" not in text] == []
