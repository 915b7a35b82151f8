"""Cross-links: the page, the incident and the work item of one issue carry each other's addresses.

Each delivery writes down where its object is and which links it shows. When an issue's jobs have come to rest, one
follow-up job is queued for each that lacks a link: it changes the links and nothing else. A follow-up's id comes from
what it has to bring, so that any number of workers, crashes and repetitions queue it once, and one that brought its links
(or found that it may not) has nothing left to follow.

A job whose content is written anyway takes the links along; links alone never make a producer's job write.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from tasks.errors import Fenced
from tasks.model import (
    INCIDENTS,
    PAGE_TITLES,
    Command,
    CreateAzureDevOpsWorkItem,
    CreateJiraIssue,
    CreateServiceNowIncident,
    Document,
    Issue,
    Job,
    Link,
    PublishToConfluence,
    Receipt,
    subject_key,
    with_fields,
)
from tasks.state.followups.links import Due, Links, Member, Membership, members_of
from tasks.state.jobs.ledger import Ledger
from tasks.state.jobs.transitions import Submission

PATIENCE_MS = 60_000
MAX_AGE_MS = 24 * 3600_000
PAGES = "confluence"


def issue_of(command: Command, content: Document | Issue | None) -> str | None:
    """The key of the issue that a command's object belongs to; None for a document that names none."""
    if isinstance(command, PublishToConfluence):
        return subject_key("issue", content.issue_id) if isinstance(content, Document) and content.issue_id else None
    return subject_key("issue", command.issue_id)


def wanted(members: Mapping[str, Member], subject: str, kind: str) -> tuple[Link, ...]:
    """The links that an object should show: a page those of tickets, a ticket those of pages."""
    others = (
        member
        for other, member in members.items()
        if other != subject and (member.kind == PAGES) != (kind == PAGES) and member.url.startswith(("http:", "https:"))
    )
    links = (Link(key=other.key, kind=other.kind, title=other.title, url=other.url) for other in others)
    return tuple(sorted(links, key=lambda link: (link.kind, link.title, link.key)))


@dataclass(frozen=True)
class Ties:
    """What one attempt knows of its object's place in an issue: the links to show, and what was written down before."""

    issue: str | None = None
    links: tuple[Link, ...] = ()
    before: Member | None = None
    enabled: bool = True

    def after(self, job: Job, receipt: Receipt, document: Document | None) -> Membership | None:
        """What to write down once the object was delivered; None where it belongs to no issue.

        What was written shows the links that came along. Of an object that was left alone, or found again, only what was
        known before is certain; one that must not be touched counts as showing all.
        """
        if self.issue is None:
            return None
        if not self.enabled:
            return Membership(self.issue, None)
        key, before = f"{job.subject}:{receipt.id}", self.before
        certain = job.follows is not None or receipt.change in ("created", "updated", "skipped")
        known = before.shows if before and before.key == key else ()
        member = Member(
            key=key,
            kind=job.kind,
            destination=job.destination,
            title=before.title if job.follows and before else _title(job.command, receipt, document),
            url=receipt.url,
            job=job.follows or job.id,
            order=before.order if job.follows and before else job.order,
            command=with_fields(job.command, {}),
            shows=tuple(link.key for link in self.links) if certain else known,
        )
        return Membership(self.issue, member)


async def ties_of(
    links: Links, job: Job, document: Document | None, stored: Mapping[bytes, bytes], *, enabled: bool
) -> Ties:
    """The ties of a job's object; none to show where the operator switched cross-links off for its destination.

    `stored` is the record of the job's issue; an issue that only the document names is read now.
    """
    issue = job.issue or issue_of(job.command, document)
    if issue is None or not enabled:
        return Ties(issue, enabled=enabled)
    members = members_of(stored) if job.issue else await links.members(issue)
    return Ties(issue, wanted(members, job.subject, job.kind), members.get(job.subject))


def _title(command: Command, receipt: Receipt, document: Document | None) -> str:
    match command:
        case CreateServiceNowIncident():
            named = (command.table or INCIDENTS).removeprefix("u_").replace("_", " ").capitalize()
            return f"{named} {receipt.ticket_number or receipt.id}"
        case CreateAzureDevOpsWorkItem():
            return f"Work item {receipt.ticket_number or receipt.id}"
        case CreateJiraIssue():
            return f"Jira issue {receipt.ticket_number or receipt.id}"
    return PAGE_TITLES[document.doc_type if document else "rca"]


def lacking(due: Due) -> dict[str, tuple[Link, ...]]:
    """The objects that lack a link, or show one that has no object any more, and what they should show."""
    found = {subject: wanted(due.members, subject, member.kind) for subject, member in due.members.items()}
    return {
        subject: links
        for subject, links in found.items()
        if {link.key for link in links} != set(due.members[subject].shows)
    }


def wait_until_ms(due: Due) -> int | None:
    """Until when to wait for jobs of the issue that are under way, so that each object changes once; None: go on.

    Whatever ends marks the issue anew, so this is only the longest wait (epoch milliseconds).
    """
    patience = [busy.created_ms + PATIENCE_MS for busy in due.busy if not busy.follows]
    latest = max(patience, default=0)
    return latest if latest > due.now_ms else None


async def follow_up(ledger: Ledger, links: Links, batch: int = 50, *, ahead_ms: int = 0) -> list[str]:
    """Queue the follow-ups that are due, or will be in `ahead_ms`; returns the ids of their jobs."""
    queued = []
    for due in await links.due(batch, ahead_ms=ahead_ms):
        missing = lacking(due)
        again_ms = wait_until_ms(due) if missing else None
        if again_ms is None:
            taken = {busy.subject for busy in due.busy}
            for subject in missing.keys() - taken:
                if job_id := await _queue(ledger, due, subject, missing[subject]):
                    queued.append(job_id)
        await links.done(due, again_ms)
    return queued


async def _queue(ledger: Ledger, due: Due, subject: str, links: tuple[Link, ...]) -> str | None:
    member = due.members[subject]
    brings = "\x00".join((due.issue, subject, str(member.order), *(link.key for link in links)))
    job_id = str(uuid.UUID(bytes=hashlib.sha256(brings.encode()).digest()[:16], version=5))
    submission = Submission(
        command=with_fields(member.command, {}),
        destination=member.destination,
        subject=subject,
        max_age_ms=MAX_AGE_MS,
        actor="cross-links",
        job_id=job_id,
        issue=due.issue,
        follows=member.job,
    )
    try:
        return (await ledger.submit(submission)).id
    except Fenced:
        return None  # its own job takes the links along, or marks the issue anew when it ends
