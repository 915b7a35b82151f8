"""A dry run: what a delivery would change, by the same steps as the delivery, but reading only.

Content is screened and rendered as for a job; the remote side is only looked at. Each look is audited; a write has no way
out: its intent is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tasks import cross_links, redaction
from tasks.audited import AuditedTest
from tasks.authorization.authorize import authorize
from tasks.destinations import destination_for
from tasks.destinations.contract import Preview, Work
from tasks.errors import AttemptFailed, KeyTrouble, Permanent, Refused
from tasks.http.exchange import Exchange
from tasks.http.message import Request
from tasks.http.origin import Origin
from tasks.model import KIND_OF_COMMAND, Document, PublishToConfluence
from tasks.services import Services
from tasks.subjects import missing, subject_of


async def preview(services: Services, command: PublishToConfluence, document: Document | None = None) -> Preview:
    """What publishing a document would change: the one that is given, else the stored one. Raises what the job would end
    with, `Held` included.
    """
    record = await services.directory.choose(command.destination, KIND_OF_COMMAND[command.command])
    placed = record.settings.placed(command)
    command = placed if isinstance(placed, PublishToConfluence) else command
    document = document or await services.contents.document(command.doc_id)
    if document is None:
        raise missing(command)
    subject = subject_of(command, record.name, document)
    known = await services.ledger.subject(subject)
    issue = cross_links.issue_of(command, document)
    members = await services.links.members(issue) if issue and record.settings.cross_links else {}
    work = Work(
        job_id="dry-run",
        subject=subject,
        command=command,
        document=document,
        issue=await services.contents.issue_beside(document, wanted=record.settings.names_issue(command)),
        previous=known.receipt,
        links=cross_links.wanted(members, subject, record.settings.kind),
    )
    destination = destination_for(record.settings)
    try:
        authorization = await authorize(services, record)
    except KeyTrouble as trouble:
        raise Refused(trouble.message, code=trouble.code, advice=trouble.advice) from None
    ready = await services.processes.run(
        redaction.size_of(document), redaction.outgoing, work, record.settings, services.policy.of(record.name)
    )
    if isinstance(ready.outcome, AttemptFailed):
        raise ready.outcome
    work, prepared = ready.outcome
    recorder = ReadsOnly(AuditedTest(services.ledger, services.vault, record, "lookup"))
    async with services.open_http(destination, authorization, recorder) as http:
        found = await destination.preview(work, prepared, http)
        return Preview.model_validate(_told(found.model_dump(), http.sent.tell))


def _told(found: Any, tell: Callable[[str], str]) -> Any:
    """What was found out, without the credential in any of its texts."""
    if isinstance(found, str):
        return tell(found)
    if isinstance(found, dict):
        return {name: _told(part, tell) for name, part in found.items()}
    return tuple(_told(part, tell) for part in found) if isinstance(found, list | tuple) else found


@dataclass
class ReadsOnly:
    """The recorder of a dry run: each look is audited, and a write has no way out."""

    looks: AuditedTest

    async def before(self, request: Request, origin: Origin, begin: Callable[[], None]) -> tuple[str, str]:
        """Make the intent durable; raises `Permanent` for a write."""
        if request.writes:
            raise Permanent("A dry run sends no write.", code="dry_run", advice="Leave out --dry-run.")
        return await self.looks.before(request, origin, begin)

    async def after(self, mark: tuple[str, str], exchange: Exchange) -> None:
        """Close the intent."""
        await self.looks.after(mark, exchange)
