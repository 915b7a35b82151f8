"""The limiter's and the breaker's pure decisions, as the Lua that every script shares, on a real Valkey with time passed in."""

from __future__ import annotations

import json
import random
from importlib import resources

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TRAFFIC = (resources.files("tasks.state") / "traffic" / "decisions.lua").read_text("utf-8")
RUN_GCRA = """
local given, tat, grants = cjson.decode(ARGV[1]), 0, {}
for _, from in ipairs(given.arrivals) do
  local at, after = gcra(tat, from, given.interval, given.burst)
  if at - from <= given.patience then
    tat = after
    grants[#grants + 1] = at
  end
end
return cjson.encode(grants)
"""
RUN_BREAKER = """
local given, states = cjson.decode(ARGV[1]), {}
local is = {failures = 0, last = '', opens = 0, until_ms = 0, probe = ''}
for _, step in ipairs(given.steps) do
  if is.until_ms > 0 and step.at >= is.until_ms and is.probe == '' then is.probe = step.job end
  is = breaker_after(is, step.sign, step.job, step.at, given.limit, given.cooldown)
  states[#states + 1] = {failures = is.failures, opens = is.opens, until_ms = is.until_ms, probe = is.probe}
end
return cjson.encode(states)
"""
MANY = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def decide(valkey):
    """Runs one of the pure functions over a history."""
    client = redis.Redis.from_url(valkey.url)

    def run(script, **given_):
        return json.loads(client.eval(f"local now = 0\n{TRAFFIC}\n{script}", 0, json.dumps(given_)))

    yield run
    client.close()


@MANY
@given(
    gaps=st.lists(st.integers(0, 3000), min_size=1, max_size=60),
    interval=st.floats(1, 2000),
    burst=st.integers(1, 20),
    patience=st.sampled_from([0, 500, 30_000]),
)
def test_no_window_ever_holds_more_than_the_rate_and_the_burst(decide, gaps, interval, burst, patience):
    arrivals = [sum(gaps[: index + 1]) for index in range(len(gaps))]
    grants = decide(RUN_GCRA, arrivals=arrivals, interval=interval, burst=burst, patience=patience)
    for first, begin in enumerate(grants):
        for last in range(first, len(grants)):
            assert last - first + 1 <= burst + (grants[last] - begin + 0.002) / interval


@MANY
@given(interval=st.floats(1, 2000), burst=st.integers(1, 20))
def test_a_full_burst_goes_through_after_silence(decide, interval, burst):
    grants = decide(RUN_GCRA, arrivals=[10_000_000] * burst, interval=interval, burst=burst, patience=0)
    assert len(grants) == burst


STEPS = st.lists(
    st.fixed_dictionaries(
        {
            "sign": st.sampled_from(["up", "busy", "down", "down", "down", ""]),
            "job": st.sampled_from("abcde"),
            "gap": st.integers(0, 20_000),
        }
    ),
    max_size=60,
)


@MANY
@given(steps=STEPS, limit=st.integers(1, 6))
def test_the_breaker_opens_after_that_many_failures_in_a_row_and_any_answer_closes_it(decide, steps, limit):
    at, timed = 0, []
    for step in steps:
        at += step["gap"]
        timed.append({"sign": step["sign"], "job": step["job"], "at": at})
    states = decide(RUN_BREAKER, steps=timed, limit=limit, cooldown=1000)
    before = {"failures": 0, "opens": 0, "until_ms": 0, "probe": ""}
    for step, state in zip(timed, states, strict=True):
        if step["sign"] in ("up", "busy"):
            assert (state["failures"], state["until_ms"]) == (0, 0)
        if state["until_ms"] > before["until_ms"]:
            assert step["sign"] == "down"
            assert state["failures"] >= limit
            assert 1000 <= state["until_ms"] - step["at"] <= 15_000
            assert state["opens"] == before["opens"] + 1
        if before["until_ms"] and step["at"] < before["until_ms"] and step["sign"] == "down":
            assert state["until_ms"] == before["until_ms"]  # stragglers make the pause no longer
        before = state


def test_one_job_alone_never_opens_the_breaker(decide):
    steps = [{"sign": "down", "job": "poison", "at": at} for at in range(100)]
    assert all(state["until_ms"] == 0 for state in decide(RUN_BREAKER, steps=steps, limit=2, cooldown=1000))


def test_a_fifth_of_failures_at_random_is_no_outage(decide):
    chance = random.Random(7)
    steps = [{"sign": "down" if chance.random() < 0.2 else "up", "job": str(n), "at": n} for n in range(20_000)]
    assert all(state["until_ms"] == 0 for state in decide(RUN_BREAKER, steps=steps, limit=10, cooldown=1000))


def test_each_probe_that_fails_doubles_the_pause_up_to_a_quarter_of_a_minute(decide):
    steps, at = [{"sign": "down", "job": "ab"[n % 2], "at": 0} for n in range(2)], 0
    for number in range(12):
        at += 400_000
        steps.append({"sign": "down", "job": str(number), "at": at})
    states = decide(RUN_BREAKER, steps=steps, limit=2, cooldown=5000)
    pauses = [state["until_ms"] - step["at"] for step, state in zip(steps, states, strict=True) if state["until_ms"]]
    assert pauses[:4] == [5000, 10_000, 15_000, 15_000]
    assert pauses[-1] == 15_000


def test_a_pause_begins_with_the_probe_that_had_no_answer(decide):
    """What a probe waited in vain is part of the pause: a dead destination is tried as often as one that refuses."""
    run = """
    local was = {failures = 3, last = 'a', opens = 1, until_ms = 1000, probe = 'b'}
    local is = cjson.decode(ARGV[1])
    return cjson.encode(breaker_after(was, 'down', 'b', is.at, 3, 5000, is.since))
    """
    assert decide(run, at=14_000, since=10_000)["until_ms"] == 20_000
    assert decide(run, at=50_000, since=10_000)["until_ms"] == 50_000


def test_a_destination_that_says_itself_that_it_takes_no_writes_is_left_alone_at_once(decide):
    def history(*steps, limit=10):
        rows = [{"sign": sign, "job": job, "at": at} for sign, job, at in steps]
        return decide(RUN_BREAKER, steps=rows, limit=limit, cooldown=5000)

    first, second, third = history(("shut", "a", 0), ("shut", "b", 5000), ("up", "c", 20_000))
    assert (first["until_ms"], first["opens"]) == (5000, 1)
    assert (second["until_ms"], second["opens"]) == (15_000, 2)
    assert third["until_ms"] == 0
    assert history(("shut", "a", 0), limit=0)[0]["until_ms"] == 0
