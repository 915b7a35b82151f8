"""Whether a filter of jobs can mean any: a name that nothing has is a mistake, not an empty list."""

from __future__ import annotations

from tasks.errors import Refused
from tasks.services import Services
from tasks.state.jobs.overview import JobFilter


async def check_filter(services: Services, chosen: JobFilter) -> None:
    """Raise `Refused`, naming what there is, for a destination that is neither configured nor has any job."""
    name = chosen.destination
    if name is None or await services.directory.get(name) or await services.ledger.has_jobs(name):
        return
    known = ", ".join(await services.directory.names()) or "none"
    raise Refused(
        f"There is no destination {name!r:.80}, and no job of one; configured: {known}.",
        code="unknown_destination",
        advice="Name one of these.",
    )
