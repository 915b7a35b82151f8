"""A job's content on its way out: each text of it screened, personal data redacted, secrets stopped. Pure."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from tasks.destinations import Prepared, Work
from tasks.errors import Held
from tasks.model import Document, PublishToConfluence
from tasks.screening import Policy, ScreeningFailed, Verdict, screen


def verdicts_of(work: Work, policy: Policy) -> dict[str, Verdict]:
    """The verdict on each of the work's texts, by name; raises `Held` where one can't be screened."""
    texts = {}
    if work.document:
        texts = {"title": work.document.title, "content_md": work.document.content_md, **readable_files(work.document)}
    if work.issue:
        tags = {_tag(number): tag for number, tag in enumerate(work.issue.tags)}
        texts = {"title": work.issue.title, "description": work.issue.description, **tags}
    # A field that was mapped on purpose may name a person, such as whom a work item is assigned to.
    mapped = policy.model_copy(update={"categories": {**policy.categories, "personal": "allow"}})
    return _verdicts(texts, policy, released=work.released) | _verdicts(
        _mapped_fields(work), mapped, released=work.released
    )


def redacted(work: Work, verdicts: Mapping[str, Verdict]) -> Work:
    """The work as it may leave; raises `Held` where policy stops it."""
    stop(verdicts)
    clean: dict[str, Any] = {name: verdict.text for name, verdict in verdicts.items()}
    if work.document:
        files = tuple(
            file.model_copy(update={"content": clean.pop(_name(file.name)).encode("utf-8", "replace")})
            if _name(file.name) in clean
            else file
            for file in work.document.attachments
        )
        return work.model_copy(update={"document": work.document.model_copy(update={**clean, "attachments": files})})
    if work.issue:
        return _redacted_issue(work, clean)
    return work


def _redacted_issue(work: Work, clean: Mapping[str, str]) -> Work:
    """The work with the clean texts in the issue, its tags, and the fields that the job sets."""
    issue, command = work.issue, work.command
    if issue is None:
        return work
    tags = tuple(clean[_tag(number)] for number in range(len(issue.tags)))
    texts = {"title": clean["title"], "description": clean["description"], "tags": tags}
    changed: dict[str, Any] = {"issue": issue.model_copy(update=texts)}
    if not isinstance(command, PublishToConfluence):
        fields = {name: clean.get(_field(name), value) for name, value in command.config.fields.items()}
        config = command.config.model_copy(update={"fields": fields})
        changed["command"] = command.model_copy(update={"config": config})
    return work.model_copy(update=changed)


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
        advice="Remove it and submit again, or release the job: then secrets are sent redacted.",
    )


def _verdicts(texts: Mapping[str, str], policy: Policy, *, released: bool) -> dict[str, Verdict]:
    try:
        return {name: screen(text, policy, released=released) for name, text in texts.items()}
    except ScreeningFailed as failed:
        raise Held(
            str(failed), code="screening_failed", advice="Shorten or correct the text and submit it again."
        ) from None


def _mapped_fields(work: Work) -> dict[str, str]:
    """The texts among the fields that the job sets."""
    if isinstance(work.command, PublishToConfluence):
        return {}
    return {_field(name): value for name, value in work.command.config.fields.items() if isinstance(value, str)}


def _tag(number: int) -> str:
    return f"tag {number + 1}"


def _field(name: str) -> str:
    return f"field {name}"


def _name(file: str) -> str:
    return f"file {file}"


def readable_files(document: Document) -> dict[str, str]:
    """The files that hold text, such as logs: they are screened like the document itself."""
    found = {}
    for file in document.attachments:
        with contextlib.suppress(UnicodeDecodeError):
            found[_name(file.name)] = file.content.decode("utf-8")
    return found
