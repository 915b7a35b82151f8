"""What a server of Redis says in trouble, in words that lead an operator to it."""

from __future__ import annotations

import pytest
from redis._parsers.base import BaseParser
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tasks.errors import Refused
from tasks.state.outages import patiently, unavailable

SAID = BaseParser.parse_error  # what redis-py makes of an answer: of what it knows, it takes the first word off


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (SAID("OOM command not allowed when used memory > 'maxmemory'."), "redis_full", "maxmemory"),
        (SAID("NOREPLICAS Not enough good replicas to write."), "redis_not_replicated", "replicas"),
        (SAID("MISCONF Errors writing to the AOF file: No space left on device"), "redis_read_only", "disk"),
        (SAID("READONLY You can't write against a read only replica."), "redis_read_only", "replica"),
        (SAID("LOADING Redis is loading the dataset in memory"), "redis_absent", "reads its data"),
        (SAID("ERR max number of clients reached"), "redis_absent", "maxclients"),
        (SAID("BUSY Redis is busy running a script."), "redis_absent", "script"),
        (SAID("MASTERDOWN Link with MASTER is down"), "redis_absent", "primary"),
        (SAID("WRONGPASS invalid username-password pair or user is disabled."), "redis_absent", "account"),
        (SAID("NOAUTH Authentication required."), "redis_absent", "account"),
        (RedisTimeoutError("Timeout reading from socket"), "redis_absent", "doesn't answer"),
        (RedisConnectionError("Error 111"), "redis_absent", "can't be reached"),
        (ConnectionResetError(), "redis_absent", "can't be reached"),
        (SAID("WRONGTYPE Operation against a key"), "redis_wrong_type", "`afterword doctor` says where"),
        (SAID("NOPERM this user has no permissions to run the 'evalsha' command"), "redis_refused", "users.acl"),
        (SAID("ERR what nobody foresaw"), "redis_refused", "foresaw"),
    ],
    ids=lambda given: str(given)[:20],
)
def test_each_trouble_has_its_code_and_words(error, code, words):
    """Programs read the code, people the words."""
    found = unavailable(error)
    assert found.code == code
    assert words in str(found)


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
