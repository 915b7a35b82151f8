"""ServiceNow's silences in the sandbox: what it drops, computes, ignores, hides, and refuses."""

from __future__ import annotations

import itertools

import pytest

from tests.contract.sandbox_support import SECRET, running

ENDS = {"close_code": "Solved (Permanently)", "close_notes": "done"}
TABLE = "/api/now/table/incident"


@pytest.fixture
async def live():
    async with running() as sandbox:
        yield sandbox


@pytest.mark.parametrize(("impact", "urgency"), list(itertools.product("123", "123")))
async def test_priority_comes_from_impact_and_urgency_and_can_not_be_set(live, impact, urgency):
    made = await live.new_incident(impact=impact, urgency=urgency, priority="1")
    expected = {"11": "1", "12": "2", "21": "2", "13": "3", "22": "3", "31": "3", "23": "4", "32": "4", "33": "5"}
    assert made.json["result"]["priority"] == expected[impact + urgency]


async def test_unknown_fields_and_invalid_choices_are_dropped_without_a_word(live):
    made = await live.new_incident(nope="x", impact="9", sys_id="mine", short_description="x" * 200)
    row = made.json["result"]
    assert made.status == 201
    assert made.headers["Location"].endswith(row["sys_id"])
    assert "nope" not in row
    assert (row["impact"], len(row["short_description"])) == ("3", 160)
    assert row["sys_id"] != "mine"


async def test_only_the_wanted_columns_come_back_and_references_bare_when_asked(live):
    query = "?sysparm_fields=number,assignment_group,nope&sysparm_exclude_reference_link=true"
    body = {"short_description": "x", "assignment_group": "Database"}
    bare = (await live.ask("POST", TABLE + query, json=body)).json["result"]
    group = bare.pop("assignment_group")
    assert (bare, len(group)) == ({"number": "INC0010001"}, 32)
    linked = (await live.ask("GET", TABLE)).json["result"][0]["assignment_group"]
    assert linked["value"] == group
    assert "/sys_user_group/" in linked["link"]
    shown = (await live.ask("GET", f"{TABLE}?sysparm_display_value=true")).json["result"][0]
    assert shown["priority"] == "5 - Planning"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("correlation_id=k1", ["one"]),
        ("correlation_id=K1", ["one"]),
        ("nonsense~~^correlation_id=k1", ["one"]),
        ("nope=1", ["one", "two", "three"]),
        ("correlation_id=k1^ORcorrelation_id=k2", ["one", "two"]),
        ("active=true^correlation_id=k1^ORcorrelation_id=k3", ["one", "three"]),
        ("correlation_id=k1^NQcorrelation_id=k2", ["one", "two"]),
        ("correlation_idINk1,k3", ["one", "three"]),
        ("short_descriptionLIKEw", ["two"]),
        ("correlation_id!=k1^ORDERBYDESCcorrelation_id", ["three", "two"]),
        ("correlation_idISEMPTY", []),
    ],
)
async def test_a_query_runs_without_the_parts_that_can_not_be_read(live, query, found):
    for key, name in (("k1", "one"), ("k2", "two"), ("k3", "three")):
        await live.new_incident(correlation_id=key, short_description=name)
    answer = await live.ask("GET", TABLE, params={"sysparm_query": query})
    assert [row["short_description"] for row in answer.json["result"]] == found
    assert answer.headers["X-Total-Count"] == str(len(found))


async def test_rows_come_in_pages(live):
    for name in "abc":
        await live.new_incident(short_description=name)
    first = await live.ask("GET", f"{TABLE}?sysparm_limit=2")
    assert [row["short_description"] for row in first.json["result"]] == ["a", "b"]
    assert 'rel="next"' in first.headers["Link"]
    assert first.headers["X-Total-Count"] == "3"


async def test_rows_hidden_by_a_read_acl_are_counted_all_the_same(live):
    await live.new_incident(correlation_id="k1")
    await live.fault(fault="read_acl")
    hidden = await live.ask("GET", f"{TABLE}?sysparm_query=correlation_id=k1")
    assert (hidden.status, hidden.json, hidden.headers["X-Total-Count"]) == (200, {"result": []}, "1")


async def test_a_query_that_the_instance_ignores_answers_with_any_rows(live):
    await live.new_incident(correlation_id="k1")
    await live.fault(fault="query_ignored")
    found = await live.ask("GET", f"{TABLE}?sysparm_query=correlation_id=k2")
    assert [row["correlation_id"] for row in found.json["result"]] == ["k1"]


async def test_journals_are_appended_and_read_empty(live):
    number = (await live.new_incident(work_notes="first")).json["result"]["sys_id"]
    changed = await live.ask("PATCH", f"{TABLE}/{number}", json={"work_notes": "second"})
    assert changed.json["result"]["work_notes"] == ""
    (row,) = await live.objects("servicenow")
    assert [entry["text"] for entry in row["journal"]] == ["first", "second"]


async def test_a_change_of_nothing_is_no_modification(live):
    row = (await live.new_incident()).json["result"]
    same = await live.ask("PATCH", f"{TABLE}/{row['sys_id']}", json={"short_description": row["short_description"]})
    other = await live.ask("PATCH", f"{TABLE}/{row['sys_id']}", json={"state": "7"} | ENDS)
    assert same.json["result"]["sys_mod_count"] == "0"
    assert (other.json["result"]["sys_mod_count"], other.json["result"]["active"]) == ("1", "false")


@pytest.mark.parametrize(("table", "number", "new"), [("problem", "PRB", "101"), ("change_request", "CHG", "-5")])
async def test_other_tables_have_numbers_and_states_of_their_own_and_hold_no_incidents(live, table, number, new):
    incident = (await live.new_incident()).json["result"]
    made = await live.ask("POST", f"/api/now/table/{table}", json={"short_description": "x", "caller_id": "Abel Tuter"})
    row = made.json["result"]
    assert (row["number"][:3], row["state"], row["sys_class_name"]) == (number, new, table)
    assert "caller_id" not in row
    assert len((await live.ask("GET", f"/api/now/table/{table}")).json["result"]) == 1
    assert (await live.ask("GET", f"/api/now/table/{table}/{incident['sys_id']}")).status == 404
    refused = await live.ask("PATCH", f"/api/now/table/{table}/{row['sys_id']}", json={"state": "6"})
    assert refused.json["result"]["state"] == new


async def test_a_table_that_is_not_there_is_a_400(live):
    answer = await live.ask("GET", "/api/now/table/nope")
    assert (answer.status, answer.json["error"]["message"]) == (400, "Invalid table nope")


@pytest.mark.parametrize("headers", [{"Content-Type": "text/plain"}, {"Content-Type": "application/json"}])
async def test_what_is_no_json_is_refused(live, headers):
    answer = await live.ask("POST", TABLE, data=b"{", headers=headers)
    assert (answer.status, answer.json["status"]) == (400, "failure")
    assert await live.objects("servicenow") == []


@pytest.mark.parametrize("api", ["/api/now/attachment", "/api/now/v1/attachment"])
async def test_a_file_is_kept_with_its_incident_whatever_version_is_named(live, api):
    """The answer says where it is, as pysnc wants to know."""
    number = (await live.new_incident()).json["result"]["sys_id"]
    path = f"{api}/file?table_name=incident&table_sys_id={number}&file_name=app.log"
    made = await live.ask("POST", path, data=b"line", headers={"Content-Type": "text/plain"})
    assert (made.status, made.json["result"]["size_bytes"]) == (201, "4")
    listed = await live.ask("GET", f"{api}?sysparm_query=table_sys_id={number}")
    assert [row["file_name"] for row in listed.json["result"]] == ["app.log"]
    where = made.headers["Location"].removeprefix(live.url)
    assert where == f"{api}/{made.json['result']['sys_id']}"
    assert (await live.ask("GET", f"{where}/file")).body == b"line"
    assert (await live.ask("POST", path.replace(number, "0"), data=b"x")).status == 404


@pytest.mark.parametrize("secret", [None, "wrong", "expired-token", "revoked"])
async def test_a_bad_credential_is_refused(live, secret):
    answer = await live.ask("POST", TABLE, json={"short_description": "x"}, secret=secret)
    assert (answer.status, answer.json["error"]["message"]) == (401, "User Not Authenticated")
    assert await live.objects("servicenow") == []


async def test_an_api_key_and_a_token_are_taken(live):
    assert (await live.ask("GET", TABLE, secret=None, headers={"x-sn-apikey": SECRET})).status == 200
    grant = {"grant_type": "password", "client_id": "c", "client_secret": "s1", "username": "u", "password": SECRET}
    token = (await live.ask("POST", "/oauth_token.do", data=grant, secret=None)).json
    assert token["expires_in"] == 1799
    bearer = {"Authorization": f"Bearer {token['access_token']}"}
    assert (await live.ask("GET", TABLE, secret=None, headers=bearer)).status == 200
    refused = await live.ask("POST", "/oauth_token.do", data=grant | {"password": "wrong"}, secret=None)
    assert (refused.status, refused.json["error_description"]) == (401, "access_denied")


async def test_an_end_needs_its_code_and_notes_and_takes_no_change_after_it(live):
    """A data policy asks for both, and an access rule refuses every change of a closed incident."""
    path = f"{TABLE}/{(await live.new_incident()).json['result']['sys_id']}"
    bare = await live.ask("PATCH", path, json={"state": "6"})
    assert (bare.status, "mandatory" in bare.json["error"]["detail"]) == (403, True)
    assert (await live.ask("PATCH", path, json={"state": "7"} | ENDS)).status == 200
    late = await live.ask("PATCH", path, json={"short_description": "x"})
    assert (late.status, "ACL" in late.json["error"]["detail"]) == (403, True)


async def test_a_reference_is_stored_as_an_id_or_not_at_all(live):
    """By id, or by a name that the table has; any other name is dropped with a 201."""
    (user,) = (await live.ask("GET", "/api/now/table/sys_user?sysparm_query=user_name=abel.tuter")).json["result"]
    made = (await live.new_incident(caller_id="Abel Tuter", assignment_group="Nowhere", cmdb_ci="x")).json["result"]
    assert made["caller_id"]["value"] == user["sys_id"]
    assert (made["assignment_group"], made["cmdb_ci"]) == ("", "")


async def test_a_journal_is_read_from_its_own_table(live):
    """The incident shows none of it."""
    number = (await live.new_incident(work_notes="first")).json["result"]["sys_id"]
    found = await live.ask(
        "GET", f"/api/now/table/sys_journal_field?sysparm_query=element_id={number}^element=work_notes"
    )
    assert [row["value"] for row in found.json["result"]] == ["first"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("caller_id.name=Abel Tuter", ["one"]),
        ("caller_id.email=abel.tuter@example.com^short_description=one", ["one"]),
        ("caller_id.name=Nobody", []),
        ("caller_id.nothing=x", ["one", "two"]),
        ("impactBETWEEN1@2", ["one"]),
        ("sys_created_onONToday@javascript:gs.beginningOfToday()@javascript:gs.endOfToday()", ["one", "two"]),
        ("sys_created_onONYesterday@javascript:gs.daysAgoStart(1)@javascript:gs.daysAgoEnd(1)", []),
        ("sys_created_on>=javascript:gs.hoursAgo(1)", ["one", "two"]),
        ("sys_created_on<javascript:gs.minutesAgo(1)", []),
        ("sys_created_on>javascript:gs.daysAgo(999999)", ["one", "two"]),
        ("short_description!=javascript:gs.daysAgo(-)", ["one", "two"]),
        ("impactANYTHING^caller_id.nameISEMPTY", ["two"]),
    ],
)
async def test_a_query_follows_references_and_knows_days(live, query, found):
    """As on an instance: only what it can't read is ignored."""
    await live.new_incident(short_description="one", impact="1", caller_id="Abel Tuter")
    await live.new_incident(short_description="two", impact="3")
    params = {"sysparm_query": f"{query}^ORDERBYshort_description", "sysparm_fields": "short_description"}
    answer = await live.ask("GET", "/api/now/table/incident", params=params)
    assert [row["short_description"] for row in answer.json["result"]] == found


async def test_a_column_as_a_parameter_and_a_column_of_a_reference(live):
    await live.new_incident(short_description="one", caller_id="Abel Tuter")
    await live.new_incident(short_description="two")
    params = {"short_description": "one", "sysparm_fields": "short_description,caller_id.name,caller_id.nope,nope.x"}
    answer = await live.ask("GET", "/api/now/table/incident", params=params | {"sysparm_no_count": "true"})
    assert answer.json["result"] == [{"short_description": "one", "caller_id.name": "Abel Tuter", "caller_id.nope": ""}]
    assert "X-Total-Count" not in answer.headers
    either = {"sysparm_query": "short_description=one^NQshort_description=two", "short_description": "two"}
    (row,) = (await live.ask("GET", "/api/now/table/incident", params=either)).json["result"]
    assert row["short_description"] == "two"
    quiet = {"sysparm_limit": "1", "sysparm_suppress_pagination_header": "true"}
    assert "Link" not in (await live.ask("GET", "/api/now/table/incident", params=quiet)).headers
