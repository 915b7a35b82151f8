"""Fields, states, tables and rules of an organisation's own, from the one file that a sandbox begins with."""

from __future__ import annotations

import json

import pytest

from tests.contract.sandbox_support import JSON_PATCH, contract, must_meet, running
from worker.sandbox.setup import read

SETUP = """
[projects]
Checkout = "Incident handling"
Plain = "Agile"

[[process]]
name = "Incident handling"
based_on = "Agile"

[[process.type]]
name = "Incident"
states = { Reported = "Proposed", Working = "InProgress", Done = "Completed" }
moves = { Reported = ["Working"], Done = [] }
required = ["Custom.CauseCode"]
read_only = ["Microsoft.VSTS.Common.Priority"]

[[work_item_field]]
name = "Custom.CauseCode"
values = ["code", "config"]

[[work_item_field]]
name = "Custom.Minutes"
type = "double"

[[work_item_field]]
name = "Custom.Reviewed"
type = "boolean"

[[work_item_field]]
name = "Custom.Lead"
type = "identity"

[[work_item_field]]
name = "Custom.Began"
type = "dateTime"

[records]
u_region = ["EU", "US"]

[[table]]
name = "incident"
mandatory = ["u_cause"]
read_only = ["urgency"]
mandatory_in = { "2" = ["u_region"], "6" = ["u_minutes"] }
column = [
  { name = "u_cause", type = "choice", values = ["code", "config"] },
  { name = "u_region", type = "reference", reference = "u_region" },
  { name = "u_minutes", type = "integer" },
  { name = "u_reviewed", type = "true_false" },
  { name = "u_short", length = 5 },
  { name = "u_log", type = "journal" },
]

[[table]]
name = "u_outage"
prefix = "OUT"
states = { "10" = "Reported", "20" = "Over" }
ended = ["20"]

[[jira_project]]
key = "CHK"
statuses = { Reported = "new", Contained = "indeterminate", Shut = "done" }
transition = [
  { name = "Contain", from = ["Reported"], to = "Contained", fields = ["customfield_10060"] },
  { name = "Shut", from = ["Contained"], to = "Shut", required = ["resolution"] },
]
field = [{ id = "customfield_10060", name = "Cause code", type = "option", values = ["code", "config"] }]

[[jira_project]]
key = "ANY"
statuses = { Here = "new", There = "done" }
"""


CAUSE = {"Custom__CauseCode": "code"}
TABLE = "/api/now/table"


@pytest.fixture
async def live():
    async with running(setup=read(SETUP)) as live:
        yield live


async def changed(live, item, **fields):
    given = [
        {"op": "add", "path": f"/fields/{name.replace('__', '.')}", "value": value} for name, value in fields.items()
    ]
    path = f"/contoso/Checkout/_apis/wit/workitems/{item}?api-version=7.1"
    return await live.ask("PATCH", path, data=json.dumps(given), headers=JSON_PATCH)


async def test_a_process_of_somebodys_own_has_its_types_beside_those_that_it_inherits(live):
    types = "/contoso/{}/_apis/wit/workitemtypes"
    for project, extra in (("Checkout", {"Incident"}), ("Plain", set())):
        found = await live.ask("GET", types.format(project))
        names = {row["name"] for row in found.json["value"]}
        assert names == {"Bug", "Epic", "Feature", "Issue", "Task", "Test Case", "User Story"} | extra
    answer = await live.ask("GET", types.format("Checkout") + "/incident")
    must_meet(contract("ado-wit-7.1.json"), "get", "/{organization}/{project}/_apis/wit/workitemtypes/{type}", answer)
    assert [row["name"] for row in answer.json["states"]] == ["Reported", "Working", "Done"]
    moves = {old: [row["to"] for row in news] for old, news in answer.json["transitions"].items()}
    assert moves == {"": ["Reported"], "Reported": ["Working"], "Working": ["Reported", "Done"], "Done": []}
    needed = {row["referenceName"] for row in answer.json["fields"] if row["alwaysRequired"]}
    assert needed == {"System.Title", "Custom.CauseCode"}
    project = await live.ask("GET", "/contoso/_apis/projects/Checkout?includeCapabilities=true")
    assert project.json["capabilities"]["processTemplate"]["templateName"] == "Incident handling"
    assert (await live.new_item("Incident", "Plain", **CAUSE)).status == 404


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Rule Error for field Cause Code. Error code: Required"),
        (CAUSE | {"Custom__CauseCode": "people"}, "field Cause Code. Error code: Required, HasValues, LimitedToValues"),
        (CAUSE | {"Microsoft__VSTS__Common__Priority": 1}, "'ReadOnly' for field 'Microsoft.VSTS.Common.Priority'"),
        (CAUSE | {"System__State": "Working"}, "field State"),
        (CAUSE | {"Custom__Minutes": "long"}, "field Minutes. Error code: InvalidType"),
        (CAUSE | {"Custom__Reviewed": "maybe"}, "field Reviewed. Error code: InvalidType"),
        (CAUSE | {"Custom__Began": "yesterday"}, "field Began. Error code: InvalidDate"),
        (CAUSE | {"Custom__Lead": "Nobody Known"}, "for field 'Lead' is an unknown identity"),
        (CAUSE | {"Custom__Other": "x"}, "TF51535: Cannot find field Custom.Other"),
    ],
)
async def test_a_type_refuses_what_its_rules_and_its_fields_types_are_against(live, fields, words):
    refused = await live.new_item("Incident", "Checkout", **fields)
    assert (refused.status, words in refused.json["message"]) == (400, True), refused.text
    assert await live.objects("azure_devops") == []


async def test_values_are_kept_as_their_fields_types_and_told_so(live):
    given = CAUSE | {"Custom__Minutes": "12.5", "Custom__Reviewed": "true", "Custom__Lead": "Beth Anglin"}
    made = (await live.new_item("Incident", "Checkout", **given)).json["fields"]
    assert (made["Custom.Minutes"], made["Custom.Reviewed"]) == (12.5, True)
    assert made["Custom.Lead"]["displayName"] == "Beth Anglin"
    rows = {row["referenceName"]: row for row in (await live.ask("GET", "/contoso/_apis/wit/fields")).json["value"]}
    told = {n: (rows[f"Custom.{n}"]["type"], rows[f"Custom.{n}"]["isIdentity"]) for n in ("Minutes", "Lead", "Began")}
    assert told == {"Minutes": ("double", False), "Lead": ("string", True), "Began": ("dateTime", False)}
    assert await live.wiql("[Custom.CauseCode] = 'code'", "Checkout") != []


async def test_states_follow_each_other_as_the_type_says(live):
    item = (await live.new_item("Incident", "Checkout", **CAUSE)).json["id"]
    steps = [("Done", 400), ("Working", 200), ("Done", 200), ("Working", 400), ("Reported", 400)]
    for state, status in steps:
        assert (await changed(live, item, System__State=state)).status == status, state


async def test_a_service_process_begins_a_work_item_in_its_first_state_only(live):
    assert (await live.new_item("Bug", "Plain", System__State="Active")).status == 400
    assert (await live.new_item("Bug", "Plain", System__State="New")).status == 200


async def test_columns_of_ones_own_take_what_their_types_take_and_drop_the_rest(live):
    regions = (await live.ask("GET", f"{TABLE}/u_region")).json["result"]
    given = {"u_cause": "code", "u_region": "EU", "u_minutes": "12", "u_reviewed": "true", "u_short": "longer"}
    made = (await live.new_incident(**given, urgency="1", u_nothing="x", u_log="Called Beth")).json["result"]
    eu = next(row["sys_id"] for row in regions if row["name"] == "EU")
    assert made["u_region"] == {"link": f"{live.url}{TABLE}/u_region/{eu}", "value": eu}
    kept = {name: made[name] for name in ("u_cause", "u_minutes", "u_reviewed", "u_short", "urgency", "u_log")}
    assert kept == {
        "u_cause": "code",
        "u_minutes": "12",
        "u_reviewed": "true",
        "u_short": "longe",
        "urgency": "3",
        "u_log": "",
    }
    assert "u_nothing" not in made
    odd = await live.ask(
        "PATCH",
        f"{TABLE}/incident/{made['sys_id']}",
        json={"u_minutes": "many", "u_cause": "people", "u_region": "Mars"},
    )
    assert [odd.json["result"][name] for name in ("u_minutes", "u_cause", "u_region")] == ["12", "code", ""]
    journal = (await live.ask("GET", f"{TABLE}/sys_journal_field")).json["result"]
    assert [(row["element"], row["value"]) for row in journal] == [("u_log", "Called Beth")]


async def test_what_is_mandatory_is_asked_for_on_insert_and_in_its_state(live):
    bare = await live.new_incident()
    words = "Data Policy Exception: The following fields are mandatory: {}"
    assert (bare.status, bare.json["error"]["detail"]) == (403, words.format("Cause"))
    made = (await live.new_incident(u_cause="code")).json["result"]["sys_id"]
    place = f"{TABLE}/incident/{made}"
    emptied = await live.ask("PATCH", place, json={"u_cause": ""})
    assert emptied.json["error"]["detail"] == words.format("Cause")
    assert (await live.ask("PATCH", place, json={"state": "2"})).json["error"]["detail"] == words.format("Region")
    assert (await live.ask("PATCH", place, json={"state": "2", "u_region": "US"})).status == 200
    ended = await live.ask("PATCH", place, json={"state": "6"})
    assert ended.json["error"]["detail"] == words.format("Resolution code, Resolution notes, Minutes")
    end = {"state": "6", "close_code": "Solution provided", "close_notes": "Rolled back", "u_minutes": 0}
    assert (await live.ask("PATCH", place, json=end)).status == 200, "none is a number"


async def test_a_table_of_ones_own_has_its_numbers_states_and_end(live):
    made = (await live.ask("POST", f"{TABLE}/u_outage", json={"short_description": "Down"})).json["result"]
    assert (made["number"][:3], made["state"], "caller_id" in made) == ("OUT", "10", False)
    place = f"{TABLE}/u_outage/{made['sys_id']}"
    shown = await live.ask("GET", f"{place}?sysparm_display_value=true")
    assert shown.json["result"]["state"] == "Reported"
    assert (await live.ask("PATCH", place, json={"state": "2"})).json["result"]["state"] == "10"
    assert (await live.ask("PATCH", place, json={"state": "20"})).json["result"]["active"] == "false"
    assert (await live.ask("PATCH", place, json={"short_description": "Up"})).status == 403
    assert (await live.ask("GET", f"{TABLE}/u_other")).json["error"]["message"] == "Invalid table u_other"


async def test_a_workflow_of_ones_own_leads_from_status_to_status(live):
    key = (await live.new_issue("CHK")).json["key"]

    async def ways(issue=key):
        found = await live.ask("GET", f"/rest/api/3/issue/{issue}/transitions?expand=transitions.fields")
        return {
            way["name"]: (way["id"], way["to"]["statusCategory"]["key"], list(way["fields"]))
            for way in found.json["transitions"]
        }

    async def take(name, **fields):
        body = {"transition": {"id": (await ways())[name][0]}, "fields": fields}
        return (await live.ask("POST", f"/rest/api/3/issue/{key}/transitions", json=body)).status

    assert {n: way[1:] for n, way in (await ways()).items()} == {"Contain": ("indeterminate", ["customfield_10060"])}
    assert await take("Contain", customfield_10060={"value": "people"}) == 400
    assert await take("Contain", customfield_10060={"value": "code"}) == 204
    assert {n: way[1:] for n, way in (await ways()).items()} == {"Shut": ("done", ["resolution"])}
    assert await take("Shut") == 400
    assert await take("Shut", resolution={"name": "Fixed"}) == 204
    assert await ways() == {}
    assert set(await ways((await live.new_issue("ANY")).json["key"])) == {"Here", "There"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("areas = ['Web', 'Shop\\Checkout']", "areas: Shop\\Checkout is below nothing: give the node above it as well"),
        ('[projects]\nCheckout = "Kanban"', "projects.Checkout: there is no process Kanban; there are Agile, Basic"),
        (
            '[[process]]\nname = "P"\nbased_on = "Agile"\ntype = [{ name = "I", required = ["Custom.Lost"] }]',
            "process.0.type.0.required: there is no field Custom.Lost",
        ),
        (
            '[[process]]\nname = "P"\nbased_on = "Basic"\ntype = [{ name = "I", moves = { New = ["Done"] } }]',
            "process.0.type.0.moves: there is no state New",
        ),
        ('[[process]]\nname = "P"\nbased_on = "Kanban"', "process.0.based_on: must be 'Agile'"),
        ('[[work_item_field]]\nname = "Cause"', "work_item_field.0.name: "),
        ('[[table]]\nname = "incident"\nmandatory = ["u_lost"]', "table.0.mandatory: there is no column u_lost"),
        ('[[table]]\nname = "u_a"\nended = ["9"]', "table.0.ended: there is no state 9"),
        ('[[table]]\nname = "u_a"\nmandatory_in = { 9 = [] }', "table.0.mandatory_in: there is no state 9"),
        (
            '[[table]]\nname = "u_a"\ncolumn = [{ name = "u_b", type = "choice" }]',
            "table.0.column.0: a choice has `values`, and no other type does",
        ),
        ('[[table]]\nname = "u_a"\n[[table]]\nname = "u_a"', "table.1: u_a is given twice"),
        ('[[jira_project]]\nkey = "CHK"\n[[jira_project]]\nkey = "CHK"', "jira_project.1: CHK is given twice"),
        ('[records]\nsys_user = ["Ruth"]', "records.sys_user: a person is an [[account]]"),
        ('[records]\nproblem = ["P"]', "records.problem: this is a table of tickets"),
        ('[[jira_project]]\nkey = "CHK"\nhidden = ["cause"]', "jira_project.0.hidden: there is no field cause"),
        (
            '[[jira_project]]\nkey = "CHK"\nrequired = ["resolution"]',  # of a transition's screen alone
            "jira_project.0.required: there is no field resolution",
        ),
        (
            '[[jira_project]]\nkey = "CHK"\nstatuses = { A = "new" }\ntransition = [{ name = "Go", to = "B" }]',
            "jira_project.0.transition: Go: there is no status B in `statuses`",
        ),
    ],
)
def test_a_setup_that_names_what_isnt_there_is_refused_with_the_place(text, words):
    with pytest.raises(ValueError) as refused:
        read(text)
    assert str(refused.value).startswith(words)
