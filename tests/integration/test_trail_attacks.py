"""What somebody who can write to Redis and has no key does to the trail: `audit verify` says which, or that it can't know."""

from __future__ import annotations

import shutil

import pytest

from config.settings import Settings
from tasks.model import PublishToConfluence
from tasks.state.audit.outside import Folder, Outside
from tasks.state.jobs.transitions import Submission
from tests.integration.test_lifecycle import DOCUMENT
from tests.integration.test_rotation import afterword, printed
from worker.rounds.checkpoints import keep_if_due
from worker.runtime import open_services

UNKNOWN = 4


async def submit(services) -> None:
    """A job in the ledger, and its entry."""
    command = PublishToConfluence(doc_id="d", space_key="OPS")
    await services.ledger.submit(
        Submission(command=command, destination="wiki", subject="wiki/d", max_age_ms=60_000, actor="test")
    )


async def command(settings) -> str:
    """A command of its own process, as `afterword document put`: a chain of one entry. Returns the chain's name."""
    async with open_services(settings) as services:
        await services.contents.put_document(DOCUMENT, "cli:someone")
        return services.journal.own().chain


async def history(settings) -> list[str]:
    """A worker's chain around those of three commands, with a checkpoint after all of it; returns the chains, the worker's first."""
    async with open_services(settings) as worker:
        await submit(worker)
        commands = [await command(settings) for _ in range(3)]
        await submit(worker)
        own = worker.journal.own().chain
    return [own, *commands]


async def rows_of(redis, settings, chain: str) -> list[bytes]:
    """The ids of a chain's entries."""
    return [i for i, fields in await redis.xrange(f"{settings.prefix}:audit") if fields[b"chain"] == chain.encode()]


async def remove_chain(redis, settings, chain: str) -> None:
    """Every entry of a chain, and its head."""
    await redis.xdel(f"{settings.prefix}:audit", *await rows_of(redis, settings, chain))
    await redis.hdel(f"{settings.prefix}:audit:heads", chain)


async def cut_tail(redis, settings, chain: str) -> None:
    """A chain's last entry; its head says that the one before is the last."""
    rows = await rows_of(redis, settings, chain)
    await redis.xdel(f"{settings.prefix}:audit", rows[-1])
    _, fields = (await redis.xrange(f"{settings.prefix}:audit", rows[-2], rows[-2]))[0]
    await redis.hset(f"{settings.prefix}:audit:heads", chain, fields[b"seq"] + b":" + fields[b"mac"])


async def attack(name: str, redis, settings, chains: list[str]) -> None:
    """One attack on a trail with that history."""
    stream, heads = f"{settings.prefix}:audit", f"{settings.prefix}:audit:heads"
    worker, *commands = chains
    match name:
        case "the stream deleted":
            await redis.delete(stream)
        case "the stream emptied":
            await redis.xtrim(stream, maxlen=0, approximate=False)
        case "the stream and its heads deleted":
            await redis.delete(stream, heads)
        case "everything flushed":
            await redis.delete(*[key async for key in redis.scan_iter(f"{settings.prefix}:*")])
        case "the worker's chain removed":
            await remove_chain(redis, settings, worker)
        case "a command's only entry removed":
            await remove_chain(redis, settings, commands[1])
        case "the newest command's only entry removed":
            await remove_chain(redis, settings, commands[-1])
        case "a tail cut and its head rewritten":
            await cut_tail(redis, settings, worker)
        case "an entry removed":
            await redis.xdel(stream, (await rows_of(redis, settings, worker))[0])


ATTACKS = (
    "the stream deleted",
    "the stream emptied",
    "the stream and its heads deleted",
    "everything flushed",
    "the worker's chain removed",
    "a command's only entry removed",
    "the newest command's only entry removed",
    "a tail cut and its head rewritten",
    "an entry removed",
)


@pytest.mark.parametrize("name", ATTACKS)
async def test_an_attack_on_the_trail_is_found_by_the_checkpoint_that_is_kept_by_itself(settings, services, name):
    """Nobody asked for a checkpoint: those that every process leaves at its end are enough."""
    chains = await history(settings)
    status, answer = await afterword(settings, "audit", "verify")
    assert (status, answer["ok"], answer["verdict"]) == (0, True, "complete"), answer["problems"]
    await attack(name, services.redis, settings, chains)
    status, answer = await afterword(settings, "audit", "verify")
    assert (status, answer["ok"], answer["verdict"]) == (1, False, "broken")
    assert answer["problems"]


@pytest.mark.parametrize("name", ATTACKS)
async def test_without_anything_outside_redis_no_attack_leaves_a_trail_that_is_called_complete(
    settings, services, name
):
    """The kept checkpoints are gone as well: some attacks show against the rest of Redis, the others can't be known."""
    chains = await history(settings)
    shutil.rmtree(settings.data / "checkpoints")
    await attack(name, services.redis, settings, chains)
    status, answer = await afterword(settings, "audit", "verify")
    hidden = name in ("everything flushed", "the newest command's only entry removed")
    assert (status, answer["verdict"]) == ((UNKNOWN, "unknown") if hidden else (1, "broken")), answer["problems"]
    assert answer["ok"] is False


@pytest.mark.parametrize("which", [1, 2])
async def test_a_commands_removed_entry_shows_in_the_chains_that_began_later(settings, services, which):
    """Also without a checkpoint: each chain's first entry holds what its writer saw of all others."""
    chains = await history(settings)
    shutil.rmtree(settings.data / "checkpoints")
    await remove_chain(services.redis, settings, chains[which])
    _, answer = await afterword(settings, "audit", "verify")
    assert f"beginning of chain {chains[which + 1]}" in answer["problems"][0]


async def test_a_removed_chain_is_named(settings, services):
    """The checkpoint names the chains, so that the report says which of them lacks entries."""
    chains = await history(settings)
    await remove_chain(services.redis, settings, chains[-1])
    _, answer = await afterword(settings, "audit", "verify")
    assert answer["problems"][0].startswith(f"chain {chains[-1]}: a checkpoint names entry 1, which is missing")


async def test_a_rolled_back_redis_is_found(settings, services):
    """An older state of everything is consistent in itself; the newest checkpoint outside knows better."""
    await history(settings)
    saved = {key: await services.redis.dump(key) async for key in services.redis.scan_iter(f"{settings.prefix}:*")}
    await command(settings)
    await services.redis.delete(*[key async for key in services.redis.scan_iter(f"{settings.prefix}:*")])
    for key, value in saved.items():
        await services.redis.restore(key, 0, value)
    status, answer = await afterword(settings, "audit", "verify")
    assert (status, answer["verdict"]) == (1, "broken")


async def test_a_process_that_lost_its_chain_tells_of_it_in_the_next_one(settings):
    """The trail is deleted under a running worker. No checkpoint was kept; what it writes next names what it had written."""
    apart = settings.model_copy(update={"checkpoints": "none"})
    async with open_services(apart) as worker:
        await submit(worker)
        before = worker.journal.own()
        await worker.redis.delete(
            f"{settings.prefix}:audit", f"{settings.prefix}:audit:heads", f"{settings.prefix}:metrics"
        )
        await submit(worker)
    async with open_services(apart) as other:
        problems = (await other.audit.verify()).problems
    assert f"its writer had written entry 1 of chain {before.chain}, which is missing" in problems[-1]


async def test_a_ledger_that_counts_more_jobs_than_the_trail_is_found(settings, services):
    """Stream and heads are gone, and nothing outside Redis is known: the ledger itself still counts."""
    apart = settings.model_copy(update={"checkpoints": "none"})
    async with open_services(apart) as worker:
        await submit(worker)
    await services.redis.delete(f"{settings.prefix}:audit", f"{settings.prefix}:audit:heads")
    report = await services.audit.verify()
    assert report.problems == ("the ledger counted 1 submitted jobs that the trail doesn't name",)


async def test_a_trail_says_since_when_it_is_complete(settings, services):
    """From its first entry on, where the ledger began with it."""
    await history(settings)
    report = await services.audit.verify()
    first = (await services.redis.xrange(f"{settings.prefix}:audit", count=1))[0][0]
    assert (report.verdict, report.since_ms, report.unknown_before_ms) == ("complete", int(first.split(b"-")[0]), None)
    assert "complete since" in (await printed(settings, "audit", "verify"))[1]


async def test_an_empty_trail_is_never_called_intact(settings):
    """Nothing was written yet, or everything was removed: both look the same."""
    status, printed_text = await printed(settings, "audit", "verify")
    assert status == UNKNOWN
    assert "can't be known before" in printed_text
    assert "intact" not in printed_text


async def test_a_flushed_ledger_that_goes_on_is_found_by_checkpoints_from_before(settings, services):
    """What is written after the flush, with its own checkpoints, doesn't cover what was there."""
    await history(settings)
    await services.redis.delete(*[key async for key in services.redis.scan_iter(f"{settings.prefix}:*")])
    await command(settings)
    status, answer = await afterword(settings, "audit", "verify")
    assert (status, answer["verdict"]) == (1, "broken")


async def test_a_trail_stays_complete_through_many_trims(settings, services):
    """Checkpoints of a time when there were chains that are trimmed since stay right: from each cut on nothing is missing."""
    from tests.integration.test_trail import put_a_moment_later, trimmed

    for _ in range(3):
        await command(settings)
        await services.keep_checkpoint()
        await trimmed(services, await put_a_moment_later(services))
        await services.keep_checkpoint()
        async with open_services(settings) as reader:
            report = await reader.audit.verify()
            assert (report.verdict, report.problems) == ("complete", ())
    await command(settings)
    assert (await services.audit.verify()).verdict == "complete"
    removed = await command(settings)
    await remove_chain(services.redis, settings, removed)
    assert (await services.audit.verify()).verdict == "broken"


async def test_chains_of_older_versions_still_verify_and_say_what_can_not_be_known(settings, services, monkeypatch):
    """Version 0.1 said nothing of other chains in a chain's first entry. What it wrote holds from the first checkpoint on."""
    monkeypatch.setattr("tasks.state.journal.opened", lambda data, _seen, _after: data)
    apart = settings.model_copy(update={"checkpoints": "none"})
    async with open_services(apart) as old:
        await submit(old)
    monkeypatch.undo()
    assert (await services.audit.verify()).verdict == "unknown"
    await command(settings)
    report = await services.audit.verify()
    assert (report.verdict, report.unknown_before_ms) == ("complete", report.since_ms)
    assert report.unknown_before_ms is not None


async def test_a_worker_keeps_a_checkpoint_when_it_is_due(settings, services):
    """At its start, then every few minutes while there is something new; files that nobody else reads."""
    await submit(services)
    place = services.audit.outside
    assert place.newest_ms() == 0
    newest = await keep_if_due(services)
    assert place.newest_ms() > 0
    assert await keep_if_due(services, newest) == newest
    assert len(place.read()) == 1
    (file,) = (settings.data / "checkpoints").rglob("*.json")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o077 == 0


async def test_a_checkpoint_is_not_kept_where_a_failover_could_undo_it(settings):
    """With replicas asked for, what none of them has yet may be lost without an attack."""
    async with open_services(settings.model_copy(update={"replicas": 1})) as services:
        assert await services.keep_checkpoint() is False


async def test_checkpoints_are_kept_in_an_object_store_and_read_from_there(settings, services):
    """Any store that fsspec knows; the trail is compared with what it holds."""
    apart = settings.model_copy(update={"checkpoints": f"memory://audit/{settings.prefix}"})
    chain = await command(apart)
    async with open_services(apart) as reader:
        assert (await reader.audit.verify()).verdict == "complete"
        await remove_chain(reader.redis, settings, chain)
        assert (await reader.audit.verify()).verdict == "broken"


async def test_a_checkpoint_that_can_not_be_kept_fails_no_command(settings, services, caplog):
    """The folder is somebody's file: the command did what it was asked, and the log says the rest."""
    (settings.data / "checkpoints").write_text("")
    await command(settings)
    assert "no checkpoint of the audit was kept" in caplog.text
    assert "[Errno" not in caplog.text


def test_settings_know_no_place_by_default():
    """The default is the data folder, which is known only when the settings are read."""
    assert Settings.model_fields["checkpoints"].default is None
    assert Outside(Folder(Settings.model_fields["data"].default_factory() / "nowhere")).newest_ms() == 0


async def test_a_loss_that_an_operator_knows_of_is_accepted_once_and_for_what_came_before_it(settings, services):
    """A backup was restored: the trail is broken, until somebody says why, under the key. What happens later is found."""
    await history(settings)
    await services.redis.delete(f"{settings.prefix}:audit", f"{settings.prefix}:audit:heads")
    status, answer = await afterword(settings, "audit", "accept", "--reason", "restored", "--yes")
    assert (status, answer["accepted"] > 0) == (0, True)
    status, answer = await afterword(settings, "audit", "verify")
    assert (status, answer["verdict"], answer["problems"]) == (0, "complete", [])
    assert answer["unknown_before_ms"] == answer["since_ms"]
    assert (await afterword(settings, "audit", "accept", "--reason", "again", "--yes"))[1]["error"]["code"] == (
        "audit_not_broken"
    )
    removed = await command(settings)
    await remove_chain(services.redis, settings, removed)
    assert (await afterword(settings, "audit", "verify"))[1]["verdict"] == "broken"


@pytest.mark.parametrize("content", [b"", b"\x00" * 200, b"{}\n", b"\xff\xfe", b'{"heads": '])
async def test_a_kept_checkpoint_that_is_none_any_more_is_named(settings, services, content):
    """A disk failed, or somebody emptied it: what it spoke of isn't left out in silence."""
    await history(settings)
    newest = max((settings.data / "checkpoints").rglob("*.json"))
    newest.write_bytes(content)
    status, answer = await afterword(settings, "audit", "verify")
    assert (status, answer["error"]["code"]) == (1, "bad_checkpoint")
    assert newest.name in answer["error"]["message"]


async def test_a_named_file_without_a_checkpoint_is_refused(settings, services):
    """Nothing would have been compared with it."""
    await history(settings)
    other = settings.data / "other.log"
    other.write_text("a line of a log\n{}\n")
    status, answer = await afterword(settings, "audit", "verify", "--checkpoint", str(other))
    assert (status, answer["error"]["code"]) == (1, "bad_checkpoint")
    assert str(other) in answer["error"]["message"]
