"""A record that isn't of the type that Afterword gave it: somebody else wrote there. It is that record's fault, and the others
of a list are read all the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any

from redis.exceptions import ResponseError


async def read(asked: Awaitable[Any], instead: Any) -> Any:
    """What Redis answers for one record; `instead` where it is of another type. Raises redis-py's other errors."""
    try:
        return await asked
    except ResponseError as error:
        return _or_raise(error, instead)


def all_of(answers: Sequence[Any], instead: Any) -> list[Any]:
    """The same of a pipeline's answers, errors among them."""
    return [_or_raise(answer, instead) if isinstance(answer, Exception) else answer for answer in answers]


def _or_raise(error: Exception, instead: Any) -> Any:
    if isinstance(error, ResponseError) and "WRONGTYPE" in str(error):
        return instead
    raise error
