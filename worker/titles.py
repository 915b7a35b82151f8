"""What a job is about, in a few words: the title of its document or issue, screened as it would leave."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Literal

from tasks.errors import KeyTrouble
from tasks.model import CommandName, Job, content_id
from tasks.screening import Policy, ScreeningFailed, screen
from worker.runtime import Services

LONGEST = 400_000  # bytes of sealed content that are opened for a title


async def titles_of(services: Services, jobs: Iterable[Job]) -> dict[str, str]:
    """The title of each job's content, by job id.

    Absent where there is no content, where its key is gone, and where opening it would take long.
    """
    found: dict[str, str] = {}
    for job in jobs:
        kind: Literal["document", "issue"] = "document" if job.command.command is CommandName.PUBLISH else "issue"
        if await services.contents.length(kind, content_id(job.command)) > LONGEST:
            continue
        with contextlib.suppress(KeyTrouble):
            content = await services.contents.about(job.command)
            if content is not None:
                found[job.id] = content.title
    policy = services.core.policy

    def clean() -> dict[str, str]:
        return {name: _clean(title, policy) for name, title in found.items()}

    return await asyncio.to_thread(clean)


def _clean(title: str, policy: Policy) -> str:
    try:
        return screen(title, policy, released=True).text
    except ScreeningFailed:
        return "…"
