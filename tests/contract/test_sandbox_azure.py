"""Azure DevOps's rules in the sandbox: sign-in pages, patches, fields, tags, WIQL, revisions."""

from __future__ import annotations

import json

import pytest

from tests.contract.sandbox_support import JSON_PATCH, running


@pytest.fixture
async def live():
    async with running() as sandbox:
        yield sandbox


@pytest.mark.parametrize("secret", [None, "wrong", "invalid-pat", "revoked"])
async def test_a_bad_token_gets_the_sign_in_page_and_not_a_401(live, secret):
    answer = await live.ask("GET", "/contoso/_apis/projects", secret=secret)
    assert (answer.status, answer.headers["Content-Type"].partition(";")[0]) == (203, "text/html")
    assert "Sign In" in answer.text


async def test_an_expired_token_gets_an_empty_401(live):
    answer = await live.ask("GET", "/contoso/_apis/projects", secret="expired")
    assert (answer.status, answer.body) == (401, b"")


@pytest.mark.parametrize(
    ("kind", "project", "fields", "status", "type_key", "words"),
    [
        ("Bug", "Nowhere", {}, 404, "ProjectDoesNotExistWithNameException", "TF200016"),
        ("Bug", "Starter", {}, 404, "WorkItemTypeNotFoundException", "VS402323"),
        ("Incident", "Operations", {}, 404, "WorkItemTypeNotFoundException", "VS402323"),
        ("Bug", "Operations", {"System__Title": ""}, 400, "RuleValidationException", "TF401320"),
        (
            "Bug",
            "Operations",
            {"Microsoft__VSTS__Common__Severity": "High"},
            400,
            "RuleValidationException",
            "Severity",
        ),
        ("Bug", "Operations", {"Microsoft__VSTS__Common__Priority": 5}, 400, "RuleValidationException", "Priority"),
        ("Bug", "Operations", {"System__State": "Nonsense"}, 400, "RuleValidationException", "State"),
        ("Bug", "Operations", {"Nope__Field": "x"}, 400, "WorkItemTrackingFieldDefinitionNotFoundException", "TF51535"),
        ("Bug", "Operations", {"System__AreaPath": "Else"}, 400, "WorkItemFieldInvalidTreeNameException", "TF401347"),
        ("Bug", "Operations", {"System__Tags": "x" * 401}, 400, "RuleValidationException", "Tags"),
        ("Bug", "Operations", {"System__Id": 7}, 400, "RuleValidationException", "ReadOnly"),
    ],
)
async def test_what_a_create_refuses_is_named_and_leaves_nothing(live, kind, project, fields, status, type_key, words):
    answer = await live.new_item(kind, project, **fields)
    assert (answer.status, answer.json["typeKey"]) == (status, type_key)
    assert words in answer.json["message"]
    assert await live.objects("azure_devops") == []


async def test_a_validated_create_runs_the_rules_and_keeps_nothing(live):
    assert (await live.new_item(query="&validateOnly=true")).status == 200
    assert (await live.new_item(query="&validateOnly=true", System__Title="")).status == 400
    assert await live.objects("azure_devops") == []


async def test_a_write_without_a_version_or_with_another_content_type_is_refused(live):
    path, body = (
        "/contoso/Operations/_apis/wit/workitems/$Bug",
        [{"op": "add", "path": "/fields/System.Title", "value": "x"}],
    )
    assert (await live.ask("POST", path, json=body, headers=JSON_PATCH)).json[
        "typeKey"
    ] == "VssVersionNotSpecifiedException"
    assert (await live.ask("POST", f"{path}?api-version=7.1", json=body)).status == 415
    in_header = JSON_PATCH | {"Accept": "application/json;api-version=7.1"}
    assert (await live.ask("POST", path, json=body, headers=in_header)).status == 200


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("[System.TeamProject]=@project AND [System.Tags] CONTAINS 'aw-1'", ["one"]),
        ("[System.Tags] CONTAINS 'AW-1'", ["one", "other"]),
        ("[System.Tags] CONTAINS 'it''s'", ["two"]),
        ("[System.TeamProject] = 'Payments'", ["other"]),
        ("[System.Title] = 'one' OR ([System.Title] = 'two' AND NOT [System.State] = 'New')", ["one"]),
        ("[System.Title] IN ('two', 'other')", ["two", "other"]),
        ("[System.WorkItemType] <> 'Bug'", ["other"]),
        ("[System.Tags] NOT CONTAINS 'aw-1'", ["two"]),
    ],
)
async def test_wiql_filters(live, where, found):
    names = {(await live.new_item(System__Title="one", System__Tags="rca; aw-1")).json["id"]: "one"}
    names[(await live.new_item(System__Title="two", System__Tags="it's")).json["id"]] = "two"
    names[(await live.new_item("Task", "Payments", System__Title="other", System__Tags="aw-1")).json["id"]] = "other"
    assert [names[number] for number in await live.wiql(where)] == found


@pytest.mark.parametrize(
    "query",
    [
        "DROP TABLE x",
        "SELECT [System.Id] FROM WorkItems WHERE [System.Title]",
        "SELECT [System.Id] FROM WorkItems WHERE [System.Title] = ",
        "SELECT [System.Id] FROM WorkItems WHERE [Nope.X] = 1",
        "SELECT [System.Id] FROM WorkItems WHERE [System.Id] = 1 extra",
        "SELECT [System.Id] FROM WorkItems WHERE ([System.Id] = 1",
        f"SELECT [System.Id] FROM WorkItems WHERE {5000 * '('}[System.Id] = 1",
        f"SELECT [System.Id] FROM WorkItems WHERE {5000 * 'NOT '}[System.Id] = 1",
    ],
)
async def test_a_query_that_can_not_be_read_is_a_400(live, query):
    answer = await live.ask("POST", "/contoso/_apis/wit/wiql?api-version=7.1", json={"query": query})
    assert answer.status == 400
    assert answer.json["message"]


async def test_tags_are_trimmed_and_kept_once(live):
    made = await live.new_item(System__Tags=" rca ;RCA; aw-1,x ")
    assert made.json["fields"]["System.Tags"] == "rca; aw-1; x"


async def test_a_patch_is_done_whole_or_not_at_all(live):
    number = (await live.new_item()).json["id"]
    patch = [
        {"op": "add", "path": "/fields/System.Title", "value": "Up"},
        {"op": "add", "path": "/fields/Nope.X", "value": 1},
    ]
    path = f"/contoso/_apis/wit/workitems/{number}?api-version=7.1"
    assert (await live.ask("PATCH", path, json=patch, headers=JSON_PATCH)).status == 400
    item = (await live.ask("GET", path)).json
    assert (item["rev"], item["fields"]["System.Title"]) == (1, "Down")


async def test_a_test_of_an_old_revision_is_a_412_and_an_equal_value_no_revision(live):
    number = (await live.new_item()).json["id"]
    path = f"/contoso/_apis/wit/workitems/{number}?api-version=7.1"
    title = {"op": "add", "path": "/fields/System.Title", "value": "Down"}
    old = await live.ask("PATCH", path, json=[{"op": "test", "path": "/rev", "value": 9}, title], headers=JSON_PATCH)
    assert (old.status, old.json["typeKey"]) == (412, "TestPatchOperationFailedException")
    assert (await live.ask("PATCH", path, json=[title], headers=JSON_PATCH)).json["rev"] == 1


async def test_a_markdown_field_says_so(live):
    given = [
        {"op": "add", "path": "/fields/System.Title", "value": "x"},
        {"op": "add", "path": "/fields/System.Description", "value": "# x"},
        {"op": "add", "path": "/multilineFieldsFormat/System.Description", "value": "Markdown"},
    ]
    path = "/contoso/Operations/_apis/wit/workitems/$Task?api-version=7.1"
    made = await live.ask("POST", path, data=json.dumps(given), headers=JSON_PATCH)
    assert made.json["multilineFieldsFormat"] == {"System.Description": "markdown"}


async def test_a_deleted_item_vanishes_from_wiql_and_lies_in_the_bin(live):
    number = (await live.new_item(System__Tags="aw-1")).json["id"]
    path = f"/contoso/Operations/_apis/wit/workitems/{number}"
    assert (await live.ask("DELETE", f"{path}?api-version=7.1")).status == 200
    assert (await live.ask("GET", path)).status == 404
    assert await live.wiql("[System.Tags] CONTAINS 'aw-1'") == []
    assert (await live.ask("GET", path.replace("workitems", "recyclebin"))).json["id"] == number


async def test_an_item_is_found_by_id_with_and_without_its_project_but_not_in_another(live):
    made = (await live.new_item()).json
    for place in ("", "Operations/", "operations/"):
        got = await live.ask("GET", f"/contoso/{place}_apis/wit/workItems/{made['id']}")
        assert got.json["id"] == made["id"]
    assert (await live.ask("GET", f"/contoso/Payments/_apis/wit/workItems/{made['id']}")).status == 404
    assert (await live.ask("GET", made["url"].removeprefix(live.url))).status == 200


async def test_a_collection_of_a_server_on_premises_works_the_same(live):
    answer = await live.ask("GET", "/tfs/DefaultCollection/Starter/_apis/wit/workitemtypes?api-version=5.0")
    assert [row["name"] for row in answer.json["value"]] == ["Epic", "Issue", "Task"]


@pytest.mark.parametrize(
    ("project", "type_", "state"),
    [("Operations", "Bug", "New"), ("Platform", "Product Backlog Item", "New"), ("Starter", "Issue", "To Do")],
)
async def test_each_process_has_its_own_first_state(live, project, type_, state):
    assert (await live.new_item(type_, project)).json["fields"]["System.State"] == state


async def test_missing_items_of_a_batch_are_an_error_unless_omitted(live):
    number = (await live.new_item()).json["id"]
    path = "/contoso/_apis/wit/workitemsbatch?api-version=7.1"
    assert (await live.ask("POST", path, json={"ids": [number, 999]})).status == 404
    kept = await live.ask("POST", path, json={"ids": [number, 999], "errorPolicy": "omit", "fields": ["System.Id"]})
    assert kept.json["value"][0]["fields"] == {"System.Id": number}
    assert kept.json["value"][1] is None


async def test_a_comment_can_be_changed_and_deleted_and_its_history_stays(live):
    number = (await live.new_item()).json["id"]
    path, version = f"/contoso/Operations/_apis/wit/workItems/{number}/comments", {"api-version": "7.1-preview.3"}
    for text in ("one", "two"):
        made = await live.ask("POST", path, json={"text": text}, params=version)
    assert (await live.ask("GET", f"{path}/2")).json == made.json
    changed = await live.ask("PATCH", f"{path}/2", json={"text": "three"}, params=version)
    assert (changed.json["text"], changed.json["version"]) == ("three", 2)
    assert (await live.ask("DELETE", f"{path}/2", params=version)).status == 204
    assert (await live.ask("GET", f"{path}/2")).status == 404
    assert [row["text"] for row in (await live.ask("GET", path)).json["comments"]] == ["one"]
    assert (await live.ask("PATCH", f"{path}/1", json={}, params=version)).status == 400


@pytest.mark.parametrize(("method", "end"), [("POST", "/comments"), ("PATCH", "/comments/1"), ("PATCH", "")])
async def test_what_is_said_while_a_slow_body_arrives_is_not_lost(live, method, end):
    """A body may come in parts, and others change the item in between."""
    number = (await live.new_item()).json["id"]
    item = f"/contoso/Operations/_apis/wit/workItems/{number}"
    version = {"api-version": "7.1-preview.3"}
    assert (await live.ask("POST", f"{item}/comments", json={"text": "one"}, params=version)).status == 200

    async def body():
        patch = [{"op": "add", "path": "/fields/System.Title", "value": "Up"}]
        text = json.dumps({"text": "slow"} if end else patch).encode()
        yield text[:5]
        assert (await live.ask("POST", f"{item}/comments", json={"text": "two"}, params=version)).status == 200
        yield text[5:]

    done = await live.ask(method, item + end, data=body(), headers=JSON_PATCH, params=version)
    assert done.status == 200
    assert "two" in [row["text"] for row in (await live.ask("GET", f"{item}/comments")).json["comments"]]


async def test_past_revisions_single_updates_and_what_was_thrown_away_can_be_read(live):
    number = (await live.new_item()).json["id"]
    item, bin_ = f"/contoso/_apis/wit/workItems/{number}", f"/contoso/_apis/wit/recyclebin/{number}"
    patch = json.dumps([{"op": "add", "path": "/fields/System.Title", "value": "Up"}])
    await live.ask("PATCH", item, data=patch, headers=JSON_PATCH, params={"api-version": "7.1"})
    past = (await live.ask("GET", f"{item}/revisions")).json["value"]
    assert [row["rev"] for row in past] == [1, 2]
    assert past[1]["fields"]["System.Title"] == "Up" != past[0]["fields"]["System.Title"]
    assert (await live.ask("GET", f"{item}/revisions/1")).json == past[0]
    assert (await live.ask("GET", f"{item}/updates/2")).json["rev"] == 2
    assert (await live.ask("GET", f"{item}/updates/9")).status == 404
    version = {"api-version": "7.1"}
    assert (await live.ask("DELETE", item, params=version)).status == 200
    assert (await live.ask("PATCH", bin_, json={"isDeleted": True}, params=version)).status == 400
    assert (await live.ask("PATCH", bin_, json={"isDeleted": False}, params=version)).json["id"] == number
    assert (await live.ask("GET", item)).status == 200
    assert (await live.ask("DELETE", item, params=version)).status == 200
    assert (await live.ask("DELETE", bin_, params=version)).status == 204
    assert (await live.ask("GET", bin_)).status == 404


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("[System.CreatedDate] >= @today - 7", True),
        ("[System.CreatedDate] >= @Today-7", True),
        ("[System.CreatedDate] < @today", False),
        ("[System.CreatedDate] < @today + 1", True),
        ("[System.Title] CONTAINS WORDS 'no such words'", False),
    ],
)
async def test_wiql_knows_days(live, condition, found):
    number = (await live.new_item()).json["id"]
    query = {"query": f"SELECT [System.Id] FROM WorkItems WHERE {condition}"}
    answer = await live.ask("POST", "/contoso/Operations/_apis/wit/wiql", json=query, params={"api-version": "7.1"})
    assert [row["id"] for row in answer.json["workItems"]] == [number] * found
