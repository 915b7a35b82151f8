"""Every text of a ticket is screened, tags and mapped fields as well, and leaves redacted where policy says so."""

from __future__ import annotations

import bz2
import gzip
import io
import tarfile
import zipfile

import pytest
from pypdf import PdfWriter
from pypdf.annotations import FreeText
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from tasks.destinations.contract import Work
from tasks.errors import Held
from tasks.model import Document, DocumentFile, Issue, PublishToConfluence, parse_command
from tasks.redaction import redacted, size_of, sources_of, verdicts_of
from tasks.screening import Policy

SECRET = "password=hunter" + "2-Xy99"


def work(*, released: bool = False, tags: tuple[str, ...] = (), **fields: object) -> Work:
    command = parse_command(
        {
            "command": "create_azuredevops_workitem",
            "issue_id": "i",
            "project": "P",
            "config": {"fields": {f"Custom.{name}": value for name, value in fields.items()}},
        }
    )
    issue = Issue(id="i", title="Down", description="words", tags=tags)
    return Work(job_id="j", subject="s", command=command, issue=issue, released=released)


def leaving(given: Work) -> Work:
    return redacted(given, verdicts_of(given, Policy()))


@pytest.mark.parametrize("given", [work(tags=(SECRET,)), work(Note=SECRET)], ids=["tag", "field"])
def test_a_secret_in_a_tag_or_a_mapped_field_stops_the_job(given):
    with pytest.raises(Held, match=r"tag 1|field Custom\.Note"):
        leaving(given)


def test_released_it_goes_out_redacted():
    sent = leaving(work(released=True, tags=(SECRET, "rca"), Note=f"see {SECRET}", Count=3))
    assert "hunter" not in sent.model_dump_json()
    assert sent.issue.tags == ("password=[Password]", "rca")
    assert sent.command.config.fields == {"Custom.Note": "see password=[Password]", "Custom.Count": 3}


def test_a_person_in_a_tag_is_redacted_and_one_named_in_a_field_on_purpose_stays():
    sent = leaving(work(tags=("jane@acme-corp.com",), Owner="jane@acme-corp.com"))
    assert sent.issue.tags == ("[Email]",)
    assert sent.command.config.fields == {"Custom.Owner": "jane@acme-corp.com"}


def page(name: str, content: bytes, *, released: bool = False) -> Work:
    file = DocumentFile(name=name, content=content)
    document = Document(id="d", title="Down", content_md="words", attachments=(file,))
    return Work(
        job_id="j",
        subject="s",
        command=PublishToConfluence(doc_id="d", space_key="OPS"),
        document=document,
        released=released,
    )


def zipped(name: str, content: bytes) -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w") as archive:
        archive.writestr(name, content)
    return into.getvalue()


def tarred(content: bytes) -> bytes:
    into = io.BytesIO()
    with tarfile.open(fileobj=into, mode="w:gz") as archive:
        entry = tarfile.TarInfo("a.log")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return into.getvalue()


def pdf(words: str, *, properties=None, files=None, note="", password="") -> bytes:
    """A PDF of one page."""
    writer = PdfWriter()
    leaf = writer.add_blank_page(595, 842)
    named = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
    font = writer._add_object(DictionaryObject({NameObject(k): NameObject(v) for k, v in named.items()}))
    fonts = DictionaryObject({NameObject("/Font"): DictionaryObject({NameObject("/F1"): font})})
    leaf[NameObject("/Resources")] = fonts
    drawn = DecodedStreamObject()
    drawn.set_data(b"BT /F1 12 Tf 72 700 Td (" + words.encode() + b") Tj ET")
    leaf[NameObject("/Contents")] = writer._add_object(drawn.flate_encode())
    writer.add_metadata(properties or {})
    for name, content in (files or {}).items():
        writer.add_attachment(name, content)
    if note:
        writer.add_annotation(0, FreeText(text=note, rect=(50, 550, 200, 650)))
    if password:
        writer.encrypt(password)
    into = io.BytesIO()
    writer.write(into)
    return into.getvalue()


SAID = f"caf\u00e9 cr\u00e8me, {SECRET}\n" * 3
WORD = f"<w:document><w:p><w:r><w:t>pass</w:t></w:r><w:r><w:t>{SECRET[4:]}</w:t></w:r></w:p></w:document>"
FILES = {
    "UTF-8": SAID.encode(),
    "Latin-1": SAID.encode("latin-1"),
    "UTF-16": SAID.encode("utf-16"),
    "UTF-16 without a mark": SAID.encode("utf-16-le"),
    "a cut byte": SAID.encode()[:-1] + b"\xc3",
    "gzip": gzip.compress(SAID.encode()),
    "zip": zipped("a.log", SAID.encode("utf-16")),
    "zip in zip": zipped("inner.zip", zipped("a.log", SAID.encode())),
    "a name in a zip": zipped(SECRET, b"nothing"),
    "tar.gz": tarred(SAID.encode()),
    "a Word file": zipped("word/document.xml", WORD.encode()),
    "PDF": pdf(f"Use {SECRET} now"),
    "properties of a PDF": pdf("nothing", properties={"/Subject": SAID}),
    "file inside a PDF": pdf("nothing", files={"a.log": SAID.encode()}),
    "note in a PDF": pdf("nothing", note=SAID),
    "PDF in an archive": zipped("a.pdf", pdf(f"Use {SECRET} now")),
    "metadata of a picture": b"\x89PNG\r\n\x1a\n\x00\x00tEXtComment\x00"
    + SECRET.encode()
    + b" and some more words\x00",
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES.keys())
def test_a_secret_in_a_file_stops_the_job_whatever_the_file_is(content):
    with pytest.raises(Held, match="Password"):
        leaving(page("a.log", content))


@pytest.mark.parametrize("charset", ["utf-8", "latin-1", "utf-16"])
def test_released_a_text_file_goes_out_redacted_in_its_own_charset(charset):
    sent = leaving(page("a.log", SAID.encode(charset), released=True)).document.attachments[0].content
    assert sent.decode(charset) == SAID.replace(SECRET, "password=[Password]")


@pytest.mark.parametrize("charset", ["utf-8", "utf-16", "latin-1", "cp1252", "utf-16-le"])
def test_an_answer_that_repeats_a_file_is_known_in_whatever_charset_the_file_is(charset):
    words = "Die Datenbank für Bestellungen lief über: zu große Sitzungen, müde Köpfe.\n" * 3
    assert words in sources_of(page("a.log", words.encode(charset)))


def test_a_secret_in_an_archive_stays_stopped_after_a_release():
    with pytest.raises(Held, match="Password"):
        leaving(page("a.zip", FILES["zip"], released=True))


UNREADABLE = {
    "binary": bytes(range(256)) * 4,
    "pdf": b"%PDF-1.7\n\xe2\xe3\xcf\xd3\n\x00\x01",
    "locked pdf": pdf("nothing", password="x"),
    "pdf without letters": pdf("\x01\x02\x03\x04"),
    "cut zip": FILES["zip"][:-30],
    "bz2": bz2.compress(b"x"),
    "bomb": gzip.compress(bytes(80_000_000)),
}


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_nobody_can_read_is_held_unless_policy_lets_it_pass(content):
    with pytest.raises(Held, match="can't be read"):
        leaving(page("a.bin", content))
    verdicts_of(page("a.bin", content), Policy(unreadable_attachments="allow"))


def test_a_pdf_without_findings_passes():
    assert leaving(page("a.pdf", pdf("The pool was exhausted"))).document.attachments[0].name == "a.pdf"


@pytest.mark.parametrize("content", [FILES["PDF"], FILES["zip"], FILES["tar.gz"]])
def test_what_may_hold_more_than_it_shows_is_worked_on_where_it_can_be_ended(content):
    """A few kB of an archive or a PDF can hold megabytes, or take minutes."""
    assert size_of(page("a.bin", content).document) > 1_000_000
    assert size_of(page("a.log", FILES["Latin-1"]).document) < 1_000


def test_a_picture_passes():
    given = page("a.png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    assert leaving(given) == given


def test_ids_names_and_groups_are_screened_as_well():
    base = work()
    for changed in (
        base.model_copy(update={"issue": base.issue.model_copy(update={"id": SECRET})}),
        base.model_copy(
            update={
                "command": base.command.model_copy(
                    update={"config": base.command.config.model_copy(update={"assignment_group": SECRET})}
                )
            }
        ),
        base.model_copy(
            update={
                "command": base.command.model_copy(
                    update={"config": base.command.config.model_copy(update={"fields": {SECRET: 1}})}
                )
            }
        ),
        page(SECRET, b"words"),
    ):
        with pytest.raises(Held, match="Password"):
            leaving(changed)
