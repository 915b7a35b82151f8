"""Manifests, compose file and Dockerfile hold to what those who read them accept: a misspelt field is no silent default."""

from __future__ import annotations

import copy
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from compose_spec import PyCompose

ROOT = Path(__file__).resolve().parents[2]
KUBERNETES = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "afterword.yaml").read_text())["items"]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OLDEST, NEWEST = "1.30", kubernetes_validate.latest_version()


def named(item: dict) -> str:
    return f"{item['kind']}-{item['metadata']['name']}"


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("item", KUBERNETES, ids=named)
def test_kubernetes_knows_every_field_of_the_manifest(item, version):
    kubernetes_validate.validate(item, version, strict=True)


def test_a_misspelt_field_of_a_manifest_would_be_found():
    (api,) = [copy.deepcopy(item) for item in KUBERNETES if named(item) == "Deployment-afterword-api"]
    (container,) = api["spec"]["template"]["spec"]["containers"]
    container["readynessProbe"] = container.pop("readinessProbe")
    with pytest.raises(kubernetes_validate.ValidationError, match="readynessProbe"):
        kubernetes_validate.validate(api, NEWEST, strict=True)


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
