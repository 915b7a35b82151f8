"""Every fault looks on the wire as it does in the wild, meets only what it was told to, and ends."""

from __future__ import annotations

import asyncio
from email.utils import parsedate_to_datetime
from pathlib import Path

import aiohttp
import pytest

from tests.contract.sandbox_support import SECRET, basic, running
from worker.sandbox.faults.spec import NAMES
from worker.sandbox.serve import serve

VENDORS = ("confluence", "servicenow", "azure_devops", "jira")


@pytest.fixture
async def live():
    async with running() as sandbox:
        yield sandbox


async def create(live, vendor):
    made = {
        "confluence": live.new_page,
        "servicenow": live.new_incident,
        "azure_devops": live.new_item,
        "jira": live.new_issue,
    }
    return await made[vendor]()


async def held(live, vendor) -> int:
    return len(await live.objects(vendor))


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(("fault", "kept"), [("commit_then_drop", 1), ("drop", 0)])
async def test_a_dropped_connection_is_a_reset_before_or_after_the_commit(live, vendor, fault, kept):
    await live.fault(vendor=vendor, operation="create", fault=fault)
    with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
        await create(live, vendor)
    assert await held(live, vendor) == kept


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(
    ("spec", "status", "kept"),
    [
        ({"fault": "commit_then_500"}, 500, 1),
        ({"fault": "commit_then_429"}, 429, 1),
        ({"fault": "status", "status": 503}, 503, 0),
        ({"fault": "status", "status": 403}, 403, 0),
        ({"fault": "rate_limit"}, 429, 0),
        ({"fault": "redirect_302"}, 302, 0),
        ({"fault": "gone_410"}, 410, 0),
    ],
)
async def test_a_status_comes_in_the_vendors_shape(live, vendor, spec, status, kept):
    await live.fault(vendor=vendor, operation="create", **spec)
    answer = await create(live, vendor)
    assert answer.status == status
    assert await held(live, vendor) == kept
    if status == 302:
        assert answer.headers["Location"].startswith("http://169.254.169.254/")
    elif vendor == "servicenow":
        assert answer.json["status"] == "failure"
    elif vendor == "azure_devops":
        assert "typeKey" in answer.json


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize(
    ("given", "sent"),
    [(7, "7"), ("3", "3"), ("negative", "-5"), ("absurd", "1e308"), ("NaN", "NaN"), ("absent", None), (None, None)],
)
async def test_retry_after_can_be_anything(live, vendor, given, sent):
    await live.fault(vendor=vendor, fault="rate_limit", retry_after=given)
    answer = await create(live, vendor)
    assert answer.headers.get("Retry-After") == sent
    if vendor == "servicenow":
        assert ("X-RateLimit-Rule" in answer.headers) == (sent is not None)


async def test_retry_after_can_be_a_date_by_the_sandboxes_clock(live):
    await live.fault(fault="rate_limit", retry_after="date", seconds=90)
    at = parsedate_to_datetime((await live.new_page()).headers["Retry-After"])
    assert at.timestamp() == live.clock.now + 90


async def test_the_quota_resets_at_a_moment_in_each_vendors_own_notation(live):
    await live.fault(fault="rate_limit", times=2, seconds=60)
    confluence, azure = await live.new_page(), await live.new_item()
    assert confluence.headers["X-RateLimit-Reset"].endswith("Z")
    assert int(azure.headers["X-RateLimit-Reset"]) == int(live.clock.now + 60)


async def test_a_delayed_answer_is_a_success_that_asks_for_patience(live):
    await live.fault(vendor="azure_devops", fault="delayed", retry_after=12)
    answer = await live.new_item()
    assert (answer.status, answer.headers["Retry-After"]) == (200, "12")
    assert await held(live, "azure_devops") == 1


@pytest.mark.parametrize(("fault", "status"), [("sign_in_203", 203), ("hibernating", 200)])
async def test_a_page_comes_instead_of_an_answer(live, fault, status):
    await live.fault(fault=fault)
    answer = await live.new_incident()
    assert (answer.status, answer.headers["Content-Type"].partition(";")[0]) == (status, "text/html")
    assert await held(live, "servicenow") == 0


@pytest.mark.parametrize("vendor", VENDORS)
async def test_malformed_json_hides_a_success(live, vendor):
    await live.fault(vendor=vendor, fault="malformed_json")
    answer = await create(live, vendor)
    assert answer.status == 200
    with pytest.raises(ValueError, match=r"Expecting|delimiter"):
        _ = answer.json
    assert await held(live, vendor) == 1


async def test_a_503_may_begin_with_a_byte_order_mark(live):
    await live.fault(fault="bom")
    answer = await live.new_item()
    assert (answer.status, answer.body[:3]) == (503, b"\xef\xbb\xbf")


async def test_wiql_is_blind_for_a_while_and_then_sees(live):
    await live.fault(fault="wiql_blind", seconds=10)
    number = (await live.new_item(System__Tags="aw-1")).json["id"]
    live.clock.now += 9.9
    assert await live.wiql("[System.Tags] CONTAINS 'aw-1'") == []
    live.clock.now += 0.2
    assert await live.wiql("[System.Tags] CONTAINS 'aw-1'") == [number]


async def test_a_lagging_index_misses_new_items_and_knows_the_older_ones(live):
    old = (await live.new_item(System__Tags="aw-1")).json["id"]
    await live.fault(fault="wiql_lag", seconds=10)
    live.clock.now += 5
    new = (await live.new_item(System__Tags="aw-1")).json["id"]
    live.clock.now += 9.9
    assert await live.wiql("[System.Tags] CONTAINS 'aw-1'") == [old]
    live.clock.now += 0.2
    assert await live.wiql("[System.Tags] CONTAINS 'aw-1'") == [old, new]


async def test_a_new_page_is_not_found_for_a_while_but_keeps_its_title(live):
    await live.fault(fault="page_404", seconds=10)
    page = (await live.new_page()).json["id"]
    space = live.store.spaces["OPS"]
    assert (await live.ask("GET", f"/wiki/api/v2/pages/{page}")).status == 404
    assert (await live.ask("GET", f"/wiki/api/v2/pages?space-id={space}&title=RCA")).json["results"] == []
    assert (await live.new_page()).status == 400
    live.clock.now += 10.1
    assert (await live.ask("GET", f"/wiki/api/v2/pages/{page}")).status == 200


async def test_a_conflict_comes_although_the_version_is_right(live):
    page = (await live.new_page()).json["id"]
    await live.fault(fault="conflict_409")
    body = {"representation": "storage", "value": ""}
    change = {"id": page, "status": "current", "title": "RCA", "body": body, "version": {"number": 2}}
    first = await live.ask("PUT", f"/wiki/api/v2/pages/{page}", json=change)
    assert first.status == 409
    assert "OptimisticLock" in first.text
    assert (await live.ask("PUT", f"/wiki/api/v2/pages/{page}", json=change)).status == 200


async def test_a_server_may_drop_the_messages_of_versions(live):
    page = (await live.new_page()).json["id"]
    await live.fault(fault="no_version_message")
    body = {"representation": "storage", "value": ""}
    version = {"number": 2, "message": "kept by others"}
    change = {"id": page, "status": "current", "title": "RCA", "body": body, "version": version}
    answer = await live.ask("PUT", f"/wiki/api/v2/pages/{page}", json=change)
    assert (answer.json["version"]["number"], answer.json["version"]["message"]) == (2, "")


async def test_a_property_is_refused_because_it_made_itself_and_can_be_put(live):
    page = (await live.new_page()).json["id"]
    await live.fault(fault="property_409")
    path, given = f"/wiki/api/v2/pages/{page}/properties", {"key": "k", "value": 1}
    assert (await live.ask("POST", path, json=given)).status == 409
    (row,) = (await live.ask("GET", f"{path}?key=k")).json["results"]
    put = await live.ask("PUT", f"{path}/{row['id']}", json=given | {"version": {"number": 2}})
    assert put.status == 200


@pytest.mark.parametrize(("commit", "kept"), [(True, 1), (False, 0)])
async def test_slow_headers_come_after_the_commit_unless_told_otherwise(live, commit, kept):
    await live.fault(fault="slow_headers", seconds=30, commit=commit)
    await live.new_page()
    assert live.clock.slept == [30]
    assert await held(live, "confluence") == kept


async def test_a_slow_body_is_the_true_answer_in_small_pieces(live):
    await live.fault(fault="slow_body", seconds=2)
    answer = await live.new_page()
    assert answer.json["title"] == "RCA"
    assert len(live.clock.slept) == 20
    assert sum(live.clock.slept) == pytest.approx(2)


async def test_an_endless_body_does_not_end_while_somebody_listens(live):
    await live.fault(fault="endless_body")
    headers = {"Authorization": basic(SECRET)}
    async with live.session.get(f"{live.url}/wiki/api/v2/spaces", headers=headers) as answer:
        assert len(await answer.content.readexactly(8 * 2**20)) == 8 * 2**20


async def test_a_gzip_bomb_is_small_on_the_wire_and_huge_inside(live):
    await live.fault(fault="gzip_bomb")
    headers = {"Authorization": basic(SECRET)}
    url = f"{live.url}/wiki/api/v2/spaces"
    async with aiohttp.ClientSession(auto_decompress=False) as session, session.get(url, headers=headers) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert 10_000 < len(await answer.read()) < 400_000


async def test_latency_has_a_long_tail_around_its_median_and_repeats_with_its_seed(live):
    drawn = []
    for _ in range(2):
        await live.fault(fault="latency", seconds=1, times=101, seed=7)
        for _ in range(101):
            await live.ask("GET", "/wiki/api/v2/spaces")
        drawn.append(list(live.clock.slept))
        live.clock.slept.clear()
    assert drawn[0] == drawn[1]
    assert 0.8 < sorted(drawn[0])[50] < 1.25
    assert max(drawn[0]) > 4
    assert max(drawn[0]) <= 60


async def test_a_share_of_requests_fails_and_repeats_with_its_seed(live):
    seen = []
    for _ in range(2):
        await live.fault(fault="status", status=502, share=0.3, seed=3)
        seen.append([(await live.ask("GET", "/wiki/api/v2/spaces")).status for _ in range(100)])
        await live.ask("DELETE", "/_sandbox/faults")
    assert seen[0] == seen[1]
    assert 15 < seen[0].count(502) < 45


async def test_a_fault_spares_the_first_and_strikes_as_often_as_it_was_told(live):
    await live.fault(fault="status", after=2, times=2)
    assert [(await live.ask("GET", "/wiki/api/v2/spaces")).status for _ in range(6)] == [200, 200, 503, 503, 200, 200]


async def test_a_fault_meets_its_vendor_operation_method_and_path_only(live):
    await live.fault(
        fault="status", vendor="confluence", operation="update", method="put", path="/properties/", times=9
    )
    page = (await live.new_page()).json["id"]
    path = f"/wiki/api/v2/pages/{page}/properties"
    row = (await live.ask("POST", path, json={"key": "k", "value": 1})).json["id"]
    assert (await live.new_incident()).status == 201
    assert (await live.ask("GET", f"{path}/{row}")).status == 200
    assert (await live.ask("PUT", f"{path}/{row}", json={})).status == 503


async def test_a_fault_meets_the_requests_whose_body_has_its_words_only(live):
    """One record of a table can be refused so, with no limit to the number of tries."""
    await live.fault(fault="status", vendor="servicenow", operation="create", status=403, words="forbidden", share=1.0)
    path = "/api/now/table/incident"
    for words, status in (("forbidden", 403), ("permitted", 201), ("still forbidden", 403)):
        assert (await live.ask("POST", path, json={"short_description": words})).status == status


@pytest.mark.parametrize(
    "spec", [{"fault": "nonsense"}, {"fault": "drop", "nope": 1}, {"fault": "status", "share": 2}, []]
)
async def test_a_fault_that_is_not_understood_is_refused(live, spec):
    assert (await live.ask("POST", "/_sandbox/faults", json=spec)).status == 400


async def test_faults_are_listed_and_end_when_told(live):
    await live.fault(fault="status", times=3)
    await live.fault(fault="wiql_blind", seconds=60)
    await live.fault(fault="wiql_lag", seconds=60)
    await live.fault(fault="page_404", seconds=60)
    await live.ask("GET", "/wiki/api/v2/spaces")
    rows = (await live.ask("GET", "/_sandbox/faults")).json
    assert {row["fault"]: row.get("left") for row in rows} == {
        "status": 2,
        "wiql_blind": None,
        "wiql_lag": None,
        "page_404": None,
    }
    assert (await live.ask("DELETE", "/_sandbox/faults")).status == 204
    assert (await live.ask("GET", "/_sandbox/faults")).json == []
    assert (await live.ask("GET", "/wiki/api/v2/spaces")).status == 200


async def test_the_control_interface_is_never_spoilt(live):
    await live.fault(fault="status", times=99)
    assert (await live.ask("GET", "/_sandbox/state")).status == 200
    assert (await live.ask("GET", "/")).status == 200


async def test_a_restarted_listener_cuts_every_connection_and_keeps_every_object():
    runner, port = await serve("127.0.0.1", 0)
    url = f"http://127.0.0.1:{port}"
    incident = {"short_description": "Down"}
    headers = {"Authorization": basic(SECRET), "Accept": "application/json"}
    try:
        async with aiohttp.ClientSession(headers=headers) as session:
            async with session.post(f"{url}/api/now/table/incident", json=incident) as made:
                assert made.status == 201
            slow = {"fault": "slow_headers", "vendor": "servicenow", "seconds": 30}
            async with session.post(f"{url}/_sandbox/faults", json=slow) as added:
                assert added.status == 201
            waiting = asyncio.create_task(session.post(f"{url}/api/now/table/incident", json=incident))
            while (await _once_back(session, url))["counts"]["incidents"] < 2:
                await asyncio.sleep(0.01)
            async with session.post(f"{url}/_sandbox/listener", json={"seconds": 0.3}) as answer:
                assert answer.status == 202
            with pytest.raises(aiohttp.ClientError):
                await waiting
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get(f"{url}/_sandbox/state")
            state = await _once_back(session, url)
            assert state["counts"]["incidents"] == 2
            async with session.post(f"{url}/_sandbox/listener", json={"seconds": -1}) as refused:
                assert refused.status == 400
    finally:
        await runner.cleanup()


async def _once_back(session, url):
    while True:
        try:
            async with session.get(f"{url}/_sandbox/state") as answer:
                return await answer.json()
        except aiohttp.ClientConnectorError:
            await asyncio.sleep(0.02)


def test_every_fault_is_shown_here():
    text = Path(__file__).read_text() + "".join(
        Path(__file__).with_name(f"test_sandbox_{name}.py").read_text() for name in ("servicenow", "jira")
    )
    assert [name for name in NAMES if f'"{name}"' not in text] == []
