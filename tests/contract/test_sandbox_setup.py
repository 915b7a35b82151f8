"""What a sandbox begins with, and faults that a request brings for itself."""

from __future__ import annotations

import json

import aiohttp
import pytest

from tasks.destinations.contract import basic
from tests.contract.sandbox_support import running
from worker.sandbox.faults.spec import NAMES
from worker.sandbox.serve import serve
from worker.sandbox.setup import read

SETUP = """
spaces = ["SRE2"]
groups = ["Payments on call"]
configuration_items = ["ledger-db"]

[projects]
Checkout = "Basic"

[[deny]]
vendor = "azure_devops"
target = "Checkout"
deny = ["create"]

[[fault]]
fault = "status"
path = "/api/now/attachment"
status = 418
"""


@pytest.fixture
async def ask():
    """GET of a path with a credential, of a sandbox that begins as SETUP says with one more fault."""
    runner, port = await serve("127.0.0.1", 0, setup=read(SETUP, ['{"fault": "rate_limit", "vendor": "jira"}']))
    async with aiohttp.ClientSession(headers=basic("a", "fake-for-the-sandbox")) as session:

        async def ask(path, method="GET", **more):
            async with session.request(method, f"http://127.0.0.1:{port}{path}", **more) as answer:
                return answer.status, await answer.text()

        yield ask
    await runner.cleanup()


async def test_a_sandbox_begins_with_the_places_and_names_of_its_file(ask):
    assert "SRE2" in (await ask("/wiki/api/v2/spaces"))[1]
    assert "OPS" not in (await ask("/wiki/api/v2/spaces"))[1]
    projects = json.loads((await ask("/contoso/_apis/projects"))[1])["value"]
    assert [row["name"] for row in projects] == ["Checkout"]
    types = json.loads((await ask("/contoso/Checkout/_apis/wit/workitemtypes"))[1])["value"]
    assert [row["name"] for row in types] == ["Epic", "Issue", "Task"]
    for table, name in (("sys_user_group", "Payments on call"), ("cmdb_ci", "ledger-db")):
        found = await ask(f"/api/now/table/{table}", params={"sysparm_query": f"name={name}"})
        assert name in found[1]


async def test_a_sandbox_begins_with_missing_rights_and_faults(ask):
    assert (await ask("/api/now/attachment"))[0] == 418
    assert (await ask("/rest/api/3/myself"))[0] == 429
    path = "/contoso/Checkout/_apis/wit/workitems/$Task?api-version=7.1"
    patch = [{"op": "add", "path": "/fields/System.Title", "value": "x"}]
    headers = {"Content-Type": "application/json-patch+json"}
    assert (await ask(path, "POST", data=json.dumps(patch), headers=headers))[0] == 403


@pytest.mark.parametrize(
    ("text", "faults", "words"),
    [
        ("spaces = [", [], "^it is not TOML: "),
        ('places = ["A"]', [], "^places: is not known here$"),
        ('[projects]\nX = "Kanban"', [], "projects.X"),
        ('[[fault]]\nfault = "thunder"', [], "fault.0.fault"),
        ("", ["thunder"], "^fault: must be 'commit_then_drop'"),
        ("", ['{"fault": "status", "status": "x"}'], "^status: must be a whole number$"),
        ("", ["{"], "JSON"),
    ],
)
def test_a_setup_that_cant_be_read_says_what_is_wrong(text, faults, words):
    with pytest.raises(ValueError, match=words):
        read(text, faults)


async def test_a_request_brings_a_fault_for_itself_alone():
    async with running() as live:
        for header, status in (("rate_limit", 429), ('{"fault": "status", "status": 418}', 418), ("sign_in_203", 203)):
            got = await live.ask("GET", "/contoso/_apis/projects", headers={"X-Sandbox-Fault": header})
            assert got.status == status
            assert (await live.ask("GET", "/contoso/_apis/projects")).status == 200
        answer = await live.ask("GET", "/contoso/_apis/projects", headers={"X-Sandbox-Fault": "thunder"})
        assert answer.status == 400
        assert answer.json["message"].startswith("X-Sandbox-Fault: fault: must be 'commit_then_drop'")


@pytest.mark.parametrize("name", NAMES)
async def test_every_fault_can_be_brought_by_a_request(name):
    async with running() as live:
        header = json.dumps({"fault": name, "seconds": 0.01})
        try:
            answer = await live.ask("GET", "/contoso/_apis/connectionData", headers={"X-Sandbox-Fault": header})
        except (aiohttp.ClientError, TimeoutError):
            return
        assert answer.status != 400
