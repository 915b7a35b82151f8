"""The command line over records in doubt and messages that were set aside: `key sign`, `message`, `doctor`."""

from __future__ import annotations

import asyncio
import json

import pytest
import redis

from tests.integration.test_cli_commands import SNOW, cli
from worker.runtime import open_services

__all__ = ["cli"]
PLANTED = "S3cret-" + "planted-99"


@pytest.fixture
def changed(cli, settings):
    """A destination whose address was changed in Redis."""
    cli(*SNOW, stdin=PLANTED)
    client = redis.Redis.from_url(settings.redis_url)
    name = f"{settings.prefix}:destination:snow"
    stored = client.hget(name, "settings").replace(b"acme.example", b"evil.example")
    client.hset(name, "settings", stored)
    client.close()


def records(cli) -> dict:
    checks = json.loads(cli("--json", "doctor", status=1).stdout)["checks"]
    return next(check for check in checks if check["check"] == "records")


@pytest.mark.usefixtures("changed")
def test_doctor_tells_of_a_changed_record_and_key_sign_makes_it_good(cli):
    assert records(cli)["ok"] is False
    assert "changed in Redis" in records(cli)["detail"]
    (doubt,) = cli.json("key", "sign", "--dry-run")["in_doubt"]
    assert doubt["says"] == "servicenow at https://acme.example"
    refused = cli("key", "sign", status=2)
    assert "Nothing was signed" in refused.output
    assert cli.json("key", "sign", "--yes") == {"signed": {"snow": ""}}
    assert records(cli)["ok"] is True
    assert cli.json("key", "sign", "--dry-run") == {"in_doubt": []}
    assert cli.json("destination", "show", "snow")["settings"]["instance_url"].endswith("acme.example")


@pytest.mark.usefixtures("changed")
def test_a_changed_record_lends_its_credential_to_no_new_settings(cli):
    refused = cli.json(*SNOW, "--set", "max_attempts=3", status=1)["error"]
    assert refused["code"] == "record_changed"
    assert PLANTED not in cli.said
    cli(*SNOW, stdin=PLANTED)
    assert records(cli)["ok"] is True


def test_a_changed_key_is_listed_as_refused(cli, settings):
    made = cli.json("apikey", "new", "tool", "--scopes", "submit")
    client = redis.Redis.from_url(settings.redis_url)
    client.hset(f"{settings.prefix}:apikey:{made['id']}", "scopes", "admin")
    client.close()
    assert cli.json("apikey", "list")[0]["changed"] is True
    assert records(cli)["ok"] is False
    assert cli.json("key", "sign", "--yes") == {"signed": {made["id"]: ""}}
    assert cli.json("apikey", "list")[0] | {"changed": False, "scopes": ["submit"]} == cli.json("apikey", "list")[0]


def test_messages_that_were_set_aside_are_listed_opened_and_dropped(cli, settings):
    async def keep():
        async with open_services(settings) as services:
            await services.dead_list.keep(
                PLANTED.encode(), kind="unreadable", words="it is no Celery message", task_id="t-1"
            )

    assert cli.json("message", "list") == []
    asyncio.run(keep())
    (message,) = cli.json("message", "list")
    assert (message["task_id"], message["words"], message["length"]) == ("t-1", "it is no Celery message", len(PLANTED))
    cli("doctor", status=1)
    assert "1 set aside (in all: 1 unreadable)" in cli.said
    assert PLANTED not in cli.said
    assert cli.json("message", "show", message["id"])["text"] == PLANTED
    assert "content.viewed" in cli("audit", "tail").output
    assert cli.json("message", "show", "nothing", status=1)["error"]["code"] == "unknown_message"
    assert "Nothing was dropped" in cli("message", "drop", status=2).output
    assert cli.json("message", "drop", "--yes") == {"dropped": 1}
    assert cli.json("message", "list") == []
