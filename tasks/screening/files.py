"""What an attached file says: its text in whatever charset, and the texts inside archives, office files and PDFs, also where
those stand in a text as base64, as in a mail.

Bounded: an archive is unpacked up to `UNPACKED_BYTES` and `DEPTH` deep; what is larger, locked or of an unknown form is unreadable.
A picture holds no text to screen but what stands in its metadata.
"""

from __future__ import annotations

import base64
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

from tasks.screening.charsets import decoded, runs_in
from tasks.screening.pdf import UnreadablePdf, said_in

UNPACKED_BYTES = 32_000_000
ENTRIES = 500
DEPTH = 3
_PDF = b"%PDF-"
_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_ARCHIVES = (*_ZIP, b"\x1f\x8b", b"\xfd7zXZ")
# How archives begin in base64: gzip, zip, PDF, xz, and those that can't be read: 7z, RAR, bzip2, Zstandard.
_BEGINS = "H4sI|UEsDB|UEsFB|JVBERi|/Td6WF|N3q8r|UmFyIR|Qlpo|KLUv/"
# A further line is one of base64 alone: what begins with a word, such as the next name of a manifest, is none.
_IN_BASE64 = re.compile(
    rf"(?<![A-Za-z0-9+/])(?:{_BEGINS})[A-Za-z0-9+/]{{12,}}(?:\r?\n[ \t]*[A-Za-z0-9+/]++(?!={{0,2}}[ \t]*[\w:.-]))*={{0,2}}"
)
_MAY_BE_IN_BASE64 = re.compile(_BEGINS.encode())
_LOCKED = (
    b"7z\xbc\xaf'\x1c",
    b"Rar!\x1a\x07",
    b"\x28\xb5\x2f\xfd",
    b"\x04\x22\x4d\x18",
    *(b"BZh%d1AY" % n for n in range(1, 10)),
)
# Words in a PNG that are packed: keyword, and for iTXt languages, before them.
_PNG_WORDS = re.compile(rb"zTXt[^\x00]{1,79}\x00\x00|iTXt[^\x00]{1,79}\x00\x01\x00[^\x00]{0,99}\x00[^\x00]{0,99}\x00")
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
_MARKUP = re.compile(r"</?(?:w:p|a:p|text:p|si|row|c|br)\b[^>]*>")
_TAGS = re.compile(r"<[^>]*>")
_OFFICE = ("[Content_Types].xml", "mimetype", "word/", "xl/", "ppt/")
_OFFICE_PARTS = (".xml", ".rels")
_PRINTER = "xl/printerSettings/"  # what a sheet was printed with: no text


@dataclass(frozen=True)
class Said:
    """The texts of a file. With a `charset` the first is the file itself as text, and may be written back."""

    texts: tuple[str, ...] = ()
    charset: str | None = None
    readable: bool = True


class _Unreadable(Exception):
    """A file, or one inside of it, that nobody here can read."""


def said_by(content: bytes) -> Said:
    """What the file says; `readable` is False where some of it can't be told."""
    plain = None if is_packed(content) or content.startswith(_LOCKED) else decoded(content)
    # What begins as a picture does is one, unless all of it is text: BMP files begin with two letters.
    if plain is not None and _is_picture(content) and plain.charset != "utf-8":
        plain = None
    texts = [plain.text, *plain.beside] if plain else []
    charset = plain.charset if plain else None
    try:
        if plain is None:
            texts.extend(_inside(content, _Budget(), 0))
        else:
            texts.extend(_packed_in(plain.text, _Budget(), 0))
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
        return Said(tuple(texts), charset, readable=False)
    return Said(tuple(texts), charset)


def is_packed(content: bytes) -> bool:
    """Whether a file is an archive, an office file or a PDF."""
    return content.startswith((*_ARCHIVES, _PDF)) or content[257:262] == b"ustar"


def may_hold_more(content: bytes) -> bool:
    """Whether a file may hold far more than its size says."""
    return is_packed(content) or _MAY_BE_IN_BASE64.search(content) is not None


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
    if content.startswith(_ZIP):
        yield from _zipped(content, budget, depth)
    elif content.startswith(b"\x1f\x8b"):
        yield runs_in(content[:300])  # the name and the remark before what is packed
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
                yield f"{member.name}\n{member.linkname}"
                if member.isfile() and (stream := archive.extractfile(member)):
                    yield from _inside(budget.read(stream), budget, depth + 1)
    else:
        yield from _not_packed(content, budget, depth)


def _not_packed(content: bytes, budget: _Budget, depth: int) -> Iterator[str]:
    found = None if content.startswith(_LOCKED) else decoded(content)
    if _is_picture(content) and (found is None or found.charset != "utf-8"):
        yield from _in_picture(content, budget, depth)
    elif found:
        yield from (found.text, *found.beside)
        yield from _packed_in(found.text, budget, depth)
    else:
        raise _Unreadable


def _in_picture(content: bytes, budget: _Budget, depth: int) -> Iterator[str]:
    """The words in a picture's metadata, and what a zip behind it holds."""
    yield runs_in(content)
    for found in _PNG_WORDS.finditer(content):
        words = zlib.decompressobj().decompress(content[found.end() :], 1_000_000)
        budget.spend(len(words))
        yield words.decode("utf-8", "replace")
    if zipfile.is_zipfile(io.BytesIO(content)):
        yield from _zipped(content, budget, depth)


def _packed_in(text: str, budget: _Budget, depth: int) -> Iterator[str]:
    """What archives and PDFs say that stand in a text as base64."""
    for found in _IN_BASE64.finditer(text):
        packed = "".join(found.group().split()).rstrip("=")
        content = base64.b64decode(packed + "=" * (-len(packed) % 4))
        budget.spend(len(content))
        yield from _inside(content, budget, depth + 1)


def _zipped(content: bytes, budget: _Budget, depth: int) -> Iterator[str]:
    yield runs_in(content)  # remarks, and what lies between the entries
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
        office = any(name.startswith(_OFFICE) for name in names)
        for entry in archive.infolist():
            yield entry.filename
            if entry.is_dir():
                continue
            with archive.open(entry) as stream:
                part = budget.read(stream)
            if office and entry.filename.startswith(_PRINTER):
                yield runs_in(part)
            elif office and entry.filename.endswith(_OFFICE_PARTS):
                yield _TAGS.sub("", _MARKUP.sub("\n", part.decode("utf-8", "replace")))
            else:
                yield from _inside(part, budget, depth + 1)


def _is_picture(content: bytes) -> bool:
    return content.startswith(_PICTURES) or content[4:12].startswith(_BOXED)
