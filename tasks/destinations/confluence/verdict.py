"""What a refusal of Confluence means. Sources: Atlassian's descriptions of v1 and v2, and reports of their habits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

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
from tasks.destinations.confluence.login import scope_of
from tasks.http.reasons import reasons_of
from tasks.http.verdict import GONE, READ_ONLY, Answer, Row, Verdict, judged

SCOPE = Verdict(
    "destination",
    "scope_missing",
    "The token lacks a scope for this call, or was refused",
    "Give the token the scopes that the job needs (labels and files have scopes of their own); a scoped token works at the "
    "gateway's address only. Then run `afterword destination test`.",
    passing="job",
)
ANYBODYS = (401, 403, 404, 405)  # what stands between here and there refuses with these, too
TABLE = (
    *LOGIN_ROWS,
    LICENCE_ENDED,
    Row((401, 403), r"(?i)scope does not match|insufficient.scope", SCOPE),
    Row((404,), r"null for uri", GONE),
    Row((404,), r"^No message available$", NO_CLOUD),
    Row((403, 405), r"READ_ONLY|(?i:read.only mode)|ReadOnlyException", READ_ONLY),
)


def verdict(answer: Answer) -> Verdict:
    """Whose trouble an answer tells of."""
    if taken_for_nobody(answer):
        return TAKEN_FOR_NOBODY
    found = judged(answer, _said, TABLE)
    if found is not SCOPE or not (scope := scope_of(answer.operation)):
        return found
    return replace(found, message=f"The token lacks the scope `{scope}` for this call, or was refused")


def _said(answer: Answer) -> str | None:
    """The words of an answer that is Confluence's own: v2's list of errors, v1's `statusCode`, or the gateway's `code`.

    A login that failed is told by a header; its body may be a page.
    """
    content = answer.json()
    if login := login_says(answer):
        return " / ".join((login, *reasons_of(content)))
    if not isinstance(content, dict):
        return None
    rows = content.get("errors")
    v2 = isinstance(rows, list) and bool(rows) and all(_is_v2_row(row) for row in rows)
    read_only = content.get("reason") == "READ_ONLY"
    if not (v2 or _is_v1(content, answer.status) or gateway_says(content, answer.status) or read_only):
        return None
    return " / ".join(reasons_of(content))


def _is_v1(content: Mapping[str, object], status: int) -> bool:
    """v1's shape. Gateways and web frameworks have a `statusCode` as well: with an `error` beside it, or where they know no
    such route or let nobody in, without the `data` that Confluence adds.
    """
    if not isinstance(message := content.get("message"), str | None) or "error" in content:
        return False
    if is_number(content.get("status-code")):
        return True
    own = "data" in content or "confluence" in (message or "").lower() or status not in ANYBODYS
    return own and is_number(content.get("statusCode"))


def _is_v2_row(row: object) -> bool:
    return (
        isinstance(row, dict)
        and is_number(row.get("status"))
        and isinstance(row.get("title"), str)
        and isinstance(row.get("code"), str)
    )
