"""What the benchmark beside other queues makes of its measurements."""

from bench.peers.figures import Round, medians, percentile, processor_ratios, ratios
from bench.peers.stubbed import without_screening_and_rendering
from tasks import redaction
from tasks.destinations import parse_settings
from tasks.destinations.contract import Work
from tasks.destinations.servicenow.plan import plan_of
from tasks.model import Issue, parse_command
from tasks.screening import Policy


def round_of(jobs_s: float, *, lost: int = 0, doubled: int = 0) -> Round:
    return Round(jobs=100, jobs_s=jobs_s, processor_ms=3.0, valkey_ms=0.5, commands=9.0, lost=lost, doubled=doubled)


def test_a_ratio_is_the_median_of_the_ratios_within_a_round():
    measured = {
        ("full", 50): [round_of(80), round_of(20), round_of(90)],
        ("celery_bare", 50): [round_of(100), round_of(100), round_of(300)],
    }
    assert ratios(measured)["full_vs_celery_bare"] == 0.3


def test_processor_time_is_compared_beside_the_rate():
    measured = {("full", 200): [round_of(80)], ("wire", 200): [round_of(160)]}
    assert processor_ratios(measured) == {"full_processor_vs_wire_200": 1.0}


def test_ratios_with_a_row_that_was_not_measured_are_left_out():
    assert ratios({("full", 50): [round_of(80)], ("arq", 200): [round_of(80)]}) == {}


def test_what_any_round_lost_or_doubled_shows_in_the_row():
    row = medians([round_of(10), round_of(20, lost=1), round_of(30, doubled=2)])
    assert (row.jobs_s, row.lost, row.doubled, row.jobs) == (20, 1, 2, 300)


def test_the_99th_percentile_of_few_values_is_the_largest():
    assert percentile([3.0, 1.0, 2.0], 0.99) == 3.0


def test_an_incident_can_be_planned_without_screening_and_rendering():
    """The stubs take what the real ones are given: otherwise every job of that row fails."""
    issue = Issue(id="i-1", title="**Down**", description="*a*")
    command = parse_command({"command": "create_servicenow_incident", "issue_id": "i-1"})
    settings = parse_settings({"kind": "servicenow", "instance_url": "https://acme.service-now.com"})
    with without_screening_and_rendering():
        fields = plan_of(settings, Work(job_id="j", subject="s", command=command, issue=issue)).fields
        screened = redaction.screen_all({"title": "a password"}, Policy())
    assert screened["title"].text == "a password"
    assert (fields["short_description"], fields["description"]) == ("**Down**", "*a*")
