"""Clients that other people's generators make of our OpenAPI document: generated, type-checked, and used."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.conftest import DOCUMENT
from worker.api.openapi import document_of
from worker.api.routes import ROUTES

BIN = Path(sys.executable).parent
NPM_PACKAGES = ("openapi-typescript@7.13.0", "@hey-api/openapi-ts@0.95.0", "typescript@5.9.3", "esbuild@0.25.12")
PYTHON_USE = """
import json, sys
from afterword_client import AuthenticatedClient
from afterword_client.api.jobs import get_job, list_jobs, submit_job
from afterword_client.models import DocumentIn, JobState, PublishIn

url, key, document = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
with AuthenticatedClient(base_url=url, token=key, raise_on_unexpected_status=True) as client:
    body = PublishIn(command="publish_to_confluence", doc_id="doc-1", space_key="OPS", document=DocumentIn.from_dict(document))
    accepted = submit_job.sync(client=client, body=body)
    job = get_job.sync(accepted.job_id, client=client, wait=30)
    listed = list_jobs.sync(client=client, state=JobState.DELIVERED)
    print(job.state.value, job.result.url, job.created_at, [each.job_id for each in listed.jobs] == [accepted.job_id])
"""
TYPESCRIPT_USE = """
import type { paths } from "./schema";
import { getJob, listJobs, submitJob } from "./hey";

type Accepted = paths["/v1/jobs"]["post"]["responses"]["202"]["content"]["application/json"];

const [, , baseUrl = "", auth = "", text = ""] = process.argv;
const document = JSON.parse(text);
const body = { command: "publish_to_confluence", doc_id: "doc-1", space_key: "OPS", document } as const;
const submitted = await submitJob({ baseUrl, auth, body, throwOnError: true });
const accepted: Accepted = submitted.data;
const { data: job } = await getJob({ baseUrl, auth, path: { job_id: accepted.job_id }, query: { wait: 30 }, throwOnError: true });
const { data: page } = await listJobs({ baseUrl, auth, query: { state: "delivered" }, throwOnError: true });
console.log(job.state, job.result?.url, job.created_at, page.jobs.length === 1 && page.jobs[0]?.job_id === accepted.job_id);
"""


def run(*command, cwd, **environment):
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"} | environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, (command, done.stdout[-3000:], done.stderr[-3000:])
    return done.stdout + done.stderr


@pytest.fixture
def specification(tmp_path):
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(document_of(ROUTES)), "utf-8")
    return path


async def test_a_python_client_submits_waits_and_lists(api, destinations, start_worker, specification, tmp_path):
    """openapi-python-client takes every model without a warning, and what it makes works."""
    said = await asyncio.to_thread(
        run, BIN / "openapi-python-client", "generate", "--path", specification, cwd=tmp_path
    )
    assert "Warning" not in said
    start_worker()
    arguments = (api.url, api.key, json.dumps(DOCUMENT))
    package = tmp_path / "afterword-client"
    said = await asyncio.to_thread(run, sys.executable, "-c", PYTHON_USE, *arguments, cwd=package)
    state, url, created_at, alone = said.split()
    assert (state, alone) == ("delivered", "True")
    assert url.startswith("http")
    assert created_at.endswith("Z")


@pytest.mark.timeout(500)
async def test_typescript_clients_type_check_and_one_submits_waits_and_lists(
    api, destinations, start_worker, specification, tmp_path
):
    """openapi-typescript's types and hey-api's client, under TypeScript's strictest settings."""
    if shutil.which("npm") is None:
        pytest.skip("npm isn't installed")
    (tmp_path / "package.json").write_text('{"name": "use", "private": true, "type": "module"}', "utf-8")
    (tmp_path / "use.ts").write_text(TYPESCRIPT_USE, "utf-8")
    await asyncio.to_thread(
        run, "npm", "install", "--silent", "--no-audit", *NPM_PACKAGES, "@types/node@22", cwd=tmp_path
    )
    npx = ("npx", "--no-install")
    await asyncio.to_thread(run, *npx, "openapi-typescript", specification, "-o", "schema.d.ts", cwd=tmp_path)
    await asyncio.to_thread(run, *npx, "openapi-ts", "-i", specification, "-o", "hey", cwd=tmp_path)
    strict = ("--strict", "--noUncheckedIndexedAccess", "--skipLibCheck", "--target", "es2022")
    resolved = ("--module", "esnext", "--moduleResolution", "bundler", "--noEmit")
    await asyncio.to_thread(run, *npx, "tsc", *strict, *resolved, "use.ts", cwd=tmp_path)
    await asyncio.to_thread(
        run, *npx, "esbuild", "use.ts", "--bundle", "--platform=node", "--format=esm", "--outfile=use.mjs", cwd=tmp_path
    )
    start_worker()
    arguments = (api.url, api.key, json.dumps(DOCUMENT))
    said = await asyncio.to_thread(run, "node", "use.mjs", *arguments, cwd=tmp_path)
    state, url, created_at, alone = said.split()
    assert (state, alone) == ("delivered", "true")
    assert url.startswith("http")
    assert created_at.endswith("Z")
