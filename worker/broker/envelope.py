"""What a task message must look like, as a pure check: no message passes that Celery can't survive.

Celery's strategy and request read a message's parts without looking at their types, and what they raise ends the worker.
Two checks stand before them: `trouble_of_entry` for a raw entry of a Redis list, before kombu takes it apart, and `fault_of` for a
message of any broker, in both protocols. What fails either is set aside with one line that its producer can act on. That line
stands in logs, results and lists: it quotes nothing that the producer sent.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any
from uuid import UUID

from kombu.utils.json import loads
from pydantic import ValidationError

from tasks.screening import ScreeningFailed, scan
from worker.broker.shapes import PLAIN, RESERVED, Parts, Properties, Protocol1, Protocol2, Task, names_of

LONGEST = 1_000_000  # bytes of a body, also after it was unpacked: messages carry identifiers
LONGEST_ENTRY = 3 * LONGEST
LONGEST_ID = 10_000  # of one that is too long for a job, and has a result that says so
HALVES = re.compile("[\ud800-\udfff]")  # of a pair: no client of Redis can send such a text
UNREADABLE = "application/x-afterword-unreadable"
JSON_TYPE = "application/json"
ENCODINGS = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
BODY_ENCODINGS = frozenset({None, "base64", "utf-8"})
SHOWN = ("id", "root_id", "parent_id", "group", "shadow", "correlation_id", "reply_to")  # in events, logs and lists


@dataclass(frozen=True)
class Fault:
    """Why a message is set aside: a word to count it by, a line for its producer, and the id of its result where it tells one."""

    kind: str
    words: str
    task_id: str | None = None

    @property
    def shown_id(self) -> str | None:
        """That id, where it can be a job's, and stand in lists and logs."""
        return self.task_id if self.task_id and PLAIN.fullmatch(self.task_id) else None


@dataclass(frozen=True)
class Envelope:
    """A message as its broker delivered it. `decode` gives the body by its serializer, and may raise anything."""

    body: Any
    content_type: Any
    content_encoding: Any
    headers: Any
    properties: Any
    decode: Callable[[], Any]


# -- an entry of a Redis list ------------------------------------------------------------------------------------------


def trouble_of_entry(raw: bytes) -> str:
    """Why kombu can't take an entry apart, in a few words; empty where it can."""
    if len(raw) > LONGEST_ENTRY:
        return "longer than a message may be"
    try:
        entry = loads(raw)
    except Exception:  # Celery's own types in it, which kombu makes objects of, can raise anything
        return "not JSON"
    if not isinstance(entry, dict) or not isinstance(entry.get("properties"), dict):
        return "not an envelope"
    if not isinstance(entry.get("headers"), dict):
        return "without headers"
    return _trouble_of_properties(entry["properties"]) or _trouble_of_body(entry)


def _trouble_of_properties(properties: Mapping[str, Any]) -> str:
    delivery = properties.get("delivery_info")
    if not isinstance(delivery, dict) or not all(
        isinstance(delivery.get(at), str) for at in ("exchange", "routing_key")
    ):
        return "without an exchange and a routing key"
    tag = properties.get("delivery_tag")
    if not isinstance(tag, str) or not PLAIN.fullmatch(tag):
        return "without a delivery tag"
    priority = properties.get("priority", 0)
    if not (isinstance(priority, int) or priority is None):
        return "with a priority that is no number"
    return ""


def _trouble_of_body(entry: Mapping[str, Any]) -> str:
    body, encoding = entry.get("body"), entry["properties"].get("body_encoding")
    if not isinstance(body, str):
        return "without a body"
    if not (encoding is None or isinstance(encoding, str)) or encoding not in BODY_ENCODINGS:
        return "with a body in an unknown encoding"
    try:
        _ = base64.b64decode(body, validate=True) if encoding == "base64" else body.encode()
    except ValueError:
        return "with a body that can't be decoded"
    return ""


def wrapped(raw: bytes, tag: str) -> bytes:
    """An unreadable entry as a message that kombu can hold, so that it is acknowledged only once it was set aside."""
    entry = {
        "body": base64.b64encode(raw[:LONGEST]).decode(),
        "content-type": UNREADABLE,
        "content-encoding": "binary",
        "headers": {},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": tag,
            "delivery_info": {"exchange": "", "routing_key": "celery"},
        },
    }
    return json.dumps(entry).encode()


def _named_in(raw: Any) -> str | None:
    """The id that an unreadable entry names all the same, so that its producer is told."""
    try:
        entry = json.loads(raw)
    except (ValueError, TypeError, RecursionError):
        return None
    for part, name in (("headers", "id"), ("properties", "correlation_id")):
        held = entry.get(part) if isinstance(entry, dict) else None
        if found := result_id(held.get(name) if isinstance(held, dict) else None):
            return found
    return None


# -- a message of any broker -------------------------------------------------------------------------------------------


def fault_of(envelope: Envelope, tasks: Collection[str]) -> Fault | None:
    """Why Celery mustn't see this message, or None. `tasks` are the names that there are."""
    if envelope.content_type == UNREADABLE:
        return Fault("unreadable", "it is no Celery message", _named_in(envelope.body))
    headers, properties = envelope.headers, envelope.properties
    if not isinstance(headers, dict) or not isinstance(properties, dict):
        return Fault("envelope", "its headers or properties are no mapping")
    told = result_id(headers.get("id")) or result_id(properties.get("correlation_id"))
    if envelope.content_type != JSON_TYPE:
        return Fault("serializer", "its body is not JSON; send it with task_serializer='json'", told)
    encoding = envelope.content_encoding
    if encoding is None:  # as from a client of the broker's own that names none; Celery takes it for utf-8, too
        encoding = "utf-8"
    if not isinstance(encoding, str) or encoding.lower() not in ENCODINGS:
        return Fault("encoding", "its content encoding is not utf-8", told)
    if isinstance(envelope.body, bytes | str) and len(envelope.body) > LONGEST:
        return Fault("size", f"its body is longer than {LONGEST} bytes", told)
    try:
        body = envelope.decode()
    except Exception:  # JSON with Celery's own types in it can raise anything
        return Fault("body", "its body can't be decoded", told)
    try:
        return _fault_of_parts(headers, properties, body, tasks, told)
    except RecursionError:
        return Fault("body", "its parts are nested too deeply", told)


def _fault_of_parts(
    headers: dict[str, Any], properties: dict[str, Any], body: Any, tasks: Collection[str], told: str | None
) -> Fault | None:
    facts: dict[str, Any] = headers
    shape: type[Task] = Protocol2
    if "task" not in headers:
        if not isinstance(body, dict):
            return Fault("envelope", "it names no task; send it with a Celery client", told)
        facts, shape = body | headers, Protocol1  # Celery lays the headers over such a body
        told = result_id(body.get("id")) or told
    name = facts.get("task")
    if not isinstance(name, str) or name not in tasks:
        near = get_close_matches(name[:255], sorted(tasks), 1) if isinstance(name, str) else []
        meant = f"did you mean {near[0]}? " if near else ""
        return Fault("task", f"there is no task of that name; {meant}docs/producers.md lists the names", told)
    clashing = sorted(str(key) for key in facts if key in RESERVED - names_of(shape))
    if clashing:
        return Fault("headers", f"{clashing[0]:.40} is no header of a task message", told)
    if told and not PLAIN.fullmatch(told):
        return Fault("parts", "its id has more than 255 characters, or one that can't be shown", told)
    try:
        Properties.model_validate(properties)
        shape.model_validate(facts)
        if shape is Protocol2:
            Parts.model_validate({"body": body})
    except ValidationError as error:
        return Fault("parts", f"{_places(error)} not as Celery sends it", told)
    if _seems_secret(facts) or _seems_secret(properties):
        return Fault("secret", "a secret stands where its id or another name is due; a UUID is a good id")
    return None


def result_id(value: Any) -> str | None:
    """The id that a producer looks its result up by, where a result may stand under it, also one that no job can have."""
    fits = isinstance(value, str) and 0 < len(value) <= LONGEST_ID and not HALVES.search(value)
    return value if fits and not _seems_secret({"id": value}) else None


def _seems_secret(facts: Mapping[str, Any]) -> bool:
    """Whether a part that everybody sees looks like a secret. An id of Celery's own making does not."""
    shown = [value for name in SHOWN if isinstance(value := facts.get(name), str) and not _is_uuid(value)]
    try:
        return bool(shown) and any(finding.category == "secret" for finding in scan("\n".join(shown)))
    except ScreeningFailed:
        return True


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _places(error: ValidationError) -> str:
    """The names of what is wrong, without any value: it may be secret."""
    found = dict.fromkeys(".".join(str(part) for part in problem["loc"][:2])[:60] for problem in error.errors())
    places = [place for place in found if PLAIN.fullmatch(place)][:4] or ["a part"]
    return f"{', '.join(places)} {'is' if len(places) == 1 else 'are'}"
