"""The ledger against every order of events that Hypothesis can think of, with its invariants checked after each step.

Workers are names: several claim, settle, die (their heartbeat ends), come back too late and write with old tokens.
Time passes because leases are short, heartbeats are withdrawn, and due times are moved to the past.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections import Counter
from functools import partial
from typing import Any

import hypothesis
import redis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from redis.asyncio import Redis

from config.keys import load_key_ring
from tasks.errors import Fenced, Refused
from tasks.model import TERMINAL, CreateServiceNowIncident, Job, JobState, LastError, Receipt, TicketConfig
from tasks.state.audit.entries import Event
from tasks.state.audit.trail import Audit
from tasks.state.jobs.ledger import Ledger
from tasks.state.jobs.records import job_of
from tasks.state.jobs.transitions import Claimed, Lease, Settlement, Submission
from tasks.state.journal import Journal
from tasks.state.upkeep.housekeeping import Upkeep
from tasks.state.vault import Vault

SUBJECTS = ("s1", "s2", "s3")
DESTINATIONS = {"s1": "alpha", "s2": "alpha", "s3": "beta"}
WORKERS = ("w1", "w2", "w3")
WAITING = (JobState.QUEUED, JobState.RETRYING)
FAR_MS = 10**13
numbers = itertools.count()

SETTLEMENTS = {
    "delivered": Settlement(JobState.DELIVERED, Event.DELIVERED, receipt=Receipt(id="1", url="x"), doubt="clear"),
    "retry now": Settlement(JobState.RETRYING, Event.RETRYING, due_ms=1, doubt="keep"),
    "retry after a clock jumped ahead": Settlement(JobState.RETRYING, Event.RETRYING, due_ms=FAR_MS, doubt=FAR_MS),
    "wait uncounted": Settlement(JobState.QUEUED, Event.WAITING, due_ms=1, counted=False),
    "suspected": Settlement(JobState.RETRYING, Event.RETRYING, due_ms=1, suspected=True),
    "held": Settlement(JobState.HELD, Event.HELD, error=LastError(code="screening", message="x")),
    "dead": Settlement(JobState.DEAD, Event.DEAD, error=LastError(code="refused", message="x")),
    "given back": Settlement(JobState.RETRYING, Event.GIVEN_BACK, due_ms=1, counted=False),
}


class LedgerMachine(RuleBasedStateMachine):
    """Drives one fresh ledger; `settings` give Redis and keys."""

    def __init__(self, settings) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.prefix = f"machine{next(numbers)}-{os.getpid()}"
        self.redis = Redis.from_url(settings.redis_url)
        vault = Vault(load_key_ring(settings))
        journal = Journal(self.redis, vault, self.prefix)
        self.ledger = Ledger(self.redis, journal)
        self.upkeep = Upkeep(self.redis, journal)
        self.audit = Audit(self.redis, vault, self.prefix)
        self.jobs: dict[str, str] = {}
        self.claims: list[Job] = []
        self.intents: dict[str, Job] = {}
        self.delivered_order: dict[str, int] = {}

    def do(self, work):
        return self.loop.run_until_complete(work)

    @initialize()
    def two_destinations(self):
        for name in set(DESTINATIONS.values()):
            self.do(self.redis.hset(f"{self.prefix}:destination:{name}", mapping={"state": "ready", "concurrency": 2}))

    # -- producers

    @rule(subject=st.sampled_from(SUBJECTS), key=st.none() | st.sampled_from(["k1", "k2"]), new=st.booleans())
    def submit(self, subject, key, new):
        number = len(self.jobs)
        config = TicketConfig(if_exists="new" if new else "update")
        submission = Submission(
            command=CreateServiceNowIncident(issue_id=f"issue-{subject}", config=config),
            destination=DESTINATIONS[subject],
            subject=f"{subject}-{number}" if new else subject,
            family=subject if new else None,
            max_age_ms=10**9,
            actor="test",
            idempotency_key=key,
            fingerprint="f",
        )
        job = self.do(self.ledger.submit(submission))
        if key is None:
            assert job.id not in self.jobs
        self.jobs[job.id] = job.destination

    # -- workers

    @rule(data=st.data(), worker=st.sampled_from(WORKERS), lease_ms=st.sampled_from([0, 10**6]))
    def claim(self, data, worker, lease_ms):
        if not self.jobs:
            return
        job_id = data.draw(st.sampled_from(sorted(self.jobs)))
        self.do(self.ledger.heartbeat(worker, 10**6, 8))
        claim = f"claim-{len(self.claims)}"
        found = self.do(self.ledger.claim(job_id, worker, Lease(0, lease_ms), claim))
        if isinstance(found, Claimed):
            assert self.do(self.ledger.claim(job_id, worker, Lease(0, lease_ms), claim)) == found
            self.claims.append(found.job)

    @rule(data=st.data(), how=st.sampled_from(sorted(SETTLEMENTS)))
    def settle(self, data, how):
        if not self.claims:
            return
        job = data.draw(st.sampled_from(self.claims))
        current = self.do(self.ledger.get(job.id))
        ours = current is not None and current.state is JobState.RUNNING and current.token == job.token
        try:
            state = self.do(self.ledger.settle(job, SETTLEMENTS[how]))
        except Fenced:
            assert not ours
        else:
            assert ours
            assert state in (SETTLEMENTS[how].to, JobState.SUPERSEDED)

    @rule(data=st.data(), writes=st.booleans())
    def intend(self, data, writes):
        if not self.claims:
            return
        job = data.draw(st.sampled_from(self.claims))
        event = Event.DELIVERY_INTENT if writes else Event.LOOKUP_INTENT
        with contextlib.suppress(Fenced):
            intent = self.do(self.ledger.intend(job, event, writes=writes, doubt_until_ms=5, facts={}))
            self.intents[intent] = job

    @rule(data=st.data())
    def conclude(self, data):
        if self.intents:
            intent = data.draw(st.sampled_from(sorted(self.intents)))
            self.do(self.ledger.conclude(self.intents[intent].id, intent, Event.DELIVERY_OK, {}))

    @rule(worker=st.sampled_from(WORKERS))
    def worker_falls_silent(self, worker):
        self.do(self.ledger.heartbeat(worker, 0, 8))

    @rule(worker=st.sampled_from(WORKERS))
    def worker_says_goodbye(self, worker):
        self.do(self.upkeep.goodbye(worker))

    # -- the sweeper and the clock

    @rule()
    def sweep(self):
        self.do(self._take_over())
        self.do(self.upkeep.close_orphans())

    async def _take_over(self) -> None:
        """What a sweeper does that heard workers all along, however long this machine paused between two steps."""
        await self.redis.delete(f"{self.prefix}:beats")
        for job_id in await self.ledger.lapsed():
            await self.ledger.take_over(job_id)

    @rule()
    def dispatch(self):
        sent = self.do(self.ledger.dispatch(10**6, 10))
        for job_id in sent:
            assert self.do(self.ledger.require(job_id)).state in WAITING

    @rule(data=st.data())
    def message_reaches_a_stopping_worker(self, data):
        if self.jobs:
            self.do(self.upkeep.unsend(data.draw(st.sampled_from(sorted(self.jobs)))))

    @rule()
    def time_passes(self):
        async def pass_time():
            for name in set(DESTINATIONS.values()):
                for job_id in await self.redis.zrange(f"{self.prefix}:due:{name}", 0, -1):
                    await self.redis.zadd(f"{self.prefix}:due:{name}", {job_id: 1}, xx=True)

        self.do(pass_time())

    @rule(kind=st.sampled_from(["finished:done", "finished:dead", "contents", "subjects"]))
    def forget_what_is_old(self, kind):
        self.do(self.upkeep.forget(kind, FAR_MS))
        for job_id in [job_id for job_id in self.jobs if self.do(self.ledger.get(job_id)) is None]:
            assert kind.startswith("finished")
            del self.jobs[job_id]
        if kind == "subjects":
            left = {name: self.do(self.redis.exists(f"{self.prefix}:subject:{name}")) for name in self.delivered_order}
            self.delivered_order = {name: n for name, n in self.delivered_order.items() if left[name]}

    # -- operators

    @rule(data=st.data(), verb=st.sampled_from(["cancel", "retry", "release"]))
    def operate(self, data, verb):
        if self.jobs:
            job_id = data.draw(st.sampled_from(sorted(self.jobs)))
            with contextlib.suppress(Refused):
                self.do(getattr(self.ledger, verb)(job_id, "olga"))

    @rule(data=st.data())
    def retry_after_the_document_changed_its_subject(self, data):
        dead = [i for i in sorted(self.jobs) if self.do(self.ledger.require(i)).state is JobState.DEAD]
        if dead:
            with contextlib.suppress(Refused):
                self.do(self.ledger.retry(data.draw(st.sampled_from(dead)), "olga", subject="s1"))

    @rule(name=st.sampled_from(["alpha", "beta"]), state=st.sampled_from(["ready", "paused", "suspended"]))
    def switch_destination(self, name, state):
        self.do(self.redis.hset(f"{self.prefix}:destination:{name}", "state", state))

    # -- what must hold

    @invariant()
    def everything_holds(self):
        jobs, held = self.do(self._snapshot())
        assert set(jobs) == set(self.jobs), "an accepted job is gone"
        self._check_indexes(jobs, held)
        self._check_subjects(jobs, held)
        self._check_leftovers(jobs, held)
        counted = {(c.destination, c.state): c.count for c in self.do(self.ledger.statistics())}
        assert counted == Counter((job.destination, job.state) for job in jobs.values())

    async def _snapshot(self) -> tuple[dict[str, Job], dict[str, Any]]:
        """Every job's record, and what every other key holds, by its name without the prefix."""
        names = [raw.decode() async for raw in self.redis.scan_iter(f"{self.prefix}:*", count=1000)]
        short = {name: name.removeprefix(f"{self.prefix}:") for name in names}
        pipeline = self.redis.pipeline(transaction=False)
        read = {"set": pipeline.smembers, "zset": partial(pipeline.zrange, start=0, end=-1), "hash": pipeline.hgetall}
        chosen = [(name, kind) for name in names if (kind := _kind(short[name]))]
        for name, kind in chosen:
            read[kind](name)
        held = {short[name]: found for (name, _), found in zip(chosen, await pipeline.execute(), strict=True)}
        records = [name for name in held if name.startswith("job:")]
        return {name[4:]: job_of(held.pop(name)) for name in records}, _decoded(held)

    def _check_indexes(self, jobs: dict[str, Job], held: dict[str, Any]) -> None:
        def those(*states: JobState, at: str | None = None) -> set[str]:
            return {i for i, j in jobs.items() if j.state in states and at in (None, j.destination)}

        def members(name: str) -> set[str]:
            return set(held.get(name, ()))

        assert members("leases") == those(JobState.RUNNING)
        assert members("jobs") == set(jobs)
        assert members("finished:dead") == those(JobState.DEAD)
        assert members("finished:done") == those(*(TERMINAL - {JobState.DEAD}))
        for state in JobState:
            assert members(f"state:{state}") == those(state)
        for name in set(DESTINATIONS.values()):
            assert members(f"due:{name}") == those(*WAITING, at=name)
            assert members(f"running:{name}") == those(JobState.RUNNING, at=name)
            assert members(f"sent:{name}") <= those(*WAITING, at=name)
            assert members(f"jobs:{name}") == those(*JobState, at=name)
            for state in JobState:
                assert members(f"state:{state}:{name}") == those(state, at=name)
        for worker in WORKERS:
            mine = {i for i, j in jobs.items() if j.worker == worker}
            assert mine <= those(JobState.RUNNING)
            assert members(f"worker:{worker}:jobs") == mine
            assert not mine or worker in members("workers"), "nobody would take over this worker's jobs"
        assert members("told") <= set(jobs)

    def _check_subjects(self, jobs: dict[str, Job], held: dict[str, Any]) -> None:
        for subject in {job.subject for job in jobs.values()}:
            of = [job for job in jobs.values() if job.subject == subject]
            running = [job.id for job in of if job.state is JobState.RUNNING]
            waiting = [job.id for job in of if job.state in WAITING]
            facts = held.get(f"subject:{subject}", {})
            assert len(running) <= 1
            assert len(waiting) <= 1
            assert facts.get("running", "") == "".join(running)
            assert facts.get("waiting", "") == "".join(waiting)
            delivered = int(facts.get("delivered_order", 0))
            assert delivered >= self.delivered_order.get(subject, 0), "an older job overwrote a newer one"
            self.delivered_order[subject] = delivered

    def _check_leftovers(self, jobs: dict[str, Job], held: dict[str, Any]) -> None:
        """What is kept is kept for a job that needs it."""
        unfinished = {i: j for i, j in jobs.items() if j.state not in TERMINAL}
        for name in [name for name in held if name.startswith("needs:issue:")]:
            needing = {i for i, j in unfinished.items() if f"needs:issue:{j.command.issue_id}" == name}
            assert set(held[name]) == needing
        for job_id, job in unfinished.items():
            assert job_id in held[f"needs:issue:{job.command.issue_id}"]
            assert job_id in held[f"needs:subject:{job.subject}"]
        assert set(held.get("intents", ())) == set(held.get("intents:of", {}))

    def teardown(self):
        self.do(self._end())
        self.loop.close()

    async def _end(self) -> None:
        """However it went: once every worker is gone, each intent has exactly one outcome, and the audit holds."""
        try:
            for worker in WORKERS:
                await self.ledger.heartbeat(worker, 0, 8)
            await self._take_over()
            assert await self.ledger.lapsed() == []
            await self.upkeep.close_orphans()
            assert await self.redis.exists(f"{self.prefix}:intents", f"{self.prefix}:intents:of") == 0
            entries = await self.audit.after(count=100_000)
            outcomes = [e.data["intent"] for e in entries if "intent" in e.data]
            assert sorted(outcomes) == sorted(self.intents)
            report = await self.audit.verify()
            assert report.verdict != "broken", report.problems
        finally:
            keys = [key async for key in self.redis.scan_iter(f"{self.prefix}:*", count=1000)]
            await self.redis.delete(*keys, f"{self.prefix}:none")
            await self.redis.aclose()


def _kind(name: str) -> str | None:
    """The type of a key by its name; None for what no invariant is about."""
    first, *rest = name.split(":")
    if rest[-1:] == ["events"]:
        return None
    if first in ("job", "subject") or name == "intents:of":
        return "hash"
    if first in ("needs", "told") or (first == "worker" and rest[-1] == "jobs"):
        return "set"
    ordered = ("leases", "workers", "jobs", "finished", "state", "due", "running", "sent", "intents")
    return "zset" if first in ordered else None


def _decoded(held: dict[str, Any]) -> dict[str, Any]:
    def text(raw: Any) -> Any:
        return {k.decode(): v.decode() for k, v in raw.items()} if isinstance(raw, dict) else {m.decode() for m in raw}

    return {name: text(raw) for name, raw in held.items()}


def test_the_ledger_holds_its_invariants_through_any_order_of_events(settings):
    bounds = hypothesis.settings(
        max_examples=int(os.environ.get("LEDGER_EXAMPLES", "25")),
        stateful_step_count=40,
        deadline=None,
        derandomize="LEDGER_EXAMPLES" not in os.environ,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    with _without_syncing(settings):
        run_state_machine_as_test(lambda: LedgerMachine(settings), settings=bounds)


@contextlib.contextmanager
def _without_syncing(settings):
    """This test kills no server: thousands of scripts need not reach the disk one by one."""
    client = redis.Redis.from_url(settings.redis_url)
    client.config_set("appendfsync", "no")
    yield
    client.config_set("appendfsync", "always")
    client.close()
