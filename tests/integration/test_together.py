"""Reads that are asked for at the same moment go to Redis together, and each has its own end."""

from __future__ import annotations

import asyncio

import pytest
from redis.exceptions import ResponseError

from tasks.state.together import Together


async def test_reads_of_one_moment_are_one_trip(services):
    await services.redis.set("words", "here")
    await services.redis.hset("facts", "name", "one")
    together, sent = Together(services.redis), []
    pipelines = services.redis.pipeline
    services.redis.pipeline = lambda **options: sent.append(made := pipelines(**options)) or made
    try:
        found = await asyncio.gather(
            together.get("words"), together.hgetall("facts"), together.get("nothing"), together.hgetall("nothing")
        )
    finally:
        del services.redis.pipeline
    assert found == [b"here", {b"name": b"one"}, None, {}]
    assert len(sent) == 1


async def test_a_read_that_fails_or_is_given_up_is_its_own(services):
    await services.redis.set("words", "here")
    together = Together(services.redis)
    given_up = asyncio.create_task(together.get("words"))
    others = asyncio.gather(together.hgetall("words"), together.get("words"), return_exceptions=True)
    await asyncio.sleep(0)
    given_up.cancel()
    failed, found = await others
    assert isinstance(failed, ResponseError)
    assert found == b"here"
    with pytest.raises(asyncio.CancelledError):
        await given_up
