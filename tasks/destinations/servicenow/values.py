"""What the values of an incident's fields mean, whatever way they are written. Pure."""

from __future__ import annotations

import re

from tasks.destinations.servicenow.plan import without_links
from tasks.destinations.tickets.drift import Forms
from tasks.destinations.tickets.values import in_utc, number

SYS_ID = re.compile(r"^[0-9a-f]{32}$")
_MOMENT = re.compile(r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d")


def form(name: str, value: object) -> str:
    """The value in the one form that stands for all ways of writing it."""
    text = "\n".join(line.rstrip() for line in str("" if value is None else value).splitlines()).strip()
    if name == "description":
        return without_links("\n" + text).strip()
    if name.endswith("_list"):
        return ",".join(sorted(part.strip() for part in text.split(",") if part.strip()))
    if (figure := number(text)) is not None:
        return figure
    if _MOMENT.match(text):
        return in_utc(text, "%Y-%m-%d %H:%M:%S")
    return text.lower() if text.lower() in ("true", "false") else text


def same(name: str, stored: object, sent: object) -> bool:
    """Whether the stored value is what was sent."""
    return (isinstance(sent, str) and stored == sent) or form(name, stored) == form(name, sent)


FORMS = Forms(form, same)
