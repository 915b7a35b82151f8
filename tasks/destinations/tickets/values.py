"""Values of fields that every vendor may write in another way. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_NUMBER = re.compile(r"^-?(?:0|[1-9]\d{0,14})(?:\.\d{1,9})?$")


def number(text: str) -> str | None:
    """A number in the one form that stands for all ways of writing it; None for what is none."""
    return f"{float(text):.9g}" if _NUMBER.match(text) else None


def in_utc(text: str, form: str) -> str:
    """A moment in UTC in a form of `strftime`; one without a zone is in UTC already, and what is no moment stays as it is."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return zoned.astimezone(UTC).strftime(form)
