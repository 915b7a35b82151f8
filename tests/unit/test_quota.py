"""What an answer's headers say about limits: every vendor's way of saying it, and what no working server would say."""

from __future__ import annotations

import math
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.audited import Trail, is_outage
from tasks.errors import DestinationTrouble, Held, Permanent, Throttled, Transient
from tasks.http.quota import Guidance, guidance_of, parse_reset
from tasks.state.traffic.limiter import lesson

NOW = 1_800_000_000.0
HOUR, DAY = 3600, 86400


@pytest.mark.parametrize("status", [200, 201, 404, 429, 500, 503])
def test_retry_after_is_obeyed_on_any_status(status):
    assert guidance_of(status, {"Retry-After": "30"}, NOW).pause_s == 30


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("-1", 0),
        ("nan", None),
        ("soon", None),
        ("", None),
        ("7200", 7200),
        ("1e308", HOUR),
        ("inf", HOUR),
        ("-inf", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", HOUR),
        ("Fri, 15 Jan 2027 08:01:00 GMT", 60),
        ("Mon, 01 Jan 1900 00:00:00 GMT", 0),
        ("99999999999999999999999999", HOUR),
    ],
)
def test_an_absurd_retry_after_stops_a_destination_for_an_hour_at_most(value, seconds):
    assert guidance_of(200, {"Retry-After": value}, NOW).pause_s == seconds


@pytest.mark.parametrize("off_s", [-3600, -60, 0, 45, 7200])
def test_a_vendors_moment_is_compared_with_the_vendors_own_clock(off_s):
    """Its `Date` says what that shows: whose clock is wrong changes nothing, neither for a date nor for a reset."""
    theirs = NOW + off_s
    date = formatdate(theirs, usegmt=True)
    until = formatdate(theirs + 60, usegmt=True)
    assert guidance_of(503, {"Date": date, "Retry-After": until}, NOW).pause_s == 60
    assert guidance_of(200, {"Date": date, "X-RateLimit-Reset": str(int(theirs) + 60)}, NOW).reset_s == 60
    assert guidance_of(503, {"Date": date, "Retry-After": "60"}, NOW).pause_s == 60


@pytest.mark.parametrize("date", ["", "yesterday", "Fri, 99 Jan 2027 08:00:00 GMT"])
def test_a_date_that_is_none_is_left_out(date):
    """Our own clock has to do then."""
    headers = {"Date": date, "Retry-After": formatdate(NOW + 60, usegmt=True)}
    assert guidance_of(503, headers, NOW).pause_s == 60


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1800000030", 30),
        ("1800000030000", 30),
        ("2027-01-15T08:00:30Z", 30),
        ("2027-01-15T09:00:30+01:00", 30),
        ("2027-01-15T08:00:30", 30),
        ("45", 45),
        ("0", 0),
        ("-1", 0),
        ("1000000000", 0),
        ("nan", None),
        ("1e308", HOUR),
        ("9999-12-31T23:59:59Z", HOUR),
        ("0001-01-01T00:00:00+23:59", 0),
        ("next week", None),
        ("", None),
    ],
)
def test_a_reset_is_read_in_every_form_that_vendors_write(value, seconds):
    assert parse_reset(value, NOW) == seconds


def test_a_refusal_without_retry_after_waits_for_the_reset():
    assert guidance_of(429, {"X-RateLimit-Reset": "1800000012"}, NOW).pause_s == 12
    assert guidance_of(429, {}, NOW) == Guidance(throttled=True)


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "0"},
        {"Retry-After": "-5"},
        {"X-RateLimit-Reset": str(NOW - 60)},
        {"Retry-After": formatdate(NOW - 60, usegmt=True)},
    ],
    ids=lambda headers: "-".join(next(iter(headers.items()))),
)
def test_a_refusal_that_asks_for_no_wait_leaves_the_pause_to_us(headers):
    """A pause of nothing would have every waiting job ask again at once, without end."""
    assert guidance_of(429, headers, NOW).pause_s is None
    assert guidance_of(429, headers, NOW).throttled
    assert guidance_of(429, headers | {"Retry-After": "0", "X-RateLimit-Reset": str(NOW + 60)}, NOW).pause_s == 60


def test_retry_after_wins_over_the_reset():
    headers = {"Retry-After": "5", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1800000300"}
    assert guidance_of(200, headers, NOW).pause_s == 5


def test_a_used_up_quota_pauses_until_its_reset_although_the_request_went_through():
    headers = {"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "2027-01-15T08:00:20Z"}
    assert guidance_of(200, headers, NOW).pause_s == 20


def test_a_scarce_quota_is_spread_over_the_time_that_is_left():
    headers = {"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "20", "X-RateLimit-Reset": "1800000060"}
    found = guidance_of(200, headers, NOW)
    assert (found.pause_s, found.pace_s, found.pace_for_s) == (None, 3, 60)
    plenty = guidance_of(200, headers | {"X-RateLimit-Remaining": "21"}, NOW)
    assert plenty.pace_s is None


def test_near_limit_without_figures_slows_down_for_a_while():
    found = guidance_of(200, {"X-RateLimit-NearLimit": "true", "RateLimit-Reason": "burst\x1b[31m"}, NOW)
    assert (found.pace_s, found.pace_for_s, found.reason) == (1, 10, "burst[31m")


def test_an_answer_without_such_headers_says_nothing():
    assert guidance_of(200, {"Content-Type": "application/json"}, NOW).silent
    assert lesson(Guidance(), 0) is None


@given(
    st.integers(200, 599),
    st.fixed_dictionaries(
        {},
        optional={
            name: st.one_of(st.text(max_size=30), st.floats().map(repr), st.integers().map(str))
            for name in ("Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
        },
    ),
)
def test_whatever_a_server_sends_no_pause_is_negative_or_as_long_as_a_day(status, headers):
    found = guidance_of(status, headers, NOW)
    for seconds in (found.pause_s, found.pace_s, found.reset_s, found.pace_for_s):
        assert seconds is None or (math.isfinite(seconds) and 0 <= seconds < DAY)
    told = lesson(found, 0)
    assert told is None or all(value is not None for value in told.values())


@pytest.mark.parametrize(
    ("failure", "answered", "sign"),
    [
        (None, 1, "up"),
        (Transient("refused", code="no_connection"), 0, "down"),
        (Transient("late", code="timeout", certain=False), 0, "down"),
        (Transient("503", status=503, answered=True), 1, "down"),
        (Transient("reset", code="connection_lost"), 3, "down"),
        (Transient("429", status=429, throttled=True, answered=True), 1, "busy"),
        (Transient("409", status=409, answered=True), 1, "busy"),
        (Transient("late as a whole", code="attempt_timeout", certain=False), 4, "busy"),
        (Transient("late by ourselves", code="attempt_timeout", certain=False), 0, None),
        (DestinationTrouble("401", status=401), 1, "busy"),
        (Throttled("wait", until_ms=1), 2, "busy"),
        (Permanent("400", status=400), 1, "up"),
        (Held("screening"), 0, None),
        (Permanent("no document"), 0, None),
        (DestinationTrouble("no key"), 0, None),
    ],
)
def test_only_the_destinations_own_failures_speak_against_it(failure, answered, sign):
    assert Trail(answered=answered).sign(failure) == sign
    assert is_outage(failure or Held("x")) is (sign == "down")
