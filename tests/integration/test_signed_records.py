"""Whoever can write to Redis and has no key can stop the work, and can't redirect a secret or gain a right.

Each test here is a sentence of docs/threat-model.md.
"""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.keys import add_key, drop_keys
from config.settings import Settings
from tasks import lifecycle
from tasks.errors import KeyTrouble, Refused
from tasks.model import JobState, parse_command
from tasks.state.access.rights import Scope
from tasks.state.canary import FORMER
from tasks.state.newest import NewestOnDisk
from tests.integration.test_lifecycle import INCIDENT
from tests.listening import listening
from worker.console.sessions import IDLE_MS, Sessions
from worker.machine.stack import FAKE_SECRET
from worker.runtime import open_services

NOW_MS = 1_700_000_000_000


def key(services, *parts: str) -> str:
    return ":".join((services.settings.prefix, *parts))


@pytest.fixture
async def thief():
    """A host that notes every request that reaches it."""
    heard: list[str] = []

    async def note(request: web.Request) -> web.Response:
        heard.append(f"{request.headers.get('Authorization')} {await request.text()}")
        return web.json_response({"result": []})

    async with listening(note) as url:
        yield url, heard


async def audited(services, event: str) -> list[dict]:
    return [entry.data for entry in await services.audit.tail(500) if entry.event == event]


async def rewritten(services, name: str, **changes) -> None:
    """Change settings in a destination's record as somebody with Redis and without a key can."""
    record = key(services, "destination", name)
    stored = json.loads(await services.redis.hget(record, "settings"))
    await services.redis.hset(record, "settings", json.dumps({**stored, **changes}))


# -- destinations ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("destinations", "content")
async def test_a_changed_address_gets_no_request_and_suspends_the_destination_with_the_reason(services, thief, sandbox):
    address, heard = thief
    job = await services.submit(parse_command(INCIDENT), actor="test")
    await rewritten(services, "servicenow", instance_url=address)
    ended = await lifecycle.attempt(services.core, job.id)
    assert ended.state is JobState.QUEUED, "it waits: nothing is lost"
    assert heard == []
    record = await services.destinations.require("servicenow")
    assert record.state == "suspended"
    assert "changed in Redis" in record.reason
    assert (await audited(services, "destination.suspended"))[0]["destination"] == "servicenow"
    assert record.settings.address == sandbox.url, "what is shown is what was signed"
    with pytest.raises(KeyTrouble, match="changed in Redis"):
        await services.test_destination("servicenow", "test")
    assert heard == []


@pytest.mark.usefixtures("destinations", "content")
async def test_confirmed_by_an_operator_what_was_signed_holds_again_and_jobs_go_on(services, thief, sandbox):
    address, heard = thief
    await rewritten(services, "servicenow", instance_url=address)
    (doubt,) = await services.signing.doubts()
    assert (doubt.name, doubt.says) == ("servicenow", f"servicenow at {sandbox.url}")
    assert await services.signing.sign(doubt, "test") == ""
    assert await services.signing.doubts() == []
    job = await services.submit(parse_command(INCIDENT), actor="test")
    assert (await lifecycle.attempt(services.core, job.id)).state is JobState.DELIVERED
    assert heard == []


@pytest.mark.usefixtures("destinations")
async def test_another_destinations_signed_half_or_an_unsigned_record_opens_nothing(services, thief):
    address, _ = thief
    theirs = await services.redis.hgetall(key(services, "destination", "confluence"))
    ours = key(services, "destination", "servicenow")
    whole = await services.redis.hget(ours, "whole")
    await services.redis.hset(ours, "whole", theirs[b"whole"])
    assert (await services.destinations.require("servicenow")).doubt.code == "record_changed"
    await services.redis.hset(ours, "whole", whole)
    assert (await services.destinations.require("servicenow")).doubt is None
    await services.redis.hdel(ours, "whole")
    await rewritten(services, "servicenow", instance_url=address)
    record = await services.destinations.require("servicenow")
    assert record.doubt.code == "record_unsigned"
    with pytest.raises(KeyTrouble, match="isn't signed"):
        services.destinations.secret(record)


@pytest.mark.usefixtures("destinations")
async def test_a_whole_older_record_is_refused_by_whoever_saw_the_newer_one_on_this_machine_also_later(services):
    name = key(services, "destination", "servicenow")
    older = await services.redis.hgetall(name)
    only = await services.destinations.require("servicenow")
    await services.destinations.set("servicenow", only.settings, "a-newer-" + FAKE_SECRET, "test")
    await services.redis.delete(name)
    await services.redis.hset(name, mapping=older)
    assert (await services.destinations.require("servicenow")).doubt.code == "record_older"
    async with open_services(services.settings) as another:
        record = await another.destinations.require("servicenow")
        assert record.doubt.code == "record_older"
        with pytest.raises(KeyTrouble, match="put it back"):
            another.destinations.secret(record)
        (doubt,) = await another.signing.doubts()
        assert await another.signing.sign(doubt, "test") == ""
    assert (await services.destinations.require("servicenow")).doubt is None, "confirmed, as after a restored backup"


@pytest.mark.usefixtures("destinations")
async def test_a_machine_that_never_saw_the_newer_record_takes_the_older_one(services, tmp_path):
    """What isn't held, and said so."""
    name = key(services, "destination", "servicenow")
    older = await services.redis.hgetall(name)
    only = await services.destinations.require("servicenow")
    await services.destinations.set("servicenow", only.settings, "a-newer-" + FAKE_SECRET, "test")
    await services.redis.hset(name, mapping=older)
    elsewhere = services.settings.model_copy(
        update={"data": tmp_path / "elsewhere", "keys_file": services.settings.data / "keys"}
    )
    async with open_services(elsewhere) as another:
        assert (await another.destinations.require("servicenow")).doubt is None


async def test_a_removed_destination_that_is_put_back_is_refused_and_one_made_anew_is_not(services, destinations):
    name = key(services, "destination", "servicenow")
    older = await services.redis.hgetall(name)
    settings_ = (await services.destinations.require("servicenow")).settings
    await services.destinations.remove("servicenow", "test")
    await services.redis.hset(name, mapping=older)
    assert (await services.destinations.require("servicenow")).doubt.code == "record_older"
    await services.redis.delete(name)
    await services.destinations.set("servicenow", settings_, FAKE_SECRET, "test")
    assert (await services.destinations.require("servicenow")).doubt is None
    await services.redis.hset(name, mapping=older)
    assert (await services.destinations.require("servicenow")).doubt.code == "record_older"


FIELDS = [
    "settings",
    "whole",
    "revision",
    "secret",
    "state",
    "reason",
    "not_before_ms",
    "last_success_ms",
    "concurrency",
]
VALUES = st.binary(max_size=12) | st.sampled_from(
    [b"", b"0", b"-1", b"9" * 40, b"{}", b"[]", b'{"kind": "confluence"}', b"ready"]
)


@pytest.mark.usefixtures("destinations")
async def test_a_mutated_record_is_never_more_than_a_refusal(services):
    """Flipped, swapped, rolled back, deleted: the credential goes where it was signed for, or nowhere."""
    names = ("confluence", "servicenow", "azure_devops")
    signed = {name: await services.redis.hgetall(key(services, "destination", name)) for name in names}
    address = {name: (await services.destinations.require(name)).settings.address for name in names}

    def attempt(name: str, stored: dict[bytes, bytes]) -> None:
        try:
            record = services.destinations.record_of(name, stored)
            secret = services.destinations.secret(record) if record else None
        except KeyTrouble:
            return
        if record is not None and secret is not None:
            assert record.settings.address == address[name]
            assert secret == FAKE_SECRET

    @settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def every_way(data) -> None:
        name = data.draw(st.sampled_from(names))
        stored = dict(signed[name])
        for _ in range(data.draw(st.integers(1, 3))):
            field = data.draw(st.sampled_from(FIELDS)).encode()
            match data.draw(st.sampled_from(["drop", "fill", "swap", "flip", "redirect"])):
                case "drop":
                    stored.pop(field, None)
                case "fill":
                    stored[field] = data.draw(VALUES)
                case "swap":
                    stored[field] = signed[data.draw(st.sampled_from(names))].get(field, b"")
                case "flip" if stored.get(field):
                    at = data.draw(st.integers(0, len(stored[field]) - 1))
                    flipped = bytearray(stored[field])
                    flipped[at] ^= data.draw(st.integers(1, 255))
                    stored[field] = bytes(flipped)
                case "redirect":
                    stored[b"settings"] = stored.get(b"settings", b"").replace(b"127.0.0.1", b"evil.example")
        attempt(name, stored)

    await asyncio.to_thread(every_way)


# -- API keys ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"scopes": "admin"},
        {"scopes": "submit,admin"},
        {"scopes": "rubbish"},
        {"expires_ms": ""},
        {"expires_ms": "99999999999999"},
        {"created_ms": "x"},
        {"revision": "7"},
        {"revision": "-"},
        {"name": "boss"},
    ],
)
async def test_a_key_whose_rights_were_changed_in_redis_is_no_key(services, change):
    made, text = await services.access.create("tool", ["submit"], services.core.clock_ms() + 10**7, "test")
    assert (await services.access.authenticate(text)).may(Scope.SUBMIT)
    await services.redis.hset(key(services, "apikey", made.id), mapping=change)
    assert await services.access.authenticate(text) is None
    (listed,) = await services.access.list()
    assert listed.changed
    assert not any(listed.may(scope) for scope in Scope)
    assert await services.access.authenticate(text) is None
    refused = await audited(services, "record.refused")
    assert [entry["record"] for entry in refused] == [f"apikey:{made.id}"], "told once"
    assert (await services.audit.verify()).ok


async def test_a_revoked_key_stays_revoked_whatever_is_deleted_or_put_back(services):
    made, text = await services.access.create("tool", ["admin"], None, "test")
    name = key(services, "apikey", made.id)
    before = await services.redis.hgetall(name)
    await services.access.revoke(made.id, "test")
    await services.redis.hdel(name, "revoked")
    assert await services.access.authenticate(text) is None
    await services.redis.delete(name)
    await services.redis.hset(name, mapping=before)
    assert await services.access.authenticate(text) is None
    assert (await services.access.doubts())[made.id].code == "record_older"
    async with open_services(services.settings) as another:
        assert await another.access.authenticate(text) is None


async def test_a_key_made_of_anothers_parts_or_without_a_signature_is_no_key(services):
    weak, text = await services.access.create("tool", ["submit"], None, "test")
    strong, _ = await services.access.create("boss", ["admin"], None, "test")
    name, theirs = key(services, "apikey", weak.id), await services.redis.hgetall(key(services, "apikey", strong.id))
    ours = await services.redis.hgetall(name)
    await services.redis.hset(name, mapping={**theirs, b"mac": ours[b"mac"]})
    assert await services.access.authenticate(text) is None
    await services.redis.hset(name, mapping=ours)
    assert (await services.access.authenticate(text)).scopes == (Scope.SUBMIT,)
    await services.redis.hdel(name, "whole")
    await services.redis.hset(name, "scopes", "admin")
    assert await services.access.authenticate(text) is None
    assert (await services.access.doubts())[weak.id].code == "record_unsigned"
    assert (await services.access.revoke(weak.id, "test")).revoked


async def test_a_key_in_doubt_that_is_confirmed_has_the_rights_that_were_signed(services):
    made, text = await services.access.create("tool", ["submit"], None, "test")
    await services.redis.hset(key(services, "apikey", made.id), "scopes", "admin")
    (doubt,) = await services.signing.doubts()
    assert doubt.says == "tool may submit"
    assert await services.signing.sign(doubt, "test") == ""
    assert (await services.access.authenticate(text)).scopes == (Scope.SUBMIT,)


# -- sessions ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def sessions(services):
    return Sessions(services.redis, services.vault, services.access, services.settings.prefix, services.ended)


async def session_name(services) -> str:
    (name,) = [found async for found in services.redis.scan_iter(key(services, "session", "*"))]
    return name


@pytest.mark.parametrize("change", ["key", "created_ms", "no proof", "rubbish", "a number"])
async def test_a_session_that_points_at_another_key_or_another_time_is_no_session(services, sessions, change):
    viewer, _ = await services.access.create("viewer", ["read"], None, "test")
    admin, _ = await services.access.create("boss", ["admin"], None, "test")
    identifier = await sessions.open(viewer, NOW_MS)
    assert (await sessions.find(identifier, NOW_MS)).role == "viewer"
    name = await session_name(services)
    record = json.loads(await services.redis.get(name))
    changed = {
        "key": record | {"key": admin.id},
        "created_ms": record | {"created_ms": NOW_MS + 10**9},
        "no proof": {"key": admin.id, "created_ms": NOW_MS},
        "rubbish": [],
        "a number": 5,
    }[change]
    await services.redis.set(name, json.dumps(changed))
    assert await sessions.find(identifier, NOW_MS) is None
    assert await services.redis.exists(name) == 0


async def test_a_session_whose_key_was_given_more_rights_in_redis_ends(services, sessions):
    viewer, _ = await services.access.create("viewer", ["read"], None, "test")
    identifier = await sessions.open(viewer, NOW_MS)
    await services.redis.hset(key(services, "apikey", viewer.id), "scopes", "admin")
    assert await sessions.find(identifier, NOW_MS) is None


@pytest.mark.parametrize("used", ["as it was used", "nothing says when", "another session's", "made up"])
async def test_a_session_that_idled_out_is_not_put_back(services, sessions, used):
    """When it was used last is signed: an older moment, or none, brings nobody in."""
    admin, _ = await services.access.create("boss", ["admin"], None, "test")
    cookie, other = await sessions.open(admin, NOW_MS), await sessions.open(admin, NOW_MS)
    assert await sessions.find(cookie, NOW_MS + IDLE_MS - 1)
    assert await sessions.find(cookie, NOW_MS + IDLE_MS + 1), "it was used in between"
    held = {name: await services.redis.dump(name) async for name in services.redis.scan_iter(key(services, "se*"))}
    late_ms = NOW_MS + 3 * IDLE_MS
    assert await sessions.find(cookie, late_ms) is None
    assert await sessions.find(other, late_ms) is None
    for name, dumped in held.items():
        await services.redis.restore(name, 0, dumped, replace=True)
    seen = [name for name in held if b":seen:" in name]
    for name, turned in zip(seen, reversed(seen), strict=True):
        if used == "nothing says when":
            await services.redis.delete(name)
        elif used == "another session's":
            await services.redis.restore(name, 0, held[turned], replace=True)
        elif used == "made up":
            await services.redis.set(name, f"{late_ms} {services.vault.digest('session', b'x')}")
    assert await sessions.find(cookie, late_ms) is None


async def test_one_sessions_proof_is_good_for_no_other_session(services, sessions):
    admin, _ = await services.access.create("boss", ["admin"], None, "test")
    await sessions.open(admin, NOW_MS)
    stolen = await services.redis.get(await session_name(services))
    viewer, _ = await services.access.create("viewer", ["read"], None, "test")
    identifier = await sessions.open(viewer, NOW_MS)
    async for name in services.redis.scan_iter(key(services, "session", "*")):
        await services.redis.set(name, stolen)
    assert await sessions.find(identifier, NOW_MS) is None


# -- upgrading ---------------------------------------------------------------------------------------------------------


async def as_version_0_1(services) -> None:
    """What 0.1 left: the same records without their signed halves, and its canary."""
    prefix = services.settings.prefix
    for pattern in ("destination:*", "apikey:*"):
        async for name in services.redis.scan_iter(f"{prefix}:{pattern}", _type="hash"):
            await services.redis.hdel(name, "whole", *(["revision"] if b":apikey:" in name else []))
    canary = services.vault.seal(FORMER, purpose="canary", owner=prefix)
    await services.redis.set(f"{prefix}:canary", canary)
    (services.settings.data / "newest.json").unlink()


@pytest.mark.usefixtures("destinations", "content")
async def test_an_instance_of_version_0_1_goes_on_and_is_signed_at_the_first_start(services):
    _, text = await services.access.create("tool", ["submit"], None, "test")
    job = await services.submit(parse_command(INCIDENT), actor="test")
    await as_version_0_1(services)
    async with open_services(services.settings) as upgraded:
        assert await upgraded.signing.doubts() == []
        assert (await upgraded.access.authenticate(text)).scopes == (Scope.SUBMIT,)
        assert (await lifecycle.attempt(upgraded.core, job.id)).state is JobState.DELIVERED
        signed = await audited(upgraded, "record.signed")
        assert {entry.get("destination") for entry in signed} == {
            "confluence",
            "servicenow",
            "azure_devops",
            "jira",
            None,
        }
        assert (await upgraded.audit.verify()).ok


@pytest.mark.usefixtures("destinations")
async def test_a_worker_of_version_0_1_beside_it_still_opens_what_this_version_wrote(services):
    made, text = await services.access.create("tool", ["submit"], None, "test")
    raw = await services.redis.hgetall(key(services, "destination", "servicenow"))
    revision, secret = int(raw[b"revision"]), raw[b"secret"].decode()
    place = {"purpose": "credential", "owner": "servicenow", "field": "secret"}
    assert services.vault.open(secret, **place, revision=revision) == FAKE_SECRET
    stored = await services.redis.hgetall(key(services, "apikey", made.id))
    former = services.vault.open(stored[b"sealed"].decode(), purpose="apikey", owner=made.id)
    assert set(json.loads(former)) == {"pepper", "callback_secret"}
    canary = await services.redis.get(key(services, "canary"))
    services.vault.open(canary.decode(), purpose="canary", owner=services.settings.prefix)
    assert text


@pytest.mark.usefixtures("destinations")
async def test_who_deletes_canary_and_signatures_has_nothing_signed_for_him(services, thief):
    address, _ = thief
    made, text = await services.access.create("tool", ["submit"], None, "test")
    await services.redis.delete(key(services, "canary"))
    await services.redis.hdel(key(services, "apikey", made.id), "whole")
    await services.redis.hset(key(services, "apikey", made.id), "scopes", "admin")
    await services.redis.hdel(key(services, "destination", "servicenow"), "whole")
    await rewritten(services, "servicenow", instance_url=address)
    async with open_services(services.settings) as restarted:
        assert await restarted.access.authenticate(text) is None
        assert {doubt.name for doubt in await restarted.signing.doubts()} == {made.id, "servicenow"}


async def test_a_record_that_cant_be_opened_keeps_no_upgrade_from_ending(services, destinations):
    await as_version_0_1(services)
    await services.redis.hset(key(services, "destination", "servicenow"), "secret", "aw1.00000000.nothing")
    async with open_services(services.settings) as upgraded:
        assert [doubt.name for doubt in await upgraded.signing.doubts()] == ["servicenow"]


@pytest.mark.usefixtures("destinations")
async def test_a_canary_from_before_the_upgrade_opens_nothing_once_the_keys_were_rotated_and_retired(services):
    former = services.vault.seal(FORMER, purpose="canary", owner=services.settings.prefix)
    keys = services.settings.data / "keys"
    old = services.vault.key_id
    add_key(keys)
    async for _ in services.rotation.reseal("test"):
        pass
    drop_keys(keys, frozenset({old}))
    await services.redis.hdel(key(services, "destination", "servicenow"), "whole")
    await services.redis.set(key(services, "canary"), former)
    with pytest.raises(KeyTrouble, match="doesn't fit this Redis"):
        async with open_services(services.settings):
            pass
    assert (await services.destinations.require("servicenow")).doubt.code == "record_unsigned"


# -- a pause is a person's word -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("destinations", "content")
@pytest.mark.parametrize("put_back", [False, True], ids=["the state alone", "the signed half, too"])
async def test_a_paused_destination_that_is_let_go_on_in_redis_gets_no_request(services, sandbox, put_back):
    """It is suspended with the reason, and goes on when a person says so."""
    record = key(services, "destination", "servicenow")
    before = await services.redis.hgetall(record)
    job = await services.submit(parse_command(INCIDENT), actor="test")
    await services.destinations.pause("servicenow", "ann")
    await services.redis.hset(record, mapping=before if put_back else {"state": "ready"})
    ended = await lifecycle.attempt(services.core, job.id)
    assert ended.state is JobState.QUEUED
    found = await services.destinations.require("servicenow")
    assert (found.state, found.doubt.code) == ("suspended", "pause_changed")
    assert "let go on" in found.reason
    assert [doubt.name for doubt in await services.signing.doubts()] == ["servicenow"]
    with pytest.raises(KeyTrouble, match="destination resume servicenow"):
        await services.test_destination("servicenow", "test")
    async with open_services(services.settings) as another:
        assert (await another.destinations.resume("servicenow", "ann")).doubt is None
    assert (await lifecycle.attempt(services.core, job.id)).state is JobState.DELIVERED


@pytest.mark.usefixtures("destinations")
async def test_a_pause_that_nobody_ordered_is_told(services):
    """It stops work, as anybody with Redis can; resuming ends it."""
    await services.redis.hset(key(services, "destination", "servicenow"), "state", "paused")
    (doubt,) = await services.signing.doubts()
    assert "was paused in Redis by somebody who has no key" in doubt.why
    assert (await services.destinations.resume("servicenow", "ann")).doubt is None
    assert await services.signing.doubts() == []


@pytest.mark.usefixtures("destinations")
async def test_a_pause_stays_when_settings_change_or_a_record_is_confirmed(services):
    """A new credential lets nothing go on; `key sign` makes hold what was signed last."""
    paused = await services.destinations.pause("servicenow", "ann")
    found = await services.destinations.set("servicenow", paused.settings, "a-newer-" + FAKE_SECRET, "test")
    assert (found.state, found.reason, found.doubt) == ("paused", "paused by ann", None)
    await services.redis.hset(key(services, "destination", "servicenow"), "state", "ready")
    (doubt,) = await services.signing.doubts()
    assert doubt.says.endswith(", paused by ann")
    assert await services.signing.sign(doubt, "test") == ""
    assert (await services.destinations.require("servicenow")).state == "paused"


@pytest.mark.usefixtures("destinations")
async def test_pausing_and_resuming_make_no_changed_record_good(services, thief):
    """They speak of the pause only."""
    address, _ = thief
    await rewritten(services, "servicenow", instance_url=address)
    for switch in (services.destinations.pause, services.destinations.resume):
        assert (await switch("servicenow", "ann")).doubt.code == "record_changed"


@pytest.mark.usefixtures("destinations")
async def test_a_record_that_an_older_version_paused_stays_paused_without_a_doubt(services):
    """Its signed half says nothing of a pause."""
    raw = await services.destinations._raw("servicenow")
    old = services.destinations._signer.sign("servicenow", 1, {"settings": raw["settings"]}, FAKE_SECRET, NOW_MS * 2)
    record = key(services, "destination", "servicenow")
    await services.redis.hset(record, mapping={"whole": old.token, "state": "paused", "reason": "paused by ann"})
    found = await services.destinations.require("servicenow")
    assert (found.state, found.paused, found.doubt) == ("paused", "paused by ann", None)
    assert (await services.destinations.resume("servicenow", "ann")).state == "ready"


# -- what was seen -----------------------------------------------------------------------------------------------------


def test_what_one_process_saw_the_others_of_the_machine_know(tmp_path):
    one, two = (NewestOnDisk(tmp_path / "newest.json", "here/afterword") for _ in range(2))
    one.learn("destination:a", 5)
    two.learn("destination:b", 7)
    assert (one.of("destination:b"), two.of("destination:a")) == (7, 5)
    two.learn("destination:a", 3)
    assert one.of("destination:a") == 5
    assert NewestOnDisk(tmp_path / "newest.json", "elsewhere/afterword").of("destination:a") == 0
    assert NewestOnDisk(tmp_path / "newest.json", "here/afterword").of("destination:a") == 5
    assert (tmp_path / "newest.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"here": 5}', '{"here": {"a": "x"}}'])
def test_a_damaged_file_is_written_anew(tmp_path, text):
    (tmp_path / "newest.json").write_text(text)
    newest = NewestOnDisk(tmp_path / "newest.json", "here")
    newest.learn("a", 5)
    assert newest.of("a") == 5
    assert NewestOnDisk(tmp_path / "newest.json", "here").of("a") == 5


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("redis://user:secret@redis.example:6380/2", "redis.example:6380/2"),
        ("rediss://redis.example", "redis.example:6379"),
        ("redis://127.0.0.1:40001/0", "local"),
        ("unix:///run/redis.sock", "local"),
        ("sentinel://u:p@a:26379,b/mymaster/1", "mymaster/1"),
    ],
)
def test_an_instance_is_named_by_its_address_without_the_account(address, name):
    assert Settings(redis_url=address).instance_name() == name


async def test_an_unknown_destination_is_still_unknown(services):
    with pytest.raises(Refused, match="no destination"):
        await services.destinations.require("nowhere")
