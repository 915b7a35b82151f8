"""What an attempt works with: the job's destination, its content, and what is known of its subject."""

from __future__ import annotations

import json

from tasks import cross_links
from tasks.audited import Trail
from tasks.cross_links import Ties
from tasks.destinations import AnySettings
from tasks.destinations.contract import Work
from tasks.errors import AttemptFailed, KeyTrouble, Permanent, Refused, Transient
from tasks.model import KIND_OF_COMMAND, Command, Document, Issue, Job, PublishToConfluence, Receipt
from tasks.services import Services
from tasks.source import source_of
from tasks.state.directory import DestinationRecord
from tasks.state.jobs.transitions import Claimed
from tasks.state.vault import Vault
from tasks.subjects import missing, subject_of, undecided


async def destination_of(services: Services, claimed: Claimed) -> DestinationRecord:
    """The job's destination, which takes such jobs; raises `Refused`."""
    job, kind = claimed.job, KIND_OF_COMMAND[claimed.job.command.command]
    if job.destination != undecided(job.command):
        chosen = await services.directory.choose(job.destination, kind, claimed.destination)
        placed = chosen.settings.placed(job.command)
        if subject_of(placed, job.destination, None) != subject_of(job.command, job.destination, None):
            raise Refused(
                "The message named no space, project or table, and its destination had none.",
                code="no_place",
                advice="Send it again under a new id: it goes to the one that is set now.",
            )
        return chosen
    only = await services.directory.choose(None, kind)
    raise Refused(
        "The message named no destination, and there wasn't exactly one that fits.",
        code="unknown_destination",
        advice=f"Send it again under a new id: it goes to {only.name} now.",
    )


async def load(
    services: Services, claimed: Claimed, trail: Trail, record: DestinationRecord, *, lag_ms: int
) -> tuple[Work, Ties]:
    """The job's content and what is known of its subject.

    An object that was delivered a moment ago may not be shown yet: until the lag is over, not finding it says nothing. One
    that the ledger has lost may be in flight at the moment at which that is noticed; where that was long ago, as an
    operator's setting says, the doubt is as old as can be.
    """
    job, known = claimed.job, claimed.subject
    trail.doubt.before_ms = known.doubt_until_ms
    shown_ms = (known.delivered_ms or 0) + lag_ms
    hidden_ms = shown_ms if shown_ms > services.clock_ms() else 0
    lost_ms = int(services.look_first)
    if claimed.look_first_ms is not None:
        lost_ms = claimed.look_first_ms + int(1000 * record.settings.total_timeout_s) + lag_ms
    command, document, issue = _content(services, job, claimed.content)
    ties = await cross_links.ties_of(
        services.links, job, document, claimed.members, enabled=record.settings.cross_links
    )
    issue = issue or await _issue_beside(services, command, document, record.settings)
    work = Work(
        job_id=job.id,
        subject=job.subject,
        command=command,
        document=document,
        issue=issue,
        previous=known.receipt,
        doubt_until_ms=max(known.doubt_until_ms or 0, hidden_ms, lost_ms) or None,
        tried=_opened(services.vault, job.subject, "tried", known.tried),
        wrote=json.loads(_opened(services.vault, job.subject, "wrote", known.wrote) or "{}"),
        links=ties.links,
        released=job.released,
    )
    policy = services.policy.of(job.destination)
    source = source_of(work, record.settings, policy, services.vault)
    return work.model_copy(update={"source": source}), ties


def _content(services: Services, job: Job, stored: bytes | None) -> tuple[Command, Document | None, Issue | None]:
    """A job's command with its fields, and its content; a job that only brings links up to date needs none."""
    document, issue = None, None
    if job.follows:
        return job.command, None, None
    try:
        command = services.ledger.command_of(job)
        if isinstance(job.command, PublishToConfluence):
            document = services.contents.opened_document(job.command.doc_id, stored)
        else:
            issue = services.contents.opened_issue(job.command.issue_id, stored)
    except KeyTrouble as trouble:
        raise unopened(trouble) from None
    if document is None and issue is None:
        raise missing(job.command)
    return command, document, issue


async def _issue_beside(
    services: Services, command: Command, document: Document | None, settings: AnySettings
) -> Issue | None:
    """A document's issue, where the destination shows its fields on the page."""
    try:
        return await services.contents.issue_beside(document, wanted=settings.names_issue(command))
    except KeyTrouble as trouble:
        raise unopened(trouble) from None


def unopened(trouble: KeyTrouble) -> AttemptFailed:
    """This job's trouble and not its destination's; a missing key may come back, a damaged record doesn't mend."""
    failure = Transient if trouble.code == "key_unavailable" else Permanent
    return failure(trouble.message, code=trouble.code, advice=trouble.advice)


def _opened(vault: Vault, subject: str, purpose: str, sealed: str | None) -> str:
    """What an earlier write left to look for; a key that is gone makes the look poorer, not the job dead."""
    try:
        return vault.open(sealed, purpose=purpose, owner=subject) if sealed else ""
    except KeyTrouble:
        return ""


def wrote_by(vault: Vault, job: Job, receipt: Receipt | None) -> dict[str, str] | None:
    """What the receipt says of the object's fields, sealed for each subject that the object is known under; None where it
    says nothing, so that what is known stays.
    """
    if receipt is None or receipt.wrote is None:
        return None
    page = isinstance(job.command, PublishToConfluence)
    newest = job.subject if page else subject_of(job.command, job.destination, None)
    subjects = dict.fromkeys((job.subject, newest))
    return {subject: vault.seal(json.dumps(receipt.wrote), purpose="wrote", owner=subject) for subject in subjects}
