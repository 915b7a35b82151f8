"""The command line over a real Valkey: destinations with their secrets, jobs without a worker, the audit."""

from __future__ import annotations

import asyncio
import json

import pytest
import redis
from click.testing import CliRunner

from tasks import lifecycle
from tasks.model import JobState, parse_command
from tests.conftest import environment
from worker.cli import root
from worker.runtime import open_services

PLANTED = "S3cret-" + "planted-88"
SNOW = (
    "destination",
    "set",
    "snow",
    "--kind",
    "servicenow",
    "--instance-url",
    "https://acme.example",
    "--username",
    "u",
)
WIKI = ("destination", "set", "wiki", "--kind", "confluence", "--base-url", "https://acme.example", "--space", "OPS")


class Cli:
    """The command line in this process, as this test's instance."""

    def __init__(self) -> None:
        self.said = ""

    def __call__(self, *arguments, stdin="", status=0):
        done = CliRunner().invoke(root, [str(a) for a in arguments], input=stdin)
        self.said += done.output
        assert done.exit_code == status, (arguments, done.output)
        return done

    def json(self, *arguments, stdin="", status=0):
        return json.loads(self("--json", *arguments, stdin=stdin, status=status).stdout)


@pytest.fixture
def cli(settings, monkeypatch):
    for name, value in environment(settings).items():
        monkeypatch.setenv(name, value)
    return Cli()


def stored(settings) -> str:
    """Every value that this instance keeps in Redis."""
    client = redis.Redis.from_url(settings.redis_url)
    readers = {b"string": client.get, b"hash": client.hgetall, b"stream": client.xrange, b"set": client.smembers}
    keys = list(client.scan_iter(f"{settings.prefix}*"))
    text = repr([readers.get(client.type(key), lambda _: None)(key) for key in keys])
    client.close()
    return text


def test_the_secret_is_taken_from_stdin_or_a_file_and_shown_nowhere(cli, settings, tmp_path):
    assert cli.json(*SNOW, stdin=PLANTED + "\n")["has_credential"] is True
    file = tmp_path / "secret"
    file.write_text(PLANTED + "\n")
    file.chmod(0o600)
    assert cli.json(*WIKI, "--secret-file", file)["has_credential"] is True
    for command in (("list",), ("show", "snow"), ("show", "wiki")):
        cli("destination", *command)
        cli.json("destination", *command)
    cli("audit", "tail")
    assert PLANTED not in cli.said
    assert PLANTED not in stored(settings)


async def secret_of(settings, name):
    async with open_services(settings) as services:
        return services.destinations.secret(await services.destinations.require(name))


def test_without_a_secret_the_stored_one_stays_but_never_follows_to_another_host(cli, settings):
    cli(*SNOW, stdin=PLANTED)
    cli(*SNOW, "--set", "max_attempts=3")
    shown = cli.json("destination", "show", "snow")
    assert (shown["settings"]["max_attempts"], shown["has_credential"]) == (3, True)
    assert asyncio.run(secret_of(settings, "snow")) == PLANTED
    moved = [part.replace("acme.example", "evil.example") for part in SNOW]
    assert cli.json(*moved, status=1)["error"]["code"] == "credential_bound"
    cli(*moved, stdin="another")
    assert asyncio.run(secret_of(settings, "snow")) == "another"


def test_a_destination_without_a_secret_says_so(cli):
    assert "no credential yet" in cli(*SNOW).stdout


def test_permissions_are_the_operators_to_give(cli):
    plain = [part.replace("https://", "http://") for part in SNOW]
    cli(*plain, "--allow-http", "--allow-private", "10.0.0.0/8", "--allow-private", "fd00::/8")
    settings = cli.json("destination", "show", "snow")["settings"]
    assert settings["allow_http"] is True
    assert settings["allow_private"] == ["10.0.0.0/8", "fd00::/8"]
    refused = cli.json(*SNOW, "--allow-private", "not a network", status=2)["error"]
    assert refused["code"] == "bad_settings"


@pytest.mark.parametrize(
    "arguments",
    [
        ("incident", "inc-1", "--severity", "P9"),
        ("incident", "inc-1", "--field", "no-value"),
        (*SNOW, "--set", "no-value"),
        ("apikey", "new", "ci", "--scopes", "root"),
    ],
)
def test_a_value_that_an_option_can_never_take_is_wrong_usage(cli, arguments):
    assert cli.json(*arguments, status=2)["error"]["code"] == "usage"


def test_plain_http_is_refused_at_once_unless_it_is_permitted(cli):
    plain = [part.replace("https://", "HTTP://") for part in SNOW]
    refused = cli.json(*plain, status=1)["error"]
    assert refused["code"] == "http_refused"
    assert "--allow-http" in refused["advice"]
    assert cli.json("destination", "list") == []


@pytest.mark.parametrize("tail", ["?x=1", "#part", ""])
def test_an_address_with_more_than_a_place_is_refused_at_once(cli, tail):
    address = f"https://acme.example{tail}" if tail else f"https://svc:{PLANTED}@acme.example"
    given = [address if part.startswith("https://") else part for part in SNOW]
    refused = cli.json(*given, status=2)["error"]
    assert refused["code"] == "bad_settings"
    assert "must not hold" in refused["message"]
    assert PLANTED not in cli.said


def test_an_argument_of_another_form_is_explained_in_words(cli):
    refused = cli.json("publish", "doc", "--space", "OPS", "--parent", "abc", status=2)["error"]
    assert "parent_page_id: must be a page's number, such as 123456" in refused["message"]
    assert "pattern" not in refused["message"]


def test_a_setting_that_is_not_known_is_refused_with_those_that_are(cli):
    refused = cli.json(*SNOW, "--set", "colour=blue", status=2)["error"]
    assert "colour: is not known here" in refused["message"]
    assert "max_attempts" in refused["advice"]
    assert "base_url" not in refused["advice"]


def test_a_destination_keeps_its_kind(cli):
    cli(*SNOW, stdin=PLANTED)
    other = ["snow" if part == "wiki" else part for part in WIKI]
    refused = cli.json(*other, stdin=PLANTED, status=1)["error"]
    assert refused["code"] == "kind_changes"
    assert "destination remove snow" in refused["advice"]
    cli("destination", "remove", "snow")
    cli(*other, stdin=PLANTED)


def test_a_destination_that_nobody_knows_is_no_filter(cli):
    cli(*SNOW, stdin=PLANTED)
    for command in (("list",), ("cancel",), ("retry",), ("release",)):
        refused = cli.json("job", *command, "--destination", "snwo", status=1)["error"]
        assert (refused["code"], "configured: snow" in refused["message"]) == ("unknown_destination", True)
    assert cli.json("job", "list", "--destination", "snow") == []
    assert cli.json("job", "cancel", "--destination", "snow")["total"] == 0


def test_options_of_another_kind_are_refused_by_name(cli):
    assert "base_url" in cli(*SNOW, "--base-url", "https://acme.example", status=2).stderr


def test_pause_resume_and_remove(cli):
    cli(*SNOW, stdin=PLANTED)
    assert cli.json("destination", "pause", "snow")["state"] == "paused"
    assert cli.json("destination", "resume", "snow")["state"] == "ready"
    cli("destination", "remove", "snow")
    assert cli.json("destination", "list") == []
    assert "Add one" in cli("destination", "list").stdout
    assert cli.json("destination", "remove", "snow", status=1)["error"]["code"] == "unknown_destination"


@pytest.fixture
def with_content(cli):
    cli(*SNOW, stdin=PLANTED)
    cli(*WIKI, stdin=PLANTED)
    for number in (1, 2):
        issue = {"id": f"inc-{number}", "title": "Down [bold] [/nope]", "severity": "P2"}
        cli("issue", "put", "-", stdin=json.dumps(issue))
    return cli


def test_jobs_are_submitted_listed_shown_and_cancelled_one_by_one_or_by_filter(with_content):
    cli = with_content
    first, second = (cli.json("incident", f"inc-{n}")["job_id"] for n in (1, 2))
    assert {row["job_id"] for row in cli.json("job", "list", "--state", "queued")} == {first, second}
    assert cli.json("job", "list", "--destination", "wiki") == []
    shown = cli.json("job", "show", first)
    assert (shown["state"], shown["destination"]) == ("queued", "snow")
    assert shown["events"]
    assert first[:8] in cli("job", "list").stdout
    assert cli.json("job", "cancel", first, "--reason", "not [/needed]")["state"] == "cancelled"
    cancelled = cli.json("job", "cancel", "--state", "queued", "--reason", "storm")
    meant = {"action": "cancel", "state": "queued", "destination": None, "cause": None}
    assert cancelled == meant | {"done": 1, "failed": 0, "total": 1}
    assert cli.json("job", "show", second)["state"] == "cancelled"
    assert cli.json("job", "watch", first, status=1)["state"] == "cancelled"
    cli("job", "show", first)
    assert "not [/needed]" in cli("audit", "tail").stdout


def test_a_job_is_named_by_any_unique_beginning_of_its_id(with_content, settings):
    """As with commits: what the list shows in short is enough for every command; several jobs are named in full."""
    cli = with_content
    for number, name in enumerate(("incident-1", "incident-2", "in[c]ident-3")):
        asyncio.run(submitted(settings, name, f"inc-{number % 2 + 1}"))
    assert cli.json("job", "show", "in[c]")["job_id"] == "in[c]ident-3"
    twice = cli.json("job", "show", "incid", status=1)["error"]
    assert twice["code"] == "ambiguous_job"
    assert "incident-1, incident-2" in twice["message"]
    assert cli.json("job", "show", "incident-1")["job_id"] == "incident-1"
    short = cli.json("job", "show", "inc", status=1)["error"]
    assert (short["code"], "at least 4 characters" in short["advice"]) == ("unknown_job", True)
    assert cli.json("job", "show", "*nci", status=1)["error"]["code"] == "unknown_job"
    listed = cli("job", "list").stdout.splitlines()
    assert [row.split()[1] for row in listed if "incident-" in row] == ["incident-2", "incident-1"]
    assert cli.json("job", "cancel", "incident-2")["state"] == "cancelled"
    assert cli.json("audit", "tail", "--job", "in[c]")[0]["data"]["job"] == "in[c]ident-3"


def test_the_list_says_what_each_job_is_about_and_how_old_it_is(with_content):
    """An id alone tells nobody anything."""
    cli = with_content
    cli.json("incident", "inc-1")
    head, row = (line for line in cli("job", "list").stdout.splitlines() if "Title" in line or "queued" in line)
    assert [cell.strip() for cell in head.split("┃")[1:6]] == ["Job", "Title", "Age", "State", "Destination"]
    _, title, age, *rest = (cell.strip() for cell in row.split("│")[1:6])
    assert (title, rest) == ("Down [bold] [/nope]", ["queued", "snow"])
    assert age.endswith(" s")


def test_a_cause_names_the_state_that_the_action_is_about(with_content):
    """Only dead jobs are retried and only held ones released; several states can be cancelled."""
    cli = with_content
    for verb, state in (("retry", "dead"), ("release", "held")):
        assert cli.json("job", verb, "--cause", "unknown_space")["state"] == state
    cli("job", "cancel", "--cause", "unknown_space", status=2)


def test_an_empty_list_says_whether_there_is_no_job_or_none_that_matches(with_content):
    """Who searched doesn't want to hear how to submit one."""
    cli = with_content
    assert "Submit one" in cli("job", "list").stdout
    for narrower in (("--search", "nowhere"), ("--since", "2h"), ("--state", "dead"), ("--kind", "confluence")):
        assert "No job matches" in cli("job", "list", *narrower).stdout


def test_a_ticket_is_what_the_destination_takes_with_its_own_project(with_content):
    """One command for all kinds of tickets: the destination says which, and what it can't use is refused in words."""
    cli = with_content
    site = ("--base-url", "https://acme.example", "--email", "e@acme.example")
    cli("destination", "set", "board", "--kind", "jira", *site, "--project", "ops", "--type", "Task", stdin=PLANTED)
    cli("destination", "set", "bare", "--kind", "jira", *site, stdin=PLANTED)
    ado = ("--org-url", "https://ado.example/x", "--project", "Operations")
    cli("destination", "set", "ado", "--kind", "azure_devops", *ado, stdin=PLANTED)
    shown = cli.json("destination", "show", "board")["settings"]
    assert (shown["project"], shown["issue_type"], shown["flavor"]) == ("OPS", "Task", "cloud")

    def made(*arguments):
        job = cli.json("ticket", "inc-1", *arguments)["job_id"]
        return cli.json("job", "show", job)["command"]

    given = made("--to", "board", "--severity", "P2", "--field", "Region=eu", "--type", "bug")
    assert (given["command"], given["project"]) == ("create_jira_issue", "OPS")
    assert (given["config"]["severity"], given["config"]["work_item_type"]) == (2, "bug")
    assert made("--to", "bare", "--project", "pay")["project"] == "PAY"
    assert made("--to", "snow")["command"] == "create_servicenow_incident"
    assert made("--to", "ado")["project"] == "Operations"
    for arguments, words, status in (
        (("--to", "bare"), "no project", 1),
        (("--to", "board", "--project", "o p"), "project's key", 2),
        (("--to", "snow", "--type", "Bug"), "neither project nor type", 2),
        (("--to", "wiki"), "pages", 1),
        (("--to", "nowhere"), "nowhere", 1),
    ):
        refused = cli.json("ticket", "inc-1", *arguments, status=status)
        assert words in refused["error"]["message"]
    cli("ticket", "inc-1", status=2)


def test_an_incident_keeps_the_table_of_its_job_or_destination(with_content):
    """A later change of the setting moves no job that was submitted before; what is no table's name is refused."""
    cli = with_content

    def made(*arguments):
        return cli.json("job", "show", cli.json(*arguments)["job_id"])["command"]["table"]

    assert made("incident", "inc-1") == "incident"
    cli(*SNOW, "--set", "table=problem", stdin=PLANTED)
    assert cli.json("destination", "show", "snow")["settings"]["table"] == "problem"
    assert made("incident", "inc-1") == made("ticket", "inc-1", "--to", "snow") == "problem"
    assert made("incident", "inc-1", "--table", "change_request") == "change_request"
    refused = cli.json("incident", "inc-1", "--table", "Problem", status=2)
    assert "table: must be a table's name" in refused["error"]["message"]
    refused = cli.json(*SNOW, "--set", "table=no/table", status=2)
    assert "table" in refused["error"]["message"]


def test_the_same_idempotency_key_gives_the_same_job_and_another_request_is_refused(with_content):
    cli = with_content
    one = cli.json("incident", "inc-1", "--idempotency-key", "k")["job_id"]
    assert cli.json("incident", "inc-1", "--idempotency-key", "k")["job_id"] == one
    refused = cli.json("incident", "inc-2", "--idempotency-key", "k", status=1)
    assert refused["error"]["code"] == "idempotency_conflict"


def test_operators_verbs_need_a_job_or_a_filter_and_a_fitting_state(with_content):
    cli = with_content
    job = cli.json("incident", "inc-1")["job_id"]
    for verb in ("retry", "cancel", "release"):
        cli("job", verb, status=2)
        cli("job", verb, job, "--state", "dead", status=2)
    for verb in ("retry", "release"):
        assert "error" in cli.json("job", verb, job, status=1)


async def submitted(settings, job_id, issue_id):
    """A job whose id its producer chose, as a task id is chosen."""
    async with open_services(settings) as services:
        command = parse_command({"command": "create_servicenow_incident", "issue_id": issue_id})
        await services.submit(command, actor="test", job_id=job_id)


async def attempt(settings, job_id):
    async with open_services(settings) as services:
        await lifecycle.attempt(services.core, job_id)
        return (await services.ledger.require(job_id)).state


def test_a_held_job_ends_the_wait_with_exit_code_3_until_it_is_released(with_content, settings):
    cli = with_content
    cli("document", "put", "-", "--id", "rca", stdin=f"# RCA\n\npassword = {PLANTED}\n")
    job = cli.json("publish", "rca", "--space", "OPS")["job_id"]
    assert asyncio.run(attempt(settings, job)) is JobState.HELD
    assert cli.json("job", "watch", job, status=3)["state"] == "held"
    assert "Password" in cli("job", "show", job).stdout
    assert cli.json("job", "release", job, "--reason", "checked")["state"] == "queued"
    assert PLANTED not in cli.said


def test_the_end_of_a_wait_is_said_once(with_content, settings):
    cli = with_content
    cli("document", "put", "-", "--id", "rca", stdin=f"# RCA\n\npassword = {PLANTED}\n")
    job = cli.json("publish", "rca", "--space", "OPS")["job_id"]
    assert asyncio.run(attempt(settings, job)) is JobState.HELD
    assert cli("job", "watch", job, status=3).output.count(job) == 1


def test_ctrl_c_ends_the_wait_and_says_that_the_job_goes_on(with_content, monkeypatch):
    cli = with_content
    job = cli.json("incident", "inc-1")["job_id"]

    async def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("worker.terminal.watching.follow", interrupted)
    said = cli("job", "watch", job, status=1).stderr
    assert f"Job {job} goes on." in said
    assert f"afterword job watch {job}" in said


def test_a_job_of_a_paused_destination_says_who_paused_it_and_no_time(with_content, monkeypatch):
    """It will not be tried at the time that its record has: nothing happens before somebody resumes the destination."""
    cli = with_content
    job = cli.json("incident", "inc-1")["job_id"]
    assert "next at" in cli("job", "show", job).stdout
    cli("destination", "pause", "snow")
    monkeypatch.setenv("COLUMNS", "200")
    for said in (cli("job", "show", job).stdout, cli("job", "list").stdout):
        assert "snow is paused by cli:" in said
        assert "next at" not in said
    cli("destination", "resume", "snow")
    assert "next at" in cli("job", "list").stdout


def test_the_tail_of_one_job_reaches_back_to_it(with_content):
    """However much was written since; it used to look for the job among the newest few only."""
    cli = with_content
    job = cli.json("incident", "inc-1")["job_id"]
    for _ in range(3):
        cli("destination", "pause", "snow")
    assert [entry["data"]["job"] for entry in cli.json("audit", "tail", "-n", "2", "--job", job)] == [job]
    assert cli.json("audit", "tail", "--job", "none") == []


def test_the_audit_is_verified_and_a_change_of_an_entry_is_exit_code_1(with_content, settings):
    cli = with_content
    assert cli.json("audit", "verify")["ok"] is True
    assert len(cli.json("audit", "tail", "-n", "2")) == 2
    first, later = (cli.json("incident", f"inc-{n}")["job_id"] for n in (1, 2))
    assert [entry["data"]["job"] for entry in cli.json("audit", "tail", "-n", "1", "--job", first)] == [first]
    assert later not in cli("audit", "tail", "--job", first).stdout
    client = redis.Redis.from_url(settings.redis_url)
    (identifier, entry), *_ = client.xrevrange(f"{settings.prefix}:audit", count=1)
    client.xdel(f"{settings.prefix}:audit", identifier)
    client.xadd(f"{settings.prefix}:audit", {**entry, b"data": b'{"forged": 1}'})
    client.close()
    report = cli.json("audit", "verify", status=1)
    assert report["ok"] is False
    assert report["problems"]


def test_an_upstream_document_and_issue_are_taken_as_they_are(cli, settings, tmp_path):
    document = {
        "id": "0198-doc",
        "issue_id": "0198-issue",
        "doc_type": "postmortem",
        "title": "Post-Mortem: x",
        "content_md": "# y",
        "created_at": 1767225600000,
        "updated_at": "2026-01-01 10:00:00",
        "something_new": [1],
    }
    (tmp_path / "doc.json").write_text(json.dumps(document))
    assert cli.json("document", "put", tmp_path / "doc.json") == {
        "id": "0198-doc",
        "title": "Post-Mortem: x",
        "attachments": [],
        "ignored": ["something_new"],
    }
    issue = {"id": "0198-issue", "title": "x", "severity": "P1 - Critical", "tags": '["a","b"]', "description": None}
    (tmp_path / "issue.json").write_text("\ufeff" + json.dumps(issue))
    assert cli.json("issue", "put", tmp_path / "issue.json")["id"] == "0198-issue"

    async def look():
        async with open_services(settings) as services:
            return await services.contents.document("0198-doc"), await services.contents.issue("0198-issue")

    found, known = asyncio.run(look())
    assert (found.doc_type, found.issue_id) == ("postmortem", "0198-issue")
    assert (known.severity, known.tags) == (1, ("a", "b"))


def test_a_markdown_file_gets_its_id_from_its_name_and_its_title_from_its_heading(cli, tmp_path):
    (tmp_path / "rca-7.md").write_text("```\n# no\n```\n\n# RCA: *seven*\n")
    assert cli.json("document", "put", tmp_path / "rca-7.md") == {
        "id": "rca-7",
        "title": "RCA: seven",
        "attachments": [],
    }
    given = cli.json("document", "put", tmp_path / "rca-7.md", "--id", "x", "--title", "T", "--type", "postmortem")
    assert given == {"id": "x", "title": "T", "attachments": []}


def test_doctor_says_what_is_missing(cli):
    report = cli.json("doctor", status=1)
    wrong = [row["check"] for row in report["checks"] if not row["ok"]]
    assert "workers" in wrong
    assert {"keys", "redis", "durability", "memory", "clock"} <= {row["check"] for row in report["checks"] if row["ok"]}


@pytest.mark.usefixtures("destinations")
async def test_doctor_names_the_parts_whose_record_is_of_another_type_and_goes_on(cli, services):
    prefix = services.settings.prefix
    await services.redis.delete(f"{prefix}:destination:servicenow")
    await services.redis.rpush(f"{prefix}:destination:servicenow", "somebody's")
    checks = {row["check"]: row for row in (await asyncio.to_thread(cli.json, "doctor", status=1))["checks"]}
    wrong = {name for name, row in checks.items() if "isn't of the type" in row["detail"]}
    assert wrong == {"destination servicenow", "records"}
    assert {"destination confluence", "checkpoints", "ledger", "workers"} <= checks.keys()
