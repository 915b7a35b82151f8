"""What the addresses of the API's requests hold: ids in their paths, and queries."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from tasks.model import Identifier, JobState
from worker.api.fields import Cursor, Destination, Rfc3339, StreamId


class _Address(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DocumentPath(_Address):
    """A document's id."""

    doc_id: Identifier


class IssuePath(_Address):
    """An issue's id."""

    issue_id: Identifier


class JobPath(_Address):
    """A job's id."""

    job_id: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[!-~]+$")]


class DestinationPath(_Address):
    """A destination's name."""

    name: Destination


class WaitQuery(_Address):
    """How long to wait for the job to rest."""

    wait: Annotated[
        int, Field(ge=0, le=300, description="Seconds to wait for an outcome; the operator may set a lower limit")
    ] = 0


class JobsQuery(_Address):
    """Which jobs."""

    state: JobState | None = None
    destination: Destination | None = None
    q: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        default=None, description="whole words of the title, of an id, of the remote number, of the error or the actor"
    )
    cause: Annotated[str, StringConstraints(max_length=100)] | None = Field(
        default=None,
        description="an error's code, with its status behind a blank, such as `server_error 503`; of "
        "dead jobs where no state is named",
    )
    kind: Literal["confluence", "servicenow", "azure_devops", "jira"] | None = None
    since: Rfc3339 | None = Field(default=None, description="submitted from this moment on (RFC 3339)")
    until: Rfc3339 | None = Field(default=None, description="submitted before this moment (RFC 3339)")
    cursor: Cursor | None = Field(default=None, description="`next` of the page before")
    limit: Annotated[int, Field(ge=1, le=200)] = 50


Sought = Annotated[str, StringConstraints(max_length=200)]


class AuditQuery(_Address):
    """Which entries, and where to go on reading."""

    after: StreamId | None = Field(default=None, description="`next` of the page before; from the start without it")
    limit: Annotated[int, Field(ge=1, le=1000)] = 200
    event: Sought = Field(default="", description="an event such as `job.dead`, or a group such as `delivery`")
    job: Sought = Field(default="", description="a job's id, or a part of it")
    destination: Sought = Field(default="", description="a destination's name")
    actor: Sought = Field(default="", description="a part of who acted: a key's name or id, an account")
    about: Sought = Field(default="", description="the id of a document or an issue")


class VerifyQuery(_Address):
    """Which verification, and how long to wait for its report."""

    run: Annotated[str, StringConstraints(max_length=64)] = Field(
        default="", description="`run` of an answer before; a new verification without it"
    )
    wait: Annotated[
        int, Field(ge=0, le=300, description="Seconds to wait for the report; the operator may set a lower limit")
    ] = 10
