"""docs/producers.md works as written: its snippets run against a running instance."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from playwright._impl._driver import compute_driver_executable

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


def node_that_reads_types() -> str | None:
    """A node that runs TypeScript: the machine's own where it is new enough, else the one in Playwright's package."""
    for node in (shutil.which("node"), compute_driver_executable()[0]):
        found = node and subprocess.run([node, STRIP, "-e", "0"], capture_output=True, check=False)
        if found and found.returncode == 0:
            return str(node)
    return None


async def test_typescript(run, sandbox, tmp_path):
    node = node_that_reads_types()
    if node is None:
        pytest.skip("there is no node that reads TypeScript (22.6 or newer)")
    program = tmp_path / "producer.mts"
    program.write_text(snippet("ts", "client"), "utf-8")
    state, url = (await run(node, STRIP, str(program))).split()
    assert state == "delivered"
    assert url.startswith(sandbox.url)


CARGO = """[package]
name = "producer"
version = "0.1.0"
edition = "2021"

[dependencies]
ureq = { version = "2", default-features = false, features = ["json"] }
serde_json = "1"
"""
MAIN = """
fn main() -> Result<(), String> {
    let set = |name: &str| std::env::var(name).map_err(|error| error.to_string());
    let afterword = Afterword { base: set("AFTERWORD_URL")?, key: set("AFTERWORD_KEY")? };
    let document = json!({"id": "rca-46", "title": "RCA: a queue was long", "content_md": "# Cause\\n\\nA slow disk.\\n"});
    let page = afterword.publish(document.clone(), "OPS", "rca-46-revision-1")?;
    assert_eq!(page, afterword.publish(document, "OPS", "rca-46-revision-1")?);
    let refused = afterword.publish(json!({"id": "x"}), "OPS", "x").unwrap_err();
    assert!(refused.starts_with("The body is not valid."), "{refused}");
    println!("{} {}", page["url"].as_str().unwrap(), afterword.test("confluence")?["success"]);
    Ok(())
}
"""


@pytest.fixture
def cargo(tmp_path) -> str:
    """cargo, in a project with the page's crates: from a folder of Debian's (RUST_CRATES), else from cargo's registry."""
    found = shutil.which("cargo")
    if found is None:
        pytest.skip("cargo is not installed")
    (tmp_path / "src").mkdir()
    (tmp_path / "Cargo.toml").write_text(CARGO, "utf-8")
    (tmp_path / "src" / "main.rs").write_text(snippet("rust", "client") + MAIN, "utf-8")
    folder = Path(os.environ.get("RUST_CRATES", "/usr/share/cargo/registry"))
    if any(folder.glob("ureq-2*")):
        (tmp_path / ".cargo").mkdir()
        source = f'[source.crates-io]\nreplace-with = "folder"\n[source.folder]\ndirectory = "{folder}"\n'
        (tmp_path / ".cargo" / "config.toml").write_text(source, "utf-8")
    got = subprocess.run(
        [found, "fetch", "--quiet"],
        cwd=tmp_path,
        env=os.environ | {"CARGO_NET_RETRY": "0", "CARGO_HTTP_TIMEOUT": "20"},
        capture_output=True,
        text=True,
        check=False,
    )
    if got.returncode != 0:
        pytest.skip(f"the crates can't be had here: {got.stderr.strip()[-200:]}")
    return found


async def test_rust(cargo, run, api, sandbox):
    url, tested = (await run(cargo, "run", "--quiet", "--offline")).split()
    assert url.startswith(sandbox.url)
    assert tested == "true"


def test_the_page_names_every_command_and_every_field_of_the_settings_page():
    for word in ("publish_to_confluence", "create_servicenow_incident", "create_azuredevops_workitem"):
        assert word in PAGE
    for field in ("base_url", "email", "space", "instance_url", "username", "org_url", "project", "work_item_type"):
        assert f"`{field}`" in PAGE
