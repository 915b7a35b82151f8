"""Log lines: one an event, as text or as JSON, about a job where they are, without what only programs should see."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys

import pytest

from config.logging import configure_logging
from config.settings import Settings
from tasks import progress
from tasks.model import Job, parse_command


def job(number: int) -> Job:
    command = parse_command({"command": "create_servicenow_incident", "issue_id": "i"})
    facts = {"state": "running", "kind": "servicenow", "subject": "s", "order": 1, "attempts": number}
    return Job(
        id=f"job-{number}", command=command, destination="snow", created_ms=0, updated_ms=0, expires_ms=0, **facts
    )


@pytest.fixture
def lines(monkeypatch):
    """What our logging writes while something logs."""

    def of(form: str, act, **given) -> list[str]:
        root, stream = logging.getLogger(), io.StringIO()
        with monkeypatch.context() as patch:
            patch.setattr(root, "handlers", [])
            patch.setattr(root, "level", root.level)
            patch.setattr(logging, "raiseExceptions", True)
            patch.setattr(sys, "stderr", stream)
            configure_logging(Settings(log_format=form, **given), progress.facts)
            act()
        return stream.getvalue().splitlines()

    return of


def test_a_json_line_names_time_level_logger_message_job_destination_and_attempt(lines):
    def act():
        with progress.working_on(job(3)):
            logging.getLogger("tasks.x").warning("said %s", "words")

    (line,) = lines("json", act)
    found = json.loads(line)
    assert found.pop("time").endswith("+00:00")
    assert found == {
        "level": "WARNING",
        "logger": "tasks.x",
        "message": "said words",
        "job": "job-3",
        "destination": "snow",
        "attempt": 3,
    }


def test_a_text_line_names_the_job_as_well(lines):
    def act():
        with progress.working_on(job(3)):
            logging.getLogger("x").warning("said")
        logging.getLogger("x").warning("outside")

    inside, outside = lines("text", act)
    assert inside.endswith("WARNING x: said [job=job-3 destination=snow attempt=3]")
    assert outside.endswith("WARNING x: outside")


def test_attempts_that_run_at_once_keep_their_lines_apart_also_from_threads(lines):
    async def one(number: int) -> None:
        with progress.working_on(job(number)):
            await asyncio.sleep(0)
            await asyncio.to_thread(logging.getLogger("x").warning, "from %d", number)

    async def both():
        await asyncio.gather(*(one(number) for number in range(5)))

    found = [json.loads(line) for line in lines("json", lambda: asyncio.run(both()))]
    assert sorted(line["attempt"] for line in found) == list(range(5))
    assert all(line["message"] == f"from {line['attempt']}" for line in found)


@pytest.mark.parametrize("form", ["json", "text"])
def test_control_and_direction_characters_become_a_space(lines, form):
    (line,) = lines(form, lambda: logging.getLogger("x").warning("a\nb\r\nc\x1b[31m\u2028d\u202ee\x00f"))
    assert "a b c [31m d e f" in line


@pytest.mark.parametrize("form", ["json", "text"])
def test_an_exception_shows_its_type_and_place_and_not_its_words(lines, form):
    def fail():
        try:
            int("planted-words")
        except ValueError:
            logging.getLogger("x").exception("failed")

    (line,) = lines(form, fail)
    assert "ValueError at " in line
    assert "planted-words" not in line


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_line_whose_arguments_do_not_fit_is_dropped_without_showing_them(lines, form):
    assert lines(form, lambda: logging.getLogger("x").warning("%d", "planted-words")) == []


def test_a_message_in_another_script_stays_readable(lines):
    (line,) = lines("json", lambda: logging.getLogger("x").warning("Störung €"))
    assert "Störung €" in line


def test_arguments_of_tasks_stay_out_of_a_log_of_the_deepest_level(lines):
    def act():
        logging.getLogger("celery.pool").debug("TaskPool: Apply (args:%r)", ["planted"])
        logging.getLogger("celery.app.trace").info("Task succeeded")

    (line,) = lines("text", act, log_level="DEBUG")
    assert "Task succeeded" in line
