"""A mapping with routing, set by the command line and over HTTP: the ticket goes where its rule says, and a bad one names its line."""

from __future__ import annotations

import asyncio
import json

import pytest
from click.testing import CliRunner

from tests.api.conftest import ISSUE
from tests.integration.test_cli_commands import cli
from tests.integration.test_lifecycle import INCIDENT, JIRA_ISSUE, WORK_ITEM, run
from worker.cli import root
from worker.machine.stack import FAKE_SECRET, sandbox_destinations

__all__ = ["cli"]  # a fixture
RULE = '[[rule]]\nwhen = {{ severity = ["P1", "P2"], tag = "tl*" }}\n{}\n'
# Of each kind: the job, what a rule sets, and where that is found in the ticket.
KINDS = {
    "servicenow": (INCIDENT, 'assignment_group = "Database"', "assignment_group"),
    "azure_devops": (WORK_ITEM, 'area = "Postgres"', "System.AreaPath"),
    "jira": (JIRA_ISSUE, 'priority = "Lowest"', "priority"),
}
SHOWN = {"azure_devops": "Operations\\Database\\Postgres", "jira": {"name": "Lowest"}}


@pytest.fixture
def set_(api, cli, sandbox, tmp_path):
    """Sets the sandbox's destination of a kind with a mapping, by the surface of that name."""

    async def set_(surface, kind, mapping):
        given = sandbox_destinations(sandbox.url)[kind]
        if surface == "http":
            answer = await api.put(f"/v1/destinations/{kind}", given | {"mapping": mapping, "secret": FAKE_SECRET})
            return answer.status == 200, answer.text
        file = tmp_path / "mapping.toml"
        file.write_text(mapping)
        plain = {name: value for name, value in given.items() if name not in ("kind", "allow_private", "allow_http")}
        each = [word for name, value in plain.items() for word in ("--set", f"{name}={value}")]
        local = ["--allow-http", "--allow-private", "127.0.0.0/8", "--mapping", str(file)]
        command = ["destination", "set", kind, "--kind", kind, *each, *local]
        done = await asyncio.to_thread(CliRunner().invoke, root, ["--json", *command], input=FAKE_SECRET)
        return done.exit_code == 0, done.output

    return set_


@pytest.mark.parametrize("surface", ["cli", "http"])
@pytest.mark.parametrize("kind", KINDS)
async def test_an_issue_goes_where_its_rule_says(api, services, sandbox, set_, surface, kind):
    arguments, setting, field = KINDS[kind]
    assert (await set_(surface, kind, RULE.format(setting)))[0]
    found = {}
    for level in ("P1", "P4"):
        issue = ISSUE | {"id": level, "severity": level}
        accepted = await api.post("/v1/jobs", arguments | {"issue_id": level, "issue": issue})
        assert accepted.status == 202, accepted.text
        ended = await run(services, await services.ledger.require(accepted.json["job_id"]))
        assert ended.receipt, ended.error
        (made,) = [row for row in await sandbox.objects(kind) if row["id"] == ended.receipt.id]
        found[level] = made["fields"].get(field)
    assert found["P1"] not in ("", None, found["P4"])
    assert kind not in SHOWN or found["P1"] == SHOWN[kind]


@pytest.mark.parametrize("surface", ["cli", "http"])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_mapping_that_cant_be_read_is_refused_with_its_line(set_, surface, kind):
    for bad, words in (('[[rule]]\nwhen = { colour = "red" }\n', "line 2"), ("a = [\n", "line")):
        done, said = await set_(surface, kind, bad)
        assert not done
        assert words in json.dumps(said)
