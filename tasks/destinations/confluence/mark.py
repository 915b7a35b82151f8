"""What we know of a page of ours, and what that says about the page as it stands now. Pure.

Three things tell our writing from anybody else's: the content property (last written, after everything else of a
delivery), the message of each version we wrote, and an invisible anchor at the body's end. The anchor and the message carry
the digest of the content, so that an attempt that died before the property was written is known for what it did.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pydantic import Field, ValidationError

from tasks.destinations.confluence.access import Access
from tasks.destinations.confluence.api import Page
from tasks.markup.confluence.stored import fingerprint, pieces
from tasks.model import Upstream

DIGITS = 12
_MESSAGE = re.compile(rf"^Afterword ([0-9a-f]{{{DIGITS}}})\b")


class Mark(Upstream):
    """The content property `afterword`. `title` is the document's, `shown` the page's (numbered where it was taken);
    `asked` are the labels of the last delivery, `labels` those of them that we added ourselves, `files` the hashes of what
    we uploaded, `links` what the panel shows, `appearance` the page's width as we set it. `under` is the path of
    its parent as the job named it, `parent` the page that it led to. `access` is what was set of readers, editors, owner and
    status. `source` is the digest of all that decided how the
    page looks.
    """

    subject: str = ""
    job: str = ""
    body_sha: str = ""
    version: int = 0
    print: str = ""
    title: str = ""
    shown: str = ""
    asked: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    files: dict[str, str] = Field(default_factory=dict)
    links: tuple[str, ...] = ()
    appearance: dict[str, str] = Field(default_factory=dict)
    under: str = ""
    parent: str = ""
    access: Access = Access()
    source: str = ""


def parse_mark(value: dict[str, Any]) -> Mark:
    """The property's value; one that we can't have written counts as empty."""
    try:
        return Mark.model_validate(value)
    except ValidationError:
        return Mark()


@dataclass(frozen=True)
class Standing:
    """How a page stands: whether somebody edited it since we wrote it, and the digest of the content of ours it shows."""

    edited: bool
    shows: str


def judge(page: Page, mark: Mark | None, subject: str, wanted_body: str, wanted_title: str) -> Standing:
    """Compare the page with what we last wrote and with what we would write.

    An inline comment, our own block of links and what a server adds by itself are no edit.
    """
    signed = _MESSAGE.match(page.message)
    if mark is None:
        anchored = anchor_digest(page.body, subject)
        if anchored is None:
            return Standing(edited=False, shows="")
        return Standing(
            edited=page.version > 1 and signed is None and not _reads_as(page, subject, wanted_title, wanted_body),
            shows=signed.group(1) if signed else anchored,
        )
    later = signed is not None and page.version > mark.version
    shows = signed.group(1) if signed and later else mark.body_sha[:DIGITS]
    if page.version == mark.version or signed is not None:
        return Standing(edited=False, shows=shows)
    # A server may drop the messages. Nobody else renews the anchor: the one version that did is ours.
    anchored = anchor_digest(page.body, subject) or shows
    if page.version == mark.version + 1 and anchored != mark.body_sha[:DIGITS]:
        return Standing(edited=False, shows=anchored)
    printed = mark.print in (fingerprint(page.body), fingerprint(page.body, earlier=True))
    untouched = page.title == (mark.shown or mark.title) and printed
    same = _reads_as(page, subject, wanted_title, wanted_body)
    return Standing(edited=not (untouched or same), shows=anchored if same else shows)


def _reads_as(page: Page, subject: str, title: str, body: str) -> bool:
    """Whether the page reads as that content, which has no anchor of ours yet."""
    return page.title == title and fingerprint(without_anchor(page.body, subject)) == fingerprint(body)


def without_anchor(body: str, subject: str) -> str:
    """The body without our anchor."""
    parts = pieces(body)
    for start, part in enumerate(parts):
        ours = part.kind == "open" and part.name == "ac:structured-macro"
        if ours and any(f"afterword-{subject}" in inner.text for inner in parts[start : start + 4]):
            closes = (i for i in range(start, len(parts)) if parts[i].kind == "close" and parts[i].name == part.name)
            end = next(closes, len(parts) - 1)
            return "".join(kept.raw for kept in (*parts[:start], *parts[end + 1 :]))
    return body


def message_of(digest: str) -> str:
    """The version message of a page with that content."""
    return f"Afterword {digest[:DIGITS]}"


def anchor(subject: str, digest: str) -> str:
    """An invisible anchor macro that names the subject and its content."""
    return anchor_macro(f"afterword-{subject}-{digest[:DIGITS]}")


def anchor_digest(body: str, subject: str) -> str | None:
    """The digest in the body's anchor; empty where it has none, None where the body isn't the subject's."""
    found = re.search(rf"afterword-{subject}(?:-([0-9a-f]{{{DIGITS}}}))?", body)
    return (found.group(1) or "") if found else None


def anchor_macro(name: str) -> str:
    """An invisible anchor of that name."""
    parameter = f'<ac:parameter ac:name="">{name}</ac:parameter>'
    return f'<ac:structured-macro ac:name="anchor">{parameter}</ac:structured-macro>'
