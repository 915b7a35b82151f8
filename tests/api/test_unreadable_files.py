"""A file that nobody can read is held, whatever way its document came, and says so in one line."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys

import pytest
from celery import Celery

from tasks.model import JobState
from tests.api.conftest import DOCUMENT, PUBLISH
from tests.conftest import ROOT, environment, until

BAD = b"\xff\xfe\x00bad"
FILE = {"name": "dump.txt", "media_type": "text/plain", "content": base64.b64encode(BAD).decode()}


@pytest.mark.usefixtures("destinations")
async def test_over_http_and_by_a_message_the_job_is_held_and_nothing_is_sent(api, sandbox, valkey, start_worker):
    """The same by a worker process: bytes that a mark calls text and that are none."""
    start_worker()
    body = {**PUBLISH, "document": {**DOCUMENT, "attachments": [FILE]}}
    answer = await api.post("/v1/jobs", body)
    ids = [answer.json["job_id"]]
    stored = {key: value for key, value in DOCUMENT.items() if key != "id"} | {"title": "Other", "attachments": [FILE]}
    assert (await api.put("/v1/documents/doc-2", stored)).status == 200
    with Celery("somebody", broker=valkey.url, backend=valkey.url, set_as_current=False) as plain:
        arguments = {"doc_id": "doc-2", "space_key": "OPS"}
        ids.append((await asyncio.to_thread(plain.send_task, "publish_to_confluence", kwargs=arguments)).id)
    for job_id in ids:

        async def held(job_id=job_id):
            job = await api.services.ledger.get(job_id)
            return job if job and job.state is JobState.HELD else None

        job = await until(held, what="a held job")
        assert job.last_error.code == "unreadable_attachment"
        assert "dump.txt can't be read" in job.last_error.message
    assert await sandbox.objects("confluence") == []


def test_on_the_command_line_it_ends_with_the_status_of_what_policy_stops(settings, tmp_path):
    (tmp_path / "dump.txt").write_bytes(BAD)
    command = [sys.executable, "-m", "worker", "--json", "screen", str(tmp_path / "dump.txt")]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(settings), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 3
    assert json.loads(done.stdout)["error"]["code"] == "unreadable_attachment"
