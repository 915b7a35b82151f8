"""The sandbox's pages show what was delivered, run nothing of it, and its control interface gives no secret away."""

from __future__ import annotations

import re

import pytest

from tests.contract.sandbox_support import SECRET, running
from worker.sandbox.pages import STYLE, detail

EVIL = "<script>alert(1)</script>"
STORAGES = [
    "<p onclick='x()'>a</p>",
    "<p><a href='javascript:alert(1)'>a</a></p>",
    "<ac:structured-macro ac:name='html'><ac:plain-text-body><![CDATA[<script>alert(1)</script>]]></ac:plain-text-body></ac:structured-macro>",
    "<p><![CDATA[<img src=x onerror=alert(1)>]]></p>",
    '<ac:image><ri:url ri:value="javascript:alert(1)"/></ac:image>',
    "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>",
    "<style>body{background:url(https://example.com/x)}</style>",
    "<script>alert(1)</script>",
    "<p style='background:url(https://example.com/x)'>a</p>",
]


@pytest.fixture
async def live():
    async with running() as sandbox:
        yield sandbox


def must_be_harmless(page: str) -> None:
    """Nothing but our own style sheet is left that a browser would run or load."""
    rest = page.replace(STYLE, "")
    assert "<script" not in rest.lower()
    tags = re.findall(r"<[a-z][^>]*>", rest, re.IGNORECASE)
    for tag in tags:
        assert not re.search(r"\son\w+\s*=", tag, re.IGNORECASE), tag
        assert not re.search(r"(href|src)=['\"]?\s*(javascript|data|vbscript):", tag, re.IGNORECASE), tag
        assert not tag.lower().startswith(("<img", "<iframe", "<object", "<embed", "<form", "<link", "<base")), tag
        assert " style=" not in tag, tag


@pytest.mark.parametrize("storage", STORAGES)
async def test_a_page_runs_nothing_of_what_was_delivered(live, storage):
    made = await live.new_page(EVIL, storage)
    where = made.json["_links"]
    shown = await live.ask("GET", (where["base"] + where["webui"]).removeprefix(live.url), secret=None)
    assert shown.status == 200
    must_be_harmless(shown.text)
    assert "&lt;script&gt;alert(1)" in shown.text


def test_a_page_that_no_parser_would_take_is_harmless_too():
    for body in ("<![CDATA[<script>]]><script>x", "<p><<img src=x onerror=a()>", "<svg/onload=a()>", "]]><script>"):
        for vendor in ("confluence", "azure_devops", "servicenow"):
            must_be_harmless(
                detail({"vendor": vendor, "title": EVIL, "version": 1, "body": body, "journal": [], "key": EVIL})
            )


def test_a_work_items_page_shows_where_its_links_lead_and_follows_none_that_is_no_address():
    item = {
        "vendor": "azure_devops",
        "title": "T",
        "version": 1,
        "body": "",
        "links": ["https://wiki.test/1", "javascript:x"],
    }
    shown = detail(item)
    assert '<a href="https://wiki.test/1">' in shown
    assert 'href="javascript' not in shown
    assert "javascript:x" in shown


async def test_every_object_has_the_page_that_its_vendor_links_to(live):
    page, incident, item = await live.new_page(), await live.new_incident(description=EVIL), await live.new_item()
    content = await live.ask("GET", f"/rest/api/content/{page.json['id']}")
    links = [
        "/wiki" + page.json["_links"]["webui"],
        content.json["_links"]["webui"],
        f"/nav_to.do?uri=incident.do?sys_id={incident.json['result']['sys_id']}",
        f"/nav_to.do?uri=incident.do%3Fsys_id%3D{incident.json['result']['sys_id']}",
        item.json["_links"]["html"]["href"].removeprefix(live.url),
    ]
    for link in links:
        shown = await live.ask("GET", link, secret=None)
        assert (shown.status, shown.headers["X-Content-Type-Options"]) == (200, "nosniff")
        must_be_harmless(shown.text)
    assert (await live.ask("GET", "/wiki/spaces/OPS/pages/9", secret=None)).status == 404


async def test_the_overview_links_to_every_object_and_allows_one_style_sheet(live):
    await live.new_page(EVIL)
    await live.new_incident(short_description=EVIL)
    await live.new_item(System__Title=EVIL)
    overview = await live.ask("GET", "/", secret=None)
    must_be_harmless(overview.text)
    links = re.findall(r"<td><a href='([^']+)'", overview.text)
    assert len(links) == 3
    for link in links:
        assert (await live.ask("GET", link, secret=None)).status == 200
    policy = overview.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy


async def test_tables_tasks_code_and_panels_are_shown(live):
    code = '<ac:structured-macro ac:name="code"><ac:parameter ac:name="language">py</ac:parameter><ac:plain-text-body><![CDATA[a < b]]></ac:plain-text-body></ac:structured-macro>'
    task = "<ac:task-list><ac:task><ac:task-id>7</ac:task-id><ac:task-status>complete</ac:task-status><ac:task-body>done</ac:task-body></ac:task></ac:task-list>"
    made = await live.new_page(storage=f"<table><tbody><tr><td>cell</td></tr></tbody></table>{code}{task}")
    text = (await live.ask("GET", f"/wiki{made.json['_links']['webui']}")).text
    for part in ("<td>cell</td>", "<pre>a &lt; b</pre>", "☑ done"):
        assert part in text


async def test_the_state_tells_what_was_delivered_and_asked_and_no_secret(live):
    page = (await live.new_page()).json["id"]
    given = {"key": "afterword", "value": {"subject": "s1"}}
    await live.ask("POST", f"/wiki/api/v2/pages/{page}/properties", json=given)
    await live.new_incident(correlation_id="k1")
    await live.new_item(System__Tags="rca; aw-1")
    state = await live.ask("GET", "/_sandbox/state")
    assert state.json["counts"] == {"pages": 1, "incidents": 1, "work_items": 1, "issues": 0}
    assert [row["key"] for row in state.json["objects"]] == ["s1", "k1", "aw-1"]
    asked = [(row["vendor"], row["operation"], row["status"]) for row in state.json["requests"]]
    assert asked == [
        ("confluence", "create", 200),
        ("confluence", "update", 200),
        ("servicenow", "create", 201),
        ("azure_devops", "create", 200),
    ]
    for text in (state.text, (await live.ask("GET", "/")).text):
        assert SECRET not in text


async def test_a_person_edits_and_archives(live):
    page = (await live.new_page()).json["id"]
    number = str((await live.new_item()).json["id"])
    row = (await live.new_incident()).json["result"]["sys_id"]
    for vendor, one in (("confluence", page), ("azure_devops", number), ("servicenow", row)):
        edited = await live.ask("POST", "/_sandbox/edit", json={"vendor": vendor, "id": one, "title": "Mine"})
        assert edited.status == 200
        (found,) = await live.objects(vendor)
        assert found["title"] == "Mine"
        assert found["version"] == edited.json["version"]
    await live.ask("POST", "/_sandbox/archive", json={"id": page})
    assert (await live.objects("confluence"))[0]["status"] == "archived"
    assert (await live.ask("POST", "/_sandbox/edit", json={"id": "0"})).status == 404
    assert (await live.ask("POST", "/_sandbox/edit", json={"nope": "0"})).status == 400


async def test_a_reset_forgets_everything(live):
    await live.new_page()
    await live.new_incident()
    await live.new_item()
    await live.fault(fault="drop", times=9)
    await live.ask("POST", "/_sandbox/reset")
    state = (await live.ask("GET", "/_sandbox/state")).json
    assert state == {
        "counts": {"pages": 0, "incidents": 0, "work_items": 0, "issues": 0},
        "objects": [],
        "requests": [],
    }
    assert (await live.new_page()).status == 200
