"""One pass over a text: every finder on the text itself and on each other reading of it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tasks.screening.assignments import assignments
from tasks.screening.engine import by_providers, without
from tasks.screening.finding import Finding, merged
from tasks.screening.manifests import in_manifests
from tasks.screening.normalise import Reading, readings
from tasks.screening.personal import personal
from tasks.screening.shapes import by_shape
from tasks.screening.tables import in_tables

_WHOLE = frozenset({"ApiKey", "AwsAccessKey", "JWT", "Webhook"})  # found as long as they are
_SURROGATES = re.compile("[\ud800-\udfff]")


def scan(text: str) -> list[Finding]:
    """All findings, in order and without overlap, as character offsets in `text`."""
    source = text if text.isascii() else _SURROGATES.sub("\ufffd", text)
    first = Reading(source)
    found = list(_in_one(first))
    for reading in readings(first):
        for finding in _in_one(reading):
            start, end = reading.span(finding.start, finding.end)
            found.append(Finding(finding.type, start, end, finding.severity, finding.category))
    return merged(found)


def _in_one(reading: Reading) -> Iterator[Finding]:
    raw, text = reading.raw, reading.text
    known = [*by_shape(raw, text), *assignments(raw, text)]
    yield from known
    yield from in_tables(raw, text)
    yield from in_manifests(raw, text)
    yield from by_providers(without(raw, (finding for finding in known if finding.type in _WHOLE)))
    yield from personal(raw, text)
