"""What the values of an incident's fields mean, whatever way they are written. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from tasks.destinations.servicenow.plan import without_links
from tasks.destinations.tickets.drift import Forms

SYS_ID = re.compile(r"^[0-9a-f]{32}$")
_MOMENT = re.compile(r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d")
_NUMBER = re.compile(r"^-?(?:0|[1-9]\d{0,14})(?:\.\d{1,9})?$")


def form(name: str, value: object) -> str:
    """The value in the one form that stands for all ways of writing it."""
    text = "\n".join(line.rstrip() for line in str("" if value is None else value).splitlines()).strip()
    if name == "description":
        return without_links("\n" + text).strip()
    if name.endswith("_list"):
        return ",".join(sorted(part.strip() for part in text.split(",") if part.strip()))
    if _NUMBER.match(text):
        return f"{float(text):.9g}"
    if _MOMENT.match(text):
        return _in_utc(text)
    return text.lower() if text.lower() in ("true", "false") else text


def _in_utc(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return zoned.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def same(name: str, stored: object, sent: object) -> bool:
    """Whether the stored value is what was sent."""
    return (isinstance(sent, str) and stored == sent) or form(name, stored) == form(name, sent)


FORMS = Forms(form, same)
