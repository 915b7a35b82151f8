"""A message of a producer becomes a job: once. What a second message of the same id says otherwise is never dropped silently.

A producer can't be refused any more when its message arrives, and one id has one result, which tells of the first message's
job. A second one with other content is therefore set aside, logged, counted, and shown in the job's timeline and the audit.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from tasks.errors import KeyTrouble, Permanent, Refused
from tasks.model import TERMINAL, Command, Job, parse_command
from tasks.state.audit.entries import Event
from worker.runtime import Services

log = logging.getLogger(__name__)

WORDS = "it has the id of another message and says something else"


async def adopt(
    services: Services,
    job_id: str,
    given: Mapping[str, Any],
    *,
    wakes: bool = False,
    origin: Mapping[str, Any] | None = None,
    traceparent: str | None = None,
) -> None:
    """Store the job of a message, or compare the message with the job that is there, which is told again where it has ended.

    What hangs on a message whose job came without it, as a job of an earlier version did, follows that job.

    With `wakes` a worker of an earlier version offers a job of the ledger. Raises `Refused` for what makes no command, and
    `Permanent` for a wake-up whose job nobody knows.
    """
    job = await services.ledger.get(job_id)
    if job is None and wakes:
        raise Permanent(
            "No job has this id: it was forgotten, or the message carries a header that only Afterword sends.",
            code="unknown_job",
            advice="Send it again under a new id, without the header afterword_wakes.",
        )
    if job is None:
        command = parse_command(given)
        await services.submit(
            command, actor="celery", job_id=job_id, adopt=True, origin=origin, traceparent=traceparent
        )
    elif wakes:
        await services.upkeep.unsend(job_id)
    else:
        if not _same(services, job, given):
            await _note_conflict(services, job, given)
        elif origin:
            await services.ledger.hang(job_id, origin)
        if job.state in TERMINAL:
            await services.upkeep.tell_again(job_id)


def _same(services: Services, job: Job, given: Mapping[str, Any]) -> bool:
    """Whether the message asks for what the job does; fields that can't be opened aren't compared."""
    try:
        command = parse_command(given)
    except Refused:
        return False
    try:
        return command == _as_asked(services.ledger.command_of(job), command)
    except KeyTrouble:
        return _without_fields(command) == _without_fields(_as_asked(job.command, command))


def _as_asked(stored: Command, asked: Command) -> Command:
    """The stored command without the place that its destination gave it: a parent page also where the space was named."""
    given = [name for name in ("space_key", "project") if getattr(asked, name, "") is None and hasattr(stored, name)]
    if hasattr(stored, "parent_page_id") and getattr(asked, "parent_page_id", None) is None:
        given.append("parent_page_id")
    return stored.model_copy(update=dict.fromkeys(given))


def _without_fields(command: Command) -> dict[str, Any]:
    return command.model_dump(exclude={"config": {"fields"}})


async def _note_conflict(services: Services, job: Job, given: Mapping[str, Any]) -> None:
    log.error("job %s: a second message was set aside: %s.", job.id, WORDS)
    raw = json.dumps({"id": job.id, **given}, default=repr).encode()
    await services.dead_list.keep(raw, kind="conflict", words=WORDS, task_id=job.id)
    await services.ledger.note(job, Event.CONFLICT, {"reason": WORDS})
