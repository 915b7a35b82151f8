"""A secret in a file is found, or the file is one that nobody here can read: none passes in silence. Secrets are made up."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import pickle
import quopri
import struct
import tarfile
import zipfile
import zlib

import pytest

from tasks.screening import Policy, screen
from tasks.screening.files import may_hold_more, said_by

SECRET = "password=" + "Tr0ub4dor" + "&3x"
ESCAPED = SECRET.replace("&", "&amp;")
TEXT = f"line one\n{SECRET}\nend\n"
ACCENTS = f"caf\u00e9 line one\n{SECRET}\nend\n"
TOKEN = "ghp_" + "a8Fk2Lq9Zx7Vb3Nm5Pw1Rt6Yu4Ic0OsEd2Gh"


def zipped(name: str, content: bytes | str, remark: bytes = b"") -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
        archive.comment = remark
    return into.getvalue()


def tarred(mode: str, form: int = tarfile.PAX_FORMAT) -> bytes:
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode=mode, format=form) as archive:
        entry = tarfile.TarInfo("a.log")
        entry.size = len(TEXT)
        archive.addfile(entry, io.BytesIO(TEXT.encode()))
    return into.getvalue()


def mail(encoding: str, body: bytes, kind: str = "text/plain; charset=iso-8859-1") -> bytes:
    head = f"From: a@example.com\nSubject: logs\nMIME-Version: 1.0\nContent-Type: {kind}\n"
    return f"{head}Content-Transfer-Encoding: {encoding}\n\n".encode() + body


def png(kind: bytes, body: bytes) -> bytes:
    parts = [(b"IHDR", bytes(13)), (kind, body), (b"IEND", b"")]
    made = [struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(made)


CHARSETS = {
    **{name: ACCENTS.encode(name) for name in ("utf-8", "utf-8-sig", "latin-1", "cp1252", "mac_roman")},
    **{name: ACCENTS.encode(name) for name in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")},
    "utf-16-be with its mark": b"\xfe\xff" + ACCENTS.encode("utf-16-be"),
    "utf-32-be with its mark": b"\x00\x00\xfe\xff" + ACCENTS.encode("utf-32-be"),
    **{name: TEXT.encode(name) for name in ("cp037", "cp500", "cp1140")},
    "cp037, short": SECRET.encode("cp037"),
    "utf-7": b"password+AD0-Tr0ub4dor+ACY-3x\n",
    "shift_jis": f"\u30c7\u30fc\u30bf\u63a5\u7d9a\n{SECRET}\n".encode("shift_jis"),
    "gbk": f"\u6570\u636e\u5e93\u8fde\u63a5\u6c60\n{SECRET}\n".encode("gbk"),
    "koi8-r": f"\u043f\u0430\u0440\u043e\u043b\u044c\n{SECRET}\n".encode("koi8-r"),
    "letters of one byte behind ones of two": "hello world\n".encode("utf-16") * 3 + TEXT.encode(),
    "letters of two bytes far behind ones of one": b"log line\n" * 9000 + SECRET.encode("utf-16-le"),
}
PACKED = {
    "gzip in gzip": gzip.compress(gzip.compress(TEXT.encode())),
    "base64 in gzip": gzip.compress(base64.b64encode(TEXT.encode())),
    "gzip in base64": base64.b64encode(gzip.compress(TEXT.encode())),
    "gzip in base64 in gzip": gzip.compress(base64.encodebytes(gzip.compress(TEXT.encode()))),
    "zip in zip": zipped("b.zip", zipped("a.log", TEXT)),
    "remark of a zip": zipped("a.log", "x", SECRET.encode()),
    "zip in base64": base64.encodebytes(zipped("a.log", TEXT)),
    "zip in a data address": b'<a href="data:application/zip;base64,' + base64.b64encode(zipped("a.log", TEXT)) + b'">',
    "tar": tarred("w"),
    "tar of GNU": tarred("w", tarfile.GNU_FORMAT),
    "tar.gz": tarred("w:gz"),
    "tar.xz": tarred("w:xz"),
    "xz": lzma.compress(TEXT.encode()),
}
DOCUMENTS = {
    "docx": zipped("word/document.xml", f"<w:p><w:r><w:t>pass</w:t></w:r><w:r><w:t>{ESCAPED[4:]}</w:t></w:r></w:p>"),
    "xlsx": zipped("xl/sharedStrings.xml", f"<sst><si><t>{ESCAPED}</t></si></sst>"),
    "pptx": zipped("ppt/slides/slide1.xml", f"<a:p><a:r><a:t>{ESCAPED}</a:t></a:r></a:p>"),
    "odt": zipped("content.xml", f"<text:p>{ESCAPED}</text:p>"),
    "rtf": b"{\\rtf1\\ansi words {\\b pass}" + SECRET[4:].encode() + b"\\par}",
    "rtf with codes": b"{\\rtf1\\ansi " + SECRET.replace("w", "\\'77").encode() + b"\\par}",
    "mail": mail("8bit", TEXT.encode()),
    "mail in base64": mail("base64", base64.encodebytes(ACCENTS.encode("latin-1"))),
    "mail with broken lines": mail("quoted-printable", quopri.encodestring(f"{'x' * 60} token {TOKEN}\n".encode())),
    "mail with a zip": mail("base64", base64.encodebytes(zipped("a.log", TEXT)), "application/zip"),
    "svg": f"<svg><text>{SECRET}</text></svg>".encode(),
    "html": f"<html><b>password</b>{ESCAPED[8:]}</html>".encode(),
    "notebook": json.dumps({"cells": [{"source": [f'{SECRET.replace("=", " = ", 1)}"\n']}]}).encode(),
    "text that begins as a BMP": b"BMC notes\n" + TEXT.encode(),
    "text that begins as a zip": b"PKI notes\n" + TEXT.encode(),
    "text that begins as a sound": b"RIFF notes\n" + ACCENTS.encode(),
    "words in a PNG": png(b"tEXt", b"Comment\x00" + SECRET.encode()),
    "packed words in a PNG": png(b"zTXt", b"Comment\x00\x00" + zlib.compress(SECRET.encode())),
    "wide words in a JPEG": b"\xff\xd8\xff\xe1\x00\x10Exif\x00\x00" + SECRET.encode("utf-16-le"),
    "zip behind a picture": png(b"tEXt", b"a\x00b") + zipped("a.log", TEXT),
}
UNREADABLE = {
    "a mark and four bytes": b"\xff\xfe\x00bad",
    "the other mark and five bytes": b"\xfe\xff\x00bad0",
    "a mark and one byte": b"\xff\xfea",
    "a mark and letters of one byte": b"\xff\xfe" + TEXT.encode(),
    "halves of pairs": b"\xff\xfe" + b"\x00\xd8" * 40,
    "code points that nobody assigned": b"\xff\xfe" + b"\x78\x03\x79\x03" * 20,
    "control characters": b"\xff\xfe" + b"\x01\x00\x02\x00" * 30,
    "a mark of UTF-8 and none of it": b"\xef\xbb\xbf" + bytes(range(128, 256)) * 3,
    "five times gzip": gzip.compress(gzip.compress(gzip.compress(gzip.compress(gzip.compress(TEXT.encode()))))),
    "such bytes in a zip": zipped("a.bin", b"\xff\xfe\x00bad"),
    "tar.bz2": tarred("w:bz2"),
    "bzip2": bz2.compress(TEXT.encode()),
    "7z": b"7z\xbc\xaf'\x1c\x00\x04" + zlib.compress(TEXT.encode()),
    "7z in a mail": mail("base64", base64.encodebytes(b"7z\xbc\xaf'\x1c" + zlib.compress(TEXT.encode()))),
    "rar": b"Rar!\x1a\x07\x01\x00" + zlib.compress(TEXT.encode()),
    "Zstandard": b"\x28\xb5\x2f\xfd" + zlib.compress(TEXT.encode()),
    "an old Word file": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600) + TEXT.encode("utf-16-le") + bytes(500),
    "pickle": pickle.dumps({"password": SECRET}),
    "a database": b"SQLite format 3\x00" + bytes(100) + SECRET.encode() + bytes(100),
}
FINE = {
    "Japanese": "\u30c7\u30fc\u30bf\u30d9\u30fc\u30b9\u306e\u63a5\u7d9a\u304c\u5207\u308c\u307e\u3057\u305f\u3002\n".encode(
        "utf-16"
    ),
    "Chinese": "\u6570\u636e\u5e93\u8fde\u63a5\u6c60\u5df2\u6ee1\u3002\n\u91cd\u542f\u540e\u6062\u590d\u3002\n".encode(
        "utf-16"
    ),
    "Hindi": "\u0938\u0930\u094d\u0935\u0930 \u0921\u093e\u0909\u0928 \u0939\u0948\n".encode("utf-16"),
    "German": "Ger\u00e4t \u00fcberhitzt\n".encode("latin-1"),
    "a log with a zero byte": b"a line of a log\n" * 9 + b"\x00" + b"a line of a log\n" * 9,
    "a log in colours": b"\x1b[31mred\x1b[0m error\n" * 9,
    "a picture": png(b"tEXt", b"Comment\x00a drawing of the pool"),
    "nothing": b"",
}


@pytest.mark.parametrize(
    "content",
    [*CHARSETS.values(), *PACKED.values(), *DOCUMENTS.values()],
    ids=[*CHARSETS, *PACKED, *DOCUMENTS],
)
def test_a_secret_is_found_in_whatever_charset_and_form_a_file_has(content):
    said = said_by(content)
    assert said.readable
    assert "block" in [screen(text, Policy()).action for text in said.texts]


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE)
def test_bytes_that_nobody_makes_sense_of_are_unreadable(content):
    assert not said_by(content).readable


@pytest.mark.parametrize("content", FINE.values(), ids=FINE)
def test_what_has_no_secret_passes_in_any_language(content):
    said = said_by(content)
    assert said.readable
    assert {screen(text, Policy()).action for text in said.texts} == {"pass"}


@pytest.mark.parametrize("name", ["zip in base64", "gzip in base64", "zip in a data address", "tar"])
def test_what_a_text_holds_packed_is_worked_on_where_it_can_be_ended(name):
    assert may_hold_more(PACKED[name])
    assert not may_hold_more(CHARSETS["latin-1"])


def test_a_text_that_unpacks_to_far_more_than_it_shows_is_unreadable():
    assert not said_by(b"see " + base64.b64encode(gzip.compress(bytes(40_000_000)))).readable


@pytest.mark.parametrize(
    "behind", ["\nkind: ConfigMap\n", "\nnext line\n", "\nkey=value\n", "\n- one\n", " and more\n"]
)
def test_what_follows_an_archive_in_base64_is_no_part_of_it(behind):
    packed = next(made for number in range(9) if len(made := gzip.compress(b"%d" % number * number)) % 3 == 0)
    said = said_by(f"binaryData:\n  a.gz: {base64.b64encode(packed).decode()}{behind}".encode())
    assert said.readable
    assert len(said.texts) > 1


@pytest.mark.parametrize("text", ["+retry-after: 30\n", "+Accept-Encoding: gzip\n", "+AAD-sync\n", "at 10:00+0100-x\n"])
def test_a_word_between_plus_and_minus_is_no_second_charset(text):
    assert said_by(text.encode()).texts == (text,)
