"""What an operator's mapping says of an issue, what is refused when it is set, and addresses that were pasted."""

from __future__ import annotations

import pytest

from tasks.destinations import parse_settings
from tasks.destinations.azure_devops.plan import plan_of as item_plan
from tasks.destinations.contract import Work
from tasks.destinations.jira.plan import plan_of as issue_plan
from tasks.destinations.servicenow.plan import plan_of as incident_plan
from tasks.destinations.servicenow.plan import texts_of
from tasks.destinations.tickets.status import move, stage_of
from tasks.errors import Refused
from tasks.model import Issue, parse_command

SNOW = {"kind": "servicenow", "instance_url": "https://acme.service-now.com"}
AZURE = {"kind": "azure_devops", "org_url": "https://dev.azure.com/acme"}
MAPPING = """
assignment_group = "Service Desk"
caller = "{issue.source}.bot"

[fields]
u_text = "{issue.id} {{literally}} {issue.severity} {issue.created_at}"

[[rule]]
when = { severity = ["P1", "P2"], tag = "data*" }
assignment_group = "Database on call"
fields = { u_major = true }

[[rule]]
when = { category = "Network" }
category = ""
"""
ISSUE = Issue.model_validate(
    {
        "id": "i-1",
        "title": "T",
        "severity": "P1",
        "tags": ["Database"],
        "source": "splunk",
        "created_at": 0,
        "category": "x",
    }
)


def incident(mapping, issue=ISSUE, **config):
    settings = parse_settings(SNOW | {"mapping": mapping})
    command = parse_command({"command": "create_servicenow_incident", "issue_id": issue.id, "config": config})
    return incident_plan(settings, Work(job_id="j", subject="s", command=command, issue=issue)).fields


def item(mapping, issue=ISSUE, **settings):
    command = parse_command({"command": "create_azuredevops_workitem", "issue_id": issue.id, "project": "P"})
    return item_plan(
        parse_settings(AZURE | {"mapping": mapping} | settings),
        Work(job_id="j", subject="s", command=command, issue=issue),
    )


def test_defaults_rules_and_placeholders_become_fields():
    """A later rule goes over an earlier part; a job's own word goes over all."""
    fields = incident(MAPPING)
    assert fields["assignment_group"] == "Database on call"
    assert fields["caller_id"] == "splunk.bot"
    assert fields["u_text"] == "i-1 {literally} P1 1970-01-01 00:00:00"
    assert fields["u_major"] == "true"
    assert incident(MAPPING, assignment_group="Mine")["assignment_group"] == "Mine"
    other = ISSUE.model_copy(update={"severity": 4, "category": "network"})
    assert incident(MAPPING, other)["assignment_group"] == "Service Desk"
    assert "category" not in incident(MAPPING, other), "an empty value says that nothing is set"


@pytest.mark.parametrize(
    "mapping", ['severity = ""', 'impact = ""\nurgency = ""', '[fields]\nimpact = ""\nurgency = ""']
)
def test_an_incident_without_a_severity_of_its_own_where_the_mapping_says_so(mapping):
    assert not {"impact", "urgency"} & incident(mapping).keys()
    assert incident(mapping, severity="P2")["impact"] == "1", "the job has the last word"
    assert incident(mapping, impact=3)["impact"] == "3"


@pytest.mark.parametrize("mapping", ['impact = ""', '[fields]\nimpact = ""'])
def test_one_level_that_is_switched_off_leaves_the_other(mapping):
    """The instance decides about the first, so that nobody knows what priority comes of both."""
    settings = parse_settings(SNOW | {"mapping": mapping})
    command = parse_command({"command": "create_servicenow_incident", "issue_id": "i-1"})
    plan = incident_plan(settings, Work(job_id="j", subject="s", command=command, issue=ISSUE))
    assert ("impact" in plan.fields, "urgency" in plan.fields, plan.expected_priority) == (False, True, None)


@pytest.mark.parametrize(
    ("opened", "once"), [(None, {"opened_at": "1970-01-01 00:00:00"}), ("", {}), ("2026-01-01 00:00:00", {})]
)
def test_the_time_of_an_issue_reaches_a_new_incident_unless_the_mapping_has_another(opened, once):
    settings = parse_settings(SNOW | {"mapping": "" if opened is None else f'[fields]\nopened_at = "{opened}"'})
    command = parse_command({"command": "create_servicenow_incident", "issue_id": "i-1"})
    plan = incident_plan(settings, Work(job_id="j", subject="s", command=command, issue=ISSUE))
    assert (plan.once, plan.fields.get("opened_at") or None) == (once, opened or None)


@pytest.mark.parametrize(
    ("mapping", "left"),
    [
        ("", {"Microsoft.VSTS.Common.Priority", "Microsoft.VSTS.Common.Severity"}),
        ('severity = ""', set()),
        ('[fields]\n"Microsoft.VSTS.Common.Severity" = ""', {"Microsoft.VSTS.Common.Priority"}),
    ],
)
def test_a_work_item_without_a_severity_of_its_own_where_the_mapping_says_so(mapping, left):
    assert {name for name in item(mapping).fields if ".Common." in name} == left


@pytest.mark.parametrize(("mapping", "there"), [("", True), ('severity = ""', False), ('priority = ""', False)])
def test_an_issue_of_jira_without_a_priority_of_its_own_where_the_mapping_says_so(mapping, there):
    settings = parse_settings({"kind": "jira", "base_url": "https://acme.atlassian.net", "mapping": mapping})
    command = parse_command({"command": "create_jira_issue", "issue_id": "i-1", "project": "OPS"})
    plan = issue_plan(settings, Work(job_id="j", subject="s", command=command, issue=ISSUE))
    assert ("priority" in plan.fields) is there


def test_what_is_filled_in_is_not_filled_in_again():
    """An issue's words are no template."""
    tricky = ISSUE.model_copy(update={"source": "{issue.title} {{x"})
    assert incident('caller = "{issue.source}"', tricky)["caller_id"] == "{issue.title} {{x"


def test_a_work_item_is_routed_by_area_and_type_and_its_markup_is_safe():
    """What is filled in between tags is no markup."""
    issue = ISSUE.model_copy(update={"source": "<b>x"})
    plan = item(
        'type = "Task"\narea = "P\\\\{issue.category}"\ntags = ["a", "b"]\n[fields]\n"Custom.Notes" = "<p>{issue.source}</p>"',
        issue,
    )
    assert (plan.type, plan.fields["System.AreaPath"], plan.fields["Custom.Notes"]) == (
        "Task",
        "P\\x",
        "<p>&lt;b&gt;x</p>",
    )
    assert {"a", "b", "Database", "x"} <= set(plan.tags)


@pytest.mark.parametrize(
    ("mapping", "line", "words"),
    [
        ('assignment_group = "a"\nnope = "b"', 2, "'nope' is not known here"),
        ('\n\ncaller = "{issue.nope}"', 3, "issue.nope"),
        ('caller = "{issue.title.__class__}"', 1, "nothing to fill in"),
        ('caller = "a { b"', 1, "lone brace"),
        ('[fields]\nsys_id = "x"', 2, "can't be set"),
        ('caller = "x"\n[[rule]]\nwhen = { nope = "x" }', 3, "is no condition"),
        ('[[rule]]\ncaller = "x"\n[[rule]]\nnope = "x"', 4, "not known here"),
        ("caller = ", 1, "not TOML"),
        ("caller = []\n[x]\n", 2, "not known"),
        *(
            (f'caller = "x"\n[[rule]]\nwhen = {{ severity = {wrong} }}', 3, "is no severity; write P1 to P5")
            for wrong in ('"P9"', '"urgent"', '">=P2"', '"P1-P3"', '"P1, P2"', '["P1", "P6"]', "0", '"P?"', '"x*"')
        ),
        ('caller = "x"\nseverity = "urgent"', 2, "'urgent' is no severity"),
        ("severity = 9", 1, "'9' is no severity"),
        ('caller = "x"\n[fields]\nu_a = nan', 3, "'u_a' must be a text or a number"),
        ("[fields]\nu_a = -inf", 2, "'u_a' must be a text or a number"),
        ('[[rule]]\nwhen = { status = "{issue.status}" }', 2, "nothing is filled in in the condition status"),
        ('[[rule]]\nwhen = { tag = ["a", "{ issue.tags }"] }', 2, "nothing is filled in in the condition tag"),
        *(
            (f"[[rule]]\nwhen = {{ tag = {wrong} }}", 2, "the condition tag takes a text or a list of texts")
            for wrong in ("[]", "[true]", '["a", ["b"]]', "{ a = 1 }", "1.5", "2026-01-01", "false")
        ),
    ],
)
def test_a_mapping_that_can_not_be_read_is_refused_with_its_line(mapping, line, words):
    with pytest.raises(Refused) as refused:
        incident(mapping)
    assert words in str(refused.value)
    assert f"line {line}" in str(refused.value)


@pytest.mark.parametrize("number", ["9" * 5000, "-" + "9" * 5000, "0x" + "f" * 5000])
def test_a_number_of_thousands_of_digits_is_told_in_our_words(number):
    for mapping in (f"[fields]\nu_a = {number}", f"[[rule]]\nwhen = {{ tag = {number} }}"):
        with pytest.raises(Refused, match="the mapping holds a number of thousands of digits"):
            incident(mapping)


def test_a_mark_that_an_editor_puts_before_the_text_is_none_of_it():
    assert incident('\ufeffassignment_group = "Yes"')["assignment_group"] == "Yes"


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ('severity = "critical"', True),
        ("severity = 1", True),
        ('severity = ["sev2", "P1 - Critical"]', True),
        ('severity = "P*"', True),
        ('severity = ["major", 3]', False),
        ('severity = ""', False),
        ('tag = "[prod]*"', True),
        ('tag = "*[PROD]"', False),
        ('tag = "[p]"', False),
        ('tag = "p?"', False),
        ('tag = ""', False),
        ('source = "spl*nk", category = "X"', True),
        ('source = "spl*nk", service = "y"', False),
        ('status = ["open", "*"]', True),
    ],
)
def test_a_condition_holds_for_each_word_that_means_the_same(condition, holds):
    """A severity in any of its words; `*` alone stands for others, all else in a tag for itself."""
    issue = ISSUE.model_copy(update={"tags": ("[prod] payments", "p")})
    fields = incident(f'[[rule]]\nwhen = {{ {condition} }}\nassignment_group = "Yes"', issue)
    assert ("assignment_group" in fields) is holds


def test_a_mapping_that_was_stored_before_such_conditions_were_refused_stops_nothing():
    """What can never hold never did; the destination's jobs go on, and who sets it again hears of it."""
    given = SNOW | {"mapping": '[[rule]]\nwhen = { severity = "urgent" }\ncaller = "x"'}
    settings = parse_settings(given, stored=True)
    assert settings.rules.chosen(ISSUE).values == {}
    with pytest.raises(Refused, match="is no severity"):
        parse_settings(given)


@pytest.mark.parametrize(
    ("field", "kind", "pasted", "taken"),
    [
        ("base_url", "confluence", "https://acme.atlassian.net/wiki/spaces/OPS/overview", "https://acme.atlassian.net"),
        ("base_url", "confluence", "https://acme.atlassian.net/wiki", "https://acme.atlassian.net"),
        (
            "base_url",
            "confluence",
            "https://wiki.acme.example/confluence/display/OPS/Home",
            "https://wiki.acme.example/confluence",
        ),
        ("base_url", "confluence", "https://wiki.acme.example/x", "https://wiki.acme.example/x"),
        ("org_url", "azure_devops", "https://dev.azure.com/acme/Operations", "https://dev.azure.com/acme"),
        (
            "org_url",
            "azure_devops",
            "https://dev.azure.com/acme/Operations/_workitems/edit/7",
            "https://dev.azure.com/acme",
        ),
        ("org_url", "azure_devops", "https://acme.visualstudio.com/Operations", "https://acme.visualstudio.com"),
        ("org_url", "azure_devops", "https://tfs.acme.example/tfs/Main", "https://tfs.acme.example/tfs/Main"),
        ("instance_url", "servicenow", "https://acme.service-now.com/now/nav/ui/home", "https://acme.service-now.com"),
        ("instance_url", "servicenow", "https://acme.service-now.com/nav_to.do", "https://acme.service-now.com"),
        ("base_url", "confluence", "https://acme.atlassian.net/jira/your-work", "https://acme.atlassian.net"),
        ("base_url", "confluence", "https://wiki.acme.example/rest/api/content", "https://wiki.acme.example"),
        ("instance_url", "servicenow", "https://acme.service-now.com/esc/kb", "https://acme.service-now.com"),
        ("base_url", "jira", "https://acme.atlassian.net/browse/OPS-1", "https://acme.atlassian.net"),
        (
            "base_url",
            "jira",
            "https://ACME.atlassian.net/jira/software/c/projects/OPS/boards/1",
            "https://ACME.atlassian.net",
        ),
        ("base_url", "jira", "https://acme.atlassian.net/wiki/spaces/OPS", "https://acme.atlassian.net"),
        ("base_url", "jira", "https://jira.acme.example/jira/browse/OPS-1", "https://jira.acme.example/jira"),
        ("base_url", "jira", "https://jira.acme.example/secure/Dashboard.jspa", "https://jira.acme.example"),
        ("base_url", "jira", "https://jira.acme.example/jira", "https://jira.acme.example/jira"),
        ("base_url", "jira", "https://api.atlassian.com/ex/jira/abc-1", "https://api.atlassian.com/ex/jira/abc-1"),
        ("instance_url", "servicenow", "https://gate.acme.example/snow", "https://gate.acme.example/snow"),
    ],
)
def test_a_pasted_address_is_taken_apart(field, kind, pasted, taken):
    """Row 11."""
    assert parse_settings({"kind": kind, field: pasted}).address == taken


def test_an_address_without_an_organisation_is_refused():
    """Row 11."""
    with pytest.raises(Refused, match="organisation"):
        parse_settings({"kind": "azure_devops", "org_url": "https://dev.azure.com"})


@pytest.mark.parametrize("version", ["7.1", "7.2-preview", "7.2-preview.3"])
def test_a_preview_of_the_api_is_a_version(version):
    """Row 12."""
    assert parse_settings(AZURE | {"api_version": version}).api_version == version


@pytest.mark.parametrize(
    ("said", "level"), [("P5", 5), ("info", 5), ("Informational", 5), ("5 - Planning", 5), ("Major", 2)]
)
def test_every_word_for_a_severity_is_one(said, level):
    """Row 12."""
    issue = Issue.model_validate({"id": "i", "title": "t", "severity": said})
    assert issue.severity == level
    assert incident("", issue)["impact"] in "123"
    assert item("", issue).fields["Microsoft.VSTS.Common.Priority"] == min(level, 4)


@pytest.mark.parametrize(
    ("before", "wanted", "present", "to"),
    [
        ("open", "resolved", "open", "resolved"),
        ("open", "working", "resolved", None),  # people were quicker
        ("resolved", "resolved", "working", None),  # people opened it again
        ("resolved", "working", "resolved", "working"),
        ("resolved", "open", "working", None),
        ("working", "open", "working", None),
        ("open", "resolved", None, None),  # a state of the process' own
        (None, "closed", "open", "closed"),
    ],
)
def test_a_ticket_follows_a_change_of_its_issue_and_nothing_else(before, wanted, present, to):
    assert move(before, wanted, present) == to


@pytest.mark.parametrize(
    ("status", "follow", "stage"),
    [
        ("In_Progress", "resolve", "working"),
        ("CLOSED", "resolve", "resolved"),
        ("closed", "close", "closed"),
        ("resolved", "off", None),
        ("parked", "close", None),
    ],
)
def test_a_status_in_any_words_is_a_stage_or_none(status, follow, stage):
    assert stage_of(status, follow) == stage


@pytest.mark.parametrize(("status", "closing"), [("open", False), ("investigating", False), ("resolved", True)])
def test_what_an_incident_would_get_says_of_its_end_only_where_the_issue_has_ended(status, closing):
    """A preview shows these texts, and a screening looks at no other."""
    command = parse_command({"command": "create_servicenow_incident", "issue_id": ISSUE.id})
    issue = ISSUE.model_copy(update={"status": status})
    texts = texts_of(incident_plan(parse_settings(SNOW), Work(job_id="j", subject="s", command=command, issue=issue)))
    assert ("close_notes" in texts, texts.get("state") == "6") == (closing, closing)
