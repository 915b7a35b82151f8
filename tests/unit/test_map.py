"""The map is true: docs/architecture.md names every room, and what pages and docstrings name is in the tree."""

from __future__ import annotations

import importlib
import re
import tomllib
from pathlib import Path

import click
import pytest

from config.settings import OTHERS, PRODUCERS, Settings
from worker.cli import root

ROOT = Path(__file__).resolve().parents[2]
MAP = (ROOT / "docs" / "architecture.md").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def rooms() -> list[str]:
    """Every package under tasks and worker, and every module at their roots, as the map writes them."""
    found = []
    for top in ("tasks", "worker"):
        packages = [file.parent for file in (ROOT / top).rglob("__init__.py") if file.parent != ROOT / top]
        found += [f"{package.relative_to(ROOT)}/" for package in packages]
        modules = [file for file in (ROOT / top).glob("*.py") if not file.name.startswith("__")]
        found += [str(file.relative_to(ROOT)) for file in modules]
    return sorted(found)


@pytest.mark.parametrize("room", rooms())
def test_every_room_has_its_sentence_on_the_map(room):
    assert re.search(rf"^\| `{re.escape(room)}` \| [A-Z`][^|]+\. \|$", MAP, re.MULTILINE), f"add {room} to the map"


@pytest.mark.parametrize("top", ["tasks", "worker"])
def test_the_diagram_shows_the_layers_that_are_enforced(top):
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    (layers,) = (c["layers"] for c in contracts if c["type"] == "layers" and c["containers"] == [top])
    assert [layer.replace(" | ", " · ") for layer in layers] == re.findall(rf'\b{top[0]}\d+\["([^"]+)"\]', MAP)


def pages() -> list[Path]:
    """What describes the tree as it is; a decision that was superseded describes one that was."""
    decisions = (ROOT / "docs" / "decisions").glob("*.md")
    standing = [file for file in decisions if "Status: superseded" not in file.read_text()]
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")), *sorted(standing)]


MADE = "bench/out/"  # what a command writes, and git doesn't keep
PATH = re.compile(r"`((?:tasks|worker|config|tests|bench|deploy|docs)/[^`\s]*)`")


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_path_that_a_page_names_exists(page):
    named = [path for path in PATH.findall(page.read_text()) if "<" not in path and not path.startswith(MADE)]
    assert [path for path in named if not any(ROOT.glob(path.rstrip("/")))] == []


NOT_READ = {"AFTERWORD_RETAIN_", "AFTERWORD_OIDC_"}  # beginnings of several


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_variable_that_a_page_names_is_one(page):
    named = set(re.findall(r"AFTERWORD_[A-Z0-9_]+", page.read_text())) - NOT_READ
    known = {f"AFTERWORD_{name.upper()}" for name in Settings.model_fields} | OTHERS | {*PRODUCERS}
    assert named <= known


def typed(page: Path) -> list[list[str]]:
    """The commands of ours that a page names, in words."""
    found = re.findall(r"(?:`|^(?:\$ )?|\$\()afterword ([^`\n]*)", page.read_text(), re.MULTILINE)
    return [line.split("#")[0].split("|")[0].split() for line in found]


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_command_and_option_that_a_page_names_exists(page):
    for words in typed(page):
        command: click.Command = root
        rest = list(words)
        while isinstance(command, click.Group) and rest and rest[0].rstrip(".,:)") in command.commands:
            command = command.commands[rest.pop(0).rstrip(".,:)")]
        assert not isinstance(command, click.Group) or not rest or rest[0].startswith("-"), words
        known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)} | {"--version"}
        named = {word.split("=")[0].strip("[].,)") for word in rest if word.startswith("--")}
        assert named <= known | {"--help"}, words


def sources() -> list[Path]:
    return [file for top in ("tasks", "worker", "config", "docs") for file in (ROOT / top).rglob("*.*")]


def stands_for_something(dotted: str) -> bool:
    """Whether a dotted name is a module of ours, or something in one."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ImportError:
            continue
        for name in parts[cut:]:
            found = getattr(found, name, None) or getattr(found, "model_fields", {}).get(name)
        return found is not None
    return False


def test_every_dotted_name_in_docstrings_and_pages_is_one_of_ours():
    named = {
        (name, file.relative_to(ROOT).as_posix())
        for file in sources()
        if file.suffix in {".py", ".lua", ".md"} and "Status: superseded" not in file.read_text()
        for name in re.findall(r"`((?:tasks|worker|config)(?:\.\w+)+)(?:\(…?\)|\([^`]*\))?`", file.read_text())
    }
    of_a_job = {"config.fields"}  # a member of a job's arguments
    assert sorted(pair for pair in named if pair[0] not in of_a_job and not stands_for_something(pair[0])) == []


def test_every_script_that_a_docstring_names_lies_where_it_says():
    for file in sources():
        if file.suffix in {".py", ".lua"}:
            for path in re.findall(r"`([\w/]+/\w+\.lua)`", file.read_text()):
                assert (ROOT / path).exists() or any((ROOT / "tasks" / "state").glob(path)), (file.name, path)
