"""The outbox: outcomes that producers asked to be told of, put there by the transition that ended the job.

An outcome stays in its origin's `due` set until a post of it succeeded or was given up. Taking one leases it for the
time of a post: a worker that dies with it loses nothing, another posts the same message again. So each arrives at least
once, always under the same message id.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from tasks.model import CommandName, Frozen, JobState, LastError, Receipt
from tasks.state.audit.entries import Event
from tasks.state.journal import Journal

log = logging.getLogger(__name__)


class Outcome(Frozen):
    """One message to post: how a job ended, or with `ticket` what somebody changed of its ticket since. `attempts` counts this one; `at_ms` is when the job ended (epoch milliseconds)."""

    message: str
    job: str
    command: CommandName
    destination: str
    state: JobState
    at_ms: int
    url: str
    origin: str
    apikey: str
    attempts: int
    receipt: Receipt | None = None
    error: LastError | None = None
    superseded_by: str | None = None
    ticket: dict[str, Any] | None = None


class Outbox:
    """Outcomes by the origin that they go to."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def origins(self) -> list[str]:
        """The origins that something is to be posted to, now or later."""
        return [name.decode() for name in await self._journal.query("followups/callback_origins", {})]

    async def take(self, origin: str, batch: int, lease_ms: int) -> list[Outcome]:
        """Up to `batch` outcomes due for that origin, each leased for `lease_ms`.

        One that only a newer version can read stays for that, and holds up no other.
        """
        args = {"origin": origin, "batch": batch, "lease_ms": lease_ms}
        taken: list[Outcome] = []
        for name, fields in await self._journal.query("followups/take_callbacks", args):
            try:
                taken.append(_outcome(name, fields))
            except (ValueError, KeyError, TypeError) as trouble:
                log.warning("outcome %s can't be read (%s); it is left", name.decode()[:80], type(trouble).__name__)
        return taken

    async def announce(self, outcome: Outcome, facts: Mapping[str, Any]) -> str:
        """Make the intent of a post durable; returns its reference."""
        args = {"id": "", "stage": "callback"}
        reply = await self._journal.commit("lua/intent", args, Event.CALLBACK_INTENT, **_about(outcome), **facts)
        return reply.intent

    async def settle(
        self, outcome: Outcome, event: Event, due_ms: int | None, facts: Mapping[str, Any], intent: str | None = None
    ) -> None:
        """End a post: the message is gone for good, or due again at `due_ms`. `intent` is closed by the same script;
        one that was closed as unknown meanwhile stays so, and the message as it is.
        """
        detail = {name: value for name, value in facts.items() if value is not None}
        args = {
            "message": outcome.message,
            "origin": outcome.origin,
            "job": outcome.job,
            "attempts": outcome.attempts,
            "detail": detail | {"attempt": outcome.attempts, "due_ms": due_ms},
        }
        args |= {} if due_ms is None else {"due_ms": due_ms}
        args |= {} if intent is None else {"intent": intent}
        await self._journal.commit("followups/settle_callback", args, event, **_about(outcome), intent=intent, **facts)


def _about(outcome: Outcome) -> dict[str, str | int]:
    """What the audit says of a post."""
    return {
        "job": outcome.job,
        "destination": outcome.destination,
        "message": outcome.message,
        "attempt": outcome.attempts,
    }


def _outcome(message: bytes, fields: list[bytes]) -> Outcome:
    texts = [part.decode() for part in fields]
    raw = {name: value for name, value in zip(texts[::2], texts[1::2], strict=True) if value}
    ticket = raw.pop("ticket", None)
    receipt, error = raw.pop("receipt", None), raw.pop("last_error", None)
    return Outcome.model_validate(
        raw
        | {
            "message": message.decode(),
            "command": json.loads(raw["command"])["command"],
            "ticket": json.loads(ticket) if ticket else None,
            "receipt": Receipt.model_validate_json(receipt, extra="ignore") if receipt else None,
            "error": LastError.model_validate_json(error, extra="ignore") if error else None,
        }
    )
