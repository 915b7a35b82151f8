"""Jira's rules in the sandbox: accounts, projects, types, fields, documents, JQL and its lag, links to elsewhere."""

from __future__ import annotations

import pytest

from tasks.markup import jira
from tasks.markup.jira import adf
from tests.contract.sandbox_support import running

ISSUE = "/rest/api/3/issue"


@pytest.fixture
async def live():
    async with running() as sandbox:
        yield sandbox


@pytest.mark.parametrize("secret", [None, "wrong", "expired"])
async def test_a_bad_token_is_a_401_that_says_how_the_login_failed(live, secret):
    """No credential and a bad one are answered alike, with Jira's header."""
    answer = await live.ask("GET", "/rest/api/3/myself", secret=secret)
    assert (answer.status, answer.headers["X-Seraph-LoginReason"]) == (401, "AUTHENTICATED_FAILED")
    gateway = await live.ask("GET", "/ex/jira/1f2e/rest/api/3/myself", secret=secret)
    assert gateway.json == {"code": 401, "message": "Unauthorized"}


async def test_the_gateway_and_the_site_each_take_their_own_tokens(live):
    """A scoped token works at the gateway only, and there for the site's own cloud id only."""
    cloud = (await live.ask("GET", "/_edge/tenant_info", secret=None)).json["cloudId"]
    through = f"/ex/jira/{cloud}/rest/api/3/myself"
    assert (await live.ask("GET", through, secret="a-scoped-token")).status == 200
    assert (await live.ask("GET", through, secret="a-plain-token")).status == 401
    assert (await live.ask("GET", "/rest/api/3/myself", secret="a-scoped-token")).json["message"].endswith("not match")
    other = await live.ask("GET", "/ex/jira/1f2e/rest/api/3/myself", secret="a-scoped-token")
    assert (other.status, other.json["message"]) == (404, "No message available")


async def test_people_and_comments_are_answered_as_each_edition_does(live):
    """Account ids and documents in the Cloud, user names and texts in a Data Center."""
    await live.new_issue()
    for base, query, person, body, bad in (
        ("/rest/api/3", "query", "accountId", adf.plain("Hello"), "plain"),
        ("/rest/api/2", "username", "name", "Hello", ""),
    ):
        (found,) = (await live.ask("GET", f"{base}/user/assignable/search?project=OPS&{query}=beth")).json
        assert found[person]
        assert (await live.ask("POST", f"{base}/issue/OPS-1/comment", json={"body": bad})).status == 400
        assert (await live.ask("POST", f"{base}/issue/OPS-1/comment", json={"body": body})).status == 201
        listed = (await live.ask("GET", f"{base}/issue/OPS-1/comment?orderBy=-created")).json
        assert listed["comments"][0]["body"] == body


@pytest.mark.parametrize(
    ("fields", "named", "words"),
    [
        ({"project": {"key": "NOPE"}}, "project", "valid project"),
        ({"issuetype": {"name": "Incident"}}, "issuetype", "valid issue type"),
        ({"issuetype": {"name": "task"}}, "issuetype", "valid issue type"),
        ({"summary": ""}, "summary", "must specify a summary"),
        ({"summary": "a\nb"}, "summary", "newline"),
        ({"summary": "x" * 256}, "summary", "255"),
        ({"description": "plain words"}, "description", "Atlassian Document"),
        ({"description": adf.plain("x") | {"version": 2}}, "description", "Atlassian Document"),
        ({"description": {"version": 1, "type": "doc", "content": [{"type": "text", "text": "x"}]}}, "description", "INVALID"),
        ({"description": {"version": 1, "type": "doc", "content": [{"type": "paragraph", "content": [{"type": "text", "text": ""}]}]}}, "description", "INVALID"),
        ({"description": adf.plain("x" * 32_768)}, "description", "32,767"),
        ({"labels": ["two words"]}, "labels", "contains spaces"),
        ({"labels": "one"}, "labels", "not an array"),
        ({"priority": {"name": "Urgent"}}, "priority", "valid 'id' or 'name'"),
        ({"priority": {"name": "High"}, "project": {"key": "MIN"}}, "priority", "cannot be set"),
        ({"project": {"key": "REQ"}}, "customfield_10050", "is required"),
        ({"customfield_10053": "many"}, "customfield_10053", "valid number"),
        ({"customfield_10052": {"value": "mars"}}, "customfield_10052", "valid value"),
        ({"nothing": 1}, "nothing", "cannot be set"),
    ],
)  # fmt: skip
async def test_what_a_create_refuses_is_named_by_its_field_and_leaves_nothing(live, fields, named, words):
    """Every fault of a create stands in `errors`, and no issue is kept."""
    answer = await live.new_issue(**fields)
    assert answer.status == 400
    assert words in answer.json["errors"][named]
    assert await live.objects("jira") == []


async def test_every_document_that_is_rendered_is_taken(live):
    """The sandbox is no stricter than what the renderer makes of any construct."""
    text = "# A\n\n> q\n\n- [x] a\n  1. b\n\n| a | b |\n|-|-|\n| `x` | **y** |\n\n```py\nx\n```\n\n> [!NOTE]\n> n\n\n[l](https://x.example) ~~s~~"
    answer = await live.new_issue(description=jira.render(text))
    assert answer.status == 201, answer.body


async def test_a_create_answers_numbers_only_and_the_issue_tells_the_rest(live):
    """As Jira: a 201 with id, key and self; fields and properties are read afterwards."""
    body = {"fields": {"project": {"key": "OPS"}, "issuetype": {"name": "Bug"}, "summary": "Down"}}
    made = await live.ask("POST", ISSUE, json=body | {"properties": [{"key": "afterword", "value": {"subject": "s"}}]})
    assert (made.status, sorted(made.json)) == (201, ["id", "key", "self"])
    seen = await live.ask("GET", f"{ISSUE}/{made.json['key']}?fields=summary&properties=afterword,none")
    assert seen.json["fields"] == {"summary": "Down"}
    assert seen.json["properties"] == {"afterword": {"subject": "s"}}
    assert (await live.ask("GET", f"{ISSUE}/OPS-99")).json["errorMessages"] == [
        "Issue does not exist or you do not have permission to see it."
    ]


async def test_a_change_is_a_204_and_takes_labels_one_by_one(live):
    """`update` adds and removes; a field in both parts is refused; nothing changed is no new version."""
    key = (await live.new_issue(labels=["mine"])).json["key"]
    change = {"fields": {"summary": "Up"}, "update": {"labels": [{"add": "ours"}, {"remove": "mine"}]}}
    for _ in range(2):
        assert (await live.ask("PUT", f"{ISSUE}/{key}", json=change)).status == 204
    both = change | {"fields": {"labels": []}}
    assert "labels" in (await live.ask("PUT", f"{ISSUE}/{key}", json=both)).json["errors"]
    (row,) = await live.objects("jira")
    assert (row["title"], row["labels"], row["version"]) == ("Up", ["ours"], 2)


async def test_the_cloud_has_the_new_search_only_and_a_data_center_the_old_one_only(live):
    """The search that the Cloud removed answers 410 with Atlassian's words."""
    await live.new_issue(labels=["x"])
    query = {"jql": "labels = x"}
    gone = await live.ask("POST", "/rest/api/3/search", json=query)
    assert (gone.status, "removed" in gone.json["errorMessages"][0]) == (410, True)
    assert (await live.ask("POST", "/rest/api/2/search/jql", json=query)).status == 404
    old = await live.ask("POST", "/rest/api/2/search", json=query)
    assert (old.json["total"], len(old.json["issues"])) == (1, 1)
    assert await live.jql("labels = x") == ["OPS-1"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ('labels = "aw-1" ORDER BY created ASC', ["OPS-1", "PAY-1"]),
        ('labels = "aw-1" ORDER BY created DESC', ["PAY-1", "OPS-1"]),
        ("labels in (aw-1, aw-2) AND project = OPS order by key asc", ["OPS-1", "OPS-2"]),
        ("project != OPS", ["PAY-1"]),
        ('summary ~ "dow" and key = OPS-2', ["OPS-2"]),
        ("labels = aw", []),
        ("labels = aw-2 OR project = PAY order by key asc", ["OPS-2", "PAY-1"]),
        ("project = OPS and (labels = aw-2 or summary ~ nothing)", ["OPS-2"]),
        ("project = OPS and not labels = aw-2", ["OPS-1"]),
        ("labels = aw-1 and resolution is EMPTY order by created asc", ["OPS-1", "PAY-1"]),
        ("labels is not empty and resolution is not EMPTY", []),
        ('project = PAY and statusCategory = "To Do"', ["PAY-1"]),
        ("project = PAY and created >= -1d and updated <= -0m", ["PAY-1"]),
        ("project = PAY and created < 2001-01-01", []),
        ("project = PAY and assignee = currentUser()", []),
        ('text ~ "dow" and project = PAY', ["PAY-1"]),
        ("summary !~ dow", []),
        ("summary ~ Dow* and project = PAY", ["PAY-1"]),
        ('text ~ "dow nothing" and project = PAY', []),
        ("resolution = Unresolved and project = PAY", ["PAY-1"]),
        ('resolution != "unresolved"', []),
    ],
)
async def test_jql_finds_what_it_says(live, query, found):
    """Conditions, lists and orders, with labels compared as a whole."""
    await live.new_issue(labels=["aw-1"])
    await live.new_issue(labels=["aw-2"])
    await live.new_issue("PAY", labels=["aw-1"])
    assert await live.jql(query) == found


@pytest.mark.parametrize(("query", "words"), [("", "Unbounded"), ("order by key", "Unbounded"), ("colour = red", "colour"), ("labels", "Expecting"), ("labels = a b", "Expecting"), ("(labels = a", "Expecting"), ("labels > a", "not supported"), ("created > then", "invalid"), ("(" * 5000, "nested"), (f"{200 * '('}labels = x{200 * ')'}", "nested")])  # fmt: skip
async def test_a_query_that_jira_refuses_is_a_400(live, query, words):
    """A query without a condition, with an unknown field, or that isn't JQL."""
    answer = await live.ask("POST", "/rest/api/3/search/jql", json={"jql": query})
    assert (answer.status, words in answer.json["errorMessages"][0]) == (400, True)


@pytest.mark.parametrize("fault", ["jql_lag", "jql_blind"])
async def test_the_index_lags_behind_a_create_and_catches_up(live, fault):
    """A new issue can be read at once, and found only later."""
    spec = {"jql_lag": {"fault": "jql_lag", "seconds": 5}, "jql_blind": {"fault": "jql_blind", "seconds": 5}}[fault]
    await live.fault(**spec)
    key = (await live.new_issue(labels=["x"])).json["key"]
    assert (await live.ask("GET", f"{ISSUE}/{key}")).status == 200
    assert await live.jql("labels = x") == []
    live.clock.now += 5
    assert await live.jql("labels = x") == [key]


async def test_permissions_tell_what_the_account_may_and_what_is_denied_is_refused(live):
    """Without the right to create, the create is a 400; what can't be browsed is out of JQL, and its read a 404."""
    key = (await live.new_issue(labels=["x"])).json["key"]
    await live.ask(
        "POST", "/_sandbox/permissions", json={"vendor": "jira", "target": "OPS", "deny": ["create", "read"]}
    )
    asked = "/rest/api/3/mypermissions?projectKey=OPS&permissions=CREATE_ISSUES,BROWSE_PROJECTS,EDIT_ISSUES"
    rows = (await live.ask("GET", asked)).json["permissions"]
    assert [rows[name]["havePermission"] for name in ("CREATE_ISSUES", "BROWSE_PROJECTS", "EDIT_ISSUES")] == [
        False,
        False,
        True,
    ]
    assert "cannot create" in (await live.new_issue()).json["errors"]["project"]
    assert (await live.ask("GET", f"{ISSUE}/{key}")).status == 404
    assert await live.jql("labels = x") == []
    unknown = await live.ask("GET", "/rest/api/3/mypermissions?projectKey=NOPE&permissions=CREATE_ISSUES")
    assert unknown.status == 404


@pytest.mark.parametrize(("version", "name"), [(3, "issueTypes"), (2, "values")])
async def test_types_and_fields_are_listed_as_each_edition_lists_them(live, version, name):
    """The Cloud names its lists; a Data Center calls them values."""
    base = f"/rest/api/{version}/issue/createmeta/PAY/issuetypes"
    rows = (await live.ask("GET", base)).json[name]
    assert [row["name"] for row in rows] == ["Incident", "Task", "Bug"]
    fields = (await live.ask("GET", f"{base}/{rows[0]['id']}")).json["fields" if version == 3 else "values"]
    assert {"summary", "priority", "customfield_10050"} <= {row["fieldId"] for row in fields}


async def test_a_link_to_elsewhere_is_set_once_by_its_global_id(live):
    """The same global id replaces the link: 201, then 200; deleted by it, too."""
    key = (await live.new_issue()).json["key"]
    place = f"{ISSUE}/{key}/remotelink"
    link = {"globalId": "afterword:1", "object": {"url": "https://x.example/1", "title": "RCA"}}
    assert [(await live.ask("POST", place, json=link)).status for _ in range(2)] == [201, 200]
    assert [row["globalId"] for row in (await live.ask("GET", place)).json] == ["afterword:1"]
    assert (await live.ask("DELETE", f"{place}?globalId=afterword:1")).status == 204
    assert (await live.ask("GET", place)).json == []


async def test_a_workflow_gives_the_transitions_of_the_present_status_and_takes_no_other(live):
    """With the fields of their screens on request; what a screen requires has to be there."""
    fields = {"project": {"key": "PAY"}, "summary": "Up", "issuetype": {"name": "Bug"}}
    key = (await live.ask("POST", "/rest/api/3/issue", json={"fields": fields})).json["key"]
    path = f"/rest/api/3/issue/{key}/transitions"
    bare = (await live.ask("GET", path)).json["transitions"]
    assert [row["name"] for row in bare] == ["Start Progress", "Resolve Issue", "Close Issue"]
    assert "fields" not in bare[1]
    shown = (await live.ask("GET", f"{path}?expand=transitions.fields")).json["transitions"]
    assert shown[1]["fields"]["resolution"]["required"] is True
    assert shown[1]["to"]["statusCategory"]["key"] == "done"
    for wrong in ({}, {"id": "3"}, {"id": "5"}):
        assert (await live.ask("POST", path, json={"transition": wrong})).status == 400
    refused = {"transition": {"id": "5"}, "fields": {"resolution": {"name": "Magic"}}}
    assert "resolution" in (await live.ask("POST", path, json=refused)).json["errors"]
    taken = {"transition": {"id": "5"}, "fields": {"resolution": {"name": "Fixed"}}}
    assert (await live.ask("POST", path, json=taken)).status == 204
    after = (await live.ask("GET", f"/rest/api/3/issue/{key}")).json["fields"]
    assert (after["status"]["name"], after["resolution"]["name"]) == ("Resolved", "Fixed")


async def test_no_number_of_an_issue_is_given_twice(live):
    """Also where the issue that had it was deleted."""
    first, second = [(await live.new_issue()).json["key"] for _ in range(2)]
    for key in (first, second):
        assert (await live.ask("DELETE", f"/rest/api/3/issue/{key}")).status == 204
    assert (await live.new_issue()).json["key"] not in (first, second)


async def test_what_is_listed_can_be_read_alone_and_deleted(live):
    """Comments, properties, links of both kinds, and the rows of a catalogue."""
    one, other = [(await live.new_issue()).json["key"] for _ in range(2)]
    issue = f"/rest/api/2/issue/{one}"
    comment = (await live.ask("POST", f"{issue}/comment", json={"body": "Seen."})).json["id"]
    await live.ask("PUT", f"{issue}/properties/p", json={"a": 1})
    ends = {"type": {"name": "Relates"}, "inwardIssue": {"key": one}, "outwardIssue": {"key": other}}
    await live.ask("POST", "/rest/api/2/issueLink", json=ends)
    (link,) = (await live.ask("GET", issue)).json["fields"]["issuelinks"]
    shown = {"url": "https://x.example", "title": "X"}
    remote = (await live.ask("POST", f"{issue}/remotelink", json={"object": shown})).json["id"]
    again = {"object": shown | {"title": "Y"}}
    assert (await live.ask("PUT", f"{issue}/remotelink/{remote}", json=again)).status == 204
    assert (await live.ask("GET", f"{issue}/remotelink/{remote}")).json["object"]["title"] == "Y"
    found = (await live.ask("GET", f"/rest/api/2/issueLink/{link['id']}")).json
    assert (found["inwardIssue"]["key"], found["outwardIssue"]["key"]) == (one, other)
    for path in (f"{issue}/comment/{comment}", f"{issue}/properties/p", f"{issue}/remotelink/{remote}"):
        assert (await live.ask("GET", path)).status == 200, path
        assert (await live.ask("DELETE", path)).status == 204, path
        assert (await live.ask("GET", path)).status == 404, path
    for name in ("issuetype", "status", "priority", "resolution"):
        (row, *_) = (await live.ask("GET", f"/rest/api/2/{name}")).json
        assert (await live.ask("GET", f"/rest/api/2/{name}/{row['id']}")).json == row
        assert (await live.ask("GET", f"/rest/api/2/{name}/none")).status == 404
    count = await live.ask("POST", "/rest/api/3/search/approximate-count", json={"jql": "project = OPS"})
    assert count.json == {"count": 2}
