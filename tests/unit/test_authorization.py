"""How each destination logs in, from what the operator stored."""

from __future__ import annotations

import base64
import json

import pytest

from tasks.destinations import destination_for, parse_settings
from tasks.destinations.servicenow.answers import refused
from tasks.errors import DestinationTrouble, Permanent
from tasks.http.exchange import Response
from tasks.http.refusals import error_of

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


def test_a_body_that_is_too_large_is_called_so():
    error = error_of(413, "", None, wrote=True)
    assert (type(error), error.code) == (Permanent, "too_large")
    assert "too large" in str(error)


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        ("ACL Exception Insert Failed due to security constraints", DestinationTrouble),
        ("", DestinationTrouble),
        (None, DestinationTrouble),
        ("Data Policy Exception: The following fields are mandatory: Category", Permanent),
        ("Error during update of incident (business rule)", Permanent),
    ],
)
def test_a_rule_that_refuses_one_incident_suspends_nobody_and_a_missing_right_does(detail, expected):
    body = json.dumps({"error": {"message": "Operation Failed", "detail": detail}}) if detail else ""
    body = "{}" if detail is None else body
    assert type(refused(Response(status=403, headers={}, body=body.encode()))) is expected
