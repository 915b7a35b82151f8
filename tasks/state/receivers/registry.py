"""The configured receivers, sealed as a whole, and how far each has been told.

A receiver's cursor is a place in the audit stream. It moves in the same step that records that a message arrived: what
happened is told at least once, and a process that dies in between repeats one message at most.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tasks.errors import KeyTrouble, Refused
from tasks.state.audit.entries import Event
from tasks.state.journal import Journal
from tasks.state.newest import Newest
from tasks.state.outages import unavailable
from tasks.state.receivers.settings import RECEIVER, AnyReceiver, ReceiverView, checked, view_of
from tasks.state.stored import number
from tasks.state.vault import Vault
from tasks.state.wrong_types import read

PURPOSE = "receiver"


class Turn(NamedTuple):
    """One lease of a receiver: entries after `cursor` are to be told; `failures` counts messages that failed in a row."""

    name: str
    token: int
    cursor: str
    failures: int


class Receivers:
    """Who is notified. Raises `StateUnavailable` where Redis is away."""

    def __init__(self, redis: Redis, journal: Journal, vault: Vault, newest: Newest) -> None:
        self._redis: Any = redis  # redis-py's types for sets allow for a client that doesn't wait
        self._journal = journal
        self._vault = vault
        self._newest = newest

    def _key(self, *parts: str) -> str:
        return ":".join((self._journal.prefix, *parts))

    async def names(self) -> list[str]:
        """All names, in order."""
        try:
            return sorted(name.decode() for name in await self._redis.smembers(self._key("receivers")))
        except (RedisError, OSError) as error:
            raise unavailable(error) from None

    async def get(self, name: str) -> AnyReceiver | None:
        """The receiver of that name; raises `KeyTrouble` where its record was changed or put back in Redis, or its key is gone."""
        try:
            asked = self._redis.hmget(self._key("receiver", name), "sealed", "revision")
            sealed, revision = await read(asked, (b"", b""))
        except (RedisError, OSError) as error:
            raise unavailable(error) from None
        if sealed is None:
            return None
        moment = number((revision or b"").decode("utf-8", "replace"))
        plain = self._vault.open(sealed, purpose=PURPOSE, owner=name, revision=moment)
        if moment < self._newest.of(_record(name)):
            raise KeyTrouble(
                f"Receiver {name} is older than one that was seen here: somebody put it back.",
                code="record_older",
                advice="Store it again, or remove it.",
            )
        self._newest.learn(_record(name), moment)
        try:
            return RECEIVER.validate_json(plain)
        except ValidationError:
            raise KeyTrouble(
                f"Receiver {name!r} was stored by another version.", code="damaged", advice="Store it again."
            ) from None

    async def require(self, name: str) -> AnyReceiver:
        """The receiver; raises `Refused` where there is none."""
        found = await self.get(name)
        if found is None:
            raise Refused(
                f"There is no receiver {name!r:.80}.",
                code="unknown_receiver",
                advice="Look at the list of receivers for its name.",
            )
        return found

    async def set(self, name: str, receiver: AnyReceiver, actor: str) -> None:
        """Store a receiver; raises `Refused` where its fields don't fit each other. A new one is told of what happens from now on; one that is changed goes on where it was."""
        plain = RECEIVER.dump_json(checked(receiver)).decode()
        moment = max(await self._journal.server_ms(), self._newest.of(_record(name)) + 1)
        sealed = self._vault.seal(plain, purpose=PURPOSE, owner=name, revision=moment)
        standing = ["standing", "untested"]  # whatever was stored before
        hashes = {
            f"receiver:{name}": ["sealed", sealed, "revision", str(moment)],
            f"receiver:progress:{name}": standing,
        }
        try:
            if not await self._redis.exists(self._key("receiver", name)):
                newest = await self._redis.xrevrange(self._key("audit"), count=1)
                cursor = newest[0][0].decode() if newest else "0-0"
                standing += ["cursor", cursor, "due_ms", "0", "failures", "0"]
        except (RedisError, OSError) as error:
            raise unavailable(error) from None
        facts = {"receiver": name, "kind": receiver.kind, "host": receiver.host, "topics": list(receiver.topics)}
        args = {"hash": hashes, "add": {"receivers": name}}
        await self._journal.commit("lua/record", args, Event.RECEIVER_SET, actor=actor, **facts)
        self._newest.learn(_record(name), moment)

    async def remove(self, name: str, actor: str) -> None:
        """Forget a receiver, also one that can't be opened; raises `Refused` where there is none."""
        if name not in await self.names():
            await self.require(name)
        args = {"remove": [f"receiver:{name}", f"receiver:progress:{name}"], "take": {"receivers": name}}
        await self._journal.commit("lua/record", args, Event.RECEIVER_REMOVED, receiver=name, actor=actor)
        self._newest.learn(_record(name), self._newest.of(_record(name)) + 1)  # nobody puts it back

    async def view(self, name: str) -> ReceiverView:
        """What anybody may see of a receiver, also of one whose record can't be opened; raises `Refused` where there is none."""
        try:
            receiver = await self.require(name)
            asked = self._redis.hmget(self._key("receiver", "progress", name), "failures", "standing")
            failed, standing = await read(asked, (b"", b""))
        except KeyTrouble as trouble:
            return ReceiverView(name=name, kind="unknown", standing="unusable", trouble=str(trouble))
        except (RedisError, OSError) as error:
            raise unavailable(error) from None
        return view_of(
            name, receiver, number((failed or b"").decode("utf-8", "replace")), (standing or b"untested").decode()
        )

    async def views(self) -> list[ReceiverView]:
        """All receivers, in the order of their names."""
        found = []
        for name in await self.names():
            with contextlib.suppress(Refused):  # removed since it was listed
                found.append(await self.view(name))
        return found

    # -- one message ---------------------------------------------------------------------------------------------------

    async def take(self, name: str, lease_ms: int) -> Turn | None:
        """The receiver for one message, where it is due and nobody else has it."""
        found = await self._journal.query("receivers/take", {"name": name, "lease_ms": lease_ms})
        return Turn(name, int(found[0]), found[1].decode(), int(found[2])) if found else None

    async def move(self, turn: Turn, cursor: str, wait_ms: int) -> None:
        """Go on from that place after `wait_ms`: nothing before it is to be told."""
        args = {"name": turn.name, "token": turn.token, "cursor": cursor, "wait_ms": wait_ms}
        await self._journal.query("receivers/move", args)

    async def announce(self, name: str, facts: Mapping[str, Any]) -> str:
        """Make the intent of a message durable; returns its reference."""
        args = {"id": "", "stage": "notification"}
        reply = await self._journal.commit("lua/intent", args, Event.NOTIFICATION_INTENT, receiver=name, **facts)
        return reply.intent

    async def settle(
        self,
        name: str,
        event: Event,
        facts: Mapping[str, Any],
        *,
        intent: str | None = None,
        turn: Turn | None = None,
        cursor: str | None = None,
        wait_ms: int = 0,
    ) -> None:
        """Record how a message ended. With a `cursor` it arrived, and the reading goes on there."""
        args: dict[str, Any] = {"name": name, "intent": intent, "cursor": cursor, "wait_ms": wait_ms}
        args["token"] = turn.token if turn else None
        present = {key: value for key, value in args.items() if value is not None}
        await self._journal.commit("receivers/settle", present, event, receiver=name, intent=intent, **facts)


def _record(name: str) -> str:
    return f"receiver:{name}"
