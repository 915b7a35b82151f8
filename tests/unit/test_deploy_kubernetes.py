"""Manifest and Helm chart are true of the code, run without rights, and are alike."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from config.settings import OTHERS, Settings
from tests.unit.kubernetes_objects import (
    ALL,
    CHART,
    MANIFEST,
    SOURCES,
    helm,
    manifest,
    named,
    objects,
    of_kind,
    pod,
    rendered,
)
from tests.unit.test_deploy import COMPOSE, DOCKERFILE, OPEN_PATHS, ROOT, known_variable, must_resolve

OLDEST, NEWEST = "1.30", kubernetes_validate.latest_version()
OURS = {"worker", "api"}  # the roles that run `afterword`
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())


@pytest.fixture(params=SOURCES, scope="module")
def items(request) -> list[dict]:
    return SOURCES[request.param]()


def workloads(items: list[dict]) -> list[dict]:
    return of_kind(items, "Deployment", "StatefulSet")


def ours(items: list[dict]) -> list[dict]:
    return [item for item in workloads(items) if item["metadata"]["labels"]["role"] in OURS]


def settings(items: list[dict]) -> dict:
    return named(items, "ConfigMap", "afterword")["data"]


def must_be_known(item: dict, version: str) -> None:
    """Raises what is wrong with a field that this version of Kubernetes doesn't know, or takes otherwise."""
    kubernetes_validate.validate(item, version, strict=True)


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_knows_every_field(items, version):
    for item in items:
        must_be_known(item, version)


def test_a_misspelt_field_would_be_found():
    api = named(manifest(), "Deployment", "afterword-api")
    (container,) = pod(api)["containers"]
    container["readynessProbe"] = container.pop("readinessProbe")
    with pytest.raises(kubernetes_validate.ValidationError, match="readynessProbe"):
        must_be_known(api, NEWEST)


def test_there_are_workers_api_service_budgets_and_policies(items):
    assert {item["metadata"]["labels"]["role"] for item in ours(items)} == OURS
    assert {"ConfigMap", "Service", "PodDisruptionBudget", "NetworkPolicy"} <= {item["kind"] for item in items}
    assert {item["metadata"].get("namespace", "afterword") for item in items} == {"afterword"}


def test_every_container_runs_without_rights(items):
    for item in workloads(items):
        spec = pod(item)
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        volumes = {volume["name"] for volume in spec["volumes"]}
        claimed = {claim["metadata"]["name"] for claim in item["spec"].get("volumeClaimTemplates", [])}
        for container in (*spec.get("initContainers", []), *spec["containers"]):
            rights = container["securityContext"]
            assert rights["readOnlyRootFilesystem"] is True
            assert rights["allowPrivilegeEscalation"] is False
            assert rights["capabilities"] == {"drop": ["ALL"]}
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes | claimed
    for item in ours(items):
        assert f"USER {pod(item)['securityContext']['runAsUser']}" in DOCKERFILE


def test_every_command_exists_and_every_variable_is_a_setting(items):
    shared = settings(items)
    for item in ours(items):
        (container,) = pod(item)["containers"]
        must_resolve(container["args"])
        assert all(known_variable(name) for name in {each["name"] for each in container["env"]} | shared.keys())
        mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert str(Path(shared["AFTERWORD_KEYS_FILE"]).parent) in mounts


def test_every_probe_asks_something_that_answers(items):
    for item in ours(items):
        (container,) = pod(item)["containers"]
        for probe in (container["readinessProbe"], container["livenessProbe"]):
            if "exec" in probe:
                command, *words = probe["exec"]["command"]
                assert command == "afterword"
                must_resolve(words)
            else:
                assert probe["httpGet"]["path"] in OPEN_PATHS
                assert probe["httpGet"]["port"] in {port["name"] for port in container["ports"]}


def test_the_api_stays_reachable_without_a_worker(items):
    """Jobs are kept until one comes; an API taken out of its service would lose them, and the console with it."""
    (container,) = pod(named(items, "Deployment", "afterword-api"))["containers"]
    assert "/readyz" not in json.dumps(container)


def test_labels_of_budgets_policies_and_services_choose_pods_that_exist(items):
    labels = [item["spec"]["template"]["metadata"]["labels"] for item in workloads(items)]
    for item in of_kind(items, "Service", "PodDisruptionBudget", "NetworkPolicy", "Deployment", "StatefulSet"):
        chosen = item["spec"].get("podSelector", item["spec"].get("selector", {}))
        chosen = chosen.get("matchLabels", chosen)
        assert any(chosen.items() <= these.items() for these in labels), item["metadata"]["name"]


def test_services_and_policies_lead_to_ports_that_are_listened_on(items):
    """A port's number in a policy is the container's, in a service that of its name."""
    for item in of_kind(items, "Service", "NetworkPolicy"):
        chosen = item["spec"].get("podSelector", {}).get("matchLabels", item["spec"].get("selector"))
        role = chosen.get("role")
        if role is None:
            assert "ingress" not in item["spec"], "what chooses all pods lets nobody in"
            continue
        (target,) = [each for each in workloads(items) if each["metadata"]["labels"]["role"] == role]
        ports = pod(target)["containers"][0]["ports"]
        known = {port["name"] for port in ports} | {port["containerPort"] for port in ports}
        asked = [
            *item["spec"].get("ports", []),
            *(p for rule in item["spec"].get("ingress", []) for p in rule["ports"]),
        ]
        assert asked
        assert {port.get("targetPort", port["port"]) for port in asked} <= known
    (api,) = pod(named(items, "Deployment", "afterword-api"))["containers"]
    assert int(api["args"][api["args"].index("--port") + 1]) == api["ports"][0]["containerPort"]


def test_pods_are_given_longer_to_stop_than_a_worker_takes(items):
    spec = pod(named(items, "Deployment", "afterword-worker"))
    assert spec["terminationGracePeriodSeconds"] >= Settings.model_fields["drain_s"].default + 15


def test_checkpoints_are_kept_in_a_claim_that_every_pod_mounts(items):
    """A pod's own folder would go with the pod."""
    claim = named(items, "PersistentVolumeClaim", "afterword-checkpoints")
    for item in ours(items):
        spec = pod(item)
        wanted = {"claimName": claim["metadata"]["name"]}
        names = {each["name"] for each in spec["volumes"] if each.get("persistentVolumeClaim") == wanted}
        mounts = {mount["mountPath"]: mount["name"] for mount in spec["containers"][0]["volumeMounts"]}
        assert mounts[settings(items)["AFTERWORD_CHECKPOINTS"]] in names


# -- the chart ---------------------------------------------------------------------------------------------------------


def bare(item: dict) -> dict:
    """An object without what a chart has and a manifest has not: the namespace, the image's tag and policy, annotations."""
    text = (
        json.dumps(item).replace(f"afterword:{VERSION}", "afterword").replace('"imagePullPolicy": "IfNotPresent", ', "")
    )
    one = json.loads(text)
    for metadata in (one["metadata"], one["spec"].get("template", {}).get("metadata", {}) if "spec" in one else {}):
        metadata.pop("namespace", None)
        metadata.pop("annotations", None)
    return one


VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_chart_and_manifest_are_alike():
    """By default the chart makes the manifest's objects, field by field."""
    made = {(item["kind"], item["metadata"]["name"]): bare(item) for item in rendered({})}
    written = {(item["kind"], item["metadata"]["name"]): bare(item) for item in manifest()}
    assert made == written


def test_the_chart_is_of_this_version():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (VERSION, VERSION)


@pytest.mark.parametrize("values", [{}, ALL], ids=["as it is", "with all"])
def test_helm_has_nothing_to_say_against_the_chart(values):
    """Of its advice only the missing icon is left."""
    (answer,) = helm([values], lint=True)
    report = answer["lint"]
    assert report["errors"] == []
    assert [each["error"] for each in report["messages"]] == ["icon is recommended"]


def test_flower_runs_as_under_compose_with_an_account_of_its_own():
    flower = pod(named(rendered(ALL), "Deployment", "afterword-flower"))
    (container,) = flower["containers"]
    assert (container["command"], container["args"]) == (COMPOSE["flower"]["entrypoint"], COMPOSE["flower"]["command"])
    names = {each["name"]: each for each in container["env"]}
    assert names["AFTERWORD_REDIS_URL"]["value"].startswith(
        "redis://flower:$(FLOWER_REDIS_PASSWORD)@afterword-redis:6379/"
    )
    assert "FLOWER_BASIC_AUTH" in names
    assert [volume["name"] for volume in flower["volumes"]] == ["tmp"], "neither keys nor the ledger"
    path = container["readinessProbe"]["httpGet"]["path"]
    assert f":{container['ports'][0]['containerPort']}{path}'" in " ".join(COMPOSE["flower"]["healthcheck"]["test"])


def test_redis_runs_as_under_compose_with_the_same_files():
    items = rendered(ALL)
    (container,) = pod(named(items, "StatefulSet", "afterword-redis"))["containers"]
    assert (container["command"], container["args"]) == (COMPOSE["redis"]["entrypoint"], COMPOSE["redis"]["command"])
    assert container["image"] == COMPOSE["redis"]["image"]
    files = {path.name: path.read_text() for path in (ROOT / "deploy" / "redis").iterdir()}
    assert named(items, "ConfigMap", "afterword-redis")["data"] == files
    assert {each["name"] for each in container["env"]} <= COMPOSE["redis"]["environment"].keys()


def test_passwords_come_from_secrets_only():
    """What is named as a password is taken from a secret, in every container."""
    for item in workloads(rendered(ALL)):
        for container in pod(item)["containers"]:
            for each in container["env"]:
                if re.search("PASSWORD|AUTH", each["name"]):
                    assert "secretKeyRef" in each["valueFrom"], each


def split(value, default) -> list[tuple[str, object]]:
    """The values within a group of values; a value by itself, or a free map, as it is."""
    grouped = isinstance(default, dict) and default and default is not VALUES["settings"]
    return list(value.items()) if grouped else [("", value)]


def test_every_value_has_its_effect():
    """Each value of values.yaml changes what is rendered, so that none is a leftover."""
    changed = {
        "image": {"repository": "r/afterword", "tag": "x", "pullPolicy": "Always"},
        "imagePullSecrets": [{"name": "registry"}],
        "secrets": {"keys": "a", "redis": "b", "flower": "c"},
        "settings": {"AFTERWORD_LOG_FORMAT": "text"},
        "checkpoints": {
            "place": "/elsewhere",
            "existingClaim": "mine",
            "storageClass": "fast",
            "accessModes": ["ReadWriteOnce"],
            "size": "9Gi",
        },
        "worker": {"replicas": 7, "terminationGracePeriodSeconds": 300, "resources": {"limits": {"memory": "2Gi"}}},
        "api": {"replicas": 5, "port": 9090, "resources": {"limits": {"memory": "2Gi"}}},
        "flower": {"enabled": False, "resources": {"limits": {"memory": "2Gi"}}},
        "redis": {
            "enabled": False,
            "image": "redis:8",
            "storageClass": "fast",
            "size": "9Gi",
            "resources": {"limits": {"memory": "2Gi"}},
        },
        "podDisruptionBudget": {"minAvailable": 2},
        "networkPolicy": {"enabled": False, "clients": {"team": "ops"}},
        "podAnnotations": {"a": "b"},
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
    }
    assert changed.keys() == VALUES.keys()
    parts = {(name, part): one for name, value in changed.items() for part, one in split(value, VALUES[name])}
    assert {pair for pair in parts if pair[1]} == {
        (name, part) for name in VALUES for part, _ in split(VALUES[name], VALUES[name]) if part
    }
    asked = [{**ALL, name: {**ALL.get(name, {}), part: one} if part else one} for (name, part), one in parts.items()]
    before, *after = helm([ALL, *asked])
    assert [pair for pair, answer in zip(parts, after, strict=True) if answer["files"] == before["files"]] == []


@pytest.mark.parametrize("place", ["s3://bucket/afterword", "none"])
def test_checkpoints_in_an_object_store_or_nowhere_need_no_claim(place):
    items = rendered({"checkpoints": {"place": place}})
    assert of_kind(items, "PersistentVolumeClaim") == []
    assert settings(items)["AFTERWORD_CHECKPOINTS"] == place
    assert "checkpoints" not in {volume["name"] for item in ours(items) for volume in pod(item)["volumes"]}


def test_two_releases_keep_apart():
    """Objects and the labels that choose pods carry the release's name."""
    one, other = rendered(ALL), rendered(ALL, name="trial")
    assert not {(i["kind"], i["metadata"]["name"]) for i in one} & {(i["kind"], i["metadata"]["name"]) for i in other}
    assert {item["spec"]["selector"]["matchLabels"]["app"] for item in workloads(other)} == {"trial-afterword"}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"setings": {}}, "setings"),
        ({"settings": {"LOG_FORMAT": "json"}}, "LOG_FORMAT"),
        ({"settings": {"AFTERWORD_REDIS_URL": "redis://x"}}, "AFTERWORD_REDIS_URL"),
        ({"api": {"port": "8080"}}, "/api/port"),
        ({"worker": {"replicas": -1}}, "/worker/replicas"),
        ({"secrets": {"redis": "Not A Name"}}, "/secrets/redis"),
        ({"podDisruptionBudget": {"minAvailable": ""}}, "/podDisruptionBudget/minAvailable"),
        ({"networkPolicy": {"clients": {"afterword-client": None}}}, "/networkPolicy/clients"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(values, said):
    (answer,) = helm([values])
    assert said in answer["error"]
    schema = json.loads((CHART / "values.schema.json").read_text())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**VALUES, **values}, schema)


NULLS = [{name: None} for name in VALUES] + [
    {name: {part: None}} for name in VALUES for part, _ in split(VALUES[name], VALUES[name]) if part
]


def test_null_over_any_value_leaves_it_out_or_is_refused_by_its_name():
    """Null is how Helm takes a chart's own value away. What can't do without says so; the rest makes objects that are whole."""
    asked = [
        {name: {**ALL.get(name, {}), **(value or {})} if value else None}
        for each in NULLS
        for name, value in each.items()
    ]
    for values, answer in zip(asked, helm([{**ALL, **each} for each in asked]), strict=True):
        if "error" in answer:
            ((name, part),) = values.items()
            missing = next((key for key, one in (part or {}).items() if one is None), name)
            assert "don't meet the specifications of the schema" in answer["error"], answer["error"]
            assert missing in answer["error"]
            continue
        for item in objects(answer):
            kubernetes_validate.validate(item, NEWEST, strict=True)


def test_a_budget_and_a_number_of_pods_can_be_left_to_others():
    items = rendered({"podDisruptionBudget": None, "worker": {"replicas": None}, "api": {"resources": None}})
    assert of_kind(items, "PodDisruptionBudget") == []
    assert "replicas" not in named(items, "Deployment", "afterword-worker")["spec"]
    assert named(items, "Deployment", "afterword-api")["spec"]["replicas"] == VALUES["api"]["replicas"]
    assert "resources" not in pod(named(items, "Deployment", "afterword-api"))["containers"][0]


def test_what_the_schema_keeps_from_the_settings_are_settings():
    schema = json.loads((CHART / "values.schema.json").read_text())
    names = schema["properties"]["settings"]["propertyNames"]["not"]["enum"]
    assert all(known_variable(name) or name in OTHERS for name in names)


def test_the_manifest_says_what_has_to_be_there_before():
    assert "afterword-keys" in MANIFEST.read_text().splitlines()[0]
