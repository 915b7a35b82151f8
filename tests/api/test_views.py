"""Saved views over the API: each key its own, shared ones for everybody."""

from __future__ import annotations

import pytest

DEAD = {"name": "Dead pools", "filter": {"state": "dead", "q": "pool"}}


async def test_a_view_is_saved_read_changed_and_deleted(api):
    """The answer says where it is."""
    saved = await api.post("/v1/views", DEAD)
    assert saved.status == 201
    place = saved.headers["Location"]
    assert (await api.get(place)).json == saved.json
    assert saved.json["filter"]["state"] == "dead"
    assert (await api.put(place, DEAD | {"filter": saved.json["filter"]})).status == 200
    changed = await api.put(place, DEAD | {"name": "Pools", "shared": True})
    assert (changed.json["name"], changed.json["shared"], changed.json["mine"]) == ("Pools", True, True)
    listed = (await api.get("/v1/views")).json["views"]
    assert [view["name"] for view in listed] == ["Pools"]
    assert (await api.call("DELETE", place)).status == 204
    assert (await api.get(place)).problem == "unknown_view"


async def test_a_key_that_only_reads_keeps_views_of_its_own_and_shares_none(api):
    """Others' stay hidden until they are shared."""
    viewer = await api.with_scopes("read")
    hidden = (await api.post("/v1/views", DEAD)).headers["Location"]
    assert (await viewer.get(hidden)).status == 404
    assert (await viewer.post("/v1/views", DEAD)).status == 201
    refused = await viewer.post("/v1/views", DEAD | {"name": "For all", "shared": True})
    assert (refused.status, refused.problem) == (403, "not_shared")
    await api.put(hidden, DEAD | {"shared": True})
    assert (await viewer.get(hidden)).json["mine"] is False
    assert (await viewer.call("DELETE", hidden)).problem == "not_yours"


async def test_a_key_without_the_right_to_read_sees_no_views(api):
    """A producer's key submits and follows its jobs."""
    producer = await api.with_scopes("submit")
    assert (await producer.get("/v1/views")).status == 403


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"filter": {"state": "asleep"}}, 422),
        ({"filter": {"kind": "sharepoint"}}, 422),
        ({"filter": {"since": "soon"}}, 422),
        ({"filter": {"until": "2026-02-30"}}, 422),
        ({"filter": {"state": "delivered", "cause": "secrets"}}, 409),
        ({"filter": {}}, 409),
        ({"filter": {"limit": 3}}, 422),
        ({"filter": {"q": "x" * 201}}, 422),
        ({"name": " x"}, 422),
        ({"shared": "yes"}, 422),
    ],
)
async def test_what_is_not_a_view_is_refused(api, change, status):
    """With the field or the reason named."""
    answer = await api.post("/v1/views", DEAD | change)
    assert answer.status == status
    assert answer.json["detail"]
    assert (await api.get("/v1/views")).json["views"] == []
