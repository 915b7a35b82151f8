"""Restrictions, statuses, owners and folders of the simulated Confluence are as strict as the vendor describes."""

from __future__ import annotations

import pytest

from tests.contract.sandbox_support import running

V1, V2, CENTER = "/wiki/rest/api", "/wiki/api/v2", "/rest/experimental"


@pytest.fixture
async def live():
    async with running() as sandbox:
        yield sandbox


async def restrict(live, page, rows, base=V1):
    return await live.ask("PUT", f"{base}/content/{page}/restriction", json=rows)


def row(operation="read", **held):
    return {"operation": operation, "restrictions": held}


OURS = {"type": "known", "accountId": "557058:sandbox"}
TEAM = {"type": "group", "name": "incident-team"}


async def test_a_private_page_is_its_creators_alone_until_all_restrictions_are_replaced(live):
    page = (await live.ask("POST", f"{V2}/pages?private=true", json=body(live))).json["id"]
    by = (await live.ask("GET", f"{V1}/content/{page}/restriction/byOperation")).json
    assert {name: len(by[name]["restrictions"]["user"]["results"]) for name in ("read", "update")} == {
        "read": 1,
        "update": 1,
    }
    assert (await restrict(live, page, [row(user=[OURS], group=[TEAM])])).status == 200
    by = (await live.ask("GET", f"{V1}/content/{page}/restriction/byOperation")).json
    assert [g["name"] for g in by["read"]["restrictions"]["group"]["results"]] == ["incident-team"]
    assert by["update"]["restrictions"]["user"]["results"] == []


def body(live):
    text = {"representation": "storage", "value": "<p>x</p>"}
    return {"spaceId": live.store.spaces["OPS"], "status": "current", "title": "RCA", "body": text}


@pytest.mark.parametrize(
    "rows",
    [
        [row(user=[{"type": "known", "accountId": "557058:nobody"}])],
        [row(group=[{"type": "group", "name": "no-such-team"}])],
        [row(group=[{"name": "incident-team"}])],
        [row(user=[], group=[TEAM])],
        [row()],
        [row("delete", group=[TEAM])],
        {"operation": "read"},
    ],
)
async def test_restrictions_that_name_nobody_known_are_refused_and_none_is_set(live, rows):
    page = (await live.new_page()).json["id"]
    assert (await restrict(live, page, rows)).status == 400
    assert live.store.pages[page].limits == {}


async def test_whoever_locks_himself_out_sees_the_page_no_more(live):
    page = (await live.new_page()).json["id"]
    assert (await restrict(live, page, [row("update", group=[TEAM])])).status == 200
    change = {"id": page, "status": "current", "title": "RCA", "version": {"number": 2}, "body": body(live)["body"]}
    assert (await live.ask("PUT", f"{V2}/pages/{page}", json=change)).status == 403
    live.store.pages[page].limits = {}
    assert (await restrict(live, page, [row(group=[TEAM])])).status == 200
    assert (await live.ask("GET", f"{V2}/pages/{page}")).status == 404


async def test_a_data_center_sets_restrictions_below_its_experimental_api_by_user_keys(live):
    page = (await live.new_page()).json["id"]
    rows = [row(user=[{"type": "known", "userKey": "sandbox"}])]
    assert (await restrict(live, page, rows, "/rest/api")).status == 404
    assert (await restrict(live, page, rows, CENTER)).status == 200
    assert (await live.ask("GET", "/rest/api/user?username=nobody")).status == 404
    assert (await live.ask("GET", "/rest/api/user?username=beth.anglin")).json["displayName"] == "Beth Anglin"


async def test_a_status_is_a_version_of_the_page_with_the_same_text(live):
    page = (await live.new_page()).json["id"]
    state = f"{V1}/content/{page}/state"
    assert (await live.ask("GET", state)).json["contentState"] is None
    assert (await live.ask("PUT", f"{state}?status=current", json={"id": 2})).status == 200
    assert (await live.ask("GET", state)).json["contentState"]["name"] == "Ready for review"
    shown = (await live.ask("GET", f"{V2}/pages/{page}?body-format=storage")).json
    assert (shown["version"]["number"], shown["body"]["storage"]["value"]) == (2, "<p>x</p>")


@pytest.mark.parametrize(
    ("query", "given"),
    [
        ("", {"id": 0}),
        ("?status=current", {"id": 77}),
        ("?status=current", {"name": "x" * 21, "color": "#2684ff"}),
        ("?status=current", {"name": "Mine"}),
        ("?status=current", {"name": "Mine", "color": "blue"}),
    ],
)
async def test_a_status_that_is_not_described_so_is_refused(live, query, given):
    page = (await live.new_page()).json["id"]
    assert (await live.ask("PUT", f"{V1}/content/{page}/state{query}", json=given)).status == 400
    assert live.store.pages[page].version == 1


async def test_only_an_account_can_own_a_page(live):
    page = (await live.new_page()).json["id"]
    change = {"id": page, "status": "current", "title": "RCA", "version": {"number": 2}, "body": body(live)["body"]}
    assert (await live.ask("PUT", f"{V2}/pages/{page}", json=change | {"ownerId": "557058:nobody"})).status == 400
    assert (await live.ask("PUT", f"{V2}/pages/{page}", json=change)).json["ownerId"] == "557058:sandbox"


async def test_a_folders_title_is_unique_among_folders_of_the_space_and_may_be_a_pages(live):
    await live.new_page(title="Post-mortems")
    given = {"spaceId": live.store.spaces["OPS"], "title": "Post-mortems"}
    made = await live.ask("POST", f"{V2}/folders", json=given)
    assert (made.status, made.json["type"]) == (200, "folder")
    below = await live.ask("POST", f"{V2}/folders", json=given | {"title": "2026", "parentId": made.json["id"]})
    again = await live.ask("POST", f"{V2}/folders", json=given | {"title": "2026"})
    assert (again.status, "same title" in again.json["errors"][0]["title"]) == (400, True)
    other = await live.ask("POST", f"{V2}/folders", json=given | {"spaceId": live.store.spaces["ENG"]})
    assert other.status == 200
    children = (await live.ask("GET", f"{V2}/folders/{made.json['id']}/direct-children")).json["results"]
    assert [(child["type"], child["id"]) for child in children] == [("folder", below.json["id"])]
    page = await live.new_page(title="RCA", parentId=below.json["id"])
    assert page.json["parentType"] == "folder"


async def test_people_are_searched_by_their_names_and_never_by_address(live):
    async def found(cql):
        answer = await live.ask("GET", f"{V1}/search/user", params={"cql": cql})
        return [line["title"] for line in answer.json.get("results", ())] if answer.status == 200 else answer.status

    assert await found('user.fullname ~ "beth"') == ["Beth Anglin"]
    assert await found('user.fullname ~ "beth.anglin@example.com"') == []
    assert await found('user.email = "beth.anglin@example.com"') == 400


@pytest.mark.parametrize("base", ["/rest/api", V1])
async def test_a_pages_history_is_told_as_older_clients_ask_for_it(live, base):
    page = (await live.new_page()).json["id"]
    told = (await live.ask("GET", f"{base}/content/{page}/history")).json
    assert (told["latest"], told["lastUpdated"]["number"]) == (True, 1)
