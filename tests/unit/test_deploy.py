"""What stands in deploy/, the Dockerfile and the compose file is true of the code: commands, ports, paths, variables."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import click
import pytest
import yaml

from config.keys import create_key_file, load_key_ring
from config.settings import OTHERS, ConfigError, Settings
from worker.api.routes import ROUTES
from worker.cli import root

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
ALERTS = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
OURS = ("keys", "worker-1", "worker-2", "api")
OPEN_PATHS = {route.address for route in ROUTES if route.method == "GET"}


def must_resolve(words: list[str]) -> click.Command:
    """The command that these words run; fails where the command or one of its options doesn't exist."""
    command: click.Command = root
    rest = list(words)
    while isinstance(command, click.Group):
        command = command.commands[rest.pop(0)]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word.split("=")[0] for word in rest if word.startswith("-") and word != "-"} <= known, words
    return command


def known_variable(name: str) -> bool:
    return not name.startswith("AFTERWORD_") or name.removeprefix("AFTERWORD_").lower() in Settings.model_fields


# -- Docker ----------------------------------------------------------------------------------------------------------


def test_the_image_runs_as_a_plain_user_and_checks_its_worker():
    assert re.search(r"^USER 10001$", DOCKERFILE, re.MULTILINE)
    entry = json.loads(re.search(r"^ENTRYPOINT (.+)$", DOCKERFILE, re.MULTILINE).group(1))
    default = json.loads(re.search(r"^CMD (.+)$", DOCKERFILE, re.MULTILINE).group(1))
    check = json.loads(re.search(r"^HEALTHCHECK .+ CMD (.+)$", DOCKERFILE, re.MULTILINE).group(1))
    assert entry == ["afterword"]
    assert check[0] == "afterword"
    assert must_resolve(default).name == "worker"
    assert must_resolve(check[1:]).name == "doctor"
    assert "--require-hashes" in DOCKERFILE


def test_compose_runs_redis_keys_two_workers_the_api_and_flower():
    assert set(COMPOSE) == {"redis", "keys", "worker-1", "worker-2", "api", "flower"}
    assert COMPOSE["worker-1"]["command"] == COMPOSE["worker-2"]["command"]


def test_one_service_of_compose_builds_the_image_that_the_others_wait_for():
    """Several would build one tag at once; a registry is asked for it by none."""
    ours = {name: service for name, service in COMPOSE.items() if service["image"] == "afterword"}
    assert len(ours) == 5
    assert [name for name, service in ours.items() if "build" in service] == ["keys"]
    assert {service["pull_policy"] for service in ours.values()} == {"never"}
    for name in set(ours) - {"keys"}:
        assert ours[name]["depends_on"]["keys"] == {"condition": "service_completed_successfully"}


@pytest.mark.parametrize("name", sorted(COMPOSE))
def test_every_service_is_hardened_and_published_on_loopback_only(name):
    service = COMPOSE[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@pytest.mark.parametrize("name", OURS)
def test_every_command_of_compose_exists(name):
    service = COMPOSE[name]
    if name == "keys":
        script = service["entrypoint"][2]
        must_resolve(shlex.split(script.split("exec afterword ")[1]))
        return
    must_resolve(service["command"])


def test_the_api_listens_where_compose_publishes_and_checks_it():
    words = COMPOSE["api"]["command"]
    port = words[words.index("--port") + 1]
    assert COMPOSE["api"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    (path,) = re.findall(rf"http://127\.0\.0\.1:{port}(/\w+)", " ".join(COMPOSE["api"]["healthcheck"]["test"]))
    assert path in OPEN_PATHS


def test_every_variable_that_compose_sets_is_a_setting_and_every_one_it_asks_for_is_explained():
    text = (ROOT / "docker-compose.yml").read_text()
    asked = set(re.findall(r"\$\{(\w+):\?", text))
    example = set(re.findall(r"^(\w+)=", (DEPLOY / "env.example").read_text(), re.MULTILINE))
    optional = set(re.findall(r"\$\{(\w+):-", text))
    assert asked <= example <= asked | optional
    for service in COMPOSE.values():
        for name in service.get("environment", {}):
            assert known_variable(name), name
    for name in asked | set(re.findall(r"\$\{(AFTERWORD_\w+)", text)):
        assert known_variable(name) or name in OTHERS, name


def test_containers_are_given_longer_to_stop_than_a_worker_takes():
    drain_s = Settings.model_fields["drain_s"].default
    for name in ("worker-1", "worker-2"):
        assert int(COMPOSE[name]["stop_grace_period"].removesuffix("s")) >= drain_s + 15
    for unit in (DEPLOY / "systemd").glob("afterword-worker*"):
        assert int(re.search(r"TimeoutStopSec=(\d+)", unit.read_text()).group(1)) >= drain_s + 15


def test_flower_is_behind_a_password_and_has_neither_keys_nor_the_ledgers_account():
    flower = COMPOSE["flower"]
    assert "FLOWER_BASIC_AUTH" in flower["environment"]
    assert "redis://flower:" in flower["environment"]["AFTERWORD_REDIS_URL"]
    assert "volumes" not in flower
    assert "AFTERWORD_KEYS_FILE" not in flower["environment"]


def test_only_the_one_shot_service_may_write_keys():
    for name, service in COMPOSE.items():
        for volume in service.get("volumes", []):
            if volume.startswith("keys:") and name != "keys":
                assert volume.endswith(":ro"), name


@pytest.mark.parametrize("name", ["worker-1", "worker-2", "api"])
def test_checkpoints_of_the_audit_are_kept_in_a_volume_of_their_own(name):
    """Not in Redis' volume: whoever can change that must not reach the evidence. The image has the folder for its user."""
    service = COMPOSE[name]
    place = service["environment"]["AFTERWORD_CHECKPOINTS"]
    (volume,) = [each for each in service["volumes"] if each.endswith(f":{place}")]
    assert volume.split(":")[0] not in {each.split(":")[0] for each in COMPOSE["redis"]["volumes"]}
    assert re.search(rf"install -d -m 0700 -o afterword .*{place}\b", DOCKERFILE)


def test_redis_is_durable_and_its_default_user_is_off():
    conf = (DEPLOY / "redis" / "redis.conf").read_text()
    for line in ("appendonly yes", "appendfsync always", "maxmemory-policy noeviction"):
        assert line in conf
        assert line in (DEPLOY / "sentinel" / "redis.conf").read_text()
    users = (DEPLOY / "redis" / "users.acl").read_text()
    assert users.startswith("user default off\n")
    assert "nopass" not in users
    assert "+@all" not in users
    assert "allkeys" not in users


# -- systemd ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_every_unit_runs_a_command_that_exists_hardened_as_a_plain_user(unit):
    text = unit.read_text()
    (command,) = re.findall(r"^ExecStart=\S+/afterword (.+)$", text, re.MULTILINE)
    must_resolve(shlex.split(command))
    for line in ("User=afterword", "NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=\n"):
        assert line in text
    assert "LoadCredential=afterword-keys:" in text


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_understands_every_line(unit):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if unit.name.split("@")[0].split(".")[0] in line]
    assert not [line for line in said if "is not executable" not in line], done.stderr


def test_the_units_environment_holds_settings_only():
    names = re.findall(r"^(\w+)=", (DEPLOY / "systemd" / "afterword.env").read_text(), re.MULTILINE)
    assert names
    assert all(known_variable(name) for name in names)


# -- runbooks --------------------------------------------------------------------------------------------------------


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def alerts() -> list[dict]:
    return [rule for group in ALERTS["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_every_alert_leads_to_a_runbook(rule):
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert anchor in anchors(page), rule["annotations"]["runbook"]
    assert rule["labels"]["severity"] in ("info", "warning", "critical")


PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))


def documented_commands() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        text = (ROOT / page).read_text()
        lines = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
        lines += re.findall(r"`(afterword [a-z][^`…]*)`", text)
        for line in lines:
            command = re.split(r"\s{2,}#|\s#\s", line)[0].strip()
            if command.startswith("afterword ") and (page, command) not in found:
                found.append((page, command))
    return found


@pytest.mark.parametrize(("page", "command"), documented_commands())
def test_every_command_of_the_pages_exists_with_its_options(page, command):
    words = [word for word in shlex.split(command)[1:] if "|" not in word]
    group: click.Command = root
    rest = list(words)
    while isinstance(group, click.Group) and rest and not rest[0].startswith("-"):
        group = group.commands[rest.pop(0)]
    known = {option for parameter in group.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word.split("=")[0] for word in rest if re.match(r"--?[a-z]", word)} <= known


@pytest.mark.parametrize(("mode", "fine"), [(0o400, True), (0o440, True), (0o444, False), (0o460, False)])
def test_keys_are_taken_from_systemd_as_it_hands_them_to_a_plain_user(tmp_path, monkeypatch, mode, fine):
    create_key_file(tmp_path / "afterword-keys")
    (tmp_path / "afterword-keys").chmod(mode)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    if fine:
        assert load_key_ring(Settings()).order
    else:
        with pytest.raises(ConfigError, match="open to others"):
            load_key_ring(Settings())


def test_there_is_one_text_of_what_each_account_may_do():
    """What `afterword up` loads, also where it is installed, is the file that compose and the chart hand to Redis."""
    inside = ROOT / "worker" / "machine" / "users.acl"
    assert inside.resolve() == DEPLOY / "redis" / "users.acl"
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    assert f"*{inside.suffix}" in data["*"]
