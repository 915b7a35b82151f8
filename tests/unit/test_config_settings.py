"""Settings: where addresses come from, and what a wrong one says."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import stat
import sys
from pathlib import Path

import pytest

from config.instance import write_instance
from config.logging import configure_logging
from config.settings import ConfigError, Settings, settings_for, unknown_variables

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("AFTERWORD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AFTERWORD_DATA", str(tmp_path))


def test_the_variable_wins_over_the_running_instance(tmp_path, monkeypatch):
    write_instance(Settings().data, {"redis_url": "redis://left:1/0", "broker_url": "amqp://left"})
    assert Settings().redis_address() == "redis://left:1/0"
    assert Settings().broker_address() == "amqp://left"
    monkeypatch.setenv("AFTERWORD_REDIS_URL", "redis://given:2/0")
    assert Settings().redis_address() == "redis://given:2/0"
    assert Settings().broker_address() == "redis://given:2/0"
    monkeypatch.setenv("AFTERWORD_BROKER_URL", "amqp://given")
    assert Settings().broker_address() == "amqp://given"


def test_without_redis_the_error_says_both_ways_out():
    with pytest.raises(ConfigError, match=r"afterword up.*AFTERWORD_REDIS_URL"):
        Settings().redis_address()


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_broken_instance_file_is_as_good_as_none(tmp_path, text):
    (tmp_path / "instance.json").write_text(text)
    assert Settings().instance() == {}


def test_a_wrong_scheme_is_named_and_the_password_behind_it_is_not(monkeypatch):
    monkeypatch.setenv("AFTERWORD_REDIS_URL", "http://:hunter2@x")
    with pytest.raises(ConfigError, match="redis://") as refusal:
        Settings().redis_address()
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("password", ["hunter2/x", "hunter2#x", "hunter2?x", "hun:ter2@[x"])
@pytest.mark.parametrize(
    ("name", "scheme"),
    [("AFTERWORD_REDIS_URL", "redis"), ("AFTERWORD_REDIS_URL", "rediss"), ("AFTERWORD_BROKER_URL", "amqp")],
)
def test_a_password_that_breaks_its_address_is_told_how_to_be_written_and_not_quoted(
    monkeypatch, name, scheme, password
):
    monkeypatch.setenv("AFTERWORD_REDIS_URL", "redis://127.0.0.1:1/0")
    for account in (":", "bot:", ""):
        monkeypatch.setenv(name, f"{scheme}://{account}{password}@127.0.0.1:1/0")
        with pytest.raises(ConfigError, match=f"{name}.*%2F") as refusal:
            Settings().redis_address()
            Settings().broker_address()
        assert "hun" not in str(refusal.value)
    monkeypatch.setenv(name, f"{scheme}://bot:hunter2%2Fx%40@127.0.0.1:1/0")
    assert Settings().broker_address().startswith(("redis", "amqp"))


def test_settings_that_are_shown_show_no_password(monkeypatch):
    """A service that prints its settings, such as in a failed assertion, would print those of the addresses."""
    monkeypatch.setenv("AFTERWORD_REDIS_URL", "redis://:hunter2@127.0.0.1:1/0")
    monkeypatch.setenv("AFTERWORD_BROKER_URL", "amqp://bot:hunter2@127.0.0.1//")
    monkeypatch.setenv("AFTERWORD_KEYS", "hunter2")
    assert "hunter2" not in repr(Settings()) + str(Settings())


def test_several_brokers_may_be_named(monkeypatch):
    monkeypatch.setenv("AFTERWORD_BROKER_URL", "amqp://u:p@one//;amqp://u:p@two//")
    assert Settings().broker_address() == "amqp://u:p@one//;amqp://u:p@two//"


def test_there_is_one_redis_only(monkeypatch):
    monkeypatch.setenv("AFTERWORD_REDIS_URL", "redis://:hunter2@one:6379/0;redis://:hunter2@two:6379/0")
    with pytest.raises(ConfigError, match="AFTERWORD_REDIS_URL") as refusal:
        Settings().redis_address()
    assert "hunter2" not in str(refusal.value)


def test_bad_values_are_named_by_their_variables_without_the_values(monkeypatch):
    monkeypatch.setenv("AFTERWORD_CONCURRENCY", "planted-value")
    monkeypatch.setenv("AFTERWORD_PREFIX", "Not Good")
    with pytest.raises(ConfigError, match=r"AFTERWORD_CONCURRENCY: .*AFTERWORD_PREFIX: ") as refusal:
        settings_for(None)
    assert "planted-value" not in str(refusal.value)


ADDRESSES = ["TIMESTAMP_URL", "TIMESTAMP_PROXY_URL", "OIDC_PROXY_URL", "OTLP_ENDPOINT"]


@pytest.mark.parametrize("name", ADDRESSES)
@pytest.mark.parametrize(
    "value", ["nourl", "ftp://a", "https://", "https:///path", "http://a:port", "http://a b/", "http://a:0"]
)
def test_what_is_no_address_is_told_how_one_is_written(monkeypatch, name, value):
    monkeypatch.setenv(f"AFTERWORD_{name}", value)
    with pytest.raises(ConfigError, match=rf"AFTERWORD_{name}: must be an address such as `https://"):
        settings_for(None)


@pytest.mark.parametrize("value", ["syslog://host:abc", "s3://[bad", "syslog://host:0"])
def test_a_place_for_checkpoints_that_can_not_be_taken_apart_is_refused_at_the_start(monkeypatch, value):
    monkeypatch.setenv("AFTERWORD_CHECKPOINTS", value)
    with pytest.raises(ConfigError, match="AFTERWORD_CHECKPOINTS: must be a folder, an address such as"):
        settings_for(None)


@pytest.mark.parametrize("value", ["-7", "words of no kind", "inf", "nan", "1e999"])
def test_every_setting_says_in_our_words_what_it_must_be(monkeypatch, value):
    """Whatever a setting refuses, it refuses it in words that say what to write, as the page of settings does."""
    refused = 0
    for name in Settings.model_fields:
        with monkeypatch.context() as patch:
            patch.setenv(f"AFTERWORD_{name.upper()}", value)
            try:
                settings_for(None)
            except ConfigError as error:
                refused += 1
                assert re.search(r": must be |write |name the client|no network", str(error)), str(error)
                assert "nput should" not in str(error)
    assert refused > 20


def test_an_empty_variable_means_the_default(monkeypatch):
    for name in ("REDIS_URL", "KEYS_FILE", "KEYS", "CONCURRENCY"):
        monkeypatch.setenv(f"AFTERWORD_{name}", "")
    found = Settings()
    assert (found.redis_url, found.keys_file, found.keys, found.concurrency) == (None, None, None, 200)


def test_folders_are_absolute_for_child_processes_elsewhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert settings_for(Path("here")).data == tmp_path / "here"
    assert settings_for(Path("~/there")).data == Path("~/there").expanduser()


def test_a_data_folder_given_on_the_command_line_takes_the_variables_place(tmp_path):
    assert settings_for(tmp_path / "given").data == tmp_path / "given"
    assert settings_for(None).data == tmp_path


def test_the_instance_file_is_the_owners_alone_and_replaced_as_a_whole(tmp_path):
    write_instance(Settings().data, {"redis_url": "redis://one"})
    write_instance(Settings().data, {"redis_url": "redis://two"})
    file = tmp_path / "instance.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text()) == {"redis_url": "redis://two"}
    assert [path.name for path in tmp_path.iterdir()] == ["instance.json"]


def test_keys_stay_out_of_every_rendering_of_settings():
    planted = "S3cret-" + "planted"
    found = Settings(keys=planted)
    assert planted not in repr(found) + str(found) + found.model_dump_json()


def test_misspelt_variables_are_found():
    assert unknown_variables({"AFTERWORD_REDIS_URI": "x", "AFTERWORD_DATA": "y", "HOME": "z"}) == [
        "AFTERWORD_REDIS_URI"
    ]


def test_what_the_programs_of_the_producers_page_read_is_not_misspelt():
    """Somebody who tries them has it in his environment, and `doctor` found fault with that."""
    page = (ROOT / "docs" / "producers.md").read_text()
    own = {"AFTERWORD_URL": "http://127.0.0.1:8080", "AFTERWORD_KEY": "ak_0.secret", "AFTERWORD_BROKER": "redis://x"}
    assert set(re.findall(r"AFTERWORD_[A-Z]+", page)) == set(own)
    assert unknown_variables(own) == []
    assert unknown_variables(own | {"AFTERWORD_KEY": "not-an-api-key"}) == ["AFTERWORD_KEY"]


def test_the_configuration_page_names_every_setting_with_its_default():
    page = (ROOT / "docs" / "configuration.md").read_text()
    for name, setting in Settings.model_fields.items():
        rows = [line for line in page.splitlines() if line.startswith(f"| `AFTERWORD_{name.upper()}` |")]
        assert len(rows) == 1, name
        if setting.default is not None and setting.default_factory is None:
            assert f"`{setting.default}`" in rows[0]


def logged(monkeypatch, act) -> list[str]:
    """What our logging writes while `act` logs."""
    root, stream = logging.getLogger(), io.StringIO()
    with monkeypatch.context() as patch:
        patch.setattr(root, "handlers", [])
        patch.setattr(root, "level", root.level)
        patch.setattr(sys, "stderr", stream)
        configure_logging(Settings())
        act()
    return stream.getvalue().splitlines()


def test_an_event_is_one_line_whatever_it_quotes(monkeypatch):
    (line,) = logged(monkeypatch, lambda: logging.getLogger("x").warning("said %s", "a\nb\r\nc\x1b[31m\u2028d"))
    assert line.endswith("WARNING x: said a b c [31m d")


def test_a_logged_exception_shows_its_type_and_place_and_not_its_words(monkeypatch):
    def fail():
        try:
            int("planted-words")
        except ValueError:
            logging.getLogger("x").exception("failed")

    (line,) = logged(monkeypatch, fail)
    assert "ValueError at " in line
    assert "planted-words" not in line


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_a_setting_that_is_refused_says_what_it_takes_in_words(name, monkeypatch):
    """None of pydantic's, and no pattern."""
    for value in ("", "not a thing", "-5", "9" * 30, "x=", "https://"):
        monkeypatch.setenv(f"AFTERWORD_{name.upper()}", value)
        try:
            settings_for()
        except ConfigError as error:
            said = str(error)
            assert f"AFTERWORD_{name.upper()}" in said
            assert not any(
                word in said for word in ("Input should", "String should", "pattern", "parse", "validat", "^")
            )


def test_several_settings_that_are_refused_are_named_together(monkeypatch):
    """With bounds and alternatives, as the reference has them."""
    monkeypatch.setenv("AFTERWORD_CONCURRENCY", "0")
    monkeypatch.setenv("AFTERWORD_LOG_LEVEL", "loud")
    with pytest.raises(ConfigError) as refused:
        settings_for()
    assert "AFTERWORD_CONCURRENCY: must be a whole number from 1 to 2000" in str(refused.value)
    assert "AFTERWORD_LOG_LEVEL: must be one of `DEBUG`, `INFO`, `WARNING`, `ERROR`" in str(refused.value)
