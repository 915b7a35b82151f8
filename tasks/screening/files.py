"""What an attached file says: its text in whatever charset, and the texts inside archives, office files and PDFs.

Bounded: an archive is unpacked up to `UNPACKED_BYTES` and `DEPTH` deep; what is larger, locked or of an unknown form is unreadable.
A picture holds no text to screen but what stands in its metadata.
"""

from __future__ import annotations

import gzip
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, cast

from charset_normalizer import from_bytes

from tasks.screening.pdf import UnreadablePdf, said_in

UNPACKED_BYTES = 32_000_000
ENTRIES = 500
DEPTH = 3
_PDF = b"%PDF-"
_ARCHIVES = (b"PK", b"\x1f\x8b", b"BZh", b"\xfd7zXZ")
_SAMPLE = 64_000  # bytes that a charset is told from
_PICTURES = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF87a",
    b"GIF89a",
    b"BM",
    b"II*\x00",
    b"MM\x00*",
    b"\x00\x00\x01\x00",
    b"RIFF",
    b"OggS",
    b"ID3",
    b"wOFF",
    b"wOF2",
)
_BOXED = (b"ftypavif", b"ftypheic", b"ftypmp4", b"ftypisom", b"ftypqt", b"ftypM4")
_METADATA = re.compile(rb"[\x20-\x7e]{24,}")
_MARKUP = re.compile(r"</?(?:w:p|a:p|text:p|si|row|c|br)\b[^>]*>")
_TAGS = re.compile(r"<[^>]*>")
_OFFICE = ("[Content_Types].xml", "mimetype", "word/", "xl/", "ppt/")
_OFFICE_PARTS = (".xml", ".rels")


@dataclass(frozen=True)
class Said:
    """The texts of a file. One of `charset` is the file itself as text, and may be written back."""

    texts: tuple[str, ...] = ()
    charset: str | None = None
    readable: bool = True


class _Unreadable(Exception):
    """A file, or one inside of it, that nobody here can read."""


def said_by(content: bytes) -> Said:
    """What the file says; `readable` is False where some of it can't be told."""
    if not content.startswith((*_ARCHIVES, _PDF)) and not _is_picture(content) and (found := _decoded(content)):
        text, charset = found
        return Said((text,), charset)
    texts: list[str] = []
    try:
        texts.extend(_inside(content, _Budget(), 0))
    except (
        _Unreadable,
        UnreadablePdf,
        OSError,
        EOFError,
        ValueError,
        RuntimeError,
        NotImplementedError,
        zlib.error,
        lzma.LZMAError,
        tarfile.TarError,
        zipfile.BadZipFile,
    ):
        return Said(tuple(texts), readable=False)
    return Said(tuple(texts))


def is_packed(content: bytes) -> bool:
    """Whether a file may hold far more than its size says: an archive, an office file or a PDF."""
    return content.startswith((*_ARCHIVES, _PDF)) or content[257:262] == b"ustar"


@dataclass
class _Budget:
    left: int = UNPACKED_BYTES
    entries: int = ENTRIES

    def read(self, stream: IO[bytes]) -> bytes:
        content = stream.read(self.left + 1) or b""
        self.spend(len(content))
        return content

    def spend(self, size: int, *, entries: int = 1) -> None:
        self.entries -= entries
        self.left -= size
        if self.left < 0 or self.entries < 0:
            raise _Unreadable


def _inside(content: bytes, budget: _Budget, depth: int) -> Iterator[str]:
    if depth > DEPTH:
        raise _Unreadable
    if not content:
        return
    if content.startswith(b"PK"):
        yield from _zipped(content, budget, depth)
    elif content.startswith(b"\x1f\x8b"):
        with gzip.open(io.BytesIO(content)) as unzipped:
            yield from _inside(budget.read(cast("IO[bytes]", unzipped)), budget, depth + 1)
    elif content.startswith(_PDF):
        for part in said_in(content):
            budget.spend(len(part), entries=isinstance(part, bytes))
            if isinstance(part, str):
                yield part
            else:
                yield from _inside(part, budget, depth + 1)
    elif content.startswith(b"\xfd7zXZ"):
        with lzma.open(io.BytesIO(content)) as unpacked:
            yield from _inside(budget.read(unpacked), budget, depth + 1)
    elif content[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            for member in archive:
                yield member.name
                if member.isfile() and (stream := archive.extractfile(member)):
                    yield from _inside(budget.read(stream), budget, depth + 1)
    elif _is_picture(content):
        yield "\n".join(run.decode("ascii") for run in _METADATA.findall(content[:1_000_000]))
    elif found := _decoded(content):
        yield found[0]
    else:
        raise _Unreadable


def _zipped(content: bytes, budget: _Budget, depth: int) -> Iterator[str]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
        office = any(name.startswith(_OFFICE) for name in names)
        for entry in archive.infolist():
            yield entry.filename
            if entry.is_dir():
                continue
            with archive.open(entry) as stream:
                part = budget.read(stream)
            if office and entry.filename.endswith(_OFFICE_PARTS):
                yield _TAGS.sub("", _MARKUP.sub("\n", part.decode("utf-8", "replace")))
            else:
                yield from _inside(part, budget, depth + 1)


def _is_picture(content: bytes) -> bool:
    return content.startswith(_PICTURES) or content[4:12].startswith(_BOXED)


def _decoded(content: bytes) -> tuple[str, str] | None:
    """The content as text and its charset; None for what is no text."""
    for mark, charset in (
        (b"\xef\xbb\xbf", "utf-8-sig"),
        (b"\xff\xfe\x00\x00", "utf-32"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
    ):
        if content.startswith(mark):
            return content.decode(charset, "replace"), charset
    if b"\x00" in content[:_SAMPLE]:
        return _wide(content)
    try:
        return content.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as error:
        if len(content) - error.start < 4 or (
            content.decode("utf-8", "ignore").isascii() is False and _mostly(content)
        ):
            return content.decode("utf-8", "replace"), "utf-8"
    if content.startswith(_PDF) or _controls(content[:_SAMPLE]):
        return None
    best = from_bytes(content[:_SAMPLE]).best()
    charset = best.encoding if best else "latin-1"
    return content.decode(charset, "replace"), charset


def _wide(content: bytes) -> tuple[str, str] | None:
    """UTF-16 without a mark: every other byte of Latin text is zero."""
    for charset, zeros in (("utf-16-le", content[1:_SAMPLE:2]), ("utf-16-be", content[0:_SAMPLE:2])):
        if zeros and zeros.count(0) * 10 > len(zeros) * 6:
            return content.decode(charset, "replace"), charset
    return None


def _mostly(content: bytes) -> bool:
    """True for UTF-8 with a few broken bytes in it."""
    text = content.decode("utf-8", "replace")
    return (
        text.count("\ufffd") * 50 < len(text)
        and not _controls(content[:_SAMPLE])
        and any(ord(c) > 0x7F and c != "\ufffd" for c in text[:_SAMPLE])
    )


def _controls(sample: bytes) -> bool:
    """True where more than a few bytes are control characters: no text."""
    return sum(byte < 32 and byte not in (9, 10, 12, 13, 27) for byte in sample) * 100 > len(sample)
