"""The audit trail leaves Redis and comes back: checkpoints, exports, trimming, and what an intruder could do to it."""

from __future__ import annotations

import json
import logging

import pytest

from tasks.errors import Refused
from tasks.state.audit import export as trail
from tasks.state.audit.checkpoint import read_checkpoints
from tasks.state.audit.trail import Audit
from tasks.state.upkeep import trimming
from tests.integration.test_lifecycle import DOCUMENT
from tests.integration.test_rotation import afterword, printed
from worker.rounds.checkpoints import log_if_due
from worker.runtime import open_services


async def put(services, count: int = 3) -> None:
    for _ in range(count):
        await services.contents.put_document(DOCUMENT, "test")


async def exported(services, **part) -> list[str]:
    return [line async for line in trail.lines(services.audit, services.vault, "1.0", **part)]


def alone(services) -> Audit:
    """The trail as somebody sees who knows nothing but Redis and the keys."""
    return Audit(services.redis, services.vault, services.settings.prefix)


def keys(settings) -> tuple[str, str]:
    return f"{settings.prefix}:audit", f"{settings.prefix}:audit:heads"


async def trimmed(services, before_ms: int) -> int:
    return await trimming.trim(services.audit, services.journal, services.vault, before_ms=before_ms, actor="test")


def later_ms(services) -> int:
    """A time after everything so far."""
    return services.core.clock_ms() + 60_000


async def put_a_moment_later(services) -> int:
    """Put until an entry has a later time than the one before it; returns that time. No clock but the trail's is asked."""

    async def times() -> list[int]:
        return [
            int(identifier.split(b"-")[0]) for identifier, _ in await services.redis.xrange(keys(services.settings)[0])
        ]

    while len(known := await times()) < 2 or known[-2] == known[-1]:
        await put(services, 1)
    return known[-1]


async def test_a_tail_cut_off_with_its_head_shows_against_a_checkpoint(services, settings):
    stream, heads = keys(settings)
    await put(services)
    saved = await services.redis.hgetall(heads)
    await put(services)
    checkpoint = await services.audit.checkpoint()
    rows = await services.redis.xrevrange(stream, count=3)
    await services.redis.xdel(stream, *(identifier for identifier, _ in rows))
    await services.redis.hset(heads, mapping=saved)
    assert (await alone(services).verify()).verdict == "unknown", "the chain by itself holds"
    report = await services.audit.verify([checkpoint])
    assert not report.ok
    assert "a checkpoint names entry 6" in report.problems[0]


async def test_a_chain_removed_as_a_whole_shows_against_a_checkpoint(services, settings):
    stream, heads = keys(settings)
    await put(services)
    checkpoint = await services.audit.checkpoint()
    await services.redis.delete(stream, heads)
    assert not (await services.audit.verify([checkpoint])).ok


async def test_a_checkpoint_that_was_changed_is_not_believed(services):
    await put(services)
    checkpoint = await services.audit.checkpoint()
    forged = checkpoint.model_copy(update={"heads": {}})
    assert "changed or forged" in (await services.audit.verify([forged])).problems[0]
    assert (await services.audit.verify([checkpoint])).ok


async def test_the_trail_goes_on_holding_after_the_exported_part_is_trimmed(services):
    await put(services)
    lines = await exported(services)
    before_ms = await put_a_moment_later(services)
    count = (await services.audit.verify()).entries
    checkpoint = await services.audit.checkpoint()
    assert await trimmed(services, before_ms) == count - 1
    await put(services)
    report = await services.audit.verify([checkpoint])
    assert report.ok, report.problems
    assert report.entries == 5, "the last before, three after, and the trimming itself"
    assert trail.verify_export(services.vault, lines).ok
    second = await exported(services)
    assert trail.verify_export(services.vault, second).ok
    assert trail.verify_export(services.vault, second).entries == 5


async def test_chains_of_processes_that_ended_go_with_their_last_entry(services, settings):
    async with open_services(settings) as other:
        await put(other)
    before_ms = later_ms(services)
    assert await trimmed(services, before_ms) == 3
    assert len(await services.redis.hgetall(keys(settings)[1])) == 1
    assert (await services.audit.verify()).ok
    await put(services)
    assert (await services.audit.verify()).ok


async def test_trimming_without_the_signed_base_shows(services, settings):
    await put(services)
    base = f"{settings.prefix}:audit:base"
    await services.redis.xtrim(keys(settings)[0], maxlen=1, approximate=False)
    assert not (await services.audit.verify()).ok
    forged = (await services.audit.checkpoint()).model_copy(update={"kind": "base"})
    await services.redis.set(base, forged.model_dump_json())
    assert "base" in (await services.audit.verify()).problems[0]


async def test_a_trail_that_does_not_hold_is_not_trimmed(services, settings):
    await put(services)
    first = (await services.redis.xrange(keys(settings)[0], count=1))[0][0]
    await services.redis.xdel(keys(settings)[0], first)
    with pytest.raises(Refused, match="nothing was deleted"):
        await trimmed(services, later_ms(services))


@pytest.mark.parametrize("mischief", ["edit", "drop", "swap", "cut", "end"])
async def test_an_export_that_was_tampered_with_does_not_verify(services, mischief):
    await put(services, 4)
    lines = await exported(services)
    match mischief:
        case "edit":
            lines[1] = lines[1].replace('\\"actor\\":\\"test\\"', '\\"actor\\":\\"else\\"')
        case "drop":
            del lines[1]
        case "swap":
            lines[0], lines[1] = lines[1], lines[0]
        case "cut":
            del lines[3]
        case "end":
            del lines[-1]
    assert not trail.verify_export(services.vault, lines).ok


async def test_an_export_to_standard_output_is_one_document_where_json_is_asked_for(services, settings):
    await put(services)
    status, answer = await afterword(settings, "audit", "export")
    assert (status, answer["entries"], len(answer["lines"])) == (0, 3, 4)
    file = settings.data / "document.json"
    file.write_text((await printed(settings, "audit", "export", "--json"))[1], "utf-8")
    status, answer = await afterword(settings, "audit", "verify", "--export", str(file))
    assert (status, answer["ok"], answer["entries"]) == (0, True, 4)
    _, lines = await printed(settings, "audit", "export")
    assert trail.verify_export(services.vault, lines.splitlines()).entries == 5


@pytest.mark.parametrize("signed_as_a_whole", [True, False])
@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("actor", "user", "name"), "somebody else"),
        (("api", "operation"), "GET /nothing"),
        (("status_id",), 2),
        (("time",), 1764000000001),
        (("message",), "document.removed"),
        (("src_endpoint", "name"), "elsewhere"),
        (("severity_id",), 6),
        (("added",), "by hand"),
    ],
    ids=lambda part: ".".join(part) if isinstance(part, tuple) else "",
)
async def test_a_field_made_from_an_entry_that_was_changed_shows(services, place, value, signed_as_a_whole):
    await put(services, 2)
    lines = [json.loads(line) for line in await exported(services)]
    if not signed_as_a_whole:  # as older versions wrote
        del lines[-1]["lines"]
    assert trail.verify_export(services.vault, _again(lines)).ok
    inner = lines[1]
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    report = trail.verify_export(services.vault, _again(lines))
    assert not report.ok
    assert "line 2" in report.problems[0]


def _again(lines: list[dict]) -> list[str]:
    return [json.dumps(line, ensure_ascii=False, separators=(",", ":")) for line in lines]


async def test_an_entrys_place_and_the_version_that_wrote_it_are_signed_with_the_lines(services):
    await put(services, 2)
    lines = await exported(services)
    for written, changed in ((lines[1], lines[1].replace('"1.0"', '"0.9"')), (lines[0], lines[0].replace("-0", "-1"))):
        assert written != changed
        report = trail.verify_export(services.vault, [changed if line == written else line for line in lines])
        assert report.problems == ("the export's lines are not those that were written",)


async def test_lines_made_by_another_version_hold_where_they_are_signed(services, monkeypatch):
    await put(services, 2)
    lines = await exported(services)
    monkeypatch.setattr("tasks.state.audit.ocsf.VERSION", "9.9.9")
    assert trail.verify_export(services.vault, lines).ok


async def test_a_part_of_the_trail_verifies_by_itself(services):
    await put(services, 2)
    middle = (await services.audit.tail(1))[0].id
    await put(services, 2)
    part = await exported(services, after=middle)
    report = trail.verify_export(services.vault, part)
    assert (report.ok, report.entries) == (True, 2)
    assert not trail.verify_export(services.vault, [part[0], *part[2:]]).ok


async def test_an_export_is_ocsf_and_holds_no_body(services):
    await put(services, 1)
    event = json.loads((await exported(services))[0])
    assert event["class_uid"] == 6003
    assert event["type_uid"] == 600300 + event["activity_id"]
    assert {"actor", "api", "metadata", "severity_id", "src_endpoint", "time"} <= event.keys()
    assert DOCUMENT.content_md not in json.dumps(event)


async def test_one_worker_logs_a_checkpoint_in_an_interval(services, settings, caplog):
    await put(services)
    with caplog.at_level(logging.INFO, logger="worker.rounds.checkpoints"):
        assert await log_if_due(services)
        async with open_services(settings) as other:
            assert not await log_if_due(other)
    text = next(record.getMessage() for record in caplog.records).removeprefix("audit checkpoint ")
    assert (await services.audit.verify(read_checkpoints([text]))).checkpoints == 1


async def test_a_checkpoint_that_was_not_written_is_made_up_for_within_a_minute(services, settings, monkeypatch):
    mark = f"{settings.prefix}:checkpointed"

    async def crash():
        raise OSError("died over it")

    monkeypatch.setattr(services.audit, "checkpoint", crash)
    with pytest.raises(OSError, match="died"):
        await log_if_due(services)
    assert 0 < await services.redis.pttl(mark) <= 60_000
    await services.redis.delete(mark)  # the minute has passed
    monkeypatch.undo()
    assert await log_if_due(services)
    assert await services.redis.pttl(mark) > 60_000


async def test_the_commands_export_trim_and_verify(services, settings):
    await put(services)
    status, answer = await afterword(settings, "audit", "checkpoint")
    assert status == 0
    file = settings.data / "export.jsonl"
    status, answer = await afterword(settings, "audit", "export", "--out", str(file), "--trim-days", "1")
    assert (status, answer["entries"], answer["dropped"]) == (0, 3, 0)
    status, answer = await afterword(settings, "audit", "verify", "--export", str(file))
    assert (status, answer["ok"], answer["entries"]) == (0, True, 3)
    status, answer = await afterword(settings, "audit", "verify")
    assert (status, answer["checkpoints"]) == (0, 2), "the one that was asked for, and the export's own at its end"
    status, answer = await afterword(settings, "audit", "export", "--out", str(file))
    assert status == 1
    assert "doesn't exist yet" in answer["error"]["advice"]
    assert await services.redis.zcard(f"{settings.prefix}:intents") == 0, "an export is no request"
    stream, heads = keys(settings)
    await services.redis.delete(stream, heads)
    status, answer = await afterword(settings, "audit", "verify")
    assert (status, answer["ok"]) == (1, False)
    status, answer = await afterword(settings, "audit", "verify", "--checkpoint", str(settings.data / "keys"))
    assert status == 1
    status, answer = await afterword(settings, "audit", "verify", "--export", str(settings.data / "keys"))
    assert (status, answer["error"]["code"]) == (1, "bad_export")
