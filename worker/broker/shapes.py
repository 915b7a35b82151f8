"""The parts of a task message in both of Celery's protocols, with the types that Celery reads them by."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Annotated, Any, Literal

from celery.app.task import Context
from celery.utils.time import maybe_iso8601
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    model_validator,
)

PLAIN = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,255}")  # what can be an id, and be shown
_YEARS = range(1971, 3000)


def _plain(value: str) -> str:
    if not PLAIN.fullmatch(value):
        raise ValueError("holds what can't stand in an id")
    return value


def _moment(value: str) -> str:
    """As Celery reads it, within years that every clock can tell."""
    found = maybe_iso8601(value)
    if not isinstance(found, datetime) or found.year not in _YEARS:
        raise ValueError("is no moment")
    return value


def _finite(value: float) -> float:
    if not math.isfinite(value) or value < 0:
        raise ValueError("is no duration")
    return value


Id = Annotated[StrictStr, AfterValidator(_plain)]
Text = Annotated[StrictStr, Field(max_length=100_000)]
Moment = Annotated[StrictStr, Field(min_length=1, max_length=64), AfterValidator(_moment)]
Seconds = Annotated[StrictInt | StrictFloat, AfterValidator(_finite)]
Count = Annotated[StrictInt, Field(ge=0, le=1_000_000)]


class Shape(BaseModel):
    """A part of a message. What producers' tools add passes, as long as Celery has no use for the name."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)


class Options(Shape):
    """The options of a signature, as far as Celery acts on them."""

    task_id: Id | None = None
    group_id: Id | None = None
    root_id: Id | None = None
    parent_id: Id | None = None
    queue: Text | None = None
    routing_key: Text | None = None
    exchange: Text | None = None
    link: list[Signature] | Signature | None = None
    link_error: list[Signature] | Signature | None = None
    chain: list[Signature] | None = None
    chord: Signature | None = None
    headers: dict[str, Any] | None = None
    countdown: Seconds | None = None
    eta: Moment | None = None


class Signature(Shape):  # type: ignore[no-redef]  # mypy's plugin uses the name kwargs, too
    """What hangs on a task: a callback, a chain's next, a chord's body. Signatures within it are checked, too."""

    task: Id
    args: list[Any] = Field(default_factory=list)
    keywords: dict[str, Any] = Field(default_factory=dict, alias="kwargs")
    options: Options = Field(default_factory=Options)
    subtask_type: Literal["chain", "group", "chord", "xmap", "xstarmap", "chunks"] | None = None
    immutable: StrictBool | None = None
    chord_size: Count | None = None

    @model_validator(mode="after")
    def _whole(self) -> Signature:
        if self.subtask_type in ("chain", "group"):
            Several.model_validate(self.keywords)
        elif self.subtask_type == "chord":
            Chord.model_validate(self.keywords)
        return self


class Several(Shape):
    """The arguments of a chain or a group."""

    tasks: list[Signature]


class Chord(Shape):
    """The arguments of a chord."""

    header: list[Signature] | Signature
    body: Signature | None


class Embed(Shape):
    """What a message of protocol 2 carries besides arguments. Celery spreads it over the request: nothing else may stand there."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    callbacks: list[Signature] | None = None
    errbacks: list[Signature] | None = None
    chain: list[Signature] | None = None
    chord: Signature | None = None


class Parts(Shape):
    """The body of protocol 2: arguments, keyword arguments, and what hangs on the task."""

    body: tuple[list[Any], dict[str, Any], Embed | None]


class Task(Shape):
    """What both protocols say of a task."""

    task: Id
    id: Id
    root_id: Id | None = None
    parent_id: Id | None = None
    group: Id | None = None
    group_index: Count | None = None
    shadow: Id | None = None
    lang: Text | None = None
    meth: Text | None = None
    origin: Text | None = None
    argsrepr: Text | None = None
    kwargsrepr: Text | None = None
    eta: Moment | None = None
    expires: Moment | None = None
    retries: Count | None = 0
    timelimit: Annotated[list[Seconds | None], Field(min_length=2, max_length=2)] | None = None
    ignore_result: StrictBool | None = None
    replaced_task_nesting: Count | None = 0
    stamped_headers: list[StrictStr] | None = None
    stamps: dict[str, Any] | None = None
    headers: dict[str, Any] | None = None
    compression: Text | None = None
    traceparent: Text | None = None
    redelivered: StrictBool | None = None


class Protocol2(Task):
    """The headers of a message of protocol 2."""


class Protocol1(Task):  # type: ignore[no-redef]  # the same
    """The body of a message of protocol 1, which holds everything."""

    args: list[Any] = Field(default_factory=list)
    keywords: dict[str, Any] = Field(default_factory=dict, alias="kwargs")
    utc: StrictBool | None = True
    taskset: Id | None = None
    callbacks: list[Signature] | None = None
    errbacks: list[Signature] | None = None
    chord: Signature | None = None


class Properties(Shape):
    """The properties that Celery acts on."""

    correlation_id: Id | None = None
    reply_to: Annotated[StrictStr, Field(max_length=255)] | None = None
    priority: StrictInt | None = None


# Names that are Celery's own in a request: a header of such a name would take the place of a method or of a checked part.
RESERVED = frozenset(name for name in dir(Context) if not name.startswith("__")) | {"self"}


def names_of(shape: type[Shape]) -> frozenset[str]:
    """The names of a shape's parts, as they stand in a message."""
    return frozenset(field.alias or name for name, field in shape.model_fields.items())
