"""The templates' environment: everything is escaped, a missing name is an error, and nothing odd reaches the page."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tasks.state.clock import moment
from worker.console.wording import worded

ASSETS = {
    "base.css": "text/css",
    "parts.css": "text/css",
    "pages.css": "text/css",
    "paper.css": "text/css",
    "console.js": "text/javascript",
    "times.js": "text/javascript",
    "navigation.js": "text/javascript",
    "palette.js": "text/javascript",
    "preview.js": "text/javascript",
    "drop.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_INVISIBLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_CODE = re.compile(r"`([^`]+)`")
_ID_OF_NAMED = re.compile(r"\b(?:oidc|apikey):\S+ (?=\S)")
STATE_WORDS = {
    "queued": "Queued",
    "running": "Running",
    "retrying": "Retrying",
    "held": "Held",
    "delivered": "Delivered",
    "dead": "Dead",
    "cancelled": "Cancelled",
    "superseded": "Superseded",
}
KIND_WORDS = {"confluence": "Confluence", "servicenow": "ServiceNow", "azure_devops": "Azure DevOps", "jira": "Jira"}
SHARED_MACROS = ("icon", "kind_icon", "pill", "stands", "when", "exactly", "lasting", "csrf", "note", "findings")
COMMAND_WORDS = {
    "publish_to_confluence": "Publish page",
    "create_servicenow_incident": "Create incident",
    "create_azuredevops_workitem": "Create work item",
    "create_jira_issue": "Create Jira issue",
}


@cache
def asset(name: str) -> bytes:
    """One of our own static files."""
    return (resources.files("worker.console") / "static" / name).read_bytes()


@cache
def asset_address(name: str) -> str:
    """Its address, which changes with its content, so that browsers may keep it."""
    return f"/static/{name}?v={hashlib.sha256(asset(name)).hexdigest()[:12]}"


def environment() -> Environment:
    """The console's templates."""
    pages = Environment(
        loader=PackageLoader("worker.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=visible,
    )
    pages.filters |= {
        "moment": _moment,
        "iso": iso,
        "ago": ago,
        "span": span,
        "safe_url": safe_url,
        "part": part,
        "count": count,
        "milliseconds": milliseconds,
        "coded": coded,
        "worded": worded,
        "named": named,
    }
    pages.globals |= {
        "asset": asset_address,
        "query": query,
        "STATES": STATE_WORDS,
        "KINDS": KIND_WORDS,
        "COMMANDS": COMMAND_WORDS,
    }
    parts = pages.get_template("parts.html").module
    pages.globals |= {name: getattr(parts, name) for name in SHARED_MACROS}
    return pages


def visible(value: Any) -> Any:
    """Text without control and direction characters, which could make it look like something else."""
    return _INVISIBLE.sub("", value) if type(value) is str else "" if value is None else value


def _moment(at_ms: float | None) -> str:
    return "" if at_ms is None else moment(at_ms)


def iso(at_ms: float) -> str:
    """A time for machines."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def span(length_ms: float) -> str:
    """A length of time in its largest unit: `4 s`, `12 min`, `3 h`, `5 d`."""
    seconds = max(0, int(length_ms // 1000))
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds // size} {unit}"
    return f"{seconds // 86_400} d"


def ago(at_ms: float, now_ms: float) -> str:
    """A time as people say it: `3 min ago`, `in 12 s`, `now`."""
    distance = now_ms - at_ms
    if abs(distance) < 1000:
        return "now"
    return f"{span(distance)} ago" if distance > 0 else f"in {span(-distance)}"


def milliseconds(value: float) -> str:
    """A latency: `84 ms`, `1.2 s`."""
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.1f} s"


def named(text: str | None) -> str:
    """Words about people, who are called by their names alone: the audit has their ids."""
    return _ID_OF_NAMED.sub("", text or "")


def coded(text: str) -> Markup:
    """Words with what stands between backticks as code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(Markup.escape(text))))  # noqa: S704 - escaped before


def count(value: int) -> str:
    """A number with thin spaces between thousands."""
    return f"{value:,}".replace(",", "\u202f")


def safe_url(value: str | None) -> str | None:
    """The address where it is a plain web address, None where a click on it could do anything else."""
    if not value or not value.isprintable():
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    good = parts.scheme in ("http", "https") and parts.hostname and not parts.username and not parts.password
    return value if good else None


def part(value: str) -> str:
    """One part of a path, whatever it holds: producers choose ids of jobs."""
    return quote(value, safe="")


def query(path: str, **parameters: object) -> str:
    """An address with those parameters that have a value."""
    given = {name: str(value) for name, value in parameters.items() if value not in (None, "")}
    return f"{path}?{urlencode(given)}" if given else path


def marked(text: str, spans: list[tuple[int, int, str]], wrap: Callable[[str, str], Markup]) -> Markup:
    """The text, escaped, with `wrap(words, label)` around each span (start, end, label; in order, without overlap)."""
    parts: list[Markup] = []
    position = 0
    for start, end, label in spans:
        parts += [Markup.escape(text[position:start]), wrap(text[start:end], label)]
        position = end
    return Markup("").join([*parts, Markup.escape(text[position:])])
