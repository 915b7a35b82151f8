"""Reads that wait for Redis together: those that are asked for in one turn of the loop go out as one pipeline."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

Asked = tuple[str, str, asyncio.Future[Any]]  # the client's method, the key, who waits


class Together:
    """Reads whole records by their keys. One a process; bound to the loop that it is first used on."""

    def __init__(self, redis: Redis) -> None:
        self._redis: Any = redis  # replies are bytes; redis-py's types allow for str as well
        self._asked: list[Asked] = []
        self._sending: set[asyncio.Task[None]] = set()

    async def get(self, key: str) -> bytes | None:
        """The text of that key; raises redis-py's errors."""
        found: bytes | None = await self._ask("get", key)
        return found

    async def hgetall(self, key: str) -> dict[bytes, bytes]:
        """The hash of that key, empty where there is none; raises redis-py's errors."""
        found: dict[bytes, bytes] = await self._ask("hgetall", key)
        return found

    async def _ask(self, method: str, key: str) -> Any:
        loop = asyncio.get_running_loop()
        if not self._asked:
            loop.call_soon(self._begin)
        self._asked.append((method, key, loop.create_future()))
        return await self._asked[-1][2]

    def _begin(self) -> None:
        asked, self._asked = self._asked, []
        sending = asyncio.get_running_loop().create_task(self._send(asked))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)

    async def _send(self, asked: Sequence[Asked]) -> None:
        try:
            pipeline = self._redis.pipeline(transaction=False)
            for method, key, _ in asked:
                getattr(pipeline, method)(key)
            answers = await pipeline.execute(raise_on_error=False)
        except BaseException as error:
            answers = [error if isinstance(error, Exception) else asyncio.CancelledError()] * len(asked)
            if not isinstance(error, Exception):
                raise
        finally:
            for (_, _, waiting), answer in zip(asked, answers, strict=True):
                _resolve(waiting, answer)


def _resolve(waiting: asyncio.Future[Any], answer: Any) -> None:
    if waiting.done():
        return
    if isinstance(answer, asyncio.CancelledError):
        waiting.cancel()
    elif isinstance(answer, BaseException):
        waiting.set_exception(answer)
    else:
        waiting.set_result(answer)
