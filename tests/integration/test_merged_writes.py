"""The frequent transitions read once and write together: what they see and leave is what single commands would."""

from __future__ import annotations

import asyncio
import json
from importlib import resources

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.errors import StateUnavailable
from tasks.model import Issue, parse_command
from tasks.state.audit.entries import Event
from tasks.state.batch import TOGETHER
from tasks.state.jobs.transitions import Lease

MERGED = (resources.files("tasks.state") / "lua" / "merged.lua").read_text("utf-8")
PLAIN = "local function write_all() end"
RUN = """
local told = {}
for at, command in ipairs(cjson.decode(ARGV[2])) do
  local name, place = command[1], ARGV[1] .. ':' .. command[2]
  local answer = redis.call(name, place, unpack(command, 3))
  told[at] = cjson.encode(answer)
end
write_all()
return told
"""
FIELDS, MEMBERS, VALUES = (st.sampled_from(list(names)) for names in ("abc", "xyz", "123"))
HASHES = st.sampled_from(["job:1", "subject:1", "traffic:1", "metrics", "links:1"])
SORTED, SETS = st.sampled_from(["due:1", "state:queued"]), st.sampled_from(["waiting", "ledger:unheard"])


def _is_whole(place: str) -> bool:
    return place.split(":", maxsplit=1)[0] in ("job", "subject", "traffic")


# Without those whose answer is another: writes that are kept back have none.
COMMANDS = st.one_of(
    st.tuples(st.just("HSET"), HASHES, FIELDS, VALUES),
    st.tuples(st.just("HSET"), HASHES, FIELDS, VALUES, FIELDS, VALUES),
    st.tuples(st.just("HDEL"), HASHES, FIELDS),
    st.tuples(st.just("HDEL"), HASHES, FIELDS, FIELDS),
    st.tuples(st.just("HINCRBY"), HASHES, FIELDS, st.integers(-2, 9)),
    st.tuples(st.just("HGET"), HASHES, FIELDS),
    st.tuples(st.just("HMGET"), HASHES, FIELDS, FIELDS),
    st.tuples(st.just("HGETALL"), HASHES),
    st.tuples(st.just("EXISTS"), st.one_of(HASHES, SORTED, SETS)),
    st.tuples(st.just("DEL"), st.one_of(HASHES, SORTED, SETS)),
    st.tuples(st.just("ZADD"), SORTED, st.integers(0, 9), MEMBERS),
    st.tuples(st.just("ZADD"), SORTED, st.just("NX"), st.integers(0, 9), MEMBERS),
    st.tuples(st.just("ZINCRBY"), SORTED, st.integers(0, 9), MEMBERS),
    st.tuples(st.just("ZREM"), SORTED, MEMBERS),
    st.tuples(st.just("ZSCORE"), SORTED, MEMBERS),
    st.tuples(st.just("ZCARD"), SORTED),
    st.tuples(st.just("ZCOUNT"), SORTED, st.just("-inf"), st.integers(0, 9)),
    st.tuples(st.just("ZRANGE"), SORTED, st.just(0), st.just(-1), st.just("WITHSCORES")),
    st.tuples(st.just("ZREMRANGEBYSCORE"), SORTED, st.just("-inf"), st.integers(0, 9)),
    st.tuples(st.just("SADD"), SETS, MEMBERS),
    st.tuples(st.just("SREM"), SETS, MEMBERS),
    st.tuples(st.just("SMEMBERS"), SETS),
    st.tuples(st.just("RPUSH"), st.just("job:1:events"), VALUES),
    st.tuples(st.just("LTRIM"), st.just("job:1:events"), st.just(-3), st.just(-1)),
)
READS = {"HGET", "HMGET", "HGETALL", "EXISTS", "ZSCORE", "ZCARD", "ZCOUNT", "ZRANGE", "SMEMBERS"}


@pytest.fixture(scope="module")
def run(valkey):
    """Runs commands on an empty keyspace; returns what the reads answered and all that is there afterwards."""
    client = redis.Redis.from_url(valkey.url)

    def run(layer, commands):
        client.delete(*client.keys("m:*") or ["m:"])
        told = client.eval(f"{layer}\n{RUN}", 0, "m", json.dumps(commands))
        answers = [_plain(command, json.loads(said)) for command, said in zip(commands, told, strict=True)]
        return answers, {key: _held(client, key) for key in sorted(client.keys("m:*"))}

    yield run
    client.delete(*client.keys("m:*") or ["m:"])
    client.close()


def _plain(command, answer):
    """An answer in one order; None for that of a write, which is not asked for, unless a record's counter answers."""
    if command[0] in ("HINCRBY", "HDEL") and _is_whole(command[1]):
        return answer
    if command[0] not in READS:
        return None
    if command[0] == "HGETALL":
        return dict(zip(answer[::2], answer[1::2], strict=True)) if answer else {}
    return sorted(answer) if command[0] == "SMEMBERS" and answer else answer


def _held(client, key):
    kind = client.type(key)
    if kind == b"hash":
        return client.hgetall(key)
    if kind == b"zset":
        return client.zrange(key, 0, -1, withscores=True)
    return client.smembers(key) if kind == b"set" else client.lrange(key, 0, -1)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(commands=st.lists(COMMANDS, max_size=25))
def test_whatever_is_read_and_left_is_the_same_as_without_merging(run, commands):
    """Reads see what was kept back before them, and at the end Redis holds the same."""
    assert run(MERGED, commands) == run(PLAIN, commands)


@pytest.mark.parametrize(
    "command",
    [
        ("SADD", "waiting", "x", "y"),
        ("SREM", "waiting", "x", "y"),
        ("RPUSH", "job:1:events", "1", "2"),
        ("LTRIM", "job:1:events", 0, 3),
        ("HSET", "job:1", "a", False),
        ("HSET", "job:1", "a", "1", "b"),
    ],
)
def test_a_form_that_is_not_kept_back_fails_and_writes_nothing(run, command):
    """Narrowed in silence, it would lose what a script meant to write."""
    with pytest.raises(redis.ResponseError, match="does not keep back"):
        run(MERGED, [("RPUSH", "job:1:events", "1"), command])
    assert run(MERGED, [("SMEMBERS", "waiting")])[1] == {}


async def _submitted(services, count):
    """Jobs submitted at once."""

    async def one(number):
        issue = Issue(id=f"inc-{number}", title="Pool exhausted", description="words")
        command = parse_command({"command": "create_servicenow_incident", "issue_id": issue.id})
        return await services.submit(command, actor="test", issue=issue)

    return await asyncio.gather(*(one(number) for number in range(count)))


@pytest.mark.usefixtures("destinations")
async def test_jobs_that_are_claimed_at_once_cost_fewer_commands_and_each_has_its_entry(services):
    """Sixteen claims share a script; the audit has one entry of each, in one chain."""
    jobs = await _submitted(services, TOGETHER)
    before = await _commands(services)
    await services.ledger.claim(jobs[0].id, "w", Lease(0, 60_000))
    alone = await _commands(services) - before
    before = await _commands(services)
    claimed = await asyncio.gather(*(services.ledger.claim(job.id, "w", Lease(0, 60_000)) for job in jobs[1:]))
    assert {each.job.id for each in claimed} == {job.id for job in jobs[1:]}
    assert await _commands(services) - before < alone * (TOGETHER - 1) / 2
    stream = await services.redis.xrange(f"{services.settings.prefix}:audit")
    claims = [json.loads(fields[b"data"])["job"] for _, fields in stream if fields[b"event"] == b"job.claimed"]
    assert sorted(claims) == sorted(job.id for job in jobs)


@pytest.mark.usefixtures("destinations")
async def test_a_transition_that_fails_takes_none_of_its_neighbours_along(services):
    """A fault in one of several transitions of a script is that one's alone, and leaves nothing of it behind."""
    jobs = await _submitted(services, 3)
    broken = services.journal.commit("jobs/claim", {"id": jobs[1].id, "claim": "c"}, Event.CLAIMED, job=jobs[1].id)
    first, fault, last = await asyncio.gather(
        services.ledger.claim(jobs[0].id, "w", Lease(0, 60_000)),
        broken,
        services.ledger.claim(jobs[2].id, "w", Lease(0, 60_000)),
        return_exceptions=True,
    )
    assert isinstance(fault, StateUnavailable)
    assert (first.job.attempts, last.job.attempts) == (1, 1)
    assert (await services.ledger.require(jobs[1].id)).attempts == 0


@pytest.mark.usefixtures("destinations")
async def test_an_outcome_beside_a_transition_that_fails_is_kept_once(services):
    """The intent is closed with its outcome though the script that was to close it failed, and only once."""
    job = (await _submitted(services, 1))[0]
    intent = await services.ledger.announce(Event.TEST_INTENT, {})
    broken = services.journal.commit("jobs/claim", {"id": job.id, "claim": "c"}, Event.CLAIMED, job=job.id)
    closed = (services.ledger.conclude("", intent, Event.TEST_OK, {}) for _ in range(2))
    *_, fault = await asyncio.gather(*closed, broken, return_exceptions=True)
    assert isinstance(fault, StateUnavailable)
    stream = await services.redis.xrange(f"{services.settings.prefix}:audit")
    assert [fields[b"event"] for _, fields in stream].count(b"test.ok") == 1
    assert await services.redis.zscore(f"{services.settings.prefix}:intents", intent) is None


async def _commands(services) -> int:
    found = await services.redis.info("commandstats")
    return sum(each["calls"] for each in found.values())


@pytest.mark.parametrize(
    ("words", "heard"), [(["a"], "a"), (["a", "a"], "a"), (["a", "b"], "1"), (["a", "b", "a"], "1")]
)
def test_of_several_words_on_a_channel_none_is_heard(valkey, words, heard):
    """A worker begins the job that a wake-up names: where there are several, it looks for all of them."""
    client = redis.Redis.from_url(valkey.url)
    with client.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe("m:wake")
        client.eval(f"{MERGED}\n{RUN}", 0, "m", json.dumps([["PUBLISH", "wake", word] for word in words]))
        client.publish("m:wake", "end")
        messages = pubsub.listen()
        told = [next(messages)["data"].decode() for _ in range(2)]
    assert told == [heard, "end"]
