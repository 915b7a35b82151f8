"""Saved views: whose they are, who sees and changes them, how many there may be, and what Redis shows of them."""

from __future__ import annotations

import json

import pytest

from tasks.errors import Refused
from tasks.state.jobs.asked import Asked
from tasks.state.views import registry
from tasks.state.views.registry import Person
from worker.runtime import open_services

OLGA = Person(id="ak_1", name="Olga", actor="Olga", shares=True)
VERA = Person(id="ak_2", name="Vera", actor="Vera")
ADA = Person(id="ak_3", name="Ada", actor="Ada", shares=True, admin=True)
DEAD = Asked(state="dead", q="zanzibar")


async def names(services, person):
    return [view.name for view in await services.views.list(person)]


async def test_a_view_is_its_owners_until_it_is_shared(services):
    """Somebody else neither finds it nor learns that it is there."""
    view = await services.views.save(OLGA, "Mine", DEAD)
    assert await names(services, OLGA) == ["Mine"]
    assert await names(services, VERA) == []
    with pytest.raises(Refused, match="There is no view"):
        await services.views.require(view.id, VERA)
    await services.views.change(OLGA, view.id, "Ours", DEAD, shared=True)
    assert await names(services, VERA) == ["Ours"]
    assert (await services.views.require(view.id, VERA)).asked == DEAD
    await services.views.change(OLGA, view.id, "Ours", DEAD, shared=False)
    assert await names(services, VERA) == []


async def test_only_its_owner_and_an_admin_change_or_delete_a_shared_view(services):
    """An admin's change leaves it its owner's."""
    view = await services.views.save(OLGA, "Ours", DEAD, shared=True)
    for work in (
        services.views.change(VERA, view.id, "Taken", DEAD, shared=True),
        services.views.remove(VERA, view.id),
    ):
        with pytest.raises(Refused, match="belongs to Olga"):
            await work
    renamed = await services.views.change(ADA, view.id, "Everybody's", DEAD, shared=True)
    assert (renamed.owner, renamed.by) == ("ak_1", "Olga")
    await services.views.remove(ADA, view.id)
    assert await names(services, OLGA) == []


async def test_sharing_takes_the_right_to_operate(services):
    """A viewer keeps views of their own."""
    with pytest.raises(Refused, match="right to operate"):
        await services.views.save(VERA, "For all", DEAD, shared=True)
    assert (await services.views.save(VERA, "For me", DEAD)).shared is False


async def test_there_are_only_so_many_views(services, monkeypatch):
    """Of one person, and shared ones; changing one that exists is always possible."""
    monkeypatch.setattr(registry, "MOST", 2)
    monkeypatch.setattr(registry, "MOST_SHARED", 1)
    first = await services.views.save(OLGA, "One", DEAD, shared=True)
    with pytest.raises(Refused, match="1 shared views already"):
        await services.views.save(OLGA, "Two", DEAD, shared=True)
    await services.views.save(OLGA, "Two", DEAD)
    with pytest.raises(Refused, match="2 views of yours already"):
        await services.views.save(OLGA, "Three", DEAD)
    await services.views.change(OLGA, first.id, "First", DEAD, shared=True)
    assert await names(services, OLGA) == ["First", "Two"]


@pytest.mark.parametrize(
    ("name", "asked", "said"),
    [
        ("", DEAD, "name is not valid"),
        ("x" * 61, DEAD, "name is not valid"),
        ("a\u202eb", DEAD, "name is not valid"),
        ("Nothing", Asked(), "empty"),
        ("State", Asked(state="asleep"), "no state 'asleep'"),
        ("Day", Asked(since="yesterday"), "not a day"),
        ("Cause", Asked(state="delivered", cause="secrets"), "A cause goes with"),
        ("kept", DEAD, "already"),
    ],
)
async def test_a_view_that_says_nothing_or_something_odd_is_refused(services, name, asked, said):
    """The refusal names what is wrong."""
    await services.views.save(OLGA, "Kept", DEAD)
    with pytest.raises(Refused, match=said):
        await services.views.save(OLGA, name, asked)
    assert await names(services, OLGA) == ["Kept"]


async def test_a_filter_that_is_not_understood_any_more_says_so(services):
    """As after a downgrade: what was saved stays, and the rest of the filter works."""
    view = await services.views.save(OLGA, "Old", DEAD)
    stored = view.model_copy(update={"asked": Asked(state="asleep", q="pool")})
    await reseal(services, view.id, stored.model_dump_json())
    (read,) = await services.views.list(OLGA)
    assert read.troubles == ("There is no state 'asleep'.",)


async def reseal(services, identifier, plain, *, as_id=None):
    sealed = services.vault.seal(plain, purpose="view", owner=as_id or identifier)
    await services.redis.hset(f"{services.settings.prefix}:view:{identifier}", "sealed", sealed)


async def test_redis_shows_no_words_and_moves_no_view_to_others(services):
    """Whoever writes to Redis can hide a view, and not show it to somebody who may not see it."""
    prefix = services.settings.prefix
    view = await services.views.save(OLGA, "Zanzibar board", DEAD)
    held = str(await services.redis.hgetall(f"{prefix}:view:{view.id}"))
    entries = json.dumps([entry.data for entry in await services.audit.tail(10)])
    assert "anzibar" not in held + entries
    await services.redis.sadd(f"{prefix}:views:of:ak_2", view.id)
    await services.redis.sadd(f"{prefix}:views:shared", view.id)
    assert await names(services, VERA) == []
    other = await services.views.save(VERA, "Hers", DEAD)
    await services.redis.copy(f"{prefix}:view:{view.id}", f"{prefix}:view:{other.id}", replace=True)
    assert await names(services, VERA) == []


async def test_an_older_version_of_a_view_and_a_deleted_one_are_not_put_back_in_redis(services):
    """Also for other processes of this machine, and after a restart; saved anew it counts again."""
    prefix = services.settings.prefix
    view = await services.views.save(OLGA, "Dead", DEAD)
    name = f"{prefix}:view:{view.id}"
    older = await services.redis.dump(name)
    changed = await services.views.change(OLGA, view.id, "Held", Asked(state="held"), shared=False)
    newest = await services.redis.dump(name)
    await services.redis.restore(name, 0, older, replace=True)
    async with open_services(services.settings) as again:
        assert await names(again, OLGA) == []
    await services.redis.restore(name, 0, newest, replace=True)
    assert await names(services, OLGA) == [changed.name]
    await services.views.remove(OLGA, view.id)
    await services.redis.restore(name, 0, newest, replace=True)
    await services.redis.sadd(f"{prefix}:views:of:{OLGA.id}", view.id)
    async with open_services(services.settings) as again:
        assert await names(again, OLGA) == []
        await again.views.save(OLGA, "Held", Asked(state="held"))
        assert await names(again, OLGA) == ["Held"]


async def test_what_a_revoked_key_kept_for_itself_is_forgotten(services):
    """Nobody can open it any more; what it shared stays, for admins to change."""
    mine = await services.views.save(OLGA, "Mine", DEAD)
    shared = await services.views.save(OLGA, "Ours", DEAD, shared=True)
    await services.views.forget_those_of("ak_1", "Ada")
    assert not await services.redis.exists(f"{services.settings.prefix}:view:{mine.id}")
    assert await names(services, OLGA) == ["Ours"]
    assert await names(services, ADA) == ["Ours"]
    await services.views.remove(ADA, shared.id)
    assert (await services.audit.tail(2))[0].data["actor"] == "Ada"


async def test_saving_and_deleting_are_audited(services):
    """With who did it and which view, never with its words."""
    view = await services.views.save(OLGA, "Mine", DEAD)
    await services.views.remove(OLGA, view.id)
    saved, removed = await services.audit.tail(2)
    assert (saved.event, removed.event) == ("view.saved", "view.removed")
    for entry in (saved, removed):
        assert {"view": view.id, "actor": "Olga"}.items() <= entry.data.items()
        assert "Mine" not in str(entry.data)
    left = [key async for key in services.redis.scan_iter(f"{services.settings.prefix}:view*")]
    assert left == []
