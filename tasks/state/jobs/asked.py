"""A filter of jobs as people write it: the parameters of the jobs page's address, which a saved view keeps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, NamedTuple

from pydantic import StringConstraints

from tasks.destinations import KINDS
from tasks.model import Frozen, JobState
from tasks.state.jobs.overview import JobFilter
from tasks.state.jobs.search import words_of

TROUBLED = (JobState.RETRYING, JobState.HELD, JobState.DEAD)
DAY_MS = 86_400_000
LONGEST = 200  # characters of each parameter
Words = Annotated[str, StringConstraints(max_length=LONGEST, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$")]
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_DAY = re.compile(r"(\d{4}-\d\d-\d\d)([+-]\d\d:\d\d)?", re.ASCII)


class Asked(Frozen):
    """What a filter is made from, as text; empty where nothing is asked. `q` are words, `since` and `until` the first and
    the last day on which a job was submitted: YYYY-MM-DD in UTC, or with the zone that it is a day of (2026-11-28+09:00).
    """

    q: Words = ""
    state: Words = ""
    destination: Words = ""
    kind: Words = ""
    cause: Words = ""
    since: Words = ""
    until: Words = ""


def asked_of(given: Mapping[str, str]) -> Asked:
    """What an address or a form asks; other parameters, control characters and what is longer than allowed are left out."""
    found = {name: _CONTROL.sub("", given.get(name, ""))[:LONGEST].strip() for name in Asked.model_fields}
    return Asked(**found)


class Understood(NamedTuple):
    """The filter, and what of the text it leaves out because it isn't understood, in words."""

    chosen: JobFilter
    troubles: tuple[str, ...]


def understood(asked: Asked) -> Understood:
    """The filter that a text means."""
    troubles = []
    state = JobState(asked.state) if asked.state in {known.value for known in JobState} else None
    if asked.state and state is None:
        troubles.append(f"There is no state {asked.state!r}.")
    if asked.kind and asked.kind not in KINDS:
        troubles.append(f"There is no kind of destination {asked.kind!r}.")
    if asked.cause and state not in TROUBLED:
        troubles.append("A cause goes with the state retrying, held or dead.")
    if asked.q and not words_of([asked.q]):
        troubles.append(f"{asked.q!r} has no word to search for: a word has two letters or more, or is a number.")
    days = {"since": _day_ms(asked.since), "until": _day_ms(asked.until)}
    for name, day_ms in days.items():
        if day_ms is None and (text := getattr(asked, name)):
            troubles.append(f"{text!r} is not a day; write it as 2026-11-28.")
    chosen = JobFilter(
        state=state,
        destination=asked.destination or None,
        cause=asked.cause or None if state in TROUBLED else None,
        kind=asked.kind if asked.kind in KINDS else None,
        text=asked.q or None,
        since_ms=days["since"],
        until_ms=None if days["until"] is None else days["until"] + DAY_MS,
    )
    return Understood(chosen, tuple(troubles))


def _day_ms(text: str) -> int | None:
    """The beginning of a day in epoch milliseconds; None where it is none."""
    if not (found := _DAY.fullmatch(text)):
        return None
    try:
        return int(datetime.fromisoformat(f"{found[1]}T00:00{found[2] or '+00:00'}").timestamp() * 1000)
    except ValueError:
        return None
