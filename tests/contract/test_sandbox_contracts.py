"""The sandbox's answers are those that the vendors' own descriptions and recorded traffic show."""

from __future__ import annotations

import json

import pytest

from tests.contract.sandbox_support import JSON_PATCH, contract, must_meet, recorded, recorded_body, running, shape


@pytest.fixture
async def live():
    async with running() as sandbox:
        yield sandbox


async def test_v2_answers_meet_atlassians_description(live):
    spec = contract("confluence-v2-openapi.json")
    made = await live.new_page()
    must_meet(spec, "post", "/pages", made)
    page, v2 = made.json["id"], "/wiki/api/v2"
    added = await live.ask("POST", f"{v2}/pages/{page}/properties", json={"key": "k", "value": {"a": 1}})
    must_meet(spec, "post", "/pages/{page-id}/properties", added)
    row = added.json["id"]
    change = {"key": "k", "value": 2, "version": {"number": 2}}
    put = await live.ask("PUT", f"{v2}/pages/{page}/properties/{row}", json=change)
    must_meet(spec, "put", "/pages/{page-id}/properties/{property-id}", put)
    body = {
        "id": page,
        "status": "current",
        "title": "RCA",
        "version": {"number": 2},
        "body": {"storage": {"value": ""}},
    }
    must_meet(spec, "put", "/pages/{id}", await live.ask("PUT", f"{v2}/pages/{page}", json=body))
    await live.ask("POST", f"/wiki/rest/api/content/{page}/label", json=[{"name": "rca"}])
    for path, template in {
        f"/pages/{page}?body-format=storage": "/pages/{id}",
        f"/pages?space-id={live.store.spaces['OPS']}&title=RCA": "/pages",
        f"/pages/{page}/labels": "/pages/{id}/labels",
        f"/pages/{page}/operations": "/pages/{id}/operations",
        f"/pages/{page}/versions": "/pages/{id}/versions",
        f"/pages/{page}/attachments": "/pages/{id}/attachments",
        f"/pages/{page}/children": "/pages/{id}/children",
        f"/pages/{page}/properties": "/pages/{page-id}/properties",
        f"/pages/{page}/properties/{row}": "/pages/{page-id}/properties/{property-id}",
        "/spaces?keys=OPS": "/spaces",
        f"/spaces/{live.store.spaces['OPS']}": "/spaces/{id}",
        f"/spaces/{live.store.spaces['OPS']}/pages": "/spaces/{id}/pages",
        f"/spaces/{live.store.spaces['OPS']}/operations": "/spaces/{id}/operations",
    }.items():
        must_meet(spec, "get", template, await live.ask("GET", v2 + path))


async def test_v1_answers_meet_atlassians_description(live):
    spec = contract("confluence-v1-swagger-2021-11.json")
    base = "/wiki/rest/api"
    body = {
        "type": "page",
        "title": "RCA",
        "space": {"key": "OPS"},
        "body": {"storage": {"value": "", "representation": "storage"}},
    }
    made = await live.ask("POST", f"{base}/content", json=body)
    must_meet(spec, "post", f"{base}/content", made)
    page = made.json["id"]
    changed = await live.ask("PUT", f"{base}/content/{page}", json=body | {"version": {"number": 2}})
    must_meet(spec, "put", f"{base}/content/{{id}}", changed)
    labels = await live.ask("POST", f"{base}/content/{page}/label", json=[{"prefix": "global", "name": "rca"}])
    must_meet(spec, "post", f"{base}/content/{{id}}/label", labels)
    for path in (
        "/content?spaceKey=OPS&title=RCA",
        f"/content/{page}",
        f"/content/{page}/label",
        "/space/OPS",
        "/user/current",
    ):
        template = path.partition("?")[0].replace(page, "{id}").replace("/space/OPS", "/space/{spaceKey}")
        must_meet(spec, "get", base + template, await live.ask("GET", base + path))


@pytest.mark.parametrize("name", ["ado-wit-7.1.json", "ado-wit-7.2.json"])
async def test_work_item_answers_meet_microsofts_description(live, name):
    spec = contract(name)
    made = await live.new_item(System__Tags="rca; aw-1")
    base = "/{organization}/{project}/_apis/wit"
    must_meet(spec, "post", base + "/workitems/${type}", made)
    must_meet(spec, "post", base + "/workitems/${type}", await live.new_item(query="&validateOnly=true"))
    number, here = made.json["id"], "/contoso/Operations/_apis/wit"
    for path, template in {
        f"/workitems/{number}?$expand=all": "/workitems/{id}",
        f"/workitems?ids={number}": "/workitems",
        "/workitemtypes": "/workitemtypes",
        "/workitemtypes/Bug": "/workitemtypes/{type}",
        "/workitemtypes/Bug/states": "/workitemtypes/{type}/states",
        "/fields": "/fields",
    }.items():
        must_meet(spec, "get", base + template, await live.ask("GET", here + path))
    patch = [{"op": "add", "path": "/fields/System.Title", "value": "Up"}]
    changed = await live.ask("PATCH", f"{here}/workitems/{number}?api-version=7.1", json=patch, headers=JSON_PATCH)
    must_meet(spec, "patch", base + "/workitems/{id}", changed)
    batch = await live.ask("POST", f"{here}/workitemsbatch?api-version=7.1", json={"ids": [number]})
    must_meet(spec, "post", base + "/workitemsbatch", batch)
    found = await live.ask("POST", f"{here}/wiql?api-version=7.1", json={"query": "SELECT [System.Id] FROM WorkItems"})
    must_meet(spec, "post", "/{organization}/{project}/{team}/_apis/wit/wiql", found)


async def test_project_answers_meet_microsofts_description(live):
    spec = contract("ado-core-7.1.json")
    must_meet(spec, "get", "/{organization}/_apis/projects", await live.ask("GET", "/contoso/_apis/projects"))
    one = await live.ask("GET", "/contoso/_apis/projects/Operations?includeCapabilities=true")
    must_meet(spec, "get", "/{organization}/_apis/projects/{projectId}", one)


async def test_a_broken_answer_does_not_meet_the_description(live):
    spec = contract("confluence-v2-openapi.json")
    made = await live.new_page()
    made.body = made.body.replace(b'"spaceId": "', b'"spaceId": 1, "x": "')
    with pytest.raises(AssertionError, match="spaceId"):
        must_meet(spec, "post", "/pages", made)


async def test_an_incident_has_the_recorded_columns_and_kinds(live):
    wanted = recorded_body("servicenow/create-201.json")
    made = await live.new_incident()
    assert made.status == 201
    assert shape(made.json["result"]) == shape(wanted["result"])
    alike = (
        "impact",
        "urgency",
        "priority",
        "state",
        "category",
        "active",
        "sys_mod_count",
        "approval",
        "correlation_id",
    )
    assert {name: made.json["result"][name] for name in alike} == {name: wanted["result"][name] for name in alike}
    listed = await live.ask("GET", "/api/now/table/incident")
    assert shape(listed.json) == shape(recorded_body("servicenow/list-200.json"))


async def test_servicenows_refusals_are_the_recorded_ones(live):
    missing = await live.ask("GET", "/api/now/table/incident/0")
    assert (missing.status, missing.json) == (404, recorded_body("servicenow/record-404.json"))
    unknown = await live.ask("GET", "/api/now/table/incident", secret=None)
    assert (unknown.status, unknown.json) == (401, recorded_body("servicenow/401.json"))


def _first(rows, method, part, status=200):
    return next(r for r in rows if r["method"] == method and part in r["uri"] and r["status"] == status)


async def test_azure_devops_answers_have_the_recorded_shapes(live):
    rows = recorded("azure_devops.jsonl")
    task = json.loads(_first(rows, "POST", "/$Task")["response_body"])
    made = await live.new_item("Task", "Starter")
    assert set(made.json) == set(task)
    assert shape(made.json["_links"]) == shape(task["_links"])
    assert shape(made.json["fields"]) == shape(task["fields"])
    assert made.json["fields"]["System.State"] == task["fields"]["System.State"]
    project = json.loads(_first(rows, "GET", "?includeCapabilities=true")["response_body"])
    assert shape((await live.ask("GET", "/contoso/_apis/projects/Starter?includeCapabilities=true")).json) == shape(
        project
    )
    data = json.loads(_first(rows, "GET", "ConnectionData")["response_body"])
    assert shape((await live.ask("GET", "/contoso/_apis/ConnectionData")).json) == shape(data)
    wiql = json.loads(_first(rows, "POST", "/wiql")["response_body"])
    query = {"query": f"SELECT [System.Id] FROM WorkItems WHERE ([System.Id] = {made.json['id']})"}
    found = await live.ask("POST", "/contoso/_apis/wit/wiql?api-version=5.0", json=query)
    assert shape(found.json) == shape(wiql)


async def test_an_unknown_project_is_refused_in_the_recorded_words(live):
    row = _first(recorded("azure_devops.jsonl"), "POST", "/$Task", 404)
    got = await live.new_item("Task", "WorkItemCreateShowUpdateDeleteTests")
    wanted = json.loads(row["response_body"])
    assert got.status == 404
    assert got.json["typeKey"] == wanted["typeKey"]
    assert got.json["message"] == wanted["message"]
    assert set(got.json) == set(wanted)


async def test_links_can_be_added_and_taken_away_without_a_new_revision(live):
    made = (await live.new_item()).json["id"]
    path = f"/contoso/_apis/wit/workitems/{made}?api-version=7.1"
    add = [
        {"op": "add", "path": "/relations/-", "value": {"rel": "Hyperlink", "url": f"https://example.com/{i}"}}
        for i in (0, 1)
    ]
    linked = await live.ask("PATCH", path, json=add, headers=JSON_PATCH)
    assert (linked.json["rev"], len(linked.json["relations"])) == (1, 2)
    remove = [{"op": "remove", "path": "/relations/1"}, {"op": "remove", "path": "/relations/0"}]
    assert "relations" not in (await live.ask("PATCH", path, json=remove, headers=JSON_PATCH)).json


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/contoso/Operations/_apis/wit/classificationnodes/areas?$depth=x", None),
        ("POST", "/api/now/v1/batch", "no object"),
        ("POST", "/api/now/v1/batch", {"rest_requests": ["no object"]}),
        ("GET", "/rest/api/2/search?jql=project=OPS&startAt=x", None),
        ("POST", "/rest/api/3/search/jql", {"jql": "project = OPS", "maxResults": "x"}),
        ("POST", "/rest/api/3/issueLink", {"type": "Blocks"}),
        ("POST", "/rest/api/3/issueLink", {"type": {"name": "Blocks"}, "inwardIssue": "OPS-1"}),
    ],
)
async def test_a_request_that_makes_no_sense_is_its_senders_fault(live, method, path, body):
    """An error of the server's own would be tried again."""
    assert (await live.ask(method, path, json=body)).status == 400
