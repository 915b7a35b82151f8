"""The answer of `/metrics`, in Prometheus' text format.

Any process that can read the ledger can answer for all of them: gauges are read from Redis at each scrape, counters and
the histogram are kept there by the scripts that move the jobs. Scrape one API process; the figures of two are the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import accumulate
from typing import get_args

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from tasks.authorization.status import CredentialStatus, status_of
from tasks.state.audit.stamps import StampHealth, stamp_health
from tasks.state.jobs.figures import ATTEMPT_BOUNDS_MS, Figures, read_figures
from tasks.state.jobs.overview import Count
from tasks.state.look_first.flag import LookFirst
from tasks.state.traffic.limiter import Breaker, Health
from tasks.state.traffic.standing import STANDINGS
from tasks.state.workers import WorkerState, workers
from worker.broker.queues import QueueLengths, queue_lengths
from worker.runtime import Services

CONTENT_TYPE = CONTENT_TYPE_LATEST
DESTINATION_STATES = ("ready", "paused", "suspended")
BREAKER_STATES = get_args(Breaker)
Row = tuple[Sequence[str], float]


async def render(services: Services) -> bytes:
    """Everything we measure, for a scraper; raises `StateUnavailable` where Redis can't be asked."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Ready(await gather(services)))
    return generate_latest(registry)


async def gather(services: Services) -> list[Metric]:
    """Every family with its samples of now."""
    lengths = asyncio.create_task(asyncio.to_thread(queue_lengths, services.settings))
    figures = await read_figures(services.journal)
    counts = await services.ledger.statistics()
    records = await services.destinations.list()
    health = [await services.destinations.shown_health(record.name) for record in records]
    credentials = {record.name: await status_of(services.core, record) for record in records}
    memory = await _memory(services)
    seen = await workers(services.redis, services.settings.prefix)
    return [
        *_build(),
        *_jobs(figures, counts),
        *_attempts(figures),
        *_queues(figures),
        *_destinations(health),
        *_credentials(credentials, figures.now_ms),
        *_workers(seen, figures.now_ms, int(1000 * services.settings.heartbeat_ttl_s)),
        *_audit(figures),
        *_stamps(
            await stamp_health(services.redis, services.settings.prefix), wanted=bool(services.settings.timestamp_url)
        ),
        *_broker(await lengths),
        *_set_aside(await services.dead_list.held(), await services.dead_list.counts()),
        *_redis(memory),
        *_look_first(await services.look_first.read()),
    ]


class Ready(Collector):
    """Families that were gathered beforehand."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """The families."""
        return self._families


def gauge(name: str, text: str, labels: Sequence[str], rows: Iterable[Row]) -> Metric:
    """A gauge with one sample for each row of label values and value."""
    return _filled(GaugeMetricFamily(name, text, labels=labels), rows)


def counter(name: str, text: str, labels: Sequence[str], rows: Iterable[Row]) -> Metric:
    """A counter with one sample for each row."""
    return _filled(CounterMetricFamily(name, text, labels=labels), rows)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, rows: Iterable[Row]) -> Metric:
    for values, value in rows:
        family.add_metric(values, value)
    return family


def _build() -> Iterable[Metric]:
    try:
        number = version("afterword")
    except PackageNotFoundError:
        number = "unknown"
    yield gauge("afterword_build_info", "The version that answers; always 1.", ["version"], [([number], 1)])


def _jobs(figures: Figures, counts: Iterable[Count]) -> Iterable[Metric]:
    rows = [((count.destination, count.state), count) for count in counts if count.count]
    labels = ["destination", "state"]
    yield gauge("afterword_jobs", "Jobs in each state.", labels, [(key, count.count) for key, count in rows])
    yield gauge(
        "afterword_oldest_job_age_seconds",
        "Time since the oldest of the jobs in this state was submitted.",
        labels,
        [(key, max(0, figures.now_ms - count.oldest_ms) / 1000) for key, count in rows if count.oldest_ms is not None],
    )
    yield counter(
        "afterword_jobs_submitted",
        "Jobs accepted. Destinations that don't exist share an empty name.",
        ["destination"],
        [([tally.destination], tally.count) for tally in figures.submitted],
    )
    yield counter(
        "afterword_jobs_entered",
        "Transitions into each state: delivered and dead are ends, running is the start of an attempt.",
        labels,
        [((tally.destination, tally.name), tally.count) for tally in figures.entered],
    )


def _attempts(figures: Figures) -> Iterable[Metric]:
    family = HistogramMetricFamily(
        "afterword_attempt_duration_seconds",
        "Time from claim to settlement of an attempt, by the state the job was in afterwards.",
        labels=["destination", "outcome"],
    )
    bounds = [str(bound / 1000) for bound in ATTEMPT_BOUNDS_MS] + ["+Inf"]
    for attempts in figures.attempts:
        buckets = list(zip(bounds, accumulate(attempts.buckets), strict=True))
        family.add_metric([attempts.destination, attempts.outcome], buckets, attempts.total_ms / 1000)
    yield family


def _queues(figures: Figures) -> Iterable[Metric]:
    labels, queues = ["destination"], figures.queues
    yield gauge(
        "afterword_due_jobs",
        "Jobs whose time has come and that no message was sent for yet.",
        labels,
        [([queue.destination], queue.due) for queue in queues],
    )
    yield gauge(
        "afterword_due_lag_seconds",
        "How long the most overdue job has been due.",
        labels,
        [([queue.destination], queue.lag_ms / 1000) for queue in queues],
    )
    yield gauge(
        "afterword_sent_jobs",
        "Jobs that a message was sent for and that no worker has claimed yet.",
        labels,
        [([queue.destination], queue.sent) for queue in queues],
    )
    yield gauge(
        "afterword_running_attempts",
        "Attempts under way.",
        labels,
        [([queue.destination], queue.running) for queue in queues],
    )


def _destinations(health: Sequence[Health]) -> Iterable[Metric]:
    by_state, labels = ["destination", "state"], ["destination"]
    yield gauge(
        "afterword_destination_state",
        "1 for the state that the destination is in: ready, paused by a person, suspended because of its credential or instance.",
        by_state,
        [((found.name, state), found.state == state) for found in health for state in DESTINATION_STATES],
    )
    yield gauge(
        "afterword_destination_standing",
        "1 for how the destination stands: untested, healthy, failing, throttled, suspended or paused.",
        ["destination", "standing"],
        [((found.name, name), found.standing.name == name) for found in health for name in STANDINGS],
    )
    yield gauge(
        "afterword_destination_standing_timestamp_seconds",
        "Since when the destination is healthy or failing, or until when it is throttled, as Unix time.",
        ["destination", "standing"],
        [((found.name, found.standing.name), at / 1000) for found in health if (at := found.standing.at_ms)],
    )
    yield gauge(
        "afterword_destination_breaker_state",
        "1 for the state of the destination's breaker; an open one lets nothing through but a probe.",
        by_state,
        [((found.name, state), found.breaker == state) for found in health for state in BREAKER_STATES],
    )
    yield gauge(
        "afterword_destination_not_before_timestamp_seconds",
        "Until when throttling or the breaker lets the destination's jobs wait, as Unix time; 0 where they needn't.",
        labels,
        [([found.name], found.not_before_ms / 1000) for found in health],
    )
    yield gauge(
        "afterword_destination_rate_limit_requests_per_second",
        "The rate that requests are kept below: the operator's, or a slower one that the destination asked for.",
        labels,
        [([found.name], rate) for found in health if (rate := found.learned_per_s or found.rate_per_s)],
    )
    yield gauge(
        "afterword_destination_quota_remaining_requests",
        "What the destination's last answer said is left of its quota.",
        labels,
        [([found.name], found.quota_remaining) for found in health if found.quota_remaining is not None],
    )
    yield gauge(
        "afterword_destination_last_success_timestamp_seconds",
        "When something was last delivered there, as Unix time.",
        labels,
        [([found.name], found.last_success_ms / 1000) for found in health if found.last_success_ms],
    )


def _credentials(found: Mapping[str, CredentialStatus], now_ms: int) -> Iterable[Metric]:
    yield gauge(
        "afterword_credential_expires_seconds",
        "Time until a credential ends for which somebody has to give a new one, below 0 once it has; only where that is known.",
        ["destination"],
        [([name], (status.ends_ms - now_ms) / 1000) for name, status in found.items() if status.ends_ms is not None],
    )
    yield gauge(
        "afterword_access_token_expires_seconds",
        "Time until an access token ends, which is renewed by itself; below 0 where nobody needed it since.",
        ["destination"],
        [
            ([name], (status.token_expires_ms - now_ms) / 1000)
            for name, status in found.items()
            if status.token_expires_ms
        ],
    )


def _workers(seen: Sequence[WorkerState], now_ms: int, ttl_ms: int) -> Iterable[Metric]:
    alive = [worker for worker in seen if worker.until_ms > now_ms]
    silent = [worker for worker in seen if worker.until_ms <= now_ms and worker.running]
    yield gauge(
        "afterword_workers",
        "Worker processes: alive, or silent while they still hold jobs.",
        ["state"],
        [(["alive"], len(alive)), (["silent"], len(silent))],
    )
    yield gauge(
        "afterword_worker_info",
        "A worker's host and version; always 1.",
        ["worker", "host", "version"],
        [([worker.name, worker.about.host, worker.about.version], 1) for worker in alive],
    )
    yield gauge(
        "afterword_worker_heartbeat_timestamp_seconds",
        "A worker's last heartbeat, as Unix time.",
        ["worker"],
        [([worker.name], (worker.until_ms - ttl_ms) / 1000) for worker in (*alive, *silent)],
    )
    yield gauge(
        "afterword_worker_clock_skew_seconds",
        "How far the clock of a worker's machine is ahead of the Redis server's; negative where it is behind.",
        ["worker"],
        [([worker.name], worker.about.skew_ms / 1000) for worker in alive if worker.about.skew_ms is not None],
    )
    yield gauge(
        "afterword_worker_running_attempts",
        "Attempts that a worker runs.",
        ["worker"],
        [([worker.name], worker.running) for worker in (*alive, *silent)],
    )


def _audit(figures: Figures) -> Iterable[Metric]:
    yield gauge("afterword_audit_entries", "Entries in the audit stream.", [], [([], figures.audit_entries)])
    yield gauge("afterword_audit_chains", "Chains, one for each writer.", [], [([], figures.audit_chains)])
    for which, moment_ms in (("oldest", figures.audit_oldest_ms), ("newest", figures.audit_newest_ms)):
        yield gauge(
            f"afterword_audit_{which}_entry_timestamp_seconds",
            f"When the {which} entry that is kept in the stream was written, as Unix time.",
            [],
            [([], moment_ms / 1000)] if moment_ms else [],
        )


def _stamps(health: StampHealth, *, wanted: bool) -> Iterable[Metric]:
    yield gauge(
        "afterword_audit_stamp_failing",
        "1 where time stamps are wanted and the last try to have one failed.",
        [],
        [([], wanted and health.failing)],
    )
    yield gauge(
        "afterword_audit_newest_stamp_timestamp_seconds",
        "When a checkpoint got its time stamp last, as Unix time.",
        [],
        [([], health.stamped_ms / 1000)] if health.stamped_ms else [],
    )


def _broker(lengths: QueueLengths) -> Iterable[Metric]:
    yield gauge("afterword_broker_up", "1 where the broker answered.", [], [([], lengths.reachable)])
    yield gauge(
        "afterword_broker_queue_messages",
        "Messages that wait in a queue of the broker.",
        ["queue"],
        [([name], length) for name, length in lengths.messages.items()],
    )


def _set_aside(held: int, counts: Mapping[str, int]) -> Iterable[Metric]:
    yield gauge("afterword_set_aside_messages", "Messages in the dead list.", [], [([], held)])
    yield counter(
        "afterword_messages_set_aside",
        "Messages that were set aside, by what was wrong with them.",
        ["kind"],
        [([kind], count) for kind, count in counts.items()],
    )


def _look_first(flag: LookFirst) -> Iterable[Metric]:
    yield gauge(
        "afterword_look_first",
        "1 while attempts look at the remote side before they write, because the ledger went back in time.",
        [],
        [([], flag.active)],
    )
    yield gauge(
        "afterword_ledger_went_back_timestamp_seconds",
        "When it was last noticed that the ledger went back in time, as Unix time.",
        [],
        [([], flag.since_ms / 1000)] if flag.since_ms else [],
    )


async def _memory(services: Services) -> dict[str, int]:
    """Bytes used and allowed (0 for no limit); nothing where the server doesn't say."""
    try:
        facts = await services.redis.info("memory")
    except RedisError:
        return {}
    return {name: int(facts[name]) for name in ("used_memory", "maxmemory") if name in facts}


def _redis(memory: dict[str, int]) -> Iterable[Metric]:
    used: list[Row] = [([], memory["used_memory"])] if "used_memory" in memory else []
    most: list[Row] = [([], memory["maxmemory"])] if "maxmemory" in memory else []
    yield gauge("afterword_redis_used_memory_bytes", "Memory that the ledger's Redis uses.", [], used)
    yield gauge("afterword_redis_max_memory_bytes", "Memory it may use; 0 where there is no limit.", [], most)
