"""How ServiceNow answers: records, rows, and what a 403 means. What doesn't fit raises, for `Response.parsed` to tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.destinations.contract import identifier
from tasks.errors import DestinationTrouble, Permanent
from tasks.http.exchange import Response


def stored_incident(response: Response) -> dict[str, str]:
    """The record that a write or a read answers with."""
    return response.parsed(lambda answer: as_strings(answer["result"]))


def as_strings(row: Mapping[str, Any]) -> dict[str, str]:
    """A record's fields as strings; raises `ValueError` where it names no incident."""
    fields = {str(k): str(v.get("value", "") if isinstance(v, dict) else v or "") for k, v in row.items()}
    return fields | {"sys_id": identifier(row["sys_id"])}


def refused(response: Response) -> Permanent | DestinationTrouble:
    """A 403: a rule of the instance against this one incident, or a right that the account lacks for all of them."""
    words = response.words()
    if not any(map(str.isalpha, words)) or "ACL" in words or "not authorized" in words.casefold():
        said = f" It said: {words!r}" if words else ""
        return DestinationTrouble(
            f"The account may not write this incident (403).{said}",
            code="not_permitted",
            advice="Give it the right, then run `afterword destination test`.",
            status=403,
        )
    return Permanent(
        f"A rule of the instance refused the incident (403). It said: {words!r}",
        code="refused",
        advice="Supply what it asks for (`config.fields`), then `afterword job retry`.",
        status=403,
    )
