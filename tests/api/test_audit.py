"""The audit over HTTP: searched page by page, and verified in the background with its progress."""

from __future__ import annotations

import asyncio

import pytest

from tests.api.conftest import PUBLISH
from worker.rounds.checkpoints import keep_if_due

pytestmark = pytest.mark.usefixtures("destinations")


@pytest.fixture
def gate(api, monkeypatch):
    """Holds a verification after its first entries, until it is set."""
    opened, whole = asyncio.Event(), api.services.audit.verify

    async def slow(*args, tell, **more):
        tell(1, 10)
        await opened.wait()
        return await whole(*args, tell=tell, **more)

    monkeypatch.setattr(api.services.audit, "verify", slow)
    return opened


async def test_a_long_verification_is_followed_by_its_progress(api, gate):
    """No request waits for it: 202 says how far it is and where to ask on, then there is the report."""
    began = await api.post("/v1/audit/verify")
    assert began.status == 202
    where = began.headers["Location"]
    assert where == f"/v1/audit/verify?run={began.json['run']}"
    asked = await api.get(f"{where}&wait=0")
    assert (asked.status, asked.json) == (202, {"run": began.json["run"], "entries": 1, "of": 10})
    assert (await api.get("/v1/audit/verify?wait=0")).json["run"] == began.json["run"], "one runs at a time"
    gate.set()
    done = await api.get(f"{where}&wait=30")
    assert (done.status, done.json["verdict"], done.json["ok"]) == (200, "complete", True)
    assert (await api.get(where)).json == done.json, "and again"


async def test_a_verification_that_nobody_began_is_not_found(api):
    """Runs are remembered by the process that made them, for a while."""
    assert (await api.get("/v1/audit/verify?run=none")).problem == "not_found"


async def test_a_verification_that_fails_says_why(api, settings):
    """A file among the kept checkpoints that is none: told, not passed over."""
    await api.put("/v1/documents/d", {"title": "t", "content_md": "x"})
    await api.services.keep_checkpoint()
    file, *_ = (settings.data / "checkpoints").rglob("*.json")
    file.write_text('{"heads": "none"}')
    assert (await api.get("/v1/audit/verify")).problem == "bad_checkpoint"


async def test_the_audit_is_searched(api):
    """By event, destination, a key's name, a document; `next` goes on where the page ended."""
    submitter = await api.with_scopes("submit", "read")
    job = (await submitter.post("/v1/jobs", PUBLISH)).json["job_id"]
    for query in (
        f"job={job}",
        "event=job.submitted",
        "event=job&destination=confluence",
        "event=job.submitted&actor=test",
        "event=job.submitted&about=doc-1",
    ):
        page = (await api.get(f"/v1/audit?{query}")).json
        assert [entry["data"]["job"] for entry in page["entries"]] == [job], query
    assert (await api.get("/v1/audit?event=job.submitted&destination=servicenow")).json["entries"] == []
    at_end = (await api.get("/v1/audit?event=job.dead")).json
    assert at_end["entries"] == []
    assert (await api.get(f"/v1/audit?event=job.dead&after={at_end['next']}")).json["next"] == at_end["next"]


async def test_the_api_keeps_checkpoints_by_itself(api, settings):
    """An instance whose workers are elsewhere has evidence beside its console as well."""
    await api.put("/v1/documents/d", {"title": "t", "content_md": "x"})

    await keep_if_due(api.services)
    assert list((settings.data / "checkpoints").rglob("*.json"))
