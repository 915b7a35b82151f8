"""What is submitted, and by whom: subjects with one to three versions each, and producers that never give up."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from redis.exceptions import RedisError

from tasks.errors import StateUnavailable
from tasks.model import Command, Document, Issue, Job, parse_command
from worker.runtime import Services

KINDS = ("confluence", "servicenow", "azure_devops")
VERSIONS = (1, 1, 1, 1, 1, 1, 2, 2, 2, 3)
TWICE = 0.05
PUT_APART = 0.3
PATIENCE_S = 0.2


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
        """The newest acknowledged version of every subject."""
        newest: dict[Subject, int] = {}
        for submission in self.jobs:
            newest[submission.subject] = max(submission.version, newest.get(submission.subject, 0))
        return newest


def plan(jobs: int, over_s: float, chance: random.Random, *, versions: tuple[int, ...] = VERSIONS) -> list[Submission]:
    """At least `jobs` submissions over `over_s` seconds; later versions follow at once or some seconds on."""
    submissions: list[Submission] = []
    number = 0
    while len(submissions) < jobs:
        subject = Subject(KINDS[number % 3], number // 3 + 1)
        number += 1
        at = chance.uniform(0, over_s)
        for version in range(1, chance.choice(versions) + 1):
            twice, put_apart = chance.random() < TWICE, chance.random() < PUT_APART
            submissions.append(Submission(at, subject, version, twice, put_apart))
            at += chance.choice((0.0, 0.1, 1.0, 3.0, 8.0)) * chance.random()
    return sorted(submissions, key=lambda given: (given.at, given.version))


async def play(
    submissions: list[Submission], submit: Callable[[Submission], Awaitable[None]], clock: Callable[[], float]
) -> None:
    """Submit each at its moment; the versions of one subject one after the other, in order."""
    start = clock()
    per_subject: dict[Subject, list[Submission]] = {}
    for submission in submissions:
        per_subject.setdefault(submission.subject, []).append(submission)

    async def one(versions: list[Submission]) -> None:
        for submission in versions:
            await asyncio.sleep(max(start + submission.at - clock(), 0))
            await submit(submission)

    await asyncio.gather(*(one(versions) for versions in per_subject.values()))


Submit = Callable[[Submission], Awaitable[str]]


async def produce(
    services: Services, submissions: list[Submission], accepted: Accepted, other: Submit | None = None
) -> None:
    """Play the plan through our own interface, and every second submission of it through the `other`, where there is one.

    A producer that gets an error tries again with the same key.
    """

    async def ours(submission: Submission) -> str:
        return (await _submit(services, submission)).id

    async def submit(submission: Submission) -> None:
        way = other if other and (submission.subject.number + submission.version) % 2 else ours
        ids = [await _acknowledged(way, submission, accepted) for _ in range(2 if submission.twice else 1)]
        accepted.jobs[submission] = ids[0]
        if len(set(ids)) > 1:
            accepted.two_jobs.append(f"{submission.key}: {ids}")

    await play(submissions, submit, time.monotonic)


async def _acknowledged(submit: Submit, submission: Submission, accepted: Accepted) -> str:
    while True:
        try:
            return await submit(submission)
        except (StateUnavailable, RedisError):
            accepted.refused += 1
            await asyncio.sleep(PATIENCE_S)


async def _submit(services: Services, submission: Submission) -> Job:
    """Hand the content over with the job, or put it first, as producers do."""
    document, issue = content(submission)
    if submission.put_apart and document:
        await services.contents.put_document(document, "chaos")
    if submission.put_apart and issue:
        await services.contents.put_issue(issue, "chaos")
    inline = {} if submission.put_apart else {"document": document, "issue": issue}
    return await services.submit(command(submission.subject), actor="chaos", idempotency_key=submission.key, **inline)


def content(submission: Submission) -> tuple[Document | None, Issue | None]:
    """The document or issue of a submission."""
    subject, text = submission.subject, submission.subject.text(submission.version)
    if subject.kind == "confluence":
        return Document(id=subject.name, title=subject.title, content_md=text), None
    return None, Issue(id=subject.name, title=subject.title, description=text, severity=2)


def command(subject: Subject) -> Command:
    """What is asked for."""
    arguments: dict[str, dict[str, str]] = {
        "confluence": {"command": "publish_to_confluence", "doc_id": subject.name, "space_key": "OPS"},
        "servicenow": {"command": "create_servicenow_incident", "issue_id": subject.name},
        "azure_devops": {
            "command": "create_azuredevops_workitem",
            "issue_id": subject.name,
            "project": "Operations",
        },
    }
    return parse_command(arguments[subject.kind])
