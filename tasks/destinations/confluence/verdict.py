"""What a refusal of Confluence means. Sources: Atlassian's descriptions of v1 and v2, and reports of their habits."""

from __future__ import annotations

from dataclasses import replace

from tasks.destinations.atlassian import NO_CLOUD
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
LOGIN_HEADERS = ("x-seraph-loginreason", "x-failure-category", "x-authentication-denied-reason")
TABLE = (
    Row((401, 403), r"(?i)scope does not match|insufficient.scope", SCOPE),
    Row((404,), r"null for uri", GONE),
    Row((404,), r"^No message available$", NO_CLOUD),
    Row((403, 405), r"READ_ONLY|(?i:read.only mode)|ReadOnlyException", READ_ONLY),
)


def verdict(answer: Answer) -> Verdict:
    """Whose trouble an answer tells of."""
    found = judged(answer, _said(answer), TABLE)
    if found is not SCOPE or not (scope := scope_of(answer.operation)):
        return found
    return replace(found, message=f"The token lacks the scope `{scope}` for this call, or was refused")


def _said(answer: Answer) -> str | None:
    """The words of an answer that is Confluence's own: v2's list of errors, v1's `statusCode`, or the gateway's `code`.

    A login that failed is told by a header; its body may be a page.
    """
    content = answer.json()
    named = {name.lower() for name in answer.headers}
    if answer.status in (401, 403) and any(name in named for name in LOGIN_HEADERS):
        return " / ".join(reasons_of(content)) or "login"
    if not isinstance(content, dict):
        return None
    rows = content.get("errors")
    v2 = isinstance(rows, list) and bool(rows) and all(_is_v2_row(row) for row in rows)
    numbered = any(_is_number(content.get(name)) for name in ("statusCode", "status-code"))
    v1 = numbered and isinstance(content.get("message"), str | None)
    gateway = content.keys() == {"code", "message"} and _is_number(content["code"])
    read_only = content.get("reason") == "READ_ONLY"
    if not (v2 or v1 or gateway or read_only):
        return None
    return " / ".join(reasons_of(content))


def _is_v2_row(row: object) -> bool:
    return isinstance(row, dict) and isinstance(row.get("title"), str) and isinstance(row.get("code"), str)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
