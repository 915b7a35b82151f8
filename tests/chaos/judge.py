"""The verdict: what was promised, held against ledger, audit and the sandbox's objects."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.model import Job, JobState
from tests.chaos.load import Accepted, Subject
from worker.runtime import Services

SHOWN = 20
# What the trail says of a loss: a writer knows of an entry, or a checkpoint of more entries, where a whole chain was lost.
GONE = ("which is missing", ", now there are ")


@dataclass
class Verdict:
    """What a run ended with. `offences` say what is wrong, each with the timeline of its job where it has one."""

    accepted: int = 0
    refused: int = 0
    states: Counter[str] = field(default_factory=Counter)
    objects: int = 0
    subjects: int = 0
    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    intents: int = 0
    audit_entries: int = 0
    open_tests: int = 0
    missing: int = 0
    crashes: int = 0
    further: int = 0
    beside: dict[str, int] = field(default_factory=dict)
    plain: str = ""
    mischief: str = ""
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """True when every promise was kept."""
        return not (self.lost or self.duplicated or self.stale or self.other)

    @property
    def offences(self) -> list[str]:
        """Everything that is wrong, worst first."""
        return [*self.lost, *self.duplicated, *self.stale, *self.other]

    @property
    def line(self) -> str:
        """The one line that counts."""
        return f"lost {len(self.lost)} duplicated {len(self.duplicated)} stale {len(self.stale)}"

    def _open(self) -> str:
        """Words about tests that are not closed yet, where there are any."""
        return f" (but {self.open_tests} connection tests whose worker died less than ten minutes ago)" * bool(
            self.open_tests
        )

    def __str__(self) -> str:
        states = ", ".join(f"{state} {count}" for state, count in sorted(self.states.items()))
        lines = [
            f"mischief: {self.mischief}",
            f"accepted {self.accepted} (and {self.refused} submissions refused while Redis was away, then made again)",
            f"ended as: {states}; attempts ended by a crash {self.crashes}",
            *([f"attempts begun by further processes of a worker {self.further}"] if self.further else []),
            f"subjects {self.subjects}, remote objects {self.objects}",
            f"audit: {self.audit_entries} entries, {self.intents} intents, each with one outcome{self._open()}"
            if not self.other
            else f"audit: {self.audit_entries} entries, {self.intents} intents; {len(self.other)} offences, see below",
            *([f"the trail names {self.missing} entries that were lost by restores"] if self.missing else []),
            *([f"attempts by version: {self.beside}"] if self.beside else []),
            *([f"plain Celery clients: {self.plain}"] if self.plain else []),
            f"seconds {self.seconds:.0f}",
            self.line,
        ]
        shown = [f"OFFENCE {text}" for text in self.offences[:SHOWN]]
        more = len(self.offences) - len(shown)
        return "\n".join([*lines, *shown, *([f"… and {more} more"] if more > 0 else [])])


async def judge(
    services: Services, accepted: Accepted, objects: list[dict[str, Any]], *, went_back: bool = False
) -> Verdict:
    """Hold everything against everything. Of a Redis that `went_back` the trail says so: entries are missing."""
    verdict = Verdict(accepted=len(accepted.jobs), refused=accepted.refused, objects=len(objects))
    forbidden = {job for given, job in accepted.jobs.items() if given.forbidden}
    jobs = {key: await services.ledger.get(key) for key in set(accepted.jobs.values())}
    newest = accepted.newest()
    verdict.subjects = len(newest)
    verdict.states = Counter(job.state.value if job else "absent" for job in jobs.values())
    verdict.crashes = sum(job.crashes for job in jobs.values() if job)
    verdict.lost = [
        await _told(services, f"lost: job {key} is {job.state.value if job else 'unknown to the ledger'}", job)
        for key, job in jobs.items()
        if key not in forbidden and not _delivered(job, jobs)
    ]
    verdict.other += [
        await _told(services, f"a job without rights, {key}, is {job.state.value if job else 'unknown'}", job)
        for key, job in jobs.items()
        if key in forbidden and not _refused(job)
    ]
    verdict.other += [f"two jobs for one Idempotency-Key: {words}" for words in accepted.two_jobs]
    await _judge_objects(services, verdict, newest, objects, _job_of(accepted, jobs))
    await _judge_audit(services, verdict, went_back=went_back)
    verdict.other += await _left_over(services, {job.subject for key in forbidden if (job := jobs[key])})
    return verdict


def _job_of(accepted: Accepted, jobs: Mapping[str, Job | None]) -> dict[Subject, Job | None]:
    """The job of each subject's newest version."""
    return {given.subject: jobs[key] for given, key in sorted(accepted.jobs.items(), key=lambda row: row[0].version)}


def _refused(job: Job | None) -> bool:
    """Ended by the vendor's own word."""
    return (
        job is not None and job.state is JobState.DEAD and job.last_error is not None and job.last_error.status == 403
    )


def _delivered(job: Job | None, jobs: Mapping[str, Job | None]) -> bool:
    """Delivered itself, or superseded by one that was in the end."""
    seen: set[str] = set()
    while job is not None and job.state is JobState.SUPERSEDED and job.id not in seen:
        seen.add(job.id)
        job = jobs.get(job.superseded_by or "")
    return job is not None and job.state is JobState.DELIVERED


async def _judge_objects(
    services: Services,
    verdict: Verdict,
    newest: Mapping[Subject, int],
    objects: Iterable[Mapping[str, Any]],
    jobs: Mapping[Subject, Job | None],
) -> None:
    found: defaultdict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for item in objects:
        found[item["vendor"], item["title"]].append(item)
    for subject, version in newest.items():
        items = found.pop((subject.kind, subject.title), [])
        if not items:
            verdict.lost.append(await _told(services, f"lost: {subject.name} has no remote object", jobs[subject]))
        for extra in items[1:]:
            words = f"duplicated: {subject.name} is {items[0]['id']} and {extra['id']}"
            verdict.duplicated.append(await _told(services, words, jobs[subject]))
        if items and not any(subject.mark(version) in item["body"] for item in items):
            held = items[0]["body"][:300]
            words = f"stale: {subject.name} does not hold revision {version} but {held!r}"
            verdict.stale.append(await _told(services, words, jobs[subject]))
    for (vendor, title), items in found.items():
        verdict.duplicated.append(f"duplicated: {vendor} has {len(items)} objects {title!r} that nobody asked for")


async def _judge_audit(services: Services, verdict: Verdict, *, went_back: bool) -> None:
    """Every intent has exactly one outcome, and the trail verifies.

    A connection test that its worker died at is closed by another worker when no test can take so long: its intent may be
    open still, where the ledger knows of it.
    """
    intents: dict[str, str] = {}
    outcomes: defaultdict[str, list[str]] = defaultdict(list)
    position = "-"
    while entries := await services.audit.after(position, 1000):
        for entry in entries:
            verdict.audit_entries += 1
            if entry.event.endswith(".intent"):
                intents[f"{entry.chain}/{entry.seq}"] = f"{entry.event} of job {entry.data.get('job')}"
            elif entry.data.get("intent"):
                outcomes[entry.data["intent"]].append(entry.event)
        position = entries[-1].id
    verdict.intents = len(intents)
    open_still = {key.decode() for key in await services.redis.zrange(f"{services.settings.prefix}:intents", 0, -1)}
    tests = {reference for reference in open_still if intents.get(reference, "").startswith("test.")}
    verdict.open_tests = len(tests - set(outcomes))
    for reference, words in intents.items():
        if reference in tests and reference not in outcomes:
            continue
        if len(ended := outcomes.pop(reference, [])) != 1:
            verdict.other.append(f"audit: intent {reference} ({words}) has outcomes {ended}")
    verdict.other += [f"audit: an outcome of no intent: {reference} {ended}" for reference, ended in outcomes.items()]
    problems = (await services.audit.verify()).problems
    missing = [problem for problem in problems if went_back and any(words in problem for words in GONE)]
    verdict.missing = len(missing)
    verdict.other += [f"audit: {problem}" for problem in problems if problem not in missing]


async def _left_over(services: Services, dead: Collection[str]) -> list[str]:
    """What must be empty when every job has ended: places of waiting, leases, and what subjects hold.

    Only a `dead` subject may keep its doubt: an answer of its first attempt was cut off.
    """
    prefix, found = services.settings.prefix, []
    for pattern in ("due:*", "sent:*", "running:*", "leases", "worker:*:jobs", "waiting"):
        async for key in services.redis.scan_iter(match=f"{prefix}:{pattern}", count=1000):
            kind = (await services.redis.type(key)).decode()
            held = await (services.redis.zcard(key) if kind == "zset" else services.redis.scard(key))
            found += [f"left over: {key.decode()} holds {held}"] if held and pattern != "waiting" else []
    for state in (JobState.QUEUED, JobState.RUNNING, JobState.RETRYING, JobState.HELD):
        if held := await services.redis.zcard(f"{prefix}:state:{state.value}"):
            found.append(f"left over: {held} jobs stand as {state.value}")
    async for key in services.redis.scan_iter(match=f"{prefix}:subject:*", count=1000):
        doubt = [] if key.decode().partition(":subject:")[2] in dead else ["doubt_until_ms"]
        held = await services.redis.hmget(key, ["running", "waiting", *doubt])
        found += [f"left over: {key.decode()} still holds {held}"] if any(held) else []
    return found


async def _told(services: Services, words: str, job: Job | None) -> str:
    """The words with the job's timeline."""
    if job is None:
        return words
    events = await services.ledger.events(job.id)
    lines = [f"    {event.pop('at_ms')} {event.pop('event')} {event}" for event in events]
    return "\n".join([f"{words} (job {job.id}, subject {job.subject})", *lines])
