"""What the values of a work item's fields mean, whatever way the server writes them. Pure."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from tasks.destinations.tickets.drift import Forms
from tasks.destinations.tickets.values import in_utc, number

PATHS = ("System.AreaPath", "System.IterationPath")
_MOMENT = re.compile(r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?")
_MARKUP = re.compile(r"<[a-zA-Z/!]|&[#a-zA-Z]")


def form(name: str, value: object) -> str:
    """The value in the one form that stands for all ways of writing it."""
    if isinstance(value, dict):  # an identity
        return str(value.get("uniqueName") or value.get("displayName") or "").casefold()
    text = str(value).lower() if isinstance(value, bool) else str("" if value is None else value).strip()
    if (figure := number(text)) is not None:
        return figure
    if _MOMENT.match(text):
        return in_utc(text, "%Y-%m-%dT%H:%M:%S")
    if name in PATHS:
        return text.strip("\\").casefold()
    return _html(text) if _MARKUP.search(text) else " ".join(text.split())


def same(name: str, stored: object, sent: object) -> bool:
    """Whether the stored value is what was sent."""
    if isinstance(stored, dict):
        shown, unique = (str(stored.get(key) or "").casefold() for key in ("displayName", "uniqueName"))
        said = str(sent).strip().casefold()
        return bool(said) and said in (shown, unique, f"{shown} <{unique}>")
    return form(name, stored) == form(name, sent)


FORMS = Forms(form, same)


def _html(text: str) -> str:
    reader = _Pieces()
    reader.feed(text)
    reader.close()
    return "".join(reader.pieces)


class _Pieces(HTMLParser):
    """HTML as its tags and words, without what a server changes: case, quotes, order of attributes, spaces, entities."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = sorted((key, "".join((value or "").split()).rstrip(";")) for key, value in attrs)
        self.pieces.append(f"<{tag}{''.join(f' {key}={value}' for key, value in named)}>")

    def handle_endtag(self, tag: str) -> None:
        self.pieces.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self.pieces.append("".join(data.split()))
