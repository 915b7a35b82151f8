"""`afterword up`: everything on one machine, whatever dies, and nothing left running afterwards."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from tests.conftest import ROOT

LIMIT_S = 150
LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends children with their parent")


def processes() -> dict[int, tuple[int, str]]:
    """Parent and command line of every process that isn't merely waiting to be reaped."""
    rows = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True
    ).stdout
    found = {}
    for row in rows.splitlines():
        pid, parent, state, *command = row.split(None, 3)
        if not state.startswith("Z"):
            found[int(pid)] = (int(parent), " ".join(command))
    return found


def await_true(condition, what):
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    return pytest.fail(f"{what} did not come true within {LIMIT_S} s")


class Up:
    """One `afterword up` as a process, and the commands that find it through its data folder."""

    def __init__(self, data, *arguments, **variables) -> None:
        self.data = data
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("AFTERWORD_")}
        self.environment |= {"AFTERWORD_SWEEP_INTERVAL_S": "0.2", "AFTERWORD_HEARTBEAT_TTL_S": "3"} | variables
        self.process = subprocess.Popen(
            [sys.executable, "-m", "worker", "up", "--json", "--data", str(data), *arguments],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.family: set[int] = set()

    def ready(self) -> dict:
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        facts = json.loads(line)
        assert "error" not in facts, facts
        return facts

    def child(self, words: str) -> int | None:
        """The pid of the child whose command line has these words."""
        own = {pid: command for pid, (parent, command) in processes().items() if parent == self.process.pid}
        self.family |= set(own)
        return next((pid for pid, command in own.items() if words in command), None)

    def run(self, *arguments, stdin="") -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "worker", "--data", str(self.data), *arguments],
            cwd=ROOT,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )

    def json(self, *arguments, stdin=""):
        done = self.run("--json", *arguments, stdin=stdin)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr, self.last_words())
        return json.loads(done.stdout)

    def last_words(self) -> str:
        """What `up` said, where it ended by itself."""
        return self.process.stdout.read() + self.process.stderr.read() if self.process.poll() is not None else ""

    def stop(self, number=signal.SIGTERM) -> int:
        for words in ("valkey-server", "worker worker", "worker api", "worker sandbox"):
            self.child(words)
        self.process.send_signal(number)
        return self.process.wait(LIMIT_S)

    def nothing_left(self) -> bool:
        return not self.family & set(processes())


@pytest.fixture
def start(tmp_path):
    started = []

    def up(*arguments, data=tmp_path / "data", **variables) -> Up:
        started.append(Up(data, *arguments, **variables))
        return started[-1]

    yield up
    for one in started:
        if one.process.poll() is None:
            one.stop()
        one.process.stdout.close()
        one.process.stderr.close()


def deliver(up: Up, identifier: str) -> dict:
    up.json("document", "put", "-", "--id", identifier, stdin=f"# RCA {identifier}\n\nwords\n")
    return up.json("publish", identifier, "--space", "OPS", "--wait")


def test_other_commands_find_the_instance_and_sigterm_leaves_nothing_running(start, tmp_path):
    up = start("--sandbox", "--port", "0")
    facts = up.ready()
    assert facts["new_keys"] is True
    assert [row["name"] for row in up.json("destination", "list")] == [
        "azure_devops",
        "confluence",
        "jira",
        "servicenow",
    ]
    receipt = deliver(up, "rca-1")["receipt"]
    assert receipt["url"].startswith(facts["sandbox_url"])
    assert up.json("doctor")["ok"]
    assert [path for path in up.data.rglob("*") if path.stat().st_mode & 0o077] == [], (
        "logs, keys and data are the owner's"
    )
    password = facts["broker_url"].split(":")[2].partition("@")[0]
    assert not any(password in command for _, command in processes().values())
    assert up.stop() == 0
    await_true(up.nothing_left, "the end of every child")
    assert not (up.data / "instance.json").exists()
    assert "afterword up" in up.run("job", "list").stderr


def test_a_port_that_somebody_listens_on_ends_it_before_anything_was_begun(tmp_path, start):
    """The one that listens would have answered in its place, and its address would have been printed as ours."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for option in ("--port", "--sandbox-port"):
            up = start("--sandbox", "--port", "0", option, port, data=tmp_path / "other")
            assert up.process.wait(LIMIT_S) == 1
            error = json.loads(up.process.stdout.read())["error"]
            assert f"Port {port} can't be used" in error["message"]
            assert option in error["message"]
    assert not (tmp_path / "other").exists()


def test_what_it_prints_is_enough_to_deliver_over_http_also_after_the_api_was_killed(start):
    up = start("--sandbox", "--port", "0")
    facts = up.ready()

    def call(path, body=None):
        request = urllib.request.Request(facts["api_url"] + path, data=body and json.dumps(body).encode())
        request.add_header("Authorization", f"Bearer {facts['api_key']}")
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
            return json.load(answer)

    document = {"title": "RCA", "content_md": "# RCA\n\nwords\n"}
    body = {"command": "publish_to_confluence", "doc_id": "rca-1", "space_key": "OPS", "document": document}
    job = call("/v1/jobs", body)["job_id"]
    await_true(lambda: call(f"/v1/jobs/{job}?wait=30")["state"] == "delivered", "the delivery")
    before = up.child("worker api")
    os.kill(before, signal.SIGKILL)
    await_true(lambda: up.child("worker api") not in (None, before), "another API")

    def there():
        try:
            return call(f"/v1/jobs/{job}")["result"]
        except OSError:
            return None

    assert await_true(there, "an answer of the new API")["url"].startswith(facts["sandbox_url"])
    shown = up.run("apikey", "list").stdout
    assert "first" in shown
    assert facts["api_key"].partition(".")[2] not in shown


def test_a_taken_port_is_one_line_that_says_which_option_helps(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        up = start("--port", str(taken.getsockname()[1]))
        assert up.process.wait(LIMIT_S) == 1
        assert "--port" in json.loads(up.process.stdout.read())["error"]["message"]
    await_true(up.nothing_left, "the end of every child")


def test_what_was_delivered_is_there_after_a_restart(start):
    first = start("--sandbox", "--port", "0")
    first.ready()
    job = deliver(first, "rca-1")["job_id"]
    first.stop(signal.SIGINT)
    again = start("--sandbox", "--port", "0")
    assert again.ready()["new_keys"] is False
    assert again.json("job", "show", job)["state"] == "delivered"
    assert again.json("audit", "verify")["ok"]


def test_a_second_one_in_the_same_folder_is_refused_and_the_first_goes_on(start):
    first = start("--sandbox", "--port", "0")
    first.ready()
    second = start("--port", "0")
    assert second.process.wait(LIMIT_S) == 1
    assert json.loads(second.process.stdout.read())["error"]["code"] == "config"
    assert deliver(first, "rca-1")["state"] == "delivered"


def test_a_killed_worker_and_a_killed_valkey_are_started_again_and_the_work_goes_on(start):
    up = start("--sandbox", "--port", "0")
    up.ready()
    job = deliver(up, "rca-1")["job_id"]
    for words in ("worker worker", "valkey-server"):
        before = await_true(lambda words=words: up.child(words), words)
        os.kill(before, signal.SIGKILL)
        await_true(lambda words=words, before=before: up.child(words) not in (None, before), f"another {words}")
    await_true(lambda: up.run("job", "list").returncode == 0, "an answer of Redis")
    assert up.json("job", "show", job)["state"] == "delivered"
    assert deliver(up, "rca-2")["state"] == "delivered"
    assert up.json("audit", "verify")["ok"]
    up.stop()
    await_true(up.nothing_left, "the end of every child")


def test_an_ended_sandbox_is_reported_and_ends_the_rest(start):
    up = start("--sandbox", "--port", "0")
    up.ready()
    os.kill(await_true(lambda: up.child("worker sandbox"), "the sandbox"), signal.SIGKILL)
    assert up.process.wait(LIMIT_S) == 1
    assert "sandbox ended" in up.process.stdout.read()
    await_true(up.nothing_left, "the end of every child")


@LINUX
def test_children_end_with_a_killed_parent_and_the_next_start_works(start):
    up = start("--sandbox", "--port", "0")
    up.ready()
    job = deliver(up, "rca-1")["job_id"]
    up.stop(signal.SIGKILL)
    assert len(up.family) == 4
    again = start("--sandbox", "--port", "0")
    await_true(up.nothing_left, "the end of every child")
    again.ready()
    assert again.json("job", "show", job)["state"] == "delivered"


@pytest.mark.parametrize("part", ["valkey-server", "worker sandbox", "worker worker"])
def test_sigterm_during_the_start_leaves_nothing_running(start, part):
    up = start("--sandbox", "--port", "0")
    await_true(lambda: up.child(part), part)
    assert up.stop() == 0
    await_true(up.nothing_left, "the end of every child")


def test_the_sandbox_never_takes_a_real_destinations_place(start):
    first = start("--port", "0")
    first.ready()
    first.json(
        *("destination", "set", "servicenow", "--kind", "servicenow"),
        *("--instance-url", "https://acme.example", "--username", "svc"),
        stdin="not-a-real-password\n",
    )
    first.stop()
    second = start("--sandbox", "--port", "0")
    assert second.process.wait(LIMIT_S) == 1
    assert json.loads(second.process.stdout.read())["error"]["code"] == "destination_taken"
    await_true(second.nothing_left, "the end of every child")


def test_an_unreachable_redis_is_one_line_without_its_password(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "worker", "up"],
        cwd=ROOT,
        env=os.environ | {"AFTERWORD_REDIS_URL": "redis://:hunter2@127.0.0.1:1/0", "AFTERWORD_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 1
    assert "can't be reached" in done.stderr
    assert "hunter2" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
