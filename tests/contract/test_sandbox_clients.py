"""Programs that know nothing of us work against the sandbox as they do against the vendors."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import subprocess
import sys
import textwrap

import pytest

from tests.contract.sandbox_support import SECRET, Live, running


@pytest.fixture
async def live():
    async with running() as sandbox:
        yield sandbox


async def elsewhere(program: str, live: Live, home) -> dict:
    """Run a small program of a client's user in a process of its own with a fresh home; what it prints is JSON.

    Microsoft's client keeps files in the home folder, and some of the clients change global state at import.
    """
    environment = {"HOME": str(home), "PATH": "", "URL": live.url, "HOST": live.host, "SECRET": SECRET}
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)]
    done = await asyncio.to_thread(
        subprocess.run, command, env=environment, cwd=home, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def installed(module: str) -> None:
    """Skip where the client isn't installed (it is a development dependency)."""
    if importlib.util.find_spec(module.split(".", maxsplit=1)[0]) is None:
        pytest.skip(f"{module} is not installed")


async def test_microsofts_own_client_creates_finds_and_changes_a_work_item(live, tmp_path):
    installed("azure.devops")
    got = await elsewhere(
        """
        import json, os
        from azure.devops.connection import Connection
        from azure.devops.exceptions import AzureDevOpsServiceError
        from azure.devops.v7_1.work_item_tracking.models import JsonPatchOperation, TeamContext, Wiql
        from msrest.authentication import BasicAuthentication

        connection = Connection(os.environ["URL"] + "/contoso", BasicAuthentication("", os.environ["SECRET"]))
        wit, core = connection.clients_v7_1.get_work_item_tracking_client(), connection.clients_v7_1.get_core_client()
        def add(field, value):
            return JsonPatchOperation(op="add", path="/fields/" + field, value=value)
        made = wit.create_work_item([add("System.Title", "Down"), add("System.Tags", "rca; aw-1f")], "Operations", "Bug")
        changed = wit.update_work_item([add("System.Title", "Up")], made.id)
        query = "SELECT [System.Id] FROM WorkItems WHERE [System.TeamProject]=@project AND [System.Tags] CONTAINS 'aw-1f'"
        found = wit.query_by_wiql(Wiql(query=query), TeamContext(project="Operations"))
        try:
            wit.create_work_item([add("System.Title", "x")], "Operations", "Incident")
            refused = ""
        except AzureDevOpsServiceError as error:
            refused = error.type_key
        print(json.dumps({
            "projects": sorted(project.name for project in core.get_projects()),
            "process": core.get_project("Starter", include_capabilities=True).capabilities["processTemplate"]["templateName"],
            "types": [kind.name for kind in wit.get_work_item_types("Starter")],
            "title": wit.get_work_item(made.id).fields["System.Title"],
            "rev": changed.rev,
            "found": [row.id for row in found.work_items] == [made.id],
            "batch": [row.id for row in wit.get_work_items([made.id])] == [made.id],
            "refused": refused,
        }))
        """,
        live,
        tmp_path,
    )
    assert got == {
        "projects": ["Operations", "Payments", "Platform", "Starter"],
        "process": "Basic",
        "types": ["Epic", "Issue", "Task"],
        "title": "Up",
        "rev": 2,
        "found": True,
        "batch": True,
        "refused": "WorkItemTypeNotFoundException",
    }


async def test_atlassians_python_client_writes_a_page_by_v2(live, tmp_path):
    installed("atlassian")
    got = await elsewhere(
        """
        import json, os
        from atlassian.confluence_v2 import ConfluenceV2

        wiki = ConfluenceV2(url=os.environ["URL"] + "/wiki", username="a@example.com", password=os.environ["SECRET"])
        space = wiki.get_spaces(keys=["OPS"])[0]
        page = wiki.create_page(space_id=space["id"], title="RCA", body="<p>one</p>")
        wiki.update_page(page["id"], title="RCA", body="<p>two</p>", status="current")
        wiki.create_page_property(page["id"], "afterword", {"subject": "s1"})
        found = wiki.get_pages(space_id=space["id"], title="RCA")
        print(json.dumps({
            "id": page["id"], "found": [row["id"] for row in found],
            "body": wiki.get_page_by_id(page["id"], body_format="storage")["body"]["storage"]["value"],
            "keys": [row["key"] for row in wiki.get_page_properties(page["id"])],
        }))
        """,
        live,
        tmp_path,
    )
    assert got["found"] == [got["id"]]
    assert got["body"] == "<p>two</p>"
    assert got["keys"] == ["afterword"]
    (page,) = await live.objects("confluence")
    assert (page["title"], page["version"], page["key"]) == ("RCA", 2, "s1")


async def test_atlassians_python_client_writes_a_page_to_data_center(live, tmp_path):
    installed("atlassian")
    got = await elsewhere(
        """
        import json, os
        from atlassian.confluence import ConfluenceServer

        wiki = ConfluenceServer(url=os.environ["URL"], token=os.environ["SECRET"])
        page = wiki.create_content({
            "type": "page", "title": "RCA", "space": {"key": "OPS"},
            "body": {"storage": {"value": "<p>one</p>", "representation": "storage"}}})
        wiki.update_content(page["id"], {
            "type": "page", "title": "RCA", "version": {"number": 2},
            "body": {"storage": {"value": "<p>two</p>", "representation": "storage"}}})
        print(json.dumps({"id": page["id"], "space": wiki.get_space("OPS")["key"],
                          "version": wiki.get_content_by_id(page["id"])["version"]["number"]}))
        """,
        live,
        tmp_path,
    )
    (page,) = await live.objects("confluence")
    assert got == {"id": page["id"], "space": "OPS", "version": 2}
    assert page["body"] == "<p>two</p>"


async def test_markdown_to_confluence_publishes_a_file_with_a_picture(live, tmp_path):
    installed("md2conf")
    made = await live.new_page("To be filled")
    (tmp_path / "dot.png").write_bytes(
        bytes.fromhex(
            "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63000100000005000100"
            "0d0a2db40000000049454e44ae426082"
        )
    )
    (tmp_path / "rca.md").write_text(
        f"<!-- confluence-page-id: {made.json['id']} -->\n\n# Pool exhausted\n\n| a | b |\n|-|-|\n| 1 | 2 |\n\n![dot](dot.png)\n"
    )
    await elsewhere(
        """
        import json, os, pathlib
        from md2conf.api import ConfluenceAPI
        from md2conf.environment import ConnectionProperties
        from md2conf.options import DocumentOptions
        from md2conf.publisher import Publisher

        known = ConnectionProperties(api_url=os.environ["URL"] + "/wiki/", domain=os.environ["HOST"], base_path="/wiki/",
                                     user_name="a@example.com", api_key=os.environ["SECRET"], space_key="OPS")
        with ConfluenceAPI(known) as api:
            Publisher(api, DocumentOptions()).process(pathlib.Path("rca.md"))
        print(json.dumps({}))
        """,
        live,
        tmp_path,
    )
    (page,) = await live.objects("confluence")
    assert page["id"] == made.json["id"]
    assert page["version"] == 2
    assert "<table" in page["body"]
    assert page["attachments"] == ["dot.png"]


async def test_pysnow_creates_reads_and_changes_an_incident(live, tmp_path):
    installed("pysnow")
    got = await elsewhere(
        """
        import json, os
        import pysnow

        client = pysnow.Client(host=os.environ["HOST"], user="u", password=os.environ["SECRET"], use_ssl=False)
        table = client.resource(api_path="/table/incident")
        made = table.create({"short_description": "Down", "impact": "1", "urgency": "2", "correlation_id": "k1", "nope": "x"})
        row = table.get(query={"correlation_id": "k1"}).one()
        changed = table.update(query={"sys_id": row["sys_id"]}, payload={"short_description": "Up"})
        print(json.dumps({"made": made.one()["number"], "priority": row["priority"], "nope": "nope" in row,
                          "title": changed.one()["short_description"]}))
        """,
        live,
        tmp_path,
    )
    assert got == {"made": "INC0010001", "priority": "2", "nope": False, "title": "Up"}


async def test_aiosnow_finds_and_changes_an_incident(live, tmp_path):
    installed("aiosnow")
    await live.new_incident(correlation_id="k1", impact="2")
    got = await elsewhere(
        """
        import asyncio, json, os
        import aiosnow
        from aiosnow.models.table.declared import IncidentModel as Incident

        async def main():
            client = aiosnow.Client(os.environ["HOST"], basic_auth=("u", os.environ["SECRET"]), use_ssl=False)
            async with Incident(client, table_name="incident") as incidents:
                found = await incidents.get_one(Incident.correlation_id == "k1")
                await incidents.update(Incident.number == found["number"], {"short_description": "Up"})
                made = await incidents.create({"short_description": "Another"})
                return {"number": found["number"], "made": made["number"]}

        print(json.dumps(asyncio.run(main())))
        """,
        live,
        tmp_path,
    )
    assert got == {"number": "INC0010001", "made": "INC0010002"}
    assert [row["title"] for row in await live.objects("servicenow")] == ["Up", "Another"]
