"""Readers, editors, owner and status of a page: set once for each value, never open in between, and left to people then."""

from __future__ import annotations

import warnings

import pytest
from pydantic import ValidationError

from tasks.destinations.confluence.cloud import CloudV2
from tasks.destinations.confluence.settings import ConfluenceSettings
from tasks.model import JobState, parse_command
from tests.integration.page_support import DOCUMENT, PUBLISH, TEXT, Bench
from tests.integration.test_blame import deny
from worker.api.inputs import ConfluenceIn

pytestmark = pytest.mark.usefixtures("destinations")
READERS = ("group:incident-team", "beth.anglin")
SET = {"readers": READERS, "editors": ("group:security",)}


@pytest.fixture(params=["cloud", "datacenter"])
async def bench(request, services, sandbox, destinations):
    made = Bench(services, sandbox)
    names = {"cloud": "Beth Anglin", "datacenter": "beth.anglin"}
    await made.set("confluence", flavor=request.param, **SET | {"readers": (READERS[0], names[request.param])})
    await made.put()
    return made


@pytest.fixture
async def cloud(services, sandbox, destinations):
    made = Bench(services, sandbox)
    await made.put()
    return made


def groups(page, operation):
    return page["limits"][operation]["group"]


async def paths(bench) -> list[tuple[str, str]]:
    return [(row["method"], row["path"]) for row in (await bench.sandbox.state())["requests"]]


async def test_a_page_is_limited_to_its_readers_and_editors_and_our_own_account(bench):
    ended = await bench.publish()
    page = await bench.page()
    assert (ended.receipt.change, page["title"]) == ("created", DOCUMENT.title)
    assert set(groups(page, "read")) == {"incident-team", "security"}
    assert groups(page, "update") == ["security"]
    assert {"sandbox", "557058:sandbox"} & set(page["limits"]["read"]["user"])
    assert {"sandbox", "557058:sandbox"} & set(page["limits"]["update"]["user"])
    assert len(page["limits"]["read"]["user"]) == 2
    assert "readers: group:incident-team" in ended.receipt.notes[0]


async def test_at_no_moment_can_others_read_a_word_of_it(bench):
    """Every request of the delivery is the last one of an attempt once; then another attempt finishes the page."""
    for number in range(1, 30):
        await bench.put(id=f"d{number}", issue_id=None, title=f"The pool {number}")
        job = await bench.submit(doc_id=f"d{number}")
        killed = await bench.attempt(job, kill_after=number)
        await nothing_is_open(bench)
        if getattr(killed, "state", None) is JobState.DELIVERED:
            return
        assert (await bench.run(job)).state is JobState.DELIVERED
        found = [page for page in await bench.sandbox.objects("confluence") if page["title"] == f"The pool {number}"]
        assert len(found) == 1
        assert len(await bench.sandbox.objects("confluence")) == number
        assert set(groups(found[0], "read")) == {"incident-team", "security"}
    pytest.fail("the delivery never came to its end")


async def nothing_is_open(bench):
    """No page that everybody may read says a word of a document."""
    for page in await bench.sandbox.objects("confluence"):
        assert "read" in page["limits"] or "pool" not in page["title"] + page["body"]


@pytest.mark.parametrize("fault", ["commit_then_drop", "commit_then_500", "drop"])
async def test_a_lost_answer_to_the_create_leaves_one_limited_page(bench, fault):
    await bench.sandbox.fault(vendor="confluence", fault=fault, operation="create")
    assert (await bench.publish()).state is JobState.DELIVERED
    page = await bench.page()
    assert (page["title"], groups(page, "update")) == (DOCUMENT.title, ["security"])


async def test_the_same_again_sets_nothing_and_what_people_set_since_stays(bench):
    await bench.publish()
    page = await bench.page()
    before = len([path for method, path in await paths(bench) if method == "PUT" and path.endswith("/restriction")])
    await bench.put(content_md=TEXT + "\nMore.\n")
    ended = await bench.publish()
    after = len([path for method, path in await paths(bench) if method == "PUT" and path.endswith("/restriction")])
    assert (ended.receipt.change, ended.receipt.notes, after) == ("updated", (), before)
    assert (await bench.page())["limits"] == page["limits"]


async def test_other_readers_replace_those_that_were_set_before(bench):
    await bench.publish()
    await bench.set("confluence", readers=("group:security",))
    ended = await bench.publish()
    assert ended.receipt.change == "updated"
    assert groups(await bench.page(), "read") == ["security"]


async def test_other_readers_leave_the_editors_whom_people_chose_since(bench):
    await bench.publish()
    page = await bench.page()
    theirs = {**page["limits"], "update": {"user": page["limits"]["update"]["user"], "group": ["incident-team"]}}
    await limited_by_people(bench, page["id"], theirs)
    await bench.set("confluence", readers=("group:incident-team",))
    await bench.publish()
    assert groups(await bench.page(), "update") == ["incident-team"]


async def limited_by_people(bench, page, limits) -> None:
    """Set restrictions as a person would, with the ids that the sandbox shows them by."""
    cloud = any(":" in user for limit in limits.values() for user in limit["user"])
    key, url = ("accountId", "/wiki/rest/api") if cloud else ("userKey", "/rest/experimental")
    body = [
        {
            "operation": operation,
            "restrictions": {
                "user": [{"type": "known", key: user} for user in limit["user"]],
                "group": [{"type": "group", "name": name} for name in limit["group"]],
            },
        }
        for operation, limit in limits.items()
    ]
    auth = {"Authorization": "Bearer fake-for-the-sandbox"}
    where = f"{bench.sandbox.url}{url}/content/{page}/restriction"
    async with bench.sandbox.session.put(where, json=body, headers=auth) as answer:
        assert answer.status == 200, await answer.text()


@pytest.mark.parametrize(("policy", "state"), [("keep", JobState.DELIVERED), ("hold", JobState.HELD)])
async def test_a_page_that_was_edited_gets_its_new_readers_all_the_same(bench, policy, state):
    """Its text stays as it is. Who may read it is no matter of its text, and is set once."""
    await bench.publish()
    await bench.control("edit", id=(await bench.page())["id"], body="<p>Somebody's words.</p>")
    await bench.set("confluence", readers=("group:security",), on_drift=policy)
    await bench.put(content_md=TEXT + "\nMore.\n")
    ended = await bench.publish()
    page = await bench.page()
    assert (ended.state, groups(page, "read"), page["body"]) == (state, ["security"], "<p>Somebody's words.</p>")
    sent = len(await paths(bench))
    await bench.put(content_md=TEXT + "\nEven more.\n")
    await bench.publish()
    assert not [path for method, path in (await paths(bench))[sent:] if method == "PUT"]


async def test_readers_that_are_taken_out_of_the_settings_open_no_page(bench):
    """Also where the editors are set anew, which sets all restrictions at once."""
    await bench.publish()
    limits = (await bench.page())["limits"]
    await bench.set("confluence", readers=(), editors=("group:incident-team",))
    await bench.publish()
    page = await bench.page()
    assert (page["limits"]["read"], groups(page, "update")) == (limits["read"], ["incident-team"])


async def test_readers_alone_leave_editing_to_whoever_may_read(cloud):
    """Also after a cut: a page that is created for our own account alone doesn't stay ours alone to edit."""
    await cloud.set("confluence", readers=("group:incident-team",))
    for number in range(1, 30):
        await cloud.put(id=f"d{number}", issue_id=None, title=f"The pool {number}")
        job = await cloud.submit(doc_id=f"d{number}")
        killed = await cloud.attempt(job, kill_after=number)
        if getattr(killed, "state", None) is not JobState.DELIVERED:
            assert (await cloud.run(job)).state is JobState.DELIVERED
        found = next(row for row in await cloud.sandbox.objects("confluence") if row["title"] == f"The pool {number}")
        assert groups(found, "read") == ["incident-team"]
        assert "update" not in found["limits"]
        if getattr(killed, "state", None) is JobState.DELIVERED:
            return
    pytest.fail("the delivery never came to its end")


@pytest.mark.parametrize("flavor", ["cloud", "datacenter"])
async def test_nobody_of_that_name_ends_the_job_before_there_is_a_page(cloud, flavor):
    await cloud.set("confluence", flavor=flavor, readers=("nobody.here",))
    ended = await cloud.publish()
    assert (ended.state, ended.error.code) == (JobState.DEAD, "unknown_person")
    assert "nobody.here" in str(ended.error)
    assert await cloud.sandbox.objects("confluence") == []


async def test_a_group_that_confluence_doesnt_know_ends_the_job_in_its_words_and_shows_nobody_anything(bench):
    await bench.set("confluence", readers=("group:no-such-team",))
    ended = await bench.publish()
    assert (ended.state, ended.error.code) == (JobState.DEAD, "access_refused")
    assert "No group found: no-such-team" in str(ended.error)
    await nothing_is_open(bench)
    await bench.set("confluence", readers=("group:security",))
    assert (await bench.publish()).state is JobState.DELIVERED
    assert (await bench.page())["title"] == DOCUMENT.title


async def test_an_account_that_may_not_limit_pages_is_told_and_shows_nobody_anything(bench):
    await deny(bench.sandbox, "confluence", "OPS", "restrict")
    ended = await bench.publish()
    assert (ended.state, ended.error.code) == (JobState.DEAD, "not_permitted")
    await nothing_is_open(bench)
    await deny(bench.sandbox, "confluence", "OPS")
    assert (await bench.publish()).state is JobState.DELIVERED
    assert groups(await bench.page(), "update") == ["security"]


async def test_a_taken_title_is_refused_before_a_page_is_made_that_says_nothing(bench):
    await bench.set("confluence", readers=())
    await bench.publish()
    await bench.set("confluence", readers=("group:security",))
    await bench.put(id="doc-2", issue_id="inc-2")
    ended = await bench.publish(doc_id="doc-2")
    assert (ended.state, ended.error.code) == (JobState.DEAD, "title_taken")
    assert len(await bench.sandbox.objects("confluence")) == 1


@pytest.mark.parametrize("owner", ["Beth Anglin", "beth.anglin@example.com", "ACCOUNT"])
async def test_an_owner_is_found_by_name_address_or_account_and_set_once(cloud, owner):
    account = await account_of(cloud, "Beth Anglin")
    await cloud.set("confluence", owner=account if owner == "ACCOUNT" else owner)
    ended = await cloud.publish()
    assert (await cloud.page())["owner"] == account
    assert ended.receipt.change == "created"
    version = (await cloud.page())["version"]
    assert (await cloud.publish()).receipt.change == "unchanged"
    assert (await cloud.page())["version"] == version


async def account_of(bench, name) -> str:
    params = {"cql": f'user.fullname ~ "{name}"'}
    auth = {"Authorization": "Bearer fake-for-the-sandbox"}
    url = f"{bench.sandbox.url}/wiki/rest/api/search/user"
    async with bench.sandbox.session.get(url, params=params, headers=auth) as answer:
        return str((await answer.json())["results"][0]["user"]["accountId"])


async def test_an_address_that_its_profile_hides_is_said_to_need_the_account_id(cloud):
    await cloud.set("confluence", owner="fred.luddy@example.com")
    ended = await cloud.publish()
    assert (ended.state, ended.error.code) == (JobState.DEAD, "unknown_person")
    assert "account id" in ended.error.advice


async def test_a_page_that_is_there_gets_an_owner_and_a_later_one_of_people_stays(cloud):
    await cloud.publish()
    await cloud.set("confluence", owner="Beth Anglin")
    assert (await cloud.publish()).receipt.notes == ("owner: Beth Anglin",)
    assert (await cloud.page())["owner"] == await account_of(cloud, "Beth Anglin")
    await cloud.put(content_md=TEXT + "\nMore.\n")
    sent = len(await paths(cloud))
    assert (await cloud.publish()).receipt.notes == ()
    assert not [path for _, path in (await paths(cloud))[sent:] if "search/user" in path]


async def test_a_new_owner_may_read_and_edit_a_page_that_was_limited_before(cloud):
    await cloud.set("confluence", **SET | {"readers": ("group:incident-team",), "owner": "Abel Tuter"})
    await cloud.publish()
    await cloud.set("confluence", owner="Beth Anglin")
    await cloud.publish()
    page, account = await cloud.page(), await account_of(cloud, "Beth Anglin")
    assert page["owner"] == account
    assert account in page["limits"]["read"]["user"]
    assert account in page["limits"]["update"]["user"]


async def test_a_status_is_set_once_and_is_no_edit_of_people(cloud):
    """Setting it makes a version; the next content is written all the same."""
    await cloud.set("confluence", page_status="ready for review")
    ended = await cloud.publish()
    page = await cloud.page()
    assert (page["state"], page["version"], ended.receipt.version) == ("Ready for review", 2, 2)
    assert ended.receipt.notes == ("status: ready for review",)
    assert (await cloud.publish()).receipt.change == "unchanged"
    await cloud.put(content_md=TEXT + "\nMore.\n")
    assert (await cloud.publish()).receipt.change == "updated"
    page = await cloud.page()
    assert (page["state"], page["version"]) == ("Ready for review", 3)


async def test_a_status_of_ones_own_is_made_and_used_again(cloud):
    await cloud.set("confluence", page_status="Under review")
    await cloud.publish()
    await cloud.put(id="doc-2", issue_id="inc-2", title="Another")
    await cloud.publish(doc_id="doc-2")
    assert {page["state"] for page in await cloud.sandbox.objects("confluence")} == {"Under review"}


async def test_an_edit_beside_a_status_that_is_there_already_is_never_taken_for_ours(cloud, monkeypatch):
    """Such a status makes no version: the next one is of whoever edited the page meanwhile."""
    await cloud.set("confluence", page_status="In progress")
    await cloud.publish()
    set_status = CloudV2.set_status

    async def edited_first(api, page_id, name):
        await set_status(api, page_id, name)
        await cloud.control("edit", id=page_id, body="<p>Somebody's words.</p>")

    monkeypatch.setattr(CloudV2, "set_status", edited_first)
    await cloud.set("confluence", page_status="IN PROGRESS")
    await cloud.publish()
    await cloud.put(content_md=TEXT + "\nMore.\n")
    ended = await cloud.publish()
    assert (ended.state, ended.error.code) == (JobState.HELD, "drift")
    assert "Somebody's words" in (await cloud.page())["body"]


async def test_a_status_that_the_space_doesnt_permit_is_refused_with_those_it_offers(cloud):
    await deny(cloud.sandbox, "confluence", "*", "custom_status")
    await cloud.set("confluence", page_status="Under review")
    ended = await cloud.publish()
    assert (ended.state, ended.error.code) == (JobState.DEAD, "status_refused")
    assert "Rough draft, In progress, Ready for review" in ended.error.advice
    assert ended.receipt.id == (await cloud.page())["id"]


async def test_killed_after_any_request_the_next_attempt_finishes_owner_and_status(cloud):
    """With other content each time, so that what a dead attempt left is never taken for people's edit."""
    await cloud.publish()
    names = ("Rough draft", "In progress")
    for number in range(1, 40):
        await cloud.set("confluence", page_status=names[number % 2], owner=("Beth Anglin", "Abel Tuter")[number % 2])
        await cloud.put(content_md=f"{TEXT}\nNumber {number}.\n")
        killed = await cloud.attempt(await cloud.submit(), kill_after=number)
        if getattr(killed, "state", None) is JobState.DELIVERED:
            return
        await cloud.put(content_md=f"{TEXT}\nNumber {number}, again.\n")
        assert (await cloud.publish()).state is JobState.DELIVERED
        page = await cloud.page()
        assert page["state"] == names[number % 2]
        assert f"Number {number}, again." in page["body"]
    pytest.fail("the delivery never came to its end")


async def test_a_dry_run_says_what_would_be_set_and_sets_nothing(bench):
    seen = await bench.services.preview(parse_command(PUBLISH))
    assert "editors: group:security" in " ".join(seen.notes)
    assert await bench.sandbox.objects("confluence") == []
    await bench.publish()
    assert "editors" not in " ".join((await bench.services.preview(parse_command(PUBLISH))).notes)


SITE = {"base_url": "https://wiki.example.com", "flavor": "datacenter"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({**SITE, "owner": "beth"}, "Data Center has no owners of pages"),
        ({**SITE, "page_status": "Rough draft"}, "Data Center has no page statuses"),
        ({**SITE, "missing_parents": "folders"}, "Data Center has none"),
        ({**SITE, "base_url": "https://x.atlassian.net/wiki", "readers": "group:a"}, "set `flavor` to cloud"),
        ({"base_url": SITE["base_url"], "owner": "group:a"}, "a group can't own a page"),
        ({"base_url": SITE["base_url"], "page_status": "x" * 21}, "at most 20 characters"),
        ({"base_url": SITE["base_url"], "readers": "group:"}, "names no group"),
    ],
)
def test_what_confluence_cant_do_is_refused_when_it_is_set(given, words):
    with pytest.raises(ValidationError, match=words):
        ConfluenceSettings.model_validate(given)


def test_the_apis_own_form_of_readers_becomes_settings_without_a_warning():
    given = {
        "kind": "confluence",
        "base_url": SITE["base_url"],
        "readers": ["group:sre", "group:sre"],
        "labels": ["rca"],
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made = ConfluenceIn.model_validate(given).settings()
    assert made.readers == ("group:sre",)


def test_readers_are_written_with_commas_on_a_command_line():
    made = ConfluenceSettings.model_validate(
        {"base_url": SITE["base_url"], "readers": "group:sre, Beth Anglin,group:sre"}
    )
    assert made.readers == ("group:sre", "Beth Anglin")
