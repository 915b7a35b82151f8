"""docs/producers.md works as written: its snippets run against a running instance."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "producers.md").read_text("utf-8")
LIMIT_S = 150
STRIP = "--experimental-strip-types"


def snippet(language: str, name: str) -> str:
    (found,) = re.findall(rf"^```{language} {name}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return found


@pytest.fixture
def run(api, destinations, settings, start_worker, tmp_path):
    """Runs a program as a producer would, in a folder of its own."""
    start_worker()

    async def run(*command: str) -> str:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=tmp_path,
            env=os.environ
            | {
                "AFTERWORD_URL": api.url,
                "AFTERWORD_KEY": api.key,
                "AFTERWORD_BROKER": settings.broker_address(),
                "NODE_NO_WARNINGS": "1",
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            output, trouble = await asyncio.wait_for(process.communicate(), LIMIT_S)
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode == 0, trouble.decode()
        return output.decode()

    return run


async def test_curl(run, sandbox):
    job = json.loads(await run("sh", "-eu", "-c", snippet("sh", "curl")))
    assert (job["state"], job["result"].keys()) == ("delivered", {"id", "url"})
    assert job["result"]["url"].startswith(sandbox.url)


async def test_python(run, sandbox):
    state, number, url = (await run(sys.executable, "-I", "-c", snippet("python", "client"))).split()
    assert state == "delivered"
    assert number.startswith("INC")
    assert url.startswith(sandbox.url)


async def test_a_celery_client_without_our_code(run, api, sandbox, tmp_path):
    await api.put("/v1/documents/rca-44", {"title": "RCA: mail was late", "content_md": "# Root cause\n\nA loop.\n"})
    program = tmp_path / "producer.py"
    program.write_text(snippet("python", "celery"), "utf-8")
    assert (await run(sys.executable, str(program))).strip().startswith(sandbox.url)


def node_reads_types() -> bool:
    node = shutil.which("node")
    return (
        node is not None and subprocess.run([node, STRIP, "-e", "0"], capture_output=True, check=False).returncode == 0
    )


@pytest.mark.skipif(not node_reads_types(), reason="there is no node that reads TypeScript (22.6 or newer)")
async def test_typescript(run, sandbox, tmp_path):
    program = tmp_path / "producer.mts"
    program.write_text(snippet("ts", "client"), "utf-8")
    state, url = (await run("node", STRIP, str(program))).split()
    assert state == "delivered"
    assert url.startswith(sandbox.url)


def test_the_page_names_every_command_and_every_field_of_the_settings_page():
    for word in ("publish_to_confluence", "create_servicenow_incident", "create_azuredevops_workitem"):
        assert word in PAGE
    for field in ("base_url", "email", "space", "instance_url", "username", "org_url", "project", "work_item_type"):
        assert f"`{field}`" in PAGE
