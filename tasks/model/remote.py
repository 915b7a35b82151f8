"""A ticket as it reads on the remote side, whoever changed it there."""

from __future__ import annotations

from collections.abc import Mapping

from tasks.model.content import Frozen

WATCHED = ("number", "url", "state", "assignee", "links")


class RemoteTicket(Frozen):
    """What is taken over of a ticket. `state` is in the vendor's words, `stage` what it means (None for one of a process' own);
    `links` are the numbers of related tickets.
    """

    number: str
    url: str
    state: str = ""
    stage: str | None = None
    assignee: str = ""
    links: tuple[str, ...] = ()


class Observed(Frozen):
    """A ticket as it was read now. `reads` tells of its state and assignee which field that is, and the mark of its value, as
    a delivery remembers what it wrote.
    """

    ticket: RemoteTicket
    reads: Mapping[str, tuple[str, str]] = {}
