"""What a server of Redis says in trouble, in words that lead an operator to it."""

from __future__ import annotations

import pytest
from redis.exceptions import BusyLoadingError, NoPermissionError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError

from tasks.state.outages import OUTAGES, unavailable


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (BusyLoadingError("LOADING Redis is loading the dataset in memory"), "reads its data"),
        (RedisConnectionError("max number of clients reached"), "maxclients"),
        (ResponseError("BUSY Redis is busy running a script."), "script"),
        (ResponseError("MASTERDOWN Link with MASTER is down"), "primary"),
        (RedisConnectionError("invalid username-password pair or user is disabled."), "account"),
    ],
    ids=lambda given: str(given)[:20],
)
def test_trouble_that_passes_is_named_and_waited_out(error, words):
    found = unavailable(error)
    assert words in found.message
    assert found.code in OUTAGES
    assert "by itself" in found.advice


def test_a_right_that_is_missing_is_named():
    found = unavailable(NoPermissionError("this user has no permissions to run the 'evalsha' command"))
    assert "evalsha" in found.message
    assert "users.acl" in found.advice
