"""What a refusal of Jira means. Sources: Atlassian's descriptions of v2 and v3, and reports of their habits."""

from __future__ import annotations

from tasks.destinations.atlassian import (
    LICENCE_ENDED,
    LOGIN_ROWS,
    NO_CLOUD,
    TAKEN_FOR_NOBODY,
    gateway_says,
    is_number,
    login_says,
    taken_for_nobody,
)
from tasks.http.reasons import reasons_of
from tasks.http.verdict import CREDENTIAL, GONE, NOT_PERMITTED, Answer, Row, Verdict, judged

SCOPE = Verdict(
    "destination",
    "scope_missing",
    "The token lacks a scope for this call, or was refused",
    "Give the token the scopes read:jira-work, write:jira-work and read:jira-user; a scoped token works at the gateway's "
    "address only. Then run `afterword destination test`.",
    passing="job",
)
TABLE = (
    *LOGIN_ROWS,
    LICENCE_ENDED,
    Row((401, 403), r"(?i)scope does not match|insufficient.scope", SCOPE),
    Row((400, 401, 403), r"(?i)anonymous users do(es)? not have permission|must be authenticated", CREDENTIAL),
    Row(
        (400, 403),
        r"(?i)(cannot|(do|does) not have( the)? permission to|not permitted to) (create|edit|link|comment|add comments|assign)\b.{0,60}",
        NOT_PERMITTED,
    ),
    Row((404,), r"null for uri", GONE),
    Row((404,), r"^No message available$", NO_CLOUD),
)


def verdict(answer: Answer) -> Verdict:
    """Whose trouble an answer tells of."""
    return TAKEN_FOR_NOBODY if taken_for_nobody(answer) else judged(answer, _said, TABLE)


def _said(answer: Answer) -> str | None:
    """The words of an answer that is Jira's own: `errorMessages` and `errors`, the older `status-code`, or the gateway's
    `code`. A login that failed is told by a header; its body may be a page.
    """
    content = answer.json()
    if login := login_says(answer):
        return " / ".join((login, *reasons_of(content)))
    if not isinstance(content, dict):
        return None
    messages, fields = content.get("errorMessages"), content.get("errors")
    named_fields = isinstance(fields, dict) and all(isinstance(text, str) for text in fields.values())
    told = isinstance(messages, list) and (fields is None or named_fields)
    told = told or (messages is None and named_fields and bool(fields))
    older = is_number(content.get("status-code")) and isinstance(content.get("message"), str | None)
    return " / ".join(reasons_of(content)) if told or older or gateway_says(content, answer.status) else None
