"""Every text of a ticket is screened, tags and mapped fields as well, and leaves redacted where policy says so."""

from __future__ import annotations

import pytest

from tasks.destinations import Work
from tasks.errors import Held
from tasks.model import Issue, parse_command
from tasks.redaction import redacted, verdicts_of
from tasks.screening import Policy

SECRET = "password=hunter" + "2-Xy99"


def work(*, released: bool = False, tags: tuple[str, ...] = (), **fields: object) -> Work:
    command = parse_command(
        {
            "command": "create_azuredevops_workitem",
            "issue_id": "i",
            "project": "P",
            "config": {"fields": {f"Custom.{name}": value for name, value in fields.items()}},
        }
    )
    issue = Issue(id="i", title="Down", description="words", tags=tags)
    return Work(job_id="j", subject="s", command=command, issue=issue, released=released)


def leaving(given: Work) -> Work:
    return redacted(given, verdicts_of(given, Policy()))


@pytest.mark.parametrize("given", [work(tags=(SECRET,)), work(Note=SECRET)], ids=["tag", "field"])
def test_a_secret_in_a_tag_or_a_mapped_field_stops_the_job(given):
    with pytest.raises(Held, match=r"tag 1|field Custom\.Note"):
        leaving(given)


def test_released_it_goes_out_redacted():
    sent = leaving(work(released=True, tags=(SECRET, "rca"), Note=f"see {SECRET}", Count=3))
    assert "hunter" not in sent.model_dump_json()
    assert sent.issue.tags == ("password=[Password]", "rca")
    assert sent.command.config.fields == {"Custom.Note": "see password=[Password]", "Custom.Count": 3}


def test_a_person_in_a_tag_is_redacted_and_one_named_in_a_field_on_purpose_stays():
    sent = leaving(work(tags=("jane@acme-corp.com",), Owner="jane@acme-corp.com"))
    assert sent.issue.tags == ("[Email]",)
    assert sent.command.config.fields == {"Custom.Owner": "jane@acme-corp.com"}
