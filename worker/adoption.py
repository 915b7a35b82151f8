"""A message of a producer becomes a job: once. What a second message of the same id says otherwise is never dropped silently.

A producer can't be refused any more when its message arrives, and one id has one result, which tells of the first message's
job. A second one with other content is therefore set aside, logged, counted, and shown in the job's timeline and the audit.

Messages are adopted on the worker's loop, those that wait together, and acknowledged once the ledger has their jobs: no
thread, no task and no exception of Celery's is needed for that. Only a message that can't be adopted becomes a call of its
task, which says why in Celery's own way.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import threading
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any

from celery.utils.time import maybe_iso8601
from celery.worker.state import task_accepted, task_ready

from tasks.errors import KeyTrouble, Permanent, Refused
from tasks.model import TERMINAL, Command, CommandName, Job, parse_command
from tasks.state.audit.entries import Event
from tasks.tracing import checked_traceparent
from worker.broker.guard import JOBS
from worker.loop import Loop
from worker.runtime import Services

log = logging.getLogger(__name__)

WORDS = "it has the id of another message and says something else"
# What of a message the teller needs when its job has ended.
ORIGIN = (
    "callbacks",
    "errbacks",
    "chain",
    "chord",
    "group",
    "group_index",
    "root_id",
    "parent_id",
    "reply_to",
    "correlation_id",
    "ignore_result",
    "stamps",
    "stamped_headers",
)
WAKES = "afterword_wakes"  # the header of an earlier version's message about a job that the ledger knows


class Reception:
    """Takes the messages that Celery's consumer hands on, in place of its pool. `loop` gives the worker's loop."""

    def __init__(self, consumer: Any, loop: Callable[[], Loop]) -> None:
        self._call_soon = consumer.call_soon
        self._to_pool: Callable[[Any], None] = consumer.on_task_request
        self._loop = loop
        self._lock = threading.Lock()
        self._waiting: list[Any] = []
        self._adopting = False
        self._signatures: dict[str, inspect.Signature] = {}

    def take(self, request: Any) -> None:
        """Adopt the request soon if it asks for a job; everything else runs in the pool. Called by the consumer's thread."""
        if request.type not in JOBS:
            self._to_pool(request)
            return
        if request.revoked():  # while it waited for its moment; Celery has told and acknowledged it
            return
        with self._lock:
            self._waiting.append(request)
            begins, self._adopting = not self._adopting, True
        if begins:
            self._loop().spawn(self._adopt_all())

    async def _adopt_all(self) -> None:
        """Adopt what waits until nothing does. What is cut short isn't acknowledged: its message comes again."""
        try:
            while requests := self._next():
                await asyncio.gather(*map(self._adopt, requests))
        except BaseException:
            with self._lock:
                self._adopting = False  # the next message begins anew
            raise

    def _next(self) -> list[Any]:
        with self._lock:
            requests, self._waiting = self._waiting, []
            self._adopting = bool(requests)
        return requests

    async def _adopt(self, request: Any) -> None:
        try:
            call = self._signature_of(request).bind(*request.args, **request.kwargs)
            given = {"command": CommandName(request.type), **arguments_of(**call.arguments)}
            await adopt(self._loop().services, str(request.id), given, **ties_of(request._context))  # noqa: SLF001 - Celery has no public way
        except Exception as trouble:  # its task meets the same, and tells its producer
            log.debug("message %s: %s", request.id, type(trouble).__name__)
            self._call_soon(self._to_pool, request)
            return
        task_accepted(request)  # only now: the pool counts what goes to it
        task_ready(request)
        request.acknowledge()

    def _signature_of(self, request: Any) -> inspect.Signature:
        """What the request's task takes."""
        known = self._signatures.get(request.type)
        if known is None:
            known = self._signatures[request.type] = inspect.signature(request.task.run)
        return known


def arguments_of(**given: Any) -> dict[str, Any]:
    """The arguments that a message really gave."""
    return {name: value for name, value in given.items() if value is not None}


def ties_of(context: Any) -> dict[str, Any]:
    """What a message says besides its arguments, as `adopt` takes it; `context` is Celery's of its request."""
    return {
        "wakes": getattr(context, WAKES, None) == context.id,
        "origin": {name: value for name in ORIGIN if (value := getattr(context, name, None))},
        "traceparent": checked_traceparent(getattr(context, "traceparent", None)),
        "not_before_ms": _moment_ms(getattr(context, "eta", None)),
        "until_ms": _moment_ms(getattr(context, "expires", None)),
    }


def _moment_ms(given: Any) -> int | None:
    """A moment of a message in epoch milliseconds, as the ledger keeps it; one without a zone is in UTC, as in Celery."""
    if not given:
        return None
    moment = maybe_iso8601(given)
    return int(1000 * (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


async def adopt(
    services: Services,
    job_id: str,
    given: Mapping[str, Any],
    *,
    wakes: bool = False,
    origin: Mapping[str, Any] | None = None,
    traceparent: str | None = None,
    not_before_ms: int | None = None,
    until_ms: int | None = None,
) -> None:
    """Store the job of a message, or compare the message with the job that is there, which is told again where it has ended.

    What hangs on a message whose job came without it, as a job of an earlier version did, follows that job.

    The moments before which the job must not begin and at which it is over are by this machine's clock, as the guard gives
    them to Celery. With `wakes` a worker of an earlier version offers a job of the ledger. Raises `Refused` for what makes no command, and
    `Permanent` for a wake-up whose job nobody knows.
    """
    job = await services.ledger.get(job_id)
    ahead_ms = round(1000 * services.journal.clock.skew_s())
    if job is None and wakes:
        raise Permanent(
            "No job has this id: it was forgotten, or the message carries a header that only Afterword sends.",
            code="unknown_job",
            advice="Send it again under a new id, without the header afterword_wakes.",
        )
    if job is None:
        command = parse_command(given)
        stored = await services.submit(
            command,
            actor="celery",
            job_id=job_id,
            adopt=True,
            origin=origin,
            traceparent=traceparent,
            not_before_ms=None if not_before_ms is None else not_before_ms - ahead_ms,
            until_ms=None if until_ms is None else until_ms - ahead_ms,
        )
        if not _same(services, stored, given):  # another message of that id was faster
            await _note_conflict(services, stored, given)
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
    given = [
        name for name in ("space_key", "project", "table") if getattr(asked, name, "") is None and hasattr(stored, name)
    ]
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
