"""What the project says of itself is true: lock files, README commands, configuration page."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from config.reference import page
from worker.cli import root

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


LISTS = [file for place in ("bench/peers", "tests/clients") for file in (ROOT / place / "requirements").glob("*.in")]
ASIDE = sorted(str(file.relative_to(ROOT).with_suffix(".txt")) for file in LISTS)


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock", "requirements-site.lock", *ASIDE])
def test_locks_hold_pinned_versions_with_hashes_and_no_address(name):
    text = (ROOT / name).read_text()
    assert "://" not in text
    for line in text.splitlines():
        assert re.match(
            r"^(#|$|[a-z0-9._-]+(\[[a-z,]+\])?==\S+( ; .+)? \\$|    --hash=sha256:[0-9a-f]{64}( \\)?$)", line
        ), line


def test_what_node_installs_is_pinned_by_its_content_and_no_address():
    packages = json.loads((ROOT / "tests/clients/requirements/node/npm-shrinkwrap.json").read_text("utf-8"))["packages"]
    assert len(packages) > 1
    for name, package in packages.items():
        assert not name or package["integrity"].startswith("sha512-"), name
        assert "resolved" not in package, name


def test_the_bill_of_materials_is_valid_and_names_every_pinned_package(tmp_path):
    """By the very command of `make sbom`, judged by the schema of CycloneDX."""
    recipe = re.search(r"^sbom:.*\n\t(.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    arguments = shlex.split(recipe.replace("$(or $(ARGS),sbom.json)", str(tmp_path / "sbom.json")))[1:]
    command = (sys.executable, "-W", "ignore", "-m", "cyclonedx_py", *arguments)
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    text = (tmp_path / "sbom.json").read_text("utf-8")
    bill = json.loads(text)
    assert JsonStrictValidator(SchemaVersion.from_version(bill["specVersion"])).validate_str(text) is None
    pinned = re.findall(
        r"^([a-z0-9._-]+)(?:\[[a-z,]+\])?==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE
    )
    assert {(one["name"], one["version"]) for one in bill["components"]} == set(pinned)


def test_locks_cover_what_the_project_depends_on():
    locked = set(re.findall(r"^([a-z0-9._-]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    for wanted in PROJECT["project"]["dependencies"]:
        assert re.match(r"[a-z0-9.-]+", wanted).group() in locked


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("afterword ")]


@pytest.mark.parametrize("line", commands())
def test_every_command_of_the_readme_exists_with_its_options(line):
    group: click.Command = root
    words = shlex.split(line)[1:]
    while isinstance(group, click.Group):
        group = group.commands[words.pop(0)]
    known = {option for parameter in group.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


def test_the_readme_shows_both_commands():
    text = (ROOT / "README.md").read_text()
    assert "make demo" in text
    assert "make test" in text


def test_the_configuration_page_is_what_the_settings_say():
    assert (ROOT / "docs" / "configuration.md").read_text() == page(), "run `make docs`"


def test_the_changelog_leads_with_what_is_unreleased_and_names_this_version():
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert headings[1].startswith(f"[{PROJECT['project']['version']}] - ")
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", heading) for heading in headings[1:])


@pytest.mark.parametrize("file", sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md")), ids=lambda file: file.stem)
def test_a_decision_says_whether_it_still_holds(file):
    first = file.read_text().partition("\n")[0]
    assert re.fullmatch(
        r"Status: (accepted(, amended by .+)?|superseded by \[\d{4}\]\(\d{4}-[a-z0-9-]+\.md\).*)", first
    )


def test_the_bill_of_materials_names_every_pinned_package(tmp_path):
    """`make sbom` as CycloneDX, from the lock that is installed."""
    recipe = re.search(r"^sbom:.*\n\t\$\(BIN\)/(.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    command = recipe[1].replace("$(or $(ARGS),sbom.json)", str(tmp_path / "sbom.json")).split()
    tool = Path(sys.executable).with_name(command[0])
    subprocess.run([tool, *command[1:]], cwd=ROOT, check=True, capture_output=True)
    made = json.loads((tmp_path / "sbom.json").read_text("utf-8"))
    pinned = re.findall(
        r"^([A-Za-z0-9_.-]+)(?:\[.*\])?==", (ROOT / "requirements.lock").read_text("utf-8"), re.MULTILINE
    )
    assert made["bomFormat"] == "CycloneDX"
    assert {part["name"].lower() for part in made["components"]} == {name.lower() for name in pinned}
