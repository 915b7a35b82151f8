"""Receivers of notifications over the API: for admins only, and a secret never comes out."""

from __future__ import annotations

import pytest

SECRET = "whsec_" + "B" * 43 + "="
OPS = {"kind": "webhook", "url": "https://hooks.example/planted-66", "secret": SECRET, "topics": ["dead"]}


async def test_a_receiver_is_stored_read_and_removed_without_its_secrets(api):
    """What comes back has the host only."""
    stored = await api.call("PUT", "/v1/receivers/ops", OPS)
    assert (stored.status, stored.json["host"], stored.json["topics"]) == (200, "hooks.example", ["dead"])
    listed = await api.call("GET", "/v1/receivers")
    assert [one["name"] for one in listed.json["receivers"]] == ["ops"]
    for answer in (stored, listed, await api.call("GET", "/v1/receivers/ops")):
        assert SECRET not in answer.text
        assert "planted-66" not in answer.text
    assert (await api.call("DELETE", "/v1/receivers/ops")).status == 204
    assert (await api.call("GET", "/v1/receivers/ops")).problem == "unknown_receiver"


@pytest.mark.parametrize(
    "change", [{"allow_http": 1}, {"topics": []}, {"secret": "whsec_x"}, {"kind": "pager"}, {"more": 1}]
)
async def test_a_receiver_that_would_be_unsafe_is_refused(api, change):
    """Nothing of it is repeated."""
    answer = await api.call("PUT", "/v1/receivers/ops", OPS | change)
    assert (answer.status, answer.problem) == (422, "invalid")
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    "change",
    [{"url": "http://hooks.example/x"}, {"url": "https://u:p@hooks.example/x"}, {"allow_private": ["nowhere"]}],
)
async def test_fields_that_do_not_fit_each_other_are_refused(api, change):
    """The address is not repeated."""
    answer = await api.call("PUT", "/v1/receivers/ops", OPS | change)
    assert (answer.status, answer.problem) == (409, "bad_receiver")
    assert "hooks.example" not in answer.text


async def test_a_test_message_says_what_went_wrong(api):
    """Loopback was not allowed."""
    await api.call("PUT", "/v1/receivers/ops", OPS | {"url": "https://127.0.0.1:9/x"})
    answer = await api.call("POST", "/v1/receivers/ops/test")
    assert (answer.status, answer.json["success"]) == (200, False)
    assert "not permitted" in answer.json["message"]


async def test_nobody_else_sees_who_is_told(api):
    """A producer's key is not enough."""
    producer = await api.with_scopes("submit", "read", "operate")
    assert (await producer.call("GET", "/v1/receivers")).status == 403
