"""Keys are rotated under a real Valkey: everything stays readable, through kills, and no key goes while it is needed."""

from __future__ import annotations

import asyncio
import json
import sys

import pytest

from config.keys import FollowedKeys, add_key, drop_keys, load_key_ring, new_key, parse_keys
from config.settings import ConfigError
from tasks.errors import Refused
from tasks.model import Document, parse_command
from tasks.state.upkeep.rotation import SEALED
from tasks.state.vault import Vault, key_id_of
from tests.conftest import ROOT, environment, until
from tests.integration.test_lifecycle import DOCUMENT, PUBLISH
from worker.runtime import open_services

pytestmark = pytest.mark.usefixtures("destinations")


def words(number: int) -> Document:
    return Document(id=f"d{number}", title=f"Incident {number}", content_md=f"words {number}")


async def moved(services) -> int:
    async for found in services.rotation.reseal("test"):
        if found.finished:
            assert not found.unreadable
            return found.moved
    raise AssertionError("a rotation ends with its result")


async def named(services) -> dict[str, dict[str, int]]:
    return {use.key_id: dict(use.records) for use in await services.rotation.usage()}


async def afterword(settings, *arguments: str) -> tuple[int, dict]:
    status, out = await printed(settings, *arguments, "--json")
    return status, json.loads(out or "null")


async def printed(settings, *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "worker", *arguments),
        cwd=ROOT,
        env=environment(settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    out, _ = await process.communicate()
    return int(process.returncode or 0), out.decode()


async def test_every_record_moves_to_the_new_key_and_stays_readable(services, settings):
    for number in range(20):
        await services.contents.put_document(words(number), "test")
    old = services.vault.key_id
    new = add_key(settings.data / "keys")
    assert services.vault.key_id == new, "a running process follows the file"
    assert await moved(services) == 20 + 2 * 4 + 1, (
        "documents, four destinations signed as a whole and as version 0.1 reads them, the canary"
    )
    assert old not in {key for key, records in (await named(services)).items() if records}
    assert (await services.contents.document("d7")).content_md == "words 7"
    record = await services.destinations.require("confluence")
    assert services.destinations.secret(record)
    async with open_services(settings) as fresh:
        assert (await fresh.contents.document("d7")).content_md == "words 7"
        assert not (await fresh.audit.verify()).problems


async def test_a_rotation_killed_at_any_batch_is_finished_by_the_next(services, settings):
    for number in range(30):
        await services.contents.put_document(words(number), "test")
    add_key(settings.data / "keys")
    for _ in range(3):
        async with open_services(settings) as mortal:
            rotation = mortal.rotation.reseal("test")
            await anext(rotation)
            await rotation.aclose()
    await moved(services)
    records = await named(services)
    assert records[services.vault.key_id]["document"] == 30
    assert await moved(services) == 0


async def test_a_rotation_killed_five_times_is_finished_by_the_next(services, settings):
    """By SIGKILL, each time further on; jobs can be read all the time."""
    number_of_records, prefix = 6000, settings.prefix
    pipeline = services.redis.pipeline(transaction=False)
    for number in range(number_of_records):
        sealed = services.vault.seal(words(number).model_dump_json(), purpose="document", owner=f"d{number}")
        pipeline.set(f"{prefix}:document:d{number}", sealed)
    await pipeline.execute()
    old = services.vault.key_id
    add_key(settings.data / "keys")

    async def left() -> int:
        return (await named(services)).get(old, {}).get("document", 0)

    sample = [f"{prefix}:document:d{number}" for number in range(0, number_of_records, 10)]

    async def changed() -> int:
        return sum(token != was for token, was in zip(await services.redis.mget(sample), untouched, strict=True))

    untouched = await services.redis.mget(sample)
    before = 0
    for _ in range(5):
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "worker", "key", "rotate", "--reseal-only"),
            cwd=ROOT,
            env=environment(settings),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )

        async def went_on(known: int = before) -> bool:
            return await changed() > known

        await until(went_on, what="a batch")
        child.kill()
        assert await child.wait() == -9, "it was at work when it was killed"
        before = await changed()
        for number in (0, number_of_records // 2, number_of_records - 1):
            assert (await services.contents.document(f"d{number}")).content_md == f"words {number}"
    assert await left(), "there was something left to do"
    assert await afterword(settings, "key", "rotate", "--reseal-only")
    assert await left() == 0
    assert (await services.audit.verify()).ok


async def test_a_record_written_meanwhile_is_not_overwritten(services, settings):
    await services.contents.put_document(words(1), "test")
    add_key(settings.data / "keys")
    change = await services.rotation._change(f"{settings.prefix}:document:d1", None, "document", set())
    await services.contents.put_document(words(1).model_copy(update={"content_md": "newer"}), "test")
    await services.rotation._put_back([change], cursor=0)
    assert (await services.contents.document("d1")).content_md == "newer"


async def test_jobs_are_delivered_while_keys_are_rotated(services, settings, sandbox, start_worker):
    start_worker()
    jobs = []
    for number in range(12):
        document = words(number)
        command = parse_command(PUBLISH | {"doc_id": document.id})
        jobs.append(await services.submit(command, actor="test", document=document))
        if number % 4 == 3:
            status, answer = await afterword(settings, "key", "rotate")
            assert status == 0, answer

    async def delivered():
        found = [await services.ledger.require(job.id) for job in jobs]
        return all(job.state == "delivered" for job in found)

    await until(delivered, what="every job delivered")
    assert len(await sandbox.objects("confluence")) == 12
    assert (await services.audit.verify()).ok
    assert len(load_key_ring(settings).order) == 4


async def test_the_same_request_under_the_next_key_is_still_the_same(services, settings):
    command = parse_command(PUBLISH)
    first = await services.submit(command, actor="test", idempotency_key="k", document=DOCUMENT)
    add_key(settings.data / "keys")
    again = await services.submit(command, actor="test", idempotency_key="k", document=DOCUMENT)
    assert again.id == first.id
    other = DOCUMENT.model_copy(update={"content_md": "other words"})
    with pytest.raises(Refused, match="another request"):
        await services.submit(command, actor="test", idempotency_key="k", document=other)


async def test_a_key_goes_only_when_nothing_names_it(services, settings):
    old = services.vault.key_id
    unused = new_key()
    file = settings.data / "keys"
    file.write_text(file.read_text() + unused + "\n")
    status, answer = await afterword(settings, "key", "rotate", "--retire")
    assert status == 0
    assert answer["retired"] == [parse_keys([unused], "it").order[0]]
    add_key(file)
    status, answer = await afterword(settings, "key", "rotate", "--reseal-only")
    assert status == 0
    status, answer = await afterword(settings, "key", "rotate", "--retire")
    assert (status, answer["error"]["code"] if "error" in answer else answer) == (1, "too_fresh")
    await services.redis.hset(f"{settings.prefix}:rotation", "finished_ms", 1)
    status, answer = await afterword(settings, "key", "rotate", "--retire")
    assert (status, answer["kept"]) == (0, [old]), "the audit trail was signed with it"
    status, answer = await afterword(settings, "key", "status", "--usage")
    assert answer["usage"][old]["records"] == {}
    assert answer["usage"][old]["audit_entries"] > 0


async def test_rotation_is_refused_while_workers_live_on_other_machines(services, settings):
    await services.ledger.heartbeat("elsewhere-77-abcdef", 60_000, 8)
    status, answer = await afterword(settings, "key", "rotate")
    assert status == 1
    assert "elsewhere" in json.dumps(answer)
    assert len(load_key_ring(settings).order) == 1


async def test_every_sealed_value_in_redis_is_known_to_the_rotation(services, settings):
    await services.contents.put_document(DOCUMENT, "test")
    async for kind, value in services.rotation._beginnings():
        if value.startswith("aw1.") and key_id_of(value):
            assert kind in SEALED


def test_the_key_file_is_never_half_written(tmp_path):
    file = tmp_path / "keys"
    file.write_text(f"# ours\n{new_key()}\n")
    file.chmod(0o600)
    ring = FollowedKeys(file)
    old = ring.current[0]
    new = add_key(file)
    assert ring.current[0] == new
    assert ring.get(old) is not None
    assert file.read_text().startswith("# ours\n")
    assert file.stat().st_mode & 0o777 == 0o600
    drop_keys(file, frozenset({old, new}))
    assert (ring.get(old), ring.current[0]) == (None, new)


def test_a_key_file_that_becomes_unusable_leaves_the_keys_in_use(tmp_path, caplog):
    file = tmp_path / "keys"
    file.write_text(new_key() + "\n")
    file.chmod(0o600)
    ring = FollowedKeys(file)
    before = ring.current[0]
    file.write_text("not a key\n")
    assert ring.current[0] == before
    assert "stay in use" in caplog.text
    file.unlink()
    assert ring.current[0] == before
    with pytest.raises(ConfigError):
        add_key(file)


def test_a_digest_is_recognised_under_an_older_key_and_by_its_message_only():
    first, second = new_key(), new_key()
    before = Vault(parse_keys([first], "a")).digest("idempotency", b"message")
    after = Vault(parse_keys([second, first], "a"))
    assert after.matches(before, "idempotency", b"message")
    assert not after.matches(before, "idempotency", b"another")
    assert not after.matches(before, "digest", b"message")
    assert not Vault(parse_keys([second], "a")).matches(before, "idempotency", b"message")
