"""How each destination logs in, from what the operator stored."""

from __future__ import annotations

import base64
import json

import pytest

from tasks.destinations import destination_for, parse_settings
from tasks.destinations.servicenow.verdict import verdict
from tasks.http.verdict import Answer

SITE = "https://wiki.example.com"


def login(**settings) -> str:
    settings = {"kind": "confluence", "base_url": SITE} | settings
    return destination_for(parse_settings(settings)).authorization("fake-token")["Authorization"]


def basic(account: str) -> str:
    return "Basic " + base64.b64encode(f"{account}:fake-token".encode()).decode()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"email": "bot@example.com"}, basic("bot@example.com")),
        ({}, "Bearer fake-token"),
        ({"flavor": "datacenter"}, "Bearer fake-token"),
        ({"flavor": "datacenter", "email": "bot@example.com"}, "Bearer fake-token"),
        ({"flavor": "datacenter", "email": "bot"}, basic("bot")),
        ({"flavor": "datacenter", "email": "bot@example.com", "base_url": f"{SITE}/wiki"}, basic("bot@example.com")),
    ],
    ids=["cloud", "cloud, token alone", "data center", "data center, e-mail", "data center, user", "cloud through v1"],
)
def test_data_center_takes_its_token_as_bearer_and_cloud_takes_basic(settings, expected):
    assert login(**settings) == expected


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        ("ACL Exception Insert Failed due to security constraints", "destination"),
        ("", "destination"),
        (None, "destination"),
        ("Data Policy Exception: The following fields are mandatory: Category", "job"),
        ("Error during update of incident (business rule)", "job"),
    ],
)
def test_a_rule_that_refuses_one_incident_is_the_jobs_and_a_missing_right_may_be_everybodys(detail, expected):
    body = json.dumps({"error": {"message": "Operation Failed", "detail": detail}}) if detail else ""
    body = "{}" if detail is None else body
    assert verdict(Answer(403, {}, body.encode())).whose == expected
