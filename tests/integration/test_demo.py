"""The demonstration: three deliveries through two faults, in a folder of its own, whatever the environment says."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT


def demo(*arguments, **variables):
    return subprocess.run(
        [sys.executable, "-m", "worker", "demo", *arguments],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_three_deliveries_one_object_each_and_a_verified_audit(tmp_path):
    """The user's own settings, even broken ones, have no part in it, and nothing is left behind."""
    theirs = {
        "AFTERWORD_REDIS_URL": "redis://127.0.0.1:1/0",
        "AFTERWORD_BROKER_URL": "amqp://127.0.0.1:1",
        "AFTERWORD_KEYS_FILE": "/nonexistent",
        "AFTERWORD_DATA": str(tmp_path / "data"),
        "TMPDIR": str(tmp_path),
    }
    done = demo("--json", **theirs)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["delivered"] is True
    assert told["objects"] == {"pages": 1, "incidents": 1, "work_items": 1}
    assert told["audit"]["ok"] is True
    attempts = {job["destination"]: job["attempts"] for job in told["jobs"]}
    assert attempts == {"confluence": 2, "servicenow": 2, "azure_devops": 1}
    changes = {job["destination"]: job["receipt"]["change"] for job in told["jobs"]}
    assert changes["confluence"] == "found"
    assert list(tmp_path.iterdir()) == []


def test_people_read_a_table_and_three_sentences():
    done = demo()
    assert done.returncode == 0, done.stderr
    for words in ("INC", "exactly one each", "verified", "/wiki/spaces/OPS/pages/"):
        assert words in done.stdout
    assert "retrying" in done.stderr


def test_a_document_with_a_secret_is_stopped_with_exit_code_3(tmp_path):
    planted = "S3cret-" + "planted-99"
    (tmp_path / "rca.md").write_text(f"# RCA\n\npassword = {planted}\n")
    done = demo("--json", "--document", str(tmp_path / "rca.md"))
    assert done.returncode == 3
    told = json.loads(done.stdout)
    assert told["objects"] == {"pages": 0, "incidents": 0, "work_items": 0}
    assert told["audit"]["ok"] is True
    assert planted not in done.stdout + done.stderr


def test_real_post_mortems_are_delivered(shared):
    document = max((shared / "inputs").glob("*.md"), key=lambda path: path.stat().st_size)
    done = demo("--json", "--document", str(document))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["exactly_once"] is True


@pytest.mark.parametrize(("content", "words"), [(None, "can't be read"), (b"\xff\xfe", "not UTF-8")])
def test_a_file_that_cant_be_read_is_one_line(tmp_path, content, words):
    if content:
        (tmp_path / "x.md").write_bytes(content)
    done = demo("--document", str(tmp_path / "x.md"))
    assert done.returncode == 1
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
