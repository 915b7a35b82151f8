"""Where checkpoints are kept outside Redis: which stay, and each kind of place."""

from __future__ import annotations

import re
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import Refused
from tasks.state.audit.checkpoint import Checkpoint, read_checkpoints
from tasks.state.audit.heads import HeadSum
from tasks.state.audit.outside import DAY_MS, NAME, outside, spare

NOW_MS = 1_767_225_600_000
POINT = Checkpoint(at_ms=NOW_MS, last_id="1-0", heads={}, total=HeadSum().total(), key="k1", mac="00")


def name(at_ms: int) -> str:
    """A kept file of that moment."""
    return f"{at_ms:013d}-00000000.json"


@given(ages=st.lists(st.integers(0, 400 * DAY_MS), max_size=200, unique=True))
def test_thinning_leaves_one_of_every_day_and_all_of_the_last_minutes(ages):
    """Whatever is thinned away, something of the same day stays: a trail that was flushed is contradicted by the day before."""
    names = {name(NOW_MS - age): age for age in ages}
    kept = names.keys() - set(spare(names, NOW_MS))
    assert {int(each[:13]) // DAY_MS for each in kept} == {int(each[:13]) // DAY_MS for each in names}
    assert all(each in kept for each, age in names.items() if age < 600_000)
    assert spare(kept, NOW_MS) == []


def test_a_year_of_checkpoints_every_five_minutes_is_some_hundred_files():
    """288 of the last day, one an hour of a month, one a day of the rest."""
    names = {name(NOW_MS - age) for age in range(0, 365 * DAY_MS, 300_000)}
    assert 1200 < len(names - set(spare(names, NOW_MS))) < 1400


def test_a_folder_keeps_instances_apart_and_leaves_other_files_alone(tmp_path):
    """Two Redis that share a data folder don't contradict each other; what lies beside is no checkpoint."""
    here, there = outside(None, tmp_path, "redis:6379/0-afterword"), outside(None, tmp_path, "redis:6379/1-afterword")
    here.write(POINT)
    (tmp_path / "redis_6379_0-afterword" / "notes.txt").write_text("heads")
    assert here.read() == [POINT]
    assert there.read() == []
    (file,) = list(tmp_path.rglob("*.json"))
    assert NAME.fullmatch(file.name)
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_systems_log_gets_a_line_that_can_be_read_back_from_a_file(tmp_path):
    """Nothing is read from the log itself."""
    path = str(tmp_path / "log")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(path)
        place = outside(f"syslog:{path}", tmp_path, "i")
        place.write(POINT)
        line = log.recv(65536).decode().rstrip("\n\x00")
    assert "audit checkpoint" in line
    assert read_checkpoints([line]) == [POINT]
    assert (place.read(), place.newest_ms(), place.names_heads) == ([], 0, False)


def test_a_log_that_is_not_there_is_an_error_of_the_system(tmp_path):
    """Told like a full disk, not by a traceback on the screen."""
    with pytest.raises(OSError, match="takes no"):
        outside(f"syslog:{tmp_path}/none", tmp_path, "i").write(POINT)


def test_an_object_store_keeps_and_thins_them(tmp_path):
    """Through fsspec, with its file system in memory."""
    place = outside("memory://bucket/audit", tmp_path, "i")
    older = POINT.model_copy(update={"at_ms": NOW_MS - 2 * DAY_MS})
    for point in (older, older.model_copy(update={"at_ms": older.at_ms + 1}), POINT):
        place.write(point)
    assert [point.at_ms for point in place.read()] == [older.at_ms + 1, NOW_MS]
    assert place.newest_ms() == NOW_MS


def test_a_store_that_is_not_known_is_refused_with_what_to_install(tmp_path):
    """At the start, not when the first checkpoint is due."""
    with pytest.raises(Refused) as refused:
        outside("nowhere://bucket", tmp_path, "i")
    assert re.search(r"fsspec", refused.value.advice)


def test_nothing_is_kept_where_nothing_is_wanted(tmp_path):
    """The operator's decision; `audit verify` then says what can't be known."""
    assert outside("none", tmp_path, "i") is None
