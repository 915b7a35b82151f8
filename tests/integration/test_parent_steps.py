"""A connection test looks at the parent page and the people that a destination's settings name, and writes nothing."""

from __future__ import annotations

import pytest

from tests.integration.page_support import Bench
from tests.integration.test_page_folders import folder
from tests.integration.test_pages import others_page

pytestmark = pytest.mark.usefixtures("destinations")


@pytest.fixture(params=["cloud", "datacenter"])
async def bench(request, services, sandbox, destinations):
    made = Bench(services, sandbox)
    await made.set("confluence", flavor=request.param, space="OPS")
    return made


@pytest.fixture
async def cloud(services, sandbox, destinations):
    made = Bench(services, sandbox)
    await made.set("confluence", space="OPS")
    return made


async def step(bench, name="parent page", **settings):
    """The step of that name in a test with these settings; the test itself has sent no write."""
    await bench.set("confluence", **settings)
    before = len((await bench.sandbox.state())["requests"])
    report = await bench.services.test_destination("confluence", "test")
    assert {row["method"] for row in (await bench.sandbox.state())["requests"][before:]} == {"GET"}
    found = [one for one in report.steps if one.name == name]
    assert report.success is not any(one.ok is False for one in report.steps)
    return found[0] if found else None


async def test_a_parent_by_its_number_is_there_or_not(bench):
    number = await others_page(bench, "Post-mortems")
    there = await step(bench, parent=number)
    assert (there.ok, there.detail) == (True, "Post-mortems")
    gone = await step(bench, parent="999999")
    assert gone.ok is False
    assert "no page 999999" in gone.detail


@pytest.mark.parametrize("status", ["archived", "trashed"])
async def test_a_parent_that_people_put_away_fails_the_test(bench, status):
    number = await others_page(bench, "Post-mortems")
    await bench.control("edit", id=number, status=status)
    assert (await step(bench, parent=number)).ok is False
    by_path = await step(bench, parent="/Post-mortems")
    assert by_path.ok is False
    assert status in by_path.detail


async def test_a_path_is_looked_at_as_far_as_it_is_the_same_for_each_document(bench):
    missing = await step(bench, parent="Post-mortems/{document.year}")
    assert (missing.ok, "the first job creates it; what comes below depends" in missing.detail) == (None, True)
    await others_page(bench, "Post-mortems")
    there = await step(bench, parent="Post-mortems/{document.year}")
    assert (there.ok, there.detail.startswith("Post-mortems is there;")) == (True, True)
    assert (await step(bench, parent="/{document.year}")).ok is None
    assert (await step(bench, parent="/{{Post-mortems}}")).detail.startswith("{Post-mortems} is missing")


async def test_a_title_that_is_taken_elsewhere_fails_the_test(bench):
    await others_page(bench, "2026")
    await others_page(bench, "Post-mortems")
    elsewhere = await step(bench, parent="Post-mortems/2026")
    assert elsewhere.ok is False
    assert "under another parent" in elsewhere.detail


async def test_a_folder_is_a_parent_by_number_and_by_path(cloud):
    number = await folder(cloud, "Post-mortems")
    assert (await step(cloud, parent=number)).detail == "Post-mortems"
    assert (await step(cloud, parent="/Post-mortems")).ok is True


async def test_without_a_parent_or_people_there_is_no_such_step(bench):
    assert await step(bench) is None
    assert await step(bench, "readers, editors and owner") is None


async def test_people_whom_nobody_knows_fail_the_test(bench):
    known = await step(bench, "readers, editors and owner", editors=("group:security",))
    assert known.ok is True
    unknown = await step(bench, "readers, editors and owner", readers=("nobody.here",))
    assert unknown.ok is False
    assert "nobody.here" in unknown.detail
