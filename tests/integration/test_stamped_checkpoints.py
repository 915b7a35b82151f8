"""Checkpoints with a time stamp from outside: had by workers, checked by `audit verify`, and nothing that a delivery waits for."""

from __future__ import annotations

import pytest

from tasks.model import parse_command
from tasks.state.audit.notary import NotStamped, time_stamp_authority
from tasks.state.audit.stamps import stamp_health
from tests.conftest import until
from tests.integration.test_lifecycle import DOCUMENT, PUBLISH
from tests.integration.test_rotation import afterword, printed
from tests.time_stamps import Authority, certificates, openssl, serving
from worker.metrics import render
from worker.runtime import open_services


@pytest.fixture
def authority(tmp_path, monkeypatch):
    """An honest one, which every process of this test asks."""
    openssl()
    certificates(tmp_path / "tsa")
    with serving(Authority(tmp_path / "tsa")) as found:
        monkeypatch.setenv("AFTERWORD_TIMESTAMP_URL", found.url)
        monkeypatch.setenv("AFTERWORD_TIMESTAMP_CA_FILE", str(found.ca_file))
        monkeypatch.setenv("AFTERWORD_CHECKPOINT_EVERY_S", "0.2")
        yield found


@pytest.fixture
def asking(settings, authority):
    """The settings of a process that asks it."""
    return settings.model_copy(update={"timestamp_url": authority.url, "timestamp_ca_file": authority.ca_file})


def files(settings, ending: str):
    """What is kept; a name that begins with a dot is still being written."""
    return sorted((settings.data / "checkpoints").rglob(f"[!.]*{ending}"))


async def let_it_try_again(services) -> None:
    """As if half a minute had passed."""
    async for key in services.redis.scan_iter(f"{services.settings.prefix}:audit:stamping:*"):
        await services.redis.delete(key)


async def test_a_worker_has_checkpoints_stamped_and_verify_says_since_when(
    destinations, services, asking, authority, start_worker
):
    """And who has `openssl` and the two files comes to the same result."""
    start_worker()
    await services.contents.put_document(DOCUMENT, "test")

    async def stamped() -> bool:
        return bool(files(asking, ".tsr"))

    await until(stamped, what="a time stamp")
    stamp = files(asking, ".tsr")[0]
    assert authority.accepts(stamp.with_suffix(".json"), stamp)
    _, report = await afterword(asking, "audit", "verify")
    assert report["verdict"] == "complete", report
    assert report["stamped"]["checkpoints"] >= 1
    assert report["stamped"]["since_ms"] <= report["stamped"]["until_ms"]
    _, said = await printed(asking, "audit", "verify")
    assert "have a time stamp from outside" in said


async def test_a_stamp_that_does_not_fit_its_checkpoint_breaks_the_trail(services, asking, authority):
    """One that was put there for another checkpoint, and one that was damaged; without certificates nothing is claimed."""
    async with open_services(asking) as stamping:
        await stamping.contents.put_document(DOCUMENT, "test")
        await stamping.keep_checkpoint()
        assert await stamping.stamp_checkpoint()
        assert not await stamping.stamp_checkpoint(), "once is enough"
        assert (await stamping.audit.verify()).stamped.checkpoints == 1
        unread = await services.audit.verify()
        assert (unread.verdict, unread.stamped.checkpoints, unread.stamped.unchecked) == ("complete", 0, 1)
        (stamp,) = files(asking, ".tsr")
        good = stamp.read_bytes()
        for bad in (await stamping.audit.notary.stamp(b"another"), good[:-1], b"<html>"):
            stamp.write_bytes(bad)
            report = await stamping.audit.verify()
            assert report.verdict == "broken"
            assert report.problems[0].startswith("time stamp of the checkpoint of")
        stamp.write_bytes(good)
        assert (await stamping.audit.verify()).verdict == "complete"


async def test_a_checkpoint_made_anew_with_our_keys_does_not_fit_the_stamp(asking, authority):
    """The reason for all this: he has keys, Redis and the folder, and yet can't have written it earlier."""
    async with open_services(asking) as stamping:
        await stamping.contents.put_document(DOCUMENT, "test")
        await stamping.keep_checkpoint()
        await stamping.stamp_checkpoint()
        (file,) = files(asking, ".json")
        point = (await stamping.audit.checkpoint()).model_copy(update={"at_ms": 1}).signed(stamping.vault)
        file.write_text(point.line() + "\n")
        report = await stamping.audit.verify()
    assert "another content" in report.problems[0]


async def test_an_authority_that_is_away_stops_no_delivery_and_is_asked_again(
    destinations, services, asking, authority, start_worker
):
    """The log, doctor and a metric tell of it; when it is back, all is well without anybody's doing."""
    authority.answer = lambda _: (503, "text/html", b"<html>later</html>")
    start_worker()
    job = await services.submit(parse_command(PUBLISH), actor="test", document=DOCUMENT)

    async def delivered() -> bool:
        return (await services.ledger.require(job.id)).state == "delivered"

    async def refused() -> bool:
        return (await stamp_health(services.redis, asking.prefix)).failing

    await until(delivered, what="the job delivered")
    await until(refused, what="a refusal")
    _, doctor = await afterword(asking, "doctor")
    (told,) = [row for row in doctor["checks"] if row["check"] == "time stamps"]
    assert not told["ok"]
    assert "answers 503 with text/html" in told["detail"]
    assert "there is none yet" in told["detail"]
    async with open_services(asking) as other:
        assert "\nafterword_audit_stamp_failing 1.0\n" in (await render(other)).decode()
        authority.answer = None

        async def stamped() -> bool:
            await let_it_try_again(services)
            return bool(files(asking, ".tsr"))

        await until(stamped, what="a time stamp")

        async def well() -> bool:
            return not (await stamp_health(services.redis, asking.prefix)).failing

        await until(well, what="a good word")
        assert "\nafterword_audit_stamp_failing 0.0\n" in (await render(other)).decode()
    _, doctor = await afterword(asking, "doctor")
    (told,) = [row for row in doctor["checks"] if row["check"] == "time stamps"]
    assert told["ok"]


async def test_only_one_process_asks_for_a_checkpoint_at_a_time(asking, authority):
    """Many workers, one request; a failure isn't repeated at once."""
    authority.answer = lambda _: (503, "text/plain", b"")
    async with open_services(asking) as one, open_services(asking) as other:
        await one.contents.put_document(DOCUMENT, "test")
        await one.keep_checkpoint()
        with pytest.raises(NotStamped):
            await one.stamp_checkpoint()
        assert not await other.stamp_checkpoint()
        assert len(authority.queries) == 1
        await let_it_try_again(one)
        authority.answer = None
        assert await other.stamp_checkpoint()


async def test_certificates_alone_are_enough_to_verify(asking, authority):
    """On an auditor's machine, which asks nobody."""
    async with open_services(asking) as stamping:
        await stamping.contents.put_document(DOCUMENT, "test")
        await stamping.keep_checkpoint()
        await stamping.stamp_checkpoint()
    alone = asking.model_copy(update={"timestamp_url": None})
    assert not time_stamp_authority(None, authority.ca_file).asks
    async with open_services(alone) as auditor:
        assert (await auditor.audit.verify()).stamped.checkpoints == 1
        assert not await auditor.stamp_checkpoint()
