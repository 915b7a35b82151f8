"""The objects that a cluster is given: by the manifest, and by the Helm chart, which Helm itself renders."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy" / "helm" / "afterword"
MANIFEST = ROOT / "deploy" / "kubernetes" / "afterword.yaml"
ALL = {"redis": {"enabled": True}, "flower": {"enabled": True}}
# In a process of its own: Helm is a Go library, and another one (the screening engine) may be loaded here.
RENDER = """
import json, sys, helm_python
asked = json.load(sys.stdin)
chart = helm_python.Chart.load(asked["chart"])
answers = []
for values in asked["values"]:
    try:
        said = {"files": chart.render(values, name=asked["name"], namespace="afterword")}
    except helm_python.HelmError as error:
        said = {"error": str(error)}
    if asked["lint"]:
        said["lint"] = helm_python.lint(asked["chart"], values, strict=True)
    answers.append(said)
json.dump(answers, sys.stdout)
"""


def helm(values: list[dict[str, Any]], name: str = "afterword", *, lint: bool = False) -> list[dict[str, Any]]:
    """For each of these values what Helm makes of the chart: its `files`, or an `error`, and what `lint` says.

    Skips the test where Helm isn't installed.
    """
    if not find_spec("helm_python"):
        pytest.skip("helm-python-sdk is not installed on this platform")
    asked = json.dumps({"chart": str(CHART), "values": values, "name": name, "lint": lint})
    done = subprocess.run([sys.executable, "-c", RENDER], input=asked, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def objects(answer: dict[str, Any]) -> list[dict]:
    """The objects of one rendering."""
    texts = [text for path, text in answer["files"].items() if path.endswith(".yaml")]
    return [item for text in texts for item in yaml.safe_load_all(text) if item]


def rendered(values: dict[str, Any], name: str = "afterword") -> list[dict]:
    """The objects that the chart makes of these values."""
    (answer,) = helm([values], name)
    return objects(answer)


def manifest() -> list[dict]:
    return yaml.safe_load(MANIFEST.read_text())["items"]


SOURCES = {"manifest": manifest, "chart": lambda: rendered({}), "chart with all": lambda: rendered(ALL)}


def of_kind(items: list[dict], *kinds: str) -> list[dict]:
    return [item for item in items if item["kind"] in kinds]


def named(items: list[dict], kind: str, name: str) -> dict:
    (found,) = [item for item in of_kind(items, kind) if item["metadata"]["name"] == name]
    return found


def pod(item: dict) -> dict:
    return item["spec"]["template"]["spec"]
