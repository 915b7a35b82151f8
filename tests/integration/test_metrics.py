"""The metrics: true for every process, by Prometheus' rules, and the same names in dashboard, alerts and runbooks."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
import redis
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tasks import lifecycle
from tasks.model import JobState, parse_command
from tests.conftest import ROOT, until
from tests.integration.test_lifecycle import INCIDENT, PUBLISH
from worker.broker import queues
from worker.metrics import BREAKER_STATES, CONTENT_TYPE, DESTINATION_STATES, gather, render
from worker.runtime import open_services


async def samples(services) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Each sample's value by its name and labels."""
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families((await render(services)).decode()):
        for sample in family.samples:
            labels = tuple(sorted(sample.labels.items()))
            assert labels not in found.setdefault(sample.name, {}), "a sample stands there twice"
            found[sample.name][labels] = sample.value
    return found


def value(found, name: str, **labels: str) -> float:
    return found[name][tuple(sorted(labels.items()))]


@pytest.mark.usefixtures("destinations")
async def test_counts_and_latencies_are_true_whoever_did_the_work(services, settings, sandbox, content, start_worker):
    await sandbox.fault(vendor="servicenow", operation="create", fault="status", status=503)
    start_worker()
    jobs = [await services.submit(parse_command(command), actor="test") for command in (PUBLISH, INCIDENT)]

    async def done():
        return all([(await services.ledger.require(job.id)).state is JobState.DELIVERED for job in jobs])

    await until(done, what="both deliveries")
    async with open_services(settings) as elsewhere:
        found = await samples(elsewhere)
    assert value(found, "afterword_jobs", destination="confluence", state="delivered") == 1
    assert value(found, "afterword_jobs_submitted_total", destination="servicenow") == 1
    assert value(found, "afterword_jobs_entered_total", destination="servicenow", state="retrying") == 1
    assert value(found, "afterword_jobs_entered_total", destination="servicenow", state="running") == 2
    latency = "afterword_attempt_duration_seconds"
    for outcome in ("retrying", "delivered"):
        count = value(found, f"{latency}_count", destination="servicenow", outcome=outcome)
        assert count == 1
        assert value(found, f"{latency}_bucket", destination="servicenow", outcome=outcome, le="+Inf") == count
        assert value(found, f"{latency}_sum", destination="servicenow", outcome=outcome) > 0
    assert value(found, "afterword_workers", state="alive") == 1
    assert value(found, "afterword_broker_up") == 1
    assert value(found, "afterword_audit_entries") > 10


@pytest.mark.usefixtures("destinations")
async def test_buckets_only_rise(services, content):
    job = await services.submit(parse_command(PUBLISH), actor="test")
    await lifecycle.attempt(services.core, job.id)
    buckets = (await samples(services))["afterword_attempt_duration_seconds_bucket"]
    by_bound = sorted((float(dict(labels)["le"]), count) for labels, count in buckets.items())
    assert [count for _, count in by_bound] == sorted(count for _, count in by_bound)
    assert len(by_bound) == 11


@pytest.mark.usefixtures("destinations")
async def test_waiting_jobs_show_their_lag_and_a_paused_destination_its_state(services, content):
    await services.destinations.pause("servicenow", "test")
    await services.submit(parse_command(INCIDENT), actor="test")
    found = await samples(services)
    assert value(found, "afterword_due_jobs", destination="servicenow") == 1
    assert value(found, "afterword_due_jobs", destination="confluence") == 0
    assert value(found, "afterword_destination_state", destination="servicenow", state="paused") == 1
    assert value(found, "afterword_destination_state", destination="servicenow", state="ready") == 0
    assert value(found, "afterword_oldest_job_age_seconds", destination="servicenow", state="queued") >= 0


@pytest.mark.usefixtures("destinations")
async def test_messages_in_the_brokers_queues_are_counted_and_a_broker_that_is_away_says_so(
    services, settings, valkey, unused_tcp_port
):
    with redis.Redis.from_url(valkey.url) as client:
        client.lpush("confluence", "a", "b")
    lengths = queues.queue_lengths(settings)
    assert lengths.messages == {"celery": 0, "confluence": 2, "servicenow": 0, "azure_devops": 0, "jira": 0}
    away = settings.model_copy(update={"broker_url": f"redis://127.0.0.1:{unused_tcp_port}/0"})
    found = await samples(replace(services, settings=away))
    assert value(found, "afterword_broker_up") == 0
    assert not found.get("afterword_broker_queue_messages")


@pytest.mark.usefixtures("destinations")
async def test_producers_cannot_grow_the_counters_by_naming_destinations_that_do_not_exist(services):
    for number in range(3):
        command = parse_command({**INCIDENT, "destination": f"nowhere-{number}"})
        await services.submit(command, actor="test", adopt=True)
    submitted = (await samples(services))["afterword_jobs_submitted_total"]
    assert submitted == {(("destination", ""),): 3}


@pytest.mark.usefixtures("destinations")
async def test_names_and_texts_follow_prometheus_conventions(services, content):
    job = await services.submit(parse_command(PUBLISH), actor="test")
    await lifecycle.attempt(services.core, job.id)
    text = (await render(services)).decode()
    assert CONTENT_TYPE.startswith("text/plain")
    assert text.endswith("\n")
    families = list(text_string_to_metric_families(text))
    assert len({family.name for family in families}) == len(families)
    for family in families:
        assert re.fullmatch(r"afterword_[a-z][a-z0-9_]*[a-z]", family.name), family.name
        assert family.documentation.endswith("."), family.name
        assert family.type in ("gauge", "counter", "histogram"), family.name
        units = re.findall(r"milliseconds|minutes|hours|_ms(?:_|$)|kilobytes|percent", family.name)
        assert not units, f"{family.name} isn't in base units"
        if family.type == "counter":
            assert all(sample.name.endswith("_total") for sample in family.samples)
        else:
            assert not family.name.endswith("_total")
        for sample in family.samples:
            assert all(re.fullmatch(r"[a-z]+", label) for label in sample.labels)
            assert not set(sample.labels) & {"job", "instance"}, "these labels are the scraper's own"


async def exported(services) -> dict[str, set[str]]:
    """The labels of each sample's name, also of those that have no sample yet."""
    found = {}
    for family in await gather(services):
        labels = set(family._labelnames)
        match family.type:
            case "counter":
                found[f"{family.name}_total"] = labels
            case "histogram":
                found[f"{family.name}_bucket"] = labels | {"le"}
                found[f"{family.name}_count"] = found[f"{family.name}_sum"] = labels
            case _:
                found[family.name] = labels
    return found


STATES = {
    "afterword_jobs": set(JobState),
    "afterword_jobs_entered_total": set(JobState),
    "afterword_oldest_job_age_seconds": set(JobState),
    "afterword_destination_state": set(DESTINATION_STATES),
    "afterword_destination_breaker_state": set(BREAKER_STATES),
    "afterword_workers": {"alive", "silent"},
}


def check(expression: str, known: dict[str, set[str]]) -> None:
    """Every name of the expression is exported, every label it uses belongs to it, every state exists."""
    names = re.findall(r"(afterword_\w+)(?:\{([^}]*)\})?", expression)
    assert names, expression
    for name, selector in names:
        assert name in known, f"{name} of {expression!r} is not exported"
        for label, wanted in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"([^\"]*)\"", selector):
            assert label in known[name], f"{name} has no label {label}"
            if label == "state":
                assert set(wanted.split("|")) <= STATES[name], f"{name} is never {wanted}"
            if label == "outcome":
                assert wanted in set(JobState)
    every = set.union(*(known[name] for name, _ in names))
    for grouped in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expression):
        assert {label.strip() for label in grouped.split(",")} <= every, expression
    assert expression.count("(") == expression.count(")")


@pytest.mark.usefixtures("destinations")
async def test_alert_rules_and_dashboard_speak_of_what_is_exported_and_nothing_else(services):
    known = await exported(services)
    rules = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        check(rule["expr"], known)
        names = re.findall(r"afterword_\w+", rule["expr"])
        said = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
        assert said <= set.union(*(known[name] for name in names)), rule["alert"]
    dashboard = json.loads((ROOT / "deploy" / "grafana" / "afterword.json").read_text())
    shown = set()
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            check(target["expr"], known)
            names = re.findall(r"afterword_\w+", target["expr"])
            shown |= set(names)
            labels = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
            assert labels <= set.union(*(known[name] for name in names)), panel["title"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            check(variable["query"], known)
    left_out = set(known) - shown
    assert len({(p["gridPos"]["x"], p["gridPos"]["y"]) for p in dashboard["panels"]}) == len(dashboard["panels"])
    assert not [name for name in left_out if name.startswith("afterword_destination_state")], "no panel shows it"


def test_a_broken_expression_would_be_noticed():
    known = {"afterword_jobs": {"state", "destination"}}
    check('sum by (state) (afterword_jobs{state="held"})', known)
    for wrong in ('afterword_job{state="held"}', 'afterword_jobs{colour="red"}', 'afterword_jobs{state="hold"}'):
        with pytest.raises(AssertionError):
            check(wrong, known)
    with pytest.raises(AssertionError):
        check("sum by (worker) (afterword_jobs)", known)
