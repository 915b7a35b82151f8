"""The server that `afterword up` starts has the accounts of deploy/redis/users.acl, and each part logs in with its own."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import urllib.request

import pytest
import redis
from celery import Celery

from config.settings import Settings
from tests.conftest import ROOT
from worker.machine.accounts import Accounts
from worker.machine.embedded import EmbeddedValkey
from worker.machine.stack import running_stack

LIMIT_S = 120
RCA = "# {} pool\n\nThe pool was exhausted.\n"


@pytest.fixture
def judged(monkeypatch):
    """A judge beside the accounts, who reads what the server refused."""
    made = Accounts.__init__

    def with_a_judge(self, prefix: str) -> None:
        made(self, prefix)
        self.file += "user judge on >judge ~* &* +@all\n"

    monkeypatch.setattr(Accounts, "__init__", with_a_judge)


def refusals(stack) -> set[tuple[str, str]]:
    """Whom the server refused what, inside scripts, too; without what a client says and asks of its own accord."""
    port = redis.connection.parse_url(stack.redis_url)["port"]
    with redis.Redis(port=port, username="judge", password="judge", decode_responses=True) as judge:
        found = {(entry["username"], entry["object"]) for entry in judge.acl_log()}
    return {(user, what) for user, what in found if what not in ("client|setinfo", "config|get")}


def ask(stack, path: str, body: dict | None = None) -> dict:
    request = urllib.request.Request(stack.api_url + path, data=body and json.dumps(body).encode())
    request.add_header("Authorization", f"Bearer {stack.first_key}")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
        return json.load(answer)


def types(stack, *words: str, stdin: str = "") -> dict:
    """A command in another terminal, which knows the data folder only."""
    done = subprocess.run(
        [sys.executable, "-m", "worker", "--data", str(stack.settings.data), "--json", *words],
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return json.loads(done.stdout)


@pytest.fixture
def stack(tmp_path, judged, monkeypatch):
    for name in ("AFTERWORD_REDIS_URL", "AFTERWORD_DATA", "AFTERWORD_PREFIX", "AFTERWORD_BROKER_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AFTERWORD_PREFIX", "own-prefix")
    settings = Settings(data=tmp_path / "data")
    with running_stack(settings, api_port=0, sandbox_port=0) as running:
        yield running


def test_worker_api_command_line_and_a_plain_client_deliver_each_with_its_own_account(stack):
    """Nothing that they need is refused, whatever way a job comes; the audit holds."""
    body = {"command": "publish_to_confluence", "doc_id": "a", "space_key": "OPS"}
    job = ask(stack, "/v1/jobs", body | {"document": {"title": "By HTTP", "content_md": RCA.format("HTTP")}})["job_id"]
    assert ask(stack, f"/v1/jobs/{job}?wait=60")["state"] == "delivered"
    types(stack, "document", "put", "-", "--id", "b", stdin=RCA.format("Terminal"))
    assert types(stack, "publish", "b", "--space", "OPS", "--wait")["state"] == "delivered"
    types(stack, "document", "put", "-", "--id", "c", stdin=RCA.format("Message"))
    with Celery("somebody", broker=stack.producers_url, backend=stack.producers_url, set_as_current=False) as plain:
        sent = plain.send_task("publish_to_confluence", kwargs={"doc_id": "c", "space_key": "OPS"})
        assert set(sent.get(timeout=LIMIT_S)) == {"id", "url"}
    for words in (("doctor",), ("job", "list"), ("destination", "test", "confluence"), ("audit", "verify")):
        types(stack, *words)
    for path in ("/v1/jobs", "/v1/destinations", "/v1/audit", "/v1/audit/verify"):
        ask(stack, path)
    assert refusals(stack) == set()


def test_each_part_has_its_own_account_and_files_are_the_owners(stack):
    """The sandbox has none, passwords are kept where only the owner reads them, and the server's file holds their hashes."""
    users = {part: stack.environment(part).get("AFTERWORD_REDIS_URL", "").split(":")[1:2] for part in stack.children}
    assert users == {"worker": ["//afterword"], "api": ["//api"], "sandbox": []}
    data = stack.settings.data
    for name in ("instance.json", "valkey/users.acl", "valkey/valkey.conf"):
        assert stat.S_IMODE((data / name).stat().st_mode) == 0o600, name
    words = [redis.connection.parse_url(url)["password"] for url in stack.accounts.values()]
    assert len(set(words)) == len(words) == 5
    text = (data / "valkey" / "users.acl").read_text() + (data / "valkey" / "valkey.conf").read_text()
    assert not [word for word in words if word in text]
    assert "_HASH" not in text


def test_no_account_of_it_may_do_more_than_elsewhere(stack):
    """No default user, no administrative command; a producer, Flower and an API reach only what is theirs."""
    port = redis.connection.parse_url(stack.redis_url)["port"]
    with redis.Redis(port=port) as nobody, pytest.raises(redis.exceptions.AuthenticationError):
        nobody.ping()
    forbidden = {
        "afterword": ("FLUSHALL", "CONFIG GET *", "ACL LIST", "SHUTDOWN", "SET somebody-elses x"),
        "api": ("LPUSH celery x", "GET celery-task-meta-x", "FLUSHALL", "KEYS *"),
        "producer": ("HGETALL own-prefix:destination:confluence", "RPOP celery", "EVAL return 0", "SET celery x"),
        "flower": ("HGETALL own-prefix:destination:confluence", "LPUSH celery x"),
        "reader": ("SET own-prefix:x y", "DEL own-prefix:audit", "EVAL return 0"),
    }
    assert set(forbidden) == set(stack.accounts)
    for user, commands in forbidden.items():
        with redis.Redis.from_url(stack.accounts[user]) as client:
            assert client.ping()
            for command in commands:
                with pytest.raises(redis.exceptions.NoPermissionError):
                    client.execute_command(*command.split())


def test_data_of_a_version_with_one_password_is_taken_over_without_a_step(tmp_path):
    """The same files, now with accounts; what stood there stands there still."""
    with EmbeddedValkey(tmp_path) as before, redis.Redis.from_url(before.url) as client:
        client.set("afterword:x", "y")
    with EmbeddedValkey(tmp_path, accounts=Accounts("afterword")) as after, redis.Redis.from_url(after.url) as client:
        assert client.get("afterword:x") == b"y"
        assert after.url.startswith("redis://afterword:")
