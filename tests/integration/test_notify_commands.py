"""`afterword notify`: receivers from the command line."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from tests.conftest import environment
from worker.cli import root

HOOK = ("notify", "set", "ops", "--kind", "webhook", "--url", "https://hooks.example/ops")
SLACK_URL = "https://hooks.slack.example/services/T0/B0/" + "planted-77"


@pytest.fixture
def cli(settings):
    """Runs a command on this instance; its exit code is checked."""

    def run(*args: str, stdin: str = "", status: int = 0):
        result = CliRunner().invoke(root, [*args, "--json"], input=stdin, env=environment(settings))
        assert result.exit_code == status, result.output
        said = json.loads(result.stdout) if result.stdout.strip() else {}
        return said["error"]["message"] if status else said

    return run


def test_a_webhook_gets_a_signing_secret_that_is_shown_once_and_kept(cli):
    """A later change of the topics keeps it; another address gets another."""
    made = cli(*HOOK)
    assert made["secret"].startswith("whsec_")
    assert "secret" not in cli(*HOOK, "--topics", "dead,held")
    assert cli(*HOOK[:-1], "https://other.example/ops")["secret"] != made["secret"]
    (row,) = cli("notify", "list")
    assert (row["name"], row["host"], row["failures"]) == ("ops", "other.example", 0)
    assert "secret" not in row


def test_an_address_that_is_a_secret_is_no_argument_and_is_never_shown(cli):
    """Slack's and Teams' addresses let anybody post."""
    cli("notify", "set", "chat", "--kind", "slack", "--url", SLACK_URL, status=2)
    made = cli("notify", "set", "chat", "--kind", "slack", "--secret-stdin", stdin=SLACK_URL)
    assert made["host"] == "hooks.slack.example"
    assert "planted-77" not in json.dumps([made, cli("notify", "list"), cli("audit", "tail")])


def test_a_topic_that_there_is_none_of_is_refused(cli):
    """It would never be told."""
    assert "topics" in cli(*HOOK, "--topics", "deaf", status=2)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("--interval", "0"), "is not a whole number from 1 to 86400"),
        (("--topics", ","), "topics: must not be empty"),
        (("--url", "hooks"), "url: must be an address, such as"),
        (("--console", "here"), "console: must be an address, such as"),
    ],
)
def test_a_value_that_can_not_be_is_refused_in_words(cli, given, words):
    """None is taken for its default, and none is told in a validator's words."""
    said = cli(*HOOK, *given, status=2)
    assert words in said
    assert not [word for word in ("pattern", "Tuple", "String", "Input") if word in said]


@pytest.mark.parametrize(
    ("given", "missing"),
    [(("--kind", "webhook"), "--url"), (("--kind", "email", "--smtp-host", "mail.example"), "--from")],
)
def test_a_missing_option_is_wrong_usage(cli, given, missing):
    """As with every other command."""
    assert cli("notify", "set", "ops", *given, status=2).startswith(f"Missing option '{missing}'.")


def test_a_name_of_another_form_is_refused_in_words(cli):
    """The name is what commands and addresses hold."""
    assert "small letters" in cli("notify", "set", "My Ops", *HOOK[3:], status=2)


def test_a_receiver_is_removed_once(cli):
    """The second time there is none."""
    cli(*HOOK)
    assert cli("notify", "remove", "ops")["removed"]
    assert cli("notify", "list") == []
    assert "no receiver" in cli("notify", "remove", "ops", status=1)


def test_doctor_tells_of_a_receiver_that_is_not_reached(cli, settings):
    """Nobody else would say that nobody is told."""

    def said():
        result = CliRunner().invoke(root, ["doctor"], env=environment(settings))
        return next(line for line in result.output.splitlines() if "receiver ops" in line)

    cli(*HOOK[:-1], "http://127.0.0.1:1/ops", "--allow-http")
    assert "untested" in said()
    cli("notify", "test", "ops", status=1)
    assert said().startswith("WRONG")
    assert "notify test ops" in said()


def test_a_test_message_that_fails_says_why(cli):
    """Loopback was not allowed."""
    cli(*HOOK[:-1], "https://127.0.0.1:9/ops")
    assert "not permitted" in cli("notify", "test", "ops", status=1)
