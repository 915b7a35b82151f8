"""What this thread of work is about, for the lines that it logs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from tasks.model import Job

_current: ContextVar[Mapping[str, str | int]] = ContextVar("afterword_job", default={})  # noqa: B039 - never changed


def about(job: Job) -> dict[str, str | int]:
    """An attempt of a job, by what names it in logs and traces."""
    return {"job": job.id, "destination": job.destination, "attempt": job.attempts}


@contextmanager
def working_on(job: Job) -> Iterator[None]:
    """Lines logged inside the block, also from threads started there, are about this attempt of this job."""
    token = _current.set(about(job))
    try:
        yield
    finally:
        _current.reset(token)


def facts() -> Mapping[str, str | int]:
    """Job, destination and attempt of the current work; empty outside of any."""
    return _current.get()
