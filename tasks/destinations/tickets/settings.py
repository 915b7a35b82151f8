"""What every destination of tickets can be told."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from tasks.destinations.settings import DestinationSettings
from tasks.destinations.tickets.drift import OnDrift
from tasks.destinations.tickets.mapping import LONGEST, Keys, Rules, read
from tasks.destinations.tickets.status import Follow

Attach = Literal["never", "when_cut", "always"]


class TicketSettings(DestinationSettings):
    """`on_drift` decides about fields that somebody else changed, `unknown_reference` about a name that the vendor doesn't
    know. `link_base` is what relative links and images of a description are relative to. `follow_status` says whether a ticket is resolved, or closed as well, with its issue. `mapping` is the text of the
    operator's mapping. `attach_document` says whether the whole description is attached as a file: only where the ticket's field
    has no room for it, or always.

    With `follow_state` the state, number, assignee and links of each ticket are read every `follow_state_every_s`, for as long
    as its issue is open.
    """

    keys: ClassVar[Keys]

    on_drift: OnDrift = "keep"
    unknown_reference: Literal["refuse", "warn"] = "refuse"
    follow_status: Follow = "resolve"
    link_base: str | None = None
    attach_document: Attach = "never"
    follow_state: bool = False
    follow_state_every_s: float = Field(default=300.0, ge=10, le=86400)
    mapping: str = Field(default="", max_length=LONGEST, json_schema_extra={"format": "toml"})

    @cached_property
    def rules(self) -> Rules:
        """The mapping, read once."""
        return read(self.mapping, self.keys, stored=True)

    @field_validator("mapping")
    @classmethod
    def _mapping_is_read(cls, value: str, info: ValidationInfo) -> str:
        """A mapping that can't be read is refused when it is set, and not by the first job."""
        read(value, cls.keys, stored=bool(info.context and info.context["stored"]))
        return value
