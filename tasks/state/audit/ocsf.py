"""An audit entry in the shape of OCSF's *API Activity* (class 6003), for a SIEM. Source: schema.ocsf.io, version 1.3.

What our own verification needs (chain, number, MAC, the data as signed) stands under `unmapped`, so that an export can be
verified as the stream itself is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

CATEGORY, CLASS = 6, 6003
VERSION = "1.3.0"
CREATE, READ, UPDATE, DELETE, OTHER = 1, 2, 3, 4, 99
SUCCESS, FAILURE, UNKNOWN = 1, 2, 0
INFORMATIONAL, MEDIUM = 1, 3
ACTIVITY_OF_METHOD = {"GET": READ, "POST": CREATE, "PUT": UPDATE, "PATCH": UPDATE, "DELETE": DELETE}
ACTIVITY_OF_EVENT = {
    "job.submitted": CREATE,
    "job.cancelled": DELETE,
    "destination.set": UPDATE,
    "destination.removed": DELETE,
    "credential.set": UPDATE,
    "credential.renewed": UPDATE,
    "credential.given": UPDATE,
    "document.put": UPDATE,
    "issue.put": UPDATE,
}
FAILURES = (".failed", ".dead", ".held")


def api_activity(identifier: str, fields: Mapping[str, str], product_version: str) -> dict[str, Any]:
    """One entry of the stream as one event. `time` is the Redis server's clock, in epoch milliseconds."""
    event, data = fields["event"], json.loads(fields["data"])
    operation = str(data.get("operation") or event)
    activity = ACTIVITY_OF_METHOD.get(operation.split(" ", 1)[0], ACTIVITY_OF_EVENT.get(event, OTHER))
    failed = event.endswith(FAILURES)
    status = UNKNOWN if event.endswith((".unknown", ".intent")) else FAILURE if failed else SUCCESS
    actor = str(data.get("actor") or data.get("worker") or "afterword")
    api: dict[str, Any] = {"operation": operation}
    if host := data.get("host"):
        api["service"] = {"name": str(host)}
    if request := data.get("intent"):
        api["request"] = {"uid": str(request)}
    if code := data.get("status"):
        api["response"] = {"code": int(code)}
    return {
        "activity_id": activity,
        "category_uid": CATEGORY,
        "class_uid": CLASS,
        "type_uid": CLASS * 100 + activity,
        "time": int(identifier.split("-", maxsplit=1)[0]),
        "severity_id": MEDIUM if failed else INFORMATIONAL,
        "status_id": status,
        "message": event,
        "actor": {"user": {"name": actor}},
        "api": api,
        "src_endpoint": {"name": str(data.get("worker") or "afterword")},
        "metadata": {
            "version": VERSION,
            "uid": identifier,
            "product": {"name": "Afterword", "vendor_name": "Afterword", "version": product_version},
        },
        "unmapped": dict(fields),
    }


def line_of(event: Mapping[str, Any]) -> str:
    """An exported event, or a statement beside the events, as one line."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def is_copy(event: Mapping[str, Any]) -> bool:
    """Whether an exported event says what the entry in it does, and nothing else."""
    try:
        identifier, fields = stored_entry(event)
        return dict(event) == api_activity(identifier, fields, str(event["metadata"]["product"]["version"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


def stored_entry(event: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """The entry behind an exported event, as the stream holds it; raises `KeyError` or `TypeError` for anything else."""
    return str(event["metadata"]["uid"]), {str(k): str(v) for k, v in event["unmapped"].items()}
