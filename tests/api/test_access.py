"""Who may call, and how often."""

from __future__ import annotations

import pytest

from tasks.errors import Refused
from tests.api.conftest import PUBLISH

READS = ("/v1/jobs", "/v1/jobs/x", "/v1/jobs/x/events", "/v1/destinations", "/v1/audit", "/v1/audit/verify")


@pytest.mark.parametrize("path", READS)
async def test_nobody_reads_without_a_key(api, path):
    answer = await api.with_key(None).get(path)
    assert (answer.status, answer.problem) == (401, "no_key")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_a_wrong_key_an_expired_and_a_revoked_one_look_alike(api, services):
    good, text = await services.access.create("good", ["read"], None, "test")
    await services.access.revoke(good.id, "test")
    now_ms = services.core.clock_ms()
    late, late_text = await services.access.create("late", ["read"], now_ms + 3_600_000, "test")
    await services.redis.hset(f"{services.settings.prefix}:apikey:{late.id}", "expires_ms", now_ms - 1)
    altered = text[:-1] + ("A" if text[-1] != "A" else "B")
    answers = [await api.with_key(key).get("/v1/jobs") for key in (text, late_text, altered, "nonsense", "ak_0.x")]
    assert {answer.text for answer in answers} == {answers[0].text}
    assert answers[0].status == 401
    assert answers[0].problem == "bad_key"


async def test_a_revoked_key_is_refused_at_once(api, services):
    reader = await api.with_scopes("read")
    assert (await reader.get("/v1/jobs")).status == 200
    await services.access.revoke(reader.key.partition(".")[0], "test")
    assert (await reader.get("/v1/jobs")).status == 401


async def test_a_refusal_names_the_missing_scope(api):
    reader = await api.with_scopes("read")
    answer = await reader.post("/v1/jobs", PUBLISH)
    assert (answer.status, answer.problem) == (403, "scope_missing")
    assert "submit" in answer.json["detail"]
    assert 'scope="submit"' in answer.headers["WWW-Authenticate"]


async def test_each_scope_opens_what_it_names(api, destinations):
    submitter, reader, operator = [await api.with_scopes(scope) for scope in ("submit", "read", "operate")]
    job = (await submitter.post("/v1/jobs", PUBLISH)).json["job_id"]
    assert (await submitter.get(f"/v1/jobs/{job}")).status == 200
    assert (await submitter.get("/v1/jobs")).status == 403
    assert (await reader.get("/v1/jobs")).status == 200
    assert (await reader.post(f"/v1/jobs/{job}/cancel")).status == 403
    assert (await operator.get("/v1/jobs")).status == 200
    assert (await operator.post(f"/v1/jobs/{job}/cancel")).status == 200
    assert (await operator.call("DELETE", "/v1/destinations/confluence")).status == 403
    assert (await api.call("DELETE", "/v1/destinations/confluence")).status == 204


async def test_only_the_keys_mac_is_stored(api, services):
    secret = api.key.partition(".")[2]
    for name in await services.redis.keys(f"{services.settings.prefix}:*"):
        kind = await services.redis.type(name)
        stored = await (services.redis.hgetall(name) if kind == b"hash" else services.redis.dump(name))
        assert secret not in str(stored)
    entries = await services.audit.tail(50)
    assert [entry.event for entry in entries if "apikey" in entry.data] == ["apikey.created"]


async def test_a_key_moved_to_another_ones_record_opens_nothing(api, services):
    other, _ = await services.access.create("other", ["read"], None, "test")
    prefix, own = services.settings.prefix, api.key.partition(".")[0]
    stored = await services.redis.hgetall(f"{prefix}:apikey:{own}")
    await services.redis.hset(f"{prefix}:apikey:{other.id}", mapping=stored)
    assert await services.access.authenticate(f"{other.id}.{api.key.partition('.')[2]}") is None


async def test_too_many_requests_are_told_when_to_come_back(api, services):
    key = await services.access.authenticate(api.key)
    assert [(await services.access.admit(key, 3)).retry_after_s for _ in range(3)] == [0, 0, 0]
    refused = await services.access.admit(key, 3)
    assert 1 <= refused.retry_after_s <= 20
    other, _ = await services.access.create("other", ["read"], None, "test")
    assert (await services.access.admit(other, 3)).retry_after_s == 0


async def test_a_rate_limited_request_is_429_with_retry_after(services, api, monkeypatch):
    quick = services.settings.model_copy(update={"api_rate_per_minute": 1})
    object.__setattr__(services, "settings", quick)
    answers = [await api.get("/v1/jobs") for _ in range(3)]
    refused = answers[-1]
    assert (refused.status, refused.problem) == (429, "rate_limited")
    assert int(refused.headers["Retry-After"]) >= 1


async def test_requests_that_lack_the_scope_count_against_the_rate(services, api):
    quick = services.settings.model_copy(update={"api_rate_per_minute": 1})
    object.__setattr__(services, "settings", quick)
    submitter = await api.with_scopes("submit")
    answers = [await submitter.get("/v1/audit") for _ in range(3)]
    assert [answer.status for answer in answers] == [403, 429, 429]


async def test_who_guesses_at_a_key_uses_up_nobodys_rate(services, api):
    quick = services.settings.model_copy(update={"api_rate_per_minute": 2})
    object.__setattr__(services, "settings", quick)
    reader = await api.with_scopes("read")
    guess = reader.key[:-1] + ("A" if reader.key[-1] != "A" else "B")
    assert (await reader.get("/v1/jobs")).status == 200
    assert [(await api.with_key(guess).get("/v1/jobs")).status for _ in range(4)] == [401] * 4
    assert (await reader.get("/v1/jobs")).status == 200
    assert (await reader.get("/v1/jobs")).status == 429


async def test_the_last_use_is_noted(api, services):
    await api.get("/v1/jobs")
    key = await services.access.get(api.key.partition(".")[0])
    assert key.last_used_ms >= key.created_ms


@pytest.mark.parametrize(
    ("name", "scopes", "expires_ms"),
    [("", ["read"], None), ("a\nb", ["read"], None), ("n", ["root"], None), ("n", [], None), ("n", ["read"], 1)],
)
async def test_a_bad_key_is_never_made(services, name, scopes, expires_ms):
    with pytest.raises(Refused):
        await services.access.create(name, scopes, expires_ms, "test")
    assert await services.access.list() == []
