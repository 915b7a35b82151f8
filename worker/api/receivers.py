"""Receivers of notifications. A secret comes in with PUT and never goes out."""

from __future__ import annotations

from typing import cast

from pydantic import BaseModel, ConfigDict, RootModel

from tasks.state.receivers.settings import AnyReceiver, Name
from worker.api.outputs import Notified, Receivers
from worker.api.route import Answer, Call
from worker.rounds.notifier import test


class ReceiverIn(RootModel[AnyReceiver]):
    """A receiver of notifications, as a whole."""

    model_config = ConfigDict(strict=True, frozen=True)


class ReceiverPath(BaseModel):
    """A receiver's name."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Name


async def list_receivers(call: Call) -> Answer:
    """All receivers."""
    return Answer(Receivers(receivers=tuple(await call.services.receivers.views())))


async def get_receiver(call: Call) -> Answer:
    """One receiver."""
    return Answer(await call.services.receivers.view(_name(call)))


async def put_receiver(call: Call) -> Answer:
    """Store a receiver as a whole, with its secret."""
    await call.services.receivers.set(_name(call), cast(ReceiverIn, call.body).root, call.actor)
    return Answer(await call.services.receivers.view(_name(call)))


async def delete_receiver(call: Call) -> Answer:
    """Tell a receiver nothing any more, and forget it with its secret."""
    await call.services.receivers.remove(_name(call), call.actor)
    return Answer(None, status=204)


async def test_receiver(call: Call) -> Answer:
    """Send a test message now."""
    trouble = await test(call.services, _name(call))
    return Answer(Notified(success=not trouble, message=trouble or "The test message was taken."))


def _name(call: Call) -> str:
    return cast(ReceiverPath, call.path).name
