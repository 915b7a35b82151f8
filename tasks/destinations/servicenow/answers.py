"""How ServiceNow answers: records and rows. What doesn't fit raises, for `Response.parsed` to tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.destinations.contract import identifier, rows_of
from tasks.http.message import Response


def stored_record(response: Response) -> dict[str, str]:
    """The record that a write or a read answers with."""
    return response.parsed(lambda answer: as_strings(answer["result"]))


def stored_rows(response: Response) -> list[dict[str, Any]]:
    """The rows of a table that a read answers with."""
    return response.parsed(rows_in)


def rows_in(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows in an answer; raises `ValueError` where the instance broke off, and shows fewer than there are."""
    if "error" in answer:
        raise ValueError("error")
    return rows_of(answer, "result")


def as_strings(row: Mapping[str, Any]) -> dict[str, str]:
    """A record's fields as strings; raises `ValueError` where it names no record."""
    fields = {str(k): str(v.get("value", "") if isinstance(v, dict) else v or "") for k, v in row.items()}
    return fields | {"sys_id": identifier(row["sys_id"])}
