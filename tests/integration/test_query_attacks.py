"""What a producer writes widens no query and reaches no path of a patch: attacks 9 and 10 of docs/threat-model.md."""

from __future__ import annotations

import pytest

from tasks import lifecycle
from tasks.errors import Refused
from tasks.model import Issue, JobState, parse_command
from tests.integration.test_lifecycle import INCIDENT, WORK_ITEM

pytestmark = pytest.mark.usefixtures("destinations")
WIDER = "x^ORactive=true^ORDERBYnumber"


async def test_query_operators_in_an_id_and_a_title_find_no_other_incident(services, sandbox):
    """The second issue's look-ups and its update meet its own incident only."""
    titles = []
    for issue_id, text in (("first", "a"), (WIDER, "a"), (WIDER, "b")):
        issue = Issue(id=issue_id, title=issue_id, description=text)
        command = parse_command(INCIDENT | {"issue_id": issue_id})
        job = await services.submit(command, actor="test", issue=issue)
        assert (await lifecycle.attempt(services.core, job.id)).state is JobState.DELIVERED
        titles.append((await sandbox.objects("servicenow"))[0])
    assert titles[0] == titles[1] == titles[2], "the first incident was never touched"
    assert len(await sandbox.objects("servicenow")) == 2


@pytest.mark.parametrize("name", ["System.Title/../../relations/-", "a~1b", "/fields/System.State"])
async def test_a_field_whose_name_is_a_path_changes_nothing(services, sandbox, name):
    """It is refused when it is submitted, or ends the job before anything is written."""
    command = WORK_ITEM | {"config": {"fields": {name: "x"}}}
    try:
        job = await services.submit(parse_command(command), actor="test", issue=Issue(id="inc-1", title="t"))
        assert (await lifecycle.attempt(services.core, job.id)).state is JobState.DEAD
    except Refused:
        pass
    assert await sandbox.objects("azure_devops") == []
