"""What is submitted, and by whom: subjects with one to three versions each, and producers that never give up."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from tasks.errors import StateUnavailable
from tasks.model import Command, Document, Issue, parse_command
from worker.runtime import Services

KINDS = ("confluence", "servicenow", "azure_devops")
VERSIONS = (1, 1, 1, 1, 1, 1, 2, 2, 2, 3)
TWICE = 0.05
PUT_APART = 0.3
PLAIN = 0.2
PATIENCE_S = 0.2
FORBIDDEN = 0  # the number of the subject of each kind that the account has no right to create


@dataclass(frozen=True)
class Subject:
    """One thing that is to exist once on the remote side."""

    kind: str
    number: int

    @property
    def name(self) -> str:
        """Its id as producers know it."""
        return f"{self.kind.replace('_', '-')}-{self.number}"

    @property
    def title(self) -> str:
        """The title of the remote object, the same for all versions."""
        return f"Outage {self.number} of {self.kind.replace('_', ' ')}"

    def text(self, version: int) -> str:
        """The content of a version."""
        return f"# What happened\n\n{self.mark(version)}\n\n* The pool of connections ran out.\n* It was enlarged."

    def mark(self, version: int) -> str:
        """The sentence by which a version is known in a remote object."""
        return f"This is revision {version} of {self.name}."


@dataclass(frozen=True)
class Submission:
    """One version of a subject, to be submitted `at` seconds after the start."""

    at: float
    subject: Subject
    version: int
    twice: bool
    put_apart: bool
    plain: bool = False  # by a Celery client without our code

    @property
    def forbidden(self) -> bool:
        """Whether the vendor refuses it, in its own words."""
        return self.subject.number == FORBIDDEN

    @property
    def key(self) -> str:
        """Its Idempotency-Key."""
        return f"{self.subject.name}/{self.version}"


@dataclass
class Accepted:
    """What producers were promised: the job of every acknowledged submission."""

    jobs: dict[Submission, str] = field(default_factory=dict)
    refused: int = 0
    two_jobs: list[str] = field(default_factory=list)

    def newest(self) -> dict[Subject, int]:
        """The newest acknowledged version of every subject that may have an object."""
        newest: dict[Subject, int] = {}
        for submission in self.jobs:
            if submission.forbidden:
                continue
            newest[submission.subject] = max(submission.version, newest.get(submission.subject, 0))
        return newest


def plan(
    jobs: int,
    over_s: float,
    chance: random.Random,
    *,
    versions: tuple[int, ...] = VERSIONS,
    plain: float = 0.0,
    forbidden: bool = False,
) -> list[Submission]:
    """At least `jobs` submissions over `over_s` seconds; later versions follow at once or some seconds on.

    A share of `plain` comes from Celery clients; `forbidden` adds one of each kind that the vendor refuses.
    """
    submissions: list[Submission] = []
    number = 0
    while len(submissions) < jobs:
        subject = Subject(KINDS[number % 3], number // 3 + 1)
        number += 1
        at = chance.uniform(0, over_s)
        for version in range(1, chance.choice(versions) + 1):
            twice, put_apart = chance.random() < TWICE, chance.random() < PUT_APART
            by_client = chance.random() < plain
            submissions.append(Submission(at, subject, version, twice, put_apart, by_client))
            at += chance.choice((0.0, 0.1, 1.0, 3.0, 8.0)) * chance.random()
    if forbidden:
        submissions += [
            Submission(chance.uniform(0, over_s), Subject(kind, FORBIDDEN), 1, False, False) for kind in KINDS
        ]
    return sorted(submissions, key=lambda given: (given.at, given.version))


async def play(
    submissions: list[Submission], submit: Callable[[Submission], Awaitable[None]], clock: Callable[[], float]
) -> None:
    """Submit each at its moment; the versions of one subject one after the other, in order."""
    start = clock()

    async def one(versions: list[Submission]) -> None:
        for submission in versions:
            await asyncio.sleep(max(start + submission.at - clock(), 0))
            await submit(submission)

    await asyncio.gather(*(one(versions) for versions in by_subject(submissions).values()))


def by_subject(submissions: Iterable[Submission]) -> dict[Subject, list[Submission]]:
    """The submissions of each subject, in their order."""
    found: dict[Subject, list[Submission]] = {}
    for submission in submissions:
        found.setdefault(submission.subject, []).append(submission)
    return found


Submit = Callable[[Submission], Awaitable[str]]


class Producers:
    """Those who submit, each through its own way in: our interface, another version's API, or a plain Celery client.

    A producer that gets an error makes the same submission again with the same key.
    """

    def __init__(
        self, services: Services, accepted: Accepted, other: Submit | None = None, plain: Submit | None = None
    ) -> None:
        self._services = services
        self._accepted = accepted
        self._other = other
        self._plain = plain
        self._open = asyncio.Event()
        self._open.set()
        self._under_way = 0

    async def play(self, submissions: list[Submission]) -> None:
        """Submit each at its moment."""
        await play(submissions, self._when_open, time.monotonic)

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Nothing is submitted meanwhile: what was acknowledged before is in the ledger, or in a queue."""
        self._open.clear()
        try:
            while self._under_way:
                await asyncio.sleep(0.02)
            yield
        finally:
            self._open.set()

    async def again(self, submissions: list[Submission]) -> None:
        """Make these submissions once more, those of one subject in order, as after the loss of what was acknowledged."""
        await asyncio.gather(*(self._each(versions) for versions in by_subject(submissions).values()))

    async def _each(self, versions: list[Submission]) -> None:
        for submission in versions:
            await self._submit(submission)

    async def _when_open(self, submission: Submission) -> None:
        while not self._open.is_set():
            await self._open.wait()
        self._under_way += 1
        try:
            await self._submit(submission)
        finally:
            self._under_way -= 1

    async def _submit(self, submission: Submission) -> None:
        way: Submit = self._through_ours
        if submission.plain and self._plain:
            way = self._plain
        elif self._other and (submission.subject.number + submission.version) % 2:
            way = self._other
        times = 2 if submission.twice else 1
        ids = [await acknowledged(way, submission, self._accepted) for _ in range(times)]
        self._accepted.jobs[submission] = ids[0]
        if len(set(ids)) > 1:
            self._accepted.two_jobs.append(f"{submission.key}: {ids}")

    async def _through_ours(self, submission: Submission) -> str:
        document, issue = content(submission)
        if submission.put_apart:
            await put(self._services, submission)
        inline = {} if submission.put_apart else {"document": document, "issue": issue}
        asked = command(submission.subject)
        job = await self._services.submit(asked, actor="chaos", idempotency_key=submission.key, **inline)
        return job.id


async def acknowledged(submit: Submit, submission: Submission, accepted: Accepted) -> str:
    """The job of a submission, made again until it is acknowledged."""
    while True:
        try:
            return await submit(submission)
        except (StateUnavailable, RedisError, OperationalError, OSError):
            accepted.refused += 1
            await asyncio.sleep(PATIENCE_S)


async def put(services: Services, submission: Submission) -> None:
    """Store the content by itself."""
    document, issue = content(submission)
    if document:
        await services.contents.put_document(document, "chaos")
    if issue:
        await services.contents.put_issue(issue, "chaos")


def content(submission: Submission) -> tuple[Document | None, Issue | None]:
    """The document or issue of a submission."""
    subject, text = submission.subject, submission.subject.text(submission.version)
    if subject.kind == "confluence":
        return Document(id=subject.name, title=subject.title, content_md=text), None
    return None, Issue(id=subject.name, title=subject.title, description=text, severity=2)


def command(subject: Subject) -> Command:
    """What is asked for; a forbidden one in a space or project of its own."""
    return parse_command({"command": TASKS[subject.kind], **arguments(subject)})


TASKS = {
    "confluence": "publish_to_confluence",
    "servicenow": "create_servicenow_incident",
    "azure_devops": "create_azuredevops_workitem",
}


def arguments(subject: Subject) -> dict[str, str]:
    """The arguments of its task."""
    forbidden = subject.number == FORBIDDEN
    if subject.kind == "confluence":
        return {"doc_id": subject.name, "space_key": "ENG" if forbidden else "OPS"}
    if subject.kind == "servicenow":
        return {"issue_id": subject.name}
    return {"issue_id": subject.name, "project": "Payments" if forbidden else "Operations"}
