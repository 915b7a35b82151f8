"""Documents, issues and jobs, as producers bring them."""

from __future__ import annotations

import re
from typing import cast

from tasks.errors import Refused
from tasks.model import Document, Issue, JobState, subject_key
from worker.api.inputs import DocumentIn, IncidentIn, IssueIn, JiraIssueIn, JobIn, PublishIn, WorkItemIn, ignored
from worker.api.outputs import Accepted, IssueView, Stored, TicketView
from worker.api.problems import ProblemError
from worker.api.queries import DocumentPath, IssuePath
from worker.api.route import Answer, Call

LONGEST_IDEMPOTENCY_KEY = 255
_KEY = re.compile(r"^[!-~]([ -~]*[!-~])?$")


async def put_document(call: Call) -> Answer:
    """Store a document under its id, replacing the earlier one."""
    identifier, given = cast(DocumentPath, call.path).doc_id, cast(DocumentIn, call.body)
    _same(identifier, given.id, "doc_id")
    document = given.content(identifier)
    await call.services.put(document, call.actor)
    return Answer(Stored(id=document.id, title=document.title, ignored=ignored(given)))


async def put_issue(call: Call) -> Answer:
    """Store an issue under its id, replacing the earlier one."""
    identifier, given = cast(IssuePath, call.path).issue_id, cast(IssueIn, call.body)
    _same(identifier, given.id, "issue_id")
    issue = given.content(identifier)
    await call.services.put(issue, call.actor)
    return Answer(Stored(id=issue.id, title=issue.title, ignored=ignored(given)))


async def get_issue(call: Call) -> Answer:
    """The tickets of an issue, as they read on the remote side where that is followed; never its text."""
    identifier = cast(IssuePath, call.path).issue_id
    stored = await call.services.contents.length("issue", identifier) > 0
    made = await call.services.core.followed.of(subject_key("issue", identifier))
    if not stored and not made:
        raise ProblemError(404, "unknown_issue", f"There is no issue {identifier!r:.80}.", "Check its id.")
    return Answer(IssueView(id=identifier, stored=stored, tickets=tuple(map(TicketView.of, made))))


async def submit_job(call: Call) -> Answer:
    """Accept a job: from here on it ends in exactly one terminal state. The same Idempotency-Key, the same answer."""
    given = cast(JobIn, call.body).root
    document, issue = _content(given)
    callback = (
        call.services.callbacks.callback(given.callback_url, call.key.id) if given.callback_url and call.key else None
    )
    try:
        job = await call.services.submit(
            given.command_of(),
            actor=call.actor,
            idempotency_key=_idempotency_key(call),
            document=document,
            issue=issue,
            callback=callback,
            caller=call.caller,
        )
    except Refused as refused:
        if refused.code != "unknown_destination":
            raise
        # 404 would say that this address is wrong; here it is the job that names something which isn't there (yet)
        raise ProblemError(409, refused.code, refused.message, refused.advice) from None
    unused = ignored(given.document if isinstance(given, PublishIn) else given.issue)
    accepted = Accepted(job_id=job.id, state=JobState.QUEUED, ignored=unused)
    return Answer(accepted, status=202, headers={"Location": f"/v1/jobs/{job.id}"})


def _content(given: PublishIn | IncidentIn | WorkItemIn | JiraIssueIn) -> tuple[Document | None, Issue | None]:
    if isinstance(given, PublishIn):
        if given.document is None:
            return None, None
        _same(given.doc_id, given.document.id, "doc_id")
        return given.document.content(given.doc_id), None
    if given.issue is None:
        return None, None
    _same(given.issue_id, given.issue.id, "issue_id")
    return None, given.issue.content(given.issue_id)


def _same(identifier: str, inside: str | None, name: str) -> None:
    if inside and inside != identifier:
        raise ProblemError(
            409,
            "two_ids",
            f"The content's own id differs from {name}.",
            "Give the same id, or leave the inner one out.",
        )


def _idempotency_key(call: Call) -> str | None:
    """The header's key, apart for each API key: two producers may use the same words."""
    keys = call.request.headers.getall("Idempotency-Key", [])
    if not keys or call.key is None:
        return None
    if len(keys) > 1 or len(keys[0]) > LONGEST_IDEMPOTENCY_KEY or not _KEY.match(keys[0]):
        raise ProblemError(
            422,
            "invalid",
            f"Idempotency-Key is one value of 1 to {LONGEST_IDEMPOTENCY_KEY} printable ASCII characters.",
            "A UUID made once for each job is a good one.",
        )
    return f"{call.key.id} {keys[0]}"
