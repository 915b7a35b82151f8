"""The API does what its OpenAPI document says: Schemathesis sends what fits and what doesn't, with every check on."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from datetime import datetime
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from tasks.state.access.rights import Scope
from tests.conftest import ROOT
from worker.api.openapi import document_of
from worker.api.routes import ROUTES
from worker.console.reference import operations as shown_by

EXAMPLES = "3"
LIMIT_S = 500
WORKER_TTL_MS = 3_600_000


@pytest.fixture
def settings(settings):
    """The run makes more requests than one key may, and has no use for long waits."""
    return settings.model_copy(update={"api_rate_per_minute": 10_000_000, "api_longest_wait_s": 0})


@pytest.mark.timeout(LIMIT_S + 10)
async def test_schemathesis_finds_nothing(api, destinations, services, tmp_path):
    await services.ledger.heartbeat("a worker", WORKER_TTL_MS, 8)
    arguments = ["--checks", "all", "--max-examples", EXAMPLES, "--generation-deterministic", "--no-color"]
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "schemathesis"),
        *("run", f"{api.url}/openapi.json", "--header", f"Authorization: Bearer {api.key}", *arguments),
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.api.formats"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), LIMIT_S)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, output.decode()[-6000:]
    assert b"Tested: 36" in output


def test_every_route_documents_its_answers_its_problems_and_its_scope():
    document = document_of(ROUTES)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (method, path)
            assert operation["operationId"], (method, path)
            if path.startswith("/v1/"):
                assert operation["security"], (method, path)
                assert {"401", "403", "429"} <= operation["responses"].keys(), (method, path)
    ids = [operation["operationId"] for operations in document["paths"].values() for operation in operations.values()]
    assert len(ids) == len(set(ids)) == len(ROUTES)


def test_every_operation_stands_in_a_group_that_the_reference_page_shows():
    """The page goes by the document's groups: an operation of another one would be nowhere on it."""
    document = document_of(ROUTES)
    described = {group["name"] for group in document["tags"]}
    used = {name for path in document["paths"].values() for operation in path.values() for name in operation["tags"]}
    assert used == described


def test_headings_of_the_reference_page_are_words():
    """Those of its groups, and of the forms that a body may have: no name of the code is among them."""
    document = document_of(ROUTES)
    heads = [group["x-displayName"] for group in document["tags"]]
    heads += [name for _, operation in shown_by(document) for name, _ in operation.bodies if name]
    assert {"Look first", "command is publish_to_confluence", "kind is jira"} <= set(heads)
    assert all(re.fullmatch(r"[A-Z][a-z]+( [a-z]+)?|[a-z]+ is [a-z_]+", head) for head in heads), heads


def test_every_schema_of_the_document_is_one():
    for schema in document_of(ROUTES)["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_no_schema_lets_a_secret_out():
    document = document_of(ROUTES)
    answers = json.dumps(
        [document["components"]["schemas"][name] for name in ("DestinationView", "JobView", "Problem")]
    )
    assert "secret" not in answers


def test_the_api_page_names_every_resource_and_every_scope():
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    for route in ROUTES:
        resource = route.address.replace("{job_id}", "{id}").rpartition("/")
        assert (
            route.address.replace("{job_id}", "{id}") in page
            or f"…/{resource[2]}`" in page
            or (f"`/{resource[2]}" in page)
        ), route.address
    for scope in Scope:
        assert f"`{scope}`" in page


def test_every_moment_of_an_answer_is_described_in_both_forms():
    schemas = document_of(ROUTES)["components"]["schemas"]
    moments = {
        (name, each)
        for name, schema in schemas.items()
        for each in schema.get("properties", {})
        if each.endswith("_ms")
    }
    assert ("LookFirst", "since_ms") in moments
    assert ("AuditEntry", "at_ms") in moments
    for name, each in moments:
        beside = "at" if each == "at_ms" else f"{each.removesuffix('_ms').removesuffix('_at')}_at"
        assert beside in schemas[name]["properties"], (name, each)
        assert (beside in schemas[name]["required"]) or each not in schemas[name]["required"], (name, each)


async def test_every_moment_of_an_answer_is_there_in_both_forms(api, destinations, services):
    """Also deep in it, and null where there is none."""
    await services.ledger.heartbeat("a worker", WORKER_TTL_MS, 8)
    await api.post("/v1/destinations/confluence/test")
    (shown,) = [d for d in (await api.get("/v1/destinations")).json["destinations"] if d["name"] == "confluence"]
    tested = shown["health"]["last_test"]
    assert datetime.fromisoformat(tested["at"]).timestamp() * 1000 == tested["at_ms"]
    assert (shown["not_before_ms"], shown["not_before_at"], shown["credential"]["ends_at"]) == (0, None, None)
    entry = (await api.get("/v1/audit?limit=1")).json["entries"][0]
    assert datetime.fromisoformat(entry["at"]).timestamp() * 1000 == entry["at_ms"]
    assert not [name for name in entry["data"] if name.endswith("_at")], "what an entry says is as it was signed"
    flag = (await api.post("/v1/lookfirst/set")).json
    assert datetime.fromisoformat(flag["since_at"]).timestamp() * 1000 == flag["since_ms"]
    assert flag["until_at"] is None
