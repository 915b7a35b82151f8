"""What a server of Redis says in trouble, in words that lead an operator to it."""

from __future__ import annotations

import pytest
from redis.exceptions import BusyLoadingError, NoPermissionError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError

from tasks.errors import Refused
from tasks.state.outages import OUTAGES, patiently, unavailable


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


@pytest.mark.parametrize(
    ("error", "tries"), [(KeyError("somebody's words"), 2), (Refused("No."), 1)], ids=["fault", "no"]
)
async def test_a_fault_of_ours_is_tried_once_more_and_a_refusal_is_not(caplog, error, tries):
    tried = []

    async def work():
        tried.append(error)
        raise error

    with pytest.raises(type(error)):
        await patiently(work, 0)
    assert len(tried) == tries
    assert len(caplog.records) == tries - 1
    assert "somebody" not in caplog.text
