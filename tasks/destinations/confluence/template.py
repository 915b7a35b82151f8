"""What an operator puts round each document: the pattern of its title, a header, a footer, a table of properties. Pure.

Values of the document are filled in, nothing is run: in Markdown every sign of theirs is plain text.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from datetime import UTC

from tasks.destinations import placeholders
from tasks.destinations.confluence.plan import TITLE_LENGTH
from tasks.destinations.confluence.settings import PLACEHOLDERS
from tasks.destinations.placeholders import filled, said
from tasks.errors import Permanent
from tasks.markup import clean
from tasks.markup.confluence import Attachment, PageOptions, RenderedPage, render_page
from tasks.model import Document, Frozen, Issue, titles_of

TYPES = {"rca": "RCA", "postmortem": "Post-mortem"}


class Template(Frozen):
    """`properties` are the rows of the table: label and value."""

    title_pattern: str = "{document.title}"
    header: str = ""
    footer: str = ""
    properties: Mapping[str, str] = {}


class Frame(Frozen):
    """What stands before and after a document's body, in storage format."""

    before: str = ""
    after: str = ""
    attachments: tuple[Attachment, ...] = ()
    warnings: tuple[str, ...] = ()


def facts_of(document: Document, issue: Issue | None) -> dict[str, str]:
    """What placeholders stand for; empty for an issue that isn't stored. `date`, `year`, `month` and `day` are of the day the
    document was created on (UTC).
    """
    made = document.created_at.astimezone(UTC) if document.created_at else None
    facts = {f"document.{name}": said(getattr(document, name)) for name in ("id", "title", "created_at", "updated_at")}
    for name, form in (("date", "%Y-%m-%d"), ("year", "%Y"), ("month", "%m"), ("day", "%d")):
        facts[f"document.{name}"] = made.strftime(form) if made else ""
    known = placeholders.facts_of(issue) if issue else dict.fromkeys(PLACEHOLDERS, "")
    return known | facts | {"document.type": TYPES[document.doc_type], "issue.id": document.issue_id or ""}


def title_of(pattern: str, document: Document, facts: Mapping[str, str]) -> str:
    """The page's title. Where it would be too long, the document's own title is cut and the rest of the pattern stays."""
    rest = clean.plain_title(filled(pattern, {**facts, "document.title": ""}), 10 * TITLE_LENGTH)
    times = max(len(re.findall(r"\{\s*document\.title\s*\}", pattern)), 1)
    room = max((TITLE_LENGTH - len(rest) - times) // times, 1) if rest else TITLE_LENGTH // times
    short = {**facts, "document.title": clean.plain_title(document.title, room)}
    return clean.plain_title(filled(pattern, short), TITLE_LENGTH) or document.id


def parent_of(parent: str | None, facts: Mapping[str, str], title: str) -> tuple[str, ...]:
    """The titles of the path to the page's parent, filled in; empty where none, or a number, was named."""
    found = []
    for part in titles_of(parent or "") or ():
        one = clean.plain_title(filled(part, facts, lambda value: value.replace("/", "-")), TITLE_LENGTH)
        if not one:
            raise Permanent(
                f"The path of the parent page has an empty title: {part!r} stands for nothing in this document.",
                code="bad_parent",
                advice="Give the document what it names (`created_at`, `issue_id` and a stored issue), or change the path.",
            )
        found.append(one)
    if title.casefold() in (one.casefold() for one in found):
        raise Permanent(
            f"The page can't be below itself: the path of its parent page has its own title, {title!r}.",
            code="bad_parent",
            advice="Name another parent, or give the document another title.",
        )
    return tuple(found)


def frame_of(template: Template, facts: Mapping[str, str], options: PageOptions) -> Frame:
    """The header with the table of properties below it, and the footer."""
    header, footer = (_rendered(text, facts, options) for text in (template.header, template.footer))
    rows = "".join(
        f"<tr><th>{_text(label)}</th><td>{_text(filled(value, facts))}</td></tr>"
        for label, value in template.properties.items()
    )
    table = (
        '<ac:structured-macro ac:name="details"><ac:rich-text-body>'
        f"<table><tbody>{rows}</tbody></table></ac:rich-text-body></ac:structured-macro>"
    )
    return Frame(
        before=header.body + (table if rows else ""),
        after=footer.body,
        attachments=(*header.attachments, *footer.attachments),
        warnings=(*header.warnings, *footer.warnings),
    )


def _rendered(text: str, facts: Mapping[str, str], options: PageOptions) -> RenderedPage:
    return render_page(filled(text, facts, _plain), options) if text.strip() else RenderedPage(body="")


def _plain(value: str) -> str:
    """One line of Markdown that reads as the value."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", clean.plain_title(value, 1000))


def _text(value: str) -> str:
    return html.escape(clean.plain_title(value, 1000), quote=False)
