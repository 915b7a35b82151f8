"""`afterword session`: who is signed in at the console, and their end at once."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT, environment
from worker.console.sessions import Sessions
from worker.signin.policy import Person, sign_in_policy


@pytest.fixture
def afterword(settings):
    """The command as people run it."""

    def run(*arguments) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "worker", "session", *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=environment(settings), capture_output=True, text=True, timeout=100, check=False
        )

    return run


@pytest.fixture
def policy(settings):
    """A console that people sign in at."""
    given = {"oidc_issuer": "https://id.example.com", "oidc_client_id": "c", "oidc_roles": "admin=leads"}
    return sign_in_policy(settings.model_copy(update=given))


@pytest.fixture
def sessions(services, policy):
    """The sessions of that console."""
    return Sessions(services.redis, services.vault, services.access, services.settings.prefix, services.ended, policy)


def person(subject: str, name: str) -> Person:
    return Person(issuer="https://id.example.com", subject=subject, name=name, role="admin", group="leads")


async def test_all_sessions_of_one_person_end_and_nobody_elses(services, sessions, policy, afterword):
    """Two browsers of Ada's; Grace and whoever has an API key go on."""
    now_ms = services.core.clock_ms()
    ada = [await sessions.open_for(person("u1", "Ada"), policy, now_ms) for _ in range(2)]
    grace = await sessions.open_for(person("u2", "Grace"), policy, now_ms)
    key, _ = await services.access.create("Omar", ["read"], None, "test")
    omar = await sessions.open(key, now_ms)
    await sessions.leave_note(await sessions.find(grace, now_ms), "good", "Done.")
    listed = json.loads(afterword("list", "--json").stdout)
    assert [row["actor"] for row in listed] == ["oidc:u1 Ada", "oidc:u1 Ada", "oidc:u2 Grace"]
    assert "Grace" in afterword("list").stdout

    ended = afterword("end", "oidc:u1")
    assert (ended.returncode, ended.stdout.strip()) == (0, "2 sessions ended.")
    assert [await sessions.find(identifier, now_ms) for identifier in ada] == [None, None]
    assert (await sessions.find(grace, now_ms)).name == "Grace"
    closed = [entry.data for entry in await services.audit.tail(50) if entry.event == "session.closed"]
    assert [entry["actor"] for entry in closed] == ["oidc:u1 Ada"] * 2
    assert all(entry["by"].startswith("cli") for entry in closed)

    assert len(json.loads(afterword("end", "--all", "--json").stdout)["ended"]) == 1
    assert await sessions.find(grace, now_ms) is None
    assert (await sessions.find(omar, now_ms)).name == "Omar"
    assert afterword("list").stdout.strip() == "Nobody is signed in."


@pytest.mark.parametrize("arguments", [(), ("oidc:u1", "--all")])
def test_it_takes_a_name_or_everybody(afterword, arguments):
    """Never everybody by a slip."""
    done = afterword("end", *arguments)
    assert done.returncode == 2
    assert "--all" in done.stderr
