"""A job's content on its way out: each text screened, personal data redacted, secrets stopped, the rest rendered. Pure."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tasks.destinations import AnySettings, destination_for
from tasks.destinations.contract import Prepared, Work
from tasks.errors import AttemptFailed, Held
from tasks.model import Document, DocumentFile, Issue, PublishToConfluence, titles_of
from tasks.screening import Policy, ScreeningFailed, Verdict, screen_all
from tasks.screening.charsets import decoded
from tasks.screening.files import Said, is_packed, may_hold_more, said_by

# Parts of a text's name that say how its findings are treated.
_BESIDE = "issue's "  # before the names of a text of the issue that comes with a document
_FIELD, _FIELD_NAME, _CONFIG, _ID, _FILE, _INSIDE = (
    "field ",
    "name of field ",
    "config ",
    "id ",
    "file ",
    "inside file ",
)
SAID = ("category", "source", "status")  # what an issue says besides its words


@dataclass(frozen=True)
class Outgoing:
    """What may leave of a job's content, redacted and rendered, or why nothing may. `findings` are the types of what screening
    found, `actions` what is done about it.
    """

    outcome: tuple[Work, Prepared[Any]] | AttemptFailed
    findings: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()


def outgoing(work: Work, settings: AnySettings, policy: Policy) -> Outgoing:
    """The content screened, rendered for the destination, and screened as rendered."""
    verdicts = verdicts_of(work, policy)
    findings = tuple(sorted({finding.type for verdict in verdicts.values() for finding in verdict.findings}))
    actions = tuple(sorted({verdict.action for verdict in verdicts.values()}))
    try:
        clean = redacted(work, verdicts)
        prepared = destination_for(settings).prepare(clean)
        check_outgoing(prepared, policy, released=clean.released)
    except AttemptFailed as failure:
        return Outgoing(failure, findings, actions)
    return Outgoing((clean, prepared), findings, actions)


def size_of(content: Document | Issue | None) -> int:
    """How much there is to work on, in characters and bytes. What is packed may hold more than anything else."""
    if isinstance(content, Document):
        if any(may_hold_more(file.content) for file in content.attachments):
            return sys.maxsize
        return len(content.content_md) + sum(len(file.content) for file in content.attachments)
    return len(content.description) if content else 0


def verdicts_of(work: Work, policy: Policy) -> dict[str, Verdict]:
    """The verdict on each of the work's texts, by name, in one pass; raises `Held` where one can't be screened."""
    texts = _content_texts(work) | _command_texts(work)
    if work.document:
        for file in work.document.attachments:
            texts |= _texts_of(file, policy)
    # What was mapped on purpose may name a person, such as whom a work item is assigned to; an id can't be changed.
    named = frozenset(name for name in texts if name.startswith((_FIELD, _FIELD_NAME, _CONFIG)))
    fixed = frozenset(name for name in texts if name.startswith(_ID))
    verdicts = _verdicts(texts, policy, released=work.released, named=named, fixed=fixed)
    return {
        name: _as_a_whole(verdict, released=work.released) if name.startswith(_INSIDE) else verdict
        for name, verdict in verdicts.items()
    }


def _content_texts(work: Work) -> dict[str, str]:
    if work.document:
        ids = {_ID + "document": work.document.id, _ID + "issue": work.document.issue_id or ""}
        names = {f"{_ID}file {number + 1}": file.name for number, file in enumerate(work.document.attachments)}
        beside = {_BESIDE + name: text for name, text in _issue_texts(work.issue).items()} if work.issue else {}
        return {"title": work.document.title, "content_md": work.document.content_md, **ids, **names, **beside}
    return _issue_texts(work.issue) | {_ID + "issue": work.issue.id} if work.issue else {}


def _issue_texts(issue: Issue) -> dict[str, str]:
    tags = {_tag(number): tag for number, tag in enumerate(issue.tags)}
    said = {name: getattr(issue, name) for name in SAID}
    texts = {"title": issue.title, "description": issue.description, **said, **tags}
    return texts | {_CONFIG + "assigned_to": issue.assigned_to}


def _command_texts(work: Work) -> dict[str, str]:
    """What the job itself sets: a ticket's fields by name and value, its type and group."""
    if isinstance(work.command, PublishToConfluence):
        parent = work.command.parent_page_id or ""  # a number is no text of a person's
        return {_ID + "parent page": parent} if titles_of(parent) else {}
    config = work.command.config
    texts = {_FIELD + name: value for name, value in config.fields.items() if isinstance(value, str)}
    texts |= {f"{_FIELD_NAME}{number + 1}": name for number, name in enumerate(config.fields)}
    texts[_CONFIG + "assignment_group"] = config.assignment_group or ""
    texts[_CONFIG + "work_item_type"] = config.work_item_type or ""
    return texts


def _texts_of(file: DocumentFile, policy: Policy) -> dict[str, str]:
    said = said_by(file.content)
    if not said.readable and policy.unreadable_attachments == "hold":
        raise Held(
            f"The file {file.name} can't be read, and so not screened.",
            code="unreadable_attachment",
            advice="Submit the document without it, or as text; `unreadable_attachments` of the screening policy lets such files pass.",
        )
    inside = {f"{_INSIDE}{file.name} {number + 1}": text for number, text in enumerate(said.texts)}
    if said.charset:
        inside = {_FILE + file.name: inside.pop(f"{_INSIDE}{file.name} 1"), **inside}
    return inside


def _as_a_whole(verdict: Verdict, *, released: bool) -> Verdict:
    """The verdict on a text inside a file that can't be rewritten: what would be redacted stops the job instead.

    After a release personal data stays, and a secret still stops the job.
    """
    if verdict.action != "redact" or (released and all(finding.category != "secret" for finding in verdict.findings)):
        return verdict
    return replace(verdict, action="hold")


def sources_of(work: Work) -> list[str]:
    """The texts that the rendered ones were made of, and files that need no unpacking: an answer may repeat either."""
    if work.document:
        files = (file.content for file in work.document.attachments if not is_packed(file.content))
        return [work.document.content_md, *map(_as_text, files)]
    return [work.issue.description] if work.issue else []


def _as_text(content: bytes) -> str:
    """A file in whatever charset it has, as an answer would repeat it; of what is no text, what looks like some."""
    found = decoded(content)
    return found.text if found else content.decode("utf-8", "replace")


def redacted(work: Work, verdicts: Mapping[str, Verdict]) -> Work:
    """The work as it may leave; raises `Held` where policy stops it."""
    stop(verdicts)
    clean: dict[str, str] = {name: verdict.text for name, verdict in verdicts.items() if verdict.action == "redact"}
    if not clean:
        return work
    if work.document:
        files = tuple(_rewritten(file, clean.get(_FILE + file.name)) for file in work.document.attachments)
        changed: dict[str, Any] = {name: clean[name] for name in ("title", "content_md") if name in clean}
        document = work.document.model_copy(update={**changed, "attachments": files})
        beside = {name.removeprefix(_BESIDE): text for name, text in clean.items() if name.startswith(_BESIDE)}
        return work.model_copy(update={"document": document, "issue": _clean_issue(work.issue, beside)})
    return _redacted_issue(work, clean) if work.issue else work


def _rewritten(file: DocumentFile, text: str | None) -> DocumentFile:
    if text is None:
        return file
    charset = said_by(file.content).charset or "utf-8"
    return file.model_copy(update={"content": text.encode(charset, "replace")})


def _redacted_issue(work: Work, clean: Mapping[str, str]) -> Work:
    """The work with the clean texts in the issue, its tags, and what the job sets."""
    command = work.command
    changed: dict[str, Any] = {"issue": _clean_issue(work.issue, clean)}
    if not isinstance(command, PublishToConfluence):
        fields = {
            clean.get(f"{_FIELD_NAME}{number + 1}", name): clean.get(_FIELD + name, value)
            for number, (name, value) in enumerate(command.config.fields.items())
        }
        own = {
            name: clean[_CONFIG + name] for name in ("assignment_group", "work_item_type") if _CONFIG + name in clean
        }
        config = command.config.model_copy(update={"fields": fields, **own})
        changed["command"] = command.model_copy(update={"config": config})
    return work.model_copy(update=changed)


def _clean_issue(issue: Issue | None, clean: Mapping[str, str]) -> Issue | None:
    """The issue with the clean texts."""
    if issue is None:
        return None
    tags = tuple(clean.get(_tag(number), tag) for number, tag in enumerate(issue.tags))
    texts = {
        "title": clean.get("title", issue.title),
        "description": clean.get("description", issue.description),
        "tags": tags,
        "assigned_to": clean.get(_CONFIG + "assigned_to", issue.assigned_to),
        **{name: clean.get(name, getattr(issue, name)) for name in SAID},
    }
    return issue.model_copy(update=texts)


def check_outgoing(prepared: Prepared[Any], policy: Policy, *, released: bool) -> None:
    """The rendered texts, as they would leave: a secret that only rendering put together stops here."""
    stop(_verdicts(prepared.texts, policy, released=released))


def stop(verdicts: Mapping[str, Verdict]) -> None:
    """Raise `Held` where a verdict says so, naming where and what, never the words."""
    stopping = [(name, verdict) for name, verdict in verdicts.items() if verdict.action in ("hold", "block")]
    if not stopping:
        return
    where = "; ".join(f"{name}: {', '.join(sorted({f.type for f in verdict.findings}))}" for name, verdict in stopping)
    raise Held(
        f"Screening stopped this job ({where}).",
        code="screening",
        advice="Remove it and submit again, or release the job: what policy stops is then sent redacted. "
        "Inside an archive or an id nothing can be redacted: there only removing it helps.",
    )


def _verdicts(
    texts: Mapping[str, str],
    policy: Policy,
    *,
    released: bool,
    named: frozenset[str] = frozenset(),
    fixed: frozenset[str] = frozenset(),
) -> dict[str, Verdict]:
    try:
        return screen_all(texts, policy, released=released, named=named, fixed=fixed)
    except ScreeningFailed as failed:
        raise Held(
            str(failed), code="screening_failed", advice="Shorten or correct the text and submit it again."
        ) from None


def _tag(number: int) -> str:
    return f"tag {number + 1}"


def readable_files(document: Document) -> dict[str, str]:
    """What the files say, such as logs: it is screened like the document itself."""
    said: dict[str, Said] = {file.name: said_by(file.content) for file in document.attachments}
    return {_FILE + name: "\n".join(one.texts) for name, one in said.items() if one.texts}
