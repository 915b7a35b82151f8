"""Areas and iterations of Azure DevOps by their names: found in the project's trees, or told with what there is."""

from __future__ import annotations

import pytest

from tasks.destinations.azure_devops.trees import path_of, paths, shown
from tasks.errors import Permanent
from tasks.model import JobState
from tests.integration.test_following import configured
from tests.integration.test_lifecycle import WORK_ITEM, run, submit

integration = pytest.mark.usefixtures("destinations", "content")


async def filed(services):
    return await run(services, await submit(services, WORK_ITEM))


async def fields(sandbox):
    (made,) = await sandbox.objects("azure_devops")
    return made["fields"]


@integration
@pytest.mark.parametrize("area", ["postgres", "Database\\\\Postgres", "Operations\\\\Database\\\\Postgres"])
async def test_a_name_the_end_of_a_path_or_a_whole_path_means_the_area(services, sandbox, area):
    mapping = f'area = "{area}"\niteration = "Sprint 2"'
    await configured(services, sandbox, "azure_devops", mapping=mapping)
    ended = await filed(services)
    held = await fields(sandbox)
    assert held["System.AreaPath"] == "Operations\\Database\\Postgres"
    assert held["System.IterationPath"] == "Operations\\Release 1\\Sprint 2"
    assert ended.receipt.warnings == ()
    assert (await filed(services)).receipt.change == "unchanged"


@integration
@pytest.mark.parametrize(
    ("area", "code", "words"),
    [
        ("Storage", "unknown_reference", "it has: Operations, Operations\\Database, Operations\\Database\\Postgres"),
        ("Tools", "ambiguous_reference", "Operations\\Database\\Tools, Operations\\Web\\Tools"),
        ("Operations\\\\Storage", "unknown_reference", "The project has: Operations, Operations\\Database"),
    ],
)
async def test_an_area_that_none_or_several_are_called_ends_the_job_with_those_there_are(
    services, sandbox, area, code, words
):
    """With `warn` the field is left out instead."""
    await configured(services, sandbox, "azure_devops", mapping=f'area = "{area}"')
    ended = await filed(services)
    assert (ended.state, ended.error.code) == (JobState.DEAD, code)
    assert words in f"{ended.error.message} {ended.error.advice}"
    await configured(services, sandbox, "azure_devops", mapping=f'area = "{area}"', unknown_reference="warn")
    ended = await filed(services)
    assert (ended.state, len(ended.receipt.warnings)) == (JobState.DELIVERED, 1)
    assert (await fields(sandbox))["System.AreaPath"] == "Operations"


def test_a_tree_is_read_as_its_paths_and_a_path_from_the_top_goes_before_a_name_deeper_down():
    tree = {"name": "P", "children": [{"name": "A", "children": [{"name": "B"}]}, {"name": "B"}]}
    assert paths(tree) == ["P", "P\\A", "P\\A\\B", "P\\B"]
    assert path_of("P", "System.AreaPath", "b", paths(tree)) == "P\\B"
    with pytest.raises(Permanent, match="it has: P"):
        path_of("P", "System.AreaPath", "C", paths(tree))


def test_a_long_list_is_cut_with_how_many_more_there_are():
    assert shown([f"P\\{n}" for n in range(32)]).endswith("P\\29 and 2 more")
