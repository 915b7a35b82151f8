"""Makes the first text as quick as all later ones, and keeps the collector away from what stays."""

from __future__ import annotations

import gc
from collections.abc import Iterator

from pydantic import BaseModel

from tasks.destinations import SETTINGS
from tasks.markup import azure_devops, confluence, jira, servicenow
from tasks.model.commands import COMMAND
from tasks.model.content import Frozen, Upstream
from tasks.screening import scan

NEW_OBJECTS = 10_000  # that hold others, until cycles among them are looked for: a few megabytes
# It needs every finder: patterns compile, and tables of countries are read, at their first use.
_TEXT = """# Ready

:tada: Call +44 20 7946 0000, mobile 030 1234567 or (212) 555-0100, or write to a@example.com about `password=<yours>`.

| national id | card | account |
|---|---|---|
| 123456789 | 4111 1111 1111 1111 | DE89 3704 0044 0532 0130 00 |

> [!NOTE]
> %70%61%73%73%77%6f%72%64 aGVsbG8gd29ybGQgdGhpcyBpcyBub3RoaW5nIG9mIGltcG9ydGFuY2U=
"""


def load() -> None:
    """Import what submits and delivers, and build the models' validators. A command does both on use, since most need
    little of it; in a server the first job or request must not wait for it.
    """
    import tasks.destinations.azure_devops.destination
    import tasks.destinations.confluence.destination
    import tasks.destinations.jira.destination
    import tasks.destinations.servicenow.destination
    import tasks.lifecycle
    import tasks.redaction
    import tasks.screening.scanner  # noqa: F401 - imported for later

    for model in (*_models(Frozen), *_models(Upstream)):
        model.model_rebuild()
    for adapter in (COMMAND, SETTINGS):
        adapter.rebuild()


def _models(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for model in base.__subclasses__():
        yield model
        yield from _models(model)


def warm_up() -> None:
    """Have parser, patterns and the engine of screening in memory."""
    load()
    scan(_TEXT)
    for target in (confluence, azure_devops, servicenow, jira):
        target.render(_TEXT)


def keep() -> None:
    """What a server has in memory by now stays for as long as it runs: Python's collector of cycles needn't go through it again.

    An attempt makes thousands of objects, of which nearly all go without the collector. By default it looked after each 700,
    and through all modules and patterns after some hundred attempts: together a fifth of an attempt's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)
