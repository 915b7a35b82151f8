"""Errors as problem documents (RFC 9457): what happened, a code for programs, and what to do. Never what was sent."""

from __future__ import annotations

import http
import re
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web
from pydantic import Field, ValidationError
from redis.exceptions import RedisError

from tasks.errors import AfterwordError, KeyTrouble, Refused, StateUnavailable
from tasks.model import ANY_SIMPLE, FORMS, KIND_OF_COMMAND, SIMPLE, Frozen, in_words, known_tags, tag_name
from tasks.state.outages import unavailable

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = "5"
CERTAIN = frozenset({"redis_full", "redis_read_only", "redis_evicts"})
NOTHING = "Nothing was stored. Send it again in a moment."
PERHAPS = "It may be stored later. Send it again with the same Idempotency-Key: that makes no second job."
ALWAYS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Server": "afterword"}
# What pydantic puts into a location for a kind of command, destination or receiver.
_TAGS = {*KIND_OF_COMMAND, *KIND_OF_COMMAND.values(), "webhook", "slack", "teams", "email"}
# And what for each of the types that a field may have.
_TYPE = re.compile(
    r"(?:list|dict|tuple|literal|nullable|function-\w+|constrained-\w+|json-or-python|lax-or-strict)(?:\[|$)"
)
_MOMENT = "must be a time such as 2026-11-30 08:00:00 (in UTC), or milliseconds since 1970"
# What fields of several types must be, and those whose form is a long pattern.
_UNIONS: Mapping[str, str] = {
    "severity": "must be P1 to P5, 1 to 5, or a word such as critical",
    "tags": "must be a list of texts, or one as a JSON string",
    "attachments": "must be a list of files",
    **dict.fromkeys(("created_at", "updated_at", "resolved_at"), _MOMENT),
    **{name: FORMS[name] for name in ("parent", "parent_page_id")},
}
_FORMS: Mapping[str, str] = {
    **FORMS,
    "content": "must be base64",
    "content_md": "must hold words",
    "allow_private": "must be a network such as 10.1.0.0/16",
}
_PLAIN = re.compile(r"^[A-Za-z0-9_.-]{1,40}$", re.ASCII)
_STATUS = {
    "unknown_job": 404,
    "ambiguous_job": 409,
    "unknown_apikey": 404,
    "unknown_destination": 404,
    "unknown_receiver": 404,
    "bad_receiver": 409,
    "unknown_view": 404,
    "bad_view": 409,
    "same_name": 409,
    "too_many_views": 409,
    "not_yours": 403,
    "not_shared": 403,
    "unknown_document": 409,
    "unknown_issue": 409,
    "wrong_kind": 409,
    "idempotency_conflict": 409,
    "credential_bound": 409,
    "kind_changes": 409,
    "incomplete_login": 409,
    "http_refused": 409,
    "bad_secret": 409,
    "callback_refused": 403,
    "wrong_state": 409,
    "bad_content": 409,
}


class FieldError(Frozen):
    """One field that doesn't fit: a JSON Pointer (or a parameter's name) and why."""

    pointer: str
    detail: str


class Problem(Frozen):
    """A problem document (RFC 9457)."""

    type: str = Field(description="Identifies the kind of problem: urn:afterword:problem:CODE")
    title: str
    status: int
    code: str = Field(description="The kind as a stable word")
    detail: str = Field(description="What happened, for a person")
    advice: str = Field(default="", description="What to do about it")
    errors: tuple[FieldError, ...] = ()


class ProblemError(Exception):
    """Ends a request with a problem document."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        advice: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        errors: tuple[FieldError, ...] = (),
    ) -> None:
        super().__init__(detail)
        self.headers = dict(headers or {})
        self.problem = Problem(
            type=f"urn:afterword:problem:{code}",
            title=http.HTTPStatus(status).phrase,
            status=status,
            code=code,
            detail=detail,
            advice=advice,
            errors=errors,
        )

    def response(self) -> web.Response:
        """The problem as an answer."""
        body = self.problem.model_dump_json(exclude_defaults=True)
        headers = {**ALWAYS, **self.headers}
        return web.Response(status=self.problem.status, text=body, content_type=MEDIA_TYPE, headers=headers)


def problem_of(error: Exception) -> ProblemError:
    """The problem that an error of ours, of Redis or of aiohttp stands for; anything else is an internal one."""
    match error:
        case ProblemError():
            return error
        case web.HTTPMethodNotAllowed():
            allowed = ", ".join(sorted(error.allowed_methods))
            return ProblemError(
                405,
                "method_not_allowed",
                "This address doesn't allow that method.",
                f"It allows {allowed}.",
                headers={"Allow": allowed},
            )
        case web.HTTPNotFound():
            return ProblemError(404, "not_found", "There is nothing at this address.", "/openapi.json lists them all.")
        case web.HTTPException():
            return ProblemError(error.status, "refused", error.reason or "Refused.")
        case StateUnavailable() | RedisError() | TimeoutError():
            trouble = error if isinstance(error, StateUnavailable) else unavailable(error)
            advice = f"{NOTHING if trouble.code in CERTAIN else PERHAPS} The operator sees more in /readyz."
            return ProblemError(503, trouble.code, trouble.message, advice, headers={"Retry-After": RETRY_AFTER_S})
        case KeyTrouble():
            return ProblemError(503, error.code, error.message, error.advice, headers={"Retry-After": RETRY_AFTER_S})
        case Refused():
            return ProblemError(_STATUS.get(error.code, 422), error.code, error.message, error.advice)
        case AfterwordError():
            return ProblemError(500, error.code, error.message, error.advice)
    return ProblemError(
        500, "internal", "A fault in Afterword itself.", "The log names its kind and place; nothing was sent twice."
    )


def invalid(error: ValidationError, what: str) -> ProblemError:
    """The problem of a value that doesn't fit its model, field by field, without the values."""
    if any(row["type"] == "json_invalid" for row in error.errors(include_url=False, include_input=False)):
        return ProblemError(400, "bad_json", f"The {what} is not JSON in UTF-8.", "Check its encoding and escapes.")
    return ProblemError(
        422,
        "invalid",
        f"The {what} is not valid.",
        "Correct the fields named in `errors`; /openapi.json describes them.",
        errors=tuple(field_errors(error)),
    )


def field_errors(error: ValidationError) -> list[FieldError]:
    """What pydantic refused, with JSON Pointers (RFC 6901): a field of several types once."""
    found: dict[tuple[str, str], FieldError] = {}
    for row in error.errors(include_url=False, include_input=False)[:20]:
        place = _place(row["loc"])
        if several := len(place) > 1 and place[-1] in SIMPLE:
            place.pop()
        parts = [_segment(part) for part in place]
        if row["type"].startswith("union_tag"):
            parts.append(tag_name(row))
        name = next((part for part in reversed(place) if isinstance(part, str)), "")
        if name == "project" and {"jira", "create_jira_issue"} & {*row["loc"]}:
            name = "jira_project"
        words = _words(row, name, several=several)
        if row["type"] != "value_error":  # a validator of ours has sentences of its own
            words = words[:1].upper() + words[1:]
        one = FieldError(pointer="/" + "/".join(parts) if parts else "", detail=words)
        found[one.pointer, one.detail] = one
    return list(found.values())


def _place(loc: Sequence[int | str]) -> list[int | str]:
    """Where in the body, without what pydantic puts between. Behind a kind is a field, also where it is called as one (`email`)."""
    said = [part for part in loc if not _TYPE.match(str(part))]
    return [part for before, part in zip(("", *said), said, strict=False) if part not in _TAGS or before in _TAGS]


def _segment(part: object) -> str:
    return str(part) if isinstance(part, int) or _PLAIN.match(str(part)) else "(a name that isn't shown)"


def _words(row: Mapping[str, Any], name: str, *, several: bool) -> str:
    if row["type"].startswith("union_tag"):
        known = ", ".join(known_tags(row))
        return f"must be one of {known}" if known else "is missing"
    if name in _UNIONS and row["type"] not in ("extra_forbidden", "missing"):
        return _UNIONS[name]
    return ANY_SIMPLE if several else in_words(row["type"], name, row["msg"], _FORMS)
