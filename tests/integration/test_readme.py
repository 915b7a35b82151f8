"""README and guides work as written: their blocks run in order, against `afterword up --sandbox`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.integration.test_cli_up import Up, await_true
from worker.machine.embedded import free_port

README = (ROOT / "README.md").read_text()
LIMIT_S = 150
SECRET = "password = S3cret-" + "planted-"
# Installing and the tests themselves; `up`, which the fixture runs; a real vendor's address; a container engine.
NOT_HERE = ("make ", "source ", "afterword up", "afterword destination test wiki", "docker ")
# What is outside: other hosts, machines, receivers, tokens, time stamps. Then a worker that would go on; what asks first, needs a
# message that was set aside, or a minute after a rotation; a real vendor's settings, left open here (`…`, `URL`).
OUTSIDE = (
    *(
        "cp",
        "docker",
        "helm",
        "install",
        "kubectl",
        "make",
        "openssl ts",
        "pip",
        "pkcs11-tool",
        "redis-cli",
        "systemctl",
    ),
    *("timedatectl", "useradd", "export AFTERWORD_KEYS_PROVIDER", "export AFTERWORD_TIMESTAMP"),
)
NOT_IN_GUIDES = (
    *OUTSIDE,
    *("afterword doctor --worker", "afterword worker", "afterword key rotate", "afterword notify test"),
    *("afterword message show", "afterword message drop"),
    *("afterword destination set NAME", "afterword destination login NAME"),
)
PLACEHOLDERS = {"NAME": "confluence", "DOC_ID": "rca-42", "$SANDBOX": "{sandbox_url}"}
GUIDES = ("operators", "audit", "keys", "recovery", "notifications", "producers")


def blocks(text: str = README) -> list[tuple[str, str]]:
    return re.findall(r"^```(sh|python)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def commands(block: str, left_out: tuple[str, ...] = NOT_HERE) -> list[str]:
    """The commands of a block, each whole, without what doesn't run here."""
    lines = [re.sub(r"\s{2,}# .*", "", line) for line in re.split(r"(?<!\\)\n", block) if line.strip()]
    return [line for line in lines if not line.startswith(left_out)]


@pytest.fixture
def up(tmp_path):
    port = free_port()
    one = Up(tmp_path / "data", "--sandbox", "--port", str(port))
    try:
        one.facts = one.ready()
        one.port = port
        yield one
    finally:
        if one.process.poll() is None:
            one.stop(signal.SIGTERM)


class Reader:
    """Somebody who types what the README says, in a folder that holds the checkout's docs."""

    def __init__(self, up: Up, folder: Path) -> None:
        self.up = up
        self.folder = folder
        folder.mkdir()
        (folder / "docs").symlink_to(ROOT / "docs")
        (folder / "secret").write_text("not-a-secret\n")

    def types(self, program: list[str], text: str) -> str:
        text = text.replace("http://127.0.0.1:8080", f"http://127.0.0.1:{self.up.port}")
        text = text.replace("redis://producer:PASSWORD@127.0.0.1:PORT/0", self.up.facts["producer_url"])
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            program,
            input=text,
            cwd=self.folder,
            env=self.up.environment | {"AFTERWORD_DATA": str(self.up.data), "PATH": path},
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert done.returncode == 0, (text, done.stdout, done.stderr)
        return done.stdout

    def shell(self, lines: list[str]) -> str:
        """One shell for a block: a variable set in one line is there in the next."""
        asks = re.compile(r"^afterword destination set .*")  # for the secret, on stdin where there is no terminal
        return self.types(["bash", "-eu"], "\n".join(asks.sub(r"\g<0> < secret", line) for line in lines) + "\n")

    def jobs(self, state: str) -> list[str]:
        return [job["job_id"] for job in self.up.json("job", "list", "--state", state)]


def make_trouble(reader: Reader) -> None:
    """Two jobs that are dead and two that are held."""
    for number in (1, 2):
        reader.up.json(
            "document", "put", "-", "--id", f"secret-{number}", stdin=f"# Note {number}\n\n{SECRET}{number}\n"
        )
        reader.up.json("publish", f"secret-{number}", "--space", "OPS", "--to", "confluence")
        reader.up.json("publish", "rca-42", "--space", f"NOWHERE{number}", "--to", "confluence")
    await_true(lambda: len(reader.jobs("dead")) == len(reader.jobs("held")) == 2, "two dead and two held jobs")


def with_id(reader: Reader, line: str) -> str:
    """The line with the id of a job that this can be done to, as a list shows it."""
    if "JOB_ID" not in line:
        return line
    state = {"show": "delivered", "retry": "dead"}.get(line.split()[2], "held")
    return line.replace("JOB_ID", reader.jobs(state)[0])


@pytest.mark.timeout(600)  # three dozen commands, each a process of its own
def test_every_block_runs_in_order(up, tmp_path):
    reader = Reader(up, tmp_path / "checkout")
    said = ""
    for language, block in blocks():
        if language == "python":
            said += reader.types([sys.executable, "-"], block)
        elif "JOB_ID" in block:
            if "job retry JOB_ID" in block:
                make_trouble(reader)
            for line in commands(block):
                said += reader.shell([with_id(reader, line)])
        else:
            said += reader.shell(commands(block))
    assert re.search(r'"state": ?"queued"', said), "the API took the job of the curl block"
    assert "'url'" in said, "the Celery client got its result"
    assert up.json("audit", "verify")["ok"]
    assert (tmp_path / "checkout" / "rca.html").exists()


def filled_in(line: str, facts: dict[str, str]) -> str:
    """The line with what a reader puts for its placeholders."""
    for placeholder, word in PLACEHOLDERS.items():
        line = re.sub(rf"{re.escape(placeholder)}\b", word.format(**facts), line)
    return re.sub(r"\bFILE\b", f"a-new-file-{uuid.uuid4().hex}", line)


@pytest.mark.timeout(900)  # five dozen commands
def test_the_guides_blocks_run_in_order(up, tmp_path):
    reader = Reader(up, tmp_path / "checkout")
    for name in ("slack-url.txt", "teams-url.txt", "password.txt"):
        (reader.folder / name).write_text("https://hooks.example.com/not-a-secret\n")
    reader.shell(["afterword document put docs/examples/rca.md --id rca-42"])
    make_trouble(reader)
    reader.shell(["afterword publish rca-42 --space OPS --to confluence --wait"])
    ran: set[str] = set()
    for guide in GUIDES:
        before = len(ran)
        if guide == "recovery":
            reader.shell(["afterword lookfirst set --reason 'a copy was restored'"])
        for language, block in blocks((ROOT / "docs" / f"{guide}.md").read_text()):
            for line in commands(block, NOT_IN_GUIDES):
                if language == "sh" and line not in ran:
                    reader.shell([with_id(reader, filled_in(line, up.facts))])
                    ran.add(line)
        assert len(ran) > before, f"nothing of {guide}.md was run"


def test_the_sample_files_are_what_the_readme_says():
    issue = json.loads((ROOT / "docs" / "examples" / "issue.json").read_text())
    assert set(issue) == {"id", "title", "severity", "description"}
    assert (ROOT / "docs" / "examples" / "rca.md").read_text().count("# RCA") == 1
