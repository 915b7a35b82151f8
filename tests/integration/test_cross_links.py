"""The page, the incident and the work item of one issue lead to each other, at one version more each, and then rest."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from aiohttp import web

from tasks.cross_links import follow_up
from tasks.model import JobState
from tests.integration.page_support import (
    INCIDENT,
    ISSUE,
    PUBLISH,
    TEXT,
    WORK_ITEM,
    Bench,
    bodies_read_by_the_loop,
)
from worker.sandbox.faults import answers as fault_answers

ALL = (PUBLISH, INCIDENT, WORK_ITEM)


@pytest.fixture
async def bench(services, sandbox, destinations):
    made = Bench(services, sandbox)
    await made.put()
    await services.contents.put_issue(ISSUE, "test")
    return made


async def deliver(bench, *commands):
    return [await bench.run(job) for job in [await bench.submit(command) for command in commands]]


async def relations(bench, number):
    url = f"{bench.sandbox.url}/contoso/_apis/wit/workitems/{number}?$expand=all&api-version=7.1"
    async with bench.sandbox.session.get(url, headers={"Authorization": "Basic OngxMg=="}) as answer:
        return (await answer.json()).get("relations", [])


async def linked(bench):
    """The objects by vendor, once each carries the others' links."""
    page, incident, item = [(await bench.sandbox.objects(v))[0] for v in ("confluence", "servicenow", "azure_devops")]
    assert incident["number"] in page["body"]
    assert f"Work item {item['id']}" in page["body"]
    address = re.search(r"Root cause analysis: (\S+)$", incident["body"]).group(1)
    assert address.startswith(bench.sandbox.url)
    assert address.endswith(page["id"])
    (relation,) = await relations(bench, item["id"])
    assert relation["url"] == address
    assert relation["rel"] == "Hyperlink"
    return page, incident, item


@pytest.mark.parametrize("order", [ALL, ALL[::-1], (INCIDENT, PUBLISH, WORK_ITEM)])
@pytest.mark.promise("links", "confluence", "servicenow", "azure_devops")
async def test_submitted_together_each_object_is_linked_with_one_version_more_at_most(bench, order, monkeypatch):
    by_loop = bodies_read_by_the_loop(monkeypatch)
    await deliver(bench, *order)
    await bench.follow_up()
    page, incident, item = await linked(bench)
    assert page["version"] <= 2
    assert incident["version"] <= 1
    assert item["version"] <= 2
    assert await bench.follow_up() == []
    assert by_loop == []


async def test_the_tickets_first_then_the_page_has_its_links_from_the_start(bench):
    await deliver(bench, INCIDENT, WORK_ITEM)
    assert await bench.follow_up() == []
    await deliver(bench, PUBLISH)
    await bench.follow_up()
    assert (await linked(bench))[0]["version"] == 1


async def test_published_again_all_three_are_unchanged(bench):
    first = await deliver(bench, *ALL)
    await bench.follow_up()
    before = [row["version"] for row in await linked(bench)]
    again = await deliver(bench, *ALL)
    assert [ended.receipt.change for ended in again] == ["unchanged"] * 3
    assert [ended.receipt.url for ended in again] == [ended.receipt.url for ended in first]
    assert await bench.follow_up() == []
    assert [row["version"] for row in await linked(bench)] == before


async def test_new_content_keeps_the_links_and_starts_no_follow_up(bench):
    await deliver(bench, *ALL)
    await bench.follow_up()
    await bench.put(content_md="Newer.")
    await bench.services.contents.put_issue(ISSUE.model_copy(update={"description": "Newer."}), "test")
    again = await deliver(bench, *ALL)
    assert [ended.receipt.change for ended in again] == ["updated"] * 3
    assert await bench.follow_up() == []
    page, incident, item = await linked(bench)
    assert all("Newer." in row["body"] for row in (page, incident, item))


async def test_follow_ups_wait_until_nothing_has_ended_for_a_while(bench):
    await deliver(bench, PUBLISH, INCIDENT)
    assert await follow_up(bench.services.ledger, bench.services.core.links) == []
    assert len(await follow_up(bench.services.ledger, bench.services.core.links, ahead_ms=15_000)) == 1


async def test_follow_ups_wait_for_siblings_that_are_under_way(bench):
    page, incident, item = [await bench.submit(command) for command in ALL]
    await bench.run(page)
    await bench.run(incident)
    assert await bench.due_follow_ups() == []
    await bench.run(item)
    (identifier,) = await bench.due_follow_ups()
    assert (await bench.services.ledger.require(identifier)).follows == page.id


async def test_a_sibling_that_stays_away_is_not_waited_for_forever(bench):
    page, incident, item = [await bench.submit(command) for command in ALL]
    await bench.run(page)
    await bench.run(incident)
    prefix = bench.services.settings.prefix
    await bench.services.redis.hincrby(f"{prefix}:job:{item.id}", "created_ms", -120_000)
    await bench.follow_up()
    assert "INC" in (await bench.page())["body"]


async def test_a_follow_up_says_whose_links_it_brings_and_leaves_that_job_alone(bench):
    page, incident = [await bench.submit(command) for command in (PUBLISH, INCIDENT)]
    await bench.run(page)
    await bench.run(incident)
    before = await bench.services.ledger.require(page.id)
    ids = await bench.due_follow_ups()
    jobs = [await bench.services.ledger.require(identifier) for identifier in ids]
    assert page.id in {job.follows for job in jobs}
    await bench.follow_up()
    assert await bench.services.ledger.require(page.id) == before


async def test_a_follow_up_is_queued_once_by_however_many_workers(bench):
    await deliver(bench, PUBLISH, INCIDENT)
    found = await asyncio.gather(*(bench.due_follow_ups() for _ in range(5)))
    jobs, _ = await bench.services.ledger.list()
    assert len({identifier for ids in found for identifier in ids}) == len([job for job in jobs if job.follows])


async def apart(bench):
    """All three delivered, none of them with a link yet: as if each had been under way while the others were."""
    await deliver(bench, *ALL[:1])
    record = f"{bench.services.settings.prefix}:links:{(await bench.services.ledger.list())[0][0].issue}"
    page = await bench.services.redis.hgetall(record)
    await bench.services.redis.delete(record)
    await deliver(bench, *ALL[1:])
    await bench.services.redis.hset(record, mapping=page)


async def test_a_refused_link_is_told_without_the_content_that_the_answer_repeats(bench, monkeypatch):
    content = "the planted sentence that only the content holds"
    await bench.put(content_md=f"So {content}.")
    await bench.services.contents.put_issue(ISSUE.model_copy(update={"description": f"So {content}."}), "test")
    await apart(bench)
    said = {"message": f"refused: {content}", "error": {"message": f"refused: {content}"}}
    monkeypatch.setattr(fault_answers, "refusal", lambda *_, **__: web.json_response(said, status=400))
    for vendor in ("confluence", "servicenow"):
        await bench.sandbox.fault(vendor=vendor, operation="update", fault="status", status=400)
    jobs = [await bench.services.ledger.require(identifier) for identifier in await bench.due_follow_ups()]
    refused = [ended.error for ended in [await bench.attempt(job) for job in jobs] if ended.error is not None]
    assert [error.excerpt for error in refused] == ["refused:[content]"] * 2
    assert not [error for error in refused if content in str(error)]


@pytest.mark.parametrize("flavor", ["cloud", "datacenter"])
async def test_killed_after_any_request_a_follow_up_adds_each_link_once(bench, flavor):
    await bench.set("confluence", flavor=flavor)
    await apart(bench)
    ids = await bench.due_follow_ups()
    assert len(ids) == 3
    for identifier in ids:
        for number in (2, 3):
            await bench.attempt(await bench.services.ledger.require(identifier), kill_after=number)
    for identifier in ids:
        if (job := await bench.services.ledger.require(identifier)).state is not JobState.DELIVERED:
            await bench.run(job)
    page, incident, item = await linked(bench)
    assert page["body"].count("afterword-links") == 1
    assert (page["version"], incident["version"]) == (2, 1)
    assert item["version"] <= 2
    assert (await bench.publish()).receipt.change == "unchanged"
    assert await bench.follow_up() == []


async def test_a_connection_cut_in_a_follow_up_is_no_reason_for_a_second_link(bench):
    await apart(bench)
    for vendor in ("confluence", "servicenow", "azure_devops"):
        await bench.sandbox.fault(vendor=vendor, fault="commit_then_drop", operation="update")
    await bench.follow_up()
    page, incident, item = await linked(bench)
    assert (page["version"], incident["version"]) == (2, 1)
    assert item["version"] <= 2


async def test_a_page_edited_by_hand_keeps_its_words_and_the_job_its_peace(bench):
    (ended,) = await deliver(bench, PUBLISH)
    await bench.control("edit", id=ended.receipt.id, body="<p>mine</p>")
    await deliver(bench, INCIDENT)
    followed = await bench.follow_up()
    assert [one.state for one in followed] == [JobState.DELIVERED] * len(followed)
    assert (await bench.page())["body"] == "<p>mine</p>"
    assert await bench.follow_up() == []


async def test_a_readers_comment_survives_the_links(bench):
    (ended,) = await deliver(bench, PUBLISH)
    await bench.control("comment", id=ended.receipt.id, selection="Second paragraph", new_version=True)
    await deliver(bench, INCIDENT)
    await bench.follow_up()
    page = await bench.page()
    assert page["comments"][0]["open"]
    assert "INC" in page["body"]


async def test_a_held_job_can_still_be_released_after_a_follow_up(bench):
    await deliver(bench, PUBLISH)
    await bench.put(content_md="password: " + "hunter2" + "-Xy99z")
    held = await bench.submit()
    assert (await bench.run(held)).state is JobState.HELD
    await deliver(bench, INCIDENT)
    await bench.follow_up()
    assert "INC" in (await bench.page())["body"]
    await bench.services.ledger.release(held.id, "test")
    released = await bench.run(await bench.services.ledger.require(held.id))
    assert released.receipt.change == "updated"
    assert "INC" in (await bench.page())["body"]


async def test_a_producers_new_job_takes_the_place_of_a_waiting_follow_up(bench):
    await deliver(bench, PUBLISH, INCIDENT)
    ids = await bench.due_follow_ups()
    await bench.put(content_md=TEXT + "More.")
    newer = await bench.submit()
    states = [(await bench.services.ledger.require(identifier)).state for identifier in ids]
    assert JobState.SUPERSEDED in states
    assert (await bench.run(newer)).receipt.change == "updated"
    await bench.follow_up()
    page = await bench.page()
    assert "More." in page["body"]
    assert "INC" in page["body"]
    assert page["version"] == 2


async def test_switched_off_a_destination_gets_no_links(bench):
    await bench.set("servicenow", cross_links=False)
    await deliver(bench, *ALL)
    await bench.follow_up()
    (incident,) = await bench.sandbox.objects("servicenow")
    assert "Root cause" not in incident["body"]
    assert "INC" not in (await bench.page())["body"]
    assert "Work item" in (await bench.page())["body"]


async def test_switched_off_later_the_others_let_go_of_it_at_its_next_delivery(bench):
    await deliver(bench, *ALL)
    await bench.follow_up()
    assert "INC" in (await bench.page())["body"]
    for name, command, words in (("servicenow", INCIDENT, "INC"), ("azure_devops", WORK_ITEM, "Work item")):
        await bench.set(name, cross_links=False)
        await deliver(bench, command)
        await bench.follow_up()
        assert words not in (await bench.page())["body"]
    assert "afterword-links" not in (await bench.page())["body"]
    assert await bench.follow_up() == []


async def test_a_removed_incident_ends_the_follow_up_in_peace(bench):
    (ended,) = await deliver(bench, INCIDENT)
    async with bench.sandbox.session.delete(
        f"{bench.sandbox.url}/api/now/table/incident/{ended.receipt.id}", headers={"Authorization": "Bearer x12"}
    ) as gone:
        assert gone.status in (200, 204)
    await deliver(bench, PUBLISH)
    assert [one.receipt.change for one in await bench.follow_up()] == ["skipped"]


async def test_a_long_description_is_cut_for_the_link_and_stays_unchanged(bench):
    await bench.services.contents.put_issue(ISSUE.model_copy(update={"description": "word " * 1000}), "test")
    await deliver(bench, INCIDENT, PUBLISH)
    await bench.follow_up()
    (incident,) = await bench.sandbox.objects("servicenow")
    assert len(incident["body"]) <= 4000
    assert "Root cause analysis: http" in incident["body"]
    (again,) = await deliver(bench, INCIDENT)
    assert again.receipt.change == "unchanged"


async def test_a_post_mortem_and_an_rca_are_both_linked(bench):
    await deliver(bench, INCIDENT, PUBLISH)
    await bench.put(id="doc-2", doc_type="postmortem", title="Post-Mortem: pool exhausted")
    await bench.run(await bench.submit(PUBLISH | {"doc_id": "doc-2"}))
    await bench.follow_up()
    (incident,) = await bench.sandbox.objects("servicenow")
    assert "Root cause analysis: http" in incident["body"]
    assert "Post-mortem: http" in incident["body"]
    assert incident["version"] <= 2


async def test_every_request_of_a_follow_up_is_audited(bench):
    await deliver(bench, *ALL)
    await bench.follow_up()
    entries = await bench.services.audit.tail(2000)
    intents = [e for e in entries if e.event.endswith(".intent")]
    assert len(intents) == len((await bench.sandbox.state())["requests"])
    assert (await bench.services.audit.verify()).ok
    assert "Root cause" not in json.dumps([entry.data for entry in entries])


async def test_a_record_of_links_that_can_not_be_read_holds_up_no_other_issue(bench):
    await deliver(bench, *ALL)
    links = bench.services.core.links
    (due,) = await links.due(ahead_ms=60_000)
    prefix = bench.services.settings.prefix
    await bench.services.redis.hset(f"{prefix}:links:unreadable", mapping={"a": "{}", "b": "{}"})
    await bench.services.redis.zadd(f"{prefix}:links:pending", {"unreadable": 0})
    assert [seen.issue for seen in await links.due(ahead_ms=60_000)] == [due.issue]
    assert await bench.services.redis.zscore(f"{prefix}:links:pending", "unreadable") > due.now_ms


async def test_a_member_with_fields_of_a_newer_version_is_read(bench):
    await deliver(bench, *ALL)
    links, redis = bench.services.core.links, bench.services.redis
    (due,) = await links.due(ahead_ms=60_000)
    name = f"{bench.services.settings.prefix}:links:{due.issue}"
    for subject, entry in (await redis.hgetall(name)).items():
        await redis.hset(name, subject, json.dumps(json.loads(entry) | {"colour": "blue"}))
    assert await links.members(due.issue) == due.members
