"""Notifications: which audit entries people are told of, grouped, and worded for each kind of receiver. Pure.

A message has states, counts, ids, causes and advice. It never has content, a title, or what a vendor answered: those stay
in the console, to which it links.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlencode

from tasks.callbacks import sign
from tasks.http.message import Request
from tasks.retry import Backoff
from tasks.state.audit.entries import UNREADABLE, AuditEntry, Event
from tasks.state.clock import rfc3339
from tasks.state.receivers.settings import EmailReceiver, Posted, SlackReceiver, TeamsReceiver, Topic, WebhookReceiver

MOST_GROUPS = 20
MOST_JOBS = 5
BACKOFF = Backoff(base_s=10.0, cap_s=900.0)
OPERATION = "POST notification"
TOPICS: Mapping[str, Topic] = {
    Event.HELD: Topic.HELD,
    Event.DEAD: Topic.DEAD,
    Event.DESTINATION_SUSPENDED: Topic.SUSPENDED,
    Event.CREDENTIAL_EXPIRING: Topic.EXPIRING,
    Event.RECORD_REFUSED: Topic.TAMPERED,
    UNREADABLE: Topic.TAMPERED,
    Event.WENT_BACK: Topic.WENT_BACK,
    Event.LOOK_FIRST_SET: Topic.WENT_BACK,
}
ADVICE: Mapping[Topic, str] = {
    Topic.HELD: "Open the job: correct its content, release it, or cancel it.",
    Topic.DEAD: "Open the job: it says what was answered and what to do. Retry it after that.",
    Topic.SUSPENDED: "Its jobs wait. Correct what the destination's page names; a passing test lets them go on.",
    Topic.EXPIRING: "Renew the credential, and store it with `afterword destination set`.",
    Topic.TAMPERED: "A record in Redis was changed without Afterword's keys. See the audit, and who can write to Redis.",
    Topic.WENT_BACK: "Redis has lost writes, or somebody said so. See `afterword lookfirst status`.",
}
_WORD = re.compile(r"[^A-Za-z0-9_.:-]+")


@dataclass(frozen=True)
class Group:
    """What happened several times for one cause. Times in epoch milliseconds; `jobs` are the first few ids."""

    topic: Topic
    destination: str
    cause: str
    count: int
    jobs: tuple[str, ...]
    first_ms: int
    last_ms: int

    @property
    def line(self) -> str:
        """It in one line."""
        of = f" at {self.destination}" if self.destination else ""
        cause = f": {self.cause}" if self.cause else ""
        match self.topic:
            case Topic.HELD | Topic.DEAD:
                return f"{self.count} {'job' if self.count == 1 else 'jobs'} {self.topic.value}{of}{cause}"
            case Topic.SUSPENDED:
                return f"Destination {self.destination} is suspended"
            case Topic.EXPIRING if self.cause == "0":
                return f"The credential of {self.destination} has ended"
            case Topic.EXPIRING:
                return f"The credential of {self.destination} ends within {self.cause} days"
            case Topic.TAMPERED:
                return f"{self.count} refused {'record' if self.count == 1 else 'records'}{of}{cause}"
            case _:
                return "The ledger went back in time"

    def link(self, console: str | None) -> str | None:
        """Where the console shows it."""
        if console is None:
            return None
        match self.topic:
            case Topic.HELD | Topic.DEAD if self.count == 1 and self.jobs:
                return f"{console}/jobs/{self.jobs[0]}"
            case Topic.HELD | Topic.DEAD:
                return f"{console}/jobs?" + urlencode({"state": self.topic.value, "destination": self.destination})
            case Topic.SUSPENDED | Topic.EXPIRING:
                return f"{console}/settings/destinations/{self.destination}"
            case _:
                return f"{console}/audit"


def concerns(entry: AuditEntry, topics: Iterable[Topic]) -> bool:
    """Whether an entry is one to tell of."""
    return TOPICS.get(entry.event) in tuple(topics)


def grouped(entries: Iterable[AuditEntry]) -> tuple[Group, ...]:
    """Entries of one cause as one group, in the order of their first."""
    found: dict[tuple[Topic, str, str], Group] = {}
    for entry in entries:
        key = topic, destination, cause = cause_of(entry)
        job = _word(entry.data.get("job"))
        at_ms = int(entry.id.split("-")[0])
        before = found.get(key) or Group(topic, destination, cause, 0, (), at_ms, at_ms)
        jobs = before.jobs if not job or job in before.jobs else (*before.jobs, job)[:MOST_JOBS]
        found[key] = Group(topic, destination, cause, before.count + 1, jobs, before.first_ms, at_ms)
    return tuple(found.values())


def cause_of(entry: AuditEntry) -> tuple[Topic, str, str]:
    """What makes entries one group: topic, destination and cause."""
    topic = TOPICS[entry.event]
    return topic, _word(entry.data.get("destination")), _word(_cause(topic, entry.data))


def _cause(topic: Topic, data: Mapping[str, Any]) -> object:
    match topic:
        case Topic.HELD | Topic.DEAD:
            return data.get("error")
        case Topic.EXPIRING:
            return data.get("days")
        case Topic.TAMPERED:
            return data.get("reason")
        case _:
            return ""


def _word(value: object) -> str:
    """A name or code as it may stand in any message: nothing in it is markup, a link or a second line."""
    return _WORD.sub("-", str("" if value is None else value))[:100]


def retry_ms(failures: int, chance: float) -> int:
    """How long until a message that failed for that many times before is sent again, in milliseconds. It is never given up."""
    return int(1000 * BACKOFF.delay_s(failures + 1, chance))


# -- messages ----------------------------------------------------------------------------------------------------------


def subject_of(groups: tuple[Group, ...]) -> str:
    """The first line of a message."""
    if not groups:
        return "Afterword: a test message"
    return f"Afterword: {groups[0].line}" + (f", and {len(groups) - 1} more" if len(groups) > 1 else "")


def text_of(groups: tuple[Group, ...], console: str | None) -> str:
    """The groups for a person to read, as plain text."""
    if not groups:
        return "This is a test: what needs a person will be told here."
    parts = []
    for group in groups:
        lines = [group.line, ADVICE[group.topic]]
        if group.jobs:
            lines.append(f"Jobs: {', '.join(group.jobs)}" + (" and others" if group.count > len(group.jobs) else ""))
        if address := group.link(console):
            lines.append(address)
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def payload_of(groups: tuple[Group, ...], console: str | None, now_ms: int) -> dict[str, object]:
    """The body of a webhook."""
    events = [
        {
            "topic": group.topic.value,
            "destination": group.destination or None,
            "cause": group.cause or None,
            "count": group.count,
            "jobs": list(group.jobs),
            "first_at": rfc3339(group.first_ms),
            "last_at": rfc3339(group.last_ms),
            "summary": group.line,
            "advice": ADVICE[group.topic],
            "url": group.link(console),
        }
        for group in groups
    ]
    kind = "afterword.notification" if groups else "afterword.test"
    return {"type": kind, "timestamp": rfc3339(now_ms), "data": {"events": events}}


def request_of(receiver: Posted, groups: tuple[Group, ...], message: str, now_ms: int) -> Request:
    """The request that carries a message, under its id, to a receiver that is posted to."""
    text = text_of(groups, receiver.console)
    headers = {"Content-Type": "application/json"}
    match receiver:
        case SlackReceiver():
            safe = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            body = json.dumps({"text": f"*{subject_of(groups)}*\n{safe}"}).encode()
        case TeamsReceiver():
            body = json.dumps(_card(subject_of(groups), text)).encode()
        case WebhookReceiver():
            body, timestamp = json.dumps(payload_of(groups, receiver.console, now_ms)).encode(), str(now_ms // 1000)
            headers |= {
                "webhook-id": message,
                "webhook-timestamp": timestamp,
                "webhook-signature": sign(receiver.secret, message, timestamp, body),
            }
        case _:
            raise TypeError(type(receiver).__name__)
    return Request("POST", receiver.path, OPERATION, headers=headers, body=body, writes=True)


def _card(title: str, text: str) -> dict[str, object]:
    """An adaptive card, as a workflow of Teams takes it: underscores are escaped, because its texts are Markdown."""
    blocks = [{"type": "TextBlock", "text": _plain(title), "weight": "Bolder", "wrap": True}]
    blocks += [
        {"type": "TextBlock", "text": _plain(part).replace("\n", "\n\n"), "wrap": True} for part in text.split("\n\n")
    ]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": blocks,
    }
    kind = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": kind, "contentUrl": None, "content": card}]}


def _plain(text: str) -> str:
    """Words as Markdown that reads as they do; an address stays as it is, so that it can be followed."""
    return " ".join(word if "://" in word else word.replace("_", "\\_") for word in text.split(" "))


def email_of(receiver: EmailReceiver, groups: tuple[Group, ...], message: str) -> EmailMessage:
    """The e-mail that carries a message; the same id makes the same Message-ID."""
    mail = EmailMessage()
    mail["From"], mail["To"] = receiver.sender, ", ".join(receiver.to)
    mail["Subject"] = subject_of(groups)
    mail["Message-ID"] = f"<{message}@{receiver.sender.partition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence answers it
    mail.set_content(text_of(groups, receiver.console))
    return mail
