"""What people do with each account of Redis, in one round."""

from __future__ import annotations

import asyncio
import re

from aiohttp import CookieJar
from aiohttp.test_utils import TestClient, TestServer
from celery import Celery, chain, chord, group

from tasks.model import Issue
from tests.conftest import until
from tests.integration.conftest import HTML
from worker.api.app import build
from worker.runtime import Services


def plain_client(url: str) -> Celery:
    """Somebody's Celery client with that account."""
    return Celery("somebody", broker=url, backend=url, set_as_current=False)


async def all_that_producers_may_send(services: Services, plain: Celery) -> None:
    """Jobs of each kind of ticket, and what Celery hangs on them, each with its result."""
    await services.contents.put_issue(Issue(id="i1", title="An outage", description="words"), "test")
    given = {"kwargs": {"issue_id": "i1"}, "immutable": True}
    incident, ticket = (plain.signature(name, **given) for name in ("create_servicenow_incident", "create_jira_issue"))
    item = plain.signature("create_azuredevops_workitem", **given)
    missing = plain.signature("create_jira_issue", kwargs={"issue_id": "nothing"}, immutable=True)

    def sent() -> None:
        assert incident.apply_async(link=ticket).get(timeout=40)["id"]
        assert len(group(incident, item).apply_async().get(timeout=40)) == 2
        assert chain(incident, item).apply_async().get(timeout=40)["id"]
        assert chord(group(incident, item), ticket).apply_async().get(timeout=40)["id"]
        assert "nothing" in str(missing.apply_async(link_error=ticket).get(timeout=40, propagate=False))

    await asyncio.to_thread(sent)


async def used_by_somebody(services: Services) -> None:
    """The console's pages, a search of several words, an export, and the dead jobs sent again."""
    _, key = await services.access.create("boss", ["admin"], None, "test")
    pages = (
        "/",
        "/jobs?q=title+body",
        "/jobs?state=delivered&q=title+s3cret",
        "/audit",
        "/audit/export.jsonl",
        "/workers",
    )
    async with TestClient(TestServer(build(services)), cookie_jar=CookieJar(unsafe=True), headers=HTML) as browser:
        assert (await browser.post("/login", data={"key": "wrong"})).status == 401
        answer = await browser.post("/login", data={"key": key})
        form = {"csrf": re.search(r'name="csrf" value="([0-9a-f]{64})"', await answer.text())[1]}
        for path in (*pages, "/palette?q=title", "/settings", "/settings/keys", "/settings/notifications", "/metrics"):
            assert (await browser.get(path)).status == 200, path
        again = await browser.post("/bulk", data={**form, "verb": "retry", "state": "dead"})
        assert again.status == 200, await again.text()

        async def none_is_dead():
            return (await services.ledger.counts())["dead"] == 0

        await until(none_is_dead, what="the dead jobs' way back")
        assert (await browser.post("/audit/verify", data=form)).status < 400
        assert (await browser.post("/logout", data=form)).status == 200
        assert (await browser.get("/jobs", allow_redirects=False)).status == 303
