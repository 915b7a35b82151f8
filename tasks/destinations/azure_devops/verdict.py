"""What a refusal of Azure DevOps means. Sources: Microsoft's error codes, and recorded traffic."""

from __future__ import annotations

from urllib.parse import unquote

from tasks.http.reasons import reasons_of
from tasks.http.verdict import GONE, Answer, Row, Verdict, judged

DEACTIVATED = Verdict(
    "destination",
    "deactivated",
    "The organisation is deactivated or can't be reached",
    "An owner of the organisation sees why in its settings (billing, deletion, a region that is down).",
)
VERSION = Verdict(
    "destination",
    "wrong_api_version",
    "The server doesn't speak this API version",
    "Set `api_version` of the destination: Server 2019 has 5.0, 2020 has 6.0, 2022 has 7.0, the service 7.1.",
)
TABLE = (
    Row((), r"TF24668|(?i:organi[sz]ation .{0,80}deactivated)", DEACTIVATED),
    Row(
        (400, 404, 406),
        r"VssVersion\w*Exception|VssInvalidPreviewVersion|(?i:api.version .{0,200}(out of range|not supplied|invalid))",
        VERSION,
    ),
    Row((400, 404), r"(?i)controller for path|resource location .{0,100}not registered|VssResourceNotFound", GONE),
)
LETS_NOBODY_IN = (401, 403)  # told in a page, and in words of its own in a header
OWN_HEADERS = ("x-tfs-serviceerror", "x-vss-e2eid", "x-tfs-processid", "activityid")


def verdict(answer: Answer) -> Verdict:
    """Whose trouble an answer tells of."""
    return judged(answer, _said, TABLE)


def _said(answer: Answer) -> str | None:
    """The words of an answer that is Azure DevOps' own: its error object, the wrapped one of older APIs, or its headers
    where the body is text or empty (an expired token). A deactivated organisation may be told in a page.
    """
    content = answer.json()
    if isinstance(content, dict):
        wrapped = content.get("value")
        if isinstance(wrapped, dict) and isinstance(wrapped.get("Message"), str) and "count" in content:
            return str(wrapped["Message"])
        typed = any(name in content for name in ("typeKey", "typeName", "$id", "innerException"))
        if isinstance(content.get("message"), str) and typed:
            return " ".join([str(content.get("typeKey") or ""), *reasons_of(content)])
    text = answer.body[:20_000].decode("utf-8-sig", "replace")
    if "TF24668" in text:
        return "TF24668"
    named = {name.lower(): value for name, value in answer.headers.items()}
    if answer.status in LETS_NOBODY_IN and "x-tfs-serviceerror" in named:
        return unquote(named["x-tfs-serviceerror"])
    page = "html" in named.get("content-type", "")
    if any(name in named for name in OWN_HEADERS) and not page:
        return unquote(named.get("x-tfs-serviceerror", "")) or text
    if answer.status == 401 and not answer.body.strip():
        return ""
    return None
