"""Faults of a sandbox that runs, by command: put in force, shown, ended, and told where there is none."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.integration.test_cli_commands import cli
from tests.integration.test_lifecycle import INCIDENT, run, submit
from worker.sandbox.faults.spec import NAMES

__all__ = ["cli"]  # the fixture


@pytest.fixture
def fault(cli, sandbox):
    """`afterword sandbox fault …` on the running sandbox."""

    async def fault(*arguments, status=0):
        return await asyncio.to_thread(cli.json, "sandbox", "fault", *arguments, "--url", sandbox.url, status=status)

    return fault


async def test_every_fault_is_put_in_force_by_name_and_all_are_ended(fault):
    for name in NAMES:
        shown = await fault("--clear", name)
        assert [row["fault"] for row in shown] == [name]
    assert await fault("--clear") == []


@pytest.mark.usefixtures("destinations", "content")
async def test_a_fault_by_command_meets_the_next_request(services, fault):
    """As JSON it says which; what is left of it is shown."""
    given = {"fault": "status", "status": 502, "vendor": "servicenow", "operation": "create", "times": 2}
    assert [row["left"] for row in await fault(json.dumps(given))] == [2]
    ended = await run(services, await submit(services, INCIDENT))
    assert ended.state == "delivered"
    assert await fault() == []


async def test_a_misspelt_fault_and_a_sandbox_that_isnt_there_are_told(cli, fault):
    assert "must be 'commit_then_drop'" in (await fault("thunder", status=2))["error"]["message"]
    assert cli.json("sandbox", "fault", status=1)["error"]["code"] == "no_sandbox"
    away = cli.json("sandbox", "fault", "--url", "http://127.0.0.1:9", status=1)["error"]
    assert (away["code"], "127.0.0.1:9" in away["message"]) == ("no_sandbox", True)
