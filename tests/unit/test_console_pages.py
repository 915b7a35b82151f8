"""What the console's pages make of what the ledger tells them: pure, no Redis, no browser."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import pytest
from markupsafe import Markup

from tasks.destinations import parse_settings, wrong_in_mapping
from tasks.markup import jira
from tasks.model import Issue, JobState, parse_command
from tasks.screening import Policy
from tasks.state.audit.entries import UNREADABLE, AuditEntry, entry_of
from tasks.state.clock import rfc3339
from tasks.state.jobs.asked import asked_of, understood
from tasks.state.jobs.overview import Count
from tasks.state.traffic.standing import Standing
from worker.console.audit import Search, _facts
from worker.console.content import Screened
from worker.console.content import _body as body_of
from worker.console.content import _preview as preview_of
from worker.console.credential_forms import FIELDS
from worker.console.destination_forms import KINDS, NETWORK
from worker.console.job import attempts_of
from worker.console.jobs import possible, tabs
from worker.console.publish import slug
from worker.console.rendering import coded, environment, marked, query

ERROR = {"code": "throttled", "message": "Too many requests.", "status": 429, "excerpt": "slow down"}
TIMELINE = [
    {"event": "job.submitted", "at_ms": 1000, "actor": "Omar"},
    {"event": "attempt.started", "at_ms": 2000, "attempt": 1, "worker": "w1"},
    {"event": "lookup.ok", "at_ms": 2100, "operation": "GET /spaces", "status": 200, "duration_ms": 7},
    {"event": "delivery.failed", "at_ms": 2200, "status": 429},
    {"event": "job.retrying", "at_ms": 2300, "error": json.dumps(ERROR), "due_ms": 9000},
    {"event": "attempt.started", "at_ms": 9000, "attempt": 2, "worker": "w2"},
    {"event": "delivery.ok", "at_ms": 9100, "status": 200, "operation": "POST /pages", "duration_ms": 1200},
    {"event": "job.delivered", "at_ms": 9200},
    {"event": "content.viewed", "at_ms": 9900, "actor": "Omar"},
]


def test_a_timeline_tells_its_attempts_the_newest_first():
    second, first = attempts_of(TIMELINE)
    assert (first.number, first.end, first.next_ms, first.status) == (1, "retrying", 9000, 429)
    assert (first.message, first.excerpt, first.ended_ms) == ("Too many requests.", "slow down", 2300)
    assert [(call.what, call.outcome, call.status) for call in first.calls] == [
        ("GET /spaces", "ok", 200),
        ("Write", "failed", 429),
    ]
    assert (second.end, second.worker, second.calls[0].duration_ms) == ("delivered", "w2", 1200)


def test_an_attempt_that_has_not_ended_is_running():
    (only,) = attempts_of(TIMELINE[:3])
    assert (only.end, only.ended_ms) == ("running", None)


def test_a_lost_worker_ends_an_attempt():
    lost = {
        "event": "delivery.unknown",
        "at_ms": 5000,
        "error": json.dumps({"code": "worker_lost", "message": "Gone."}),
    }
    (only,) = attempts_of([*TIMELINE[:2], lost])
    assert (only.end, only.code) == ("worker lost", "worker_lost")


def test_counts_are_summed_over_the_destinations_that_are_looked_at():
    statistics = [
        Count(destination="a", state=JobState.DEAD, count=2, oldest_ms=50),
        Count(destination="b", state=JobState.DEAD, count=3, oldest_ms=20),
    ]
    dead = {None: (5, 20), "a": (2, 50), "c": (0, None)}
    for destination, wanted in dead.items():
        (tab,) = [tab for tab in tabs(statistics, destination) if tab.state == "dead"]
        assert (tab.count, tab.oldest_ms) == wanted


def test_a_filter_takes_known_states_only_and_a_verb_only_what_it_applies_to():
    assert understood(asked_of({"state": "dead", "destination": "x"})).chosen.state is JobState.DEAD
    assert understood(asked_of({"state": "<script>"})).chosen.state is None
    assert possible("retry", JobState.DEAD)
    assert possible("cancel", JobState.DEAD)
    assert not possible("retry", JobState.DELIVERED)
    assert not possible("cancel", None)


def test_a_search_without_a_word_is_named():
    """Marks and single letters are in no index."""
    for text in ("%", "a", "- _ -", "…"):
        (trouble,) = understood(asked_of({"q": text})).troubles
        assert trouble.startswith(f"{text!r} has no word to search for")
    for text in ("7", "ab", "INC0010002", "%20 a", "検索"):
        assert understood(asked_of({"q": text})).troubles == ()


def test_a_day_of_the_filter_counts_from_midnight_to_midnight_and_anything_else_is_left_out():
    """The last day counts as a whole; what a person may type into an address breaks nothing."""
    chosen = understood(asked_of({"since": "2026-11-28", "until": "2026-11-28"})).chosen
    assert chosen.since_ms is not None
    assert chosen.until_ms == chosen.since_ms + 86_400_000
    in_tokyo = understood(asked_of({"since": "2026-11-28+09:00"})).chosen
    assert in_tokyo.since_ms == chosen.since_ms - 9 * 3_600_000
    for odd in ("yesterday", "2026-02-30", "9999-12-31T", "-1", "2026-11", "2026-11-28+99:00", "2026-11-28Z"):
        chosen, troubles = understood(asked_of({"since": odd}))
        assert chosen.since_ms is None
        assert troubles == (f"{odd!r} is not a day; write it as 2026-11-28.",)


def test_a_search_finds_by_group_job_actor_and_destination():
    entry = AuditEntry(
        id="1-0",
        chain="c",
        seq=1,
        at_ms=1,
        event="job.dead",
        data={"job": "abc-1", "actor": "Omar", "destination": "a"},
    )
    for fitting in ({"event": "job"}, {"event": "job.dead"}, {"job": "ABC"}, {"actor": "om"}, {"destination": "a"}):
        assert Search(**fitting).fits(entry), fitting
    for other in ({"event": "jo"}, {"event": "job.delivered"}, {"job": "x"}, {"actor": "Ada"}, {"destination": "A"}):
        assert not Search(**other).fits(entry), other


def test_a_title_becomes_an_id():
    assert slug("Post-Mortem: Ärger in Zürich!") == "post-mortem-arger-in-zurich"
    assert slug("障害報告") == slug("障害報告") != slug("障害分析")
    assert re.fullmatch("title-[0-9a-f]{16}", slug("障害報告"))


def test_marked_words_are_escaped_like_all_others():
    html = marked(
        "<a> secret <b>", [(4, 10, "X")], lambda words, label: Markup("<mark>{}{}</mark>").format(label, words)
    )
    assert html == "&lt;a&gt; <mark>Xsecret</mark> &lt;b&gt;"


def test_labels_of_forms_are_in_sentence_case():
    """One style for all of them; what is written in capitals is an abbreviation."""
    labels = [field.label for kind in KINDS.values() for field in kind.fields] + [
        kind.secret for kind in KINDS.values()
    ]
    labels += [field.label for field in NETWORK] + [field.label for way in FIELDS.values() for field in way]
    assert len(labels) > 20
    assert [label for label in labels if any(word.istitle() for word in label.split()[1:])] == []


def test_an_address_holds_what_has_a_value():
    assert query("/jobs", state="dead", destination=None, cursor="") == "/jobs?state=dead"
    assert query("/jobs", destination="a&b") == "/jobs?destination=a%26b"


def test_a_template_that_misses_a_name_fails_rather_than_showing_nothing():
    template = environment().from_string("{{ missing }}")
    try:
        template.render()
    except Exception as error:
        assert type(error).__name__ == "UndefinedError"
    else:
        raise AssertionError("nothing was shown in its place")


def test_a_scanner_that_fails_stops_the_job():
    assert Screened(action="hold", trouble="The scanner failed.").stops
    assert not Screened(action="redact").stops


def test_code_between_backticks_is_shown_as_code_and_markup_as_words():
    """What a description says is never markup."""
    assert coded("`a<b>` and `<script>` ` alone") == "<code>a&lt;b&gt;</code> and <code>&lt;script&gt;</code> ` alone"


DESTINATIONS = {
    "jira": {"kind": "jira", "base_url": "https://x.atlassian.net", "email": "b@x.co", "project": "OPS"},
    "azure_devops": {"kind": "azure_devops", "org_url": "https://dev.azure.com/x", "project": "P"},
}


@pytest.mark.parametrize(
    ("destination", "more"), [("jira", {}), ("azure_devops", {}), ("azure_devops", {"body_format": "markdown"})]
)
def test_a_preview_of_a_ticket_is_laid_out_as_its_destination_does(destination, more):
    settings = parse_settings(DESTINATIONS[destination] | more)
    issue = Issue(
        id="i", title="T", description="## H\n\n- *a*\n- ![alt words](https://e.com/i.png)\n\n```\n  x\n```\n"
    )
    work = {"azure_devops": {"project": "P"}, "jira": {"project": "OPS"}}[destination]
    command = {"jira": "create_jira_issue", "azure_devops": "create_azuredevops_workitem"}[destination]
    shown = preview_of(settings, parse_command({"command": command, "issue_id": "i"} | work), issue, Policy()).body
    for part in (
        r"<h2\b[^>]*>H</h2>",
        r"<li>\s*(?:<p>)?<em>a</em>",
        '<a href="https://e.com/i.png"[^>]*>alt words</a>',
        "<code>  x",
    ):
        assert re.search(part, shown), (part, shown)


def test_a_preview_of_a_ticket_whose_words_hold_a_secret_is_its_words_alone():
    """What screening takes out of the words stands in the layout still."""
    settings = parse_settings(DESTINATIONS["jira"])
    plan = SimpleNamespace(fields={"description": jira.render("# A\n\nsecret")})
    assert body_of(settings, plan, "description", "A\nsecret", as_planned=True).count("<h1>") == 1
    assert body_of(settings, plan, "description", "A\n[ApiKey]", as_planned=False) == "<pre>A\n[ApiKey]</pre>"


def test_the_example_of_a_mapping_is_one_that_its_kind_takes():
    found = {kind.name: field.example for kind in KINDS.values() for field in kind.fields if field.name == "mapping"}
    assert set(found) == {"servicenow", "azure_devops", "jira"}
    assert {kind: wrong_in_mapping(kind, example) for kind, example in found.items()} == dict.fromkeys(found, "")


def test_an_audit_entrys_moments_are_moments_and_its_lengths_lengths():
    entry = AuditEntry(
        id="1-1",
        at_ms=1,
        event="e",
        chain="c",
        seq=1,
        data={"signed_ms": 1796018884099, "duration_ms": 84, "scopes": ["read"]},
    )
    assert _facts(entry) == [("signed", "", 1796018884099), ("duration", "84 ms", None), ("scopes", "read", None)]


def test_an_audit_entry_that_nobody_of_us_wrote_ends_no_page():
    """Its numbers may be any, also such that no date has."""
    data = '{"due_ms": 1e300, "end_ms": Infinity, "since_ms": 253402300800000}'
    facts = _facts(entry_of("1-1", {"at": "1", "data": data}))
    assert facts == [("due_ms", "1e+300", None), ("end_ms", "inf", None), ("since_ms", "253402300800000", None)]
    for identifier, at in (("1-1", "1" * 30), ("1-1", "-" + "1" * 30), (f"{2**64 - 1}-1", "x")):
        entry = entry_of(identifier, {"at": at})
        assert entry.event == UNREADABLE
        assert rfc3339(entry.at_ms)


def test_how_a_destination_stands_is_told_with_how_long():
    """Not "since 7 s ago", nor "until in 3 min"."""
    page = environment().from_string("{{ stands(standing, now_ms) }}")
    for name, at_ms, said in (("healthy", 3_000, "Healthy for 7 s"), ("throttled", 250_000, "Throttled for 4 min")):
        text = page.render(standing=Standing(name=name, at_ms=at_ms), now_ms=10_000)
        assert " ".join(Markup(text).striptags().split()) == said
