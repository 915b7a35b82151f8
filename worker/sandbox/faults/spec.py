"""One fault: how it is asked for, and which requests it meets.

A fault is put in force by a small JSON object; `FaultSpec` says what it may hold. Time and chance come in as parameters.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Literal, get_args

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.model import explain
from worker.sandbox.accounts import Vendor

Operation = Literal["create", "update", "lookup", "other"]
Name = Literal[
    "commit_then_drop",
    "commit_then_500",
    "commit_then_429",
    "drop",
    "status",
    "rate_limit",
    "delayed",
    "sign_in_203",
    "redirect_302",
    "hibernating",
    "malformed_json",
    "bom",
    "wiql_blind",
    "wiql_lag",
    "jql_blind",
    "jql_lag",
    "page_404",
    "no_version_message",
    "conflict_409",
    "property_409",
    "gone_410",
    "read_acl",
    "query_ignored",
    "slow_headers",
    "slow_body",
    "endless_body",
    "gzip_bomb",
    "latency",
]
ATLASSIANS = ("/oauth/token", "/authorize")
NAMES: tuple[str, ...] = get_args(Name)


class FaultSpec(BaseModel):
    """One fault as it is asked for.

    `vendor`, `operation`, `method`, `path` and `words` (a part of the path, and of the body) choose requests; of those the first `after` are spared, then
    `times` fail (once by default), or a `share` of them drawn with `seed`. `seconds` is the length of a delay, a blindness
    (`wiql_blind`, `jql_blind`: from now on; `wiql_lag`, `jql_lag`: of each item, from its creation) or a wait; `retry_after` is sent as it is, but for the names `date`, `negative`, `absurd` and `absent`.
    A `status` comes in the vendor's shape with `message` (and `type_key` of Azure DevOps), or as a stranger's `body` of
    `content_type`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fault: Name
    vendor: Literal["*", "confluence", "servicenow", "azure_devops", "jira"] = "*"
    operation: Literal["any", "create", "update", "lookup", "other"] = "any"
    method: str = ""
    path: str = ""
    words: str = ""
    times: int | None = Field(default=None, ge=0)
    after: int = Field(default=0, ge=0)
    share: float | None = Field(default=None, ge=0, le=1)
    seed: int = 0
    status: int = Field(default=503, ge=200, le=599)
    message: str = "The service is unavailable."
    type_key: str = ""
    body: str | None = None
    content_type: str = "text/plain"
    seconds: float = Field(default=5.0, ge=0)
    tail: float = Field(default=1.5, gt=0)
    retry_after: int | str | None = "2"
    location: str = "http://169.254.169.254/latest/meta-data"
    commit: bool = True


def fault_named(text: str) -> FaultSpec:
    """A fault by its name, or as the JSON object that says more; raises `ValueError`."""
    text = text.strip()
    try:
        return (
            FaultSpec.model_validate_json(text) if text.startswith("{") else FaultSpec.model_validate({"fault": text})
        )
    except ValidationError as error:
        raise ValueError(explain(error)) from None


@dataclass
class Fault:
    """A fault in force, with what is left of it."""

    spec: FaultSpec
    chance: random.Random = field(repr=False)
    spared: int = 0
    met: int = 0

    @property
    def left(self) -> int | None:
        """How many more requests it meets; None for no end."""
        limit = self.spec.times
        if limit is None:
            return None if self.spec.share is not None else max(1 - self.met, 0)
        return max(limit - self.met, 0)

    def meets(self, vendor: Vendor, operation: Operation, request: web.Request, body: bytes) -> bool:
        """Whether this request is to fail; counts it."""
        spec = self.spec
        if spec.vendor not in ("*", vendor) or spec.operation not in ("any", operation) or self.left == 0:
            return False
        if spec.method.upper() not in ("", request.method) or spec.path.lower() not in request.path.lower():
            return False
        if spec.words.encode() not in body or not _fits(spec.fault, vendor, request):
            return False
        if self.spared < spec.after:
            self.spared += 1
            return False
        if spec.share is not None and self.chance.random() >= spec.share:
            return False
        self.met += 1
        return True


def _fits(name: Name, vendor: Vendor, request: web.Request) -> bool:
    """Whether a fault of one kind of request only can meet this one."""
    about_property = "/propert" in request.path
    match name:
        case "property_409":
            return vendor == "confluence" and request.method == "POST" and about_property
        case "conflict_409":
            return vendor == "confluence" and request.method == "PUT" and not about_property
        case "read_acl" | "query_ignored":
            return vendor == "servicenow" and request.method == "GET"
        case _:
            return True


def vendor_of(path: str) -> Vendor:
    """The vendor that a path belongs to. Jira's API has a number, Confluence's older one has none."""
    if "/rest/api/2/" in path or "/rest/api/3/" in path or path.startswith("/ex/jira/"):
        return "jira"
    if path.startswith(("/wiki", "/rest", "/_edge", "/download/", "/ex/confluence/")) or path in ATLASSIANS:
        return "confluence"
    return "servicenow" if path.startswith(("/api/now", "/oauth_token.do", "/oauth_auth.do")) else "azure_devops"


def operation_of(request: web.Request) -> Operation:
    """create, update or lookup of an object; a token is `other`. Properties, labels and files are updates of their page."""
    path = request.path.lower().rstrip("/")
    if path.endswith(("/token", "/oauth_token.do")):
        return "other"
    reads = (
        path.endswith(("/wiql", "/workitemsbatch", "/search", "/search/jql"))
        or "validateonly=true" in request.query_string.lower()
    )
    if reads or request.method in ("GET", "HEAD", "OPTIONS"):
        return "lookup"
    created = path.endswith(("/pages", "/folders", "/content", "/issue")) or path.rpartition("/")[0].endswith("/table")
    if request.method == "POST" and created:
        return "create"
    return "create" if "/workitems/$" in path else "update"
