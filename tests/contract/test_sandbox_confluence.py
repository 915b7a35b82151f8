"""Confluence's rules in the sandbox: titles, versions, properties, labels, files, statuses, paging, credentials."""

from __future__ import annotations

import aiohttp
import pytest

from tests.contract.sandbox_support import SECRET, running

V2, V1, DC = "/wiki/api/v2", "/wiki/rest/api", "/rest/api"


@pytest.fixture
async def live():
    async with running() as sandbox:
        yield sandbox


def change(page: str, number: int, title: str = "RCA", **more) -> dict:
    body = {"representation": "storage", "value": "<p>new</p>"}
    return {"id": page, "status": "current", "title": title, "body": body, "version": {"number": number}} | more


@pytest.mark.parametrize("status", ["current", "archived", "trashed"])
async def test_a_title_belongs_to_one_page_even_when_that_is_archived_or_trashed(live, status):
    page = (await live.new_page("RCA")).json["id"]
    live.store.pages[page].status = status
    again = await live.new_page("rca")
    assert again.status == 400
    assert again.json["errors"][0]["code"] == "BAD_REQUEST"
    assert "A page with this title already exists" in again.json["errors"][0]["title"]
    assert (await live.new_page("RCA", spaceId=live.store.spaces["ENG"])).status == 200


async def test_pages_are_listed_by_status_current_and_archived_unless_asked(live):
    for status in ("current", "archived", "trashed"):
        page = (await live.new_page(status)).json["id"]
        live.store.pages[page].status = status
    space = live.store.spaces["OPS"]

    async def titles(query: str) -> list[str]:
        rows = (await live.ask("GET", f"{V2}/pages?space-id={space}{query}")).json["results"]
        return [row["title"] for row in rows if not row["title"].endswith("Home")]

    assert await titles("") == ["current", "archived"]
    assert await titles("&status=current,archived,trashed") == ["current", "archived", "trashed"]
    assert await titles("&status=trashed&status=archived") == ["archived", "trashed"]
    assert (await live.ask("GET", f"{V2}/pages?status=nonsense")).json["errors"][0][
        "code"
    ] == "INVALID_REQUEST_PARAMETER"


async def test_an_update_must_carry_the_next_version(live):
    page = (await live.new_page()).json["id"]
    wrong = await live.ask("PUT", f"{V2}/pages/{page}", json=change(page, 1))
    assert wrong.status == 409
    assert wrong.json["errors"][0] == {
        "status": 409,
        "code": "CONFLICT",
        "title": "Version must be incremented when updating a page. Current Version: [1]. Provided version: [1]",
        "detail": None,
    }
    right = await live.ask("PUT", f"{V2}/pages/{page}", json=change(page, 2))
    assert (right.status, right.json["version"]["number"]) == (200, 2)


@pytest.mark.parametrize("left_out", ["id", "status", "title", "body", "version"])
async def test_an_update_without_one_of_its_parts_is_refused(live, left_out):
    page = (await live.new_page()).json["id"]
    body = change(page, 2)
    del body[left_out]
    answer = await live.ask("PUT", f"{V2}/pages/{page}", json=body)
    assert (answer.status, answer.json["errors"][0]["code"]) == (400, "INVALID_REQUEST_PARAMETER")


async def test_a_page_without_a_parent_stands_below_the_spaces_first_page(live):
    space = (await live.ask("GET", f"{V2}/spaces?keys=OPS")).json["results"][0]
    assert (await live.new_page()).json["parentId"] == space["homepageId"]


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"parentId": "424242"}, 404),
        ({"spaceId": "1"}, 404),
        ({"title": ""}, 400),
        ({"title": "x" * 256}, 400),
        ({"body": {"representation": "storage", "value": "<p>x"}}, 400),
        ({"body": {"representation": "storage", "value": "x" * (5 * 2**20 + 1)}}, 413),
        ({"body": {"representation": "nonsense", "value": "x"}}, 400),
    ],
)
async def test_what_v2_refuses(live, more, status):
    assert (await live.new_page(**more)).status == status
    assert await live.objects("confluence") == []


async def test_storage_format_may_hold_macros_entities_and_cdata(live):
    storage = '<p>a&nbsp;&rarr;&amp;</p><ac:structured-macro ac:name="code"><ac:plain-text-body><![CDATA[<x>]]></ac:plain-text-body></ac:structured-macro>'
    assert (await live.new_page(storage=storage)).status == 200


async def test_bad_markup_is_named_with_its_row_and_column(live):
    body = {"type": "page", "title": "t", "space": {"key": "OPS"}, "body": {"storage": {"value": "<p>\n<b></p>"}}}
    answer = await live.ask("POST", f"{DC}/content", json=body)
    assert answer.status == 400
    assert "Error parsing xhtml" in answer.json["message"]
    assert "at [row,col {unknown-source}]: [2," in answer.json["message"]


async def test_a_property_has_versions_of_its_own(live):
    page = (await live.new_page()).json["id"]
    path = f"{V2}/pages/{page}/properties"
    row = (await live.ask("POST", path, json={"key": "k", "value": 1})).json
    assert (await live.ask("POST", path, json={"key": "k", "value": 1})).status == 409
    assert (
        await live.ask("PUT", f"{path}/{row['id']}", json={"key": "k", "value": 2, "version": {"number": 1}})
    ).status == 409
    assert (
        await live.ask("PUT", f"{path}/{row['id']}", json={"key": "k", "value": 2, "version": {"number": 2}})
    ).status == 200
    (found,) = (await live.ask("GET", f"{path}?key=k")).json["results"]
    assert (found["value"], found["version"]["number"]) == (2, 2)
    assert (await live.ask("GET", f"{path}?key=other")).json["results"] == []


async def test_data_center_makes_a_property_by_putting_its_first_version(live):
    page = (await live.new_page()).json["id"]
    path = f"{DC}/content/{page}/property/k"
    assert (await live.ask("GET", path)).status == 404
    assert (await live.ask("PUT", path, json={"key": "k", "value": 1, "version": {"number": 1}})).status == 200
    assert (await live.ask("PUT", path, json={"key": "k", "value": 1, "version": {"number": 1}})).status == 409


async def test_long_lists_come_in_pages_that_the_link_header_leads_through(live):
    for number in range(5):
        await live.new_page(f"RCA {number}")
    seen, path = [], f"{V2}/pages?space-id={live.store.spaces['OPS']}&limit=2"
    while path:
        answer = await live.ask("GET", path)
        seen += [row["title"] for row in answer.json["results"]]
        path = answer.json["_links"].get("next")
        assert (path is None) == ("Link" not in answer.headers)
    assert seen == ["OPS Home", *(f"RCA {number}" for number in range(5))]
    assert (await live.ask("GET", f"{V2}/pages?limit=251")).status == 400


async def test_labels_are_added_once_and_removed(live):
    page = (await live.new_page()).json["id"]
    path = f"{V1}/content/{page}/label"
    for _ in range(2):
        added = await live.ask("POST", path, json=[{"prefix": "global", "name": "rca"}])
    assert [row["name"] for row in added.json["results"]] == ["rca"]
    assert (await live.ask("DELETE", f"{path}?name=rca")).status == 204
    assert (await live.ask("GET", f"{V2}/pages/{page}/labels")).json["results"] == []


async def test_a_file_put_twice_has_two_versions_and_needs_the_token_header(live):
    page = (await live.new_page()).json["id"]
    path = f"{V1}/content/{page}/child/attachment"

    async def send(method: str, headers: dict[str, str]):
        form = aiohttp.FormData()
        form.add_field("file", b"log line", filename="app.log", content_type="text/plain")
        return await live.ask(method, path, data=form, headers=headers)

    assert (await send("PUT", {})).status == 403
    token = {"X-Atlassian-Token": "nocheck"}
    for number in (1, 2):
        assert (await send("PUT", token)).json["results"][0]["version"]["number"] == number
    assert (await send("POST", token)).status == 400
    got = await live.ask("GET", f"/wiki/download/attachments/{page}/app.log")
    assert (got.body, got.headers["Content-Disposition"]) == (b"log line", "attachment")


async def test_a_trashed_page_is_restored_by_an_update_and_gone_after_a_purge(live):
    page = (await live.new_page()).json["id"]
    assert (await live.ask("DELETE", f"{V2}/pages/{page}")).status == 204
    assert (await live.ask("GET", f"{V2}/pages/{page}")).json["status"] == "trashed"
    assert (await live.ask("GET", f"{DC}/content/{page}")).status == 404
    restored = await live.ask("PUT", f"{V2}/pages/{page}", json=change(page, 2))
    assert restored.json["status"] == "current"
    await live.ask("DELETE", f"{V2}/pages/{page}")
    await live.ask("DELETE", f"{V2}/pages/{page}?purge=true")
    assert (await live.ask("GET", f"{V2}/pages/{page}")).status == 404


async def test_data_centers_conflicts_and_long_titles_have_v1s_words(live):
    body = {"type": "page", "title": "RCA", "space": {"key": "OPS"}, "body": {"storage": {"value": "<p/>"}}}
    page = (await live.ask("POST", f"{DC}/content", json=body)).json["id"]
    conflict = await live.ask("PUT", f"{DC}/content/{page}", json=body | {"version": {"number": 9}})
    assert (conflict.status, conflict.json["message"]) == (
        409,
        "Version must be incremented on update. Current version is: 1",
    )
    long = await live.ask("POST", f"{DC}/content", json=body | {"title": "x" * 256})
    assert long.json["data"]["errors"][0]["message"]["key"] == "Title cannot be longer than 255 characters."
    taken = await live.ask("POST", f"{DC}/content", json=body)
    assert (taken.status, taken.json["statusCode"]) == (400, 400)
    assert "already exists" in taken.json["message"]


async def test_page_calls_of_v1_are_gone_on_cloud_under_oauth_but_labels_are_not(live):
    page = (await live.new_page()).json["id"]
    bearer = {"Authorization": f"Bearer {SECRET}"}
    assert (await live.ask("GET", f"{V1}/content/{page}", secret=None, headers=bearer)).status == 410
    assert (await live.ask("GET", f"{V1}/content/{page}/label", secret=None, headers=bearer)).status == 200
    assert (await live.ask("GET", f"{DC}/content/{page}", secret=None, headers=bearer)).status == 200
    assert (await live.ask("GET", f"{V2}/pages/{page}", secret=None, headers=bearer)).status == 200


@pytest.mark.parametrize("secret", [None, "wrong-token", "EXPIRED-1", "xx-invalid"])
async def test_a_bad_credential_is_refused(live, secret):
    v2 = await live.ask("GET", f"{V2}/spaces", secret=secret)
    assert (v2.status, v2.json) == (401, {"code": 401, "message": "Unauthorized; scope does not match"})
    assert (await live.ask("GET", f"{DC}/space/OPS", secret=secret)).status == 401


async def test_a_revoked_credential_is_v1s_403(live):
    answer = await live.ask("GET", f"{V1}/user/current", secret="revoked-1")
    assert answer.status == 403
    assert answer.json["message"] == "Current user not permitted to use Confluence"


async def test_the_cloud_id_needs_no_credential(live):
    assert "cloudId" in (await live.ask("GET", "/_edge/tenant_info", secret=None)).json


async def test_data_centers_client_credentials_give_a_token(live):
    form = {"grant_type": "client_credentials", "client_id": "c", "client_secret": SECRET}
    token = (await live.ask("POST", "/rest/oauth2/latest/token", data=form, secret=None)).json["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert (await live.ask("GET", f"{DC}/user/current", secret=None, headers=bearer)).status == 200
    bad = await live.ask("POST", "/rest/oauth2/latest/token", data=form | {"client_secret": "wrong"}, secret=None)
    assert bad.status == 401


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ('space = OPS and title = "Pool exhausted"', True),
        ('type in (page, blogpost) AND text ~ "exhausted" order by lastmodified desc', True),
        ('title = "Pool exhausted" and space not in ("OPS", SRE)', False),
        ("title = Other", False),
        ('title = Other or (title = "Pool exhausted" and type = page)', True),
        ('title = "Pool exhausted" and not space = OPS', False),
        ('title = "Pool exhausted" and lastmodified >= now("-1d") and created <= now()', True),
        ('title = "Pool exhausted" and created < "2001-01-01"', False),
        ("ancestor = 101 and creator = currentUser()", True),
        ("ancestor = 102", False),
        ('title !~ "Home" and space in (OPS)', True),
    ],
)
async def test_pages_are_found_by_cql(live, query, found):
    await live.new_page("Pool exhausted", parentId="101")
    answer = await live.ask("GET", f"{V1}/search", params={"cql": query})
    assert [row["title"] for row in answer.json["results"]] == ["Pool exhausted"] * found


@pytest.mark.parametrize(
    "query",
    [
        "",
        "label in (" + 60 * "a",
        "label in (a b)",
        "title",
        "nope = 1",
        "space = OPS or x",
        "created > soon",
        "title > a",
        "(" * 3000,
    ],
)
async def test_a_query_that_cant_be_read_is_refused_at_once(live, query):
    """A list without its end must not be tried in each way in which it can be cut: there are 2 to the power of 60."""
    assert (await live.ask("GET", f"{V1}/content/search", params={"cql": query})).status == 400


async def test_a_data_center_tells_of_each_version_of_a_page(live):
    number = (await live.new_page()).json["id"]
    body = {"type": "page", "title": "RCA", "version": {"number": 2, "message": "again"}}
    body |= {"body": {"storage": {"value": "<p>y</p>", "representation": "storage"}}}
    assert (await live.ask("PUT", f"{DC}/content/{number}", json=body)).status == 200
    shown = (await live.ask("GET", f"{DC}/content/{number}/version")).json["results"]
    assert [(row["number"], row["message"]) for row in shown] == [(2, "again"), (1, "")]
    assert (await live.ask("GET", f"{DC}/content/{number}/version/2")).json == shown[0]
    assert (await live.ask("GET", f"{DC}/content/{number}/version/9")).status == 404
