"""`afterword apikey`, `afterword api` and what they print."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT, environment, stop


@pytest.fixture
def afterword(settings):
    def run(*arguments) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "worker", *arguments],
            cwd=ROOT,
            env=environment(settings),
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    return run


async def test_a_key_is_shown_once_listed_without_its_secret_and_revoked(afterword, services):
    made = json.loads(afterword("apikey", "new", "ci", "--scopes", "submit,read", "--expires", "90d", "--json").stdout)
    identifier, _, secret = made["api_key"].partition(".")
    assert made["callback_secret"].startswith("whsec_")
    listed = afterword("apikey", "list", "--json").stdout
    assert json.loads(listed)[0]["scopes"] == ["submit", "read"]
    assert secret not in listed
    assert made["callback_secret"] not in listed
    again = json.loads(afterword("apikey", "callback-secret", identifier, "--json").stdout)
    assert again["callback_secret"] == made["callback_secret"]
    assert (await services.access.authenticate(made["api_key"])).id == identifier
    whole = afterword("apikey", "revoke", made["api_key"])
    assert whole.returncode == 2
    assert secret not in whole.stdout + whole.stderr
    assert json.loads(afterword("apikey", "revoke", identifier, "--json").stdout)["revoked"]
    assert await services.access.authenticate(made["api_key"]) is None


@pytest.mark.parametrize(
    "arguments",
    [
        ("--scopes", "root"),
        ("--expires", "soon"),
        ("--expires", "0d"),
        ("--scopes", ""),
        ("\x1b[31m",),
        ("CLI:root",),
        ("oidc:u1 Ada",),
    ],
)
def test_a_bad_key_is_refused_with_one_line(afterword, arguments):
    done = afterword("apikey", "new", *arguments)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_the_first_start_prints_one_admin_key_and_no_later_one_does(settings):
    printed = []
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-m", "worker", "api", "--port", "0", "--json"],
            cwd=ROOT,
            env=environment(settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        printed.append(json.loads(process.stdout.readline()))
        stop(process)
        log = process.stderr.read()
        assert process.returncode == 0, log
        assert printed[0]["api_key"] not in log
        process.stdout.close()
        process.stderr.close()
    assert printed[0]["api_key"].startswith("ak_")
    assert "api_key" not in printed[1]
    assert printed[0]["url"].startswith("http://127.0.0.1:")
