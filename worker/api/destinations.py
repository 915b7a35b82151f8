"""Destinations. A secret comes in with PUT and never goes out."""

from __future__ import annotations

import contextlib
from typing import cast

from tasks.authorization.status import status_of
from tasks.errors import Refused
from tasks.state.directory import DestinationRecord
from worker.api.inputs import DestinationIn
from worker.api.outputs import ConnectionAnswer, Destinations, DestinationView
from worker.api.queries import DestinationPath
from worker.api.route import Answer, Call


async def list_destinations(call: Call) -> Answer:
    """All destinations."""
    views = []
    for record in await call.services.destinations.list():
        with contextlib.suppress(Refused):  # removed since it was listed
            views.append(await _view(call, record))
    return Answer(Destinations(destinations=tuple(views)))


async def get_destination(call: Call) -> Answer:
    """One destination."""
    return Answer(await _view(call, await call.services.destinations.require(_name(call))))


async def put_destination(call: Call) -> Answer:
    """Store a destination. Without a secret the stored one stays, as long as it would go to the same address."""
    given = cast(DestinationIn, call.body).root
    record = await call.services.destinations.set(
        _name(call), given.settings(), given.given(), call.actor, proxy_password=given.given_for_proxy()
    )
    return Answer(await _view(call, record))


async def delete_destination(call: Call) -> Answer:
    """Forget a destination and its credential; its waiting jobs end as dead, with that reason."""
    await call.services.destinations.remove(_name(call), call.actor)
    return Answer(None, status=204)


async def test_destination(call: Call) -> Answer:
    """Test address, credential and rights, step by step; a pass lets a suspended destination go on."""
    report = await call.services.test_destination(_name(call), call.actor)
    return Answer(ConnectionAnswer(success=report.success, message=report.message, steps=report.steps))


async def pause_destination(call: Call) -> Answer:
    """Let the destination's jobs wait."""
    return Answer(await _view(call, await call.services.destinations.pause(_name(call), call.actor)))


async def resume_destination(call: Call) -> Answer:
    """Let the destination's jobs go on."""
    return Answer(await _view(call, await call.services.destinations.resume(_name(call), call.actor)))


async def _view(call: Call, record: DestinationRecord) -> DestinationView:
    health = await call.services.destinations.shown_health(record.name)
    return DestinationView.of(record, health, await status_of(call.services.core, record))


def _name(call: Call) -> str:
    return cast(DestinationPath, call.path).name
