"""What a sandbox begins with, and faults that a request brings for itself."""

from __future__ import annotations

import json
import re
from typing import get_args

import aiohttp
import pytest

from tasks.destinations.contract import basic
from tests.conftest import ROOT
from tests.contract.sandbox_support import running
from worker.sandbox.faults.spec import NAMES
from worker.sandbox.serve import serve
from worker.sandbox.servicenow.incident import COLUMNS, OWN, insert, update
from worker.sandbox.servicenow.setup import OwnColumn, OwnTable
from worker.sandbox.servicenow.tables import Kind
from worker.sandbox.setup import Setup, read

SETUP = """
spaces = ["SRE2"]
groups = ["Payments on call"]
configuration_items = ["ledger-db"]
areas = ["Web", 'Web\\Checkout']
iterations = ["Release 7"]

[projects]
Checkout = "Basic"

[[jira_project]]
key = "CHK"
types = ["Incident", "Outage"]
workflow = "classic"
required = ["customfield_10050"]
hidden = ["environment"]
field = [{ id = "customfield_10060", name = "Cause code", type = "option", values = ["code", "config"] }]

[[account]]
user_name = "ruth.li"
name = "Ruth Li"
secret = "ruths-fake-password"
roles = ["snc_basic_auth_api_access"]
deny = [{ vendor = "jira", target = "CHK", deny = ["create"] }]

[[account]]
user_name = "interactive"
roles = ["itil"]

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


@pytest.fixture
async def calm(ask):
    """The same without the faults that it begins with."""
    assert (await ask("/_sandbox/faults", "DELETE"))[0] == 204
    return ask


async def test_a_sandbox_begins_with_the_places_and_names_of_its_file(ask):
    assert "SRE2" in (await ask("/wiki/api/v2/spaces"))[1]
    assert "OPS" not in (await ask("/wiki/api/v2/spaces"))[1]
    projects = json.loads((await ask("/contoso/_apis/projects"))[1])["value"]
    assert [row["name"] for row in projects] == ["Checkout"]
    trees = "/contoso/Checkout/_apis/wit/classificationnodes"
    areas = json.loads((await ask(f"{trees}/Areas?$depth=9"))[1])
    assert [(row["name"], [one["name"] for one in row["children"]]) for row in areas["children"]] == [
        ("Web", ["Checkout"])
    ]
    iterations = json.loads((await ask(f"{trees}/Iterations?$depth=9"))[1])
    assert [row["name"] for row in iterations["children"]] == ["Release 7"]
    types = json.loads((await ask("/contoso/Checkout/_apis/wit/workitemtypes"))[1])["value"]
    assert [row["name"] for row in types] == ["Epic", "Issue", "Task"]
    for table, name in (("sys_user_group", "Payments on call"), ("cmdb_ci", "ledger-db")):
        found = await ask(f"/api/now/table/{table}", params={"sysparm_query": f"name={name}"})
        assert name in found[1]


RUTH = basic("ruth.li", "ruths-fake-password")
WRONG = basic("ruth.li", "another-one")
PAT = basic("", "ruths-fake-password")
KEY = {"x-sn-apikey": "ruths-fake-password", "Authorization": ""}


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/rest/api/3/myself", RUTH),
        ("/rest/api/2/myself", {"Authorization": "Bearer ruths-fake-password"}),
        ("/contoso/_apis/connectionData", PAT),
        ("/wiki/rest/api/user/current", RUTH),
        ("/api/now/table/sys_user?sysparm_query=user_name=javascript:gs.getUserName()", KEY),
    ],
)
async def test_an_account_of_the_file_logs_in_at_each_vendor_by_name_or_by_its_secret_alone(calm, path, headers):
    status, said = await calm(path, headers=headers)
    assert (status, "Ruth Li" in said, "Abel" in said) == (200, True, False)


async def test_an_account_with_another_password_or_without_its_role_is_refused(calm):
    """As recent releases of ServiceNow refuse the right password of an interactive user."""
    assert (await calm("/rest/api/3/myself", headers=WRONG))[0] == 401
    assert (await calm("/api/now/table/incident", headers=WRONG))[0] == 401
    assert (await calm("/contoso/_apis/connectionData", headers=WRONG))[0] == 203
    assert (await calm("/api/now/table/incident", headers=basic("interactive", "any")))[0] == 401
    assert (await calm("/rest/api/3/myself", headers=basic("interactive", "any")))[0] == 200


async def test_an_account_without_itil_sees_its_own_records_and_a_count_of_all(calm):
    table, about = "/api/now/table/incident", {"Accept": "application/json"}
    for who in (RUTH, {}):
        made = await calm(table, "POST", json={"short_description": "Down"}, headers=about | who)
        assert made[0] == 201
    other = json.loads(made[1])["result"]
    seen = json.loads((await calm(table, headers=RUTH))[1])["result"]
    assert [row["sys_created_by"] for row in seen] == ["ruth.li"]
    assert (await calm(f"{table}/{other['sys_id']}", headers=RUTH))[0] == 404
    assert len(json.loads((await calm(table))[1])["result"]) == 2


async def test_everybody_knows_an_account_of_the_file(calm):
    """It can be assigned, looked up and mentioned like those of a fresh instance."""
    found = json.loads((await calm("/rest/api/3/user/search?query=ruth"))[1])
    assert [row["emailAddress"] for row in found] == ["ruth.li@example.com"]
    patch = [
        {"op": "add", "path": f"/fields/System.{n}", "value": v} for n, v in (("Title", "x"), ("AssignedTo", "Ruth Li"))
    ]
    headers = {"Content-Type": "application/json-patch+json"}
    path = "/contoso/Checkout/_apis/wit/workitems/$Task?api-version=7.1&validateOnly=true"
    assert (await calm(path, "POST", data=json.dumps(patch), headers=headers))[0] == 403, "nobody may create there"
    assert "Ruth Li" in (await calm('/wiki/rest/api/search/user?cql=user.fullname~"Ruth"'))[1]


async def test_a_sandbox_begins_with_the_jira_projects_of_its_file(calm):
    """Types, workflow, fields that are required, hidden, or of a type of their own, and who may not create."""
    base = "/rest/api/3"
    assert [row["key"] for row in json.loads((await calm(f"{base}/project"))[1])] == ["CHK"]
    types = json.loads((await calm(f"{base}/issue/createmeta/CHK/issuetypes"))[1])["issueTypes"]
    assert [row["name"] for row in types] == ["Incident", "Outage"]
    assert len({row["id"] for row in types}) == 2
    fields = {"project": {"key": "CHK"}, "issuetype": {"name": "Outage"}, "summary": "Down"}

    async def create(headers=RUTH, **more):
        return await calm(f"{base}/issue", "POST", json={"fields": fields | more}, headers=headers)

    assert "You cannot create issues" in (await create())[1]
    everybody = {}
    assert json.loads((await create(everybody))[1])["errors"] == {"customfield_10050": "Impacted service is required."}
    odd = await create(everybody, customfield_10050="x", environment="y", customfield_10060={"value": "people"})
    assert json.loads(odd[1])["errors"].keys() == {"environment", "customfield_10060"}
    made = await create(everybody, customfield_10050="x", customfield_10060={"value": "code"})
    key = json.loads(made[1])["key"]
    ways = json.loads((await calm(f"{base}/issue/{key}/transitions"))[1])["transitions"]
    assert [way["name"] for way in ways] == ["Start Progress", "Resolve Issue", "Close Issue"]


async def test_a_sandbox_begins_with_missing_rights_and_faults(ask):
    assert (await ask("/api/now/attachment"))[0] == 418
    assert (await ask("/rest/api/3/myself"))[0] == 429
    path = "/contoso/Checkout/_apis/wit/workitems/$Task?api-version=7.1"
    patch = [{"op": "add", "path": "/fields/System.Title", "value": "x"}]
    headers = {"Content-Type": "application/json-patch+json"}
    assert (await ask(path, "POST", data=json.dumps(patch), headers=headers))[0] == 403


@pytest.mark.parametrize("kind", get_args(Kind))
@pytest.mark.parametrize("name", [name for name in COLUMNS if name not in OWN])
def test_a_column_of_the_instance_may_be_of_another_type(kind, name):
    """No write of any value, and no reading of it, is a fault of the sandbox; that it holds it is its type's matter."""
    more = {"choice": {"values": ["low", "high"]}, "reference": {"reference": "sys_user"}}.get(kind, {})
    column = OwnColumn(name=name, type=kind, **more)
    store = Setup(table=(OwnTable(name="incident", column=(column,)),)).store()
    for value in ("high", "", "7", "Abel Tuter", "2026-11-30"):
        row = insert(store, "incident", {name: value})
        update(store, row, {name: value})
        assert row["priority"]


def test_the_examples_of_the_documentation_are_taken():
    page = (ROOT / "docs" / "producers.md").read_text("utf-8")
    whole, workflow = re.findall(r"^```toml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert read(whole).store().tables["incident"].mandatory == ("u_cause",)
    (own,) = read(f'[[jira_project]]\nkey = "CHK"\n{workflow}').jira_project
    assert [way.name for way in own.transition] == ["Contain", "Shut"]


@pytest.mark.parametrize(
    ("text", "faults", "words"),
    [
        ("spaces = [", [], "^it is not TOML: "),
        ('places = ["A"]', [], "^places: is not known here$"),
        ('[projects]\nX = "Kanban"', [], "projects.X"),
        ('[[fault]]\nfault = "thunder"', [], "fault.0.fault"),
        ('[[jira_project]]\nkey = "low"', [], "jira_project.0.key"),
        (
            '[[jira_project]]\nkey = "CHK"\nrequired = ["cause"]',
            [],
            r"^jira_project\.0\.required: there is no field cause$",
        ),
        ('[[account]]\nuser_name = "a:b"', [], "account.0.user_name"),
        (
            '[[table]]\nname = "incident"\ncolumn = [{ name = "sys_class_name" }]',
            [],
            r"^table\.0\.column\.0\.name: sys_class_name is the instance's own$",
        ),
        ('[[account]]\nuser_name = "a"\nroles = ["admin"]', [], "account.0.roles.0"),
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
