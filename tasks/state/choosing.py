"""Which destination a job is for: the one that it names, or the only one of the kind that it needs.

Where a transition relies on the choice, it is made from memory: the transition's own script refuses it where the records are
others by now (`lua/marks.lua`), and then they are read.
"""

from __future__ import annotations

import builtins
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from tasks.destinations import AnySettings
from tasks.errors import Refused
from tasks.state.marks import mark_of
from tasks.state.signed import FIELD

SAYS = ("revision", FIELD)  # each change of a record changes these


class Record(Protocol):
    """A destination as it is stored."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def settings(self) -> AnySettings:
        """What it is."""
        ...

    @property
    def stored(self) -> Mapping[str, str]:
        """Its record."""
        ...


R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Chosen(Generic[R]):
    """A destination, and the records that it was chosen by, as a script compares them; None where they were read just now."""

    record: R
    among: Mapping[str, Any] | None = None


class Choosing(ABC, Generic[R]):
    """Chooses among destinations."""

    def __init__(self) -> None:
        self._chosen: dict[tuple[str | None, str], Chosen[R]] = {}

    @abstractmethod
    async def require(self, name: str, stored: Mapping[bytes, bytes] | None = None) -> R:
        """The destination of that name."""

    @abstractmethod
    async def list(self) -> builtins.list[R]:
        """All destinations that can be read."""

    async def choose(self, name: str | None, kind: str, stored: Mapping[bytes, bytes] | None = None) -> R:
        """The destination of that name (from its record where that was read), or the only one of the kind; raises `Refused`."""
        return (await self._choose(name, kind, stored))[0]

    async def recall(self, name: str | None, kind: str, *, anew: bool = False) -> Chosen[R]:
        """The same, as it was chosen before unless `anew`, for a transition that is refused where that doesn't hold any more."""
        held = self._chosen.get((name, kind))
        if held is not None and not anew:
            return held
        self._chosen.pop((name, kind), None)
        record, read = await self._choose(name, kind)
        marks = {each.name: mark_of(each.stored, SAYS) for each in read}
        self._chosen[name, kind] = Chosen(record, {"marks": marks, "says": SAYS, "all": name is None})
        return Chosen(record)

    async def _choose(
        self, name: str | None, kind: str, stored: Mapping[bytes, bytes] | None = None
    ) -> tuple[R, Sequence[R]]:
        """The destination, and all that were looked at."""
        if name is not None:
            record = await self.require(name, stored)
            if record.settings.kind != kind:
                raise Refused(
                    f"Destination {name} is of kind {record.settings.kind}; this job needs {kind}.",
                    code="wrong_kind",
                    advice="Name another destination.",
                )
            return record, [record]
        read = await self.list()
        fitting = [record for record in read if record.settings.kind == kind]
        if len(fitting) != 1:
            found = ", ".join(record.name for record in fitting) or "none"
            raise Refused(
                f"The job names no destination, and there isn't exactly one of kind {kind} (found: {found}).",
                code="unknown_destination",
                advice="Name one (`--to NAME`, `destination`), or add it with `afterword destination set`.",
            )
        return fitting[0], read
