"""Every request that we make is one that the vendor's own description knows, or stands in a list of those that it leaves out."""

from __future__ import annotations

import pytest

from tasks.destinations import parse_settings
from tasks.following import follow
from tasks.http.exchange import Http
from tasks.http.message import Request
from tasks.model import Issue, JobState
from tests.contract.described import faults_of, operation_of, path_of
from tests.contract.sandbox_support import contract
from tests.integration.page_support import INCIDENT, ISSUE, PUBLISH, WORK_ITEM, Bench
from worker.machine.stack import FAKE_SECRET, sandbox_destinations


@pytest.fixture
def asked(monkeypatch):
    """All requests made, whatever made them."""
    found, exchange = [], Http._exchange

    async def noted(self, request, *more):
        found.append(request)
        return await exchange(self, request, *more)

    monkeypatch.setattr(Http, "_exchange", noted)
    return found


# What we ask beyond the cut-down descriptions beside the checkout. Of Jira there is none.
BEYOND: dict[str, set[str]] = {
    "confluence": {
        "DELETE /content/{id}/label",
        "GET /folders/{id}/direct-children",
        "GET /pages/{id}/direct-children",
        "GET /search",
    },
    "datacenter": {
        "DELETE /content/{id}/label",
        "GET /content/{id}/property/{key}",
        "GET /space",
        "PUT /content/{id}/property/{key}",
    },
    "servicenow": {"GET /attachment", "POST /attachment/file"},
    "azure_devops": {"GET /connectionData", "GET /wit/classificationnodes/{tree}", "GET /wit/workitems/{id}/updates"},
}
# What each vendor's description is of: the file, what stands before our paths, and what our paths begin with there.
DESCRIBED = {
    "confluence": (("confluence-v2-openapi.json", "/wiki/api/v2", ""), ("confluence-v1-swagger-2021-11.json", "", "")),
    "datacenter": (("confluence-v1-swagger-2021-11.json", "", "/wiki"),),
    "servicenow": (("servicenow-table-openapi.json", "", ""),),
    "azure_devops": (("ado-wit-7.1.json", "", "/contoso"), ("ado-core-7.1.json", "", "/contoso")),
}
MAPPINGS = {
    "servicenow": 'assignment_group = "Database"\ncaller = "Beth Anglin"\nci = "payments-db"\n[fields]\nwork_notes = "See the RCA"',
    "azure_devops": 'area = "Web"\niteration = "Release 1"\nstate = "Active"\nassigned_to = "Beth Anglin"\ntags = ["db"]\n'
    '[fields]\n"System.History" = "See the RCA"',
}
COMMANDS = {"confluence": PUBLISH, "datacenter": PUBLISH, "servicenow": INCIDENT, "azure_devops": WORK_ITEM}


async def everything(bench, kind, vendor):
    """A test, a dry run, a create whose answer is lost, an update, a repeat, links, and a look at what people made of it."""
    services = bench.services
    await bench.put()
    await services.contents.put_issue(ISSUE, "test")
    await services.test_destination(vendor, "test")
    await bench.sandbox.fault(vendor=vendor, fault="commit_then_drop", operation="create")
    ended = [await bench.run(await bench.submit(COMMANDS[kind]))]
    await bench.put(content_md="# RCA: pool exhausted\n\nOther words.", title="RCA: the pool")
    await services.contents.put_issue(Issue.model_validate(ISSUE.model_dump() | {"description": "Other words"}), "test")
    ended += [await bench.run(await bench.submit(COMMANDS[kind])) for _ in range(2)]
    assert [end.state for end in ended] == [JobState.DELIVERED] * 3
    if kind in MAPPINGS:
        await follow(services.core, await services.destinations.require(vendor))


@pytest.mark.usefixtures("destinations")
@pytest.mark.parametrize("kind", list(DESCRIBED))
async def test_each_request_is_one_that_the_vendors_description_knows(services, sandbox, asked, kind):
    vendor = "confluence" if kind == "datacenter" else kind
    bench = Bench(services, sandbox)
    own = {"mapping": MAPPINGS[kind], "attach_document": "always", "follow_state": True} if kind in MAPPINGS else {}
    own |= {"flavor": kind, "email": None} if kind == "datacenter" else {}
    own |= {"parent": "Post-mortems/2026"} if vendor == "confluence" else {}
    given = sandbox_destinations(sandbox.url)[vendor] | {"write_lag_s": 0.2} | own
    await services.destinations.set(vendor, parse_settings(given), FAKE_SECRET, "test")
    await everything(bench, kind, vendor)
    descriptions = [(contract(file), *more) for file, *more in DESCRIBED[kind]]
    known, unknown = set(), set()
    for request in asked:
        for description, before, prefix in descriptions:
            path = prefix + path_of(request).removeprefix(before)
            if found := operation_of(description, request.method, path):
                assert list(faults_of(description, found[1], request)) == [], f"{request.method} {request.path}"
                known.add(request.operation)
                break
        else:
            unknown.add(request.operation)
    assert unknown == BEYOND[kind]
    assert len(known) >= 7


PATCH = {"Content-Type": "application/json-patch+json"}
VERSION = {"api-version": "7.1"}
ITEMS, PAGES = "/contoso/P/_apis/wit/workitems/$Bug", "/pages"


@pytest.mark.parametrize(
    ("file", "method", "path", "more", "words"),
    [
        ("confluence-v2-openapi.json", "GET", PAGES, {"params": {"titel": "x"}}, "no query parameter titel"),
        ("confluence-v2-openapi.json", "GET", PAGES, {"params": {"limit": "many"}}, "limit=many is not"),
        ("confluence-v2-openapi.json", "POST", PAGES, {"json": {"title": "x"}}, "'spaceId' is a required property"),
        ("confluence-v2-openapi.json", "POST", PAGES, {"body": b"x"}, "the body is of no kind"),
        ("ado-wit-7.1.json", "POST", ITEMS, {"headers": PATCH, "body": b"[{}]"}, "api-version is missing"),
        ("ado-wit-7.1.json", "POST", ITEMS, {"params": VERSION}, "a body is missing"),
        ("ado-wit-7.1.json", "POST", ITEMS, {"params": VERSION, "json": []}, "the body is application/json, and not"),
        (
            "ado-wit-7.1.json",
            "POST",
            ITEMS,
            {"params": VERSION, "headers": PATCH, "body": b'[{"op": "put", "path": "/x"}]'},
            "'put' is not one of",
        ),
    ],
)
def test_a_request_that_the_description_is_against_is_found(file, method, path, more, words):
    description, request = contract(file), Request(method, path, path, **more)
    _, operation = operation_of(description, method, path)
    assert any(words in fault for fault in faults_of(description, operation, request))
