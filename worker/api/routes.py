"""Every address of the API. This table serves the requests, and the OpenAPI document is made from it."""

from __future__ import annotations

from typing import Any

from tasks.state.access.rights import Scope
from tasks.state.audit.verification import AuditReport
from tasks.state.look_first.flag import LookFirst
from tasks.state.receivers.settings import ReceiverView
from worker.api.content import LONGEST_IDEMPOTENCY_KEY, get_issue, put_document, put_issue, submit_job
from worker.api.destinations import (
    delete_destination,
    get_destination,
    list_destinations,
    pause_destination,
    put_destination,
    resume_destination,
    test_destination,
)
from worker.api.inputs import DestinationIn, DocumentIn, IssueIn, JobIn, Reason
from worker.api.jobs import cancel_job, get_job, job_events, list_jobs, release_job, retry_job
from worker.api.openapi import document_of
from worker.api.outputs import (
    Accepted,
    Alive,
    AuditPage,
    AuditProgress,
    ConnectionAnswer,
    Destinations,
    DestinationView,
    IssueView,
    JobPage,
    JobView,
    Notified,
    Readiness,
    Receivers,
    Specification,
    Stored,
    Timeline,
)
from worker.api.queries import (
    AuditQuery,
    DestinationPath,
    DocumentPath,
    IssuePath,
    JobPath,
    JobsQuery,
    VerifyQuery,
    WaitQuery,
)
from worker.api.receivers import (
    ReceiverIn,
    ReceiverPath,
    delete_receiver,
    get_receiver,
    list_receivers,
    put_receiver,
    test_receiver,
)
from worker.api.route import Answer, Call, Route
from worker.api.views import (
    ViewIn,
    ViewList,
    ViewOut,
    ViewPath,
    create_view,
    delete_view,
    get_view,
    list_views,
    put_view,
)
from worker.api.watch import (
    begin_verification,
    clear_look_first,
    get_look_first,
    healthz,
    metrics,
    read_audit,
    readyz,
    set_look_first,
    verify_audit,
)

SUBMIT, READ, OPERATE, ADMIN = (Scope.SUBMIT,), (Scope.READ,), (Scope.OPERATE,), (Scope.ADMIN,)
IDEMPOTENCY = {
    "Idempotency-Key": {
        "description": "Sent again with the same body: the same answer and no second job. With another body: 409.",
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": LONGEST_IDEMPOTENCY_KEY,
            "pattern": "^[!-~]([ -~]*[!-~])?$",
        },
    }
}
DOCUMENT = {"title": "RCA: Checkout answers 503", "content_md": "# Root Cause\n\nThe pool was full.", "doc_type": "rca"}
ISSUE = {
    "title": "Checkout answers 503",
    "description": "One request in three fails since 14:02 UTC.",
    "severity": "P1",
}
VIEW = {"name": "Dead in Confluence", "filter": {"state": "dead", "destination": "confluence"}}
SUBMISSIONS: dict[str, dict[str, Any]] = {
    "a page, with its document": {
        "command": "publish_to_confluence",
        "doc_id": "rca-42",
        "space_key": "OPS",
        "document": {"id": "rca-42", "issue_id": "inc-42", **DOCUMENT},
    },
    "an incident, with its issue": {
        "command": "create_servicenow_incident",
        "issue_id": "inc-42",
        "config": {"assignment_group": "Payments", "fields": {"category": "software"}},
        "issue": {"id": "inc-42", **ISSUE},
    },
    "a work item, from an issue that is stored": {
        "command": "create_azuredevops_workitem",
        "issue_id": "inc-42",
        "project": "Operations",
        "config": {"work_item_type": "Bug", "severity": "P2"},
    },
    "an issue of a Jira project": {"command": "create_jira_issue", "issue_id": "inc-42", "project": "OPS"},
}


async def openapi(_: Call) -> Answer:
    """This document."""
    return Answer(Specification.model_validate(document_of(ROUTES)))


def _content() -> tuple[Route, ...]:
    return (
        Route(
            "PUT",
            "/v1/documents/{doc_id}",
            put_document,
            "Store a document",
            SUBMIT,
            path=DocumentPath,
            body=DocumentIn,
            examples={"a document in Markdown": DOCUMENT},
            answers={200: Stored},
            problems=(409,),
        ),
        Route(
            "PUT",
            "/v1/issues/{issue_id}",
            put_issue,
            "Store an issue",
            SUBMIT,
            path=IssuePath,
            body=IssueIn,
            examples={"an issue": ISSUE},
            answers={200: Stored},
            problems=(409,),
        ),
        Route(
            "GET",
            "/v1/issues/{issue_id}",
            get_issue,
            "Show the tickets of an issue",
            READ,
            path=IssuePath,
            answers={200: IssueView},
            problems=(404,),
        ),
        Route(
            "POST",
            "/v1/jobs",
            submit_job,
            "Submit a job",
            SUBMIT,
            body=JobIn,
            lets_in=True,
            examples=SUBMISSIONS,
            answers={202: Accepted},
            problems=(409,),
            request_headers=IDEMPOTENCY,
            answer_headers={"Location": "The job's address"},
        ),
    )


def _jobs() -> tuple[Route, ...]:
    one = "/v1/jobs/{job_id}"
    acting = [
        Route(
            "POST",
            f"{one}/{verb}",
            handler,
            f"{verb.capitalize()} a job",
            OPERATE,
            path=JobPath,
            body=Reason,
            body_optional=True,
            answers={200: JobView},
            problems=(404, 409),
        )
        for verb, handler in (("retry", retry_job), ("cancel", cancel_job), ("release", release_job))
    ]
    return (
        Route(
            "GET", "/v1/jobs", list_jobs, "List jobs", READ, query=JobsQuery, answers={200: JobPage}, problems=(404,)
        ),
        Route(
            "GET",
            one,
            get_job,
            "Read a job, or wait for its outcome",
            (*READ, *SUBMIT),
            path=JobPath,
            query=WaitQuery,
            answers={200: JobView},
            problems=(404,),
        ),
        Route(
            "GET",
            f"{one}/events",
            job_events,
            "Read a job's timeline",
            READ,
            path=JobPath,
            answers={200: Timeline},
            problems=(404,),
        ),
        *acting,
    )


def _destinations() -> tuple[Route, ...]:
    one = "/v1/destinations/{name}"
    switches = [
        Route(
            "POST",
            f"{one}/{verb}",
            handler,
            f"{verb.capitalize()} a destination",
            OPERATE,
            path=DestinationPath,
            answers={200: answer},
            problems=(404,),
        )
        for verb, handler, answer in (
            ("test", test_destination, ConnectionAnswer),
            ("pause", pause_destination, DestinationView),
            ("resume", resume_destination, DestinationView),
        )
    ]
    return (
        Route("GET", "/v1/destinations", list_destinations, "List destinations", READ, answers={200: Destinations}),
        Route(
            "GET",
            one,
            get_destination,
            "Read a destination",
            READ,
            path=DestinationPath,
            answers={200: DestinationView},
            problems=(404,),
        ),
        Route(
            "PUT",
            one,
            put_destination,
            "Store a destination",
            ADMIN,
            path=DestinationPath,
            body=DestinationIn,
            answers={200: DestinationView},
            problems=(409,),
        ),
        Route(
            "DELETE",
            one,
            delete_destination,
            "Remove a destination",
            ADMIN,
            path=DestinationPath,
            answers={204: None},
            problems=(404,),
        ),
        *switches,
    )


def _receivers() -> tuple[Route, ...]:
    one = "/v1/receivers/{name}"
    name: dict[str, Any] = {"scopes": ADMIN, "path": ReceiverPath}
    seen: dict[str, Any] = {"answers": {200: ReceiverView}}
    return (
        Route(
            "GET", "/v1/receivers", list_receivers, "List receivers of notifications", ADMIN, answers={200: Receivers}
        ),
        Route("GET", one, get_receiver, "Read a receiver", **name, **seen, problems=(404,)),
        Route("PUT", one, put_receiver, "Store a receiver", **name, **seen, body=ReceiverIn, problems=(409,)),
        Route("DELETE", one, delete_receiver, "Remove a receiver", **name, answers={204: None}, problems=(404,)),
        Route(
            "POST",
            f"{one}/test",
            test_receiver,
            "Send a test message",
            **name,
            answers={200: Notified},
            problems=(404,),
        ),
    )


def _views() -> tuple[Route, ...]:
    one = "/v1/views/{view_id}"
    name: dict[str, Any] = {"scopes": READ, "path": ViewPath}
    seen: dict[str, Any] = {"answers": {200: ViewOut}}
    return (
        Route("GET", "/v1/views", list_views, "List saved views", READ, answers={200: ViewList}),
        Route(
            "POST",
            "/v1/views",
            create_view,
            "Save a view",
            READ,
            body=ViewIn,
            examples={"what failed": VIEW},
            answers={201: ViewOut},
            problems=(409,),
            answer_headers={"Location": "The view's address"},
        ),
        Route("GET", one, get_view, "Read a saved view", **name, **seen, problems=(404,)),
        Route("PUT", one, put_view, "Change a saved view", **name, **seen, body=ViewIn, problems=(404, 409)),
        Route("DELETE", one, delete_view, "Delete a saved view", **name, answers={204: None}, problems=(404,)),
    )


def _watch() -> tuple[Route, ...]:
    return (
        Route("GET", "/v1/audit", read_audit, "Read the audit", READ, query=AuditQuery, answers={200: AuditPage}),
        Route(
            "GET",
            "/v1/audit/verify",
            verify_audit,
            "Verify the audit",
            READ,
            query=VerifyQuery,
            answers={200: AuditReport, 202: AuditProgress},
            problems=(404,),
        ),
        Route(
            "POST",
            "/v1/audit/verify",
            begin_verification,
            "Begin to verify the audit",
            READ,
            answers={200: AuditReport, 202: AuditProgress},
        ),
        Route(
            "GET", "/v1/lookfirst", get_look_first, "See whether attempts look first", READ, answers={200: LookFirst}
        ),
        *(
            Route(
                "POST",
                f"/v1/lookfirst/{verb}",
                handler,
                summary,
                OPERATE,
                body=Reason,
                body_optional=True,
                answers={200: LookFirst},
            )
            for verb, handler, summary in (
                ("set", set_look_first, "Have attempts look first"),
                ("clear", clear_look_first, "End looking first"),
            )
        ),
        Route("GET", "/healthz", healthz, "The process is running", answers={200: Alive}),
        Route("GET", "/readyz", readyz, "Jobs can be taken and delivered", answers={200: Readiness, 503: Readiness}),
        Route("GET", "/metrics", metrics, "Prometheus metrics", answers={200: "text/plain"}, problems=(503,)),
        Route("GET", "/openapi.json", openapi, "This document", answers={200: Specification}),
    )


ROUTES: tuple[Route, ...] = (*_content(), *_jobs(), *_destinations(), *_receivers(), *_views(), *_watch())
