"""Pure decisions: what comes after an attempt, which addresses are permitted, what a producer may say."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.keys import KeyRing, new_key, parse_keys
from config.settings import ConfigError
from tasks.audited import Doubt, Trail
from tasks.errors import DestinationTrouble, Held, KeyTrouble, Permanent, Refused, Throttled, Transient, Unsettled
from tasks.http.addresses import permitted
from tasks.http.origin import Origin
from tasks.http.quota import parse_retry_after
from tasks.model import Document, Finding, Issue, Job, JobState, parse_command
from tasks.retry import Backoff, settlement_of
from tasks.state.vault import Vault, seal, unseal
from worker.connection_tests import TestRoom

NOW = 1_800_000_000_000


def job(attempts=1, expires_ms=NOW + 10_000_000):
    command = parse_command({"command": "publish_to_confluence", "doc_id": "d", "space_key": "OPS"})
    return Job(
        id="j",
        command=command,
        state="running",
        destination="c",
        kind="confluence",
        subject="s",
        order=1,
        attempts=attempts,
        created_ms=0,
        updated_ms=0,
        expires_ms=expires_ms,
    )


def after(failure, **of_job):
    return settlement_of(failure, job(**of_job), Backoff(), now_ms=NOW, chance=0.5)


def after_test(failure, finding, suspicions=0):
    suspected = job().model_copy(update={"suspicions": suspicions})
    return settlement_of(failure, suspected, Backoff(), now_ms=NOW, chance=0.5, finding=finding)


@pytest.mark.parametrize(
    ("failure", "state", "counted"),
    [
        (Transient("x"), JobState.RETRYING, True),
        (Permanent("x"), JobState.DEAD, True),
        (DestinationTrouble("x"), JobState.QUEUED, False),
        (Unsettled("x", until_ms=NOW + 5), JobState.RETRYING, False),
        (Held("x"), JobState.HELD, True),
    ],
)
def test_each_kind_of_failure_has_its_state(failure, state, counted):
    settled = after(failure)
    assert settled.to is state
    assert settled.counted is counted


@given(st.floats(0, 1e6), st.integers(1, 15))
def test_we_never_come_back_before_retry_after_nor_after_the_job_expired(retry_after, attempts):
    settled = after(Transient("x", retry_after=retry_after), attempts=attempts)
    assert settled.due_ms <= NOW + 10_000_000
    assert settled.due_ms >= min(NOW + int(retry_after * 1000), NOW + 10_000_000)


@given(st.integers(1, 10_000), st.floats(0, 0.999))
def test_backoff_grows_to_its_cap_and_stays_there(attempt, chance):
    assert 1 <= Backoff().delay_s(attempt, chance) <= 900


def test_attempts_and_age_end():
    assert after(Transient("x"), attempts=16).to is JobState.DEAD
    assert after(Transient("x"), expires_ms=NOW - 1).to is JobState.DEAD


def test_a_job_whose_age_is_over_has_expired():
    error = after(Transient("no answer", code="timeout"), expires_ms=NOW - 1).error
    assert error.code == "expired"
    assert "no answer" in error.message


@pytest.mark.parametrize("passing", ["job", "wait", "shut"])
@pytest.mark.parametrize("result", [None, "failed", "moved"])
def test_trouble_that_a_test_confirms_lets_the_job_wait_at_no_cost(passing, result):
    found = Finding(result, "credential: refused") if result else None
    settled = after_test(DestinationTrouble("x", passing=passing), found, suspicions=1)
    assert (settled.to, settled.counted, settled.due_ms) == (JobState.QUEUED, False, NOW)


@pytest.mark.parametrize(
    ("result", "state"),
    [("passed", JobState.DEAD), ("failed", JobState.QUEUED), ("moved", JobState.QUEUED), ("unclear", JobState.QUEUED)],
)
def test_what_isnt_to_be_seen_ends_the_job_unless_the_destination_itself_fails_its_test(result, state):
    settled = after_test(Permanent("There is no space.", code="unknown_space"), Finding(result))
    assert (settled.to, settled.counted) == (state, state is JobState.DEAD)
    assert settled.error.code == "unknown_space"


def test_a_refused_right_that_the_test_doesnt_miss_ends_the_job_the_second_time():
    refused = DestinationTrouble("No right (403).", advice="Give it.", passing="job")
    passed = Finding("passed", "right to create pages: missing")
    first = after_test(refused, passed)
    assert (first.to, first.suspected) == (JobState.RETRYING, True)
    assert NOW + 3_000 < first.due_ms < NOW + 8_000
    second = after_test(refused, passed, suspicions=1)
    assert second.to is JobState.DEAD
    assert second.error.message == "No right (403)."
    assert "right to create pages: missing" in second.error.advice
    assert "afterword job retry" in second.error.advice


@pytest.mark.parametrize("suspicions", [0, 1, 50])
@pytest.mark.parametrize(
    ("passing", "result"), [("wait", "passed"), ("shut", "passed"), ("wait", "unclear"), ("job", "unclear")]
)
def test_nobodys_fault_never_ends_a_job(passing, result, suspicions):
    settled = after_test(DestinationTrouble("x", passing=passing), Finding(result), suspicions=suspicions)
    assert (settled.to, settled.counted, settled.suspected) == (JobState.QUEUED, False, False)
    assert NOW < settled.due_ms <= NOW + 40_000


@pytest.mark.parametrize(
    ("passing", "result", "sign"),
    [
        ("job", "passed", "busy"),
        ("wait", "passed", "down"),
        ("shut", "passed", "shut"),
        ("wait", "unclear", "down"),
        ("wait", "failed", "busy"),
    ],
)
def test_what_a_strangers_answer_shows_of_the_destination(passing, result, sign):
    trail = Trail(answered=1, finding=Finding(result))
    assert trail.sign(DestinationTrouble("x", passing=passing)) == sign


def test_a_throttled_job_waits_in_the_queue_and_no_attempt_is_counted():
    settled = after(Transient("x", throttled=True, retry_after=60), attempts=16)
    assert (settled.to, settled.counted) == (JobState.QUEUED, False)
    assert settled.due_ms >= NOW + 60_000
    assert after(Throttled("x", until_ms=NOW + 7)).due_ms == NOW + 7
    assert after(Transient("x", throttled=True), expires_ms=NOW).to is JobState.DEAD


def test_doubt_stays_unless_the_only_write_certainly_failed():
    assert Doubt(writes=0).after_failure(Transient("x"), NOW, 10) == "keep"
    assert Doubt(writes=1).after_failure(Transient("x", certain=True), NOW, 10) == "clear"
    assert Doubt(writes=1, before_ms=5).after_failure(Transient("x", certain=True), NOW, 10) == 5
    assert Doubt(writes=1, until_ms=NOW + 99).after_failure(Transient("x", certain=False), NOW, 10) == NOW + 99
    assert (
        Doubt(writes=1, until_ms=NOW + 99).after_failure(Transient("x", certain=False, answered=True), NOW, 10)
        == NOW + 10
    )
    assert Doubt(writes=2, until_ms=NOW + 99).after_failure(Permanent("x"), NOW, 10) == NOW + 99


def test_doubt_stays_when_the_write_landed_and_what_came_after_it_failed():
    assert Doubt(writes=1, landed=1, until_ms=NOW + 99).after_failure(Transient("x"), NOW, 10) == NOW + 10
    assert Doubt(writes=2, landed=1, until_ms=NOW + 99).after_failure(Transient("x"), NOW, 10) == NOW + 99


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2", 2),
        ("-1", 0),
        ("nan", None),
        ("1e308", 86400),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86400),
        ("soon", None),
        (None, None),
    ],
)
def test_retry_after_is_clamped(value, seconds):
    assert parse_retry_after(value, NOW / 1000) == seconds


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "::1",
        "10.0.0.1",
        "169.254.169.254",
        "::ffff:127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::",
        "192.0.0.192",
        "224.0.0.1",
        "168.63.129.16",
        "0.0.0.0",
        "fe80::1",
        "fd00::1",
        "100.64.0.1",
        "localhost",
        "①②⑦.⓪.⓪.①",
    ],
)
def test_addresses_that_lead_inside_are_refused(host):
    assert not permitted(host, ())


def test_public_and_allowed_addresses_are_permitted():
    assert permitted("93.184.215.14", ())
    assert permitted("10.1.2.3", ("10.0.0.0/8",))
    assert not permitted("10.1.2.3", ("192.168.0.0/16",))


@pytest.mark.parametrize(
    "url", ["ftp://x.example", "https://u:p@x.example", "https://x.example?a=1", "x.example", "https://"]
)
def test_an_origin_is_a_plain_address(url):
    with pytest.raises(ValueError, match="must"):
        Origin(base_url=url)


@pytest.mark.parametrize("value", ["P1", "p1 - critical", "critical", "1", "CRITICAL", 1])
def test_every_way_of_writing_a_severity_is_understood(value):
    assert Issue(id="i", title="t", severity=value).severity == 1


def test_impact_and_urgency_may_be_texts_as_servicenow_writes_them():
    written = {"command": "create_servicenow_incident", "issue_id": "a", "config": {"impact": "1", "urgency": "3"}}
    counted = written | {"config": {"impact": 1, "urgency": 3}}
    assert parse_command(written) == parse_command(counted)
    with pytest.raises(Refused, match="urgency"):
        parse_command(written | {"config": {"urgency": "4"}})


def test_upstreams_shapes_are_taken_as_they_are():
    issue = Issue.model_validate(
        {
            "id": "i",
            "title": "t",
            "description": None,
            "severity": "high",
            "tags": '["a","b"]',
            "created_at": "2026-01-02 03:04:05",
            "new_field": 1,
        }
    )
    assert issue.tags == ("a", "b")
    assert issue.created_at.isoformat() == "2026-01-02T03:04:05+00:00"
    document = Document.model_validate(
        {"id": "d", "title": "t", "content_md": "x", "created_at": 1767323045000, "issue_id": None}
    )
    assert document.created_at.year == 2026


def test_bad_arguments_are_named_without_their_values():
    with pytest.raises(Refused) as refused:
        parse_command({"command": "publish_to_confluence", "password": "planted"})
    assert "doc_id" in str(refused.value)
    assert "planted" not in str(refused.value)


def test_errors_survive_pickling():
    error = Permanent("m", code="c", advice="a", status=404)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.code, again.status) == ("m a", "c", 404)


@pytest.fixture
def ring() -> KeyRing:
    return parse_keys([new_key()], "test")


def test_a_sealed_record_opens_in_its_own_place_only(ring):
    vault = Vault(ring)
    record = vault.seal("secret", purpose="credential", owner="a", field="secret", revision=1)
    assert vault.open(record, purpose="credential", owner="a", field="secret", revision=1) == "secret"
    for wrong in ({"owner": "b", "revision": 1}, {"owner": "a", "revision": 2}):
        with pytest.raises(KeyTrouble):
            vault.open(record, purpose="credential", field="secret", **wrong)
    with pytest.raises(KeyTrouble):
        vault.open(record[:-3] + "AAA", purpose="credential", owner="a", field="secret", revision=1)
    with pytest.raises(KeyTrouble, match="key ring"):
        Vault(parse_keys([new_key()], "t")).open(record, purpose="credential", owner="a", field="secret", revision=1)


def test_a_sealed_message_credential_opens_again(ring):
    assert unseal(seal({"username": "u", "password": "p"}, ring), Vault(ring)) == {"username": "u", "password": "p"}


@pytest.mark.parametrize("line", ["", "x", "A" * 43 + "=", "c2hvcnQ=", "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoxMjM0NTY="])
def test_weak_or_malformed_keys_are_refused(line):
    with pytest.raises(ConfigError, match="key"):
        parse_keys([line], "test")


def test_a_key_ring_shows_ids_only(ring):
    assert ring.current[1].hex() not in repr(ring)
    assert str(ring.current[1]) not in repr(ring)


def test_connection_tests_have_a_few_threads_of_their_own_and_no_more():
    room = TestRoom(limit=2)
    with room.one(), room.one(), pytest.raises(Refused, match="2 connection tests run"), room.one():
        pytest.fail("there is no third place")
    with room.one():
        pass
