"""Compose file and Dockerfile hold to what those who read them accept: a misspelt field is no silent default."""

from __future__ import annotations

import copy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from compose_spec import PyCompose

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def test_compose_knows_every_field_of_the_compose_file():
    assert set(PyCompose.from_yaml(yaml.safe_dump(COMPOSE)).service_names()) == set(COMPOSE["services"])


def test_a_misspelt_field_of_the_compose_file_would_be_found():
    wrong = copy.deepcopy(COMPOSE)
    wrong["services"]["api"]["helthcheck"] = wrong["services"]["api"].pop("healthcheck")
    with pytest.raises(ValueError, match="helthcheck"):
        PyCompose.from_yaml(yaml.safe_dump(wrong))


def test_the_dockerfile_is_free_of_what_hadolint_warns_of():
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if linter is None:
        pytest.skip("hadolint is not installed on this platform")
    done = subprocess.run([linter, str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
