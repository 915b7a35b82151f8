"""What a PDF says: the text of its pages, and every string, stream of metadata and file that hangs on it.

Read by pypdf, which is slow where somebody means it to be: this belongs in a process that can be ended.
"""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Iterator
from typing import Any

MOST_PAGES = 2_000
MOST_OBJECTS = 200_000
_UNTOLD = frozenset({"Cc", "Co", "Cn"})  # control characters, and those that mean nothing by themselves


class UnreadablePdf(Exception):
    """It is locked, damaged, or its letters can't be told."""


def said_in(content: bytes) -> Iterator[str | bytes]:
    """The texts of a PDF, and the files inside it as bytes; raises `UnreadablePdf`."""
    try:
        yield from _said_in(content)
    except UnreadablePdf:
        raise
    except Exception:  # a damaged one is met with any of Python's errors
        raise UnreadablePdf from None


def _said_in(content: bytes) -> Iterator[str | bytes]:
    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(content), strict=False)
    if (reader.is_encrypted and not reader.decrypt("")) or len(reader.pages) > MOST_PAGES:
        raise UnreadablePdf
    for page in reader.pages:
        yield _told(page.extract_text())
    yield from _hanging_on(reader.trailer)


def _told(text: str) -> str:
    """A page's text, if its letters can be told: a font may name none of them."""
    untold = sum(unicodedata.category(char) in _UNTOLD and char not in "\n\r\t\x0c" for char in text)
    if untold * 20 > len(text):
        raise UnreadablePdf
    return text


def _hanging_on(trailer: Any) -> Iterator[str | bytes]:
    """All strings of the document (its properties, links, notes, fields of forms), as one text; metadata; embedded files."""
    from pypdf.generic import ArrayObject, DictionaryObject, IndirectObject, StreamObject, TextStringObject

    strings: list[str] = []
    seen: set[tuple[int, int]] = set()
    waiting: list[Any] = [trailer]
    while waiting:
        found = waiting.pop()
        if isinstance(found, IndirectObject):
            place = (found.idnum, found.generation)
            if place in seen:
                continue
            seen.add(place)
            if len(seen) > MOST_OBJECTS:
                raise UnreadablePdf
            found = found.get_object()
        if isinstance(found, TextStringObject):
            strings.append(str(found))
        elif isinstance(found, ArrayObject):
            waiting += list(found)
        elif isinstance(found, DictionaryObject):
            waiting += [found.raw_get(name) for name in found]
            kind = found.get("/Type")
            if isinstance(found, StreamObject) and kind in ("/EmbeddedFile", "/Metadata"):
                yield found.get_data()
    yield "\n".join(strings)
