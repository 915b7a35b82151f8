"""One action on many jobs: on all that match a filter, counted beforehand and audited as a whole and job by job, or on those
that were chosen one by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Literal, get_args

from tasks.errors import Refused
from tasks.model import Frozen, Job, JobState
from tasks.state.jobs.ledger import Ledger
from tasks.state.jobs.overview import JobFilter

Verb = Literal["retry", "cancel", "release"]
APPLIES_TO: Mapping[Verb, tuple[JobState, ...]] = {
    "retry": (JobState.DEAD,),
    "cancel": (JobState.QUEUED, JobState.RETRYING, JobState.HELD),
    "release": (JobState.HELD,),
}
GROUP = 100


class Progress(Frozen):
    """How far a bulk action is. `failed` counts jobs that had moved on before their turn."""

    done: int = 0
    failed: int = 0
    total: int = 0
    finished: bool = False


async def act_on_each(
    ledger: Ledger, verb: Verb, chosen: JobFilter, act: Callable[[str], Awaitable[Job]], *, actor: str, reason: str
) -> AsyncGenerator[Progress, None]:
    """Do `act` to each job that fits, in groups, telling of progress after each; closing the iterator stops it.

    Jobs are met once, in the order newest first: what is submitted meanwhile is left alone. Raises `Refused` for an
    empty filter and for a state that the verb has nothing to do with.
    """
    filters = _filters(verb, chosen)
    total = sum([await ledger.overview.size(each) for each in filters])
    await ledger.announce_bulk(verb, chosen, total, actor=actor, reason=reason)
    progress = Progress(total=total)
    yield progress
    for each in filters:
        cursor: str | None = None
        while True:
            ids, cursor = await ledger.overview.page(each, cursor, GROUP)
            if ids:
                progress = await _further(progress, act, ids)
                yield progress
            if cursor is None:
                break
    yield progress.model_copy(update={"finished": True})


async def act_on_these(ids: Sequence[str], act: Callable[[str], Awaitable[Job]]) -> AsyncGenerator[Progress, None]:
    """Do `act` to each of these jobs, in groups, telling of progress after each; closing the iterator stops it."""
    progress = Progress(total=len(ids))
    yield progress
    for start in range(0, len(ids), GROUP):
        progress = await _further(progress, act, ids[start : start + GROUP])
        yield progress
    yield progress.model_copy(update={"finished": True})


async def _further(progress: Progress, act: Callable[[str], Awaitable[Job]], ids: Sequence[str]) -> Progress:
    refused = sum(await asyncio.gather(*(_refused(act, job_id) for job_id in ids)))
    return progress.model_copy(update={"done": progress.done + len(ids) - refused, "failed": progress.failed + refused})


async def _refused(act: Callable[[str], Awaitable[Job]], job_id: str) -> bool:
    try:
        await act(job_id)
    except Refused:
        return True
    return False


def _filters(verb: Verb, chosen: JobFilter) -> list[JobFilter]:
    """One filter for each state that the verb applies to."""
    if verb not in get_args(Verb):
        raise Refused(f"There is no action {verb!r}.", code="bad_arguments", advice="Use retry, cancel or release.")
    if {chosen.text, chosen.kind, chosen.since_ms, chosen.until_ms} != {None}:
        raise Refused(
            "One action on many jobs can't be narrowed by words, kind or time.",
            code="bad_arguments",
            advice="Name a state, a destination or a cause.",
        )
    if chosen.state is None and chosen.destination is None:
        raise Refused("No filter was given.", code="no_filter", advice="Name a state, a destination or both.")
    allowed = APPLIES_TO[verb] if verb != "cancel" else (*APPLIES_TO[verb], JobState.DEAD)
    if chosen.state is not None and chosen.state not in allowed:
        raise Refused(
            f"A job that is {chosen.state.value} can't be the object of {verb}.",
            code="wrong_state",
            advice=f"This works on jobs that are {' or '.join(allowed)}.",
        )
    states = (chosen.state,) if chosen.state else APPLIES_TO[verb]
    return [chosen.model_copy(update={"state": state}) for state in states]
