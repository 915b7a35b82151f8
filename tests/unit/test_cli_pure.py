"""The command line where it needs no Redis: usage, render, screen, keys, and how errors look."""

from __future__ import annotations

import io
import json
import os
import re
import socket
import stat
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import AsyncMock

import click
import pytest
from click.testing import CliRunner
from rich.console import Console
from rich.table import Table

from config.keys import parse_keys
from tasks.errors import KeyTrouble
from tasks.markup.title import title_of
from tasks.model import Job, JobState, Receipt, parse_command
from worker.cli import root
from worker.cli.parts import announce
from worker.terminal.base import Context, fitting, plain
from worker.terminal.root import given_nothing
from worker.terminal.watching import closed_for, warned

PLANTED = "S3cret-" + "planted-77"


@pytest.fixture
def run(tmp_path, monkeypatch):
    for name in ("AFTERWORD_REDIS_URL", "AFTERWORD_KEYS", "AFTERWORD_KEYS_FILE", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AFTERWORD_DATA", str(tmp_path / "data"))

    def invoke(*arguments, stdin=None):
        return CliRunner().invoke(root, [str(a) for a in arguments], input=stdin)

    return invoke


def commands(group=root, path=()):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield (*path, name), command


ALL = list(commands())


def test_every_command_of_the_design_is_there():
    names = {" ".join(path) for path, _ in ALL}
    expected = {"up", "demo", "worker", "sandbox", "publish", "incident", "workitem", "render", "screen", "doctor"}
    expected |= {f"destination {verb}" for verb in ("set", "list", "show", "test", "pause", "resume", "remove")}
    expected |= {f"job {verb}" for verb in ("list", "show", "watch", "retry", "cancel", "release")}
    expected |= {"document put", "issue put", "audit tail", "audit verify", "key new", "key status"}
    assert expected <= names


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_each_command_has_a_help_text_and_the_common_options(run, path, command):
    shown = run(*path, "--help")
    assert shown.exit_code == 0
    assert command.help
    assert "--json" in shown.output
    assert "--data" in shown.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("publish",),
        ("nonsense",),
        ("job", "list", "--state", "nonsense"),
        ("--nonsense",),
        ("render", "x"),
        ("worker", "--queues", "nonsense"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(run, arguments):
    shown = run(*arguments)
    assert shown.exit_code == 2
    assert len(shown.stderr.splitlines()) == 1
    assert shown.stdout == ""
    as_json = run(*arguments, "--json")
    assert as_json.exit_code == 2
    assert json.loads(as_json.stdout)["error"]["code"] == "usage"


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("sandbox", "--host", ""), "--host"),
        (("api", "--host="), "--host"),
        (("job", "cancel", "--state", "queued", "--destination", ""), "--destination"),
        (("job", "cancel", ""), "An argument"),
        (("--data", " ", "job", "list"), "--data"),
        (("audit", "tail", "-n", ""), "-n"),
    ],
)
def test_an_empty_value_is_wrong_usage_and_never_means_all(run, arguments, named):
    """It is what a shell's variable that isn't set leaves: every address, the present folder, each job."""
    shown = run(*arguments)
    assert shown.exit_code == 2
    assert shown.stderr == f"afterword: {named} is empty; leave it out, or give a value.\n"


@pytest.mark.parametrize(
    "arguments", [("--reason", ""), ("--reason=",), ("--set", "labels="), ("--field=team=",), ("--wait",), ("-",)]
)
def test_what_may_be_empty_is_not_refused(arguments):
    assert given_nothing(arguments) is None


@pytest.mark.parametrize("name", sorted(root.commands))
def test_the_list_of_commands_says_what_each_command_says_of_itself(name):
    """The list is written apart, so that it imports no command: it must not drift from their own words."""
    own = " ".join(root.commands[name].help.split())
    assert own.startswith(root.commands.places[name][1].rstrip(".").split(";")[0].split(",")[0])


@pytest.mark.parametrize("charset", ["latin-1", "cp1252"])
def test_a_letter_that_a_terminal_lacks_is_escaped_and_fails_nothing(charset):
    """As JSON has it, so that `--json` stays JSON."""
    command = [str(Path(sys.executable).with_name("afterword")), "Gr\u00f6\u00dfe\u2192\U0001f600", "--json"]
    ran = subprocess.run(command, env=os.environ | {"PYTHONIOENCODING": charset}, capture_output=True, check=False)
    assert (ran.returncode, ran.stderr) == (2, b"")
    assert b"Gr\xf6\xdfe\\u2192" in ran.stdout
    assert "Gr\u00f6\u00dfe\u2192\U0001f600" in json.loads(ran.stdout.decode(charset))["error"]["message"]


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "given", [("completion", "bash"), ("completion", "bash", "--json"), ("--help",), ("--version",)]
)
def test_an_answer_that_has_no_place_is_told_of_in_one_line(given, unbuffered):
    """A full disk takes no JSON either; what Python still holds at its end is no news."""
    command = [str(Path(sys.executable).with_name("afterword")), *given]
    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(command, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr.splitlines() == ["afterword: No space left on device. Run `afterword doctor`."]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_completion_script(run, shell):
    """What the shell is to evaluate, and nothing else."""
    shown = run("completion", shell)
    assert shown.exit_code == 0
    assert f"_AFTERWORD_COMPLETE={shell}_complete" in shown.stdout


def test_completion_offers_what_begins_like_that():
    """As the script calls it: the words so far, and which of them is being typed."""
    for words, place, offered in (("afterword wor", 1, "workitem"), ("afterword job re", 2, "release")):
        asked = {"_AFTERWORD_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(place)}
        command = [str(Path(sys.executable).with_name("afterword"))]
        ran = subprocess.run(command, env=os.environ | asked, capture_output=True, text=True, check=True)
        assert f"plain,{offered}" in ran.stdout.splitlines()


def test_without_a_command_the_help_is_shown(run):
    assert "destination" in run().output
    assert "pause" in run("destination").output


@pytest.mark.parametrize(
    "more",
    [(PLANTED,), ("--secret", PLANTED), (f"--token={PLANTED}",), ("--password", PLANTED), ("--pat", PLANTED)],
)
@pytest.mark.parametrize("start", [("destination", "set", "x", "--kind", "servicenow"), ("key", "seal")])
def test_a_secret_as_an_argument_is_refused_with_the_right_way_and_never_repeated(run, start, more):
    for extra in ((), ("--json",)):
        shown = run(*start, *more, *extra)
        assert shown.exit_code == 2
        assert "--secret-file" in shown.output
        assert PLANTED not in shown.output


def test_a_secret_given_as_the_name_of_a_secret_file_is_not_repeated(run):
    shown = run("key", "seal", "--secret-file", PLANTED)
    assert shown.exit_code == 1
    assert "can't be read" in shown.stderr
    assert PLANTED not in shown.output


@pytest.mark.parametrize(
    ("option", "given"), [("--setup", ()), ("--setup", ("--fault", "drop")), ("--fault", ("--fault", "thunder"))]
)
def test_a_sandbox_that_cant_begin_so_names_the_option_at_fault(run, tmp_path, option, given):
    (tmp_path / "setup.toml").write_text('places = ["A"]' if option == "--setup" else "")
    shown = run("sandbox", "--setup", tmp_path / "setup.toml", *given)
    assert shown.exit_code == 2
    assert f"Invalid value for {option}: " in shown.stderr


def test_two_ways_to_give_a_secret_at_once_are_refused(run, tmp_path):
    (tmp_path / "s").write_text("x")
    assert run("key", "seal", "--secret-file", tmp_path / "s", "--secret-stdin", stdin="y").exit_code == 2


def test_a_secret_of_several_lines_is_refused(run):
    shown = run("key", "seal", stdin=f"{PLANTED}\nmore\n")
    assert shown.exit_code == 1
    assert "several lines" in shown.stderr
    assert PLANTED not in shown.output


def test_a_secret_file_that_others_can_read_gives_a_warning(run, tmp_path):
    run("key", "new", "--out", tmp_path / "data" / "keys")
    file = tmp_path / "secret"
    file.write_text(PLANTED + "\n")
    file.chmod(0o644)
    loose = run("key", "seal", "--secret-file", file)
    assert loose.exit_code == 0
    assert "chmod 600" in loose.stderr
    assert PLANTED not in loose.output
    file.chmod(0o600)
    assert run("key", "seal", "--secret-file", file).stderr == ""


def test_no_redis_is_one_line_that_says_what_to_do(run, tmp_path):
    assert run("key", "new", "--out", tmp_path / "data" / "keys").exit_code == 0
    shown = run("job", "list")
    assert shown.exit_code == 1
    assert len(shown.stderr.splitlines()) == 1
    assert "afterword up" in shown.stderr
    error = json.loads(run("--json", "job", "list").stdout)["error"]
    assert error["code"] == "config"


def test_a_bad_setting_is_one_line(run, monkeypatch):
    monkeypatch.setenv("AFTERWORD_CONCURRENCY", "many")
    shown = run("job", "list")
    assert shown.exit_code == 1
    assert "AFTERWORD_CONCURRENCY" in shown.stderr
    assert "many" not in shown.stderr


def test_a_fault_of_our_own_is_one_line_too(run, monkeypatch):
    monkeypatch.setattr("config.keys.new_key", lambda: {}["planted"])
    shown = run("key", "new")
    assert shown.exit_code == 1
    assert shown.stderr == "afterword: A fault in Afterword itself. AFTERWORD_LOG_LEVEL=DEBUG shows where.\n"


def test_the_data_folder_may_stand_before_or_behind_the_command(run, tmp_path):
    for folder in ("one", "two"):
        run("key", "new", "--out", tmp_path / folder / "keys")
    before = json.loads(run("--data", tmp_path / "one", "--json", "key", "status").stdout)
    behind = json.loads(run("key", "status", "--data", tmp_path / "one", "--json").stdout)
    inner = json.loads(run("--data", tmp_path / "two", "key", "status", "--data", tmp_path / "one", "--json").stdout)
    assert before == behind == inner


def test_a_new_key_is_printed_or_written_for_the_owner_only(run, tmp_path):
    assert parse_keys([run("key", "new").stdout], "output").order
    assert json.loads(run("key", "new", "--json").stdout)["key"]
    file = tmp_path / "keys"
    shown = run("key", "new", "--out", file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().splitlines()[-1] not in shown.output
    assert run("key", "new", "--out", file).exit_code == 1


def test_key_status_shows_ids_and_no_key(run, tmp_path):
    file = tmp_path / "data" / "keys"
    run("key", "new", "--out", file)
    shown = run("key", "status", "--json")
    assert json.loads(shown.stdout)["current"] == parse_keys(file.read_text().splitlines(), "x").order[0]
    assert file.read_text().splitlines()[-1] not in shown.output


@pytest.mark.parametrize("target", ["confluence", "azure_devops", "servicenow"])
def test_render_prints_what_would_be_sent(run, tmp_path, target):
    file = tmp_path / "rca.md"
    file.write_text("# Title\n\na < b & **bold** | pipe\n")
    text = run("render", file, "--for", target).stdout
    assert "bold" in text
    body = json.loads(run("render", file, "--for", target, "--json").stdout)["body"]
    assert body.strip() == text.strip()
    if target != "servicenow":
        assert "&lt; b &amp;" in text
    assert run("render", "-", "--for", target, stdin=file.read_text()).stdout == text


@pytest.mark.parametrize("target", ["confluence", "azure_devops", "servicenow"])
def test_render_shows_the_text_as_it_leaves_after_screening(run, tmp_path, target):
    file = tmp_path / "rca.md"
    file.write_text(f"ask someone@acme.io\n\npassword = {PLANTED}\n")
    shown = run("render", file, "--for", target)
    assert shown.exit_code == 0
    assert "[Email]" in shown.stdout
    assert "someone@acme.io" not in shown.output
    assert PLANTED not in shown.output
    assert "screening would stop this (Password)" in shown.stderr


@pytest.mark.parametrize("command", [("screen",), ("render", "--for", "confluence")])
def test_a_text_that_is_too_long_to_screen_is_one_that_would_be_stopped(run, tmp_path, command):
    file = tmp_path / "long.md"
    file.write_text("a" * 6_000_001)
    shown = run(*command, file)
    assert shown.exit_code == 3
    assert shown.stdout == ""
    assert "6000000 is the most that is screened" in shown.stderr
    assert len(shown.stderr.splitlines()) == 1


def test_screen_exits_3_where_policy_would_stop_it_and_shows_no_value(run, tmp_path):
    file = tmp_path / "rca.md"
    file.write_text(f"fine\n\npassword = {PLANTED}\n")
    shown = run("screen", file)
    assert shown.exit_code == 3
    assert "line 3: Password" in shown.stdout
    assert PLANTED not in shown.output
    found = run("screen", file, "--json")
    assert found.exit_code == 3
    assert json.loads(found.stdout)["action"] == "block"
    assert PLANTED not in found.output


def test_screen_exits_0_for_what_goes_out_redacted_or_as_it_is(run, tmp_path):
    file = tmp_path / "rca.md"
    file.write_text("write to jane.roe@corp-mail.net\n")
    shown = run("screen", file, "--json")
    assert shown.exit_code == 0
    assert json.loads(shown.stdout)["action"] == "redact"
    file.write_text("nothing to see\n")
    assert json.loads(run("screen", file, "--json").stdout) == {"action": "pass", "findings": []}


def test_render_writes_a_preview_with_the_pictures_inside_and_names_what_is_missing(run, tmp_path):
    file, picture, preview = tmp_path / "rca.md", tmp_path / "a.png", tmp_path / "out.html"
    file.write_text("---\ntags: [rca]\n---\n# T\n\n![x](a.png) ![gone](b.png)\n\n- [x] done\n")
    picture.write_bytes(b"\x89PNG")
    done = run("render", file, "--for", "confluence", "--attach", picture, "--preview", preview, "--json")
    answer = json.loads(done.stdout)
    assert (answer["title"], answer["labels"]) == ("T", ["rca"])
    assert [row["name"] for row in answer["attachments"]] == ["a.png"]
    assert "b.png" in answer["warnings"][0]
    shown = preview.read_text("utf-8")
    assert 'src="data:image/png;base64,' in shown
    assert "☑ done" in shown
    for target in ("azure_devops", "servicenow", "jira"):
        run("render", file, "--for", target, "--preview", preview)
        assert "done" in preview.read_text("utf-8")
    file.write_text("# Twice\n\nwords\n")
    for target in ("azure_devops", "servicenow", "jira"):
        run("render", file, "--for", target, "--preview", preview)
        assert preview.read_text("utf-8").count("Twice") == 2  # the page's own title, and the heading of the form


def test_the_preview_of_an_issue_in_jira_is_a_page_and_no_json(run, tmp_path):
    """Every kind of block that the format has, and nothing that a document's words could add."""
    file, preview = tmp_path / "rca.md", tmp_path / "out.html"
    file.write_text(
        "# T\n\n**b** *i* `c<d` ~~s~~ x<sub>2</sub> [l](https://e.com) [j](slack://x)\n\n3. one\n4. two\n\n> q\n\n---\n\n"
        '| a |\n|---|\n| <script> |\n\n> [!WARNING]\n> w\n\n??? note "More"\n    m\n\n```py\nx < 1\n```\n\n- [x] done\n'
    )
    run("render", file, "--for", "jira", "--preview", preview)
    shown = preview.read_text("utf-8")
    for part in (
        *(
            "<strong>b</strong>",
            "<em>i</em>",
            "<code>c&lt;d</code>",
            "<del>s</del>",
            '<a href="https://e.com" rel="noopener noreferrer">l</a>',
        ),
        *(
            '<ol start="3"><li><p>one</p></li>',
            "<blockquote><p>q</p></blockquote>",
            "<hr>",
            "<th><p>a</p></th>",
            "<p>&lt;script&gt;</p>",
        ),
        *(
            "<aside class=",
            "<details open><summary>More</summary><p>m</p></details>",
            "<pre><code>x &lt; 1</code></pre>",
            "done",
        ),
    ):
        assert part in shown, part
    assert '"type"' not in shown
    assert "slack:" not in re.sub(r"\(slack://x\)", "", shown)


def _packed(name, text):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, text)
    return packed.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        f"Störung: password = {PLANTED}\n".encode("latin-1"),
        f"Störung: password = {PLANTED}\n".encode("utf-16"),
        _packed("inner.zip", _packed("notes.txt", f"password = {PLANTED}\n")),
    ],
    ids=["Latin-1", "UTF-16", "an archive inside an archive"],
)
def test_screen_reads_a_file_as_it_is_read_when_it_is_attached(run, tmp_path, content):
    file = tmp_path / "attached"
    file.write_bytes(content)
    shown = run("screen", file)
    assert shown.exit_code == 3
    assert "line 1: Password" in shown.stdout
    assert PLANTED not in shown.output


def test_screen_stops_what_a_job_would_be_held_for(run, tmp_path):
    file = tmp_path / "attached"
    file.write_bytes(_packed("notes.txt", "write to jane.roe@corp-mail.net\n"))
    assert json.loads(run("screen", file, "--json").stdout)["action"] == "hold"
    file.write_bytes(b"PK\x03\x04\x00\x00 no archive")
    shown = run("screen", file)
    assert shown.exit_code == 3
    assert "can't be read" in shown.stderr
    assert run("screen", tmp_path / "absent").exit_code == 1


@pytest.mark.parametrize("command", [("render", "--for", "confluence"), ("document", "put")])
def test_files_that_cant_be_read_are_named_in_one_line(run, tmp_path, command):
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    for name, words in (("absent", "No such file"), ("latin", "not UTF-8"), (".", "directory")):
        shown = run(*command, tmp_path / name)
        assert shown.exit_code == 1
        assert words in shown.stderr
        assert len(shown.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"id": "x"}', "title: is missing"),
        ('{"id": "x", "title": "t", "severity": "P9"}', "severity"),
        ("[" * 100_000, "nesting too deep"),
        ('{"id": "x", "title": "\\ud800"}', "half a character"),
        ('{"id": "x", "title": "t", "created_at": 1e300}', "created_at: no such moment"),
        ('{"id": "x", "title": "t", "tags": 5}', "tags: must be a list"),
    ],
)
def test_a_bad_issue_is_refused_before_anything_is_connected(run, tmp_path, text, words):
    (tmp_path / "issue.json").write_text(text)
    shown = run("issue", "put", tmp_path / "issue.json")
    assert shown.exit_code == 1
    assert words in shown.stderr
    assert len(shown.stderr.splitlines()) == 1


def test_a_field_without_a_value_is_refused(run):
    shown = run("incident", "x", "--field", "nonsense")
    assert shown.exit_code == 2
    assert "is not NAME=VALUE. See `" in shown.stderr


@pytest.mark.parametrize(
    ("markdown", "title"),
    [
        ("# RCA: **Checkout** `pay` down\n\nx", "RCA: Checkout pay down"),
        ("intro\n\n```sh\n# not a heading\n```\n\n## The heading ##\n", "The heading"),
        ("Setext\n======\n", "Setext"),
        ("One\nTwo\n===\n", "One Two"),
        ("# $x^2$ grows\n", "x^2 grows"),
        ("no heading at all", "fallback"),
        ("---\ntitle: 'Incident: DNS'\n---\n\n## Timeline\n", "Incident: DNS"),
        ("---\ntitle: 7\n---\n\n## Timeline\n", "Timeline"),
        ("#\n\n# \u202e\n", "fallback"),
        ("", "fallback"),
    ],
)
def test_the_title_is_the_front_matters_or_the_first_heading_as_a_reader_sees_it(markdown, title):
    assert title_of(markdown, "fallback") == title


def test_other_peoples_words_cant_steer_the_terminal():
    shown = plain("[bold]x[/nope] \x1b[31mred\x07 \u202eabc\r\nnext")
    assert shown.plain == "[bold]x[/nope] [31mred abc\nnext"


def test_doctor_names_a_misspelt_variable_and_fails(run, monkeypatch):
    monkeypatch.setenv("AFTERWORD_REDIS_URI", "redis://planted")
    shown = run("doctor")
    assert shown.exit_code == 1
    assert "AFTERWORD_REDIS_URI" in shown.stdout
    assert "planted" not in shown.output


def test_a_setting_that_doesnt_fit_is_said_in_our_words(run):
    shown = run("destination", "set", "wiki", "--kind", "confluence", "--base-url", "notaurl", "--email", "x")
    assert "must be an address such as https://example.com" in shown.stderr
    assert "Value error" not in shown.stderr


@pytest.mark.parametrize("width", [40, 80, 200])
def test_an_id_in_a_list_is_whole_on_every_terminal(width):
    console = Console(width=width, soft_wrap=True)
    table = Table("Job", "Command", "Destination", "State", "Attempts", "What happened")
    identifier = "7e6c0b3a-fd80-4bc2-949d-aa61e6ea6582"
    table.add_row(identifier, "publish_to_confluence", "confluence", "dead", "1", "the page is gone " * 9)
    with console.capture() as shown:
        console.print(fitting(table, console))
    assert identifier in shown.get()
    assert "publish_to_confluence" in shown.get()


def test_no_word_of_a_table_is_cut():
    """An address is opened, or copied."""
    console = Console(width=140, soft_wrap=True)
    address = "https://dev.azure.com/example/0769e4d5-5f98-55fd-aa73-44bd8f467609/_workitems/edit/1003"
    table = Table("Job", "Title", "What happened")
    table.add_row("7e6c0b3a", "The page is gone " * 4, address)
    for width in (60, 140):
        console.width = width
        with console.capture() as shown:
            console.print(fitting(table, console))
        assert "…" not in shown.get()
        assert width == 140 or address in shown.get()


def test_every_command_and_option_says_what_it_is_in_whole_sentences():
    """Also in the list of a group's commands on a terminal of 80 columns, where click cuts a longer first sentence."""
    troubles = []
    for path, command in ALL:
        longest = max(len(other[-1]) for other, _ in ALL if other[:-1] == path[:-1])
        said = command.get_short_help_str(78 - 6 - longest)
        troubles += [(*path, said)] if len(path) > 1 and said.endswith("...") else []
        for option in (each for each in command.params if isinstance(each, click.Option) and not each.hidden):
            if not (option.help or "").endswith((".", ")")):
                troubles.append((*path, option.opts[0], option.help))
    assert troubles == []


def test_the_version_is_shown_for_people_and_for_programs(run):
    assert run("--version").output == f"afterword {version('afterword')}\n"
    assert json.loads(run("--version", "--json").output) == {"version": version("afterword")}


@pytest.mark.parametrize("arguments", [("jub",), ("job", "lst"), ("job", "list", "--sta", "dead")])
def test_a_guess_at_what_was_meant_ends_in_one_sign(run, arguments):
    said = run(*arguments).stderr
    assert "Did you mean" in said
    assert "?." not in said
    assert ")." not in said


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        ("confluence", "--base-url"),
        ("servicenow", "--instance-url"),
        ("azure_devops", "--org-url"),
        ("jira", "--base-url"),
    ],
)
def test_a_destination_without_its_address_is_wrong_usage(run, kind, missing):
    shown = run("destination", "set", "here", "--kind", kind)
    assert shown.exit_code == 2
    assert f"Missing option '{missing}'." in shown.stderr


def test_a_data_folder_that_is_not_there_is_named_and_no_key_is_advised(run, tmp_path):
    said = run("doctor", "--data", tmp_path / "typo").output
    assert f"There is no folder {tmp_path / 'typo'}." in said
    assert "key new" not in said


def test_a_port_that_is_taken_is_named_as_that(run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        shown = run("sandbox", "--port", taken.getsockname()[1])
    assert shown.exit_code == 1
    assert shown.stderr == "afterword: The port is already in use. Choose another with --port; 0 takes a free one.\n"


@pytest.mark.parametrize("host", ["not a host", "nowhere.invalid", "999.1.1.1", "x" * 70])
@pytest.mark.parametrize("command", ["sandbox", "api"])
def test_a_host_that_names_no_address_is_wrong_usage(run, command, host):
    shown = run(command, "--host", host, "--port", "0")
    assert shown.exit_code == 2
    assert len(shown.stderr.splitlines()) == 1
    assert "is no address and no known name; give an address of this machine" in shown.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("job", "list", "--limit", "x"), "'x' is not a whole number from 1 to 1000."),
        (("job", "list", "--limit", "0"), "0 is not a whole number from 1 to 1000."),
        (("up", "--port", "99999"), "99999 is not a whole number from 0 to 65535."),
        (("audit", "export", "--trim-days", "0"), "0 is not a whole number of 1 or more."),
        (("destination", "login", "wiki", "--timeout", "x"), "'x' is not a number from 1 to 3600."),
    ],
)
def test_a_number_that_is_none_is_answered_with_those_that_are_taken(run, arguments, said):
    shown = run(*arguments)
    assert shown.exit_code == 2
    assert said in shown.stderr
    assert "range" not in shown.stderr


def test_an_address_that_is_not_this_machines_is_named_as_that(run):
    """A sandbox listens there or says why not, in words."""
    shown = run("sandbox", "--host", "203.0.113.9", "--port", "0")
    assert shown.exit_code == 1
    assert shown.stderr.startswith("afterword: It can't listen there: ")
    assert shown.stderr.endswith("Choose another --host or --port.\n")
    assert "(" not in shown.stderr


def test_render_lists_what_does_not_look_as_written(run, tmp_path):
    """Also for tickets, and all of them: a receipt holds twenty."""
    file = tmp_path / "a.md"
    file.write_text("# T\n\n" + "{{< note >}}\n\n" * 30)
    for target in ("confluence", "azure_devops", "servicenow"):
        shown = run("render", file, "--for", target, "--warnings")
        assert shown.stdout.splitlines()[0] == "line 3: a shortcode of Hugo is shown as typed"
        assert len(shown.stdout.splitlines()) == 30
        told = json.loads(run("render", file, "--for", target, "--warnings", "--json").stdout)
        assert len(told["warnings"]) == 30


def test_what_a_receipt_warns_of_is_a_line_each():
    """A closed incident that was left as it is looks delivered; only its warning says why nothing was written."""
    job = Job(
        id="j1",
        command=parse_command({"command": "create_servicenow_incident", "issue_id": "inc-1"}),
        state=JobState.DELIVERED,
        destination="snow",
        kind="servicenow",
        subject="s1",
        order=1,
        created_ms=0,
        updated_ms=0,
        expires_ms=0,
    )
    assert warned(job) == []
    receipt = Receipt(
        id="1", url="https://example.com/1", change="skipped", warnings=("it is closed", "u_x is no field")
    )
    assert warned(job.model_copy(update={"receipt": receipt})) == [
        "  Warning: it is closed",
        "  Warning: u_x is no field",
    ]


async def test_a_job_is_shown_also_where_its_destination_cant_be_read():
    """Whether that lets nothing out is only a word beside the job's state."""
    directory = SimpleNamespace(get=AsyncMock(side_effect=KeyTrouble("The record of ops doesn't open here.")))
    job = SimpleNamespace(state=JobState.QUEUED, destination="ops")
    assert await closed_for(SimpleNamespace(destinations=directory), job) == ""


@pytest.mark.parametrize(("data", "said"), [(None, "without options"), (Path("/srv/one"), "with --data /srv/one")])
def test_a_start_says_how_other_commands_find_it(capsys, data, said):
    own = SimpleNamespace(data=data or Path("/home/ada/.afterword"), broker_address=lambda: "redis://broker")
    stack = SimpleNamespace(
        own_settings=own,
        producers_url="redis://producer",
        api_url="http://api",
        sandbox_url=None,
        new_keys=False,
        first_key=None,
    )
    announce(Context(as_json=False, data=data), stack)
    assert f"Other commands find this instance {said}." in capsys.readouterr().out
